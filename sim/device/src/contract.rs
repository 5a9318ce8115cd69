//! What passes between a machine and whoever runs it.
//!
//! 1. A lane waits for exactly one thing at a time: the [`Action`] that it returned says which, until when, and which
//!    reasons it hears meanwhile. `until` ends `Wait` and `Sleep` with a [`Wake`] for time, everything else with
//!    `Failed` of kind `timeout`, unless a request hears time: then it is let go of, as by an order. A machine knows its own timers; what the plan wants comes as an *order* in a note.
//! 2. `Wait` keeps the session's connections; `Sleep` closes them. A session is what lies between two `Sleep`s. The
//!    shell never sends a request twice. `Open` and `Send` are for a link that is not HTTP: what comes over it is a
//!    `Frame` a packet, one at a time, the others stay in the socket, and so do all while the lane does not hear its
//!    link; its loss is `Failed`, and after `Send` the lane waits as in `Wait`.
//! 3. Latches are levels. What arrives while it is not heard is latched; an action that hears a latched reason is
//!    woken at once with all that it hears in one [`Wake`]; a request that hears is let go of by it. An `until` that is
//!    not later than now, twice running, is the machine's fault, and counted.
//! 4. The shard owns the modelled delay: `lag` says how long after a heard push the lane wakes. The due time of the
//!    wake is the first cause, or the end of the last `Sleep` that did not hear it, plus the lag.
//! 5. Saved before told: what the server will remember of a device is on disk (`Save`, then `Saved`) before the
//!    request that tells it.

use crate::{Identity, KeyIx, whole};
use bytes::Bytes;
use droves_facts::{Blame, Dur, Mono, Operation, Wall, Word};
use droves_wire::apple::{acme, scep};
use droves_wire::keys::KeyKind;
use droves_wire::windows::csr;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::BitOr;
use std::sync::Arc;

/// What a lane wants next, and how long it waits for it.
#[derive(Debug, Serialize)]
pub struct Action {
    /// The one thing.
    pub what: What,
    /// When waiting ends; [`Mono::NEVER`] for never.
    pub until: Mono,
    /// What is heard meanwhile.
    pub hear: Reasons,
}

/// The one thing that a lane waits for.
#[derive(Debug, Serialize)]
pub enum What {
    /// An answer to this request. The session begins with the first one.
    Request(Box<Request>),
    /// The first frame of this link, which answers what it was opened with. A session has one link at a time.
    Open(Box<Link>),
    /// Time, something heard, or a frame, once these bytes are on their way over the link.
    Send(#[serde(with = "whole")] Bytes),
    /// Time, or something heard; connections stay open.
    Wait,
    /// Time, or something heard; the session is over.
    Sleep {
        /// How long after a push the lane wakes. An order is heard at its cause: it has its own schedule.
        lag: Dur,
    },
    /// Record, kept parts and identity on disk.
    Save,
    /// Work with a private key.
    Make(Box<Work>),
    /// The lane is over: only an `Enroll` order can wake it. Ending the main lane ends its sisters.
    End(Why),
}

/// Why a lane ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Why {
    /// Erased by command.
    Wiped,
    /// The enrollment was removed, by either side.
    Removed,
    /// Enrolling failed for good.
    GaveUp,
}

/// A set of reasons to wake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reasons(u8);

impl Reasons {
    /// Hears nothing.
    pub const NONE: Reasons = Reasons(0);
    /// `until` has come. Never latched.
    pub const TIME: Reasons = Reasons(1);
    /// A push.
    pub const PUSH: Reasons = Reasons(2);
    /// An order of the plan, or of a sister lane.
    pub const ORDER: Reasons = Reasons(4);
    /// A push that is urgent (FCM: priority `high`): whoever hears pushes hears it, and it comes with [`Reasons::PUSH`].
    pub const URGENT: Reasons = Reasons(8);
    /// What comes over the link: a frame, or its loss. Never latched: it comes by itself once it is heard.
    pub const LINK: Reasons = Reasons(16);

    /// Whether every reason of `other` is in this set.
    pub fn has(self, other: Reasons) -> bool {
        self.0 & other.0 == other.0
    }
    /// What is in both sets.
    pub fn and(self, other: Reasons) -> Reasons {
        Reasons(self.0 & other.0)
    }
    /// What is in this set and not in the other.
    pub fn without(self, other: Reasons) -> Reasons {
        Reasons(self.0 & !other.0)
    }
    /// Whether nothing is in this set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (Reasons::TIME, "time"),
            (Reasons::PUSH, "push"),
            (Reasons::ORDER, "order"),
            (Reasons::URGENT, "urgent push"),
            (Reasons::LINK, "its link"),
        ];
        let names: Vec<&str> =
            named.into_iter().filter(|(reason, _)| self.has(*reason)).map(|(_, name)| name).collect();
        f.write_str(if names.is_empty() { "nothing".into() } else { names.join(", ") }.as_str())
    }
}

