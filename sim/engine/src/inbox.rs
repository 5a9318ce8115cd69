//! What other threads hand to a shard, and what a shard hands back to the coordinator.

use crate::tape::Taped;
use droves_device::{Failure, Made};
use droves_emulators::apns::{Push, Sink};
use droves_facts::{CommandKey, DeviceIx, Fact, LaneIx, Mono, PhaseIx, PushFate, What};
use droves_measure::Folds;
use droves_shard::{Cells, Ticket};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// One thing for a shard. The queue has no bound of its own: what a lane waits for is in it at most once, pushes wait
/// in their [`PushBox`], and the administrator's facts are bounded by the calls that it has open.
#[derive(Debug)]
pub(crate) enum ToShard {
    /// Work with a key is done.
    Made { lane: LaneIx, ticket: Ticket, made: Result<Made, Failure> },
    /// The store has it.
    Saved { lane: LaneIx, ticket: Ticket },
    /// The push service, in another process, has answered a lane.
    Registered { lane: LaneIx, ticket: Ticket, taken: bool },
    /// Pushes wait in the shard's box.
    Pushes,
    /// Somebody else's fact about a lane of this shard.
    Fact(Fact),
    /// These commands belong to that phase.
    Command(PhaseIx, CommandKey),
    /// A phase begins.
    PhaseBegins(PhaseIx),
    /// A phase is over.
    PhaseEnds(PhaseIx),
    /// The run is over: close what is open, and report.
    Stop,
}

/// What a shard tells of itself, four times a second and at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) shard: usize,
    /// What was folded since the last report.
    pub(crate) folds: Folds,
    /// How far the phases have come.
    pub(crate) reached: BTreeMap<PhaseIx, Reached>,
    /// Lanes awake now.
    pub(crate) live: usize,
    /// Requests under way now.
    pub(crate) unfinished: u64,
    /// Sessions open now.
    pub(crate) sessions_open: u64,
    /// Connections that stand now.
    pub(crate) held: u64,
    /// With the last report: the devices that are enrolled.
    pub(crate) enrolled: Vec<DeviceIx>,
    /// What was lost of the fleet on disk, in sentences.
    pub(crate) dropped: Vec<String>,
    /// With the last report: what is on the tape.
    pub(crate) taped: Taped,
    /// The last one.
    pub(crate) is_last: bool,
}

/// How far a phase has come in one shard.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// Chosen devices that are enrolled now.
    pub(crate) enrolled: u64,
    /// Commands with an accepted answer.
    pub(crate) accepted: u64,
    /// Arrivals that have their outcome.
    pub(crate) done: u64,
}

impl Reached {
    pub(crate) fn and(self, other: Reached) -> Reached {
        Reached {
            enrolled: self.enrolled + other.enrolled,
            accepted: self.accepted + other.accepted,
            done: self.done + other.done,
        }
    }
}

/// Pushes that wait for one shard. At most one for a lane and magic, so it is bounded by the lanes; nothing is lost.
#[derive(Debug, Default)]
pub(crate) struct PushBox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    pushes: VecDeque<Push>,
    /// Whose they are: most pushes are for a lane that has none waiting.
    lanes: HashSet<LaneIx>,
}

impl PushBox {
    /// Puts a push in. Whether it is a new wake, and whether the shard is to be told.
    fn put(&self, push: Push) -> (bool, bool) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.lanes.insert(push.lane)
            && let Some(same) = waiting.pushes.iter_mut().find(|w| w.lane == push.lane && w.magic == push.magic)
        {
            same.keep_until = match (same.keep_until, push.keep_until) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            };
            return (false, false);
        }
        waiting.pushes.push_back(push);
        (true, waiting.pushes.len() == 1)
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> VecDeque<Push> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).pushes
    }
}

/// The ways to all shards. Cheap to copy.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    pub(crate) cells: Arc<Cells>,
    pub(crate) ways: Arc<[UnboundedSender<ToShard>]>,
    pub(crate) boxes: Arc<[PushBox]>,
}

/// A queue between threads.
#[expect(clippy::disallowed_methods, reason = "what goes through is bounded by the lanes: see `ToShard`")]
pub(crate) fn queue<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    tokio::sync::mpsc::unbounded_channel()
}

impl Shards {
    /// The ways to all shards, and where they lead to.
    pub(crate) fn new(cells: Arc<Cells>) -> (Self, Vec<UnboundedReceiver<ToShard>>) {
        let (ways, inboxes): (Vec<_>, Vec<_>) = (0..cells.shards()).map(|_| queue()).unzip();
        let boxes = (0..cells.shards()).map(|_| PushBox::default()).collect();
        (Shards { cells, ways: ways.into(), boxes }, inboxes)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.ways.len()
    }

    /// Tells every shard.
    pub(crate) fn all(&self, what: impl Fn() -> ToShard) {
        for way in self.ways.iter() {
            // A shard that is gone has made its last report.
            drop(way.send(what()));
        }
    }

    /// Tells the shard that owns the lane; what is about no lane goes to the first.
    pub(crate) fn owner(&self, lane: LaneIx, what: ToShard) -> bool {
        let shard = if lane == LaneIx::NOBODY { 0 } else { self.cells.shard_of(lane) };
        self.ways.get(shard).is_some_and(|way| way.send(what).is_ok())
    }

    /// States a fact where it belongs.
    pub(crate) fn fact(&self, fact: Fact) {
        self.owner(fact.lane, ToShard::Fact(fact));
    }
}

impl Sink for Shards {
    fn wake(&self, push: Push) -> PushFate {
        let (lane, received) = (push.lane, push.received);
        let shard = self.cells.shard_of(lane);
        let (Some(way), Some(waiting)) = (self.ways.get(shard), self.boxes.get(shard)) else {
            return PushFate::DroppedOurs;
        };
        match waiting.put(push) {
            (false, _) => {
                self.fate(lane, received, PushFate::Coalesced);
                PushFate::Coalesced
            }
            (true, false) => PushFate::Received,
            (true, true) if way.send(ToShard::Pushes).is_ok() => PushFate::Received,
            (true, true) => PushFate::DroppedOurs,
        }
    }

    fn fate(&self, lane: LaneIx, at: Mono, fate: PushFate) {
        self.fact(Fact { at, phase: PhaseIx(0), lane, what: What::Push(fate) });
    }
}
