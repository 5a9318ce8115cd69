//! Faults that are planted in the world, to see that they are named: a harness that finds nothing must be able to.

use crate::apns::{OLD_TOKEN, OWN_TOKEN};
use crate::config::Config;
use crate::demands::agents::REPORTED;
use crate::disk::STORE;
use bytes::Bytes;
use droves_emulators::practice::Outgoing;
use droves_facts::{Dur, LaneIx, Operation};
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
    /// The fleet's store is not given what every second lane saves.
    KeptFromStore,
    /// The push service hears of a lane's first token only.
    KeepsFirstToken,
    /// The push service takes every token that a lane ever had.
    TakesOldToken,
    /// A server that takes a fleet over is not told of every second device.
    TakesHalfOver,
    /// The server takes what agents report well and forgets it.
    ForgetsReports,
    /// How long an answer takes depends on the order of a hash set.
    DrawsByHash,
}

impl Plant {
    /// Every one, and the demand that names it.
    pub(crate) const ALL: [(Plant, &'static str); 10] = [
        (Plant::ForgetsToken, "the server believes what the device is"),
        (Plant::RepeatsCommand, "the ledger has no violation without its fault"),
        (Plant::HoldsCommandsBack, "no command waits for a device that is enrolled"),
        (Plant::LosesSave, "saved before told: identity"),
        (Plant::KeptFromStore, STORE),
        (Plant::KeepsFirstToken, OWN_TOKEN),
        (Plant::TakesOldToken, OLD_TOKEN),
        (Plant::TakesHalfOver, "who is minted stays enrolled"),
        (Plant::ForgetsReports, REPORTED),
        (Plant::DrawsByHash, "the same twice"),
    ];

    /// Whether a configuration has what it takes to show it.
    pub(crate) fn grows_in(self, config: &Config) -> bool {
        match self {
            Plant::KeptFromStore => config.has_store,
            Plant::KeepsFirstToken | Plant::TakesOldToken => config.other.pushes_old > 0,
            Plant::TakesHalfOver => config.keeps_all(),
            Plant::ForgetsReports => config.has_agents(),
            _ => true,
        }
    }

    /// Whether the server never hears this request, and says that it is well.
    pub(crate) fn swallows(self, operation: Operation, answers: u64) -> bool {
        match self {
            Plant::ForgetsToken => operation == Operation::AppleTokenUpdate && answers.is_multiple_of(2),
            Plant::HoldsCommandsBack => operation == Operation::AppleIdle,
            Plant::ForgetsReports => operation == Operation::AndroidReport,
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

    /// Whether the fleet's store is not given what this lane saves.
    pub(crate) fn keeps_from_store(self, lane: LaneIx) -> bool {
        self == Plant::KeptFromStore && lane.0.is_multiple_of(2)
    }

    /// Whether the push service does not hear of this token.
    pub(crate) fn ignores_token(self, generation: u32) -> bool {
        self == Plant::KeepsFirstToken && generation > 1
    }

    /// Whether a server that takes a fleet over is not told of this lane.
    pub(crate) fn conceals(self, lane: LaneIx) -> bool {
        self == Plant::TakesHalfOver && lane.0.is_multiple_of(2)
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
