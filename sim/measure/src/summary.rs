//! `summary.json`: a run in figures, versioned, with a JSON Schema.

mod parts;

use crate::calibration::Near;
use crate::folds::Folds;
use crate::histogram::Latency;
use crate::ledger::Verdicts;
use crate::progress::states;
use droves_facts::{DeviceState, PhaseIx};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counted up whenever a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What folds can't know.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Surroundings {
    /// The run's name.
    pub run_id: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// SHA-256 of the plan.
    pub plan_hash: String,
    /// Devices of each platform.
    pub devices_by_platform: BTreeMap<String, u64>,
    /// Lanes in all.
    pub lanes: u64,
    /// Arrivals that the phases that began had planned.
    pub arrivals_planned: u64,
    /// Requests that had no end when the run ended.
    pub requests_unfinished: u64,
    /// Connections that stood when the run ended.
    pub connections_held: u64,
    /// Sessions that were open when the run ended.
    pub sessions_open: u64,
    /// The most that were open at once.
    pub sessions_open_max: u64,
    /// Phases that began.
    pub phases: Vec<PhaseSpan>,
    /// Processor time of the generator, without the practice server's.
    pub cpu_s: f64,
    /// Time that the machine's processors gave to others while they were wanted.
    pub steal_s: f64,
    /// For how long messages to worker processes were held up by full pipes, if there were processes.
    pub pipes_held_up_us: Option<u64>,
    /// Most files open at a time.
    pub fds_max: u64,
    /// Most memory resident.
    pub rss_bytes_max: u64,
    /// Processor time of the practice server, if there was one.
    pub practice_cpu_s: Option<f64>,
    /// How near the run came to what the machine can offer, if it is calibrated.
    pub near: Option<Near>,
    /// Why that is not known.
    pub not_calibrated: Option<String>,
    /// How each push service saw the pushes, by its name.
    pub push: BTreeMap<&'static str, PushService>,
    /// How Google saw its server, if it was played.
    pub google: Option<GoogleSummary>,
    /// What the ledger decided.
    pub verdicts: Verdicts,
    /// How the run ends for whoever called it.
    pub verdict: Verdict,
}

/// When a phase was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PhaseSpan {
    /// Its index.
    pub phase: PhaseIx,
    /// Its name.
    pub name: String,
    /// From when, in microseconds of the run.
    pub start_us: u64,
    /// Until when.
    pub end_us: u64,
    /// Whether what it waited for did not come in time.
    pub in_vain: bool,
}

/// How a run ends for whoever called it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct Verdict {
    /// The program's exit code.
    pub exit_code: u8,
    /// Why, in sentences. Empty if all is well.
    pub reasons: Vec<String>,
}

/// The exit code for everything that happened: the first in this order. (k6's where the meaning is the same.)
pub fn exit_code(happened: &[u8]) -> u8 {
    const ORDER: [u8; 10] = [2, 104, 113, 105, 114, 111, 110, 99, 112, 1];
    ORDER.into_iter().find(|code| happened.contains(code)).unwrap_or(0)
}

/// A run in figures. Times are in microseconds; a percentile over nothing is null.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// Version of this document.
    pub schema_version: u32,
    /// The run's name.
    pub run_id: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed of every draw.
    pub seed: u64,
    /// SHA-256 of the resolved plan.
    pub plan_hash: String,
    /// The fleet.
    pub devices: Devices,
    /// Lanes in all: device channels and user channels.
    pub lanes: u64,
    /// What the plan wanted to begin.
    pub arrivals: ArrivalsSummary,
    /// Requests of devices to the server.
    pub requests: Requests,
    /// What must add up.
    pub identities: Vec<Identity>,
    /// Sessions of devices.
    pub sessions: SessionsSummary,
    /// Management sessions of Windows devices.
    pub windows: WindowsSummary,
    /// Connections to the server.
    pub connections: ConnectionsSummary,
    /// Operations that happened, by name.
    pub operations: BTreeMap<String, OperationSummary>,
    /// The phases, in the order in which they began.
    pub phases: Vec<PhaseSummary>,
    /// What became of pushes.
    pub push: PushSummary,
    /// How Google saw the server of Android devices, if it was played.
    pub google: Option<GoogleSummary>,
    /// The hops of commands.
    pub fanout: FanoutSummary,
    /// What became of commands.
    pub ledger: Verdicts,
    /// What the server believes against what the devices hold.
    pub truth: TruthSummary,
    /// How the generator was.
    pub generator: Generator,
    /// The practice server, if it ran in the same process.
    pub practice: PracticeSummary,
    /// Failures in words, most frequent first.
    pub failures: Vec<FailureSummary>,
    /// How the run ends.
    pub verdict: Verdict,
}

