//! What other threads hand to a shard, and what a shard hands back to the coordinator.

use crate::tape::Taped;
use bytes::Bytes;
use droves_device::{Failure, Made};
use droves_emulators::push::{Push, Sink};
use droves_facts::{CommandKey, DeviceIx, Fact, LaneIx, Mono, PhaseIx, PushFate, What};
use droves_measure::Folds;
use droves_shard::{Cells, Ticket};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
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
    /// Google, in another process, has answered a lane.
    Asked { lane: LaneIx, ticket: Ticket, status: u16, body: Bytes },
    /// Pushes wait in the shard's box.
    Pushes,
    /// Somebody else's fact about a lane of this shard.
    Fact(Fact),
    /// The same from somebody who knows no phases: it belongs to the one that its lane is in.
    Said(Fact),
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
    /// Each with the place of the one before it for the same lane.
    pushes: Vec<(Push, Option<usize>)>,
    /// The place of each lane's last one.
    places: HashMap<LaneIx, usize>,
}

impl PushBox {
    /// Puts a push in. Whether it is a new wake, and whether the shard is to be told.
    fn put(&self, push: Push) -> (bool, bool) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = waiting.pushes.len();
        let before = waiting.places.insert(push.lane, place);
        let mut at = before;
        while let Some((other, earlier)) = at.and_then(|at| waiting.pushes.get_mut(at)) {
            if other.magic == push.magic {
                other.urgent |= push.urgent;
                other.keep_until = other.keep_until.zip(push.keep_until).map(|(a, b)| a.max(b));
                // It is still the last one.
                waiting.places.extend(before.map(|before| (push.lane, before)));
                return (false, false);
            }
            at = *earlier;
        }
        waiting.pushes.push((push, before));
        (true, place == 0)
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> Vec<Push> {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.pushes.into_iter().map(|(push, _)| push).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use droves_facts::Wall;

    #[test]
    fn pushes_for_one_lane_and_magic_are_one_and_keep_the_order() {
        let pushes = PushBox::default();
        let push = |lane, magic: &str, until| {
            let (lane, magic, received) = (LaneIx(lane), magic.into(), Mono::ZERO);
            pushes.put(Push { lane, generation: 1, magic, keep_until: Some(Wall(until)), received, urgent: false })
        };
        assert_eq!(push(1, "old", 10), (true, true), "the shard is to be told");
        assert_eq!(push(2, "x", 10), (true, false));
        assert_eq!(push(1, "new", 20), (true, false));
        assert_eq!(push(1, "old", 30), (false, false));
        assert_eq!(push(1, "new", 15), (false, false));
        assert_eq!(push(1, "old", 5), (false, false));
        let taken: Vec<_> = pushes.take().into_iter().map(|p| (p.lane.0, p.magic.to_string(), p.keep_until)).collect();
        let until = |at| Some(Wall(at));
        assert_eq!(taken, [(1, "old".into(), until(30)), (2, "x".into(), until(10)), (1, "new".into(), until(20))]);
        assert_eq!(push(1, "old", 1), (true, true), "it is empty again");
    }
}
