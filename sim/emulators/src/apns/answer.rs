//! What the push service answers to one notification.

use super::Reason;
use crate::push::Reason as _;
use crate::push::Taken;
use droves_facts::{Dur, LaneIx, PushFate, Wall};

/// What the service answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// For the header `apns-id`: the request's own, or a new upper-case UUID.
    pub apns_id: Box<str>,
    /// Taken, or why not.
    pub verdict: Result<Taken, Refusal>,
    /// How long the answer is in the making.
    pub lag: Dur,
    /// Whose token it was, where it is anybody's.
    pub lane: Option<LaneIx>,
}

/// Why a notification was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// With 410: since when the token is no good.
    pub since: Option<Wall>,
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.verdict.map_or_else(|refusal| refusal.reason.status(), |_| 200)
    }

    /// Nothing with 200; `{"reason":"..."}` otherwise, with 410 and `"timestamp"` in milliseconds.
    pub fn body(&self) -> String {
        match self.verdict {
            Ok(_) => String::new(),
            Err(Refusal { reason, since: None }) => format!(r#"{{"reason":"{reason}"}}"#),
            Err(Refusal { reason, since: Some(since) }) => {
                format!(r#"{{"reason":"{reason}","timestamp":{}}}"#, since.0.div_euclid(1_000))
            }
        }
    }

    /// What there is to say about the lane, in order.
    pub fn fates(&self) -> &'static [PushFate] {
        match self.verdict {
            Ok(taken) => taken.fates(),
            Err(Refusal { reason: Reason::Unregistered, .. }) => &[PushFate::Unregistered],
            Err(_) => &[],
        }
    }
}

impl Refusal {
    pub(crate) fn plain(reason: Reason) -> Self {
        Refusal { reason, since: None }
    }
}
