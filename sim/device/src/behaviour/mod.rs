//! How a device lives beside the protocol: when it is locked, how long it takes, how soon it hears, how it comes back.
//!
//! Everything here is a pure function of the device (its character and its dice) and a time or a natural ordinal, so
//! that the lanes of one device agree without speaking, and a lane needs to remember nothing of it.

mod habits;
mod spells;

pub use habits::{Habits, Need};
pub use spells::Spells;

use crate::{Character, Ctx, Retry};
use droves_facts::{Dur, Philox, Purpose, Wall};
use spells::{Intervals, at, interval_of, us};

impl Character {
    /// When the spell ends in which the device is locked at `wall`; `None` if it is not locked then.
    pub fn locked_until(&self, wall: Wall, dice: impl Fn(u64) -> Philox) -> Option<Wall> {
        spells::ends(&mut self.locks(wall, &dice)?, us(wall)).map(at)
    }

    /// When the next spell ends after `wall`, also if none has begun; `None` if the device is never locked.
    pub fn unlocked_after(&self, wall: Wall, dice: impl Fn(u64) -> Philox) -> Option<Wall> {
        self.locks(wall, &dice)?.map(|spell| spell.end).find(|end| *end > us(wall)).map(at)
    }

    /// The spells around this time in which it is locked.
    fn locks(&self, wall: Wall, dice: &impl Fn(u64) -> Philox) -> Option<impl Iterator<Item = spells::Spell>> {
        let intervals = Intervals::cut(interval_of(self.locked)?, dice);
        let spell = move |number| intervals.place(self.locked.1, number, &mut dice(number));
        Some(intervals.around(us(wall)).map(spell))
    }
}

impl Ctx<'_> {
    /// When the spell ends in which the device is locked now; `None` if it is not.
    pub fn locked_until(&self) -> Option<Wall> {
        self.character.locked_until(self.clocks.wall, |n| self.device_dice(Purpose::Behaviour, n))
    }

    /// When the next spell ends in which the device is locked; `None` if it never is.
    pub fn unlocked_after(&self) -> Option<Wall> {
        self.character.unlocked_after(self.clocks.wall, |n| self.device_dice(Purpose::Behaviour, n))
    }

    /// How long after a push or an order the lane wakes: log-normal, drawn anew for each session.
    pub fn wake_lag(&self, session: u64) -> Dur {
        let (median, sigma) = self.character.wake;
        log_normal(median, sigma, &mut self.lane_dice(Purpose::WakeDelay, session))
    }

    /// How long the device takes for a command whose times have this median and this 95th percentile: log-normal,
    /// scaled by the character's pace.
    pub fn command_delay(&self, (p50, p95): (Dur, Dur), command: u64) -> Dur {
        let pace = self.character.pace;
        if pace.is_nan() || pace <= 0.0 || p50 == Dur::ZERO {
            return Dur::ZERO;
        }
        // The 95th percentile of a normal distribution is 1.6449 sigmas above its middle.
        let sigma = (p95.0.max(p50.0) as f64 / p50.0 as f64).ln() / 1.6449;
        // The tail is cut at twice the 95th percentile: of a million devices one would take minutes, which no device
        // was seen to do.
        log_normal(p50, sigma, &mut self.lane_dice(Purpose::CommandDelay, command)).min(p95.times(2)).scaled(pace)
    }

    /// How long the lane waits before it tries again, after `tries` failures in a row (1 is the first).
    pub fn retry_delay(&self, tries: u8, ordinal: u64) -> Dur {
        let mut dice = self.lane_dice(Purpose::Retry, ordinal);
        let nth = usize::from(tries.max(1)) - 1;
        let doubled = || Dur::secs(5).times(1 << nth.min(16)).min(LONGEST);
        match self.character.retry {
            Retry::AsPlatform => {
                let steady = STEPS.get(nth).copied().unwrap_or(LONGEST);
                steady.scaled(0.8 + 0.4 * dice.unit())
            }
            Retry::Flat => Dur::secs(15),
            Retry::Capped => doubled(),
            // Not under a second: a draw of nothing would be a loop without a pause.
            Retry::Jittered => doubled().scaled(dice.unit()).max(Dur::secs(1)),
        }
    }
}

/// A draw from a log-normal distribution, by Box and Muller. Capped at a day, whatever the parameters are.
fn log_normal(median: Dur, sigma: f64, dice: &mut Philox) -> Dur {
    let (u, v) = (1.0 - dice.unit(), dice.unit());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    median.scaled((sigma * normal).exp()).min(Dur::secs(86_400))
}

