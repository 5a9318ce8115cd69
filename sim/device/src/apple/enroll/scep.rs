//! An identity by SCEP (RFC 8894, and what Apple's devices make of it): key, GetCACaps, GetCACert, PKIOperation, polls.

use super::profile::Terms;
use super::{failed, has, make, unexpected};
use crate::apple::exchange::{Exchange, Heard, Taken, Trouble};
use crate::apple::lane::Lane;
use crate::apple::{State, Step, messages};
use crate::uuids::drawn_uuid;
use crate::web::{percent_encoded, with_query};
use crate::{Action, Ctx, Event, Identity, KeyIx, Made, Reasons, What, Work};
use bytes::Bytes;
use droves_facts::{Blame, Dur, Operation, Purpose, Wall};
use droves_wire::apple::profile::Scep;
use droves_wire::apple::scep;
use droves_wire::keys::KeyKind;
use droves_wire::x509;
use std::sync::Arc;

/// What is enrolled to, by which payload.
#[derive(Debug)]
struct Plan {
    terms: Terms,
    scep: Box<Scep>,
}

/// The profile is read; a key is being made.
#[derive(Debug)]
pub(in crate::apple) struct GotProfile {
    plan: Plan,
}

/// There is a key; the CA is asked what it can.
#[derive(Debug)]
pub(in crate::apple) struct HasKey {
    plan: Plan,
    key: KeyIx,
    exchange: Exchange,
}

/// The CA's capabilities are known; it is asked for its certificate.
#[derive(Debug)]
pub(in crate::apple) struct HasCaps {
    plan: Plan,
    key: KeyIx,
    caps: scep::Capabilities,
    exchange: Exchange,
}

/// The CA is known; a request (the first, or a poll) is being built and signed.
#[derive(Debug)]
pub(in crate::apple) struct HasCa {
    plan: Plan,
    key: KeyIx,
    ca: Ca,
    polls: u32,
}

/// What is known of the CA.
#[derive(Debug, Clone)]
struct Ca {
    caps: scep::Capabilities,
    certificates: Arc<scep::CaCertificates>,
}

/// The request is under way.
#[derive(Debug)]
pub(in crate::apple) struct Asked {
    plan: Plan,
    key: KeyIx,
    ca: Ca,
    polls: u32,
    pending: Box<scep::Pending>,
    exchange: Exchange,
}

/// The reply is being opened.
#[derive(Debug)]
pub(in crate::apple) struct Opening {
    plan: Plan,
    key: KeyIx,
    ca: Ca,
    polls: u32,
    pending: Box<scep::Pending>,
}

/// The CA has the request pending: the device waits before it polls.
#[derive(Debug)]
pub(in crate::apple) struct Waiting {
    plan: Plan,
    key: KeyIx,
    ca: Ca,
    polls: u32,
    pending: Box<scep::Pending>,
}

/// Wants a key for what the profile asks for.
pub(super) fn start(terms: Terms, scep: Box<Scep>, ctx: &Ctx<'_>) -> Step {
    let action = make(Work::Key { kind: KeyKind::Rsa(u32::from(scep.key_bits)) }, ctx);
    Step(State::GotProfile(Box::new(GotProfile { plan: Plan { terms, scep } })), action)
}

impl GotProfile {
    pub(in crate::apple) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Event::Made(Made::Key(key)) = event else {
            return failed(lane, &unexpected(&event, "a key"), ctx);
        };
        let url = operation(&self.plan, "GetCACaps");
        let exchange = Exchange::get(Operation::AppleScepCaps, url, messages::plain_headers(ctx));
        let action = exchange.ask(ctx);
        Step(State::HasKey(Box::new(HasKey { plan: self.plan, key, exchange })), action)
    }
}

