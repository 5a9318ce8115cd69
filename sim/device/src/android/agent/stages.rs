//! From one stage of a device's life to another: it leaves, is erased, restarts, begins from nothing.

use super::Step;
use super::lane::Lane;
use super::main::{LINK, Session, TRANSFER, proceed};
use super::record::{Record, Stage};
use crate::{Ctx, Order};
use droves_facts::{Blame, Operation, Outcome, What as Fact};
use std::sync::Arc;

/// The device restarts by command, and its lanes with it.
pub(super) fn restart(lane: &mut Lane, ctx: &mut Ctx<'_>) {
    if lane.record.stage != Stage::Enrolled {
        return;
    }
    let shared = Arc::make_mut(&mut lane.shared);
    shared.restarts = shared.restarts.wrapping_add(1);
    lane.restarts(ctx);
    ctx.order(LINK, Order::Shared);
    ctx.order(TRANSFER, Order::Shared);
}

/// The user removes the agent, of which the server hears nothing.
pub(super) fn leave(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    if lane.record.stage != Stage::Enrolled {
        lane.record.wanted.ended(Operation::Unenroll, NOT_ENROLLED, ctx);
        return proceed(lane, Session::default(), ctx);
    }
    lane.record.wanted.ended(Operation::Unenroll, Outcome::Succeeded, ctx);
    end(lane, Stage::Removed, ctx)
}

/// The enrollment, or the attempt at one, is over.
pub(super) fn end(lane: &mut Lane, stage: Stage, ctx: &mut Ctx<'_>) -> Step {
    ctx.fact(Fact::Unreachable);
    go(lane, stage, ctx);
    lane.record.wanted.give_up(NOT_ENROLLED, ctx);
    forget(lane);
    if stage == Stage::Wiped {
        lane.record.next_at = ctx.character.reenrolls_after_wipe.map(|after| ctx.clocks.wall + after).into();
    }
    lane.rest(ctx)
}

/// Forgets what belonged to an enrollment. What counts on stays.
pub(super) fn forget(lane: &mut Lane) {
    let Record { generation, sessions, retries, configs, restarts, stage, wanted, .. } = lane.record;
    lane.record = Record { generation, sessions, retries, configs, restarts, stage, wanted, ..Record::default() };
    lane.shared = Arc::new(super::Shared { generation, restarts, ..super::Shared::default() });
}

/// Goes to another stage, and says so.
pub(super) fn go(lane: &mut Lane, stage: Stage, ctx: &mut Ctx<'_>) {
    let (from, to) = (lane.record.stage.state(), stage.state());
    lane.record.stage = stage;
    if from != to {
        ctx.fact(Fact::Device { from, to });
    }
}

/// What a device says to an order that only an enrolled one can follow.
pub(super) const NOT_ENROLLED: Outcome = Outcome::Failed { blame: Blame::Scenario, kind: "not_enrolled" };
