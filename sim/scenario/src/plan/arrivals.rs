//! When work is due: arrival processes as pure functions of a number, tested without a network.
//!
//! Time counts from the phase's start. With Λ(t) the expected number of arrivals before t, arrival k (from 0) is due at
//! Λ⁻¹(k):
//!
//! ```text
//! rate     λ = r                           due(k) = k / r
//!          │▔▔▔▔▔▔▔▔▔▔▔▔▔▔
//!
//! ramp     λ = from + (to − from)·t/over   due(k) = 2k / (from + √(from² + 4ak)),  a = (to − from) / 2·over,
//!          │      ╱▔▔▔▔▔▔▔                 up to Λ(over) = over·(from + to)/2; thereafter at rate `to`
//!          │   ╱
//!
//! poisson  λ = r, independent              due(k) = Σ −ln(1 − u)/r, one draw of u per arrival
//!
//! spike    `share` of n in a triangle      due(k) = F⁻¹((k + ½)/n),
//!          │      ╱╲                       F(t) = share·triangle(t) + (1 − share)·t/span,
//!          │▁▁▁▁╱    ╲▁▁▁▁▁                the triangle `within` wide with its top at `peak`
//!
//! at once  all at 0
//!
//! each     per lane: first uniform in 0..every, then the grid of `every`, each point moved by up to ± jitter
//!          lane a │ ·    ·    ·    ·
//!          lane b │   ·    ·   ·    ·
//! ```
//!
//! The k-th arrival of a stream goes to the k-th lane of the selection's order, which begins anew after the last.

use super::Selection;
use droves_facts::{Dice, Dur, LaneIx, PhaseIx, Purpose};
use std::borrow::Cow;

/// An arrival process.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Arrivals {
    /// All at the phase's start.
    AtOnce,
    /// Evenly spaced.
    Rate {
        /// Arrivals a second, above 0.
        per_second: f64,
    },
    /// A rate that grows (or falls) in a straight line, and then stays.
    Ramp {
        /// Arrivals a second at the start, 0 or more.
        from: f64,
        /// Arrivals a second at the end, 0 or more.
        to: f64,
        /// How long the line is, above 0.
        over: Dur,
    },
    /// Independent arrivals, as from a crowd.
    Poisson {
        /// Arrivals a second on average, above 0.
        per_second: f64,
    },
    /// A crowd around one moment, and a rest spread evenly.
    Spike {
        /// The moment, after the phase's start; at least half of `within`.
        peak: Dur,
        /// The width of the crowd, above 0.
        within: Dur,
        /// How much of all is in the crowd, 0..=1.
        share: f64,
        /// Over which the rest is spread, from the phase's start.
        span: Dur,
    },
    /// Each lane by itself, again and again.
    Each {
        /// The period, above 0.
        every: Dur,
        /// By how much a due time may move to either side, at most half of `every`.
        jitter: Dur,
    },
}

/// One due time of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Its number in the stream, from 0.
    pub number: u64,
    /// When it is due, after the phase's start.
    pub due: Dur,
    /// Whom it is for.
    pub lane: LaneIx,
}

/// What a phase drives: which lanes, when, how often. It carries its dice, so that every answer is a function of the
/// value alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The run's dice.
    pub dice: Dice,
    /// The phase, an ordinal of the draws.
    pub phase: PhaseIx,
    /// The lanes, and their order.
    pub who: Selection,
    /// When.
    pub arrivals: Arrivals,
    /// How often each lane has its turn; none: as often as `before` allows. The plan has at least one of the two
    /// ([`Arrivals::AtOnce`] and [`Arrivals::Spike`] always have this one).
    pub times: Option<u32>,
    /// Only what is due before this, after the phase's start.
    pub before: Option<Dur>,
}

impl Schedule {
    /// Whether each lane has due times of its own ([`Schedule::due`]) in place of a common stream
    /// ([`Schedule::stream`]).
    pub fn is_per_lane(&self) -> bool {
        matches!(self.arrivals, Arrivals::Each { .. })
    }

