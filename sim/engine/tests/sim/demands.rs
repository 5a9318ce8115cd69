//! What must hold when a configuration has been played, and all has been well for hours.

pub(crate) mod agents;

use crate::config::{AGAIN, Config, LAST};
use crate::side::{Broken, Practice};
use droves_device::{Device, Machine};
use droves_engine::forecast::{Cut, Play};
use droves_facts::{
    ArrivalFate, Blame, CommandKey, CommandStatus, DeviceState, Dur, Fact, LaneIx, Operation, Outcome, PushFate, Unit,
    What,
};
use droves_measure::AnomalyKind;
use droves_shard::Snapshot;
use droves_wire::digest;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that does not hold, what was found first at the front.
pub(crate) fn all(
    play: &mut Play<Practice>,
    facts: &[Fact],
    config: &Config,
    cut: Cut,
    heard: Option<&agents::Messages>,
) -> Vec<Broken> {
    let now = play.running.clocks().now;
    let mut broken = std::mem::take(&mut play.running.world.broken);
    broken.extend(play.running.world.disk.ends(now));
    broken.extend(facts.iter().filter_map(is_ours));
    broken.extend(accounts(play, facts, config, cut));
    broken.extend(phases(play, config));
    let clocks = play.running.clocks();
    let rows = play.running.world.rows(clocks);
    for snapshot in play.running.shard.snapshots() {
        broken.extend(lane(play, config, &rows, &snapshot));
    }
    broken.extend(heard.into_iter().flat_map(|heard| agents::messages(play, &rows, heard)));
    broken.extend(commands(play, facts, config));
    broken.extend(refused(play));
    broken
}

/// The generator is never at fault.
fn is_ours(fact: &Fact) -> Option<Broken> {
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed { blame: Blame::Generator, .. });
    let is_ours = match &fact.what {
        What::Complaint { blame, .. } | What::ConnectionFailed { blame, .. } => *blame == Blame::Generator,
        What::RequestEnded { outcome, .. } | What::OperationEnded { outcome, .. } => failed(outcome),
        _ => false,
    };
    is_ours.then(|| {
        Broken::of("the generator is not at fault", fact.lane, format!("{} at {}", said(fact), Dur(fact.at.0)))
    })
}

fn said(fact: &Fact) -> String {
    serde_json::to_string(&fact.what).unwrap_or_default()
}

/// What was begun has an end, or is still under way, or was cut off by a crash.
fn accounts(play: &Play<Practice>, facts: &[Fact], config: &Config, cut: Cut) -> Vec<Broken> {
    let counts = &play.folds.counts;
    let requests = counts.tries_of(None, Unit::Request);
    let connections = &counts.connections;
    let (mut started, mut ended) = (0, 0);
    for fact in facts {
        match &fact.what {
            What::Arrival { operation: Operation::AdminQueue, .. } => {}
            What::Arrival { fate: ArrivalFate::OnTime | ArrivalFate::Late, .. } => started += 1,
            What::OperationEnded { .. } => ended += 1,
            _ => {}
        }
    }
    let mut rows = vec![
        ("requests", requests.started, requests.ended() + play.running.shard.unfinished() + cut.requests),
        (
            "sessions",
            counts.sessions_started,
            counts.sessions_ended + play.running.shard.sessions_open() + cut.sessions,
        ),
        (
            "connections",
            connections.opened,
            connections.closed_by_us + connections.closed_by_peer + play.running.connections() + cut.connections,
        ),
        ("sessions that are open at the end", play.running.shard.live() as u64, 0),
    ];
    // An operation that a crash cut off has no end, and that of a device that dozes may be yet to begin.
    if config.crashes.is_empty() && !config.dozes() {
        rows.push(("arrivals", started, ended));
    }
    let differs = |&(_, left, right): &(&str, u64, u64)| left != right;
    rows.into_iter()
        .filter(differs)
        .map(|(what, left, right)| {
            let text = format!("{what}: {left} began, {right} ended or are known to be open");
            Broken { demand: "everything is accounted for", text, lanes: Vec::new() }
        })
        .collect()
}

/// Every push that was answered with 410 is counted.
fn refused(play: &Play<Practice>) -> Option<Broken> {
    let (counted, were) =
        (play.folds.counts.pushes.fate(PushFate::Unregistered), play.running.world.push_service.refused);
    let text = format!("{counted} are counted, {were} there were");
    (counted != were).then(|| Broken {
        demand: "every push that is answered with 410 is counted",
        text,
        lanes: Vec::new(),
    })
}

/// The phases after the healing come to their ends.
fn phases(play: &Play<Practice>, config: &Config) -> Vec<Broken> {
    let plan = &play.config().plan;
    let wanted = [Some(LAST), (config.again && !config.dozes()).then_some(AGAIN)];
    let mut broken = Vec::new();
    for name in wanted.into_iter().flatten() {
        let span = play.spans().iter().find(|span| plan.phases[span.phase.ix()].name == name);
        if span.is_none_or(|span| span.in_vain) {
            let text = format!("phase {name}: {span:?}");
            broken.push(Broken {
                demand: "after the healing all devices do what they are asked",
                text,
                lanes: Vec::new(),
            });
        }
    }
    broken
}

