//! What machines heard and how they answered, written down so that the same can be demanded of machines again.
//!
//! Whoever runs machines writes a [`Record`] when a lane is met, when it is opened, and after each of its steps. What was
//! heard is written in full, what was answered as digests. A [`Player`] lets machines of its own hear the same, and finds
//! the first answer that is another one.

mod player;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

pub use player::{Difference, Player, Problem};

use crate::{
    Action, Clocks, Ctx, Event, Failure, Identity, Machine, Made, Note, Out, Reasons, Response, Wake, What, Why,
};
use bytes::Bytes;
use droves_facts::{DeviceIx, Dur, LaneIx, Mono, Operation};
use droves_wire::digest;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// One thing that happened to a lane. Records of one lane, and of lanes of one device, are in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Record {
    /// It is met for the first time.
    Met(Box<Met>),
    /// Its shared part, while it sleeps, was replaced by this one, encoded: a sister lane orders it to enroll, or tells it
    /// what is new.
    Shared(LaneIx, Vec<u8>),
    /// The same while it is awake.
    Told(LaneIx, Vec<u8>),
    /// It is opened. What was live of it before has been folded back.
    Opened(LaneIx),
    /// It has heard something, and answered.
    Step(Box<Step>),
}

/// A lane as it sleeps when it is met.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Met {
    /// Which.
    pub lane: LaneIx,
    /// Whose.
    pub device: DeviceIx,
    /// 0 is the device channel, 1.. are user channels.
    pub channel: u8,
    /// Which of the kinds of devices it is.
    pub character: u16,
    /// The record, encoded.
    pub record: Vec<u8>,
    /// What it has in common with others, encoded.
    pub shared: Vec<u8>,
    /// What is its own, encoded.
    pub own: Option<Box<[u8]>>,
    /// The device's identity.
    pub identity: Option<Arc<Identity>>,
}

/// One step of a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Whose.
    pub lane: LaneIx,
    /// When.
    pub clocks: Clocks,
    /// When the cause of the event was.
    pub cause: Mono,
    /// What it heard.
    pub heard: Heard,
    /// What it answered.
    pub said: Said,
}

/// An [`Event`] that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Heard {
    /// Time, or what the last action heard.
    Wake {
        /// All reasons.
        reasons: Reasons,
        /// When the lane should have woken.
        due: Mono,
        /// The orders, oldest first.
        notes: Vec<Note>,
    },
    /// The answer to the request.
    Response {
        /// HTTP status.
        status: u16,
        /// Headers, in order.
        headers: Vec<(String, Vec<u8>)>,
        /// Body.
        #[serde(with = "crate::whole")]
        body: Bytes,
        /// Bytes of body that were counted and not kept.
        digested: u64,
    },
    /// A whole packet has come over the link.
    Frame(#[serde(with = "crate::whole")] Bytes),
    /// What was to be saved is on disk.
    Saved,
    /// The work is done.
    Made(Made),
    /// The request or the work came to nothing, or the link is lost.
    Failed(Failure),
}

impl Heard {
    /// Keeps an event.
    pub fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Wake(Wake { reasons, due, notes }) => {
                Heard::Wake { reasons: *reasons, due: *due, notes: notes.to_vec() }
            }
            Event::Response(Response { status, headers, body, digested }) => {
                let header =
                    |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), value.as_bytes().to_vec());
                Heard::Response {
                    status: *status,
                    headers: headers.iter().map(header).collect(),
                    body: Bytes::clone(body),
                    digested: *digested,
                }
            }
            Event::Frame(frame) => Heard::Frame(Bytes::clone(frame)),
            Event::Saved => Heard::Saved,
            Event::Made(made) => Heard::Made(made.clone()),
            Event::Failed(failure) => Heard::Failed(failure.clone()),
        }
    }

    /// Lets a machine hear it. None if there is a header in it that is none.
    fn tell<M: Machine>(&self, machine: &mut M, ctx: &mut Ctx<'_>) -> Option<Action> {
        Some(match self {
            Heard::Wake { reasons, due, notes } => {
                machine.on(Event::Wake(Wake { reasons: *reasons, due: *due, notes }), ctx)
            }
            Heard::Response { status, headers, body, digested } => {
                let headers = header_map(headers)?;
                let (status, body, digested) = (*status, Bytes::clone(body), *digested);
                let response = Response { status, headers: &headers, body, digested };
                machine.on(Event::Response(response), ctx)
            }
            Heard::Frame(frame) => machine.on(Event::Frame(Bytes::clone(frame)), ctx),
            Heard::Saved => machine.on(Event::Saved, ctx),
            Heard::Made(made) => machine.on(Event::Made(made.clone()), ctx),
            Heard::Failed(failure) => machine.on(Event::Failed(failure.clone()), ctx),
        })
    }
}