    /// The stream of arrivals in the order of their due times; empty for [`Arrivals::Each`].
    pub fn stream(&self) -> Stream<'_> {
        Stream { end: self.stream_bound(), schedule: Cow::Borrowed(self), number: 0, clock_s: 0.0, last: Dur::ZERO }
    }

    /// The same stream, which keeps the schedule.
    pub fn into_stream(self) -> Stream<'static> {
        Stream { end: self.stream_bound(), schedule: Cow::Owned(self), number: 0, clock_s: 0.0, last: Dur::ZERO }
    }

    /// The `k`-th due time of a lane under [`Arrivals::Each`]; none after the last one, for lanes that are not chosen
    /// and for streams.
    pub fn due(&self, lane: LaneIx, k: u64) -> Option<Dur> {
        self.who.contains(lane).then(|| self.due_unasked(lane, k)).flatten()
    }

    /// How many arrivals the plan has in all. What of these has met no fate is pending. Costs a constant for all but
    /// [`Arrivals::Poisson`] (its arrivals are drawn) and [`Arrivals::Each`] (its lanes are asked).
    pub fn planned(&self) -> u64 {
        match self.arrivals {
            Arrivals::Each { .. } => self.who.iter().map(|lane| self.planned_of(lane)).sum(),
            Arrivals::Poisson { .. } if self.before.is_some() => self.stream().count() as u64,
            _ => self.stream_bound(),
        }
    }

    /// When the last arrival is due; none where there is none. Costs as [`Schedule::planned`].
    pub fn last_due(&self) -> Option<Dur> {
        match self.arrivals {
            Arrivals::Each { .. } => self
                .who
                .iter()
                .filter_map(|lane| self.planned_of(lane).checked_sub(1).and_then(|k| self.due_unasked(lane, k)))
                .max(),
            Arrivals::Poisson { .. } => self.stream().last().map(|a| a.due),
            _ => self.stream_bound().checked_sub(1).and_then(|k| self.at(k)),
        }
    }

    /// How many arrivals of a stream there can be: exact, but for a Poisson stream that `before` cuts.
    fn stream_bound(&self) -> u64 {
        let by_turns = self.times.map(|times| u64::from(times) * u64::from(self.who.lanes()));
        let by_time = match (self.arrivals, self.before) {
            _ if self.who.lanes() == 0 => Some(0),
            (Arrivals::Each { .. }, _) => Some(0),
            (Arrivals::Ramp { from, to, over }, None) if to <= 0.0 => Some(ramp_count(from, to, over, over)),
            (_, None) | (Arrivals::Poisson { .. }, _) => None,
            (Arrivals::AtOnce, Some(before)) => (before == Dur::ZERO).then_some(0),
            (Arrivals::Spike { .. }, Some(before)) => by_turns.map(|n| first_not(n, |k| self.due_is_before(k, before))),
            (Arrivals::Rate { per_second }, Some(before)) => {
                Some(self.settle((per_second * before.as_secs_f64()).ceil() as u64, before))
            }
            (Arrivals::Ramp { from, to, over }, Some(before)) => {
                Some(self.settle(ramp_count(from, to, over, before), before))
            }
        };
        match (by_turns, by_time) {
            (Some(a), Some(b)) => a.min(b),
            (Some(n), None) | (None, Some(n)) => n,
            // Neither is what the plan forbids; a Poisson stream under `before` ends by its clock.
            (None, None) => {
                if self.before.is_some() {
                    u64::MAX
                } else {
                    0
                }
            }
        }
    }

    /// Moves an estimated count to the exact one: rounding to microseconds may have put an arrival across the end.
    fn settle(&self, estimate: u64, before: Dur) -> u64 {
        let mut count = estimate;
        while count > 0 && !self.due_is_before(count - 1, before) {
            count -= 1;
        }
        while self.due_is_before(count, before) {
            count += 1;
        }
        count
    }

    fn due_is_before(&self, k: u64, before: Dur) -> bool {
        self.at(k).is_some_and(|due| due < before)
    }

    /// Due time of the k-th arrival of the processes that have a closed form.
    fn at(&self, k: u64) -> Option<Dur> {
        match self.arrivals {
            Arrivals::AtOnce => Some(Dur::ZERO),
            Arrivals::Rate { per_second } => Some(rounded(k as f64 / per_second)),
            Arrivals::Ramp { from, to, over } => ramp_at(from, to, over, k),
            Arrivals::Spike { peak, within, share, span } => {
                let n = u64::from(self.times.unwrap_or(1)) * u64::from(self.who.lanes());
                let quantile = (k as f64 + 0.5) / n.max(1) as f64;
                Some(spike_at(peak, within, share, span, quantile))
            }
            Arrivals::Poisson { .. } | Arrivals::Each { .. } => None,
        }
    }

    fn due_unasked(&self, lane: LaneIx, k: u64) -> Option<Dur> {
        let Arrivals::Each { every, jitter } = self.arrivals else { return None };
        if self.times.is_some_and(|times| k >= u64::from(times)) {
            return None;
        }
        let draw = |k: u64| self.dice.draw(lane.0, Purpose::CheckIn, u64::from(self.phase.0) << 40 | k);
        let first = draw(0).below(every.0);
        let grid = Dur(first) + every.times(k);
        let due = if k == 0 { grid } else { grid + Dur(draw(k).below(2 * jitter.0 + 1)) - jitter };
        self.before.is_none_or(|before| due < before).then_some(due)
    }

    fn planned_of(&self, lane: LaneIx) -> u64 {
        let Arrivals::Each { every, .. } = self.arrivals else { return 0 };
        let Some(before) = self.before else { return u64::from(self.times.unwrap_or(0)) };
        // The grid starts below `every` and a point moves by half of it at most, so the count is within two of this.
        let mut count = (before.0 / every.0.max(1)).saturating_sub(2);
        if let Some(times) = self.times {
            count = count.min(u64::from(times));
        }
        while self.due_unasked(lane, count).is_some() {
            count += 1;
        }
        count
    }
}

