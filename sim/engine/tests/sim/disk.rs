//! The fleet on disk: one writer, which takes its time. What is there by when is a model's to say; what of it a kill leaves
//! is the model's, or the fleet's own store's, which is then held against the model.

use crate::config::{Other, share};
use crate::plants::Plant;
use crate::side::Broken;
use crate::store::Store;
use droves_device::{Device, Machine};
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
    store: Option<Store>,
    /// How the store differs from what it was given.
    broken: Vec<Broken>,
    plant: Option<Plant>,
}

impl Disk {
    pub(crate) fn new(other: &Other, dice: Dice, store: Option<Store>, plant: Option<Plant>) -> Self {
        Disk {
            stored: BTreeMap::new(),
            seen: BTreeSet::new(),
            coming: VecDeque::new(),
            takes: Dur::ms(other.save_ms),
            dice,
            saves: 0,
            store,
            broken: Vec::new(),
            plant,
        }
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

    /// It is there.
    pub(crate) fn has(&mut self, snapshot: Snapshot) {
        if let Some(identity) = &snapshot.identity {
            self.seen.insert((snapshot.lane, identity.certificate.clone()));
        }
        if let Some(store) = &mut self.store
            && !self.plant.is_some_and(|plant| plant.keeps_from_store(snapshot.lane))
        {
            store.save(snapshot.clone());
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
        self.left()
    }

    /// What a kill leaves.
    fn left(&mut self) -> Vec<Snapshot> {
        let lanes: Vec<Snapshot> = self.stored.values().cloned().collect();
        let Some(store) = self.store.take() else { return lanes };
        match store.kill() {
            Ok((store, found)) => {
                let missing = lanes.iter().filter(|lane| !found.contains(lane));
                let differing = missing.chain(found.iter().filter(|lane| !lanes.contains(lane))).map(|lane| lane.lane);
                let text = "the store has not what it was given";
                self.broken.extend(differing.map(|lane| Broken::of(STORE, lane, text)));
                self.store = Some(store);
                found
            }
            Err(why) => {
                self.broken.push(Broken { demand: STORE, text: why, lanes: Vec::new() });
                lanes
            }
        }
    }

    /// The generator is over. Gives how the store ever differed from what it was given.
    pub(crate) fn ends(&mut self, now: Mono) -> Vec<Broken> {
        self.settle(now);
        self.left();
        std::mem::take(&mut self.broken)
    }

    /// Whether this identity of a device was ever there. One that a failed renewal goes back to was.
    pub(crate) fn has_seen(&self, lane: LaneIx, certificate: &[u8]) -> bool {
        self.seen.contains(&(lane, certificate.into()))
    }

    /// The certificate that is there for a device; empty where there is none.
    pub(crate) fn identity(&self, lane: LaneIx) -> Box<[u8]> {
        let identity = self.stored.get(&lane).and_then(|stored| stored.identity.as_ref());
        identity.map_or_else(Box::default, |identity| identity.certificate.clone())
    }

    /// Whether a lane is over by what is there.
    pub(crate) fn has_ended(&self, lane: LaneIx) -> bool {
        self.stored.get(&lane).is_some_and(|stored| stored.ended)
    }

    /// The push token that is there for a lane.
    pub(crate) fn token(&self, lane: LaneIx) -> Option<u32> {
        let stored = self.stored.get(&lane)?;
        let record = Device::record_from_bytes(&stored.record).ok()?;
        let shared = Device::shared_from_bytes(&stored.shared).ok()?;
        Device::registration(&record, &shared).map(|(generation, _)| generation)
    }
}

/// The demand that names what a store loses.
pub(crate) const STORE: &str = "a kill leaves what was saved";

/// Places in the numbering of what the world draws.
const SAVE: u32 = 20;
const KEPT: u32 = 21;
