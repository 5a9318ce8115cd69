//! Two clocks that are never converted into each other by accident: [`Mono`] for durations and deadlines, [`Wall`] for
//! what is written into certificates, plists and the store.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A length of time in microseconds, 0..=584,000 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Dur(pub u64);

/// Microseconds since the start of the run, by a clock that never steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Mono(pub u64);

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Wall(pub i64);

impl Dur {
    /// No time at all.
    pub const ZERO: Dur = Dur(0);

    /// From microseconds.
    pub const fn us(us: u64) -> Self {
        Dur(us)
    }
    /// From milliseconds.
    pub const fn ms(ms: u64) -> Self {
        Dur(ms.saturating_mul(1_000))
    }
    /// From seconds.
    pub const fn secs(s: u64) -> Self {
        Dur(s.saturating_mul(1_000_000))
    }
    /// From seconds with a fraction; what is negative or not a number is zero.
    pub fn secs_f64(s: f64) -> Self {
        Dur((s * 1e6) as u64)
    }
    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// As the standard library's type.
    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0)
    }
    /// This length `n` times, capped at the largest.
    pub fn times(self, n: u64) -> Self {
        Dur(self.0.saturating_mul(n))
    }
    /// This length scaled by a factor that is not negative.
    pub fn scaled(self, factor: f64) -> Self {
        Dur((self.0 as f64 * factor) as u64)
    }
}

impl Mono {
    /// The start of the run.
    pub const ZERO: Mono = Mono(0);
    /// A deadline that never comes.
    pub const NEVER: Mono = Mono(u64::MAX);

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Mono) -> Dur {
        Dur(self.0.saturating_sub(earlier.0))
    }
    /// Whether this deadline never comes.
    pub fn is_never(self) -> bool {
        self == Mono::NEVER
    }
}

impl Wall {
    /// Where virtual runs start: 2026-01-05T08:00:00Z, a Monday morning.
    pub const VIRTUAL_START: Wall = Wall(1_767_600_000_000_000);

    /// From whole seconds since 1970.
    pub const fn from_secs(s: i64) -> Self {
        Wall(s.saturating_mul(1_000_000))
    }
    /// Whole seconds since 1970, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Wall) -> Dur {
        Dur(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Dur> for Mono {
    type Output = Mono;
    fn add(self, d: Dur) -> Mono {
        Mono(self.0.saturating_add(d.0))
    }
}
impl AddAssign<Dur> for Mono {
    fn add_assign(&mut self, d: Dur) {
        *self = *self + d;
    }
}
impl Add<Dur> for Wall {
    type Output = Wall;
    fn add(self, d: Dur) -> Wall {
        Wall(self.0.saturating_add_unsigned(d.0))
    }
}
impl Sub<Dur> for Wall {
    type Output = Wall;
    fn sub(self, d: Dur) -> Wall {
        Wall(self.0.saturating_sub_unsigned(d.0))
    }
}
impl Add for Dur {
    type Output = Dur;
    fn add(self, d: Dur) -> Dur {
        Dur(self.0.saturating_add(d.0))
    }
}
impl AddAssign for Dur {
    fn add_assign(&mut self, d: Dur) {
        *self = *self + d;
    }
}
impl Sub for Dur {
    type Output = Dur;
    fn sub(self, d: Dur) -> Dur {
        Dur(self.0.saturating_sub(d.0))
    }
}

/// Three significant digits at most and one unit: `250us`, `1.25ms`, `4s`, `12m30s`, `3h05m`.
impl fmt::Display for Dur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0;
        let fraction = |f: &mut fmt::Formatter<'_>, value: f64, unit: &str| {
            let digits = if value < 10.0 {
                2
            } else if value < 100.0 {
                1
            } else {
                0
            };
            let text = format!("{value:.digits$}");
            let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            f.pad(&format!("{text}{unit}"))
        };
        match us {
            0..1_000 => f.pad(&format!("{us}us")),
            1_000..1_000_000 => fraction(f, us as f64 / 1e3, "ms"),
            1_000_000..60_000_000 => fraction(f, us as f64 / 1e6, "s"),
            60_000_000..3_600_000_000 => f.pad(&format!("{}m{:02}s", us / 60_000_000, us / 1_000_000 % 60)),
            _ => f.pad(&format!("{}h{:02}m", us / 3_600_000_000, us / 60_000_000 % 60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let check = |us: u64, text: &str| assert_eq!(Dur(us).to_string(), text);
        check(0, "0us");
        check(999, "999us");
        check(1_250, "1.25ms");
        check(20_000, "20ms");
        check(154_321, "154ms");
        check(4_000_000, "4s");
        check(750_000_000, "12m30s");
        check(11_100_000_000, "3h05m");
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(Mono(5).since(Mono(9)), Dur::ZERO);
        assert_eq!(Mono::NEVER + Dur::secs(1), Mono::NEVER);
        assert_eq!(Wall(i64::MAX) + Dur(u64::MAX), Wall(i64::MAX));
        assert_eq!(Dur::secs_f64(f64::NAN), Dur::ZERO);
        assert_eq!(Dur::secs_f64(-1.0), Dur::ZERO);
    }
}
