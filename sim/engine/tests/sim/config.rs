//! A configuration: who is played, what happens, what goes wrong. It is drawn from a seed, printed as a scenario, made
//! smaller, and kept.

use droves_facts::{Dur, Mono};
use droves_shard::forecast::{Model, Network, Server, Service};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::ops::Range;

/// The phase with which everything that goes wrong is over.
pub(crate) const HEALED: &str = "healed";
/// Every device enrolls once more.
pub(crate) const AGAIN: &str = "again";
/// Every channel connects, again and again.
pub(crate) const LAST: &str = "last";

/// One configuration.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Of the fleet, and of the other side.
    pub(crate) seed: u64,
    pub(crate) populations: Vec<Population>,
    /// One after the other; the phases of one are side by side.
    pub(crate) steps: Vec<Vec<Phase>>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) other: Other,
    pub(crate) crashes: Vec<Crash>,
    /// Whether the generator's disk is one that there is, with the fleet's own store on it, not a model of one.
    #[serde(default)]
    pub(crate) has_store: bool,
    /// Whether the devices are enrolled from the start, without having enrolled.
    #[serde(default)]
    pub(crate) is_minted: bool,
    /// Whether agents on Android are woken by FCM beside.
    #[serde(default)]
    pub(crate) has_fcm: bool,
    /// Sessions at a time.
    pub(crate) room: Option<usize>,
    /// What becomes of what is due when there is no room for it, as a scenario says it.
    pub(crate) on_overload: String,
    /// Whether every device enrolls once more when all is well again.
    pub(crate) again: bool,
}

/// Devices that are alike.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Population {
    pub(crate) name: String,
    pub(crate) count: u32,
    /// The rest, as a scenario says it.
    pub(crate) is: String,
}

/// Something that happens.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phase {
    pub(crate) name: String,
    /// Action and end, as a scenario says them.
    pub(crate) does: String,
}

/// A fault of the scenario's.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) during: String,
    /// What, and how often, as a scenario says it.
    pub(crate) is: String,
}

/// What a scenario can't say of the other side, of the generator's own disk, and of its keys. Shares are in percent.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Other {
    pub(crate) identity: Way,
    pub(crate) service_us: u64,
    pub(crate) is_exponential: bool,
    pub(crate) workers: Option<usize>,
    pub(crate) queue: Option<usize>,
    pub(crate) failures: u32,
    pub(crate) outage_s: Option<Range<u64>>,
    pub(crate) round_trip_ms: u64,
    pub(crate) bytes_per_s: Option<u64>,
    pub(crate) connects_lost: u32,
    /// Of the answers, after the server has acted.
    pub(crate) answers_lost: u32,
    pub(crate) push_ms: u64,
    pub(crate) pushes_late: u32,
    pub(crate) pushes_twice: u32,
    pub(crate) pushes_stale: u32,
    /// To the token before the one that the server was told last.
    #[serde(default)]
    pub(crate) pushes_old: u32,
    /// Of what is sent over links: it is lost, or its answer, and the link with it.
    #[serde(default)]
    pub(crate) links_cut: u32,
    pub(crate) save_ms: u64,
    pub(crate) make_ms: u64,
}

/// How devices get their identities.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    #[default]
    Scep,
    Acme,
    Pkcs12,
}

/// The generator is killed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crash {
    /// After so many answers, saves and pieces of work since the start, or since the crash before.
    pub(crate) after: u64,
    pub(crate) down_s: u64,
    /// Whether each save that was under way reached the disk, in percent, in their order.
    pub(crate) kept: u32,
}

impl Config {
    /// The scenario.
    pub(crate) fn yaml(&self) -> String {
        let vars = if self.has_fcm { ", vars: { firebase_project: sim }" } else { "" };
        let mut out = format!("droves: 1\ntarget: {{ server: practice{vars} }}\nfleet:\n  seed: {}\n", self.seed);
        line(&mut out, format_args!("  populations:"));
        for Population { name, count, is } in &self.populations {
            line(&mut out, format_args!("    {name}: {{ count: {count}, {is} }}"));
        }
        line(&mut out, format_args!("bounds: {{ on_overload: {} }}\nphases:", self.on_overload));
        for step in &self.steps {
            let side_by_side = step.len() > 1;
            if side_by_side {
                line(&mut out, format_args!("  - together:"));
            }
            let indent = if side_by_side { "      " } else { "  " };
            for Phase { name, does } in step {
                line(&mut out, format_args!("{indent}- {{ name: {name}, {does} }}"));
            }
        }
        line(&mut out, format_args!("  - {{ name: {HEALED}, wait: 3h }}"));
        if self.again {
            let does = "enroll: { who: all, arrivals: { rate: 2/s } }, until: { done: 100%, within: 2h }";
            line(&mut out, format_args!("  - {{ name: {AGAIN}, {does} }}\n  - {{ wait: 10m }}"));
        }
        // A device that is asked to restart, and has more to do, does it when it connects next.
        let does = "check_in: { who: all, channel: both, arrivals: { each: { every: 10m } } }, for: 2h";
        line(&mut out, format_args!("  - {{ name: {LAST}, {does} }}"));
        if !self.faults.is_empty() {
            line(&mut out, format_args!("faults:"));
        }
        for Fault { during, is } in &self.faults {
            line(&mut out, format_args!("  - {{ {is}, during: {during} }}"));
        }
        out
    }

