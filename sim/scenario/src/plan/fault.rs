//! What goes wrong on purpose.

use droves_facts::{Dur, PhaseIx, PopulationIx};
use droves_wire::windows::soap::FaultKind as SoapFault;

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
