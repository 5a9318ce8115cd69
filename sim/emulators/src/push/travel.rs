//! How long a notification travels from the push service to its device.

use crate::delay::Delay;
use droves_facts::{Dur, Philox};

/// A delay, and for some of them a queue beside it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Travel {
    /// To a device that is within reach.
    pub delay: Delay,
    /// The share, in `0..=1`, that the device queues before it does anything; 0 is none.
    pub queued: f64,
    /// For how long it queues them.
    pub queue: Dur,
}

impl Travel {
    /// A delay alone.
    pub const fn of(delay: Delay) -> Self {
        Travel { delay, queued: 0.0, queue: Dur::ZERO }
    }

    /// One draw.
    pub(crate) fn draw(self, rng: &mut Philox) -> Dur {
        let delay = self.delay.draw(rng);
        if self.queued > 0.0 && rng.unit() < self.queued { delay + self.queue } else { delay }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use droves_facts::{Dice, Purpose};

    #[test]
    fn a_share_is_queued() {
        let travel = Travel { delay: Delay::Fixed(Dur(5)), queued: 0.1, queue: Dur::secs(300) };
        let draws = |travel: Travel| {
            (0..10_000).map(|n| travel.draw(&mut Dice::new(3).draw(0, Purpose::PushDelay, n))).collect::<Vec<_>>()
        };
        let queued = draws(travel).iter().filter(|took| **took == Dur(5) + Dur::secs(300)).count();
        assert!((900..1_100).contains(&queued), "{queued}");
        assert!(draws(Travel::of(travel.delay)).iter().all(|took| *took == Dur(5)));
    }
}