/// Arrivals in the order of their due times. See [`Schedule::stream`].
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    schedule: Cow<'a, Schedule>,
    number: u64,
    clock_s: f64,
    last: Dur,
    end: u64,
}

impl Iterator for Stream<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.number >= self.end {
            return None;
        }
        let number = self.number;
        let due = match self.schedule.arrivals {
            Arrivals::Poisson { per_second } => {
                let u = self.schedule.dice.draw(self.schedule.phase.0, Purpose::Arrival, number).unit();
                self.clock_s += -(1.0 - u).ln() / per_second;
                rounded(self.clock_s)
            }
            _ => self.schedule.at(number)?,
        };
        if self.schedule.before.is_some_and(|before| due >= before) {
            self.end = 0;
            return None;
        }
        self.number += 1;
        self.last = self.last.max(due);
        Some(Arrival { number, due: self.last, lane: self.schedule.who.lane(number)? })
    }
}

fn rounded(seconds: f64) -> Dur {
    Dur((seconds * 1e6).round() as u64)
}

/// Arrivals that a ramp has before `t`: Λ(t), rounded up.
fn ramp_count(from: f64, to: f64, over: Dur, t: Dur) -> u64 {
    let (over, t) = (over.as_secs_f64(), t.as_secs_f64());
    let on_the_line = t.min(over);
    let line = from * on_the_line + (to - from) * on_the_line * on_the_line / (2.0 * over);
    (line + to * (t - over).max(0.0)).ceil() as u64
}

fn ramp_at(from: f64, to: f64, over: Dur, k: u64) -> Option<Dur> {
    let (over, k) = (over.as_secs_f64(), k as f64);
    let on_the_line = over * (from + to) / 2.0;
    if k <= on_the_line {
        let a = (to - from) / (2.0 * over);
        let root = (from * from + 4.0 * a * k).max(0.0).sqrt();
        return Some(if k == 0.0 { Dur::ZERO } else { rounded(2.0 * k / (from + root)) });
    }
    (to > 0.0).then(|| rounded(over + (k - on_the_line) / to))
}

/// F⁻¹ by bisection: F has corners, and forty halvings of the span are exact to the microsecond.
fn spike_at(peak: Dur, within: Dur, share: f64, span: Dur, quantile: f64) -> Dur {
    let half = within.0 as f64 / 2.0;
    let start = peak.0 as f64 - half;
    let before = |t: u64| {
        let x = ((t as f64 - start) / half).clamp(0.0, 2.0);
        let triangle = if x <= 1.0 { x * x / 2.0 } else { 1.0 - (2.0 - x) * (2.0 - x) / 2.0 };
        share * triangle + (1.0 - share) * (t as f64 / span.0.max(1) as f64).min(1.0)
    };
    let (mut low, mut high) = (0, span.0.max(peak.0.saturating_add(within.0)));
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) < quantile { low = middle + 1 } else { high = middle }
    }
    Dur(low)
}

