//! What a device posts to an ACME server, and what comes back. Every answer brings the nonce of the next message; one that
//! was refused for its nonce is said again with the new one.

use super::{Acme, Plan, step};
use crate::apple::enroll::failed;
use crate::apple::exchange::{Exchange, Heard, Trouble, is_allowed};
use crate::apple::lane::Lane;
use crate::apple::{Step, messages};
use crate::{Account, Ctx, Event, KeyIx, Response};
use bytes::Bytes;
use droves_facts::{Blame, Dur, Operation};
use droves_wire::apple::acme::{self, Problem};
use std::sync::Arc;

/// What every message is written with.
#[derive(Debug)]
pub(in crate::apple) struct Talk {
    pub(super) plan: Plan,
    pub(super) key: KeyIx,
    pub(super) kid: Option<Arc<str>>,
    pub(super) nonce: Option<Arc<str>>,
}

/// A message under way, and the state in which its answer is awaited.
#[derive(Debug)]
pub(in crate::apple) struct Asking<S> {
    talk: Talk,
    state: S,
    operation: Operation,
    url: Arc<str>,
    payload: Bytes,
    exchange: Exchange,
    /// Nonces that were refused.
    refused: u32,
}

/// A state in which an answer is awaited.
pub(in crate::apple) trait Asked: Sized {
    /// As the lane holds it.
    fn wrap(asking: Asking<Self>) -> Acme;
    /// The answer is here.
    fn answered(self, talk: Talk, answer: Answer, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step;
}

/// A good answer.
#[derive(Debug)]
pub(in crate::apple) struct Answer {
    pub(super) body: Bytes,
    /// Where the resource is that was made.
    pub(super) location: Option<Arc<str>>,
    /// When the server wants to be asked again.
    pub(super) retry_after: Option<Dur>,
}

impl Talk {
    /// Posts; an empty payload is a POST-as-GET.
    pub(super) fn post<S: Asked>(
        mut self,
        state: S,
        operation: Operation,
        url: Arc<str>,
        payload: Vec<u8>,
        lane: &mut Lane,
        ctx: &mut Ctx<'_>,
    ) -> Step {
        let Some(nonce) = self.nonce.take() else {
            return failed(lane, &theirs("acme_nonce", &format!("{operation}: no Replay-Nonce came before it")), ctx);
        };
        let payload = Bytes::from(payload);
        let exchange = exchange(&self, nonce, operation, &url, &payload, ctx);
        let action = exchange.ask(ctx);
        step(S::wrap(Asking { talk: self, state, operation, url, payload, exchange, refused: 0 }), action)
    }
}

impl<S: Asked> Asking<S> {
    pub(super) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let (nonce, problem) = (nonce_of(&event), problem_of(&event));
        let (location, retry_after) = (header(&event, "location"), header(&event, "retry-after"));
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return step(S::wrap(self), action),
            Heard::Said(verdict) => verdict,
        };
        let is_bad_nonce = problem.as_ref().is_some_and(|problem| problem.is("badNonce"));
        if let Some(nonce) = nonce.clone().filter(|_| is_bad_nonce && self.refused < ctx.limits.acme_nonces_max) {
            self.refused += 1;
            self.exchange = exchange(&self.talk, nonce, self.operation, &self.url, &self.payload, ctx);
            let action = self.exchange.ask(ctx);
            return step(S::wrap(self), action);
        }
        self.talk.nonce = nonce;
        let taken = match verdict.taken() {
            Ok(taken) => taken,
            Err(mut trouble) => {
                if let Some(problem) = problem {
                    trouble.text = format!("{}: the server refuses: {problem}", self.operation);
                }
                return failed(lane, &trouble, ctx);
            }
        };
        let location = match location.map(|location| url(&location, ctx)).transpose() {
            Ok(location) => location,
            Err(trouble) => return failed(lane, &trouble, ctx),
        };
        let retry_after = retry_after.and_then(|seconds| seconds.parse::<u32>().ok());
        let retry_after = retry_after.map(|seconds| Dur::secs(u64::from(seconds)));
        self.state.answered(self.talk, Answer { body: taken.body, location, retry_after }, lane, ctx)
    }
}

fn exchange(
    talk: &Talk,
    nonce: Arc<str>,
    operation: Operation,
    url: &Arc<str>,
    payload: &Bytes,
    ctx: &Ctx<'_>,
) -> Exchange {
    let account = Account { ordinal: talk.plan.account, kid: talk.kid.clone(), nonce };
    Exchange::post_as(account, operation, Arc::clone(url), messages::acme_headers(ctx), payload.clone())
}

/// The nonce that an answer brings, if it is one.
pub(super) fn nonce_of(event: &Event<'_>) -> Option<Arc<str>> {
    header(event, "replay-nonce").filter(|nonce| acme::is_nonce(nonce)).map(Arc::from)
}

fn header(event: &Event<'_>, name: &str) -> Option<String> {
    let Event::Response(Response { headers, .. }) = event else { return None };
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn problem_of(event: &Event<'_>) -> Option<Problem> {
    match event {
        Event::Response(response) if response.status >= 400 => Problem::read(&response.body),
        _ => None,
    }
}

/// The directory, with URLs that a device goes to.
pub(super) fn directory(body: &[u8], ctx: &Ctx<'_>) -> Result<acme::Directory, Trouble> {
    let directory = acme::Directory::read(body).map_err(|error| theirs("acme_answer", &error.to_string()))?;
    for there in [&directory.new_nonce, &directory.new_account, &directory.new_order] {
        url(there, ctx)?;
    }
    Ok(directory)
}

/// A URL that a server named, if a device goes to it.
pub(super) fn url(text: &str, ctx: &Ctx<'_>) -> Result<Arc<str>, Trouble> {
    if is_allowed(text, ctx) {
        return Ok(text.into());
    }
    Err(theirs("acme_answer", "the ACME server names a URL that does not begin with https://"))
}

pub(super) fn theirs(kind: &'static str, text: &str) -> Trouble {
    Trouble::new(Blame::Server, kind, text)
}
