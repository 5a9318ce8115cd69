//! An identity by ACME (RFC 8555) with `device-attest-01`, as Apple's devices do it: key, directory, nonce, account, order,
//! authorization, attestation, challenge, polls, certificate request, certificate. Each state holds what is known by
//! then. Nothing renews the identity but an order or a new profile.
//!
//! A refused attestation makes the challenge invalid, while authorization and order may stay pending for ever (step-ca):
//! so the challenge is looked at in every answer that has it.

mod order;
mod talk;

use super::profile::{Terms, blame};
use super::{failed, has};
use crate::apple::exchange::{Exchange, Heard, Trouble};
use crate::apple::hardware::Hardware;
use crate::apple::lane::Lane;
use crate::apple::{State, Step, messages};
use crate::trouble::unexpected;
use crate::{Action, Ctx, Event, KeyIx, Made, Work};
use droves_facts::{Blame, Operation};
use droves_wire::apple::acme::{self, Challenge, Status};
use droves_wire::apple::profile::{self, AcmeKey};
use droves_wire::keys::KeyKind;
use order::{Look, Ordering, authorization, judged, looked, poll};
use std::sync::Arc;
use talk::{Answer, Asked, Asking, Talk, directory, nonce_of, theirs, url};

/// What an ACME enrollment waits for.
#[derive(Debug)]
pub(in crate::apple) enum Acme {
    Started(Started),
    HasKey(HasKey),
    HasDirectory(HasDirectory),
    NoAccount(Asking<NoAccount>),
    HasAccount(Asking<HasAccount>),
    Ordered(Asking<Ordered>),
    Attesting(Attesting),
    Challenged(Asking<Challenged>),
    Waiting(Waiting),
    Polled(Asking<Polled>),
    Ready(Ready),
    Finalized(Asking<Finalized>),
    Issued(Asking<Issued>),
    Opening(Opening),
}

/// What is enrolled to, by which payload.
#[derive(Debug)]
pub(in crate::apple) struct Plan {
    terms: Terms,
    acme: Box<profile::Acme>,
    /// Which of the lane's accounts: each enrollment, and each renewal, makes a new one.
    account: u64,
}

/// The profile is read; a key is being made.
#[derive(Debug)]
pub(in crate::apple) struct Started {
    plan: Plan,
}

/// There is a key; the server is asked where its resources are.
#[derive(Debug)]
pub(in crate::apple) struct HasKey {
    plan: Plan,
    key: KeyIx,
    exchange: Exchange,
}

/// The resources are known; the first nonce is asked for.
#[derive(Debug)]
pub(in crate::apple) struct HasDirectory {
    plan: Plan,
    key: KeyIx,
    directory: acme::Directory,
    exchange: Exchange,
}

/// An account is asked for.
#[derive(Debug)]
pub(in crate::apple) struct NoAccount {
    new_order: Arc<str>,
}

/// There is an account; an order is asked for.
#[derive(Debug)]
pub(in crate::apple) struct HasAccount;

/// There is an order; its authorization is read.
#[derive(Debug)]
pub(in crate::apple) struct Ordered {
    order: Ordering,
}

/// The key is being attested.
#[derive(Debug)]
pub(in crate::apple) struct Attesting {
    talk: Talk,
    order: Ordering,
    challenge: Arc<str>,
}

/// The challenge is answered.
#[derive(Debug)]
pub(in crate::apple) struct Challenged {
    order: Ordering,
}

/// The server is not ready: the device waits before it asks again.
#[derive(Debug)]
pub(in crate::apple) struct Waiting {
    talk: Talk,
    order: Ordering,
    look: Look,
}

/// The authorization or the order is read again.
#[derive(Debug)]
pub(in crate::apple) struct Polled {
    order: Ordering,
    look: Look,
}

/// The order is ready; a certificate request is being made.
#[derive(Debug)]
pub(in crate::apple) struct Ready {
    talk: Talk,
    order: Ordering,
}

/// The certificate is asked for.
#[derive(Debug)]
pub(in crate::apple) struct Finalized {
    order: Ordering,
}

/// The certificate is being fetched.
#[derive(Debug)]
pub(in crate::apple) struct Issued;

/// The certificate is being read.
#[derive(Debug)]
pub(in crate::apple) struct Opening {
    terms: Terms,
}

