//! Enrolling: profile, key, SCEP, Authenticate, push token, TokenUpdate. One type for each state, which holds what is
//! known by then and no more:
//!
//! `Fetching` → `GotProfile` (while the identity is got by SCEP), or the states of [`acme`], or `Unpacking` where the
//! identity is in the profile → saved → `HasIdentity` → `Authenticated` → saved → `Registered` → enrolled.

mod acme;
mod checkin;
mod pkcs12;
mod profile;
mod renewal;
mod scep;

use super::exchange::{Exchange, Heard, Trouble};
use super::lane::Lane;
use super::record::Stage;
use super::{State, Step, leave, messages};
use crate::{Ctx, Enrolls, Event, Identity, Order, ProfileSource};
use droves_facts::{Operation, Wall, What as Fact};
use std::sync::Arc;

pub(super) use acme::Acme;
pub(super) use checkin::{Authenticated, Bootstrapping, HasIdentity, Registered, authenticate, register, token_update};
pub(super) use pkcs12::Unpacking;
pub(super) use profile::{plan, read};
pub(super) use renewal::{install, is_own, renew};
pub(super) use scep::{GotProfile, renew_at};

use profile::{Plan, Source, Terms};

/// The profile is being fetched.
#[derive(Debug)]
pub(super) struct Fetching {
    exchange: Exchange,
}

/// A new enrollment begins, whatever was before it.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let was_enrolled = lane.record.stage == Stage::Enrolled;
    if was_enrolled {
        ctx.fact(Fact::Unreachable);
    }
    if ctx.channel > 0 {
        let shared = Arc::clone(&lane.shared);
        leave::forget(lane);
        lane.shared = shared;
        return checkin::open_user_channel(lane, ctx);
    }
    if was_enrolled {
        for channel in 1..=ctx.character.users {
            ctx.order(channel, Order::MainEnded);
        }
    }
    leave::forget(lane);
    lane.record.generation = lane.record.generation.wrapping_add(1);
    lane.record.token = lane.record.token.wrapping_add(1);
    lane.go(Stage::Starting, ctx);
    start(lane, ctx)
}

/// Gets the profile.
pub(super) fn start(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    match &ctx.character.enrolls {
        Enrolls::Profile(ProfileSource::Bytes(bytes)) => {
            let bytes = Arc::clone(bytes);
            got(lane, &bytes, ctx)
        }
        Enrolls::Profile(ProfileSource::Url(url)) => {
            let exchange = Exchange::get(Operation::AppleProfile, url.clone(), messages::plain_headers(ctx));
            let action = exchange.ask(ctx);
            Step::to(State::Fetching(Fetching { exchange }), action)
        }
        // Who casts the fleet gives Apple devices a profile; without one nothing can be read.
        _ => got(lane, &[], ctx),
    }
}

impl Fetching {
    pub(super) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => Step::to(State::Fetching(self), action),
            Heard::Said(verdict) => match verdict.taken() {
                Ok(taken) => got(lane, &taken.body, ctx),
                Err(trouble) => failed(lane, &trouble, ctx),
            },
        }
    }
}

fn got(lane: &mut Lane, bytes: &[u8], ctx: &mut Ctx<'_>) -> Step {
    match plan(bytes, lane, ctx) {
        Ok(plan) => get_identity(lane, plan, ctx),
        Err(trouble) => failed(lane, &trouble, ctx),
    }
}

/// Gets the identity that the profile speaks of.
fn get_identity(lane: &mut Lane, Plan { terms, source }: Plan, ctx: &mut Ctx<'_>) -> Step {
    if lane.record.renewing
        && let Err(trouble) = renewal::check(lane, &terms.settings)
    {
        return failed(lane, &trouble, ctx);
    }
    match source {
        Source::Scep(scep) => scep::start(lane, terms, scep, ctx),
        Source::Acme(acme) => acme::start(lane, terms, acme, ctx),
        Source::Pkcs12(file, password) => pkcs12::start(terms, file, password, ctx),
    }
}

/// There is an identity: it is on disk before anybody else hears of it. `renew_at`: when the device gets a new one by
/// itself.
fn has(lane: &mut Lane, terms: Terms, identity: Identity, renew_at: Option<Wall>, ctx: &mut Ctx<'_>) -> Step {
    lane.record.renew_at = renew_at;
    if lane.record.renewing {
        renewal::adopt(lane, terms, ctx);
    } else {
        let shared = Arc::make_mut(&mut lane.shared);
        shared.mdm = Some(Arc::new(terms.settings));
        shared.profiles = vec![Arc::new(terms.profile)];
    }
    ctx.adopt(Some(Arc::new(identity)));
    lane.go(Stage::HasIdentity, ctx);
    Step::save(ctx)
}

/// The enrollment, or the renewal, came to nothing.
pub(super) fn failed(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    if lane.record.renewing {
        return renewal::failed(lane, trouble, ctx);
    }
    trouble.complain(ctx);
    lane.record.wanted.ended(Operation::Enroll, trouble.outcome(), ctx);
    leave::end(lane, Stage::Failed, ctx)
}
