//! The ways out: CheckOut, erasure, the end of a lane.

use super::exchange::{Exchange, Heard, Trouble};
use super::lane::Lane;
use super::own::Own;
use super::record::{Record, Stage};
use super::{State, Step, messages};
use crate::{Ctx, Event, Order};
use droves_facts::{Blame, Operation, Outcome, What as Fact};
use std::sync::Arc;

/// CheckOut is under way.
#[derive(Debug)]
pub(super) struct Leaving {
    exchange: Exchange,
}

/// Leaves: tells the server where the profile wants that (`CheckOutWhenRemoved`), once, whatever comes of it. Only the
/// device channel says CheckOut.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let settings = lane.settings().filter(|settings| settings.check_out_when_removed && ctx.channel == 0);
    let Some(settings) = settings else {
        return end(lane, Stage::Removed, ctx);
    };
    let body = messages::check_out(&settings, ctx);
    let headers = messages::check_in_headers(ctx);
    let exchange =
        Exchange::put(Operation::AppleCheckOut, &settings.check_in_url, headers, body, settings.sign_message);
    let action = exchange.ask(ctx);
    Step::to(State::Leaving(Leaving { exchange }), action)
}

impl Leaving {
    pub(super) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return Step::to(State::Leaving(self), action),
            Heard::Said(verdict) => {
                if let Err(trouble) = verdict.taken() {
                    trouble.complain(ctx);
                    lane.record.wanted.ended(Operation::Unenroll, trouble.outcome(), ctx);
                }
            }
        }
        end(lane, Stage::Removed, ctx)
    }
}

/// The device was erased. It may enroll again by itself, after a while.
pub(super) fn wiped(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    end(lane, Stage::Wiped, ctx)
}

/// A lane without what it needs to go on, which is a fault of ours.
pub(super) fn lost(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let text = "the lane's shared part has no settings of a server: nothing can be sent";
    Trouble::new(Blame::Generator, "no_settings", text).complain(ctx);
    end(lane, Stage::Failed, ctx)
}

/// The enrollment, or the attempt at one, is over.
pub(super) fn end(lane: &mut Lane, stage: Stage, ctx: &mut Ctx<'_>) -> Step {
    if !lane.record.stage.is_over() {
        ctx.fact(Fact::Unreachable);
    }
    lane.go(stage, ctx);
    lane.record.wanted.ended(Operation::Unenroll, Outcome::Succeeded, ctx);
    lane.record.wanted.give_up(Outcome::Failed { blame: Blame::Scenario, kind: "not_enrolled" }, ctx);
    if ctx.channel == 0 {
        ctx.adopt(None);
        for channel in 1..=ctx.character.users {
            ctx.order(channel, Order::MainEnded);
        }
    }
    forget(lane);
    if stage == Stage::Wiped && ctx.channel == 0 {
        lane.record.next_at = ctx.character.reenrolls_after_wipe.map(|after| ctx.clocks.wall + after);
    }
    lane.rest(ctx)
}

/// Forgets what belonged to an enrollment. What counts on (generations, sessions) stays.
pub(super) fn forget(lane: &mut Lane) {
    let Record { generation, token, sessions, retries, stage, wanted, .. } = lane.record;
    lane.record = Record { generation, token, sessions, retries, stage, wanted, ..Record::default() };
    lane.shared = Arc::default();
    lane.own = Own::default();
}
