//! An identity by SCEP, as Apple's devices ask for it: the exchange is [`crate::scep`]'s, the redirects are theirs.

use super::profile::Terms;
use super::{failed, has};
use crate::apple::exchange::{Exchange, Heard};
use crate::apple::lane::Lane;
use crate::apple::{State, Step, messages};
use crate::scep::{self, Next, Operations, Pending, Query};
use crate::trouble::unexpected;
use crate::uuids::drawn_uuid;
use crate::{Action, Ctx, Event, Identity, Reasons, What};
use droves_facts::{Dur, Operation, Purpose, Wall};
use droves_wire::apple::profile::Scep;
use droves_wire::x509;

/// The profile is read; the identity that it speaks of is being got.
#[derive(Debug)]
pub(in crate::apple) struct GotProfile {
    terms: Terms,
    retry_delay: Dur,
    exchange: scep::Exchange,
    waits: Waits,
}

/// What it waits for.
#[derive(Debug)]
enum Waits {
    /// A helper's work.
    Made,
    /// The CA's answer.
    Said(Exchange),
    /// The time to ask for what is pending.
    Time(Pending),
}

/// Wants a key for what the profile asks for.
pub(super) fn start(lane: &mut Lane, terms: Terms, scep: Box<Scep>, ctx: &mut Ctx<'_>) -> Step {
    let retry_delay = scep.retry_delay;
    let (exchange, next) = scep::Exchange::begin(wanted(*scep, lane, ctx));
    GotProfile { terms, retry_delay, exchange, waits: Waits::Made }.go(next, lane, ctx)
}

impl GotProfile {
    pub(in crate::apple) fn on(mut self: Box<Self>, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let next = match std::mem::replace(&mut self.waits, Waits::Made) {
            Waits::Made => self.exchange.on(event),
            Waits::Said(mut exchange) => match exchange.hear(event, ctx) {
                Heard::Moved(action) => {
                    self.waits = Waits::Said(exchange);
                    return Step::to(State::GotProfile(self), action);
                }
                Heard::Said(verdict) => verdict.taken().and_then(|taken| self.exchange.answered(taken.body, ctx)),
            },
            Waits::Time(pending) if matches!(event, Event::Wake(_)) => {
                let (exchange, next) = scep::Exchange::poll(self.exchange.into_terms(), pending, ctx);
                self.exchange = exchange;
                Ok(next)
            }
            Waits::Time(_) => Err(unexpected(&event, "the time to poll")),
        };
        match next {
            Ok(next) => self.go(next, lane, ctx),
            Err(trouble) => failed(lane, &trouble, ctx),
        }
    }

    fn go(self, next: Next, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let (waits, action) = match next {
            Next::Make(work) => (Waits::Made, ctx.make(work)),
            Next::Ask(query) => {
                let exchange = question(query, ctx);
                let action = exchange.ask(ctx);
                (Waits::Said(exchange), action)
            }
            // The first poll follows at once, the others after `RetryDelay`.
            Next::Wait(pending) => {
                let delay = if pending.polls == 1 { Dur::us(1) } else { self.retry_delay };
                let until = ctx.clocks.now + delay;
                (Waits::Time(pending), Action { what: What::Wait, until, hear: Reasons::TIME })
            }
            Next::Got(identity) => {
                let renew_at = renew_at(&identity);
                return has(lane, self.terms, identity, renew_at, ctx);
            }
        };
        Step::to(State::GotProfile(Box::new(GotProfile { waits, ..self })), action)
    }
}

fn question(query: Query, ctx: &Ctx<'_>) -> Exchange {
    let Query { operation, url, body } = query;
    match body {
        Some(body) => Exchange::post(operation, url, messages::scep_headers(ctx), body),
        None => Exchange::get(operation, url, messages::plain_headers(ctx)),
    }
}

/// What the profile wants of this device.
fn wanted(scep: Scep, lane: &Lane, ctx: &Ctx<'_>) -> scep::Terms {
    let (generation, sessions) = (u64::from(lane.record.generation), u64::from(lane.record.sessions));
    scep::Terms {
        url: scep.url.into(),
        name: scep.name.into(),
        key_bits: scep.key_bits.into(),
        subject: scep.subject,
        challenge: scep.challenge,
        key_usage: scep.key_usage,
        alt_names: scep.alt_names,
        ca_fingerprint: scep.ca_fingerprint,
        retries: scep.retries,
        // A renewal is signed by the old identity.
        signer: ctx.identity.filter(|_| lane.record.renewing).cloned(),
        signer_name: drawn_uuid(&mut ctx.lane_dice(Purpose::Hardware, SIGNER_NAME | generation << 32 | sessions)),
        nonces: generation << 40 | sessions << 8,
        streamed: true,
        operations: Operations {
            caps: Operation::AppleScepCaps,
            ca: Operation::AppleScepCa,
            issue: Operation::AppleScepIssue,
            poll: Operation::AppleScepPoll,
        },
    }
}

/// When a certificate is renewed by itself: with a tenth of its life to go.
pub(in crate::apple) fn renew_at(identity: &Identity) -> Option<Wall> {
    let (from, to) = x509::validity(&identity.certificate).ok()?;
    Some(to - Dur(to.since(from).0 / 10))
}

/// Place in the numbering of what a lane draws about its hardware.
const SIGNER_NAME: u64 = 1 << 62;