/// Wants a key for what the profile asks for.
pub(super) fn start(lane: &mut Lane, terms: Terms, acme: Box<profile::Acme>, ctx: &mut Ctx<'_>) -> Step {
    let kind = match acme.key {
        AcmeKey::Rsa(bits) => KeyKind::Rsa(u32::from(bits)),
        AcmeKey::Ec(256) => KeyKind::P256,
        AcmeKey::Ec(384) => KeyKind::P384,
        AcmeKey::Ec(bits) => {
            let text = format!("enrollment profile: com.apple.security.acme: P-{bits} keys are not simulated");
            return failed(lane, &Trouble::new(blame(lane, ctx), "profile", text), ctx);
        }
    };
    let account = u64::from(lane.record.generation) << 32 | u64::from(lane.record.sessions);
    let plan = Plan { terms, acme, account };
    step(Acme::Started(Started { plan }), ctx.make(Work::Key { kind }))
}

fn step(state: Acme, action: Action) -> Step {
    Step::to(State::Acme(Box::new(state)), action)
}

impl Acme {
    pub(in crate::apple) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match self {
            Acme::Started(state) => state.on(event, lane, ctx),
            Acme::HasKey(state) => state.on(event, lane, ctx),
            Acme::HasDirectory(state) => state.on(event, lane, ctx),
            Acme::NoAccount(asking) => asking.on(event, lane, ctx),
            Acme::HasAccount(asking) => asking.on(event, lane, ctx),
            Acme::Ordered(asking) => asking.on(event, lane, ctx),
            Acme::Attesting(state) => state.on(event, lane, ctx),
            Acme::Challenged(asking) => asking.on(event, lane, ctx),
            Acme::Waiting(state) => state.on(event, lane, ctx),
            Acme::Polled(asking) => asking.on(event, lane, ctx),
            Acme::Ready(state) => state.on(event, lane, ctx),
            Acme::Finalized(asking) => asking.on(event, lane, ctx),
            Acme::Issued(asking) => asking.on(event, lane, ctx),
            Acme::Opening(state) => state.on(event, lane, ctx),
        }
    }
}

impl Started {
    fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Event::Made(Made::Key(key)) = event else {
            return failed(lane, &unexpected(&event, "a key"), ctx);
        };
        let url = self.plan.acme.directory_url.as_str().into();
        let exchange = Exchange::get(Operation::AppleAcmeDirectory, url, messages::plain_headers(ctx));
        let action = exchange.ask(ctx);
        step(Acme::HasKey(HasKey { plan: self.plan, key, exchange }), action)
    }
}

impl HasKey {
    fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return step(Acme::HasKey(self), action),
            Heard::Said(verdict) => verdict,
        };
        let directory = match verdict.taken().and_then(|taken| directory(&taken.body, ctx)) {
            Ok(directory) => directory,
            Err(trouble) => return failed(lane, &trouble, ctx),
        };
        let url = directory.new_nonce.as_str().into();
        let exchange = Exchange::head(Operation::AppleAcmeNonce, url, messages::plain_headers(ctx));
        let action = exchange.ask(ctx);
        let Self { plan, key, .. } = self;
        step(Acme::HasDirectory(HasDirectory { plan, key, directory, exchange }), action)
    }
}

impl HasDirectory {
    fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let nonce = nonce_of(&event);
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return step(Acme::HasDirectory(self), action),
            Heard::Said(verdict) => verdict,
        };
        if let Err(trouble) = verdict.taken() {
            return failed(lane, &trouble, ctx);
        }
        let Self { plan, key, directory, .. } = self;
        let talk = Talk { plan, key, kid: None, nonce };
        let state = NoAccount { new_order: directory.new_order.as_str().into() };
        let to = directory.new_account.as_str().into();
        talk.post(state, Operation::AppleAcmeAccount, to, acme::new_account(), lane, ctx)
    }
}

impl Asked for NoAccount {
    fn wrap(asking: Asking<Self>) -> Acme {
        Acme::NoAccount(asking)
    }
    fn answered(self, mut talk: Talk, answer: Answer, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Some(kid) = answer.location else {
            return failed(lane, &theirs("acme_answer", "an account without a Location"), ctx);
        };
        talk.kid = Some(kid);
        let body = acme::new_order(&talk.plan.acme.client_identifier);
        talk.post(HasAccount, Operation::AppleAcmeOrder, self.new_order, body, lane, ctx)
    }
}

impl Asked for HasAccount {
    fn wrap(asking: Asking<Self>) -> Acme {
        Acme::HasAccount(asking)
    }
    fn answered(self, talk: Talk, answer: Answer, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let order = match Ordering::of(&answer, ctx) {
            Ok(order) => order,
            Err(trouble) => return failed(lane, &trouble, ctx),
        };
        let to = Arc::clone(&order.authorization);
        talk.post(Ordered { order }, Operation::AppleAcmeAuthorization, to, Vec::new(), lane, ctx)
    }
}

