//! What the dashboard and the plain progress lines show: folds so far, and what they do now against a while ago.

use crate::Fold;
use crate::counts::Counts;
use crate::fanout::{HOPS, Hop};
use crate::folds::Folds;
use crate::histogram::{Latency, Times};
use crate::series::{Kind, Own, Series};
use droves_facts::{Blame, DeviceState, Dur, Mono, OPERATIONS, Operation, PushFate, Unit};
use std::collections::{BTreeMap, VecDeque};

/// The length of a window: percentiles of "now" are over the last whole one and what came since.
const WINDOW: Dur = Dur::secs(10);
/// So many windows make "a minute ago".
const BEFORE: usize = 6;
/// Seconds of history.
const HISTORY: usize = 120;

/// Folds that forget: what happened in the last windows and seconds.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    began: Mono,
    current: Series,
    last: Series,
    /// p99 of each operation in the windows before.
    before: VecDeque<BTreeMap<Operation, u64>>,
    /// Ended requests and started sessions of each second, the present one last.
    seconds: VecDeque<(u64, u64)>,
    second: u64,
}

impl Recent {
    /// Takes what was folded since the last call.
    pub fn take(&mut self, delta: &Folds, now: Mono) {
        while now.since(self.began) >= WINDOW {
            self.began += WINDOW;
            self.last = std::mem::take(&mut self.current);
            let p99 = |row: &droves_facts::OperationInfo| {
                let times = self.last.times(None, row.operation, kind_of(row.unit));
                Some((row.operation, times.quantile_us(0.99)?))
            };
            self.before.push_back(OPERATIONS.iter().filter_map(p99).collect());
            if self.before.len() > BEFORE + 1 {
                self.before.pop_front();
            }
        }
        self.current.merge(delta.series.clone());
        let second = now.0 / 1_000_000;
        if self.seconds.is_empty() {
            self.seconds.push_back((0, 0));
            self.second = second;
        }
        while self.second < second {
            self.second += 1;
            self.seconds.push_back((0, 0));
            if self.seconds.len() > HISTORY {
                self.seconds.pop_front();
            }
        }
        if let Some(present) = self.seconds.back_mut() {
            present.0 += delta.counts.tries_of(None, Unit::Request).ended();
            present.1 += delta.counts.sessions_started;
        }
    }

    /// Requests ended and sessions started in each of the last whole seconds, oldest first.
    pub fn history(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.seconds.iter().take(self.seconds.len().saturating_sub(1)).copied()
    }

    fn times(&self, operation: Operation, kind: Kind) -> Times {
        let mut times = self.last.times(None, operation, kind);
        times.merge(self.current.times(None, operation, kind));
        times
    }
}

/// From when the times of such an operation are shown.
fn kind_of(unit: Unit) -> Kind {
    match unit {
        Unit::Connection => Kind::Service,
        Unit::Request | Unit::Whole | Unit::Admin | Unit::Played | Unit::Held => Kind::Response,
    }
}

/// One look at a run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Progress {
    /// When.
    pub now: Mono,
    /// Devices in each state.
    pub devices: Vec<(DeviceState, u64)>,
    /// Sessions open.
    pub sessions: u64,
    /// Sessions begun in the last whole second.
    pub sessions_per_s: u64,
    /// Requests ended in the last whole second.
    pub requests_per_s: u64,
    /// Requests ended in each of the last whole seconds, oldest first.
    pub requests_history: Vec<u64>,
    /// Requests ended and failed so far.
    pub requests: (u64, u64),
    /// Operations that have happened, in the order of the table.
    pub operations: Vec<OperationRow>,
    /// How far pushes have come.
    pub funnel: Funnel,
    /// Lag of the generator in the last windows.
    pub lag: Latency,
    /// What went wrong, most frequent first.
    pub errors: Vec<ErrorRow>,
    /// Arrivals that were late or dropped.
    pub late_or_dropped: u64,
}

/// One operation.
#[derive(Clone, PartialEq, Debug)]
pub struct OperationRow {
    /// Which.
    pub operation: Operation,
    /// Ended so far.
    pub count: u64,
    /// Failed so far.
    pub failed: u64,
    /// Its times in the last windows.
    pub now: Latency,
    /// Half of the samples, 95 of 100.
    pub p95: Option<u64>,
    /// p99 a minute ago.
    pub p99_before: Option<u64>,
}

