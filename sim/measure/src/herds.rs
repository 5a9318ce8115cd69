//! Herds and echoes: when many devices come at once, by what, and whether that repeats an earlier trouble or peak.
//!
//! A *herd* is a stretch of seconds in which devices begin [`TIMES_MEAN`] times as many sessions as on average. An *echo* is
//! what follows from something earlier: sessions that devices begin by themselves because one failed (their back-off
//! decides its shape), or a herd one period of a phase's check-ins after another herd.

use crate::load::LoadSecond;
use droves_facts::{Dur, PhaseIx, Waker};
use serde::Serialize;

/// A herd is this many times the mean.
pub const TIMES_MEAN: f64 = 4.0;
/// Less than this many sessions a second are no herd, whatever the mean is.
const HERD_SESSIONS_MIN: u32 = 10;
/// Herds that are nearer to each other than this, in seconds, are one.
const GAP_S: usize = 5;
/// Retries that are nearer to each other than this, in seconds, are one echo: the longest step of a device's back-off is
/// a quarter of an hour and a fifth.
const ECHO_GAP_S: usize = 18 * 60;
/// Fewer retries than this are no echo.
const ECHO_RETRIES_MIN: u64 = 5;

/// Many devices at once.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Herd {
    /// Its first second.
    pub from_s: usize,
    /// The second after its last.
    pub to_s: usize,
    /// Its fullest second.
    pub peak_s: usize,
    /// Sessions begun in that.
    pub peak: u32,
    /// How many times the mean of the run that is.
    pub times_mean: f64,
    /// Sessions begun in all of it.
    pub sessions: u64,
    /// What began most of them.
    pub by: Waker,
    /// The phase that most of its fullest second belongs to.
    pub phase: PhaseIx,
    /// The herd, by its place in the list, that it repeats one period of its phase later.
    pub repeats: Option<usize>,
}

/// What comes back after a trouble.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Echo {
    /// When the first of what failed failed.
    pub trouble_from_s: usize,
    /// The second after the last failure that devices came back for.
    pub trouble_to_s: usize,
    /// Requests and connects that failed.
    pub failed: u64,
    /// Its first retry.
    pub from_s: usize,
    /// The second after its last.
    pub to_s: usize,
    /// Its fullest second.
    pub peak_s: usize,
    /// Retries in that.
    pub peak: u32,
    /// How many times the run's mean of sessions that is.
    pub times_mean: f64,
    /// Retries in all.
    pub retries: u64,
}

/// Sessions begun a second, from the first second with one to the last, and over a minute at least: what comes all at once
/// is a herd, also where nothing else comes.
pub fn mean(seconds: &[LoadSecond]) -> f64 {
    let is_busy = |second: &LoadSecond| second.sessions() > 0;
    let Some(first) = seconds.iter().position(is_busy) else { return 0.0 };
    let last = seconds.iter().rposition(is_busy).unwrap_or(first);
    let sessions: u64 = seconds[first..=last].iter().map(|second| u64::from(second.sessions())).sum();
    sessions as f64 / (last + 1 - first).max(60) as f64
}

/// The herds in order. `period`: how often a phase lets each of its devices come, and by how much it moves that.
pub fn herds(seconds: &[LoadSecond], period: impl Fn(PhaseIx) -> Option<(Dur, Dur)>) -> Vec<Herd> {
    let mean = mean(seconds);
    // A crowd of independent devices varies by the root of its size: that is none.
    let least = (TIMES_MEAN * mean).max(mean + 6.0 * mean.sqrt()).max(f64::from(HERD_SESSIONS_MIN));
    let stretches = stretches(seconds, GAP_S, |second| f64::from(second.sessions()) >= least);
    let mut herds: Vec<Herd> = Vec::new();
    for (from_s, to_s) in stretches {
        let Some(peak_s) = fullest(seconds, from_s, to_s, LoadSecond::sessions) else { continue };
        let sum = |of: fn(&LoadSecond) -> u32| seconds[from_s..to_s].iter().map(|s| u64::from(of(s))).sum::<u64>();
        let by = [
            (Waker::Order, sum(|s| s.by_order)),
            (Waker::Push, sum(|s| s.by_push)),
            (Waker::Timer, sum(|s| s.by_timer)),
        ];
        let (by, _) = by.into_iter().max_by_key(|(_, count)| *count).unwrap_or((Waker::Order, 0));
        let (peak, phase) = (seconds[peak_s].sessions(), seconds[peak_s].phase);
        let repeats = period(phase).filter(|_| by == Waker::Order).and_then(|(every, jitter)| {
            let slack = jitter.0 / 1_000_000 + (to_s - from_s) as u64;
            let is_one_before = |herd: &Herd| {
                herd.phase == phase && ((peak_s - herd.peak_s) as u64).abs_diff(every.0 / 1_000_000) <= slack
            };
            herds.iter().position(is_one_before)
        });
        let times_mean = f64::from(peak) / mean;
        let sessions = sum(LoadSecond::sessions);
        herds.push(Herd { from_s, to_s, peak_s, peak, times_mean, sessions, by, phase, repeats });
    }
    herds
}

