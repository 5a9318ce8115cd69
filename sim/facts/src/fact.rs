//! What can be said of a run. Everything that is shown is a fold of facts; nothing is shown that is not one.
//!
//! A fact about a lane, also one that the administrator or a push service states, is folded in the shard that owns the
//! lane. Facts about one lane may come out of order (a command can be delivered before the answer to the slow call
//! that queued it has come): folds must commute.

use crate::{Blame, CommandKey, Dur, LaneIx, Mono, Operation, Outcome, PhaseIx, Word};
use serde::{Deserialize, Serialize};

/// One thing that happened. As JSON it is an object of these four; `what` is an object (or a text) tagged by the kind's
/// name, times in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// When.
    pub at: Mono,
    /// The phase that it belongs to: that of its due time, where it has one.
    pub phase: PhaseIx,
    /// About whom; [`LaneIx::NOBODY`] where it is about none in particular.
    pub lane: LaneIx,
    /// What.
    pub what: What,
}

impl LaneIx {
    /// Stands for "no lane": a fact about the run itself.
    pub const NOBODY: LaneIx = LaneIx(u32::MAX);
}

/// The kinds of facts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An arrival of the plan met its fate. Causes = on time + late + merged + dropped + pending, where pending is
    /// what the plan says minus these.
    Arrival {
        /// What the arrival asks for.
        operation: Operation,
        /// When the plan wanted it.
        due: Mono,
        /// What became of it.
        fate: ArrivalFate,
    },
    /// A started arrival's purpose is fulfilled, or given up.
    OperationEnded {
        /// What the arrival asked for.
        operation: Operation,
        /// When the plan wanted it.
        due: Mono,
        /// When it was started.
        started: Mono,
        /// How it came out.
        outcome: Outcome,
    },
    /// A session begins: the lane may now use the network.
    SessionStarted {
        /// Its intended start.
        due: Mono,
        /// What woke the lane.
        by: Waker,
    },
    /// A session is over.
    SessionEnded {
        /// Its intended start.
        due: Mono,
        /// When it began.
        started: Mono,
    },
    /// A management session of many messages came to its end, well or not: what it carried.
    Managed {
        /// Messages that the device sent.
        messages: u32,
        /// Nodes that the server's commands were about.
        nodes: u32,
    },
    /// A request was handed to the network (or to a played peer).
    RequestStarted {
        /// Which.
        operation: Operation,
    },
    /// A request came to its end. Requests started = succeeded + failed + unfinished.
    RequestEnded {
        /// Which.
        operation: Operation,
        /// When its parts happened.
        timing: RequestTiming,
        /// How it came out.
        outcome: Outcome,
        /// Bytes of body and head written.
        bytes_out: u32,
        /// Bytes of body read.
        bytes_in: u32,
    },
    /// A connection stands.
    ConnectionOpened(Opening),
    /// A connection could not be opened.
    ConnectionFailed {
        /// Whose fault.
        blame: Blame,
        /// What, in one word.
        #[serde(deserialize_with = "crate::kind")]
        kind: Word,
    },
    /// A connection that stood is gone. Opened = closed by us + by the peer + held at the end.
    ConnectionClosed(Closing),
    /// A device went from one state to another.
    Device {
        /// From this state.
        from: DeviceState,
        /// To this one.
        to: DeviceState,
    },
    /// A push met this fate on its way from the push service to the lane.
    Push(PushFate),
    /// The administrator's call that queues a command for this lane was answered well.
    CommandQueued {
        /// The command.
        command: CommandKey,
        /// When the call was begun.
        asked: Mono,
        /// When it was answered.
        queued: Mono,
        /// By when it must have been delivered, while the lane can hear; [`Mono::NEVER`] for none.
        deadline: Mono,
    },
    /// The call that queues a command for this lane was refused by the server: nothing is owed.
    CommandRefused {
        /// The command.
        command: CommandKey,
    },
    /// The call that queues a command for this lane had no answer: it may be queued or not.
    CommandUnknown {
        /// The command.
        command: CommandKey,
        /// When the call was begun.
        asked: Mono,
    },
    /// The server was told, and answered, to push this lane.
    PushAsked,
    /// The lane was woken by a push that the push service had at `pushed`.
    Woken {
        /// When the push service had it.
        pushed: Mono,
    },
    /// The quota is used up by which a server calls whoever manages its devices: until then it is refused. About no lane, and
    /// said wherever lanes are folded.
    QuotaUsedUp {
        /// When there is some again.
        until: Mono,
    },
    /// A call of the server's about this lane was taken by whoever manages its device, and counted against the quota.
    Called,
    /// The connection on which a push is answered stands.
    Connected,
    /// A command's bytes have reached the device.
    Delivered {
        /// The command.
        command: CommandKey,
        /// Whether the device has a name for it. A command that names none can't be told from another.
        named: bool,
    },
    /// What the device is to be like has reached it, whole: a configuration, which is a command that may come again. What was
    /// to come before it, and did not, is in it or is moot.
    Configured {
        /// The command.
        command: CommandKey,
    },
    /// The device has done a command (its modelled time has ended) and has its answer ready.
    Answered {
        /// The command.
        command: CommandKey,
        /// What it answers.
        status: CommandStatus,
    },
    /// Where the server hears of an answer by whoever manages its devices: it is being told, or has been handed it. May be
    /// said more than once.
    Notified {
        /// The command.
        command: CommandKey,
    },
    /// The server has taken a command's answer: a 2xx.
    Accepted {
        /// The command.
        command: CommandKey,
        /// What was answered.
        status: CommandStatus,
    },
    /// The device went where commands can't reach it any more (wiped, unenrolled): what is still open for it is moot.
    Unreachable,
    /// What the server says that it believes of this lane, held against the lane.
    Believes(Truth),
    /// The generator signed something for a device.
    Signed {
        /// CPU time of it.
        took: Dur,
        /// By a key of this family.
        by: KeyFamily,
    },
    /// The generator made something (a key, a certificate request) for a device.
    Made {
        /// Time from asked to done.
        took: Dur,
    },
    /// The store has what a device wanted saved.
    Saved {
        /// Time from asked to done.
        took: Dur,
    },
    /// A session, an operation or a timer began this much after it was due, for no other reason than the generator.
    Lag {
        /// How late.
        lag: Dur,
    },
    /// Something that a person should read: an example of a failure, in words.
    Complaint {
        /// Whose fault.
        blame: Blame,
        /// What, in one word, as in [`Outcome`].
        #[serde(deserialize_with = "crate::kind")]
        kind: Word,
        /// What, in a sentence. May quote the server, cut to a line and without secrets.
        text: Box<str>,
    },
}

