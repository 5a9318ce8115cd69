//! What keeps a device from doing things: it is off, restarts, dozes, its work profile is paused, its network costs money.
//!
//! Each habit has spells of its own. A device is kept from something as long as one of the habits holds that keep it from
//! it, so that whichever ends last decides.

use super::spells::{self, Intervals, Spell, Spells, at, us};
use crate::{Character, Ctx};
use droves_facts::{Dur, Family, Philox, Purpose, Wall};
use serde::{Deserialize, Serialize};

/// The habits of a kind of device; none of them by default.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Habits {
    /// It is off, or nowhere near a network.
    pub off: Spells,
    /// It restarts of itself, once in each stretch of this length: an hour, or more.
    pub restarts_every: Option<Dur>,
    /// It is a kiosk: plugged in, so that it never dozes, and restarted each night, when so much of the day has passed in
    /// UTC. All of them restart together.
    pub kiosk: Option<Dur>,
    /// Android: it dozes after it has lain still for so long, four hours, or less.
    pub dozes_after: Option<Dur>,
    /// Android: its user has paused the work profile.
    pub paused: Spells,
    /// Its network costs money: what is large waits.
    pub metered: Spells,
}

/// What a device needs for what is wanted of it; each of them is all of those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Need {
    /// To be on: what holds a connection keeps it, an Apple device or a PC hears a push.
    Power,
    /// To hear an urgent push (FCM: priority `high`). It wakes a device that dozes, for some ten seconds.
    UrgentPush,
    /// To hear any push, to speak of itself, to come awake by a timer.
    Attention,
    /// To move what is large: apps, files.
    Transfer,
}

impl Character {
    /// Until when the device at `wall` lacks what it needs, by what is known then; `None` if it lacks nothing.
    pub fn lacks_until(&self, need: Need, wall: Wall, dice: impl Fn(u64) -> Philox) -> Option<Wall> {
        let now = us(wall);
        Habit::ALL
            .iter()
            .filter(|habit| habit.keeps_from() <= need)
            .filter_map(|habit| habit.ends(self, now, &dice))
            .max()
            .map(at)
    }

    /// When the device next comes to lack what it needs, after `wall`; `None` if it never does.
    pub fn lacks_from(&self, need: Need, wall: Wall, dice: impl Fn(u64) -> Philox) -> Option<Wall> {
        let now = us(wall);
        Habit::ALL
            .iter()
            .filter(|habit| habit.keeps_from() <= need)
            .filter_map(|habit| habit.begins(self, now, &dice))
            .min()
            .map(at)
    }
}

