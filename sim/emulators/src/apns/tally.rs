//! What the push service counted.

use super::Reason;
use super::answer::{Refusal, Taken};

/// Counts since the start. Requests = accepted + refused; accepted = woken + coalesced + expired + lost + what is still
/// under way or stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Answered 200.
    pub accepted: u64,
    /// Refused, by reason in the order of [`Reason::ALL`].
    pub refused: [u64; Reason::ALL.len()],
    /// Took the place of an older one, under way or stored.
    pub coalesced: u64,
    /// Their time passed before the device was within reach.
    pub expired: u64,
    /// Lost on order, or for nobody.
    pub lost: u64,
    /// Of the lost: those whose body was no wake.
    pub unreadable: u64,
    /// Stored because the device was out of reach; those that took an older one's place are not counted again.
    pub stored: u64,
    /// Wakes handed over.
    pub woken: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            accepted: 0,
            refused: [0; Reason::ALL.len()],
            coalesced: 0,
            expired: 0,
            lost: 0,
            unreadable: 0,
            stored: 0,
            woken: 0,
        }
    }
}

impl Tally {
    /// How many were refused with this reason.
    pub fn refused(&self, reason: Reason) -> u64 {
        self.refused.get(reason as usize).copied().unwrap_or_default()
    }

    /// How many were refused at all.
    pub fn refusals(&self) -> u64 {
        self.refused.iter().sum()
    }

    pub(crate) fn count(&mut self, verdict: &Result<Taken, Refusal>) {
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
            Err(refusal) => {
                if let Some(count) = self.refused.get_mut(refusal.reason as usize) {
                    *count += 1;
                }
            }
        }
    }
}
