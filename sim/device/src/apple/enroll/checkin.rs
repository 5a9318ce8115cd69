//! From the new identity to the enrolled device: Authenticate, push token, TokenUpdate, bootstrap token.

use super::renewal;
use crate::apple::exchange::{Exchange, Heard, Trouble, Verdict};
use crate::apple::lane::Lane;
use crate::apple::record::Stage;
use crate::apple::{State, Step, leave, messages};
use crate::{Ctx, Event, Order};
use droves_facts::{Blame, Dur, Operation, Outcome, Platform, Purpose};

/// Authenticate is under way: the identity is on disk, and nobody but the CA knows it.
#[derive(Debug)]
pub(in crate::apple) struct HasIdentity {
    exchange: Exchange,
}

/// The push service is asked for a token: the server knows the device.
#[derive(Debug)]
pub(in crate::apple) struct Authenticated;

/// TokenUpdate is under way: the token is on disk.
#[derive(Debug)]
pub(in crate::apple) struct Registered {
    exchange: Exchange,
}

/// SetBootstrapToken is under way: the device is enrolled.
#[derive(Debug)]
pub(in crate::apple) struct Bootstrapping {
    exchange: Exchange,
}

/// Says Authenticate.
pub(in crate::apple) fn authenticate(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let Some(settings) = lane.settings() else { return leave::lost(lane, ctx) };
    let body = messages::authenticate(&settings, ctx);
    let headers = messages::check_in_headers(ctx);
    let exchange =
        Exchange::put(Operation::AppleAuthenticate, &settings.check_in_url, headers, body, settings.sign_message);
    let action = exchange.ask(ctx);
    Step::to(State::HasIdentity(HasIdentity { exchange }), action)
}

impl HasIdentity {
    /// Anything but 200 fails the installation of the profile, and the identity is discarded. A server that gave no
    /// answer to a renewal may know the new identity, and then no other: it is asked again.
    pub(in crate::apple) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return Step::to(State::HasIdentity(self), action),
            Heard::Said(Verdict::Broken(trouble)) if lane.record.renewing => return again(lane, &trouble, ctx),
            Heard::Said(verdict) => verdict,
        };
        match verdict.taken() {
            Ok(taken) if taken.status == 200 => {
                lane.went_well();
                if lane.record.renewing {
                    // Token and magic stay what they are.
                    lane.go(Stage::Registered, ctx);
                    return token_update(lane, ctx);
                }
                lane.go(Stage::Authenticated, ctx);
                register(lane, ctx)
            }
            Ok(taken) => {
                let text = format!("{}: the server answered {}", Operation::AppleAuthenticate, taken.status);
                super::failed(lane, &Trouble::new(Blame::Server, "status_2xx", text), ctx)
            }
            Err(trouble) => super::failed(lane, &trouble, ctx),
        }
    }
}

/// Asks the push service for a token.
pub(in crate::apple) fn register(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let topic = lane.shared.mdm.as_ref().map_or_else(|| "".into(), |mdm| std::sync::Arc::clone(&mdm.topic));
    let action = ctx.register(Operation::ApplePushRegister, lane.record.token, topic);
    Step::to(State::Authenticated(Authenticated), action)
}

impl Authenticated {
    pub(in crate::apple) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let trouble = match event {
            Event::Response(response) if (200..300).contains(&response.status) => {
                lane.went_well();
                lane.go(Stage::Registered, ctx);
                return Step::save(ctx);
            }
            Event::Response(response) => {
                Trouble::new(Blame::Generator, "push_register", format!("the push service said {}", response.status))
            }
            Event::Failed(failure) => Trouble::new(failure.blame, failure.kind, failure.text),
            other => Trouble::new(Blame::Generator, "unexpected_event", format!("{other:?} in place of a push token")),
        };
        again(lane, &trouble, ctx)
    }
}