impl HasKey {
    pub(in crate::apple) fn on(mut self: Box<Self>, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return Step(State::HasKey(self), action),
            Heard::Said(verdict) => verdict,
        };
        let read = |taken: Taken| scep::Capabilities::read(&taken.body).map_err(|error| theirs("scep_caps", &error));
        let caps = match verdict.taken().and_then(read) {
            Ok(caps) => caps,
            Err(trouble) => return failed(lane, &trouble, ctx),
        };
        let url = operation(&self.plan, "GetCACert");
        let exchange = Exchange::get(Operation::AppleScepCa, url, messages::plain_headers(ctx));
        let action = exchange.ask(ctx);
        let Self { plan, key, .. } = *self;
        Step(State::HasCaps(Box::new(HasCaps { plan, key, caps, exchange })), action)
    }
}

impl HasCaps {
    pub(in crate::apple) fn on(mut self: Box<Self>, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return Step(State::HasCaps(self), action),
            Heard::Said(verdict) => verdict,
        };
        let Self { plan, key, caps, .. } = *self;
        let certificates = match verdict.taken().and_then(|taken| ca_of(&plan, &taken, ctx)) {
            Ok(certificates) => Arc::new(certificates),
            Err(trouble) => return failed(lane, &trouble, ctx),
        };
        let ca = Ca { caps, certificates };
        let request = scep::Request::Issue(request(&plan, &ca, lane, ctx));
        build(HasCa { plan, key, ca, polls: 0 }, request, lane, ctx)
    }
}

/// Has a request built and signed.
fn build(has_ca: HasCa, request: scep::Request, lane: &Lane, ctx: &Ctx<'_>) -> Step {
    let signer = signer(lane, ctx);
    let work = Work::ScepRequest { request: Box::new(request), key: has_ca.key, signer };
    Step(State::HasCa(Box::new(has_ca)), make(work, ctx))
}

impl HasCa {
    pub(in crate::apple) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Event::Made(Made::ScepRequest { body, pending }) = event else {
            return failed(lane, &unexpected(&event, "a SCEP request"), ctx);
        };
        let operation = if self.polls == 0 { Operation::AppleScepIssue } else { Operation::AppleScepPoll };
        let exchange = if self.ca.caps.post {
            let url = with_query(&self.plan.scep.url, "operation=PKIOperation");
            Exchange::post(operation, url, messages::scep_headers(ctx), body)
        } else {
            let url = with_query(&self.plan.scep.url, &scep::get_query(&body));
            Exchange::get(operation, url, messages::plain_headers(ctx))
        };
        let action = exchange.ask(ctx);
        let Self { plan, key, ca, polls } = self;
        Step(State::Asked(Box::new(Asked { plan, key, ca, polls, pending, exchange })), action)
    }
}

impl Asked {
    pub(in crate::apple) fn on(mut self: Box<Self>, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return Step(State::Asked(self), action),
            Heard::Said(verdict) => verdict,
        };
        let reply: Bytes = match verdict.taken() {
            Ok(taken) => taken.body,
            Err(trouble) => return failed(lane, &trouble, ctx),
        };
        let Self { plan, key, ca, polls, pending, .. } = *self;
        let work = Work::ScepOpen { reply, pending: pending.clone(), key, signer: signer(lane, ctx) };
        Step(State::Opening(Box::new(Opening { plan, key, ca, polls, pending })), make(work, ctx))
    }
}