/// The fleet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Devices {
    /// Devices of the plan.
    pub planned: u64,
    /// Enrolled at the end.
    pub enrolled: u64,
    /// Of the plan, by platform.
    pub by_platform: BTreeMap<String, u64>,
    /// At the end, by state.
    pub by_state: BTreeMap<String, u64>,
}

/// What the plan wanted to begin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ArrivalsSummary {
    /// Causes.
    pub planned: u64,
    /// Begun within the lag bound.
    pub on_time: u64,
    /// Begun later.
    pub late: u64,
    /// Served by a session that was open.
    pub merged: u64,
    /// Not begun.
    pub dropped: u64,
    /// Due, and not begun when the run ended: the device was busy with something else, or had no room.
    pub waiting: u64,
    /// Not due when the run, or their phase, ended.
    pub pending: u64,
}

/// Requests of devices to the server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Requests {
    /// Handed to the network.
    pub started: u64,
    /// Answered well.
    pub succeeded: u64,
    /// Not answered well.
    pub failed: u64,
    /// Under way when the run ended.
    pub unfinished: u64,
    /// The failed ones, by culprit.
    pub failed_by: BTreeMap<String, u64>,
}

/// Two figures that must be the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Identity {
    /// What.
    pub name: String,
    /// One.
    pub left: u64,
    /// The other.
    pub right: u64,
    /// Whether they are.
    pub holds: bool,
}

/// Sessions of devices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct SessionsSummary {
    /// Begun.
    pub started: u64,
    /// Over.
    pub ended: u64,
    /// Open when the run ended.
    pub open: u64,
    /// The most that were open at once, looked at four times a second.
    pub open_max: u64,
}

/// Connections to the server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConnectionsSummary {
    /// Stood.
    pub opened: u64,
    /// Of these, with a resumed handshake.
    pub resumed: u64,
    /// Of these, with TLS.
    pub tls: u64,
    /// Of these, with HTTP/2.
    pub http2: u64,
    /// Could not be opened.
    pub failed: u64,
    /// Ended by us.
    pub closed_by_us: u64,
    /// Ended by the peer or the network.
    pub closed_by_peer: u64,
}

/// One operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct OperationSummary {
    /// Samples, or ends where there are no samples.
    pub count: u64,
    /// Of these, failed.
    pub failed: u64,
    /// From the intended start.
    pub response_us: Latency,
    /// From the real start.
    pub service_us: Latency,
}

/// One phase.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct PhaseSummary {
    /// Its name.
    pub name: String,
    /// From when, in microseconds of the run.
    pub start_us: u64,
    /// Until when.
    pub end_us: u64,
    /// Whether what it waited for did not come in time.
    pub in_vain: bool,
    /// Operations that happened in it.
    pub operations: BTreeMap<String, OperationSummary>,
    /// The hops of the commands that were queued in it.
    pub fanout: FanoutSummary,
    /// How long it took until they were accepted.
    pub makespan_us: Makespan,
    /// Management sessions of Windows devices.
    pub windows: WindowsSummary,
}

/// Management sessions of Windows devices: of one or more SyncML messages from the device, until the server has no command
/// more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct WindowsSummary {
    /// Those that came to their end.
    pub sessions: u64,
    /// Messages that the device sent in one.
    pub messages_per_session: Latency,
    /// Nodes that the server's commands were about in one.
    pub nodes_per_session: Latency,
}

/// How long it took, from the first command asked for, until so many of the commands queued were accepted, to 100 ms. Null
/// if that did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct Makespan {
    /// Half of them.
    pub p50: Option<u64>,
    /// 90 of 100.
    pub p90: Option<u64>,
    /// 99 of 100.
    pub p99: Option<u64>,
    /// All of them.
    pub last: Option<u64>,
}

/// What became of pushes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct PushSummary {
    /// Lanes that the server was asked to push.
    pub asked: u64,
    /// Taken by the push service.
    pub received: u64,
    /// Folded into a wake that was pending.
    pub coalesced: u64,
    /// With a magic of an earlier enrollment: dropped by the lane.
    pub stale: u64,
    /// Not heard before they expired.
    pub expired: u64,
    /// With a token of an earlier enrollment: refused with 410.
    pub unregistered: u64,
    /// Lost by us.
    pub dropped_ours: u64,
    /// Lanes woken.
    pub woken: u64,
    /// The same as each push service saw it, by its name: `apns`, `wns`, `fcm`.
    pub services: BTreeMap<String, PushService>,
}

/// What a push service counted. Accepted = coalesced + expired + lost + woken + what was still under way or stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct PushService {
    /// Notifications answered 200.
    pub accepted: u64,
    /// Refused, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Took the place of an older one, under way or stored.
    pub coalesced: u64,
    /// Their time passed before the device was within reach.
    pub expired: u64,
    /// Lost on order, or no wake.
    pub lost: u64,
    /// Stored because the device was out of reach.
    pub stored: u64,
    /// Handed over to lanes.
    pub woken: u64,
}