impl BitOr for Reasons {
    type Output = Reasons;
    fn bitor(self, other: Reasons) -> Reasons {
        Reasons(self.0 | other.0)
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// Time, or what the last action heard.
    Wake(Wake<'a>),
    /// The answer to the request.
    Response(Response<'a>),
    /// A whole packet has come over the link.
    Frame(Bytes),
    /// What was to be saved is on disk.
    Saved,
    /// The work is done.
    Made(Made),
    /// The request or the work came to nothing, or the link is lost.
    Failed(Failure),
}

/// One wake, with everything that was heard.
#[derive(Debug)]
pub struct Wake<'a> {
    /// All reasons.
    pub reasons: Reasons,
    /// When the lane should have woken; lateness counts from it.
    pub due: Mono,
    /// The orders, oldest first.
    pub notes: &'a [Note],
}

/// A latched message with content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Note {
    /// What is wanted.
    pub order: Order,
    /// When it was wanted: an order inherits the cause of the event that gave it.
    pub cause: Mono,
}

/// What the plan, or a sister lane, wants of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Enroll, as a new enrollment. On a user lane: the device has enrolled, open the user channel.
    Enroll,
    /// Ask the server for commands.
    CheckIn,
    /// Get a new identity.
    Renew,
    /// Leave: the user removes the enrollment.
    Unenroll,
    /// To a user lane: the device's channel is gone.
    MainEnded,
    /// To a lane: another lane has set things right that this one waits for (a new identity).
    IdentityRenewed,
    /// To a lane: what its sister has in common with it is another now ([`Machine::sister`]), and it has it too.
    ///
    /// [`Machine::sister`]: crate::Machine::sister
    Shared,
    /// To the main lane: its sister has fetched what goes by this number.
    Fetched(u32),
    /// To the main lane: the server has pushed over the link. It is heard as a push; what it asks for is in the dialect's
    /// own numbers.
    Pushed(u32),
}

impl Order {
    /// As what it is heard.
    pub fn reason(self) -> Reasons {
        match self {
            Order::Pushed(_) => Reasons::PUSH,
            _ => Reasons::ORDER,
        }
    }

    /// Whether the lane that gets it gets what its sister has in common with it, too.
    pub fn shares(self) -> bool {
        matches!(self, Order::Enroll | Order::Shared)
    }
}

/// One request. The shell keeps one connection per origin and identity while the session lasts.
#[derive(Debug, Serialize)]
pub struct Request {
    /// Under which name it is measured.
    pub operation: Operation,
    /// Who answers.
    pub peer: Peer,
    /// HTTP method.
    pub method: Method,
    /// Absolute URL; for [`Peer::PushService`] the topic that the token is for, for [`Peer::Google`] nothing.
    pub url: Arc<str>,
    /// The fixed headers of this kind of message on this platform.
    pub headers: &'static [(&'static str, &'static str)],
    /// Headers that differ from request to request; mostly none.
    pub varying: Vec<(&'static str, Box<str>)>,
    /// The body.
    pub body: Body,
    /// The identity to present where the server's TLS asks for one.
    pub identity: Option<Arc<Identity>>,
    /// Whether, and how, the body is signed just before the write.
    pub sign: Option<Sign>,
    /// What is to be done with the answer's body.
    pub sink: Sink,
    /// How long the answer may take to be whole, from the request's first byte.
    pub wait_max: Dur,
    /// The status by which its server ends what it has held for nothing, [`HELD_MIN`] or longer: that is no failure.
    pub idle_end: Option<u16>,
}

/// What was answered sooner was not held.
pub const HELD_MIN: Dur = Dur::secs(5);

/// A link that is not HTTP. It lives as long as the session, or until its peer ends it.
#[derive(Debug, Serialize)]
pub struct Link {
    /// Under which name its opening is measured: from connecting to the first frame.
    pub operation: Operation,
    /// `mqtt://host:port`, or `mqtts://`.
    pub url: Arc<str>,
    /// How packets are told apart.
    pub framing: Framing,
    /// What is sent first.
    #[serde(with = "whole")]
    pub hello: Bytes,
    /// The identity to present where the server's TLS asks for one.
    pub identity: Option<Arc<Identity>>,
}

/// How the packets of a link are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Framing {
    /// MQTT: a byte, then the length of the rest in one to four bytes.
    Mqtt,
}

/// Who answers a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Peer {
    /// The server under test, or a host that its answers name.
    Server,
    /// The push service, played in this process: the device registers and gets its token.
    PushService {
        /// The generation of the token that the device asks for.
        generation: u32,
    },
    /// Google, played in this process: the body is an [`Ask`](droves_wire::android::adp::Ask).
    Google,
}

/// HTTP methods that devices use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// PUT.
    Put,
    /// POST.
    Post,
}