fn header_map(headers: &[(String, Vec<u8>)]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let (name, value) = (HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?);
        map.try_append(name, value).ok()?;
    }
    Some(map)
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heard::Wake { reasons, notes, .. } => {
                let orders: Vec<_> = notes.iter().map(|note| note.order).collect();
                write!(f, "it wakes for {reasons}, with the orders {orders:?}")
            }
            Heard::Response { status, body, .. } => write!(f, "an answer with status {status}, {} bytes", body.len()),
            Heard::Frame(frame) => write!(f, "a frame of {} bytes", frame.len()),
            Heard::Saved => write!(f, "it is saved"),
            Heard::Made(made) => {
                let what = match made {
                    Made::Key(_) => "a key",
                    Made::Identity(_) => "an identity",
                    Made::Attestation(_) => "an attestation",
                    Made::CertificateRequest(_) => "a certificate request",
                    Made::ScepRequest { .. } => "a SCEP request",
                    Made::ScepReply(_) => "a SCEP reply, opened",
                };
                write!(f, "{what} is made")
            }
            Heard::Failed(Failure { blame, kind, text, .. }) => {
                write!(f, "a failure: {}, {kind}: {text}", blame.name())
            }
        }
    }
}

/// What a machine answered: its action in short, and digests of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Said {
    /// What it waits for.
    pub what: Short,
    /// Until when.
    pub until: Mono,
    /// What it hears meanwhile.
    pub hear: Reasons,
    /// Of the whole action.
    pub action: Sum,
    /// Of what it put out beside: facts, orders, operations that ended, the identity.
    pub out: Sum,
    /// Of its record thereafter.
    pub record: Sum,
}

/// The first 8 bytes of a SHA-256.
pub type Sum = [u8; 8];

/// The first 8 bytes of the SHA-256 of these.
pub fn sum(bytes: &[u8]) -> Sum {
    let [a, b, c, d, e, f, g, h, ..] = digest::sha256(bytes);
    [a, b, c, d, e, f, g, h]
}

/// An action in a word or two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Short {
    /// An answer to such a request.
    Request(Operation),
    /// The first frame of a link.
    Open(Operation),
    /// Time, something heard or a frame, after something sent over it.
    Send,
    /// Time, or something heard.
    Wait,
    /// The same, with nothing open.
    Sleep(Dur),
    /// The disk.
    Save,
    /// Work with a private key.
    Make,
    /// Nothing more.
    End(Why),
}

impl Said {
    /// What a machine has just answered.
    pub fn of<M: Machine>(action: &Action, out: &Out, machine: &M) -> Self {
        Said {
            what: match &action.what {
                What::Request(request) => Short::Request(request.operation),
                What::Open(link) => Short::Open(link.operation),
                What::Send(_) => Short::Send,
                What::Wait => Short::Wait,
                What::Sleep { lag } => Short::Sleep(*lag),
                What::Save => Short::Save,
                What::Make(_) => Short::Make,
                What::End(why) => Short::End(*why),
            },
            until: action.until,
            hear: action.hear,
            action: sum_of(action),
            out: sum_of(out),
            record: sum(&M::record_to_bytes(&machine.record())),
        }
    }
}

fn sum_of<T: Serialize>(value: &T) -> Sum {
    // Serialising into a vector fails for no value of ours.
    sum(&postcard::to_extend(value, Vec::new()).unwrap_or_default())
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Short::Request(operation) => write!(f, "request {}", operation.name())?,
            Short::Open(operation) => write!(f, "open {}", operation.name())?,
            Short::Send => write!(f, "send, and wait")?,
            Short::Wait => write!(f, "wait")?,
            Short::Sleep(lag) => write!(f, "sleep, {lag} after a push")?,
            Short::Save => write!(f, "save")?,
            Short::Make => write!(f, "make")?,
            Short::End(why) => write!(f, "end: {why:?}")?,
        }
        match self.until {
            Mono::NEVER => write!(f, ", for ever")?,
            Mono(us) => write!(f, ", until {}", Dur(us))?,
        }
        write!(f, ", hearing {}", self.hear)
    }
}
