//! Times of operations, by phase: what a device's owner waits (*response*, from the intended start) and what the
//! server and the network took (*service*, from the real one).
//!
//! Promises: a sample belongs to the phase that its fact names; recording indexes arrays and hashes nothing; a
//! histogram is made when its first sample comes.
//!
//! Which requests are samples: those that succeeded and those that the *server* failed (an answer of 500, or none in
//! time), for a server must not mend its percentiles by failing. What the network, the plan or we failed says nothing
//! of the server's speed and is counted only. An operation that failed has no duration. Operations of the administrator and of played peers are series of their
//! own, as the table of operations says, and first bytes are taken of the device's requests only.

use crate::Fold;
use crate::histogram::Times;
use crate::phases::PerPhase;
use droves_facts::{Blame, Dur, Fact, Mono, OPERATIONS, Operation, Outcome, PhaseIx, RequestTiming, Unit, What};
use serde::{Deserialize, Serialize};

/// How many operations there are.
pub(crate) const OPERATION_COUNT: usize = OPERATIONS.len();

/// From when a time counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// From the intended start.
    Response,
    /// From the real start.
    Service,
}

impl Kind {
    /// Both, in the order in which tables show them.
    pub const ALL: [Kind; 2] = [Kind::Response, Kind::Service];

    /// One lower-case word, as in `apple.idle.response`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Response => "response",
            Kind::Service => "service",
        }
    }
}

/// The times of one operation in one phase.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Pair {
    response: Times,
    service: Times,
}

/// The fold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Series {
    phases: PerPhase<Phase>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Phase {
    #[serde(with = "crate::array")]
    operations: [Pair; OPERATION_COUNT],
    lag: Times,
    made: Times,
    saved: Times,
    signed: Times,
    messages: Times,
    nodes: Times,
}

impl Default for Phase {
    fn default() -> Self {
        Phase {
            operations: std::array::from_fn(|_| Pair::default()),
            lag: Times::default(),
            made: Times::default(),
            saved: Times::default(),
            signed: Times::default(),
            messages: Times::default(),
            nodes: Times::default(),
        }
    }
}

/// What the generator itself took time for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Own {
    /// Began late for no other reason than the generator.
    Lag,
    /// CPU time of a signature.
    Signed,
    /// A key or a certificate request, from asked to done.
    Made,
    /// The store, from asked to done.
    Saved,
}

/// What is counted of a management session of many messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PerSession {
    /// Messages that the device sent.
    Messages,
    /// Nodes that the server's commands were about.
    Nodes,
}

impl PerSession {
    /// Both, with their names in thresholds and results.
    pub const ALL: [(PerSession, &str); 2] =
        [(PerSession::Messages, "messages_per_session"), (PerSession::Nodes, "nodes_per_session")];
}

impl Series {
    /// Takes the end of a request.
    pub fn request_ended(&mut self, phase: PhaseIx, operation: Operation, timing: &RequestTiming, outcome: Outcome) {
        match outcome {
            Outcome::Succeeded | Outcome::Failed { blame: Blame::Server, .. } => {}
            Outcome::Failed { .. } => return,
        }
        let phase = self.phases.at(phase);
        let pair = &mut phase.operations[operation as usize];
        pair.response.record(timing.response());
        pair.service.record(timing.service());
        if let (Some(first_byte), Unit::Request) = (timing.first_byte, operation.info().unit) {
            let pair = &mut phase.operations[Operation::FirstByte as usize];
            pair.service.record(first_byte.since(timing.sent));
        }
    }

    /// The times of one operation in one phase, or in all.
    pub fn times(&self, phase: Option<PhaseIx>, operation: Operation, kind: Kind) -> Times {
        self.gathered(phase, |phase| {
            let pair = &phase.operations[operation as usize];
            match kind {
                Kind::Response => &pair.response,
                Kind::Service => &pair.service,
            }
        })
    }