/// What is sent.
#[derive(Clone, Debug, Serialize)]
pub enum Body {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(#[serde(with = "whole")] Bytes),
}

/// How a body is signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Sign {
    /// By the identity, over the exact bytes of the body: base64 of a detached CMS in a header.
    Message {
        /// The header's name, in lower case: `mdm-signature` for Apple.
        header: &'static str,
        /// The signing time to put in; iOS does, macOS does not.
        time: Option<Wall>,
    },
    /// ACME: the body is the payload of a JWS, which is sent in its place.
    Account(Account),
}

/// An account at an ACME server. Its key lives no longer than the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Account {
    /// Which of the lane's accounts.
    pub ordinal: u64,
    /// Its URL, once the server has given it one.
    pub kid: Option<Arc<str>>,
    /// The server's last `Replay-Nonce`.
    pub nonce: Arc<str>,
}

/// What is to be done with the body of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Sink {
    /// Kept up to this many bytes; more is a failure of kind `body_too_large`.
    Keep(usize),
    /// Counted and digested (SHA-256), not kept, up to this many bytes.
    Digest(u64),
}

/// An answer.
#[derive(Debug)]
pub struct Response<'a> {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body as the sink left it.
    pub body: Bytes,
    /// Bytes of body that were counted and not kept.
    pub digested: u64,
}

/// A request or a piece of work that came to nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault.
    pub blame: Blame,
    /// What, in one word (`timeout`, `connect_refused`, `reset`, `body_too_large`, ..).
    #[serde(deserialize_with = "droves_facts::kind")]
    pub kind: Word,
    /// How far it came.
    pub reached: Reached,
    /// What, in a sentence.
    pub text: Box<str>,
}

/// How far a failed request came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Reached {
    /// No byte of it was written: the server can't know of it.
    Nothing,
    /// Some or all of it was written: the server may have acted on it.
    Sent,
    /// The head of the answer has come, its body has not come whole.
    Head,
}

/// Work with a private key, done by the shell.
#[derive(Debug, Serialize)]
pub enum Work {
    /// A key for a new identity.
    Key {
        /// Its kind. RSA keys have 2,048 bits, whatever is asked for.
        kind: KeyKind,
    },
    /// What Apple attests of the device and its key, asked for with an ACME challenge.
    Attest {
        /// Who it is, and for which challenge.
        subject: Box<acme::Subject>,
        /// The key.
        key: KeyIx,
    },
    /// A certificate request for an ACME server.
    AcmeRequest {
        /// What it asks for.
        request: Box<acme::Request>,
        /// The key to be certified.
        key: KeyIx,
    },
    /// A certificate request as Windows writes it.
    WindowsRequest {
        /// Of which the first 30 characters go into the subject.
        guid: Box<str>,
        /// 32 hexadecimal digits.
        device_id: Box<str>,
        /// How the build writes it.
        spelling: csr::Spelling,
        /// The key to be certified.
        key: KeyIx,
        /// For a renewal: the identity that signs the request, as PKCS#7.
        signer: Option<Arc<Identity>>,
    },
    /// The certificate that an ACME server has issued.
    AcmeOpen {
        /// The chain, PEM.
        #[serde(with = "whole")]
        chain: Bytes,
        /// The key that was to be certified.
        key: KeyIx,
    },
    /// The identity in a PKCS#12 file, its key kept.
    Unpack {
        /// The file.
        #[serde(with = "whole")]
        file: Bytes,
        /// What it is protected with.
        password: Arc<str>,
    },
    /// A SCEP request built and signed.
    ScepRequest {
        /// What is asked for.
        request: Box<scep::Request>,
        /// The key to be certified.
        key: KeyIx,
        /// The identity that signs a renewal; `None` signs with a temporary certificate over the same key.
        signer: Option<Arc<Identity>>,
    },
    /// A SCEP reply opened.
    ScepOpen {
        /// The reply's bytes.
        #[serde(with = "whole")]
        reply: Bytes,
        /// What the request left behind.
        pending: Box<scep::Pending>,
        /// The key that was to be certified.
        key: KeyIx,
        /// The identity that signed the request, if it was a renewal.
        signer: Option<Arc<Identity>>,
    },
}

/// What came of the work. Work that fails for a reason that lies in what it was given is `Failed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Made {
    /// The key.
    Key(KeyIx),
    /// The identity that was unpacked, or that an ACME server has certified.
    Identity(Identity),
    /// The attestation object.
    Attestation(#[serde(with = "whole")] Bytes),
    /// The certificate request, DER; a signed one where that was asked for.
    CertificateRequest(#[serde(with = "whole")] Bytes),
    /// The request's body, and what is needed to read its answer.
    ScepRequest {
        /// What to send.
        #[serde(with = "whole")]
        body: Bytes,
        /// What to hand back with `ScepOpen`.
        pending: Box<scep::Pending>,
    },
    /// What the SCEP server says.
    ScepReply(scep::Reply),
}
