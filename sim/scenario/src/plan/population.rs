//! Who is in the fleet: devices that are alike, and what they do beside obeying.

use super::Permutation;
use droves_facts::{Dice, Dur, Platform, PopulationIx, Purpose};
use droves_wire::android::adp::Mode;
use std::ops::Range;

/// Devices that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// Its place among the populations.
    pub ix: PopulationIx,
    /// The scenario's name for it.
    pub name: String,
    /// The operating system.
    pub platform: Platform,
    /// Indexes of its devices.
    pub devices: Range<u32>,
    /// macOS user channels of each device; 0 elsewhere.
    pub users: u32,
    /// By whom Android devices are managed; none elsewhere.
    pub android: Option<Managed>,
    /// Indexes of its lanes: `1 + sisters` a device, side by side, the device channel first.
    pub lanes: Range<u32>,
    /// Hardware models.
    pub models: Mix,
    /// Versions of the operating system.
    pub os_versions: Mix,
    /// What its devices do beside obeying. They compose; none contradicts another.
    pub behaviours: Vec<Behaviour>,
    /// How long after a push that it heard a device connects.
    pub wake: Wake,
    /// How long after a wipe a device enrolls again by itself; none: never.
    pub reenrolls_after_wipe: Option<Dur>,
    /// How it retries what failed.
    pub retry: Retry,
}

/// By whom Android devices are managed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Managed {
    /// By Google, for a server that uses the Android Management API.
    Google {
        /// How.
        mode: Mode,
        /// Whether each device has an enrollment token of its own.
        one_time: bool,
    },
    /// By an agent of the server's own.
    Agent,
}

/// Lanes that an agent has beside the main one: its link, and its downloads.
const AGENT_SISTERS: u32 = 2;

impl Population {
    /// Lanes of each device beside the main one.
    pub fn sisters(&self) -> u32 {
        self.users + if self.android == Some(Managed::Agent) { AGENT_SISTERS } else { 0 }
    }

    /// The hardware model of a device of this population.
    pub fn model(&self, dice: Dice, device: u32) -> &str {
        self.models.of(dice, self, 1, device)
    }

    /// The version of the operating system of a device of this population.
    pub fn os_version(&self, dice: Dice, device: u32) -> &str {
        self.os_versions.of(dice, self, 2, device)
    }
}

/// Values with exact counts that add up to a population. Weights become counts by largest remainder.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Mix {
    rows: Vec<(String, u32)>,
}

impl Mix {
    /// So many devices have each value, for `total` devices. Weights that are all 0 count as equal.
    pub fn by_weight(weights: &[(String, f64)], total: u32) -> Self {
        let counts = largest_remainder(&weights.iter().map(|w| w.1).collect::<Vec<_>>(), total);
        Mix { rows: weights.iter().map(|w| w.0.clone()).zip(counts).collect() }
    }

    /// Each value and its count.
    pub fn rows(&self) -> &[(String, u32)] {
        &self.rows
    }

    fn of(&self, dice: Dice, population: &Population, ordinal: u64, device: u32) -> &str {
        let size = population.devices.end - population.devices.start;
        // Ordinal 0 of this purpose is the device's own hardware; the mixes of a population have the next ones.
        let order = Permutation::new(dice, population.ix.0, Purpose::Hardware, ordinal, size);
        let mut at = order.forward(device.saturating_sub(population.devices.start));
        for (value, count) in &self.rows {
            if at < *count {
                return value;
            }
            at -= count;
        }
        self.rows.last().map_or("", |row| &row.0)
    }
}

/// Exact whole numbers in proportion to weights: each gets its share rounded down, and what is left goes to the
/// largest remainders, of equals to the first (Hamilton's method). They add up to `total` unless `weights` is empty.
pub fn largest_remainder(weights: &[f64], total: u32) -> Vec<u32> {
    let sum: f64 = weights.iter().sum();
    let even = sum.is_nan() || sum <= 0.0;
    let exact: Vec<f64> = weights
        .iter()
        .map(|w| if even { f64::from(total) / weights.len() as f64 } else { f64::from(total) * w / sum })
        .collect();
    let mut counts: Vec<u32> = exact.iter().map(|x| x.floor() as u32).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
    let left = total.saturating_sub(counts.iter().sum());
    for &place in order.iter().take(left as usize) {
        counts[place] += 1;
    }
    counts
}