    /// What the generator itself took, in one phase or in all.
    pub fn own(&self, phase: Option<PhaseIx>, which: Own) -> Times {
        self.gathered(phase, |phase| match which {
            Own::Lag => &phase.lag,
            Own::Signed => &phase.signed,
            Own::Made => &phase.made,
            Own::Saved => &phase.saved,
        })
    }

    /// What sessions of Windows devices carried, in one phase or in all: counts, one as a microsecond.
    pub fn per_session(&self, phase: Option<PhaseIx>, which: PerSession) -> Times {
        self.gathered(phase, |phase| match which {
            PerSession::Messages => &phase.messages,
            PerSession::Nodes => &phase.nodes,
        })
    }

    /// How many phases have been heard of.
    pub fn phases(&self) -> usize {
        self.phases.len()
    }

    /// Heap memory of all histograms in bytes.
    pub fn bytes(&self) -> usize {
        let own = |p: &Phase| {
            [&p.lag, &p.made, &p.saved, &p.signed, &p.messages, &p.nodes].map(Times::bytes).iter().sum::<usize>()
        };
        let pairs = |p: &Phase| p.operations.iter().map(|o| o.response.bytes() + o.service.bytes()).sum::<usize>();
        self.phases.chosen(None).map(|p| own(p) + pairs(p)).sum()
    }

    fn gathered<'a>(&'a self, phase: Option<PhaseIx>, pick: impl Fn(&'a Phase) -> &'a Times) -> Times {
        let mut all = Times::default();
        for phase in self.phases.chosen(phase) {
            all.merge(pick(phase).clone());
        }
        all
    }

    fn whole(&mut self, phase: PhaseIx, operation: Operation, due: Mono, started: Mono, ended: Mono) {
        let pair = &mut self.phases.at(phase).operations[operation as usize];
        pair.response.record(ended.since(due));
        pair.service.record(ended.since(started));
    }

    fn part(&mut self, phase: PhaseIx, operation: Operation, took: Dur) {
        self.phases.at(phase).operations[operation as usize].service.record(took);
    }
}

impl Fold for Series {
    fn apply(&mut self, fact: &Fact) {
        match &fact.what {
            What::RequestEnded { operation, timing, outcome, .. } => {
                self.request_ended(fact.phase, *operation, timing, *outcome);
            }
            What::OperationEnded { operation, due, started, outcome: Outcome::Succeeded } => {
                self.whole(fact.phase, *operation, *due, *started, fact.at);
            }
            What::SessionEnded { due, started } => {
                self.whole(fact.phase, Operation::Session, *due, *started, fact.at);
            }
            What::ConnectionOpened(opening) => {
                self.part(fact.phase, Operation::Connect, opening.connect);
                if let Some(tls) = opening.tls {
                    self.part(fact.phase, Operation::Tls, tls);
                }
            }
            What::Managed { messages, nodes } => {
                let phase = self.phases.at(fact.phase);
                phase.messages.record(Dur(u64::from(*messages)));
                phase.nodes.record(Dur(u64::from(*nodes)));
            }
            What::Lag { lag } => self.phases.at(fact.phase).lag.record(*lag),
            What::Signed { took, .. } => self.phases.at(fact.phase).signed.record(*took),
            What::Made { took } => self.phases.at(fact.phase).made.record(*took),
            What::Saved { took } => self.phases.at(fact.phase).saved.record(*took),
            _ => {}
        }
    }

    fn merge(&mut self, other: Self) {
        self.phases.merge(other.phases, |mine, theirs| {
            for (mine, theirs) in mine.operations.iter_mut().zip(theirs.operations) {
                mine.response.merge(theirs.response);
                mine.service.merge(theirs.service);
            }
            mine.lag.merge(theirs.lag);
            mine.made.merge(theirs.made);
            mine.saved.merge(theirs.saved);
            mine.signed.merge(theirs.signed);
            mine.messages.merge(theirs.messages);
            mine.nodes.merge(theirs.nodes);
        });
    }
}