/// A lane stands where it is to stand, and the server believes so.
fn lane(
    play: &Play<Practice>,
    config: &Config,
    rows: &BTreeMap<String, serde_json::Value>,
    snapshot: &Snapshot,
) -> Vec<Broken> {
    let lane = snapshot.lane;
    let mut broken = Vec::new();
    let (Ok(record), Ok(shared)) =
        (Device::record_from_bytes(&snapshot.record), Device::shared_from_bytes(&snapshot.shared))
    else {
        return vec![Broken::of("what is stored can be read", lane, "record or shared part")];
    };
    let (world, clocks) = (&play.running.world, play.running.clocks());
    let agent = agents::shared(snapshot);
    if agent.is_some() && world.main(lane) != lane {
        return broken;
    }
    // What has ended has not been told so.
    let state = if snapshot.ended { DeviceState::Removed } else { Device::state(&record) };
    if state == DeviceState::Enrolling {
        broken.push(Broken::of("no lane is on its way for ever", lane, format!("{record:?}")));
    }
    // A server that was never told of an end may still have the wipe that it was about to send.
    if config.again
        && !config.dozes()
        && !config.sends_away()
        && !config.passes_over()
        && state != DeviceState::Enrolled
    {
        broken.push(Broken::of("after the healing all devices do what they are asked", lane, format!("{state:?}")));
    }
    if config.keeps_all() && state != DeviceState::Enrolled {
        broken.push(Broken::of("who is minted stays enrolled", lane, format!("{state:?}")));
    }
    if let Some(agent) = &agent {
        let generation = Device::registration(&record, &shared).map(|(generation, _)| generation);
        if state == DeviceState::Enrolled {
            let row = world.agents.number(lane).and_then(|number| rows.get(number));
            broken.extend(agents::agrees(play, config, row, (lane, generation), agent));
        }
        return broken;
    }
    let belief = world.names.get(&lane).and_then(|name| world.brain.believes(name));
    let mut differs = |what: String| {
        broken.push(Broken::of("the server believes what the device is", lane, what));
    };
    match belief {
        Some(belief) if state == DeviceState::Enrolled => {
            let generation = Device::registration(&record, &shared).map_or(0, |(generation, _)| generation);
            let is_device = world.main(lane) == lane;
            let identity = play.running.shard.identity(lane).map(|identity| digest::sha256(&identity.certificate));
            if !belief.enrolled {
                differs("the device is enrolled, the server says not".to_owned());
            } else if belief.token != play.config().tokens.token(lane, generation) {
                differs(format!("the device has token {generation}, the server another"));
            } else if play.running.shard.magic(clocks, lane).as_deref() != Some(belief.magic) {
                differs(format!("the server pushes with {}, which is not the device's", belief.magic));
            } else if is_device && belief.certificate != identity && !world.is_estranged(lane) {
                differs("the device has another identity than the server knows".to_owned());
            }
            if belief.enrolled && belief.pending > 0 && !config.passes_over() && !world.is_estranged(lane) {
                let text = format!("{} of them", belief.pending);
                broken.push(Broken::of("no command waits for a device that is enrolled", lane, text));
            }
        }
        None if state == DeviceState::Enrolled => differs("the server never heard of the device".to_owned()),
        Some(belief) if belief.enrolled && config.is_calm() => {
            differs(format!("the device is {state:?}, the server says that it is enrolled"));
        }
        _ => {}
    }
    broken
}

/// The deadline that commands are drawn with, and an hour.
const DEADLINE: Dur = Dur::secs(13 * 3_600);

/// Commands get through, once.
fn commands(play: &Play<Practice>, facts: &[Fact], config: &Config) -> Vec<Broken> {
    let mut broken = Vec::new();
    let world = &play.running.world;
    let struck = world.brain.truth()["faults"].clone();
    let count = |fault: &str| struck[fault].as_u64().unwrap_or(0);
    let (lost, repeated, misdelivered) = (count("lose_command"), count("repeat_command"), count("misdeliver_command"));
    let deadline = play.running.clocks().now + DEADLINE;
    let (_, anomalies) = play.folds.ledger.clone().settle(deadline);
    let unheard = agents::unheard(play, config);
    let rows = [
        (AnomalyKind::Lost, lost + misdelivered),
        (AnomalyKind::Late, 0),
        (AnomalyKind::Duplicated, repeated + misdelivered),
        (AnomalyKind::Misdelivered, misdelivered),
    ];
    for (kind, at_most) in rows {
        // A copy that a locked device puts off comes again and again: it is one.
        let is_told = |lane| !world.is_estranged(lane) && !unheard.contains(&lane);
        let of_kind = anomalies.iter().filter(|anomaly| anomaly.kind == kind && is_told(anomaly.lane));
        let found: BTreeSet<_> = of_kind.map(|anomaly| (anomaly.lane, anomaly.command)).collect();
        if found.len() as u64 > at_most {
            let text = format!("{} {kind:?}, {at_most} of them on order", found.len());
            let lanes = found.into_iter().map(|(lane, _)| lane).collect();
            broken.push(Broken { demand: "the ledger has no violation without its fault", text, lanes });
        }
    }
    // A generator that was killed after an answer was taken, and before that was on its disk, owes it once more.
    if !config.crashes.is_empty() {
        return broken;
    }
    let mut accepted: BTreeMap<(LaneIx, CommandKey), u64> = BTreeMap::new();
    for fact in facts {
        if let What::Accepted { command, status } = &fact.what
            && *status != CommandStatus::NotNow
            // What an agent is to be like it may be told again.
            && world.agents.number(fact.lane).is_none()
        {
            *accepted.entry((fact.lane, *command)).or_default() += 1;
        }
    }
    let twice: Vec<LaneIx> = accepted.iter().filter(|(_, times)| **times > 1).map(|((lane, _), _)| *lane).collect();
    if twice.len() as u64 > repeated + misdelivered {
        let text = format!("{} twice, {} of them on order", twice.len(), repeated + misdelivered);
        broken.push(Broken { demand: "no answer is accepted twice", text, lanes: twice });
    }
    broken
}