/// How far pushes and commands have come.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Funnel {
    /// Commands that have come to the end of each hop, and half of the samples of it.
    pub hops: Vec<(Hop, u64, Option<u64>)>,
    /// Pushes that the service has taken.
    pub received: u64,
    /// Folded into a wake that was pending.
    pub coalesced: u64,
    /// With a magic of an earlier enrollment.
    pub stale: u64,
    /// With a token of an earlier enrollment.
    pub unregistered: u64,
}

/// One kind of failure.
#[derive(Clone, PartialEq, Debug)]
pub struct ErrorRow {
    /// Whose fault.
    pub blame: Blame,
    /// What, in one word.
    pub kind: &'static str,
    /// How often.
    pub count: u64,
    /// The latest example that is kept, in words.
    pub text: String,
}

impl Progress {
    /// A look at folds so far. `devices` is how many there are in all, `live` how many sessions are open.
    pub fn of(folds: &Folds, recent: &Recent, devices: u64, live: u64, now: Mono) -> Self {
        let counts = &folds.counts;
        let requests = counts.tries_of(None, Unit::Request);
        let arrivals = counts.arrivals(None);
        let history: Vec<(u64, u64)> = recent.history().collect();
        let last = history.last().copied().unwrap_or_default();
        Progress {
            now,
            devices: states(counts, devices),
            sessions: live,
            sessions_per_s: last.1,
            requests_per_s: last.0,
            requests_history: history.into_iter().map(|(requests, _)| requests).collect(),
            requests: (requests.ended(), requests.failed_in_all()),
            operations: OPERATIONS.iter().filter_map(|row| operation(counts, recent, row.operation)).collect(),
            funnel: funnel(folds),
            lag: {
                let mut lag = recent.last.own(None, Own::Lag);
                lag.merge(recent.current.own(None, Own::Lag));
                lag.latency()
            },
            errors: errors(counts),
            late_or_dropped: arrivals.late + arrivals.dropped,
        }
    }
}

/// How many devices are in each state.
pub(crate) fn states(counts: &Counts, devices: u64) -> Vec<(DeviceState, u64)> {
    let of = |state| {
        let start = if state == DeviceState::Unenrolled { i64::try_from(devices).unwrap_or(i64::MAX) } else { 0 };
        (state, u64::try_from(start + counts.devices_moved(state)).unwrap_or(0))
    };
    DeviceState::ALL.into_iter().map(of).collect()
}

fn operation(counts: &Counts, recent: &Recent, operation: Operation) -> Option<OperationRow> {
    let unit = operation.info().unit;
    let tries = counts.tries(None, operation);
    let times = recent.times(operation, kind_of(unit));
    let count = match unit {
        Unit::Connection => times.count(),
        Unit::Whole if operation == Operation::Session => counts.sessions_ended,
        _ => tries.ended(),
    };
    (count > 0).then(|| OperationRow {
        operation,
        count,
        failed: tries.failed_in_all(),
        now: times.latency(),
        p95: times.quantile_us(0.95),
        p99_before: (recent.before.len() > BEFORE).then(|| recent.before.front()?.get(&operation).copied()).flatten(),
    })
}

fn funnel(folds: &Folds) -> Funnel {
    let pushes = &folds.counts.pushes;
    let hop = |(hop, _)| (hop, folds.fanout.count(None, hop), folds.fanout.times(None, hop).quantile_us(0.5));
    Funnel {
        hops: HOPS.into_iter().map(hop).collect(),
        received: pushes.fate(PushFate::Received),
        coalesced: pushes.fate(PushFate::Coalesced),
        stale: pushes.fate(PushFate::Stale),
        unregistered: pushes.fate(PushFate::Unregistered),
    }
}

fn errors(counts: &Counts) -> Vec<ErrorRow> {
    counts
        .complaints
        .sorted()
        .into_iter()
        .map(|complaint| ErrorRow {
            blame: complaint.blame,
            kind: complaint.kind,
            count: complaint.count,
            text: complaint.examples.last().map(|example| example.text.to_string()).unwrap_or_default(),
        })
        .collect()
}
