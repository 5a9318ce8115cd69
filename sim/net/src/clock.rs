//! Where the network's durations come from: a clock that is handed in.

use droves_facts::Mono;
use std::time::{Duration, Instant};

/// Tells microseconds since the start of the run.
pub trait Clock {
    /// Now.
    fn now(&self) -> Mono;
}

/// The run's clock: one start, shared by every shard of a process.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    start: Instant,
}

impl RunClock {
    /// A clock that stands at zero now.
    pub fn start() -> Self {
        RunClock { start: Instant::now() }
    }

    /// A clock that stands at this time now: another process began the run. Zero where the machine is younger.
    pub fn standing_at(now: Mono) -> Self {
        let here = Instant::now();
        RunClock { start: here.checked_sub(Duration::from_micros(now.0)).unwrap_or(here) }
    }
}

impl Clock for RunClock {
    fn now(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

impl<F: Fn() -> Mono> Clock for F {
    fn now(&self) -> Mono {
        self()
    }
}