impl Ctx<'_> {
    /// Until when the device lacks what it needs now: whoever asks, asks again then. `None` if it lacks nothing.
    pub fn lacks_until(&self, need: Need) -> Option<Wall> {
        self.character.lacks_until(need, self.clocks.wall, |n| self.device_dice(Purpose::Behaviour, n))
    }

    /// When the device next comes to lack what it needs; `None` if it never does.
    pub fn lacks_from(&self, need: Need) -> Option<Wall> {
        self.character.lacks_from(need, self.clocks.wall, |n| self.device_dice(Purpose::Behaviour, n))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Habit {
    Off,
    Restarts,
    Kiosk,
    Paused,
    Dozes,
    Metered,
}

impl Habit {
    const ALL: [Habit; 6] = [Habit::Off, Habit::Restarts, Habit::Kiosk, Habit::Paused, Habit::Dozes, Habit::Metered];

    /// The least that it keeps a device from.
    fn keeps_from(self) -> Need {
        match self {
            Habit::Off | Habit::Restarts | Habit::Kiosk => Need::Power,
            Habit::Paused => Need::UrgentPush,
            Habit::Dozes => Need::Attention,
            Habit::Metered => Need::Transfer,
        }
    }

    fn ends(self, character: &Character, now: u64, dice: &impl Fn(u64) -> Philox) -> Option<u64> {
        self.asked(character, now, dice, spells::ends)
    }

    fn begins(self, character: &Character, now: u64, dice: &impl Fn(u64) -> Philox) -> Option<u64> {
        self.asked(character, now, dice, spells::begins)
    }

    /// Asks of the spells around `now`, in their order.
    fn asked(
        self,
        character: &Character,
        now: u64,
        dice: &impl Fn(u64) -> Philox,
        ask: fn(&mut dyn Iterator<Item = Spell>, u64) -> Option<u64>,
    ) -> Option<u64> {
        let Habits { off, restarts_every, kiosk, dozes_after, paused, metered } = character.habits;
        // Each has a place of its own in the numbering of what is drawn about behaviour.
        let drawn = |number: u64| dice((self as u64 + 1) << 56 | number);
        let spread = |spells: Spells| {
            let cut = Intervals::cut(spells::interval_of(spells)?, drawn);
            let mut all = cut.around(now).map(|number| cut.place(spells.1, number, &mut drawn(number)));
            ask(&mut all, now)
        };
        match self {
            Habit::Off => spread(off),
            Habit::Paused => spread(paused),
            Habit::Metered => spread(metered),
            Habit::Restarts => {
                let cut = Intervals::cut(restarts_every?.max(HOUR).0, drawn);
                let mut all = cut.around(now).map(|number| {
                    let mut dice = drawn(number);
                    let away = restart(&mut dice) + first_unlock(character, &mut dice);
                    cut.place(away, number, &mut dice)
                });
                ask(&mut all, now)
            }
            Habit::Kiosk => {
                let time = kiosk?.0 % DAY.0;
                // All at one time of the day.
                let days = Intervals::in_step(DAY.0);
                let mut all = days.around(now).map(|number| {
                    let begins = number * DAY.0 + time;
                    begins..begins + restart(&mut drawn(number)).0
                });
                ask(&mut all, now)
            }
            Habit::Dozes if kiosk.is_some() => None,
            Habit::Dozes => {
                let after = dozes_after?.min(STILL.start).0;
                let cut = Intervals::cut(DAY.0, drawn);
                let mut all = cut.around(now).flat_map(|number| {
                    let mut dice = drawn(number);
                    let length = STILL.start + Dur(dice.below(STILL.end.0 - STILL.start.0));
                    let Spell { start, end } = cut.place(length, number, &mut dice);
                    between_windows(start + after..end, dice)
                });
                ask(&mut all, now)
            }
        }
    }
}

/// From the restart to the system's being up.
fn restart(dice: &mut Philox) -> Dur {
    RESTART.start + Dur(dice.below(RESTART.end.0 - RESTART.start.0))
}

/// From then until its user unlocks it for the first time: before that what is managed does not run, as its files can't be
/// read. A PC's client runs before anybody logs in.
fn first_unlock(character: &Character, dice: &mut Philox) -> Dur {
    if character.platform.family() == Family::Windows { Dur::ZERO } else { Dur(dice.below(FIRST_UNLOCK_MAX.0)) }
}

/// Deep doze, without its maintenance windows.
fn between_windows(doze: Spell, mut dice: Philox) -> impl Iterator<Item = Spell> {
    let later = (2..).map(|n| HOUR.times(6 * n));
    let mut windows = WINDOWS.into_iter().chain(later);
    let mut begins = doze.start;
    std::iter::from_fn(move || {
        let start = begins;
        let window = doze.start + windows.next()?.0;
        begins = window + WINDOW.start.0 + dice.below(WINDOW.end.0 - WINDOW.start.0);
        (start < doze.end).then_some(start..window.min(doze.end))
    })
}

const HOUR: Dur = Dur::secs(3_600);
const DAY: Dur = Dur::secs(24 * 3_600);
/// How long a restart takes.
const RESTART: std::ops::Range<Dur> = Dur::secs(30)..Dur::secs(120);
const FIRST_UNLOCK_MAX: Dur = Dur::secs(600);
/// How long a device lies still at a stretch, once a day: the night, or longer. Ours.
const STILL: std::ops::Range<Dur> = Dur::secs(4 * 3_600)..Dur::secs(16 * 3_600);
/// How long after doze began the first maintenance windows come; later ones each six hours.
const WINDOWS: [Dur; 4] = [HOUR, Dur::secs(2 * 3_600), Dur::secs(4 * 3_600), Dur::secs(6 * 3_600)];
/// How long a window is.
const WINDOW: std::ops::Range<Dur> = Dur::secs(30)..Dur::secs(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{World, ios, windows};
    use droves_facts::{DeviceIx, Dice, LaneIx};
    use proptest::prelude::*;

    const SECOND: Dur = Dur::secs(1);

    fn dice(device: u32) -> impl Fn(u64) -> Philox {
        move |number| Dice::new(5).draw(device, Purpose::Behaviour, number)
    }

    fn of(habits: Habits) -> Character {
        Character { habits, ..ios() }
    }

    /// Share of sixty days in which the device lacks it, by a look each seven minutes.
    fn share(character: &Character, need: Need) -> f64 {
        let looks = 60 * 24 * 60 / 7;
        let at = |n: u64| Wall::VIRTUAL_START + Dur::secs(60 * 7 * n);
        let lacking = (0..looks).filter(|n| character.lacks_until(need, at(*n), dice(3)).is_some()).count();
        lacking as f64 / looks as f64
    }

    /// The spells of a week.
    fn spells(character: &Character, need: Need, device: u32) -> Vec<(Wall, Dur)> {
        let (mut found, mut wall) = (Vec::new(), Wall::VIRTUAL_START);
        while let Some(begins) = character.lacks_from(need, wall, dice(device)) {
            let ends = character.lacks_until(need, begins, dice(device)).expect("it has begun");
            if begins > Wall::VIRTUAL_START + DAY.times(7) {
                break;
            }
            found.push((begins, ends.since(begins)));
            wall = begins;
        }
        found
    }

    #[test]
    fn each_habit_keeps_from_what_it_should_for_its_share_of_the_time() {
        let check = |habits: Habits, expected: [f64; 4]| {
            let needs = [Need::Power, Need::UrgentPush, Need::Attention, Need::Transfer];
            for (need, expected) in needs.into_iter().zip(expected) {
                let share = share(&of(habits), need);
                assert!((share - expected).abs() < 0.04, "{habits:?} {need:?}: {share}");
            }
        };
        let spells = (0.3, HOUR);
        check(Habits::default(), [0.0; 4]);
        check(Habits { off: spells, ..Habits::default() }, [0.3; 4]);
        check(Habits { paused: spells, ..Habits::default() }, [0.0, 0.3, 0.3, 0.3]);
        check(Habits { metered: spells, ..Habits::default() }, [0.0, 0.0, 0.0, 0.3]);
        // Ten hours of the day in the middle, less what comes before doze and the windows in it.
        let dozes = Habits { dozes_after: Some(Dur::secs(2_700)), ..Habits::default() };
        check(dozes, [0.0, 0.0, 0.38, 0.38]);
        check(Habits { kiosk: Some(Dur::ZERO), ..dozes }, [0.0; 4]);
    }

    #[test]
    fn of_many_devices_the_share_is_away_at_every_time() {
        let check = |habits: Habits, need: Need, expected: f64| {
            let character = of(habits);
            for minutes in (0..48 * 60).step_by(97) {
                let wall = Wall::VIRTUAL_START + Dur::secs(60 * minutes);
                let is_away = |device: &u32| character.lacks_until(need, wall, dice(*device)).is_some();
                let found = (0..2_000).filter(is_away).count() as f64 / 2_000.0;
                assert!((found - expected).abs() < 0.06, "{found} of {expected} after {minutes} min: {habits:?}");
            }
        };
        for share in [0.2, 0.5, 0.8] {
            check(Habits { off: (share, HOUR.times(8)), ..Habits::default() }, Need::Power, share);
            check(Habits { paused: (share, HOUR.times(4)), ..Habits::default() }, Need::UrgentPush, share);
            check(Habits { metered: (share, HOUR.times(2)), ..Habits::default() }, Need::Transfer, share);
        }
        let dozes = Habits { dozes_after: Some(Dur::secs(2_700)), ..Habits::default() };
        check(dozes, Need::Attention, 0.38);
        check(Habits { restarts_every: Some(HOUR), ..Habits::default() }, Need::Power, 0.104);
    }

    #[test]
    fn spells_have_their_length() {
        for share in [0.2, 0.5, 0.8] {
            let character = of(Habits { off: (share, HOUR.times(8)), ..Habits::default() });
            for device in 0..50 {
                let found = spells(&character, Need::Power, device);
                assert!(found.len() > 2 && found.iter().all(|(_, length)| *length == HOUR.times(8)), "{found:?}");
            }
        }
    }

    #[test]
    fn a_restart_is_short_and_comes_once_in_its_stretch() {
        let character = of(Habits { restarts_every: Some(DAY), ..Habits::default() });
        let found = spells(&character, Need::Power, 3);
        assert!((6..=8).contains(&found.len()), "{found:?}");
        let (shortest, longest) = (RESTART.start, RESTART.end + FIRST_UNLOCK_MAX);
        assert!(found.iter().all(|(_, took)| (shortest..longest).contains(took)), "{found:?}");
        let pc = Character { platform: windows().platform, ..character };
        assert!(spells(&pc, Need::Power, 3).iter().all(|(_, took)| RESTART.contains(took)));
    }

    #[test]
    fn kiosks_restart_together_and_return_apart() {
        let character = of(Habits { kiosk: Some(HOUR.times(3)), ..Habits::default() });
        let mut took = Vec::new();
        for device in 0..50 {
            let found = spells(&character, Need::Power, device);
            let is_at_three = |(begins, _): &(Wall, Dur)| us(*begins) % DAY.0 == HOUR.0 * 3;
            assert!((7..=8).contains(&found.len()) && found.iter().all(is_at_three), "{found:?}");
            took.push(found[0].1);
        }
        assert!(took.iter().all(|took| RESTART.contains(took)));
        took.sort();
        took.dedup();
        assert_eq!(took.len(), 50);
    }

    #[test]
    fn doze_has_windows_that_come_ever_later() {
        let doze = 0..HOUR.0 * 20;
        let found: Vec<Spell> = between_windows(doze, dice(1)(0)).collect();
        let ends: Vec<u64> = found.iter().map(|spell| spell.end / HOUR.0).collect();
        assert_eq!(ends, [1, 2, 4, 6, 12, 18, 20]);
        let windows = found.windows(2).map(|pair| Dur(pair[1].start - pair[0].end));
        assert!(windows.clone().all(|window| WINDOW.contains(&window)), "{:?}", windows.collect::<Vec<_>>());
        assert!(between_windows(5..5, dice(1)(0)).next().is_none(), "too short to doze");
    }

    #[test]
    fn the_lanes_of_a_device_agree_and_devices_differ() {
        let habits = Habits { off: (0.5, HOUR), ..Habits::default() };
        let ask = |device, lane, channel| {
            let mut world = World::new(of(habits));
            (world.device, world.lane, world.channel) = (DeviceIx(device), LaneIx(lane), channel);
            let ctx = world.ctx();
            (ctx.lacks_until(Need::Power), ctx.lacks_from(Need::Power))
        };
        assert_eq!(ask(7, 9, 0), ask(7, 10, 1));
        assert_ne!(ask(7, 9, 0), ask(8, 9, 0));
    }

    fn any_habits() -> impl Strategy<Value = Habits> {
        let spells = || (prop_oneof![Just(0.0), Just(1.0), 0.0..1.0], (1_u64..100_000).prop_map(Dur::secs));
        let dur = || prop::option::of((0_u64..200_000).prop_map(Dur::secs));
        let all = (spells(), dur(), dur(), dur(), spells(), spells());
        all.prop_map(|(off, restarts_every, kiosk, dozes_after, paused, metered)| Habits {
            off,
            restarts_every,
            kiosk,
            dozes_after,
            paused,
            metered,
        })
    }

    proptest! {
        /// What ends, ends later than now, and holds until then; what begins, begins later than now, and holds then. Who
        /// needs more lacks it longer, and the later end wins.
        #[test]
        fn habits_compose(habits in any_habits(), wall in 0_i64..2_000_000_000, device in 0_u32..9) {
            let (character, wall) = (of(habits), Wall::from_secs(wall));
            let until = |need, wall| character.lacks_until(need, wall, dice(device));
            let mut last = None;
            for need in [Need::Power, Need::UrgentPush, Need::Attention, Need::Transfer] {
                if let Some(end) = until(need, wall) {
                    prop_assert!(end > wall);
                    prop_assert!(until(need, Wall(end.0 - 1)).is_some());
                }
                prop_assert!(until(need, wall) >= last);
                last = until(need, wall);
                if let Some(begin) = character.lacks_from(need, wall, dice(device)) {
                    prop_assert!(begin > wall);
                    prop_assert!(until(need, begin).is_some());
                }
            }
            let alone = |habits| of(habits).lacks_until(Need::Transfer, wall, dice(device));
            let each = [
                alone(Habits { off: habits.off, ..Habits::default() }),
                alone(Habits { restarts_every: habits.restarts_every, ..Habits::default() }),
                alone(Habits { kiosk: habits.kiosk, ..Habits::default() }),
                alone(Habits { dozes_after: habits.dozes_after, kiosk: None, ..Habits::default() })
                    .filter(|_| habits.kiosk.is_none()),
                alone(Habits { paused: habits.paused, ..Habits::default() }),
                alone(Habits { metered: habits.metered, ..Habits::default() }),
            ];
            prop_assert_eq!(until(Need::Transfer, wall), each.into_iter().flatten().max());
        }

        /// Whatever the lengths are, a moment later than any begin lies in no gap that was not told: between now and the
        /// next begin the device lacks nothing that it does not lack now.
        #[test]
        fn nothing_begins_untold(habits in any_habits(), wall in 1_000_000_i64..2_000_000_000, part in 0.0..1.0) {
            let (character, wall) = (of(habits), Wall::from_secs(wall));
            let until = |wall| character.lacks_until(Need::Transfer, wall, dice(1));
            let next = character.lacks_from(Need::Transfer, wall, dice(1)).unwrap_or(wall + DAY);
            let between = wall + next.since(wall).scaled(part);
            if until(wall).is_none_or(|end| end <= between) && between < next {
                prop_assert_eq!(until(between), None);
            }
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_share_is_the_share(share in 0.05..0.95, hours in 1_u64..6) {
            let character = of(Habits { off: (share, HOUR.times(hours)), ..Habits::default() });
            let found = self::share(&character, Need::Power);
            prop_assert!((found - share).abs() < 0.05, "{found} of {share}");
        }
    }

    #[test]
    fn a_stretch_is_never_too_short_to_live_in() {
        let character = of(Habits { restarts_every: Some(SECOND), ..Habits::default() });
        assert!(share(&character, Need::Power) < 0.2);
    }
}
