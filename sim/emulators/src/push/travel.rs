//! How long a notification travels from the push service to the session that it asks for.

use crate::delay::Delay;
use droves_facts::{Dur, LaneIx, Philox};
use std::ops::Range;

/// A delay, and beside it the queues of some devices.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Travel {
    /// To a device that is within reach.
    pub delay: Delay,
    /// What devices do with a notification before they act on it.
    pub queues: Vec<Queue>,
}

/// A share of the notifications are not acted on at once.
#[derive(Clone, PartialEq, Debug)]
pub struct Queue {
    /// By whom.
    pub lanes: Range<u32>,
    /// Share of the notifications, in `0..=1`.
    pub share: f64,
    /// For how long.
    pub length: Dur,
}

impl Travel {
    /// A delay alone.
    pub fn of(delay: Delay) -> Self {
        Travel { delay, queues: Vec::new() }
    }

    /// One draw.
    pub fn draw(&self, lane: Option<LaneIx>, rng: &mut Philox) -> Dur {
        let delay = self.delay.draw(rng);
        let queue = lane.and_then(|lane| self.queues.iter().find(|queue| queue.lanes.contains(&lane.0)));
        match queue {
            Some(queue) if rng.unit() < queue.share => delay + queue.length,
            _ => delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use droves_facts::{Dice, Purpose};

    #[test]
    fn a_share_is_queued_by_those_who_queue() {
        let queue = Queue { lanes: 5..7, share: 0.1, length: Dur::secs(300) };
        let travel = Travel { delay: Delay::Fixed(Dur(5)), queues: vec![queue] };
        let queued = |lane: Option<u32>| {
            let draw = |n| travel.draw(lane.map(LaneIx), &mut Dice::new(3).draw(0, Purpose::PushDelay, n));
            (0..10_000).map(draw).filter(|took| *took == Dur(5) + Dur::secs(300)).count()
        };
        assert!((900..1_100).contains(&queued(Some(6))), "{}", queued(Some(6)));
        assert_eq!([queued(Some(7)), queued(None)], [0, 0]);
    }
}
