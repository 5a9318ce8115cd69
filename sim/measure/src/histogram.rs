//! A histogram of times: HdrHistogram, 1 µs to 1 h at three significant digits, made small and grown in steps.
//!
//! Promises: recording costs a few nanoseconds and never fails; what is longer than an hour counts as an hour and is
//! counted as capped; the largest sample is exact; a percentile over nothing is `None`; merging is associative and
//! commutative. No sample is ever made up or corrected.
//!
//! Coordinated omission is not mended here, for it does not arise: the intended start travels with every sample
//! (G. Tene, wrk2's README).

use droves_facts::Dur;
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a longer time counts as.
pub const TIME_US_MAX: u64 = 3_600_000_000;

/// The sizes in which a histogram comes: nearly all series stay in the first (45 KB), and two of one size merge by
/// plain addition.
const STEPS_US: [u64; 3] = [(1 << 20) - 1, (1 << 26) - 1, TIME_US_MAX];

/// So many samples are kept as they are. What a shard reports four times a second, and what a short phase has, is seldom
/// more: a fresh histogram for it would be ten times the memory, all of it cold.
const FEW_MAX: usize = 1_024;

/// Many times, one histogram. Empty it costs nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Times {
    samples: Samples,
    sum_us: u64,
    max_us: u64,
    capped: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Samples {
    /// In microseconds: an hour has 32 bits.
    Few(Vec<u32>),
    Many(#[serde(with = "counts")] Box<Histogram<u32>>),
}

impl Default for Samples {
    fn default() -> Self {
        Samples::Few(Vec::new())
    }
}

impl Times {
    /// Takes a sample.
    pub fn record(&mut self, time: Dur) {
        let us = if time.0 > TIME_US_MAX {
            self.capped += 1;
            TIME_US_MAX
        } else {
            time.0
        };
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
        self.samples.take(us);
    }

    /// Adds the samples of another.
    pub fn merge(&mut self, other: Times) {
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
        self.capped += other.capped;
        self.samples.merge(other.samples);
    }

    /// How many samples.
    pub fn count(&self) -> u64 {
        match &self.samples {
            Samples::Few(few) => few.len() as u64,
            Samples::Many(histogram) => histogram.len(),
        }
    }

    /// How many samples were longer than [`TIME_US_MAX`].
    pub fn capped(&self) -> u64 {
        self.capped
    }

    /// The time that this share (0..=1) of the samples does not exceed, to three digits; `None` over nothing.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        let histogram = self.histogram()?;
        Some(self.quantile_of(&histogram, share))
    }

    fn quantile_of(&self, histogram: &Histogram<u32>, share: f64) -> u64 {
        histogram.value_at_quantile(share).min(self.max_us)
    }

    /// The shortest sample, to three digits; `None` over nothing.
    pub fn min_us(&self) -> Option<u64> {
        Some(self.histogram()?.min())
    }

    /// The longest sample, exactly; `None` over nothing.
    pub fn max_us(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_us)
    }

    /// The arithmetic mean; `None` over nothing.
    pub fn mean_us(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum_us as f64 / self.count() as f64)
    }

    /// All samples together.
    pub fn sum(&self) -> Dur {
        Dur(self.sum_us)
    }

    /// The figures that a summary shows.
    pub fn latency(&self) -> Latency {
        let histogram = self.histogram();
        let quantile = |share| Some(self.quantile_of(histogram.as_deref()?, share));
        Latency {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: self.max_us(),
        }
    }

    /// Heap memory in bytes.
    pub fn bytes(&self) -> usize {
        match &self.samples {
            Samples::Few(few) => few.capacity() * size_of::<u32>(),
            Samples::Many(histogram) => histogram.distinct_values() * size_of::<u32>() + size_of::<Histogram<u32>>(),
        }
    }

    /// The histogram itself, for export; `None` over nothing.
    pub fn histogram(&self) -> Option<Cow<'_, Histogram<u32>>> {
        match &self.samples {
            Samples::Few(few) => histogram_of(few).map(Cow::Owned),
            Samples::Many(histogram) => Some(Cow::Borrowed(histogram)),
        }
    }
}

impl Samples {
    fn take(&mut self, us: u64) {
        match self {
            Samples::Many(histogram) if us <= histogram.high() => histogram.saturating_record(us),
            Samples::Many(histogram) => {
                let mut bigger = sized(us);
                add(&mut bigger, histogram);
                bigger.saturating_record(us);
                **histogram = bigger;
            }
            Samples::Few(few) => {
                few.push(u32::try_from(us).unwrap_or(u32::MAX));
                if few.len() > FEW_MAX
                    && let Some(histogram) = histogram_of(few)
                {
                    *self = Samples::Many(Box::new(histogram));
                }
            }
        }
    }

    fn merge(&mut self, mut other: Samples) {
        if self.high() < other.high() {
            std::mem::swap(self, &mut other);
        }
        match other {
            Samples::Few(few) => few.into_iter().for_each(|us| self.take(u64::from(us))),
            Samples::Many(theirs) => {
                // Beside a few samples it would have been the higher one.
                if let Samples::Many(mine) = self {
                    add(mine, &theirs);
                }
            }
        }
    }

    /// The longest time that it takes in without growing; none for a few samples.
    fn high(&self) -> u64 {
        match self {
            Samples::Few(_) => 0,
            Samples::Many(histogram) => histogram.high(),
        }
    }
}

