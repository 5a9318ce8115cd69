//! The token that the EMM makes its calls with.

use super::line::Reply;
use crate::sender::Account;
use droves_facts::{Dur, Mono};

/// The token.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Access {
    #[default]
    None,
    /// It is asked for.
    Asked,
    /// It is good.
    Good { token: String, until: Mono },
}

/// What calls are made for.
pub(super) const SCOPES: &str =
    "https://www.googleapis.com/auth/androidmanagement https://www.googleapis.com/auth/pubsub";
/// Before its end by so much a token is asked for anew.
const EARLY: Dur = Dur::secs(300);

impl Access {
    /// What the token endpoint answered; none if that is no token.
    pub(super) fn read(now: Mono, reply: &Reply) -> Option<Self> {
        let (token, lasts) = Account::granted(&reply.body).filter(|_| reply.status == 200)?;
        let early = EARLY.min(lasts.scaled(0.5));
        Some(Access::Good { token, until: now + Dur(lasts.0 - early.0) })
    }

    /// Whether it is time to ask for one.
    pub(super) fn is_wanted(&self, now: Mono) -> bool {
        match self {
            Access::None => true,
            Access::Asked => false,
            Access::Good { until, .. } => *until <= now,
        }
    }

    pub(super) fn bearer(&self) -> Option<String> {
        match self {
            Access::Good { token, .. } => Some(format!("Bearer {token}")),
            _ => None,
        }
    }
}
