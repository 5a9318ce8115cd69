//! What the generator costs the machine: processor time, memory, open files, and what the machine took from it.

use droves_facts::Wall;
use droves_net::cpu;
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// A look at a process, or at several, and at their machine.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Health {
    /// Processor time so far, in seconds.
    pub cpu_s: f64,
    /// The most memory that it ever had resident, in bytes.
    pub rss_bytes_max: u64,
    /// Files that are open now, of several processes in that which has the most; 0 where the system does not say.
    pub fds: u64,
    /// Time in which the machine's processors were wanted and given to others, in seconds since it started.
    pub steal_s: f64,
}

impl Health {
    /// Looks. What the system does not say is 0.
    pub fn look() -> Self {
        Health::look_with(0)
    }

    /// Of two processes together.
    pub(crate) fn and(self, other: Health) -> Health {
        Health {
            cpu_s: self.cpu_s + other.cpu_s,
            rss_bytes_max: self.rss_bytes_max + other.rss_bytes_max,
            fds: self.fds.max(other.fds),
            steal_s: self.steal_s,
        }
    }

    /// Looks, but does not count the open files again if they are known.
    pub(crate) fn look_with(fds: u64) -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        Health {
            cpu_s: cpu::of_process().as_secs_f64(),
            // Linux counts in KiB, macOS in bytes.
            rss_bytes_max: usage
                .map_or(0, |u| u.max_rss().unsigned_abs() * if cfg!(target_os = "linux") { 1_024 } else { 1 }),
            fds: if fds > 0 { fds } else { fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64) },
            steal_s: steal().unwrap_or(0.0),
        }
    }
}

/// The eighth number of the first line of `/proc/stat` (proc(5)), in ticks of a hundredth of a second.
fn steal() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: f64 = stat.lines().next()?.split_whitespace().nth(8)?.parse().ok()?;
    Some(ticks / 100.0)
}

/// The true wall time.
pub(crate) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
