//! The way from the push service to the device: a queue of wakes by time, and one stored notification for each device
//! out of reach, of which the newest wins.
//!
//! A wake of MDM carries no content, so a second one for a lane whose wake is still under way is folded into it: both
//! structures are bounded by the number of lanes.

use super::registry::Registry;
use droves_facts::{Dur, LaneIx, Mono, Wall};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// A wake for the lane whose token the server pushed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Push {
    /// Whose token.
    pub lane: LaneIx,
    /// Of which enrollment.
    pub generation: u32,
    /// What the device compares with its own, and drops the wake if it differs.
    pub magic: Box<str>,
    /// The wake is worth nothing after this time; `None` where the server set none and the service's 30 days hold.
    pub keep_until: Option<Wall>,
    /// When the push service had it.
    pub received: Mono,
    /// Whether it is to reach a device that dozes.
    pub urgent: bool,
}

/// What comes of a notification when its time has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Due {
    /// It reaches the device.
    Wake(Push),
    /// Its time passed before the device was within reach.
    Expired(LaneIx),
}

/// What became of a notification when it was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Placed {
    /// Under way.
    Travelling,
    /// Kept until the device comes back.
    Stored,
    /// Took the place of an older one of the same device.
    Coalesced,
    /// The device is out of reach and the notification is not to be stored.
    Expired,
}

#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// One a lane; looked up, never walked.
    slots: HashMap<LaneIx, Slot>,
    /// When something is to be done for which lane: a wake arrives, or what is stored expires.
    agenda: BTreeSet<(Mono, LaneIx)>,
}

#[derive(Debug)]
struct Slot {
    push: Push,
    at: Mono,
    /// Until when it may be stored.
    expires: Option<Mono>,
    stored: bool,
}

impl Deliveries {
    /// Takes a notification that arrives `delay` after `now` if its device is within reach. `expires` is until when it
    /// may be stored otherwise; `None` is one try, nothing stored.
    pub(crate) fn place(
        &mut self,
        mut push: Push,
        now: Mono,
        delay: Dur,
        expires: Option<Mono>,
        registry: &Registry,
    ) -> Placed {
        let lane = push.lane;
        // The first wake under way sets the time; the newer content rides with it.
        let under_way = self.slots.get(&lane).filter(|slot| !slot.stored).map(|slot| slot.at);
        let reaches = under_way.is_some() || registry.reachable(lane);
        if !reaches && expires.is_none() {
            return Placed::Expired;
        }
        let coalesced = self.slots.remove(&lane).inspect(|older| {
            self.agenda.remove(&(older.at, lane));
            push.urgent |= older.push.urgent;
        });
        let stored = !reaches && registry.hold(lane);
        let at = match (stored, expires) {
            (true, Some(expires)) => expires,
            _ => under_way.unwrap_or(now + delay),
        };
        self.put(Slot { push, at, expires, stored });
        match (coalesced, stored) {
            (Some(_), _) => Placed::Coalesced,
            (None, true) => Placed::Stored,
            (None, false) => Placed::Travelling,
        }
    }

    /// The device is within reach again: what is stored for it arrives after `delay`.
    pub(crate) fn release(&mut self, lane: LaneIx, now: Mono, delay: Dur) {
        if let Some(slot) = self.slots.get_mut(&lane)
            && slot.stored
        {
            self.agenda.remove(&(slot.at, lane));
            slot.stored = false;
            slot.at = now + delay;
            self.agenda.insert((slot.at, lane));
        }
    }

    /// The next thing whose time has come.
    pub(crate) fn due(&mut self, now: Mono, registry: &Registry) -> Option<Due> {
        loop {
            let &(at, lane) = self.agenda.first().filter(|(at, _)| *at <= now)?;
            self.agenda.pop_first();
            let Some(slot) = self.slots.remove(&lane) else { continue };
            if slot.stored || slot.expires.is_some_and(|expires| expires < at) {
                return Some(Due::Expired(lane));
            }
            if registry.reachable(lane) {
                return Some(Due::Wake(slot.push));
            }
            // It went out of reach while the wake was under way.
            match slot.expires {
                None => return Some(Due::Expired(lane)),
                Some(_) if !registry.hold(lane) => return Some(Due::Wake(slot.push)),
                Some(expires) => self.put(Slot { at: expires, stored: true, ..slot }),
            }
        }
    }

