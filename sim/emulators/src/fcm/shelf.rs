//! What FCM keeps for devices out of reach: of collapsible messages the last of each key, for few keys; of all others so
//! many, and if there is one more, none (Google, *Non-collapsible and collapsible messages*).

use droves_facts::LaneIx;
use std::collections::{BTreeSet, HashMap};

/// Messages that were kept and given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// For want of another collapse key.
    pub collapsible: u64,
    /// Since there were too many of those that do not collapse.
    pub others: u64,
    /// Devices that were told so when they were back (`onDeletedMessages`).
    pub told: u64,
}

/// The shelf.
#[derive(Debug)]
pub(crate) struct Shelf {
    keys_max: usize,
    others_max: u32,
    lanes: HashMap<LaneIx, Kept>,
    pub(crate) dropped: Dropped,
}

#[derive(Debug, Default)]
struct Kept {
    keys: BTreeSet<Box<str>>,
    others: u32,
    /// There were too many others.
    overflowed: bool,
}

impl Shelf {
    pub(crate) fn new(keys_max: usize, others_max: u32) -> Self {
        Shelf { keys_max, others_max, lanes: HashMap::new(), dropped: Dropped::default() }
    }

    /// Keeps a message for a device out of reach.
    pub(crate) fn keep(&mut self, lane: LaneIx, key: Option<&str>) {
        let kept = self.lanes.entry(lane).or_default();
        match key {
            Some(key) if kept.keys.contains(key) => {}
            Some(key) => {
                kept.keys.insert(key.into());
                // Which ones are kept is undefined.
                if kept.keys.len() > self.keys_max && kept.keys.pop_first().is_some() {
                    self.dropped.collapsible += 1;
                }
            }
            None if kept.others < self.others_max => kept.others += 1,
            None => {
                self.dropped.others += u64::from(kept.others) + 1;
                (kept.others, kept.overflowed) = (0, true);
            }
        }
    }

    /// The device has what was kept, or the last of it has expired.
    pub(crate) fn clear(&mut self, lane: LaneIx, has_it: bool) {
        let overflowed = self.lanes.remove(&lane).is_some_and(|kept| kept.overflowed);
        self.dropped.told += u64::from(overflowed && has_it);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_holds_few_keys_and_not_too_many_others() {
        let mut shelf = Shelf::new(4, 100);
        let (lane, other) = (LaneIx(0), LaneIx(1));
        (0..6).chain(4..6).for_each(|key| shelf.keep(lane, Some(&key.to_string())));
        assert_eq!(shelf.dropped, Dropped { collapsible: 2, ..Dropped::default() });
        (0..100).for_each(|_| shelf.keep(lane, None));
        shelf.keep(other, None);
        shelf.clear(other, true);
        assert_eq!((shelf.dropped.others, shelf.dropped.told), (0, 0));
        shelf.keep(lane, None);
        shelf.keep(lane, None);
        assert_eq!(shelf.dropped.others, 101, "and the next is kept again");
        shelf.clear(lane, true);
        assert_eq!(shelf.dropped.told, 1);
        (0..101).for_each(|_| shelf.keep(lane, None));
        shelf.clear(lane, false);
        assert_eq!((shelf.dropped.told, shelf.lanes.len()), (1, 0));
    }
}