    /// The scenario, and beside it what it can't say, as comments.
    pub(crate) fn text(&self) -> String {
        let mut out = self.yaml();
        let beside = serde_json::to_string(&self.other).unwrap_or_default();
        line(&mut out, format_args!("# the other side, until `{HEALED}` begins: {beside}"));
        if self.is_minted {
            line(&mut out, format_args!("# the fleet is minted, and the server knows it"));
        }
        if self.has_store {
            line(&mut out, format_args!("# the fleet's own store is on the disk"));
        }
        if let Some(room) = self.room {
            line(&mut out, format_args!("# room for {room} sessions at a time"));
        }
        for Crash { after, down_s, kept } in &self.crashes {
            let what =
                format!("{after} answers, saves and pieces of work; back after {down_s} s; {kept} % of the saves kept");
            line(&mut out, format_args!("# a crash after {what}"));
        }
        out
    }

    /// How many devices it has.
    pub(crate) fn devices(&self) -> u32 {
        self.populations.iter().map(|population| population.count).sum()
    }

    /// Whether it has devices with an agent of the server's own.
    pub(crate) fn has_agents(&self) -> bool {
        self.populations.iter().any(|population| population.is.contains("managed_by: agent"))
    }

    /// Whether some of them doze: they do what they are asked hours later.
    pub(crate) fn dozes(&self) -> bool {
        self.populations.iter().any(|population| population.is.contains("doze"))
    }

    /// Whether the administrator has devices wiped or removed.
    pub(crate) fn sends_away(&self) -> bool {
        let mut phases = self.steps.iter().flatten();
        phases.any(|phase| phase.does.contains("EraseDevice") || phase.does.contains("RemoveProfile"))
    }

    /// Whether all are enrolled from the start, and nothing makes any of them leave.
    pub(crate) fn keeps_all(&self) -> bool {
        let mut phases = self.steps.iter().flatten();
        let is_left = phases.any(|phase| phase.does.contains("enroll:")) || self.sends_away();
        self.is_minted && !is_left && !self.faults.iter().any(|fault| fault.is.contains("server: { answer"))
    }

    /// Whether a device that is asked for something may be passed over, also when all is well.
    pub(crate) fn passes_over(&self) -> bool {
        self.room.is_some() && self.on_overload == "drop"
    }

    /// Whether nothing goes wrong in it.
    pub(crate) fn is_calm(&self) -> bool {
        let Other { failures, outage_s, connects_lost, answers_lost, queue, .. } = &self.other;
        let is_calm = *failures == 0 && outage_s.is_none() && *connects_lost == 0 && *answers_lost == 0;
        is_calm && queue.is_none() && self.faults.is_empty() && self.crashes.is_empty()
    }
}

impl Other {
    /// What the model of the server and of the network makes of it.
    pub(crate) fn model(&self) -> Model {
        let takes = Dur::us(self.service_us);
        Model {
            server: Server {
                service: if self.is_exponential { Service::Exponential(takes) } else { Service::Fixed(takes) },
                workers: self.workers,
                queue: self.queue,
                failures: share(self.failures),
                outage: self.outage_s.as_ref().map(|at| Mono(Dur::secs(at.start).0)..Mono(Dur::secs(at.end).0)),
            },
            network: Network {
                round_trip: Dur::ms(self.round_trip_ms),
                bytes_per_s: self.bytes_per_s,
                loss: share(self.connects_lost),
                push: Dur::ms(self.push_ms),
            },
        }
    }

    /// The same, well again.
    pub(crate) fn healed(&self) -> Other {
        let well = Other::default();
        Other {
            service_us: self.service_us.min(50_000),
            identity: self.identity,
            save_ms: self.save_ms,
            make_ms: self.make_ms,
            ..well
        }
    }
}

/// Percent as a share.
pub(crate) fn share(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes everything");
}
