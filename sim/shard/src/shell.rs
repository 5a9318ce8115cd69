//! What passes between a shard and whoever runs it: effects out, inputs in.

use crate::lane::Snapshot;
use bytes::Bytes;
use droves_device::{Failure, Link, Made, Request, Work};
use droves_facts::{LaneIx, Mono, PhaseIx, Wall};
use http::HeaderMap;

/// Names one thing that a lane waits for, so that what comes too late is known for what it is.
pub type Ticket = u32;

/// What a shell is to do.
#[derive(Debug)]
pub enum Effect {
    /// Send this; answer with `Answered` or `Failed`.
    Request {
        /// For whom.
        lane: LaneIx,
        /// To be handed back.
        ticket: Ticket,
        /// What.
        request: Box<Request>,
    },
    /// Open this link; answer with `Linked` and its first frame, or with `Failed`.
    Open {
        /// For whom.
        lane: LaneIx,
        /// To be handed back.
        ticket: Ticket,
        /// What.
        link: Box<Link>,
    },
    /// Send this over the lane's link.
    Send {
        /// Whose.
        lane: LaneIx,
        /// What.
        bytes: Bytes,
    },
    /// The last frame was taken: hand over the next one when it comes. The first frame of a link needs no word.
    Next {
        /// Whose.
        lane: LaneIx,
    },
    /// Let go of the request: nobody waits for it any more. Answer with `Failed`, at once.
    Cancel {
        /// Whose.
        lane: LaneIx,
        /// Which.
        ticket: Ticket,
        /// Why, in one word.
        kind: &'static str,
    },
    /// Do this work; answer with `Made` or `MakeFailed`.
    Make {
        /// For whom.
        lane: LaneIx,
        /// To be handed back.
        ticket: Ticket,
        /// What.
        work: Box<Work>,
    },
    /// Store this; answer with `Saved` if there is a ticket.
    Save {
        /// To be handed back; none where nobody waits.
        ticket: Option<Ticket>,
        /// What.
        snapshot: Box<Snapshot>,
    },
    /// The session is over: close its connections.
    Close {
        /// Whose.
        lane: LaneIx,
    },
}

/// What happened to an exchange on the network.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// When it was really begun.
    pub started: Mono,
    /// When its first byte could be written.
    pub sent: Mono,
    /// When the head of the answer had come.
    pub first_byte: Option<Mono>,
    /// When it was over.
    pub ended: Mono,
    /// Bytes written.
    pub bytes_out: u32,
    /// Bytes of body read.
    pub bytes_in: u32,
}

/// An answer from the network.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, as the request's sink left it.
    pub body: Bytes,
    /// Bytes of body that were counted and not kept.
    pub digested: u64,
}

/// What a shell tells.
#[derive(Debug)]
pub enum Input<'a> {
    /// A push has come for a lane.
    Push {
        /// For whom.
        lane: LaneIx,
        /// The magic that it carries.
        magic: &'a str,
        /// Until when it is worth anything.
        keep_until: Option<Wall>,
        /// When the push service had it.
        pushed: Mono,
        /// Whether it reaches a device that dozes.
        urgent: bool,
    },
    /// A request was answered.
    Answered {
        /// Whose.
        lane: LaneIx,
        /// Which.
        ticket: Ticket,
        /// When.
        exchange: Exchange,
        /// The answer.
        answer: Answer,
    },
    /// A link stands, and its peer has answered.
    Linked {
        /// Whose.
        lane: LaneIx,
        /// Which.
        ticket: Ticket,
        /// When.
        exchange: Exchange,
        /// The first frame.
        frame: Bytes,
    },
    /// A frame has come over a lane's link.
    Frame {
        /// Whose.
        lane: LaneIx,
        /// The packet.
        frame: Bytes,
    },
    /// A lane's link is lost.
    LinkLost {
        /// Whose.
        lane: LaneIx,
        /// Why.
        failure: Failure,
    },
    /// A request, or the opening of a link, came to nothing.
    Failed {
        /// Whose.
        lane: LaneIx,
        /// Which.
        ticket: Ticket,
        /// When.
        exchange: Exchange,
        /// Why.
        failure: Failure,
    },
    /// Work is done.
    Made {
        /// Whose.
        lane: LaneIx,
        /// Which.
        ticket: Ticket,
        /// What came of it.
        made: Result<Made, Failure>,
    },
    /// The store has it.
    Saved {
        /// Whose.
        lane: LaneIx,
        /// Which.
        ticket: Ticket,
    },
    /// A phase of the plan begins now.
    PhaseBegins(PhaseIx),
    /// A phase of the plan is over: it has no more arrivals.
    PhaseEnds(PhaseIx),
}