    /// Whether something is under way or stored for the lane.
    pub(crate) fn has(&self, lane: LaneIx) -> bool {
        self.slots.contains_key(&lane)
    }

    pub(crate) fn next(&self) -> Option<Mono> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// How many lanes have something under way or stored.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    fn put(&mut self, slot: Slot) {
        self.agenda.insert((slot.at, slot.push.lane));
        self.slots.insert(slot.push.lane, slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: LaneIx = LaneIx(0);

    fn push(magic: &str) -> Push {
        Push { lane: LANE, generation: 1, magic: magic.into(), keep_until: None, received: Mono::ZERO, urgent: false }
    }

    struct World {
        registry: Registry,
        deliveries: Deliveries,
    }

    impl World {
        fn new() -> Self {
            World { registry: Registry::new(1), deliveries: Deliveries::default() }
        }

        fn place(&mut self, magic: &str, now: u64, expires: Option<u64>) -> Placed {
            self.deliveries.place(push(magic), Mono(now), Dur(10), expires.map(Mono), &self.registry)
        }

        fn check(&mut self, now: u64, expected: &[&str]) {
            let mut happened = Vec::new();
            while let Some(due) = self.deliveries.due(Mono(now), &self.registry) {
                happened.push(match due {
                    Due::Wake(push) => push.magic.into_string(),
                    Due::Expired(_) => "expired".to_owned(),
                });
            }
            assert_eq!(happened, expected, "at {now}");
            assert!(self.deliveries.next().is_none_or(|next| next > Mono(now)));
        }
    }

    #[test]
    fn a_wake_arrives_after_its_delay_and_takes_later_ones_along() {
        let mut world = World::new();
        assert_eq!(world.place("a", 0, Some(1_000)), Placed::Travelling);
        assert_eq!(world.place("b", 5, Some(1_000)), Placed::Coalesced);
        world.check(9, &[]);
        world.check(10, &["b"]);
        assert_eq!(world.place("c", 20, None), Placed::Travelling);
        world.check(30, &["c"]);
        assert_eq!(world.deliveries.len(), 0);
    }

    #[test]
    fn out_of_reach_the_newest_is_kept_until_it_expires() {
        let mut world = World::new();
        world.registry.set_reachable(LANE, false);
        assert_eq!(world.place("a", 0, Some(100)), Placed::Stored);
        assert_eq!(world.place("b", 1, Some(200)), Placed::Coalesced);
        assert_eq!(world.place("once", 2, None), Placed::Expired);
        world.check(150, &[]);
        world.registry.set_reachable(LANE, true);
        world.deliveries.release(LANE, Mono(150), Dur(10));
        world.check(160, &["b"]);
        world.registry.set_reachable(LANE, false);
        assert_eq!(world.place("c", 170, Some(180)), Placed::Stored);
        world.check(180, &["expired"]);
    }

    #[test]
    fn a_device_that_leaves_while_the_wake_is_under_way_finds_it_when_it_is_back() {
        let mut world = World::new();
        world.place("a", 0, Some(100));
        world.registry.set_reachable(LANE, false);
        world.check(10, &[]);
        assert_eq!(world.deliveries.next(), Some(Mono(100)));
        world.registry.set_reachable(LANE, true);
        assert_eq!(world.registry.returned(|lane| world.deliveries.has(lane)), [LANE]);
        world.deliveries.release(LANE, Mono(50), Dur::ZERO);
        world.check(50, &["a"]);
        world.place("once", 60, None);
        world.registry.set_reachable(LANE, false);
        world.check(70, &["expired"]);
    }
}
