//! An order under way: what its authorization, its challenge and it itself say, and when to look again.

use super::talk::{Answer, Talk, theirs, url};
use super::{Acme, Issued, Polled, Ready, Waiting, step};
use crate::apple::Step;
use crate::apple::enroll::failed;
use crate::apple::exchange::Trouble;
use crate::apple::lane::Lane;
use crate::{Action, Ctx, Reasons, What, Work};
use droves_facts::{Dur, Operation};
use droves_wire::apple::acme::{self, Authorization, Challenge, DEVICE_ATTEST, Order, Problem, Status};
use std::sync::Arc;

/// An order under way.
#[derive(Debug)]
pub(in crate::apple) struct Ordering {
    url: Arc<str>,
    pub(super) authorization: Arc<str>,
    pub(super) finalize: Arc<str>,
    polls: u32,
}

/// What a poll looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::apple) enum Look {
    /// The authorization, until the challenge is judged.
    Authorization,
    /// The order, until it is ready.
    Order,
    /// The order, until the certificate is there.
    Certificate,
}

impl Ordering {
    pub(super) fn of(answer: &Answer, ctx: &Ctx<'_>) -> Result<Self, Trouble> {
        let order = Order::read(&answer.body).map_err(|error| theirs("acme_answer", &error.to_string()))?;
        let location = answer.location.clone();
        // One identifier was named, so there is one authorization.
        let authorization = order.authorizations.first();
        Ok(Ordering {
            url: location.ok_or_else(|| theirs("acme_answer", "an order without a Location"))?,
            authorization: url(
                authorization.ok_or_else(|| theirs("acme_answer", "an order without authorizations"))?,
                ctx,
            )?,
            finalize: url(&order.finalize, ctx)?,
            polls: 0,
        })
    }
}

/// What an authorization says, and the challenge in it that a device can answer.
pub(super) fn authorization(answer: &Answer) -> Result<(Status, Challenge), Trouble> {
    let read = Authorization::read(&answer.body).map_err(|error| theirs("acme_answer", &error.to_string()))?;
    let challenge = read.challenge(DEVICE_ATTEST).cloned();
    let none = || theirs("acme_challenge", &format!("the authorization offers no {DEVICE_ATTEST} challenge"));
    Ok((read.status, challenge.ok_or_else(none)?))
}

/// The challenge is judged, or is yet to be.
pub(super) fn judged(
    talk: Talk,
    order: Ordering,
    authorization: Status,
    challenge: &Challenge,
    answer: &Answer,
    lane: &mut Lane,
    ctx: &mut Ctx<'_>,
) -> Step {
    match (authorization, challenge.status) {
        (Status::Valid, _) | (_, Status::Valid) => poll(talk, order, Look::Order, lane, ctx),
        (_, Status::Invalid) => failed(lane, &refused("challenge", "invalid", challenge.error.as_ref()), ctx),
        (Status::Pending, _) => wait(talk, order, Look::Authorization, answer, lane, ctx),
        (other, _) => {
            let said = format!("{other:?}").to_lowercase();
            failed(lane, &refused("authorization", &said, challenge.error.as_ref()), ctx)
        }
    }
}

/// What the order's status says is to be done.
pub(super) fn looked(
    talk: Talk,
    order: Ordering,
    look: Look,
    answer: &Answer,
    lane: &mut Lane,
    ctx: &mut Ctx<'_>,
) -> Step {
    let read = match Order::read(&answer.body) {
        Ok(read) => read,
        Err(error) => return failed(lane, &theirs("acme_answer", &error.to_string()), ctx),
    };
    match (read.status, read.certificate) {
        (Status::Ready, _) if look == Look::Order => request(talk, order, ctx),
        (Status::Pending | Status::Ready | Status::Processing, _) => wait(talk, order, look, answer, lane, ctx),
        (Status::Valid, Some(certificate)) => match url(&certificate, ctx) {
            Ok(to) => talk.post(Issued, Operation::AppleAcmeCertificate, to, Vec::new(), lane, ctx),
            Err(trouble) => failed(lane, &trouble, ctx),
        },
        (Status::Valid, None) => failed(lane, &theirs("acme_answer", "a valid order without a certificate"), ctx),
        (other, _) => {
            let said = format!("{other:?}").to_lowercase();
            failed(lane, &refused("order", &said, read.error.as_ref()), ctx)
        }
    }
}

/// Has a certificate request made.
fn request(talk: Talk, order: Ordering, ctx: &Ctx<'_>) -> Step {
    let acme = &talk.plan.acme;
    let request = acme::Request {
        subject: acme.subject.clone(),
        key_usage: acme.key_usage,
        extended_key_usages: acme.extended_key_usages.clone(),
        alt_names: acme.alt_names.clone(),
    };
    let action = ctx.make(Work::AcmeRequest { request: Box::new(request), key: talk.key });
    step(Acme::Ready(Ready { talk, order }), action)
}

/// Looks again.
pub(super) fn poll(talk: Talk, order: Ordering, look: Look, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let to = if look == Look::Authorization { &order.authorization } else { &order.url };
    let to = Arc::clone(to);
    talk.post(Polled { order, look }, Operation::AppleAcmePoll, to, Vec::new(), lane, ctx)
}

/// Waits as long as the server says, or else a little, before it asks again.
fn wait(talk: Talk, mut order: Ordering, look: Look, answer: &Answer, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    if order.polls >= ctx.limits.acme_polls_max {
        let what = if look == Look::Authorization { "authorization" } else { "order" };
        let text = format!("the {what} is not ready after {} polls", order.polls);
        return failed(lane, &theirs("acme_pending", &text), ctx);
    }
    order.polls += 1;
    let delay = answer.retry_after.unwrap_or(POLL_DELAY).clamp(Dur::secs(1), POLL_DELAY_MAX);
    let action = Action { what: What::Wait, until: ctx.clocks.now + delay, hear: Reasons::TIME };
    step(Acme::Waiting(Waiting { talk, order, look }), action)
}

/// The server has judged, with or without a reason.
fn refused(what: &str, status: &str, error: Option<&Problem>) -> Trouble {
    let reason = error.map_or_else(|| "without a reason".to_owned(), Problem::to_string);
    // Most often the server was not told of the authority that attests here.
    let cure = match error {
        Some(problem) if problem.is("badAttestationStatement") => {
            " (does the server trust the root that `droves certs --attestation` names?)"
        }
        _ => "",
    };
    let kind = if what == "order" { "acme_order" } else { "acme_challenge" };
    theirs(kind, &format!("the {what} is {status}: {reason}{cure}"))
}

/// Between two polls where the server does not say; ours, since Apple's is not known.
const POLL_DELAY: Dur = Dur::secs(2);
/// A server that wants more patience does not get it.
const POLL_DELAY_MAX: Dur = Dur::secs(60);
