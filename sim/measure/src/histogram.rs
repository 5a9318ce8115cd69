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

/// What a longer time counts as.
pub const TIME_US_MAX: u64 = 3_600_000_000;

/// The sizes in which a histogram comes: nearly all series stay in the first (45 KB), and two of one size merge by
/// plain addition.
const STEPS_US: [u64; 3] = [(1 << 20) - 1, (1 << 26) - 1, TIME_US_MAX];

/// Many times, one histogram. Empty it costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Times {
    histogram: Option<Box<Histogram<u32>>>,
    sum_us: u64,
    max_us: u64,
    capped: u64,
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
        match &mut self.histogram {
            Some(histogram) if us <= histogram.high() => histogram.saturating_record(us),
            _ => self.grown(us).saturating_record(us),
        }
    }

    /// Adds the samples of another.
    pub fn merge(&mut self, mut other: Times) {
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
        self.capped += other.capped;
        let high = |times: &Times| times.histogram.as_ref().map_or(0, |h| h.high());
        if high(self) < high(&other) {
            std::mem::swap(&mut self.histogram, &mut other.histogram);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.histogram, &other.histogram) {
            add(mine, theirs);
        }
    }

    /// How many samples.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, |h| h.len())
    }

    /// How many samples were longer than [`TIME_US_MAX`].
    pub fn capped(&self) -> u64 {
        self.capped
    }

    /// The time that this share (0..=1) of the samples does not exceed, to three digits; `None` over nothing.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        let histogram = self.histogram.as_ref()?;
        (!histogram.is_empty()).then(|| histogram.value_at_quantile(share).min(self.max_us))
    }

    /// The shortest sample, to three digits; `None` over nothing.
    pub fn min_us(&self) -> Option<u64> {
        let histogram = self.histogram.as_ref()?;
        (!histogram.is_empty()).then(|| histogram.min())
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
        Latency {
            p50: self.quantile_us(0.5),
            p90: self.quantile_us(0.9),
            p99: self.quantile_us(0.99),
            p999: self.quantile_us(0.999),
            max: self.max_us(),
        }
    }

    /// Heap memory in bytes.
    pub fn bytes(&self) -> usize {
        self.histogram.as_ref().map_or(0, |h| h.distinct_values() * size_of::<u32>() + size_of::<Histogram<u32>>())
    }

    /// The histogram itself, for export.
    pub fn histogram(&self) -> Option<&Histogram<u32>> {
        self.histogram.as_deref()
    }

    fn grown(&mut self, us: u64) -> &mut Histogram<u32> {
        let high = STEPS_US.into_iter().find(|&step| us <= step).unwrap_or(TIME_US_MAX);
        let smaller = self.histogram.take();
        let bigger = self.histogram.insert(Box::new(sized(high)));
        if let Some(smaller) = smaller {
            add(bigger, &smaller);
        }
        bigger
    }
}

/// What stands in a summary for a series of times, in microseconds. Over nothing, all are null.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Half of the samples took no longer.
    pub p50: Option<u64>,
    /// 90 of 100 took no longer.
    pub p90: Option<u64>,
    /// 99 of 100 took no longer.
    pub p99: Option<u64>,
    /// 999 of 1,000 took no longer.
    pub p999: Option<u64>,
    /// The longest, exactly.
    pub max: Option<u64>,
}

#[expect(clippy::expect_used, reason = "the bounds are constants, which the tests try")]
fn sized(high: u64) -> Histogram<u32> {
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
    fn a_series_of_short_times_is_small() {
        assert!(times(&[900_000]).bytes() < 48 << 10);
        assert!(times(&[TIME_US_MAX]).bytes() < 96 << 10);
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
            b in prop::collection::vec(0_u64..3_000_000, 0..50),
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
            prop_assert_eq!(figures(&outer), figures(&all));
        }
    }
}
