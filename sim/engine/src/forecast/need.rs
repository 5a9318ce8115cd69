//! How many machines a load needs: processors by what each kind of work costs, open files, source ports.

use droves_measure::{Calibration, LoadSecond, Offer};
use serde::Serialize;

/// Open files of a process that can be had everywhere: some systems set no more, and let nobody raise it.
pub const FILES_MAX: u64 = 20_000;
/// Source ports from one address to one address: Linux' default range, 32768 to 60999.
pub const PORTS: u64 = 28_232;
/// A port is not free again for so long after its connection, in seconds (TIME_WAIT of Linux).
const PORT_WAIT_S: usize = 60;
/// How much of its processors a generator may use: at 80 % it begins what is due within milliseconds (docs/performance.md).
const SHARE: f64 = 0.8;

/// Where the default costs come from.
const SOURCE_OF_COSTS: &str =
    "docs/performance.md, a machine at a quarter of its speed; `droves calibrate` measures this one";

/// What work costs where nothing was measured, in microseconds of one core.
///
/// From the table of docs/performance.md: a session of 3 requests takes 2,426 with an RSA certificate and 1,424 with
/// P-256, a request more 44, a signature 918, a device enrolled 6,529. What is not in it is the nearest above: a handshake
/// without a certificate is one with P-256, a connect or a push is a request.
const DEFAULT_COSTS: [(Offer, f64); 7] = [
    (Offer::Connect, 44.0),
    (Offer::Handshake, 1_424.0 - 3.0 * 44.0),
    (Offer::HandshakeRsa, 2_426.0 - 3.0 * 44.0),
    (Offer::Request, 44.0),
    (Offer::SignRsa, 918.0),
    (Offer::Scep, 6_529.0 - 2_426.0),
    (Offer::Push, 44.0),
];

/// What work costs, and of whom that is known.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Costs {
    /// Microseconds of one core, by kind of work.
    pub us: Vec<(&'static str, f64)>,
    /// Processors of a machine.
    pub cores: f64,
    /// Where the costs come from.
    pub source: String,
}

impl Costs {
    /// Of a machine that was calibrated.
    pub fn calibrated(calibration: &Calibration) -> Self {
        let us = DEFAULT_COSTS.map(|(offer, _)| (offer.name(), calibration.us(offer)));
        let source = format!("this machine, calibrated {}", calibration.measured);
        Costs { us: us.to_vec(), cores: calibration.machine.cores, source }
    }

    /// Of no machine in particular.
    pub fn default_of(cores: f64) -> Self {
        let us = DEFAULT_COSTS.map(|(offer, us)| (offer.name(), us));
        Costs { us: us.to_vec(), cores, source: SOURCE_OF_COSTS.to_owned() }
    }

    /// Processor time of a second's work, in seconds.
    fn of(&self, second: &LoadSecond) -> f64 {
        let us: f64 = self.us.iter().map(|(name, us)| count(second, name) as f64 * us).sum();
        us / 1e6
    }
}

/// How often a kind of work is done in a second.
fn count(second: &LoadSecond, offer: &str) -> u32 {
    let LoadSecond { connects, handshakes, shown, requests, signed, issues, pushes, .. } = *second;
    match offer {
        "connect" => connects - handshakes.min(connects),
        "handshake" => handshakes - shown.min(handshakes),
        "handshake_rsa" => shown,
        "request" => requests,
        "sign_rsa" => signed,
        "scep" => issues,
        "push" => pushes,
        _ => 0,
    }
}

/// What a load needs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Need {
    /// Machines.
    pub machines: u64,
    /// What they are needed for: `processors`, `source ports`.
    pub limit: &'static str,
    /// Cores that the fullest second takes.
    pub cores_peak: f64,
    /// Which second that is.
    pub cores_peak_s: usize,
    /// Core-seconds of the whole run.
    pub cpu_s: f64,
    /// Most sessions open at a time; each has a file.
    pub open_max: u32,
    /// Processes with [`FILES_MAX`] open files each.
    pub processes: u64,
    /// Most ports taken at a time, those that wait among them.
    pub ports_max: u64,
    /// Source addresses, with [`PORTS`] each.
    pub addresses: u64,
    /// What it was reckoned with.
    pub costs: Costs,
}

impl Need {
    /// Of a load, at these costs.
    pub fn of(seconds: &[LoadSecond], costs: Costs) -> Self {
        let cpu: Vec<f64> = seconds.iter().map(|second| costs.of(second)).collect();
        let mut peak = (0, 0.0);
        for (at, &cores) in cpu.iter().enumerate() {
            if cores > peak.1 {
                peak = (at, cores);
            }
        }
        let (cores_peak_s, cores_peak) = peak;
        let open_max = seconds.iter().map(|second| second.open_max).max().unwrap_or(0);
        let mut waiting = 0_u64;
        let mut ports_max = 0;
        for (at, second) in seconds.iter().enumerate() {
            waiting += u64::from(second.connects);
            if let Some(freed) = at.checked_sub(PORT_WAIT_S) {
                waiting -= u64::from(seconds[freed].connects);
            }
            ports_max = ports_max.max(waiting);
        }
        let by_cores = (cores_peak / (costs.cores * SHARE)).ceil() as u64;
        let addresses = ports_max.div_ceil(PORTS).max(1);
        let machines = by_cores.max(addresses).max(1);
        let limit = if addresses > by_cores { "source ports" } else { "processors" };
        let processes = u64::from(open_max).div_ceil(FILES_MAX).max(machines);
        let cpu_s = cpu.iter().sum();
        Need { machines, limit, cores_peak, cores_peak_s, cpu_s, open_max, processes, ports_max, addresses, costs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_second_says_how_many_cores() {
        let busy =
            LoadSecond { handshakes: 1_000, shown: 1_000, connects: 1_000, requests: 1_000, ..LoadSecond::default() };
        let quiet = LoadSecond { requests: 10, open_max: 45_000, ..LoadSecond::default() };
        let need = Need::of(&[quiet, busy, quiet], Costs::default_of(2.0));
        assert_eq!(need.cores_peak_s, 1);
        assert!((need.cores_peak - 1_000.0 * (2_294.0 + 44.0) / 1e6).abs() < 1e-9, "{}", need.cores_peak);
        assert_eq!((need.machines, need.limit, need.processes), (2, "processors", 3));
    }

    #[test]
    fn ports_that_wait_count() {
        let second = LoadSecond { connects: 1_000, handshakes: 0, ..LoadSecond::default() };
        let need = Need::of(&vec![second; 300], Costs::default_of(64.0));
        assert_eq!((need.ports_max, need.addresses, need.machines, need.limit), (60_000, 3, 3, "source ports"));
    }

    #[test]
    fn nothing_needs_one_machine() {
        assert_eq!(Need::of(&[], Costs::default_of(2.0)).machines, 1);
    }
}