/// The echoes in order.
pub fn echoes(seconds: &[LoadSecond]) -> Vec<Echo> {
    let mean = mean(seconds);
    let echo = |(from_s, to_s): (usize, usize)| {
        let retries: u64 = seconds[from_s..to_s].iter().map(|second| u64::from(second.retries)).sum();
        let earliest = from_s.saturating_sub(ECHO_GAP_S);
        let is_trouble = |s: &usize| seconds[*s].failed > 0;
        let trouble_from_s = (earliest..to_s).find(is_trouble)?;
        let trouble_to_s = (trouble_from_s..to_s).rfind(is_trouble)? + 1;
        let failed = seconds[trouble_from_s..trouble_to_s].iter().map(|second| u64::from(second.failed)).sum();
        let peak_s = fullest(seconds, from_s, to_s, |second| second.retries)?;
        let peak = seconds[peak_s].retries;
        let times_mean = f64::from(peak) / mean;
        let echo = Echo { trouble_from_s, trouble_to_s, failed, from_s, to_s, peak_s, peak, times_mean, retries };
        (retries >= ECHO_RETRIES_MIN).then_some(echo)
    };
    stretches(seconds, ECHO_GAP_S, |second| second.retries > 0).into_iter().filter_map(echo).collect()
}

/// Stretches of seconds of which that holds; those with a shorter gap between them are one.
fn stretches(seconds: &[LoadSecond], gap: usize, holds: impl Fn(&LoadSecond) -> bool) -> Vec<(usize, usize)> {
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for (at, _) in seconds.iter().enumerate().filter(|(_, second)| holds(second)) {
        match stretches.last_mut() {
            Some((_, to)) if at - *to < gap => *to = at + 1,
            _ => stretches.push((at, at + 1)),
        }
    }
    stretches
}

/// Of equals the first.
fn fullest(seconds: &[LoadSecond], from: usize, to: usize, of: impl Fn(&LoadSecond) -> u32) -> Option<usize> {
    (from..to).max_by_key(|&s| (of(&seconds[s]), std::cmp::Reverse(s)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn steady(length: usize) -> Vec<LoadSecond> {
        vec![LoadSecond { by_order: 20, ..LoadSecond::default() }; length]
    }

    #[test]
    fn a_herd_has_its_cause_and_a_steady_crowd_is_none() {
        let mut seconds = steady(600);
        assert!(herds(&seconds, |_| None).is_empty());
        for s in [300, 301, 304] {
            seconds[s].by_push = 500;
            seconds[s].phase = PhaseIx(3);
        }
        seconds[301].by_push = 900;
        let herds = herds(&seconds, |_| None);
        let [herd] = herds.as_slice() else { panic!("{herds:?}") };
        assert_eq!((herd.from_s, herd.to_s, herd.peak_s, herd.peak), (300, 305, 301, 920));
        assert_eq!((herd.by, herd.phase, herd.sessions), (Waker::Push, PhaseIx(3), 500 + 900 + 500 + 5 * 20));
    }

    #[test]
    fn a_herd_one_period_later_repeats_the_first() {
        let mut seconds = steady(3_000);
        for s in [100, 1_001, 2_500] {
            seconds[s].by_order = 1_000;
        }
        let found = herds(&seconds, |_| Some((Dur::secs(900), Dur::secs(1))));
        let repeats: Vec<Option<usize>> = found.iter().map(|herd| herd.repeats).collect();
        assert_eq!(repeats, [None, Some(0), None]);
    }

    #[test]
    fn retries_after_failures_are_an_echo_of_them() {
        let mut seconds = steady(4_000);
        assert!(echoes(&seconds).is_empty());
        for s in 1_000..1_060 {
            seconds[s].failed = 20;
            seconds[s + 15].retries = 20;
            seconds[s + 15].by_timer = 20;
        }
        seconds[1_030].retries = 44;
        let found = echoes(&seconds);
        let [echo] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((echo.trouble_from_s, echo.trouble_to_s, echo.failed), (1_000, 1_060, 1_200));
        assert_eq!((echo.from_s, echo.to_s, echo.peak_s, echo.peak), (1_015, 1_075, 1_030, 44));
        assert_eq!(echo.retries, 60 * 20 + 24);
    }

    proptest! {
        #[test]
        fn herds_lie_apart_within_the_run_and_hold_their_peak(
            counts in prop::collection::vec(prop_oneof![9 => 0_u32..30, 1 => 100_u32..1_000], 0..300),
        ) {
            let seconds: Vec<_> =
                counts.iter().map(|&by_order| LoadSecond { by_order, retries: by_order % 3, failed: by_order % 2, ..LoadSecond::default() }).collect();
            let mut before = 0;
            for herd in herds(&seconds, |_| Some((Dur::secs(10), Dur::secs(1)))) {
                prop_assert!(before <= herd.from_s && herd.from_s <= herd.peak_s && herd.peak_s < herd.to_s);
                prop_assert!(herd.to_s <= seconds.len() && herd.times_mean >= TIMES_MEAN * 0.999);
                prop_assert!(counts[herd.from_s..herd.to_s].iter().all(|&count| count <= herd.peak));
                before = herd.to_s;
            }
            for echo in echoes(&seconds) {
                prop_assert!(echo.trouble_from_s < echo.trouble_to_s && echo.from_s <= echo.peak_s && echo.peak_s < echo.to_s);
            }
        }
    }
}