impl Opening {
    pub(in crate::apple) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match event {
            Event::Made(Made::ScepReply(scep::Reply::Issued { certificate })) => {
                let identity = Identity { key: self.key, certificate: certificate.into() };
                let renew_at = renew_at(&identity);
                has(lane, self.plan.terms, identity, renew_at, ctx)
            }
            Event::Made(Made::ScepReply(scep::Reply::Failed { reason })) => {
                let text = format!("{}: the CA refused the request: {reason}", Operation::AppleScepIssue);
                failed(lane, &Trouble::new(Blame::Server, "scep_failure", text), ctx)
            }
            Event::Made(Made::ScepReply(scep::Reply::Pending)) => self.wait(lane, ctx),
            // What is wrong with a reply is the server's fault, whoever found it.
            Event::Failed(failure) if failure.blame != Blame::Generator => {
                failed(lane, &Trouble::new(Blame::Server, "scep_reply", failure.text), ctx)
            }
            other => failed(lane, &unexpected(&other, "a SCEP reply opened"), ctx),
        }
    }

    /// Pending: the first poll follows at once, the others after `RetryDelay`; there are at most `Retries` of them.
    fn wait(self, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Self { plan, key, ca, polls, pending } = self;
        if polls >= plan.scep.retries {
            let text = format!("{}: still pending after {polls} polls", Operation::AppleScepPoll);
            return failed(lane, &Trouble::new(Blame::Server, "scep_pending", text), ctx);
        }
        let delay = if polls == 0 { Dur::us(1) } else { plan.scep.retry_delay };
        let action = Action { what: What::Wait, until: ctx.clocks.now + delay, hear: Reasons::TIME };
        Step(State::Waiting(Box::new(Waiting { plan, key, ca, polls: polls + 1, pending })), action)
    }
}

impl Waiting {
    pub(in crate::apple) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        if !matches!(event, Event::Wake(_)) {
            return failed(lane, &unexpected(&event, "the time to poll"), ctx);
        }
        let Self { plan, key, ca, polls, pending } = self;
        let request = scep::Request::Poll(scep::Poll { pending: *pending, nonce: nonce(lane, polls, ctx) });
        build(HasCa { plan, key, ca, polls }, request, lane, ctx)
    }
}

/// A renewal is signed by the old identity.
fn signer(lane: &Lane, ctx: &Ctx<'_>) -> Option<Arc<Identity>> {
    ctx.identity.filter(|_| lane.record.renewing).cloned()
}

/// `<URL>?operation=..&message=<Name>`, an empty message kept, as Macs were seen to ask.
fn operation(plan: &Plan, operation: &str) -> Arc<str> {
    let name = percent_encoded(&plan.scep.name);
    with_query(&plan.scep.url, &format!("operation={operation}&message={name}"))
}

/// A nonce of another message each: enrollment, then number of the message in it.
fn nonce(lane: &Lane, message: u32, ctx: &Ctx<'_>) -> [u8; 16] {
    let ordinal =
        u64::from(lane.record.generation) << 40 | u64::from(lane.record.sessions) << 8 | u64::from(message.min(255));
    ctx.lane_dice(Purpose::Nonce, ordinal).bytes()
}

fn ca_of(plan: &Plan, taken: &Taken, ctx: &Ctx<'_>) -> Result<scep::CaCertificates, Trouble> {
    scep::CaCertificates::read(&taken.body, plan.scep.ca_fingerprint.as_deref(), ctx.limits)
        .map_err(|error| theirs("scep_ca", &error))
}

fn theirs(kind: &'static str, error: &scep::ScepError) -> Trouble {
    Trouble::new(Blame::Server, kind, error.to_string())
}

fn request(plan: &Plan, ca: &Ca, lane: &Lane, ctx: &Ctx<'_>) -> scep::Issue {
    let ordinal = u64::from(lane.record.generation) << 32 | u64::from(lane.record.sessions);
    scep::Issue {
        caps: ca.caps,
        ca: Arc::clone(&ca.certificates),
        subject: plan.scep.subject.clone(),
        challenge: plan.scep.challenge.clone(),
        key_usage: plan.scep.key_usage,
        alt_names: plan.scep.alt_names.clone(),
        nonce: nonce(lane, 0, ctx),
        signer_name: drawn_uuid(&mut ctx.lane_dice(Purpose::Hardware, SIGNER_NAME | ordinal)),
        streamed: true,
    }
}

/// When a certificate is renewed by itself: with a tenth of its life to go.
pub(in crate::apple) fn renew_at(identity: &Identity) -> Option<Wall> {
    let (from, to) = x509::validity(&identity.certificate).ok()?;
    Some(to - Dur(to.since(from).0 / 10))
}

/// Place in the numbering of what a lane draws about its hardware.
const SIGNER_NAME: u64 = 1 << 62;