/// Says TokenUpdate.
pub(in crate::apple) fn token_update(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    // A device that left while its user channel was busy has no identity to show; the order that says so is on its way.
    if ctx.channel > 0 && ctx.identity.is_none() {
        return leave::end(lane, Stage::Removed, ctx);
    }
    let Some(settings) = lane.settings() else { return leave::lost(lane, ctx) };
    let body = messages::token_update(&settings, lane.record.token, lane.record.generation, ctx);
    let headers = messages::check_in_headers(ctx);
    let exchange =
        Exchange::put(Operation::AppleTokenUpdate, &settings.check_in_url, headers, body, settings.sign_message);
    let action = exchange.ask(ctx);
    Step::to(State::Registered(Registered { exchange }), action)
}

impl Registered {
    pub(in crate::apple) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return Step::to(State::Registered(self), action),
            Heard::Said(verdict) => verdict,
        };
        match verdict {
            Verdict::Taken(_) => enrolled(lane, ctx),
            Verdict::Unenroll(trouble) => {
                trouble.complain(ctx);
                lane.record.wanted.give_up(trouble.outcome(), ctx);
                leave::begin(lane, ctx)
            }
            // 410 tells a user channel that this user is not managed: it waits for the next login, which is not ours.
            Verdict::Refused(trouble) if trouble.kind == "status_410" && ctx.channel > 0 => {
                trouble.complain(ctx);
                leave::end(lane, Stage::Failed, ctx)
            }
            Verdict::Refused(trouble) | Verdict::Broken(trouble) => again(lane, &trouble, ctx),
        }
    }
}

/// The server took the TokenUpdate: the channel stands.
fn enrolled(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.went_well();
    let renewed = lane.record.renewing;
    lane.go(Stage::Enrolled, ctx);
    if renewed {
        return renewal::done(lane, ctx);
    }
    lane.record.wanted.ended(Operation::Enroll, Outcome::Succeeded, ctx);
    lane.connect_soon(ctx);
    let Some(settings) = lane.settings().filter(|_| ctx.channel == 0 && ctx.character.platform == Platform::Macos)
    else {
        return lane.rest(ctx);
    };
    if settings.per_user_connections {
        for channel in 1..=ctx.character.users {
            ctx.order(channel, Order::Enroll);
        }
    }
    if !settings.bootstrap_token {
        return lane.rest(ctx);
    }
    let body = messages::set_bootstrap_token(lane.record.generation, ctx);
    let headers = messages::check_in_headers(ctx);
    let exchange =
        Exchange::put(Operation::AppleSetBootstrapToken, &settings.check_in_url, headers, body, settings.sign_message);
    let action = exchange.ask(ctx);
    Step::to(State::Bootstrapping(Bootstrapping { exchange }), action)
}

impl Bootstrapping {
    /// A server that refuses the token does not lose the device.
    pub(in crate::apple) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => Step::to(State::Bootstrapping(self), action),
            Heard::Said(Verdict::Unenroll(trouble)) => {
                trouble.complain(ctx);
                leave::begin(lane, ctx)
            }
            Heard::Said(verdict) => {
                if let Err(trouble) = verdict.taken() {
                    trouble.complain(ctx);
                }
                lane.rest(ctx)
            }
        }
    }
}

/// A user channel opens: seconds after the device has enrolled, with a token and a magic of its own.
pub(super) fn open_user_channel(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.record.generation = lane.record.generation.wrapping_add(1);
    lane.record.token = lane.record.token.wrapping_add(1);
    lane.go(Stage::Authenticated, ctx);
    let mut dice = ctx.lane_dice(Purpose::CheckIn, u64::from(lane.record.generation));
    lane.record.next_at = Some(ctx.clocks.wall + Dur::ms(1_000 + dice.below(3_000)));
    lane.record.retrying = true;
    lane.rest(ctx)
}

/// Sleeps, and tries the same again.
fn again(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    lane.failed(ctx);
    lane.rest(ctx)
}
