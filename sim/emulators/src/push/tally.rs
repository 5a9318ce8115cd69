//! What a push service counted.

use droves_facts::PushFate;
use std::collections::BTreeMap;

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

impl Taken {
    /// What there is to say about the lane, in order.
    pub(crate) fn fates(self) -> &'static [PushFate] {
        match self {
            Taken::Alone | Taken::Lost => &[PushFate::Received],
            Taken::Coalesced => &[PushFate::Received, PushFate::Coalesced],
            Taken::Expired => &[PushFate::Received, PushFate::Expired],
        }
    }
}

/// Counts since the start, of a service that refuses for reasons `R`. Requests = accepted + refused; accepted = woken +
/// coalesced + expired + lost + what is still under way or stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally<R> {
    /// Answered 200.
    pub accepted: u64,
    /// Refused, by reason.
    pub refused: BTreeMap<R, u64>,
    /// Took the place of an older one, under way or stored.
    pub coalesced: u64,
    /// Their time passed before the device was within reach.
    pub expired: u64,
    /// Lost on order, or for nobody.
    pub lost: u64,
    /// Of the lost: those that were no wake.
    pub unreadable: u64,
    /// Stored because the device was out of reach; those that took an older one's place are not counted again.
    pub stored: u64,
    /// Wakes handed over.
    pub woken: u64,
}

impl<R> Default for Tally<R> {
    fn default() -> Self {
        Tally {
            accepted: 0,
            refused: BTreeMap::new(),
            coalesced: 0,
            expired: 0,
            lost: 0,
            unreadable: 0,
            stored: 0,
            woken: 0,
        }
    }
}

impl<R: Ord> Tally<R> {
    /// How many were refused with this reason.
    pub fn refused(&self, reason: R) -> u64 {
        self.refused.get(&reason).copied().unwrap_or_default()
    }

    /// How many were refused at all.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    pub(crate) fn count(&mut self, verdict: Result<Taken, R>) {
        match verdict {
            Ok(taken) => {
                self.accepted += 1;
                match taken {
                    Taken::Alone => {}
                    Taken::Coalesced => self.coalesced += 1,
                    Taken::Expired => self.expired += 1,
                    Taken::Lost => self.lost += 1,
                }
            }
            Err(reason) => *self.refused.entry(reason).or_default() += 1,
        }
    }
}