/// The first of `0..n` for which `holds` fails, where it holds up to there; `n` where it never fails.
fn first_not(n: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Channels, Roster};
    use droves_facts::PopulationIx;
    use proptest::prelude::*;

    fn schedule(devices: u32, arrivals: Arrivals, times: Option<u32>, before: Option<Dur>) -> Schedule {
        let (dice, phase) = (Dice::new(7), PhaseIx(2));
        let roster = Roster::new([(devices, 0)]);
        let who = Selection::new(dice, phase, &roster, &[(PopulationIx(0), devices)], |_| Channels::Device);
        Schedule { dice, phase, who, arrivals, times, before }
    }

    /// The stream is monotone, ends before `before`, is as long as planned, and gives lanes their turns.
    fn check(s: &Schedule) {
        let all: Vec<_> = s.stream().collect();
        assert_eq!(all.len() as u64, s.planned(), "{:?}", s.arrivals);
        assert!(all.windows(2).all(|w| w[0].due <= w[1].due && w[0].number + 1 == w[1].number));
        assert_eq!(all.last().map(|a| a.due), s.last_due());
        if let Some(before) = s.before {
            assert!(all.iter().all(|a| a.due < before));
        }
        if let Some(times) = s.times {
            assert!(all.len() as u64 <= u64::from(times) * u64::from(s.who.lanes()));
        }
        for a in &all {
            assert_eq!(s.who.lane(a.number), Some(a.lane));
        }
    }

    fn arrivals() -> impl Strategy<Value = Arrivals> {
        let rate = 0.1_f64..500.0;
        let secs = (1_u64..120).prop_map(Dur::secs);
        prop_oneof![
            Just(Arrivals::AtOnce),
            rate.clone().prop_map(|per_second| Arrivals::Rate { per_second }),
            rate.prop_map(|per_second| Arrivals::Poisson { per_second }),
            (0.0_f64..100.0, 0.0_f64..100.0, secs.clone()).prop_map(|(from, to, over)| Arrivals::Ramp {
                from: from.floor(),
                to: to.floor(),
                over
            }),
            (secs.clone(), 0.0_f64..=1.0, secs).prop_map(|(within, share, span)| Arrivals::Spike {
                peak: within,
                within,
                share,
                span: span + within + within,
            }),
        ]
    }

    proptest! {
        #[test]
        fn streams_hold_their_promises(
            arrivals in arrivals(),
            devices in 0_u32..300,
            times in 1_u32..4,
            before in proptest::option::of((1_u64..20_000).prop_map(Dur::ms)),
        ) {
            check(&schedule(devices, arrivals, Some(times), before));
        }

        #[test]
        fn a_ramp_has_the_area_under_its_line(from in 0_u32..200, to in 0_u32..200, over in 1_u64..60) {
            let over = Dur::secs(over);
            let ramp = Arrivals::Ramp { from: f64::from(from), to: f64::from(to), over };
            let s = schedule(5, ramp, None, Some(over));
            let area = over.as_secs_f64() * f64::from(from + to) / 2.0;
            prop_assert!((s.planned() as f64 - area).abs() <= 1.0, "{} of {area}", s.planned());
            check(&s);
        }

        #[test]
        fn each_lane_keeps_its_period(every_ms in 1_u64..5_000, jitter in 0.0_f64..=0.5, lane in 0_u32..10) {
            let every = Dur::ms(every_ms);
            let jitter = every.scaled(jitter);
            let s = schedule(10, Arrivals::Each { every, jitter }, None, Some(every.times(7)));
            let dues: Vec<_> = (0..).map_while(|k| s.due(LaneIx(lane), k)).collect();
            prop_assert!((6..=8).contains(&dues.len()), "{dues:?}");
            prop_assert!(dues[0] < every);
            for (k, due) in dues.iter().enumerate() {
                let grid = dues[0] + every.times(k as u64);
                prop_assert!(*due + jitter >= grid && *due <= grid + jitter);
            }
            prop_assert!(dues.windows(2).all(|w| w[0] <= w[1]));
            let all: u64 = (0..10).map(|l| (0..).map_while(|k| s.due(LaneIx(l), k)).count() as u64).sum();
            prop_assert_eq!(s.planned(), all);
        }
    }

    #[test]
    fn rates_are_exact() {
        let s = schedule(3, Arrivals::Rate { per_second: 500.0 }, None, Some(Dur::secs(10)));
        assert_eq!(s.planned(), 5_000);
        let first: Vec<_> = s.stream().take(3).map(|a| a.due).collect();
        assert_eq!(first, [Dur::ZERO, Dur::ms(2), Dur::ms(4)]);
    }

    #[test]
    fn a_spike_puts_its_share_within() {
        let (peak, within) = (Dur::secs(60), Dur::secs(20));
        let spike = Arrivals::Spike { peak, within, share: 0.8, span: Dur::secs(120) };
        let s = schedule(1_000, spike, Some(1), None);
        let inside = s.stream().filter(|a| a.due >= Dur::secs(50) && a.due <= Dur::secs(70)).count();
        // The even rest crosses the crowd too: 20 s of its 120 s.
        assert!((832..=835).contains(&inside), "{inside}");
        let whole = Arrivals::Spike { peak, within, share: 1.0, span: Dur::ZERO };
        let s = schedule(1_000, whole, Some(1), None);
        assert!(s.stream().all(|a| a.due >= Dur::secs(50) && a.due <= Dur::secs(70)));
    }

    #[test]
    fn a_ramp_down_to_nothing_ends() {
        let s = schedule(1_000, Arrivals::Ramp { from: 10.0, to: 0.0, over: Dur::secs(10) }, Some(1), None);
        assert!((49..=51).contains(&s.planned()), "{}", s.planned());
        check(&s);
    }

    #[test]
    fn a_crowd_has_its_mean() {
        let s = schedule(10, Arrivals::Poisson { per_second: 100.0 }, None, Some(Dur::secs(100)));
        assert!((9_700..10_300).contains(&s.planned()), "{}", s.planned());
        check(&s);
    }
}
