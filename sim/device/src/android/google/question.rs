//! One question to Google, and what came of it.

use super::lane::Lane;

use crate::trouble::{Trouble, unexpected};
use crate::{Action, Body, Ctx, Event, Method, Peer, Reasons, Request, Sink, What};
use droves_facts::{Blame, Operation, status_kind};
use droves_wire::android::adp::{Answer, Ask};

/// Asks Google.
pub(super) fn ask(operation: Operation, ask: &Ask, ctx: &Ctx<'_>) -> Action {
    let request = Request {
        operation,
        peer: Peer::Google,
        method: Method::Post,
        url: "".into(),
        headers: &[],
        varying: Vec::new(),
        // Words of ours always have a form in JSON; an empty body is refused.
        body: Body::Bytes(serde_json::to_vec(ask).unwrap_or_default().into()),
        identity: None,
        sign: None,
        sink: Sink::Keep(ctx.limits.body_bytes_max),
        wait_max: ctx.limits.request_wait_max,
        idle_end: None,
    };
    Action {
        what: What::Request(Box::new(request)),
        until: ctx.clocks.now + ctx.limits.request_wait_max,
        hear: Reasons::NONE,
    }
}

/// What Google answers.
pub(super) fn answer(event: Event<'_>, operation: Operation) -> Result<Answer, Trouble> {
    let response = match event {
        Event::Response(response) => response,
        other => return Err(unexpected(&other, &format!("{operation}: an answer"))),
    };
    if response.status != 200 {
        let (status, kind) = (response.status, status_kind(response.status));
        return Err(Trouble::new(Blame::Server, kind, format!("{operation}: Google answered {status}")));
    }
    serde_json::from_slice(&response.body).map_err(|error| {
        Trouble::new(Blame::Generator, "google_answer", format!("{operation}: Google's answer can't be read: {error}"))
    })
}

/// The trouble that another answer is than the one that belongs to the question.
pub(super) fn other(answer: &Answer, operation: Operation) -> Trouble {
    Trouble::new(Blame::Generator, "google_answer", format!("{operation}: Google answered {answer:?}"))
}

/// Whether Google has no such device (any more).
pub(super) fn is_gone(trouble: &Trouble) -> bool {
    trouble.kind == status_kind(404)
}

/// The device's name at Google; empty without one.
pub(super) fn name(lane: &Lane) -> Box<str> {
    let id = lane.record.id().unwrap_or_default();
    format!("{}/devices/{id}", lane.shared.enterprise).into()
}
