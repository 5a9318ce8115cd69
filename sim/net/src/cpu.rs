//! Processor time, of the calling thread and of the process. By `nix` (getrusage; POSIX.1-2017, `RUSAGE_THREAD` of Linux).

use droves_facts::Dur;
use nix::sys::resource::{Usage, UsageWho, getrusage};

/// Of the calling thread so far; of the process where the system has none for threads. 0 if it does not say.
pub fn of_thread() -> Dur {
    #[cfg(target_os = "linux")]
    let usage = getrusage(UsageWho::RUSAGE_THREAD);
    #[cfg(not(target_os = "linux"))]
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    usage.map_or(Dur::ZERO, |usage| spent(&usage))
}

/// Of the process so far. 0 if the system does not say.
pub fn of_process() -> Dur {
    getrusage(UsageWho::RUSAGE_SELF).map_or(Dur::ZERO, |usage| spent(&usage))
}

fn spent(usage: &Usage) -> Dur {
    let us = |t: nix::sys::time::TimeVal| t.tv_sec().unsigned_abs() * 1_000_000 + t.tv_usec().unsigned_abs();
    Dur(us(usage.user_time()) + us(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_and_a_thread_is_part_of_its_process() {
        let (thread, process) = (of_thread(), of_process());
        let mut sum = 0_u64;
        while of_thread() == thread {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(of_process() > process);
        assert!(of_process() >= of_thread());
    }
}
