//! Which lane holds which token now: one word of atomics a lane, so that shard threads register without a network and
//! without a lock, and the push service reads without asking.

use droves_facts::{LaneIx, Wall};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// The table. Its size is the number of lanes, fixed when it is made: 16 bytes a lane.
#[derive(Debug)]
pub struct Registry {
    lanes: Box<[Entry]>,
    topics: Mutex<Vec<Box<str>>>,
    returned: Mutex<Vec<LaneIx>>,
    /// Rung when a lane with a stored notification is within reach again: each of the services may be whose it is.
    bell: watch::Sender<()>,
}

/// What the registry says of one token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Good, since then.
    Current(Wall),
    /// It was good until then.
    Replaced(Wall),
    /// Never given out.
    Unknown,
    /// Good, but for another topic.
    OtherTopic,
}

/// A number that stands for a topic's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopicIx(u16);

impl Registry {
    /// A table in which no lane is registered, and every lane is within reach.
    pub fn new(lanes: u32) -> Self {
        Registry {
            lanes: (0..lanes).map(|_| Entry::default()).collect(),
            topics: Mutex::default(),
            returned: Mutex::default(),
            bell: watch::channel(()).0,
        }
    }

    /// How many lanes there may be.
    pub fn lanes(&self) -> u32 {
        self.lanes.len() as u32
    }

    /// The number of a topic, the same for the same name. There are at most [`TOPICS_MAX`]; `None` beyond that.
    pub fn topic(&self, name: &str) -> Option<TopicIx> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let at = topics.iter().position(|known| **known == *name).or_else(|| {
            (topics.len() < TOPICS_MAX).then(|| {
                topics.push(name.into());
                topics.len() - 1
            })
        });
        at.and_then(|at| u16::try_from(at).ok()).map(TopicIx)
    }

    /// From now on the lane's token is that of `generation`, for `topic`; those of earlier generations are answered
    /// 410 with this time. `false` where the lane is beyond the table, or holds a later generation already.
    #[must_use]
    pub fn register(&self, lane: LaneIx, generation: u32, topic: TopicIx, wall: Wall) -> bool {
        let Some(entry) = self.lanes.get(lane.ix()) else { return false };
        let change = entry.word.fetch_update(SeqCst, SeqCst, |word| {
            let late = word & REGISTERED != 0 && generation_of(word) > generation;
            let kept = word & (OUT_OF_REACH | HOLDING);
            (!late).then_some(kept | REGISTERED | u64::from(topic.0) << 32 | u64::from(generation))
        });
        if let Ok(before) = change
            && (before & REGISTERED == 0 || generation_of(before) != generation)
        {
            entry.since.store(wall.0, SeqCst);
        }
        change.is_ok()
    }

    /// The lane has left: its token, too, is answered 410 from now on.
    pub fn withdraw(&self, lane: LaneIx, wall: Wall) {
        if let Some(entry) = self.lanes.get(lane.ix()) {
            let before = entry.word.fetch_or(WITHDRAWN, SeqCst);
            if before & WITHDRAWN == 0 {
                entry.since.store(wall.0, SeqCst);
            }
        }
    }

    /// Whether notifications reach the lane's device now. What was stored for it is delivered when it comes back.
    pub fn set_reachable(&self, lane: LaneIx, reachable: bool) {
        let Some(entry) = self.lanes.get(lane.ix()) else { return };
        if !reachable {
            entry.word.fetch_or(OUT_OF_REACH, SeqCst);
            return;
        }
        // Taking the mark away together with the other bit keeps a lane from being in the list twice.
        let before = entry.word.fetch_and(!(OUT_OF_REACH | HOLDING), SeqCst);
        if before & HOLDING != 0 {
            self.returned.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
            self.bell.send_replace(());
        }
    }

    /// Whether notifications reach the lane's device now.
    pub(crate) fn reachable(&self, lane: LaneIx) -> bool {
        self.lanes.get(lane.ix()).is_some_and(|entry| entry.word.load(SeqCst) & OUT_OF_REACH == 0)
    }

    /// Says that something is stored for the lane. `false` if the lane is within reach after all.
    pub(crate) fn hold(&self, lane: LaneIx) -> bool {
        let Some(entry) = self.lanes.get(lane.ix()) else { return false };
        let change =
            entry.word.fetch_update(SeqCst, SeqCst, |word| (word & OUT_OF_REACH != 0).then_some(word | HOLDING));
        change.is_ok()
    }

    /// Changes when a lane with a stored notification is within reach again.
    pub(crate) fn bell(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    /// Lanes that came back since the last call, of those for which the caller has something stored.
    pub(crate) fn returned(&self, is_wanted: impl Fn(LaneIx) -> bool) -> Vec<LaneIx> {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        if returned.is_empty() { Vec::new() } else { returned.extract_if(.., |lane| is_wanted(*lane)).collect() }
    }

    /// What a token of this lane and generation is worth, presented for this topic, or for whichever it was registered.
    pub fn standing(&self, lane: LaneIx, generation: u32, topic: Option<&str>) -> Standing {
        let Some(entry) = self.lanes.get(lane.ix()) else { return Standing::Unknown };
        let word = entry.word.load(SeqCst);
        if word & REGISTERED == 0 || generation > generation_of(word) {
            return Standing::Unknown;
        }
        if let Some(topic) = topic {
            let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            if topics.get(topic_of(word)).is_none_or(|registered| **registered != *topic) {
                return Standing::OtherTopic;
            }
        }
        if word & WITHDRAWN != 0 || generation < generation_of(word) {
            return Standing::Replaced(Wall(entry.since.load(SeqCst)));
        }
        Standing::Current(Wall(entry.since.load(SeqCst)))
    }
}

