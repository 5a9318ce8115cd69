//! A hierarchical timer wheel: what wakes next.
//!
//! Seven levels of 64 buckets over ticks of 1,024 µs reach 142 years. A bucket is a vector of entries, not a list through
//! the records: a cascade then walks memory in order, and the cost of an entry stays flat from thousands to millions.
//! Entries are never taken out early: an owner counts a generation up, and ignores what fires with an older one.
//! (Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 7.)

use droves_facts::Mono;

const LEVELS: usize = 7;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const TICK_BITS: u32 = 10;
/// Levels whose buckets keep their memory when they are empty: the second comes round in 4 s.
const LEVELS_KEPT: usize = 2;

/// What fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    tick: u64,
    /// Whose timer.
    pub key: u32,
    /// The owner's generation when it was set.
    pub generation: u32,
}

/// The wheel. A shard has one of its own; it is public so that `droves calibrate` can measure it alone.
#[derive(Debug)]
pub struct Wheel {
    /// Every entry with a tick up to this has fired.
    now: u64,
    levels: Vec<[Vec<Entry>; SLOTS]>,
    /// A bit a bucket that holds something, a word a level.
    occupied: [u64; LEVELS],
    /// Entries that were due when they were set.
    overdue: Vec<Entry>,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel {
            now: 0,
            levels: (0..LEVELS).map(|_| std::array::from_fn(|_| Vec::new())).collect(),
            occupied: [0; LEVELS],
            overdue: Vec::new(),
        }
    }
}

impl Wheel {
    /// Fires at the first tick that is not before `at`. A deadline beyond the reach never comes, and is not kept.
    pub fn set(&mut self, at: Mono, key: u32, generation: u32) {
        let tick = at.0.div_ceil(1 << TICK_BITS);
        if tick >> (SLOT_BITS * LEVELS as u32) == 0 {
            self.put(Entry { tick, key, generation });
        }
    }

    /// When something fires next, if anything will. Never later than the true time; earlier by less than the span of
    /// a bucket, in which case [`Wheel::fire`] moves entries down and gives nothing.
    pub fn next(&self) -> Option<Mono> {
        if !self.overdue.is_empty() {
            return Some(Mono(self.now << TICK_BITS));
        }
        self.next_bucket().map(|(_, _, tick)| Mono(tick << TICK_BITS))
    }

    /// Puts everything that is due at `now` into `fired`, earliest tick first, ties in the order in which they came.
    pub fn fire(&mut self, now: Mono, fired: &mut Vec<Entry>) {
        let to = now.0 >> TICK_BITS;
        fired.append(&mut self.overdue);
        while let Some((level, slot, tick)) = self.next_bucket() {
            if tick > to {
                break;
            }
            self.now = self.now.max(tick);
            self.occupied[level] &= !(1 << slot);
            let mut bucket = std::mem::take(&mut self.levels[level][slot]);
            if level == 0 {
                fired.append(&mut bucket);
            } else {
                for entry in bucket.drain(..) {
                    if entry.tick <= self.now {
                        fired.push(entry);
                    } else {
                        self.put(entry);
                    }
                }
            }
            // The lowest levels come round in seconds and keep their memory. Higher up each bucket would keep what its
            // fullest hour took, until a wheel of few entries was as large as its 64 fullest buckets.
            if level < LEVELS_KEPT {
                self.levels[level][slot] = bucket;
            }
        }
        self.now = self.now.max(to);
    }

    fn put(&mut self, entry: Entry) {
        if entry.tick <= self.now {
            self.overdue.push(entry);
            return;
        }
        let level = ((63 - (entry.tick ^ self.now).leading_zeros()) / SLOT_BITS) as usize;
        let slot = (entry.tick >> (SLOT_BITS * level as u32)) as usize & (SLOTS - 1);
        self.levels[level][slot].push(entry);
        self.occupied[level] |= 1 << slot;
    }

    /// The bucket that comes first: level, slot, and the tick at which it begins. A bucket of a lower level always
    /// comes before one of a higher level, because `put` chooses the level by the highest digit that differs from now.
    fn next_bucket(&self) -> Option<(usize, usize, u64)> {
        let level = (0..LEVELS).find(|&level| self.occupied[level] != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        let shift = SLOT_BITS * level as u32;
        let above = self.now >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        Some((level, slot, above | (slot as u64) << shift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fire(wheel: &mut Wheel, now: Mono) -> Vec<u32> {
        let mut fired = Vec::new();
        wheel.fire(now, &mut fired);
        fired.into_iter().map(|entry| entry.key).collect()
    }

    #[test]
    fn a_timer_fires_at_its_tick_and_not_before() {
        let mut wheel = Wheel::default();
        wheel.set(Mono(5_000), 1, 0);
        assert_eq!(wheel.next(), Some(Mono(5 << 10)));
        assert_eq!(fire(&mut wheel, Mono(5_000)), [] as [u32; 0]);
        assert_eq!(fire(&mut wheel, Mono(5 << 10)), [1]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn what_is_due_already_fires_at_once() {
        let mut wheel = Wheel::default();
        assert_eq!(fire(&mut wheel, Mono::ZERO + droves_facts::Dur::secs(100)), [] as [u32; 0]);
        wheel.set(Mono(7), 9, 0);
        assert_eq!(fire(&mut wheel, Mono(7)), [9]);
    }

    proptest! {
        /// Against a sorted list: every entry fires once, never early, and no later than the first step at or after it.
        #[test]
        fn fires_like_a_sorted_list(
            sets in prop::collection::vec((0_u64..1 << 42, 0_u64..1 << 40), 1..200),
        ) {
            let mut wheel = Wheel::default();
            let mut now = Mono::ZERO;
            let mut open: Vec<(u64, u32)> = Vec::new();
            for (key, (ahead, step)) in sets.into_iter().enumerate() {
                let at = Mono(now.0 + ahead);
                wheel.set(at, key as u32, 0);
                open.push((at.0, key as u32));
                now = Mono(now.0 + step);
                let fired = fire(&mut wheel, now);
                for key in fired {
                    let place = open.iter().position(|&(_, k)| k == key);
                    let Some(place) = place else { return Err(TestCaseError::fail("fired twice")) };
                    let (at, _) = open.swap_remove(place);
                    prop_assert!(at <= now.0, "early");
                }
                for &(at, _) in &open {
                    prop_assert!(at + (1 << TICK_BITS) > now.0, "late: {at} at {now:?}");
                }
                if let Some(next) = wheel.next() {
                    let first = open.iter().map(|&(at, _)| at).min().unwrap_or(u64::MAX);
                    prop_assert!(next.0 <= first.saturating_add(1 << TICK_BITS));
                }
            }
        }
    }
}
