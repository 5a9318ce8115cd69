//! The fleet on disk: one writer, which takes its time.

use crate::config::{Other, share};
use crate::plants::Plant;
use droves_device::Machine;
use droves_device::apple::Apple;
use droves_facts::{Dice, Dur, LaneIx, Mono, Purpose};
use droves_shard::Snapshot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The disk.
pub(crate) struct Disk {
    stored: BTreeMap<LaneIx, Snapshot>,
    /// Identities that were there, if only for a while.
    seen: BTreeSet<(LaneIx, Box<[u8]>)>,
    /// On their way, in order, each with the moment at which it is there.
    coming: VecDeque<(Mono, Snapshot)>,
    takes: Dur,
    dice: Dice,
    saves: u64,
    plant: Option<Plant>,
}

impl Disk {
    pub(crate) fn new(other: &Other, dice: Dice, plant: Option<Plant>) -> Self {
        let takes = Dur::ms(other.save_ms);
        Disk { stored: BTreeMap::new(), seen: BTreeSet::new(), coming: VecDeque::new(), takes, dice, saves: 0, plant }
    }

    /// Takes a lane in; it is there after so long.
    pub(crate) fn save(&mut self, now: Mono, snapshot: Snapshot) -> Dur {
        self.settle(now);
        self.saves += 1;
        let takes = self.takes.scaled(self.dice.draw(SAVE, Purpose::Model, self.saves).unit() * 2.0);
        let at = self.coming.back().map_or(now + takes, |(last, _)| (now + takes).max(*last));
        if !self.plant.is_some_and(|plant| plant.loses_save(self.saves)) {
            self.coming.push_back((at, snapshot));
        }
        at.since(now)
    }

    /// What is there by now.
    pub(crate) fn settle(&mut self, now: Mono) {
        while self.coming.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, snapshot)) = self.coming.pop_front()
        {
            self.has(snapshot);
        }
    }

    fn has(&mut self, snapshot: Snapshot) {
        if let Some(identity) = &snapshot.identity {
            self.seen.insert((snapshot.lane, identity.certificate.clone()));
        }
        self.stored.insert(snapshot.lane, snapshot);
    }

    /// The writer is killed: what it had begun is there or not, in order.
    pub(crate) fn crash(&mut self, now: Mono, kept: u32) -> Vec<Snapshot> {
        self.settle(now);
        for (n, (_, snapshot)) in std::mem::take(&mut self.coming).into_iter().enumerate() {
            let draw = self.dice.draw(KEPT, Purpose::Model, self.saves << 16 | n as u64).unit();
            if draw >= share(kept) {
                break;
            }
            self.has(snapshot);
        }
        self.stored.values().cloned().collect()
    }

    /// Whether this identity of a device was ever there. One that a failed renewal goes back to was.
    pub(crate) fn has_seen(&self, lane: LaneIx, certificate: &[u8]) -> bool {
        self.seen.contains(&(lane, certificate.into()))
    }

    /// The push token that is there for a lane.
    pub(crate) fn token(&self, lane: LaneIx) -> Option<u32> {
        let stored = self.stored.get(&lane)?;
        let record = Apple::record_from_bytes(&stored.record).ok()?;
        let shared = Apple::shared_from_bytes(&stored.shared).ok()?;
        Apple::registration(&record, &shared).map(|(generation, _)| generation)
    }
}

/// Places in the numbering of what the world draws.
const SAVE: u32 = 20;
const KEPT: u32 = 21;
