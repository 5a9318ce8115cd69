//! The compiled plan: what the shard, the engine and the forecast read.
//!
//! Plain data and pure functions; every question about it has the same answer on every machine. Indexes are those of
//! [`droves_facts`]; times count from the run's or a phase's start, as each field says.

mod arrivals;
mod command;
mod permutation;
mod roster;
mod selection;
mod target;

pub use arrivals::{Arrival, Arrivals, Schedule, Stream};
pub use command::{Asks, Command, Format, Node, Order, Payload, Request, SyncCommand, Value, Verb};
pub use permutation::Permutation;
pub use roster::Roster;
pub use selection::{Channels, Selection};
pub use target::{AndroidServer, Http, PollSet, Resumption, Target, Tls, WindowsAuth, WindowsServer};

use droves_facts::{Dice, Dur, Family, PhaseIx, Platform, PopulationIx, Purpose};
pub use droves_wire::android::adp::Mode;
use droves_wire::windows::soap::FaultKind as SoapFault;
use std::ops::Range;

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
    /// Windows: a share of the devices have one hardware id, as clones of one image do. Servers take the second for the
    /// first, enrolled again.
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

/// How long something takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Delay {
    /// Always the same.
    Fixed(Dur),
    /// Evenly between two.
    Uniform {
        /// At least.
        from: Dur,
        /// At most.
        to: Dur,
    },
    /// Log-normal: half is below the median, and the tail is long.
    Lognormal {
        /// Half of all is below.
        median: Dur,
        /// Standard deviation of the logarithm: 0.5 puts p95 at 2.3 times the median, 1.0 at 5.2 times.
        sigma: f64,
    },
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

/// Something that happens.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Its place among the phases.
    pub ix: PhaseIx,
    /// Its name, unique in the plan.
    pub name: String,
    /// How long after its step's start it begins.
    pub after: Dur,
    /// What.
    pub action: Action,
    /// When it is over.
    pub until: Until,
}

impl Phase {
    /// Whom it drives and when; none for [`Action::Wait`].
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.action {
            Action::Enroll(s) | Action::CheckIn(s) | Action::Push(s) | Action::Unenroll(s) | Action::Renew(s) => {
                Some(s)
            }
            Action::Command { schedule, .. } => Some(schedule),
            Action::Wait => None,
        }
    }

    /// How many arrivals, or commands where it queues any, its condition is a share of.
    pub fn planned(&self) -> u64 {
        let arrivals = self.schedule().map_or(0, Schedule::planned);
        match &self.action {
            Action::Command { command, .. } => arrivals * u64::from(command.parts()),
            _ => arrivals,
        }
    }
}

/// What a phase does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Devices enroll. The selection is of device channels; a device's user channels follow it by themselves.
    Enroll(Schedule),
    /// Lanes connect by themselves and ask for commands.
    CheckIn(Schedule),
    /// The administrator queues a command.
    Command {
        /// For whom, and when. Arrivals that are due together go into common calls, as the profile allows.
        schedule: Schedule,
        /// What.
        command: Command,
        /// Whether a push is asked for, through the server's own API, once the command is queued.
        push: bool,
    },
    /// The administrator asks the server to push.
    Push(Schedule),
    /// Devices leave (a CheckOut where the profile asks for one). The selection is of device channels.
    Unenroll(Schedule),
    /// Devices renew their identity. The selection is of device channels.
    Renew(Schedule),
    /// Nothing new is begun.
    Wait,
}

/// When a phase is over: at `length`, or once the condition holds, or, in vain, at `within`. At least one of `length`
/// and `within` is there, so that every run ends.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Until {
    /// It lasts this long, and arrivals are due only before it.
    pub length: Option<Dur>,
    /// It ends as soon as this holds.
    pub condition: Option<Condition>,
    /// If the condition does not hold by then, the phase ends as failed, and the run goes on.
    pub within: Option<Dur>,
}

