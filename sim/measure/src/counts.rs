//! What is counted: arrivals, requests, connections, devices, pushes, bytes, and who was at fault.
//!
//! Promises: every count is a sum, so that folds of shards add up; a request is counted under the unit of its
//! operation (the device's, the administrator's and the played peers' apart); culprits and kinds are a small bounded
//! table.

use crate::Fold;
use crate::complaints::Complaints;
use crate::phases::PerPhase;
use crate::series::OPERATION_COUNT;
use droves_facts::{
    ArrivalFate, Blame, Closing, DeviceState, Fact, KeyFamily, OPERATIONS, Operation, Outcome, PhaseIx, PushFate,
    Truth, Unit, What, Word,
};
use serde::{Deserialize, Serialize};

/// Kinds of failure that are told apart; what comes beyond is counted under [`OTHER`].
const KINDS_MAX: usize = 128;

/// The kind under which failures are counted when there are too many kinds.
pub const OTHER: &str = "other";

/// What became of arrivals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Arrivals {
    /// Started within the lag bound.
    pub on_time: u64,
    /// Started later than that.
    pub late: u64,
    /// Served by a session that was open.
    pub merged: u64,
    /// Not started.
    pub dropped: u64,
    /// Not started when the run ended.
    pub waiting: u64,
}

impl Arrivals {
    /// All that have met a fate.
    pub fn met(&self) -> u64 {
        self.on_time + self.late + self.merged + self.dropped + self.waiting
    }
    fn add(&mut self, other: &Arrivals) {
        self.on_time += other.on_time;
        self.late += other.late;
        self.merged += other.merged;
        self.dropped += other.dropped;
        self.waiting += other.waiting;
    }
}

/// How often something was begun and how it came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tries {
    /// Begun. For whole operations: not counted, it is a matter of arrivals.
    pub started: u64,
    /// Ended as the protocol wants it.
    pub succeeded: u64,
    /// Ended otherwise, by culprit in the order of [`Blame::ALL`].
    pub failed: [u64; Blame::ALL.len()],
}

impl Tries {
    /// Ended otherwise than the protocol wants it, whoever was at fault.
    pub fn failed_in_all(&self) -> u64 {
        self.failed.iter().sum()
    }
    /// Ended at all.
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed_in_all()
    }
    /// Failed by this culprit, or by any.
    pub fn failed_by(&self, blame: Option<Blame>) -> u64 {
        blame.map_or_else(|| self.failed_in_all(), |blame| self.failed[blame as usize])
    }
    fn end(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Succeeded => self.succeeded += 1,
            Outcome::Failed { blame, .. } => self.failed[blame as usize] += 1,
        }
    }
    fn add(&mut self, other: &Tries) {
        self.started += other.started;
        self.succeeded += other.succeeded;
        add(&mut self.failed, other.failed);
    }
}

/// Connections to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Connections {
    /// Stood.
    pub opened: u64,
    /// Of these, with a resumed handshake.
    pub resumed: u64,
    /// Of these, with TLS.
    pub tls: u64,
    /// Of these, with HTTP/2.
    pub http2: u64,
    /// Of these, with a client certificate whose key we proved to have, by family in the order of [`KeyFamily::ALL`].
    pub shown: [u64; KeyFamily::ALL.len()],
    /// Could not be opened.
    pub failed: u64,
    /// Stood, and were ended by us.
    pub closed_by_us: u64,
    /// Stood, and were ended by the peer or the network.
    pub closed_by_peer: u64,
}

/// What became of pushes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pushes {
    /// Calls by which the server was told to push, answered.
    pub asked: u64,
    /// By fate, in the order of [`PUSH_FATES`].
    pub fates: [u64; PUSH_FATES.len()],
    /// Lanes woken by a push.
    pub woken: u64,
}

/// Every fate of a push with its name in thresholds and results.
pub const PUSH_FATES: [(PushFate, &str); 6] = [
    (PushFate::Received, "received"),
    (PushFate::Coalesced, "coalesced"),
    (PushFate::Stale, "stale"),
    (PushFate::Expired, "expired"),
    (PushFate::Unregistered, "unregistered"),
    (PushFate::DroppedOurs, "dropped_ours"),
];

impl Pushes {
    /// How many met this fate.
    pub fn fate(&self, fate: PushFate) -> u64 {
        self.fates[fate as usize]
    }
}

/// What the server says against what the devices hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Truths {
    /// The same.
    pub agrees: u64,
    /// Not the same.
    pub differs: u64,
    /// The server can't be asked.
    pub unavailable: u64,
}