/// What a device does beside obeying. A pure function of (device, wall clock), so that its lanes agree.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Behaviour {
    /// Each device is locked for a share of its time, and answers NotNow to what a locked device may not do.
    Locked {
        /// Share of the time, 0..=1.
        share: f64,
        /// How long it is locked at a stretch, above 0.
        spell: Dur,
    },
    /// Each device is off for a share of its time.
    Off {
        /// Share of the time, 0..=1.
        share: f64,
        /// How long it is off at a stretch, above 0.
        spell: Dur,
    },
    /// Each device restarts once in each stretch of this length.
    Reboot {
        /// At least an hour.
        every: Dur,
    },
    /// Commands take this many times as long.
    Slow {
        /// Above 0.
        factor: f64,
    },
    /// Windows: a share of the pushes are queued before a session is begun.
    Queued {
        /// Share of the pushes, 0..=1.
        share: f64,
        /// For how long.
        length: Dur,
    },
    /// A share of the devices are clones of an image: PCs have one hardware id, Android devices have a serial number and an
    /// IMEI of few. Servers take the second for the first, enrolled again.
    Cloned {
        /// Share of the devices, 0..=1.
        share: f64,
    },
    /// Android, by Google: a share of the devices leave without a word.
    Silent {
        /// Share of the devices, 0..=1.
        share: f64,
    },
    /// Android: the device dozes when it has lain still.
    Doze {
        /// For so long.
        after: Dur,
    },
    /// Android: it never dozes, and restarts each night.
    Kiosk {
        /// When, from midnight in UTC.
        reboots_at: Dur,
    },
    /// Android: the work profile is paused for a share of the time.
    Paused {
        /// Share of the time, 0..=1.
        share: f64,
        /// How long it is paused at a stretch, above 0.
        spell: Dur,
    },
    /// Android: what is large waits for a share of the time.
    Metered {
        /// Share of the time, 0..=1.
        share: f64,
        /// How long it waits at a stretch, above 0.
        spell: Dur,
    },
}

/// How long after a push that it heard a device connects: log-normal.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Wake {
    /// Half of all is below.
    pub median: Dur,
    /// Standard deviation of the logarithm: 0.5 puts p95 at 2.3 times the median, 1.0 at 5.2 times.
    pub sigma: f64,
}

/// How a device retries what failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Retry {
    /// As the platform does it.
    #[default]
    AsPlatform,
    /// Always after the same time.
    Flat,
    /// Doubling up to a cap, without jitter: makes herds.
    Capped,
    /// Doubling up to a cap, evenly drawn below it.
    Jittered,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn remainders_add_up(weights in proptest::collection::vec(0.0_f64..10.0, 1..8), total in 0_u32..10_000) {
            let counts = largest_remainder(&weights, total);
            prop_assert_eq!(counts.iter().sum::<u32>(), total);
            let sum: f64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(&weights) {
                if sum > 0.0 {
                    prop_assert!((f64::from(*count) - f64::from(total) * weight / sum).abs() < 1.0);
                }
            }
        }
    }

    #[test]
    fn a_mix_is_exact_and_shuffled() {
        let models = Mix::by_weight(&[("iPhone16,1".into(), 3.0), ("iPhone15,4".into(), 1.0)], 1_000);
        let population = Population {
            ix: PopulationIx(1),
            name: "phones".into(),
            platform: Platform::Ios,
            devices: 500..1_500,
            users: 0,
            android: None,
            lanes: 500..1_500,
            os_versions: Mix::default(),
            models,
            behaviours: Vec::new(),
            wake: Wake { median: Dur::ZERO, sigma: 0.0 },
            reenrolls_after_wipe: None,
            retry: Retry::AsPlatform,
        };
        let all: Vec<_> = (500..1_500).map(|d| population.model(Dice::new(7), d)).collect();
        assert_eq!(all.iter().filter(|m| **m == "iPhone16,1").count(), 750);
        assert!(all[..100].contains(&"iPhone15,4"));
    }
}
