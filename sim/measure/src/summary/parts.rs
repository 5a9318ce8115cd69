//! The parts of a summary, each from what was folded.

use super::{
    ArrivalsSummary, ConnectionsSummary, FailureSummary, FanoutSummary, Generator, Identity, Makespan,
    OperationSummary, PhaseSpan, PhaseSummary, PushSummary, Requests, Surroundings, TruthSummary, WindowsSummary,
};
use crate::counts::Counts;
use crate::fanout::{HOPS, Hop};
use crate::folds::Folds;
use crate::series::{Kind, Own, PerSession};
use droves_facts::{Blame, OPERATIONS, PhaseIx, PushFate, Unit};
use std::collections::BTreeMap;

pub(super) fn arrivals(counts: &Counts, around: &Surroundings) -> ArrivalsSummary {
    let met = counts.arrivals(None);
    ArrivalsSummary {
        planned: around.arrivals_planned,
        on_time: met.on_time,
        late: met.late,
        merged: met.merged,
        dropped: met.dropped,
        waiting: met.waiting,
        pending: around.arrivals_planned.saturating_sub(met.met()),
    }
}

pub(super) fn requests(counts: &Counts, around: &Surroundings) -> Requests {
    let tries = counts.tries_of(None, Unit::Request);
    Requests {
        started: tries.started,
        succeeded: tries.succeeded,
        failed: tries.failed_in_all(),
        unfinished: around.requests_unfinished,
        failed_by: Blame::ALL.into_iter().map(|b| (b.name().to_owned(), tries.failed_by(Some(b)))).collect(),
    }
}

pub(super) fn identities(counts: &Counts, around: &Surroundings) -> Vec<Identity> {
    let identity =
        |name: &str, left: u64, right: u64| Identity { name: name.to_owned(), left, right, holds: left == right };
    let all = arrivals(counts, around);
    let tries = counts.tries_of(None, Unit::Request);
    let connections = &counts.connections;
    let closed = connections.closed_by_us + connections.closed_by_peer + around.connections_held;
    vec![
        identity(
            "arrivals: planned = on time + late + merged + dropped + waiting + pending",
            all.planned,
            counts.arrivals(None).met() + all.pending,
        ),
        identity(
            "requests: started = succeeded + failed + unfinished",
            tries.started,
            tries.ended() + around.requests_unfinished,
        ),
        identity("connections: opened = ended by us + by the peer + held", connections.opened, closed),
        identity(
            "sessions: started = ended + open",
            counts.sessions_started,
            counts.sessions_ended + around.sessions_open,
        ),
    ]
}

pub(super) fn connections(counts: &Counts) -> ConnectionsSummary {
    let c = &counts.connections;
    ConnectionsSummary {
        opened: c.opened,
        resumed: c.resumed,
        tls: c.tls,
        http2: c.http2,
        failed: c.failed,
        closed_by_us: c.closed_by_us,
        closed_by_peer: c.closed_by_peer,
    }
}

pub(super) fn operations(folds: &Folds, phase: Option<PhaseIx>) -> BTreeMap<String, OperationSummary> {
    OPERATIONS
        .iter()
        .filter_map(|row| {
            let response = folds.series.times(phase, row.operation, Kind::Response);
            let service = folds.series.times(phase, row.operation, Kind::Service);
            let tries = folds.counts.tries(phase, row.operation);
            let count = service.count().max(response.count()).max(tries.ended());
            let summary = OperationSummary {
                count,
                failed: tries.failed_in_all(),
                response_us: response.latency(),
                service_us: service.latency(),
            };
            (count > 0).then(|| (row.name.to_owned(), summary))
        })
        .collect()
}

pub(super) fn phase(folds: &Folds, span: &PhaseSpan) -> PhaseSummary {
    PhaseSummary {
        name: span.name.clone(),
        start_us: span.start_us,
        end_us: span.end_us,
        in_vain: span.in_vain,
        operations: operations(folds, Some(span.phase)),
        fanout: fanout(folds, Some(span.phase)),
        makespan_us: makespan(folds, span.phase),
        windows: windows(folds, Some(span.phase)),
    }
}

