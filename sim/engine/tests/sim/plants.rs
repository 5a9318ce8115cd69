//! Faults that are planted in the world, to see that they are named: a harness that finds nothing must be able to.

use bytes::Bytes;
use droves_emulators::practice::Outgoing;
use droves_facts::{Dur, Operation};
use std::collections::HashSet;

/// A fault of the world that no configuration has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plant {
    /// The server takes every second TokenUpdate well and forgets it.
    ForgetsToken,
    /// The server delivers the command that it delivered last once more.
    RepeatsCommand,
    /// The server has nothing for a device whose queue is not empty.
    HoldsCommandsBack,
    /// The disk loses every second save that it acknowledged.
    LosesSave,
    /// How long an answer takes depends on the order of a hash set.
    DrawsByHash,
}

impl Plant {
    /// Every one, and the demand that names it.
    pub(crate) const ALL: [(Plant, &'static str); 5] = [
        (Plant::ForgetsToken, "the server believes what the device is"),
        (Plant::RepeatsCommand, "the ledger has no violation without its fault"),
        (Plant::HoldsCommandsBack, "no command waits for a device that is enrolled"),
        (Plant::LosesSave, "saved before told: identity"),
        (Plant::DrawsByHash, "the same twice"),
    ];

    /// Whether the server never hears this request, and says that it is well.
    pub(crate) fn swallows(self, operation: Operation, answers: u64) -> bool {
        match self {
            Plant::ForgetsToken => operation == Operation::AppleTokenUpdate && answers.is_multiple_of(2),
            Plant::HoldsCommandsBack => operation == Operation::AppleIdle,
            _ => false,
        }
    }

    /// Changes what the server says to a lane. `delivered`: the command that the lane had last.
    pub(crate) fn spoils(self, operation: Operation, delivered: &mut Bytes, outgoing: &mut Outgoing) {
        if self != Plant::RepeatsCommand || !matches!(operation, Operation::AppleIdle | Operation::AppleCommand) {
            return;
        }
        if !outgoing.body.is_empty() {
            *delivered = outgoing.body.clone();
        } else if operation == Operation::AppleCommand && outgoing.status == 200 {
            outgoing.body = std::mem::take(delivered);
        }
    }

    /// Whether the disk loses this one.
    pub(crate) fn loses_save(self, saves: u64) -> bool {
        self == Plant::LosesSave && !saves.is_multiple_of(2)
    }

    /// By how much an answer is late.
    pub(crate) fn delay(self) -> Dur {
        if self != Plant::DrawsByHash {
            return Dur::ZERO;
        }
        let set: HashSet<u64> = (0..100).collect();
        Dur::us(set.into_iter().next().unwrap_or(0))
    }
}
