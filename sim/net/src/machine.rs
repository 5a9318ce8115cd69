//! What this machine sets limits to, how far they are from what a fleet needs, and what lifts them. Linux tells; of
//! other systems only the open files are known.

use crate::files::OpenFiles;
use serde::Serialize;
use std::fs;

/// One limit of the machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Limit {
    /// What is limited.
    pub what: &'static str,
    /// As the machine has it.
    pub is: String,
    /// What it means for a run.
    pub means: String,
    /// What lifts it, where it stands in the way.
    pub cure: Option<String>,
}

/// Where the machine tells of itself; a test has its own.
pub trait Told {
    /// The text of a file of `/proc` or `/sys`, if it is there.
    fn read(&self, path: &str) -> Option<String>;
}

/// This machine.
#[derive(Clone, Copy, Debug)]
pub struct Here;

impl Told for Here {
    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(path).ok()
    }
}

/// Every limit that is known, for a run with so many connections at once, and so many of them in the process that has
/// the most. Targets on loopback are met from 64 addresses.
pub fn limits(told: &impl Told, files: Option<OpenFiles>, connections: u64, a_process: u64) -> Vec<Limit> {
    let number = |path: &str| told.read(path).and_then(|text| text.trim().parse::<u64>().ok());
    let mut limits = Vec::new();
    if let Some(files) = files {
        let short = files.shortage(a_process);
        limits.push(Limit {
            what: "open files of a process",
            is: format!("{} (at most {})", files.soft, files.hard),
            means: format!(
                "{} connections at once; with the practice server in the same process half of them",
                files.connections_max()
            ),
            cure: short,
        });
    }
    if let Some((low, high)) = told.read("/proc/sys/net/ipv4/ip_local_port_range").as_deref().and_then(range) {
        let ports = high.saturating_sub(low) + 1;
        limits.push(Limit {
            what: "source ports",
            is: format!("{low} to {high}"),
            means: format!("{ports} connections to one address from one address; {} on loopback", ports * 64),
            cure: (connections > ports)
                .then(|| "sysctl -w net.ipv4.ip_local_port_range='1024 65535'; or more addresses".to_owned()),
        });
    }
    if let Some(backlog) = number("/proc/sys/net/core/somaxconn") {
        limits.push(Limit {
            what: "connections that wait to be accepted",
            is: backlog.to_string(),
            means: "more at once are tried again after a second by the system, which shows as a slow connect"
                .to_owned(),
            cure: (backlog < 4_096).then(|| "sysctl -w net.core.somaxconn=4096".to_owned()),
        });
    }
    if let Some(tracked) = number("/proc/sys/net/netfilter/nf_conntrack_max") {
        limits.push(Limit {
            what: "tracked connections",
            is: tracked.to_string(),
            means: "more are dropped without a word".to_owned(),
            cure: (tracked < 2 * connections)
                .then(|| format!("sysctl -w net.netfilter.nf_conntrack_max={}", 2 * connections)),
        });
    }
    limits.extend(memory(told, connections));
    if let Some(quota) = quota(told) {
        limits.push(Limit {
            what: "processors by cgroup",
            is: format!("{quota:.2}"),
            means: "the generator is stopped when it has used them up, which shows as lag".to_owned(),
            cure: Some("give the container more processors, or --shards no more than these".to_owned()),
        });
    }
    if let Some(source) = told.read("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        let source = source.trim().to_owned();
        let is_fast = matches!(source.as_str(), "tsc" | "kvm-clock" | "arch_sys_counter");
        limits.push(Limit {
            what: "clock",
            means: if is_fast { "read without a system call" } else { "each reading is a system call" }.to_owned(),
            cure: (!is_fast).then(|| "boot with clocksource=tsc, if the machine's clock is steady".to_owned()),
            is: source,
        });
    }
    limits
}

/// Processors that this process may use: those of its affinity, or as many as its cgroup gives it if they are fewer.
pub fn cores(told: &impl Told) -> Option<f64> {
    let status = told.read("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let allowed = list.trim().split(',').map(count).sum::<Option<u32>>().filter(|&cores| cores > 0)?;
    Some(quota(told).map_or(f64::from(allowed), |quota| quota.min(f64::from(allowed))))
}

/// The processor's model (proc(5)); ARM's kernels name none, and say a number of the part.
pub fn processor(told: &impl Told) -> Option<String> {
    let info = told.read("/proc/cpuinfo")?;
    let named = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start().strip_prefix(':').map(|value| value.trim().to_owned())
    };
    named("model name").or_else(|| named("CPU part").map(|part| format!("part {part}")))
}