impl Asked for Ordered {
    fn wrap(asking: Asking<Self>) -> Acme {
        Acme::Ordered(asking)
    }
    fn answered(self, talk: Talk, answer: Answer, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Self { order } = self;
        let read = authorization(&answer).and_then(|(status, challenge)| {
            Ok((status, url(&challenge.url, ctx)?, challenge.token.clone().unwrap_or_default(), challenge))
        });
        let (status, to, token, challenge) = match read {
            Ok(read) => read,
            Err(trouble) => return failed(lane, &trouble, ctx),
        };
        if (status, challenge.status) != (Status::Pending, Status::Pending) {
            return judged(talk, order, status, &challenge, &answer, lane, ctx);
        }
        let hardware = Hardware::of(ctx);
        if !talk.plan.acme.attest || !hardware.is_attested() {
            return talk.post(Challenged { order }, Operation::AppleAcmeChallenge, to, acme::answer(None), lane, ctx);
        }
        let subject = acme::Subject {
            serial_number: hardware.serial(),
            udid: hardware.udid(),
            os_version: hardware.os_version().to_owned(),
            token,
        };
        let action = ctx.make(Work::Attest { subject: Box::new(subject), key: talk.key });
        step(Acme::Attesting(Attesting { talk, order, challenge: to }), action)
    }
}

impl Attesting {
    fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Event::Made(Made::Attestation(attestation)) = event else {
            return failed(lane, &unexpected(&event, "an attestation"), ctx);
        };
        let Self { talk, order, challenge } = self;
        let body = acme::answer(Some(&attestation));
        talk.post(Challenged { order }, Operation::AppleAcmeChallenge, challenge, body, lane, ctx)
    }
}

impl Asked for Challenged {
    fn wrap(asking: Asking<Self>) -> Acme {
        Acme::Challenged(asking)
    }
    fn answered(self, talk: Talk, answer: Answer, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match Challenge::read(&answer.body) {
            Ok(challenge) => judged(talk, self.order, Status::Pending, &challenge, &answer, lane, ctx),
            Err(error) => failed(lane, &theirs("acme_answer", &error.to_string()), ctx),
        }
    }
}

impl Waiting {
    fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        if !matches!(event, Event::Wake(_)) {
            return failed(lane, &unexpected(&event, "the time to poll"), ctx);
        }
        let Self { talk, order, look } = self;
        poll(talk, order, look, lane, ctx)
    }
}

impl Asked for Polled {
    fn wrap(asking: Asking<Self>) -> Acme {
        Acme::Polled(asking)
    }
    fn answered(self, talk: Talk, answer: Answer, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Self { order, look } = self;
        if look != Look::Authorization {
            return looked(talk, order, look, &answer, lane, ctx);
        }
        match authorization(&answer) {
            Ok((status, challenge)) => judged(talk, order, status, &challenge, &answer, lane, ctx),
            Err(trouble) => failed(lane, &trouble, ctx),
        }
    }
}

impl Ready {
    fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Self { talk, order } = self;
        let csr = match event {
            Event::Made(Made::CertificateRequest(csr)) => csr,
            // A subject that can't be written is the fault of whoever wrote the profile.
            Event::Failed(failure) if failure.blame != Blame::Generator => {
                return failed(lane, &Trouble::new(blame(lane, ctx), "profile", failure.text), ctx);
            }
            other => return failed(lane, &unexpected(&other, "a certificate request"), ctx),
        };
        let to = Arc::clone(&order.finalize);
        talk.post(Finalized { order }, Operation::AppleAcmeFinalize, to, acme::finalize(&csr), lane, ctx)
    }
}

impl Asked for Finalized {
    fn wrap(asking: Asking<Self>) -> Acme {
        Acme::Finalized(asking)
    }
    fn answered(self, talk: Talk, answer: Answer, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        looked(talk, self.order, Look::Certificate, &answer, lane, ctx)
    }
}

impl Asked for Issued {
    fn wrap(asking: Asking<Self>) -> Acme {
        Acme::Issued(asking)
    }
    fn answered(self, talk: Talk, answer: Answer, _: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let action = ctx.make(Work::AcmeOpen { chain: answer.body, key: talk.key });
        step(Acme::Opening(Opening { terms: talk.plan.terms }), action)
    }
}

impl Opening {
    fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match event {
            Event::Made(Made::Identity(identity)) => has(lane, self.terms, identity, None, ctx),
            // What is wrong with a certificate is the server's fault, whoever found it.
            Event::Failed(failure) if failure.blame != Blame::Generator => {
                failed(lane, &theirs("acme_certificate", &failure.text), ctx)
            }
            other => failed(lane, &unexpected(&other, "a certificate read"), ctx),
        }
    }
}