impl Until {
    /// The longest that the phase can last.
    pub fn limit(self) -> Option<Dur> {
        match (self.length, self.within) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// What ends a phase. A share is of what the phase is about, 0..=1; reached means at least that share, rounded up to
/// whole ones.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Condition {
    /// This share of the chosen devices is enrolled.
    Enrolled(f64),
    /// This share of the planned commands has an accepted answer.
    Accepted(f64),
    /// This share of the planned arrivals has its outcome: an operation ended (well or not), a command accepted,
    /// refused or unreachable.
    Done(f64),
}

impl Condition {
    /// How many of `total` make it hold.
    pub fn needed(self, total: u64) -> u64 {
        let (Condition::Enrolled(share) | Condition::Accepted(share) | Condition::Done(share)) = self;
        // A share such as 0.999 is not a binary number: what is a whole number but for rounding is that number.
        ((share * total as f64 - 1e-6).ceil() as u64).min(total)
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

/// What goes wrong on purpose.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What.
    pub what: FaultKind,
    /// How often it strikes, of notifications, connections or requests.
    pub strikes: Strikes,
    /// Whom it strikes: populations, as places in [`Plan::populations`]; none is all.
    pub who: Option<Vec<PopulationIx>>,
    /// While this phase runs; none is the whole run.
    pub during: Option<PhaseIx>,
    /// How long after that phase's (or the run's) start it begins.
    pub after: Dur,
    /// How long it lasts; none is to the end.
    pub length: Option<Dur>,
}

/// How often a fault strikes among those that it could strike.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Strikes {
    /// This share of them, 0..=1, drawn one by one.
    Share(f64),
    /// One of them: the n-th, counted from 1.
    Nth(u64),
}

/// What can go wrong on purpose, and where.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum FaultKind {
    /// The push service answers with this HTTP status, one of 400, 403, 404, 405, 410, 413, 429, 500 and 503.
    PushAnswer(u16),
    /// The push service answers well, and the notification is lost.
    PushLost,
    /// Bytes take this long, each way halved, from connect on.
    NetworkLatency(Delay),
    /// The connection is reset once it stands.
    NetworkReset,
    /// The connect is refused.
    NetworkRefused,
    /// Bytes a second of a connection, in each direction.
    NetworkBandwidth(u64),
    /// What the practice server does wrong.
    Server(ServerFault),
    /// What Google does wrong, and to which method or type of notification; none is all.
    Google(GoogleFault, Option<&'static str>),
}

/// What Google, as it is played, can be told to do wrong: the first three to calls, the others to notifications.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum GoogleFault {
    /// Refuses with this HTTP status: 304, 429, 500 or 503.
    Answer(u16),
    /// Refuses with 500, in the words of a quota that is used up.
    QuotaAsInternal,
    /// Answers late.
    Slow(Delay),
    /// Publishes nothing.
    Lose,
    /// Delivers, and so much later once more.
    Repeat(Delay),
    /// Delivers late.
    Late(Delay),
    /// Reports a device that has left once more.
    Forgotten,
    /// Reports a device that has enrolled anew under its old name.
    Stale,
}

/// What the practice server can be told to do wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ServerFault {
    /// Answers with this HTTP status.
    Answer(u16),
    /// Answers late.
    Slow(Delay),
    /// Closes the connection in place of an answer.
    HangUp,
    /// Accepts a command from the administrator, and forgets it.
    LoseCommand,
    /// Delivers a command again after its accepted answer.
    RepeatCommand,
    /// Delivers a command to another device.
    MisdeliverCommand,
    /// Accepts a command, and never asks for the push.
    ForgetPush,
    /// Answers with a web page, and says that all is well.
    Html,
    /// Answers in chunks, without saying how long the answer is, which Windows refuses while it enrolls.
    Chunked,
    /// Answers with XML that is not well-formed.
    IllFormed,
    /// Gives statuses to a message that Windows has not sent.
    WrongReference,
    /// Refuses an enrollment of Windows with this SOAP fault.
    Refuse(SoapFault),
    /// Signs a configuration for an agent on Android with what is not the secret.
    WrongSignature,
    /// Forgets a command for which Google's quota is used up.
    LoseOnQuota,
    /// Answers 502 to what Google tells of an Android device that it does not know any more.
    CrashOnForgotten,
    /// Takes a command as done for which Google knows no such device.
    GoneIsDone,
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

    #[test]
    fn conditions_round_up_but_not_past_a_whole_number() {
        assert_eq!(Condition::Accepted(0.999).needed(1_000), 999);
        assert_eq!(Condition::Accepted(0.999).needed(1_001), 1_000);
        assert_eq!(Condition::Enrolled(1.0).needed(7), 7);
        assert_eq!(Condition::Done(0.0).needed(7), 0);
    }
}