pub(super) fn makespan(folds: &Folds, phase: PhaseIx) -> Makespan {
    let to = |share| folds.fanout.makespan(phase, share).map(|time| time.0);
    Makespan { p50: to(0.5), p90: to(0.9), p99: to(0.99), last: to(1.0) }
}

pub(super) fn windows(folds: &Folds, phase: Option<PhaseIx>) -> WindowsSummary {
    let [messages, nodes] = PerSession::ALL.map(|(which, _)| folds.series.per_session(phase, which));
    WindowsSummary {
        sessions: messages.count(),
        messages_per_session: messages.latency(),
        nodes_per_session: nodes.latency(),
    }
}

pub(super) fn push(counts: &Counts, around: &Surroundings) -> PushSummary {
    let fate = |fate| counts.pushes.fate(fate);
    PushSummary {
        asked: counts.pushes.asked,
        received: fate(PushFate::Received),
        coalesced: fate(PushFate::Coalesced),
        stale: fate(PushFate::Stale),
        expired: fate(PushFate::Expired),
        unregistered: fate(PushFate::Unregistered),
        dropped_ours: fate(PushFate::DroppedOurs),
        woken: counts.pushes.woken,
        services: around.push.iter().map(|(name, service)| ((*name).to_owned(), service.clone())).collect(),
    }
}

pub(super) fn fanout(folds: &Folds, phase: Option<PhaseIx>) -> FanoutSummary {
    let count = |hop| folds.fanout.count(phase, hop);
    FanoutSummary {
        queued: count(Hop::Queued),
        pushed: count(Hop::Pushed),
        woken: count(Hop::Woken),
        connected: count(Hop::Connected),
        delivered: count(Hop::Delivered),
        answered: count(Hop::Answered),
        accepted: count(Hop::Accepted),
        total_us: folds.fanout.times(phase, Hop::Total).latency(),
        hops_us: HOPS
            .into_iter()
            .map(|(hop, name)| (name.to_owned(), folds.fanout.times(phase, hop).latency()))
            .collect(),
        without_sample: HOPS.into_iter().map(|(hop, _)| folds.fanout.missing(phase, hop)).sum(),
    }
}

pub(super) fn truth(counts: &Counts) -> TruthSummary {
    let truths = &counts.truths;
    TruthSummary { agrees: truths.agrees, differs: truths.differs, unavailable: truths.unavailable }
}

pub(super) fn generator(folds: &Folds, around: &Surroundings) -> Generator {
    let own = |which| folds.series.own(None, which).latency();
    Generator {
        lag_us: own(Own::Lag),
        slice_us: folds.slices.latency(),
        sign_us: own(Own::Signed),
        make_us: own(Own::Made),
        save_us: own(Own::Saved),
        cpu_s: around.cpu_s,
        steal_s: around.steal_s,
        pipes_held_up_us: around.pipes_held_up_us,
        fds_max: around.fds_max,
        rss_bytes_max: around.rss_bytes_max,
        near: around.near.clone(),
        not_calibrated: around.not_calibrated.clone(),
    }
}

pub(super) fn failures(counts: &Counts) -> Vec<FailureSummary> {
    let words = counts.complaints.sorted();
    counts
        .requests_failed()
        .into_iter()
        .map(|failure| FailureSummary {
            blame: failure.blame.name().to_owned(),
            kind: failure.kind.to_owned(),
            count: failure.count,
            examples: words
                .iter()
                .filter(|complaint| complaint.blame == failure.blame && complaint.kind == failure.kind)
                .flat_map(|complaint| complaint.examples.iter().map(|example| example.text.to_string()))
                .collect(),
        })
        .chain(
            words
                .iter()
                .filter(|c| !counts.requests_failed().iter().any(|f| f.blame == c.blame && f.kind == c.kind))
                .map(|complaint| FailureSummary {
                    blame: complaint.blame.name().to_owned(),
                    kind: complaint.kind.to_owned(),
                    count: complaint.count,
                    examples: complaint.examples.iter().map(|example| example.text.to_string()).collect(),
                }),
        )
        .collect()
}
