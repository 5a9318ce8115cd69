//! What all figures are made with: a row, turns that alternate, the processor's time, memory.

use crate::fleet::Camp;
use crate::sink::Sink;
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// One figure: ours and its floor in the same unit, and the ratio to reach, at most.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) ours: f64,
    pub(crate) floor: f64,
    pub(crate) target: f64,
}

impl Row {
    pub(crate) fn new(name: &str, unit: &str, (ours, floor): (f64, f64), target: f64) -> Row {
        Row { name: name.to_owned(), unit: unit.to_owned(), ours, floor, target }
    }

    pub(crate) fn ratio(&self) -> f64 {
        self.ours / self.floor
    }
}

/// How much is done.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// Devices that check in.
    pub(crate) devices: u32,
    /// How long a run is.
    pub(crate) seconds: u32,
    /// Turns of what takes nanoseconds.
    pub(crate) turns: u32,
    /// Signatures, keys.
    pub(crate) samples: u32,
    /// Sessions held open: the first ones, and those whose memory is measured.
    pub(crate) held: (u32, u32),
    /// Idle devices: two sizes, the slope between which is meant.
    pub(crate) idle: (u32, u32),
    /// Lanes in virtual time.
    pub(crate) lanes: u32,
    /// Turns of floor and candidate, of which the medians count.
    pub(crate) rounds: usize,
    /// Whether its figures are for the docs.
    pub(crate) is_whole: bool,
}

pub(crate) const WHOLE: Scale = Scale {
    devices: 900,
    seconds: 6,
    turns: 3_000_000,
    samples: 1_000,
    held: (1_000, 6_000),
    idle: (20_000, 200_000),
    lanes: 1_000_000,
    rounds: 3,
    is_whole: true,
};
pub(crate) const QUICK: Scale = Scale {
    devices: 300,
    seconds: 3,
    turns: 300_000,
    samples: 200,
    held: (300, 1_500),
    idle: (4_000, 20_000),
    lanes: 100_000,
    rounds: 1,
    is_whole: false,
};

/// Where rows are measured.
pub(crate) struct Ground {
    pub(crate) scale: Scale,
    pub(crate) camp: Camp,
    pub(crate) sink: Sink,
}

impl Ground {
    pub(crate) fn lay(scale: Scale) -> Ground {
        let camp = Camp::pitch();
        let sink = Sink::start(camp.path(), false);
        Ground { scale, camp, sink }
    }
}

/// Says on stderr what comes next: the whole takes minutes.
pub(crate) fn begins(what: &str) {
    eprintln!("bench: {what}");
}

/// Processor time of the process so far, in seconds.
pub(crate) fn cpu_s() -> f64 {
    clock_s(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// The same of the thread that calls, to the nanosecond: what getrusage says of one is as old as the last tick.
pub(crate) fn thread_s() -> f64 {
    clock_s(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn clock_s(clock: ClockId) -> f64 {
    Duration::from(clock_gettime(clock).unwrap()).as_secs_f64()
}

/// What of the process's time was the kernel's.
pub(crate) fn system_s() -> f64 {
    let time = getrusage(UsageWho::RUSAGE_SELF).unwrap().system_time();
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// Resident memory of this process, in bytes: now, and at most so far.
pub(crate) fn resident() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0)
    };
    (kilobytes("VmRSS:") * 1_024.0, kilobytes("VmHWM:") * 1_024.0)
}

/// Processor time of one turn of a loop, in nanoseconds.
pub(crate) fn per_turn_ns(turns: u32, mut turn: impl FnMut(u32)) -> f64 {
    let before = thread_s();
    (0..turns).for_each(&mut turn);
    (thread_s() - before) * 1e9 / f64::from(turns)
}

/// Lets candidate and floor take turns, so that a noisy neighbour hits both, and gives the median of each.
pub(crate) fn in_turns(rounds: usize, mut ours: impl FnMut() -> f64, mut floor: impl FnMut() -> f64) -> (f64, f64) {
    let [ours, floor] = medians(rounds, || [ours(), floor()]);
    (ours, floor)
}

/// The median of each figure that a round gives.
pub(crate) fn medians<const N: usize>(rounds: usize, mut round: impl FnMut() -> [f64; N]) -> [f64; N] {
    let taken: Vec<[f64; N]> = (0..rounds).map(|_| round()).collect();
    std::array::from_fn(|place| {
        let mut values: Vec<f64> = taken.iter().map(|figures| figures[place]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}

/// What a reading of the clock takes, in nanoseconds: part of every sample.
pub(crate) fn clock_ns(turns: u32) -> f64 {
    per_turn_ns(turns, |_| _ = std::hint::black_box(Instant::now()))
}