/// A histogram on its way to another process: its range, and what was counted where.
mod counts {
    use super::{Histogram, STEPS_US, sized};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(histogram: &Histogram<u32>, to: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<(u64, u32)> =
            histogram.iter_recorded().map(|row| (row.value_iterated_to(), row.count_at_value())).collect();
        (histogram.high(), rows).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Box<Histogram<u32>>, D::Error> {
        let (high, rows) = <(u64, Vec<(u64, u32)>)>::deserialize(from)?;
        if !STEPS_US.contains(&high) {
            return Err(D::Error::custom("a histogram of another range"));
        }
        let mut histogram = sized(high);
        rows.into_iter().for_each(|(value, count)| histogram.saturating_record_n(value, count));
        Ok(Box::new(histogram))
    }
}

/// What stands in a summary for a series of times, in microseconds, or of counts. Over nothing, all are null.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Half of the samples took no longer, or were no more.
    pub p50: Option<u64>,
    /// 90 of 100.
    pub p90: Option<u64>,
    /// 99 of 100.
    pub p99: Option<u64>,
    /// 999 of 1,000.
    pub p999: Option<u64>,
    /// All of them, exactly.
    pub max: Option<u64>,
}

fn histogram_of(few: &[u32]) -> Option<Histogram<u32>> {
    let mut histogram = sized(u64::from(*few.iter().max()?));
    few.iter().for_each(|&us| histogram.saturating_record(u64::from(us)));
    Some(histogram)
}

/// An empty one that has room for this time.
#[expect(clippy::expect_used, reason = "the bounds are constants, which the tests try")]
fn sized(us: u64) -> Histogram<u32> {
    let high = STEPS_US.into_iter().find(|&step| us <= step).unwrap_or(TIME_US_MAX);
    Histogram::new_with_bounds(1, high, 3).expect("constant bounds")
}

#[expect(clippy::expect_used, reason = "the target is never smaller than the source: the callers saw to it")]
fn add(target: &mut Histogram<u32>, source: &Histogram<u32>) {
    target.add(source).expect("the target holds the source's range");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(samples: &[u64]) -> Times {
        let mut out = Times::default();
        for &us in samples {
            out.record(Dur(us));
        }
        out
    }

    fn figures(times: &Times) -> (u64, Latency, u64, Option<u64>, u64) {
        (times.count(), times.latency(), times.sum().0, times.min_us(), times.capped())
    }

    #[test]
    fn over_nothing_every_figure_is_null() {
        let nothing = Times::default();
        assert_eq!(nothing.latency(), Latency::default());
        assert_eq!((nothing.min_us(), nothing.mean_us(), nothing.bytes()), (None, None, 0));
    }

    #[test]
    fn the_ends_of_the_range_are_kept() {
        let both = times(&[0, 1, TIME_US_MAX, TIME_US_MAX + 1]);
        assert_eq!(figures(&both), (4, both.latency(), 1 + 2 * TIME_US_MAX, Some(0), 1));
        assert_eq!(both.max_us(), Some(TIME_US_MAX));
        assert_eq!(both.quantile_us(0.5), Some(1));
    }

    #[test]
    fn a_series_is_as_small_as_it_can_be() {
        assert!(times(&[900_000; 10]).bytes() <= 64);
        assert!(times(&[900_000; FEW_MAX + 1]).bytes() < 48 << 10);
        assert!(times(&[TIME_US_MAX; FEW_MAX + 1]).bytes() < 96 << 10);
    }

    /// What is said of the samples does not depend on how they are kept.
    #[test]
    fn few_and_many_say_the_same() {
        let samples: Vec<u64> = (0..=FEW_MAX as u64).map(|n| n * n * 37 % 3_000_017).collect();
        let (few, last) = samples.split_at(FEW_MAX);
        let mut many = times(few);
        let before = figures(&many);
        let as_kept: Vec<u32> = few.iter().filter_map(|&us| us.try_into().ok()).collect();
        many.samples = Samples::Many(Box::new(histogram_of(&as_kept).expect("samples")));
        assert_eq!(figures(&many), before);
        many.merge(times(last));
        assert_eq!(figures(&many), figures(&times(&samples)));
    }

    proptest! {
        #[test]
        fn three_digits_hold(samples in prop::collection::vec(0_u64..TIME_US_MAX, 1..200), share in 0.0..=1.0_f64) {
            let mut sorted = samples.clone();
            sorted.sort_unstable();
            let rank = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
            let exact = sorted[rank - 1] as f64;
            let said = times(&samples).quantile_us(share).unwrap_or_default() as f64;
            prop_assert!((said - exact).abs() <= exact / 1_000.0 + 1.0, "{} for {}", said, exact);
        }

        #[test]
        fn merging_is_recording_all(
            a in prop::collection::vec(0_u64..2 * TIME_US_MAX, 0..50),
            b in prop::collection::vec(0_u64..3_000_000, 0..2 * FEW_MAX),
            c in prop::collection::vec(0_u64..1_000, 0..50),
        ) {
            let all = times(&[a.clone(), b.clone(), c.clone()].concat());
            let mut left = times(&a);
            left.merge(times(&b));
            left.merge(times(&c));
            let mut right = times(&c);
            right.merge(times(&b));
            let mut outer = right;
            outer.merge(times(&a));
            prop_assert_eq!(figures(&left), figures(&all));
            let carried: Times = serde_json::from_str(&serde_json::to_string(&all).unwrap_or_default()).unwrap_or_default();
            prop_assert_eq!(figures(&carried), figures(&all));
            prop_assert_eq!(carried.histogram(), all.histogram());
            prop_assert_eq!(figures(&outer), figures(&all));
        }
    }
}
