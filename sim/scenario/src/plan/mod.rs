//! The compiled plan: what the shard, the engine and the forecast read.
//!
//! Plain data and pure functions; every question about it has the same answer on every machine. Indexes are those of
//! [`droves_facts`]; times count from the run's or a phase's start, as each field says.

mod arrivals;
mod command;
mod fault;
mod permutation;
mod phase;
mod population;
mod roster;
mod selection;
mod target;

pub use arrivals::{Arrival, Arrivals, Schedule, Stream};
pub use command::{Asks, Command, Format, Node, Order, Payload, Request, SyncCommand, Value, Verb};
pub use fault::{Delay, Fault, FaultKind, GoogleFault, ServerFault, Strikes};
pub use permutation::Permutation;
pub use phase::{Action, Condition, Phase, Until};
pub use population::{Behaviour, Managed, Mix, Population, Retry, Wake, largest_remainder};
pub use roster::Roster;
pub use selection::{Channels, Selection};
pub use target::{AndroidServer, Http, PollSet, Resumption, Target, Tls, WindowsAuth, WindowsServer};

use droves_facts::{Dice, Dur, Family, PhaseIx};
pub use droves_wire::android::adp::Mode;

/// A whole run, decided.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name: its file's name without the ending, or what it calls itself.
    pub name: String,
    /// From which every draw comes.
    pub seed: u64,
    /// SHA-256, in hex, of the resolved scenario, its server profile and its payloads. Secrets are no part of it.
    pub hash: String,
    /// Who. Never empty.
    pub populations: Vec<Population>,
    /// In which order: the phases of a step run side by side, and a step begins when all phases of the one before it
    /// have ended.
    pub steps: Vec<Vec<PhaseIx>>,
    /// What happens; at its index.
    pub phases: Vec<Phase>,
    /// To which server.
    pub target: Target,
    /// RSA keys of the devices.
    pub keys: Keys,
    /// What goes wrong on purpose.
    pub faults: Vec<Fault>,
    /// What must hold. The text is parsed and checked by `measure`, before the run.
    pub thresholds: Vec<ThresholdLine>,
    /// What the generator allows itself.
    pub bounds: Bounds,
    /// Which HTTP the devices speak.
    pub http: Http,
    /// Whether TLS sessions are resumed.
    pub resumption: Resumption,
    /// Whom the devices trust.
    pub tls: Tls,
}

impl Plan {
    /// The run's dice.
    pub fn dice(&self) -> Dice {
        Dice::new(self.seed)
    }

    /// Whether there are devices of this family.
    pub fn has(&self, family: Family) -> bool {
        self.populations.iter().any(|population| population.platform.family() == family)
    }

    /// Whether a phase has the administrator queue commands that can be followed by their names.
    pub fn queues_commands(&self) -> bool {
        let target = &self.target;
        self.phases.iter().any(|phase| match &phase.action {
            Action::Command { command, .. } => target.profile.names_commands(command.queueing()),
            _ => false,
        })
    }

    /// Who is who.
    pub fn roster(&self) -> Roster {
        Roster::of(&self.populations)
    }
}

/// RSA keys of the devices. Certificates are not shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys {
    /// So many, shared.
    Pool(u32),
    /// One each: 60 to 80 ms of one core a device.
    Unique,
}

/// What the generator allows itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// A run whose 99th percentile of lag is above this is invalid; an arrival that starts later than this is *late*.
    pub lag_max: Dur,
    /// Connections open at a time, over all shards.
    pub connections_max: u32,
    /// What becomes of due work for which there is no room.
    pub on_overload: Overload,
}

/// What becomes of due work for which there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Overload {
    /// It waits, and is late.
    #[default]
    CatchUp,
    /// It waits, and what is due for the same lane meanwhile is one with it.
    Merge,
    /// It is dropped, and counted. A push that finds a session open is not.
    Drop,
}

/// A line of the scenario's thresholds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdLine {
    /// `apple.command.response{phase: wifi profile}`.
    pub metric: String,
    /// `p(99)<500ms`.
    pub expression: String,
    /// Whether its failing ends the run.
    pub abort_on_fail: bool,
    /// It fails only if it has not held for this long.
    pub lasting: Option<Dur>,
    /// Where the metric's name stands, for error messages.
    pub metric_place: Place,
    /// Where the expression stands, for error messages.
    pub place: Place,
}

/// A place in a scenario file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// In characters.
    pub width: u32,
}
