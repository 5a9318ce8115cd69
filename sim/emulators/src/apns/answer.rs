//! What the push service answers to one notification.

use super::Reason;
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

/// What became of a notification that was answered 200.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is under way, or stored.
    Alone,
    /// It took the place of one that was.
    Coalesced,
    /// The device was out of reach, and it was not to be stored.
    Expired,
    /// Lost on order, or for nobody.
    Lost,
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
    pub fn fates(&self) -> impl Iterator<Item = PushFate> {
        let fates = match self.verdict {
            Ok(Taken::Alone | Taken::Lost) => [Some(PushFate::Received), None],
            Ok(Taken::Coalesced) => [Some(PushFate::Received), Some(PushFate::Coalesced)],
            Ok(Taken::Expired) => [Some(PushFate::Received), Some(PushFate::Expired)],
            Err(Refusal { reason: Reason::Unregistered, .. }) => [Some(PushFate::Unregistered), None],
            Err(_) => [None, None],
        };
        fates.into_iter().flatten()
    }
}

impl Refusal {
    pub(crate) fn plain(reason: Reason) -> Self {
        Refusal { reason, since: None }
    }
}