/// What failed: requests or connections of one unit, by whose fault, of what kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault.
    pub blame: Blame,
    /// What, in one word.
    #[serde(deserialize_with = "droves_facts::kind")]
    pub kind: Word,
    /// How often.
    pub count: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Phase {
    arrivals: Arrivals,
    operations: Operations,
    bytes_out: u64,
    bytes_in: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Operations(#[serde(with = "crate::array")] [Tries; OPERATION_COUNT]);

impl Default for Operations {
    fn default() -> Self {
        Operations([Tries::default(); OPERATION_COUNT])
    }
}

/// The fold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    phases: PerPhase<Phase>,
    requests_failed: Failures,
    connections_failed: Failures,
    devices: [i64; DeviceState::ALL.len()],
    /// Connections to the server.
    pub connections: Connections,
    /// What became of pushes.
    pub pushes: Pushes,
    /// What the server says against what the devices hold.
    pub truths: Truths,
    /// Signatures for devices, by the key's family in the order of [`KeyFamily::ALL`].
    pub signed: [u64; KeyFamily::ALL.len()],
    /// Sessions begun.
    pub sessions_started: u64,
    /// Sessions over.
    pub sessions_ended: u64,
    /// Examples in words.
    pub complaints: Complaints,
}

impl Counts {
    /// Takes the start of a request.
    pub fn request_started(&mut self, phase: PhaseIx, operation: Operation) {
        self.phases.at(phase).operations.0[operation as usize].started += 1;
    }

    /// Takes the end of a request.
    pub fn request_ended(&mut self, phase: PhaseIx, operation: Operation, outcome: Outcome, out: u32, into: u32) {
        let phase = self.phases.at(phase);
        phase.operations.0[operation as usize].end(outcome);
        phase.bytes_out += u64::from(out);
        phase.bytes_in += u64::from(into);
        if let Outcome::Failed { blame, kind } = outcome {
            self.requests_failed.count(blame, kind, 1);
        }
    }

    /// What became of arrivals, in one phase or in all.
    pub fn arrivals(&self, phase: Option<PhaseIx>) -> Arrivals {
        self.phases.chosen(phase).fold(Arrivals::default(), |mut all, phase| {
            all.add(&phase.arrivals);
            all
        })
    }

    /// Tries of one operation, in one phase or in all.
    pub fn tries(&self, phase: Option<PhaseIx>, operation: Operation) -> Tries {
        self.phases.chosen(phase).fold(Tries::default(), |mut all, phase| {
            all.add(&phase.operations.0[operation as usize]);
            all
        })
    }

    /// Tries of all operations of this unit, in one phase or in all.
    pub fn tries_of(&self, phase: Option<PhaseIx>, unit: Unit) -> Tries {
        OPERATIONS.iter().filter(|row| row.unit == unit).fold(Tries::default(), |mut all, row| {
            all.add(&self.tries(phase, row.operation));
            all
        })
    }

    /// Bytes written and bytes of body read, in one phase or in all.
    pub fn bytes(&self, phase: Option<PhaseIx>) -> (u64, u64) {
        self.phases.chosen(phase).fold((0, 0), |(out, into), p| (out + p.bytes_out, into + p.bytes_in))
    }

    /// How many devices more (or fewer) than at the start are in this state.
    pub fn devices_moved(&self, state: DeviceState) -> i64 {
        self.devices[state as usize]
    }

    /// Failed requests of every unit, by culprit and kind, most frequent first.
    pub fn requests_failed(&self) -> Vec<Failure> {
        self.requests_failed.sorted()
    }

    /// Connections that could not be opened, by culprit and kind, most frequent first.
    pub fn connections_failed(&self) -> Vec<Failure> {
        self.connections_failed.sorted()
    }

    /// How many phases have been heard of.
    pub fn phases(&self) -> usize {
        self.phases.len()
    }

    fn push(&mut self, fate: PushFate) {
        self.pushes.fates[fate as usize] += 1;
    }
}

impl Fold for Counts {
    fn apply(&mut self, fact: &Fact) {
        match &fact.what {
            What::Arrival { fate, .. } => {
                let arrivals = &mut self.phases.at(fact.phase).arrivals;
                match fate {
                    ArrivalFate::OnTime => arrivals.on_time += 1,
                    ArrivalFate::Late => arrivals.late += 1,
                    ArrivalFate::Merged => arrivals.merged += 1,
                    ArrivalFate::Dropped => arrivals.dropped += 1,
                    ArrivalFate::Waiting => arrivals.waiting += 1,
                }
            }
            What::OperationEnded { operation, outcome, .. } => {
                self.phases.at(fact.phase).operations.0[*operation as usize].end(*outcome);
            }
            What::SessionStarted { .. } => self.sessions_started += 1,
            What::SessionEnded { .. } => self.sessions_ended += 1,
            What::RequestStarted { operation } => self.request_started(fact.phase, *operation),
            What::RequestEnded { operation, outcome, bytes_out, bytes_in, .. } => {
                self.request_ended(fact.phase, *operation, *outcome, *bytes_out, *bytes_in);
            }
            What::ConnectionOpened(opening) => {
                self.connections.opened += 1;
                self.connections.tls += u64::from(opening.tls.is_some());
                self.connections.resumed += u64::from(opening.resumed);
                self.connections.http2 += u64::from(opening.http2);
                if let Some(family) = opening.shown {
                    self.connections.shown[family as usize] += 1;
                }
            }
            What::ConnectionFailed { blame, kind } => {
                self.connections.failed += 1;
                self.connections_failed.count(*blame, kind, 1);
            }
            What::ConnectionClosed(Closing::ByUs) => self.connections.closed_by_us += 1,
            What::ConnectionClosed(Closing::ByPeer) => self.connections.closed_by_peer += 1,
            What::Device { from, to } => {
                self.devices[*from as usize] -= 1;
                self.devices[*to as usize] += 1;
            }
            What::PushAsked => self.pushes.asked += 1,
            What::Push(fate) => self.push(*fate),
            What::Woken { .. } => self.pushes.woken += 1,
            What::Believes(Truth::Agrees) => self.truths.agrees += 1,
            What::Believes(Truth::Differs) => self.truths.differs += 1,
            What::Believes(Truth::Unavailable) => self.truths.unavailable += 1,
            What::Signed { by, .. } => self.signed[*by as usize] += 1,
            What::Complaint { .. } => self.complaints.apply(fact),
            _ => {}
        }
    }

    fn merge(&mut self, other: Self) {
        self.phases.merge(other.phases, |mine, theirs| {
            mine.arrivals.add(&theirs.arrivals);
            for (mine, theirs) in mine.operations.0.iter_mut().zip(&theirs.operations.0) {
                mine.add(theirs);
            }
            mine.bytes_out += theirs.bytes_out;
            mine.bytes_in += theirs.bytes_in;
        });
        self.requests_failed.merge(&other.requests_failed);
        self.connections_failed.merge(&other.connections_failed);
        for (mine, theirs) in self.devices.iter_mut().zip(other.devices) {
            *mine += theirs;
        }
        let (mine, theirs) = (&mut self.connections, &other.connections);
        mine.opened += theirs.opened;
        mine.resumed += theirs.resumed;
        mine.tls += theirs.tls;
        mine.http2 += theirs.http2;
        add(&mut mine.shown, theirs.shown);
        mine.failed += theirs.failed;
        mine.closed_by_us += theirs.closed_by_us;
        mine.closed_by_peer += theirs.closed_by_peer;
        self.pushes.asked += other.pushes.asked;
        self.pushes.woken += other.pushes.woken;
        add(&mut self.pushes.fates, other.pushes.fates);
        add(&mut self.signed, other.signed);
        self.truths.agrees += other.truths.agrees;
        self.truths.differs += other.truths.differs;
        self.truths.unavailable += other.truths.unavailable;
        self.sessions_started += other.sessions_started;
        self.sessions_ended += other.sessions_ended;
        self.complaints.merge(other.complaints);
    }
}

fn add<const N: usize>(mine: &mut [u64; N], theirs: [u64; N]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}

/// A small table, searched in order: it is touched by failures only, and has a handful of rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Failures {
    rows: Vec<Failure>,
}

impl Failures {
    fn count(&mut self, blame: Blame, kind: &'static str, count: u64) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.blame == blame && row.kind == kind) {
            row.count += count;
        } else if self.rows.len() < KINDS_MAX || kind == OTHER {
            self.rows.push(Failure { blame, kind, count });
        } else {
            self.count(blame, OTHER, count);
        }
    }

    fn merge(&mut self, other: &Failures) {
        for row in &other.rows {
            self.count(row.blame, row.kind, row.count);
        }
    }

    fn sorted(&self) -> Vec<Failure> {
        let mut rows = self.rows.clone();
        rows.sort_unstable_by_key(|row| (std::cmp::Reverse(row.count), row.blame, row.kind));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_stands_at_its_place() {
        for (n, (fate, _)) in PUSH_FATES.iter().enumerate() {
            assert_eq!(*fate as usize, n);
        }
        for (n, blame) in Blame::ALL.iter().enumerate() {
            assert_eq!(*blame as usize, n);
        }
        for (n, family) in KeyFamily::ALL.iter().enumerate() {
            assert_eq!(*family as usize, n);
        }
        for (n, state) in DeviceState::ALL.iter().enumerate() {
            assert_eq!(*state as usize, n);
        }
    }
}