/// The kernel's release.
pub fn kernel(told: &impl Told) -> Option<String> {
    told.read("/proc/sys/kernel/osrelease").map(|release| release.trim().to_owned())
}

/// How many numbers there are in `3` or `0-7`.
fn count(range: &str) -> Option<u32> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
}

/// Processors that the cgroup gives, if it sets them a bound.
fn quota(told: &impl Told) -> Option<f64> {
    let text = told.read("/sys/fs/cgroup/cpu.max")?;
    let mut words = text.split_whitespace().map(|word| word.parse::<f64>().ok());
    Some(words.next()?? / words.next()??).filter(|quota| quota.is_finite() && *quota > 0.0)
}

/// Memory of the machine and of the cgroup. An open session with TLS takes 26 KB here and 6 KB in the kernel.
fn memory(told: &impl Told, connections: u64) -> Vec<Limit> {
    const SESSION_BYTES: u64 = 32 << 10;
    let needs = connections * SESSION_BYTES;
    let available = told.read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.to_owned();
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb << 10)
    });
    let cgroup = told.read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<u64>().ok());
    let limit = |what, bytes: u64| Limit {
        what,
        is: format!("{} MB", bytes >> 20),
        means: format!("{} sessions open at once", bytes / SESSION_BYTES),
        cure: (bytes < needs).then(|| "more memory, or fewer connections (`bounds.connections_max`)".to_owned()),
    };
    let machine = available.map(|bytes| limit("memory that is free", bytes));
    machine.into_iter().chain(cgroup.map(|bytes| limit("memory by cgroup", bytes))).collect()
}

fn range(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    impl Told for BTreeMap<&str, &str> {
        fn read(&self, path: &str) -> Option<String> {
            self.get(path).map(|text| (*text).to_owned())
        }
    }

    fn machine() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ("/proc/sys/net/core/somaxconn", "128\n"),
            ("/proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
            ("/proc/meminfo", "MemTotal: 999 kB\nMemAvailable:    1048576 kB\n"),
            ("/sys/fs/cgroup/memory.max", "max\n"),
            ("/sys/fs/cgroup/cpu.max", "150000 100000\n"),
            ("/proc/self/status", "Name:\tdroves\nCpus_allowed_list:\t0-2,8\n"),
            ("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Abacus 3\n\nprocessor\t: 1\nmodel name\t: Abacus 3\n"),
            ("/proc/sys/kernel/osrelease", "6.1.0-abacus\n"),
            ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"),
        ])
    }

    #[test]
    fn what_stands_in_the_way_has_a_cure_and_the_rest_has_none() {
        let cures = |connections| {
            let all = limits(&machine(), None, connections, connections);
            all.into_iter().filter(|limit| limit.cure.is_some()).map(|limit| limit.what).collect::<Vec<_>>()
        };
        let always = ["connections that wait to be accepted", "processors by cgroup", "clock"];
        assert_eq!(cures(1_000), always);
        let many = cures(100_000);
        for what in ["source ports", "tracked connections", "memory that is free"] {
            assert!(many.contains(&what), "{what}: {many:?}");
        }
    }

    #[test]
    fn cores_are_those_of_the_affinity_and_of_the_cgroup() {
        let mut machine = machine();
        assert_eq!(cores(&machine), Some(1.5));
        machine.insert("/sys/fs/cgroup/cpu.max", "max 100000\n");
        assert_eq!(cores(&machine), Some(4.0));
        machine.insert("/sys/fs/cgroup/cpu.max", "1600000 100000\n");
        assert_eq!(cores(&machine), Some(4.0));
        for odd in ["", "Cpus_allowed_list:\t7-0\n", "Cpus_allowed_list:\t0-4294967295\n", "Cpus_allowed_list:\tall\n"]
        {
            machine.insert("/proc/self/status", odd);
            assert_eq!(cores(&machine), None, "{odd}");
        }
    }

    #[test]
    fn a_machine_has_a_name() {
        let mut machine = machine();
        assert_eq!(processor(&machine).as_deref(), Some("Abacus 3"));
        assert_eq!(kernel(&machine).as_deref(), Some("6.1.0-abacus"));
        machine.insert("/proc/cpuinfo", "processor\t: 0\nCPU part\t: 0xd0c\n");
        assert_eq!(processor(&machine).as_deref(), Some("part 0xd0c"));
    }

    #[test]
    fn a_machine_that_says_nothing_or_nonsense_has_no_limits() {
        assert!(limits(&BTreeMap::new(), None, 10, 10).is_empty());
        let odd: BTreeMap<&str, &str> = machine().into_keys().map(|path| (path, "what?")).collect();
        assert!(limits(&odd, None, 10, 10).iter().all(|limit| limit.what == "clock"));
    }
}