/// What woke a lane for a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waker {
    /// An arrival of the plan, or another lane of the device.
    Order,
    /// A push.
    Push,
    /// The lane's own timer: a retry, its first session after enrolling, a command that it had put off.
    Timer,
}

/// What became of an arrival.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrivalFate {
    /// Started within the lag bound of its due time.
    OnTime,
    /// Started later than that.
    Late,
    /// Its lane was busy with just what it asks for: one session serves both.
    Merged,
    /// Not started, by the policy of the plan, or because its lane can't (not enrolled, gone).
    Dropped,
    /// Due, and not started when the run ended: its lane was busy with something else, or had no room.
    Waiting,
}

/// When the parts of a request happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestTiming {
    /// When it was due: the session's intended start for the first request, else when the device was ready for it.
    pub due: Mono,
    /// When it was really begun: before the connect, if it needed one.
    pub started: Mono,
    /// When its first byte could be written: the connection stood.
    pub sent: Mono,
    /// When the head of the answer had come; `None` if none came.
    pub first_byte: Option<Mono>,
    /// When the answer was whole, or the request had failed.
    pub ended: Mono,
}

impl RequestTiming {
    /// From the intended start: what a device's owner waits.
    pub fn response(&self) -> Dur {
        self.ended.since(self.due)
    }
    /// From the real start: what the server and the network took.
    pub fn service(&self) -> Dur {
        self.ended.since(self.started)
    }
}

/// How a connection was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Opening {
    /// TCP connect.
    pub connect: Dur,
    /// TLS handshake; `None` without TLS.
    pub tls: Option<Dur>,
    /// Whether the handshake resumed an earlier session.
    pub resumed: bool,
    /// Whether HTTP/2 was agreed on.
    pub http2: bool,
    /// The family of the key that we proved to have; `None` if no certificate was asked for, or the handshake was resumed.
    pub shown: Option<KeyFamily>,
}

/// Families of keys, by what a signature costs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFamily {
    /// RSA, of any size; and P-384, which is nearer to it than to P-256.
    Rsa,
    /// ECDSA on P-256.
    P256,
}

impl KeyFamily {
    /// Every family; one stands at its own place.
    pub const ALL: [KeyFamily; 2] = [KeyFamily::Rsa, KeyFamily::P256];
}

/// Who ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// We did: the session was over.
    ByUs,
    /// The server, or the network.
    ByPeer,
}

/// Where a device stands, for the count of the fleet by state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// Never enrolled, or enrolled no more and waiting for nobody.
    Unenrolled,
    /// On its way in.
    Enrolling,
    /// Enrolled, asleep or in a session.
    Enrolled,
    /// Gave up enrolling.
    Failed,
    /// Unenrolled by the server, or left.
    Removed,
    /// Wiped.
    Wiped,
}

impl DeviceState {
    /// Every state, in the order in which tables show them.
    pub const ALL: [DeviceState; 6] = [
        DeviceState::Unenrolled,
        DeviceState::Enrolling,
        DeviceState::Enrolled,
        DeviceState::Failed,
        DeviceState::Removed,
        DeviceState::Wiped,
    ];

    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            DeviceState::Unenrolled => "unenrolled",
            DeviceState::Enrolling => "enrolling",
            DeviceState::Enrolled => "enrolled",
            DeviceState::Failed => "failed",
            DeviceState::Removed => "removed",
            DeviceState::Wiped => "wiped",
        }
    }
}

/// What became of a push.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushFate {
    /// The push service took it from the server.
    Received,
    /// Folded into a wake that was pending already.
    Coalesced,
    /// Its magic was of an earlier enrollment: dropped by the lane, no connect.
    Stale,
    /// Its keep-until passed before the lane could hear it.
    Expired,
    /// Refused with 410: its token was of an earlier generation.
    Unregistered,
    /// Lost by us: a full queue. Never charged to the server.
    DroppedOurs,
}

/// What a device answers to a command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CommandStatus {
    /// Done.
    Acknowledged,
    /// Failed, with an error chain.
    Error,
    /// Not understood.
    FormatError,
    /// Not now: the server may offer it again.
    NotNow,
}

/// What a server says against what the device holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// The same.
    Agrees,
    /// Not the same.
    Differs,
    /// The server can't be asked.
    Unavailable,
}