/// How Google, as it was played, saw the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct GoogleSummary {
    /// Calls refused since the quota was used up.
    pub quota_refused: u64,
    /// Windows of the quota in which some were.
    pub quota_windows: u64,
    /// For how long in all it was used up: from the first refused call of a window to the window's end.
    pub quota_us: u64,
    /// Notifications lost for want of a topic that takes them.
    pub notifications_lost: u64,
    /// Notifications dropped here, as more waited for the server than there is room for.
    pub notifications_dropped: u64,
}

/// The hops of commands: how many came to the end of each, and how long the whole took.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct FanoutSummary {
    /// Queued at the server.
    pub queued: u64,
    /// The push service had the push.
    pub pushed: u64,
    /// The lane was woken.
    pub woken: u64,
    /// Its connection stood.
    pub connected: u64,
    /// The command was on the device.
    pub delivered: u64,
    /// The device had done it.
    pub answered: u64,
    /// The server had taken the answer.
    pub accepted: u64,
    /// From asked to accepted.
    pub total_us: Latency,
    /// Each hop.
    pub hops_us: BTreeMap<String, Latency>,
    /// Ends of hops that are no samples: the moment before is not known, or came after.
    pub without_sample: u64,
}

/// What the server believes against what the devices hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct TruthSummary {
    /// The same.
    pub agrees: u64,
    /// Not the same.
    pub differs: u64,
    /// It can't be asked.
    pub unavailable: u64,
}

/// How the generator was.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Generator {
    /// How late it began what was due.
    pub lag_us: Latency,
    /// How long a shard did one thing.
    pub slice_us: Latency,
    /// Signing for devices.
    pub sign_us: Latency,
    /// Keys, certificate requests and opened replies for devices, with the time in the queue.
    pub make_us: Latency,
    /// The store, from asked to done.
    pub save_us: Latency,
    /// Processor time.
    pub cpu_s: f64,
    /// Time that the machine's processors gave to others while they were wanted.
    pub steal_s: f64,
    /// For how long messages to worker processes were held up because a pipe was full: what was pushed meanwhile woke its
    /// device later by our doing. Null without worker processes.
    pub pipes_held_up_us: Option<u64>,
    /// Most files open at a time.
    pub fds_max: u64,
    /// Most memory resident.
    pub rss_bytes_max: u64,
    /// How near the run came to what the machine can offer, by its calibration; null if it has none.
    pub near: Option<Near>,
    /// Why it has none.
    pub not_calibrated: Option<String>,
}

/// The practice server.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct PracticeSummary {
    /// Processor time of its thread; null if there was none.
    pub cpu_s: Option<f64>,
}

/// One kind of failure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct FailureSummary {
    /// Whose fault.
    pub blame: String,
    /// What, in one word.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The earliest, in words.
    pub examples: Vec<String>,
}

impl Summary {
    /// The summary of a run that is over.
    pub fn of(folds: &Folds, around: &Surroundings) -> Self {
        let counts = &folds.counts;
        let planned: u64 = around.devices_by_platform.values().sum();
        let states = states(counts, planned);
        let enrolled = states.iter().find(|(state, _)| *state == DeviceState::Enrolled).map_or(0, |(_, n)| *n);
        Summary {
            schema_version: SCHEMA_VERSION,
            run_id: around.run_id.clone(),
            scenario: around.scenario.clone(),
            seed: around.seed,
            plan_hash: around.plan_hash.clone(),
            devices: Devices {
                planned,
                enrolled,
                by_platform: around.devices_by_platform.clone(),
                by_state: states.into_iter().map(|(state, n)| (state.name().to_owned(), n)).collect(),
            },
            lanes: around.lanes,
            arrivals: parts::arrivals(counts, around),
            requests: parts::requests(counts, around),
            identities: parts::identities(counts, around),
            sessions: SessionsSummary {
                started: folds.counts.sessions_started,
                ended: folds.counts.sessions_ended,
                open: around.sessions_open,
                open_max: around.sessions_open_max,
            },
            google: around.google,
            windows: parts::windows(folds, None),
            connections: parts::connections(counts),
            operations: parts::operations(folds, None),
            phases: around.phases.iter().map(|span| parts::phase(folds, span)).collect(),
            push: parts::push(counts, around),
            fanout: parts::fanout(folds, None),
            ledger: around.verdicts,
            truth: parts::truth(counts),
            generator: parts::generator(folds, around),
            practice: PracticeSummary { cpu_s: around.practice_cpu_s },
            failures: parts::failures(counts),
            verdict: around.verdict.clone(),
        }
    }
}

/// The JSON Schema of [`Summary`].
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Summary)
}
