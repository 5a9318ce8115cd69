//! A configuration that fails, made smaller as long as it fails in the same way.

use crate::config::{Config, Other};
use crate::plants::Plant;
use crate::trial;

/// Tries, of which each is one play; every thing that a configuration has is tried at least twice.
const TRIES_MAX: usize = 400;

/// The smallest that was found.
pub(crate) fn shrink(config: &Config, demand: &str, plant: Option<Plant>) -> Config {
    let (mut smallest, mut tries) = (config.clone(), 0);
    'again: loop {
        for smaller in smaller(&smallest) {
            tries += 1;
            if tries > TRIES_MAX {
                return smallest;
            }
            if fails(&smaller, demand, plant) {
                smallest = smaller;
                continue 'again;
            }
        }
        return smallest;
    }
}

/// Whether it fails so. What is no configuration does not.
pub(crate) fn fails(config: &Config, demand: &str, plant: Option<Plant>) -> bool {
    let trial = if demand == "the same twice" {
        trial::twice(config, plant).map(|trial| trial.played)
    } else {
        trial::play(config, plant)
    };
    trial.is_ok_and(|played| played.broken.first().is_some_and(|broken| broken.demand == demand))
}

/// The same with one thing less, the largest first.
fn smaller(config: &Config) -> Vec<Config> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Config)| {
        let mut smaller = config.clone();
        change(&mut smaller);
        if smaller != *config {
            all.push(smaller);
        }
    };
    with(&|c| c.crashes.clear());
    with(&|c| c.faults.clear());
    for n in 0..config.populations.len() {
        with(&|c| c.populations = without(&c.populations, n));
    }
    for n in 1..config.steps.len() {
        with(&|c| c.steps = without(&c.steps, n));
    }
    for (n, step) in config.steps.iter().enumerate().filter(|(_, step)| step.len() > 1) {
        for m in 0..step.len() {
            with(&|c| c.steps[n] = without(&c.steps[n], m));
        }
    }
    for n in 0..config.faults.len() {
        with(&|c| c.faults = without(&c.faults, n));
    }
    for n in 0..config.crashes.len() {
        with(&|c| c.crashes = without(&c.crashes, n));
        with(&|c| c.crashes[n].after /= 2);
        with(&|c| c.crashes[n].down_s = 0);
    }
    for n in 0..config.populations.len() {
        with(&|c| c.populations[n].count = 1);
        with(&|c| c.populations[n].count = (c.populations[n].count / 2).max(1));
        with(&|c| c.populations[n].count = (c.populations[n].count - 1).max(1));
        with(&|c| c.populations[n].is = plainer(&c.populations[n].is));
    }
    with(&|c| c.has_store = false);
    with(&|c| c.is_minted = false);
    with(&|c| c.has_fcm = false);
    with(&|c| c.room = None);
    with(&|c| c.on_overload = "catch_up".to_owned());
    with(&|c| c.again = false);
    with(&|c| c.other = Other { identity: c.other.identity, ..Other::default() });
    let well: [fn(&mut Other); 18] = [
        |o| o.identity = Default::default(),
        |o| o.failures = 0,
        |o| o.outage_s = None,
        |o| o.connects_lost = 0,
        |o| o.answers_lost = 0,
        |o| o.queue = None,
        |o| o.workers = None,
        |o| o.bytes_per_s = None,
        |o| o.pushes_late = 0,
        |o| o.pushes_twice = 0,
        |o| o.pushes_stale = 0,
        |o| o.pushes_old = 0,
        |o| o.links_cut = 0,
        |o| o.push_ms = 0,
        |o| o.service_us = 0,
        |o| o.round_trip_ms = 0,
        |o| o.save_ms = 0,
        |o| o.make_ms = 0,
    ];
    for change in well {
        with(&|c| change(&mut c.other));
    }
    all
}

/// All but one.
fn without<T: Clone>(all: &[T], n: usize) -> Vec<T> {
    let kept = all.iter().enumerate().filter(|(m, _)| *m != n);
    kept.map(|(_, one)| one.clone()).collect()
}

/// A population without what it does beside obeying.
fn plainer(is: &str) -> String {
    let says_what = |part: &&str| ["platform", "managed_by", "users"].iter().any(|word| part.starts_with(word));
    let kept = is.split(", ").filter(says_what);
    kept.collect::<Vec<_>>().join(", ")
}