/// Our model of Apple's unpublished schedule: these, then [`LONGEST`].
const STEPS: [Dur; 4] = [Dur::secs(5), Dur::secs(15), Dur::secs(60), Dur::secs(300)];
const LONGEST: Dur = Dur::secs(900);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{World, ios};
    use droves_facts::Dice;

    #[test]
    fn a_device_is_locked_for_its_share_of_the_time() {
        let character = Character { locked: (0.3, Dur::secs(600)), ..ios() };
        let dice = |n| Dice::new(5).draw(3, Purpose::Behaviour, n);
        let minutes = 60 * 24 * 60;
        let locked = (0..minutes)
            .filter(|m| character.locked_until(Wall::VIRTUAL_START + Dur::secs(m * 60), dice).is_some())
            .count();
        let share = locked as f64 / minutes as f64;
        assert!((0.28..0.32).contains(&share), "{share}");
        for never in [0.0, -1.0, f64::NAN] {
            let character = Character { locked: (never, Dur::secs(600)), ..ios() };
            assert_eq!(character.locked_until(Wall::VIRTUAL_START, dice), None);
        }
        let some = Wall::VIRTUAL_START;
        let end = character.unlocked_after(some, dice);
        assert!(end.is_some_and(|end| end > some && character.locked_until(Wall(end.0 - 1), dice) == Some(end)));
        assert!(end.is_some_and(|end| {
            (some.0..end.0 - 600_000_000).step_by(1 << 20).all(|at| character.locked_until(Wall(at), dice).is_none())
        }));
        assert_eq!(Character { locked: (0.0, Dur::secs(600)), ..ios() }.unlocked_after(some, dice), None);
        let always = Character { locked: (1.0, Dur::secs(600)), ..ios() };
        assert!(always.locked_until(Wall(7), dice).is_some_and(|end| end > Wall(7)));
    }

    #[test]
    fn of_many_devices_the_share_is_locked_at_every_time() {
        for share in [0.2, 0.5, 0.8] {
            let character = Character { locked: (share, Dur::secs(600)), ..ios() };
            for minutes in (0..120).step_by(3) {
                let wall = Wall::VIRTUAL_START + Dur::secs(60 * minutes);
                let is_locked = |device: &u32| {
                    character.locked_until(wall, |n| Dice::new(5).draw(*device, Purpose::Behaviour, n)).is_some()
                };
                let found = (0..3_000).filter(is_locked).count() as f64 / 3_000.0;
                assert!((found - share).abs() < 0.05, "{found} of {share} after {minutes} min");
            }
        }
    }

    #[test]
    fn delays_have_the_median_and_the_95th_percentile_that_were_asked_for() {
        let mut world = World::new(ios());
        world.character.pace = 1.0;
        let ctx = world.ctx();
        let mut drawn: Vec<_> = (0..10_000).map(|n| ctx.command_delay((Dur::ms(500), Dur::secs(4)), n)).collect();
        drawn.sort();
        assert!((480..520).contains(&(drawn[5_000].0 / 1_000)), "{}", drawn[5_000]);
        assert!((3_700..4_300).contains(&(drawn[9_500].0 / 1_000)), "{}", drawn[9_500]);
    }

    #[test]
    fn retries_follow_their_schedule() {
        let check = |retry, expected: [(u64, u64); 6]| {
            let mut world = World::new(Character { retry, ..ios() });
            let ctx = world.ctx();
            for (n, (low, high)) in (1..).zip(expected) {
                let delay = ctx.retry_delay(n, u64::from(n)).0 / 1_000_000;
                assert!((low..=high).contains(&delay), "{retry:?} {n}: {delay}");
            }
            assert!(ctx.retry_delay(u8::MAX, 9) <= Dur::secs(1_080));
        };
        check(Retry::AsPlatform, [(4, 6), (12, 18), (48, 72), (240, 360), (720, 1_080), (720, 1_080)]);
        check(Retry::Flat, [(15, 15); 6]);
        check(Retry::Capped, [(5, 5), (10, 10), (20, 20), (40, 40), (80, 80), (160, 160)]);
        check(Retry::Jittered, [(1, 5), (1, 10), (1, 20), (1, 40), (1, 80), (1, 160)]);
    }
}