/// Word: generation in the low half, then the topic, then the flags. `since` is when the generation came, or when it
/// was withdrawn; it is written after the word, so a reader in between takes an older time, never a wrong verdict.
#[derive(Debug, Default)]
struct Entry {
    word: AtomicU64,
    since: AtomicI64,
}

fn generation_of(word: u64) -> u32 {
    word as u32
}

fn topic_of(word: u64) -> usize {
    usize::from((word >> 32) as u16)
}

const REGISTERED: u64 = 1 << 48;
const WITHDRAWN: u64 = 1 << 49;
const OUT_OF_REACH: u64 = 1 << 50;
const HOLDING: u64 = 1 << 51;

/// Push certificates that one run may use: one is usual, a few for many tenants.
pub const TOPICS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_token_stands_as_its_lane_registered_it() {
        let registry = Registry::new(2);
        let (mdm, other) = (registry.topic("mdm").unwrap(), registry.topic("other").unwrap());
        assert_eq!(registry.topic("mdm"), Some(mdm));
        let lane = LaneIx(1);
        assert_eq!(registry.standing(lane, 1, Some("mdm")), Standing::Unknown);
        assert!(registry.register(lane, 1, mdm, Wall(10)));
        assert_eq!(registry.standing(lane, 1, Some("mdm")), Standing::Current(Wall(10)));
        assert_eq!(registry.standing(lane, 2, Some("mdm")), Standing::Unknown);
        assert_eq!(registry.standing(lane, 1, None), Standing::Current(Wall(10)));
        assert_eq!(registry.standing(lane, 1, Some("other")), Standing::OtherTopic);
        assert!(registry.register(lane, 2, mdm, Wall(20)));
        assert!(registry.register(lane, 2, mdm, Wall(30)), "to register again is no change");
        assert_eq!(registry.standing(lane, 1, Some("mdm")), Standing::Replaced(Wall(20)));
        assert!(!registry.register(lane, 1, other, Wall(40)), "a late registration of the past");
        registry.withdraw(lane, Wall(50));
        registry.withdraw(lane, Wall(60));
        assert_eq!(registry.standing(lane, 2, Some("mdm")), Standing::Replaced(Wall(50)));
        assert!(registry.register(lane, 3, mdm, Wall(70)));
        assert_eq!(registry.standing(lane, 3, Some("mdm")), Standing::Current(Wall(70)));
        assert!(!registry.register(LaneIx(2), 1, mdm, Wall(0)), "beyond the table");
    }

    #[test]
    fn a_lane_that_comes_back_is_told_once_and_only_if_something_is_held() {
        let registry = Registry::new(1);
        let lane = LaneIx(0);
        assert!(!registry.hold(lane), "within reach: deliver it now");
        registry.set_reachable(lane, false);
        registry.set_reachable(lane, true);
        assert_eq!(registry.returned(|_| true), []);
        registry.set_reachable(lane, false);
        assert!(registry.hold(lane) && registry.hold(lane));
        registry.set_reachable(lane, true);
        registry.set_reachable(lane, true);
        assert_eq!(registry.returned(|_| false), [], "another service's");
        assert_eq!(registry.returned(|_| true), [lane]);
        assert_eq!(registry.returned(|_| true), []);
    }
}
