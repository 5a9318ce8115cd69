//! The ways out: the user removes the enrollment, the server does, the device is erased.

use super::lane::Lane;
use super::own::Own;
use super::record::{Record, Stage};
use super::tree::Tree;
use super::{Step, session};
use crate::Ctx;
use crate::trouble::Trouble;
use droves_facts::{Blame, Operation, Outcome, What as Fact};
use std::sync::Arc;

/// Leaves, by the user's will or the server's: one last session tells the server, once, whatever comes of it.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    if lane.account().is_none() || ctx.identity.is_none() {
        return end(lane, Stage::Removed, ctx);
    }
    lane.go(Stage::Leaving, ctx);
    session::begin(lane, ctx)
}

/// The device was erased. It may enroll again by itself, after a while.
pub(super) fn wiped(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    end(lane, Stage::Wiped, ctx)
}

/// A lane without what it needs to go on, which is a fault of ours.
pub(super) fn lost(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let text = "the lane's shared part has no account of a server: nothing can be sent";
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
    ctx.adopt(None);
    forget(lane);
    if stage == Stage::Wiped {
        lane.record.next_at = ctx.character.reenrolls_after_wipe.map(|after| ctx.clocks.wall + after).into();
    }
    lane.rest(ctx)
}

/// Forgets what belonged to an enrollment. What counts on (generations, sessions) stays.
pub(super) fn forget(lane: &mut Lane) {
    let Record { generation, token, sessions, messages, retries, stage, wanted, .. } = lane.record;
    lane.record = Record { generation, token, sessions, messages, retries, stage, wanted, ..Record::default() };
    lane.shared = Arc::default();
    lane.own = Own::default();
    lane.tree = Tree::default();
}
