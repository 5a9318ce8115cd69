//! The ways out: the user removes the enrollment, the server deletes the device, a command erases it or lets it go.

use super::lane::{Lane, NOT_ENROLLED};
use super::own::Own;
use super::record::{Record, Stage};
use super::{State, Step, enroll, question};
use crate::{Ctx, Enrolls, Event};
use droves_facts::{Operation, Outcome, Purpose};
use droves_wire::android::adp::{Answer, Ask, Mode};
use std::sync::Arc;

/// Google is told that the device leaves.
#[derive(Debug)]
pub(super) struct Leaving {
    to: Stage,
}

/// The user takes the work profile away, or resets the device. Of some, Google never hears of it.
pub(super) fn by_user(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let share = if let Enrolls::Google(google) = &ctx.character.enrolls { google.silent } else { 0.0 };
    let is_silent = ctx.device_dice(Purpose::Behaviour, SILENT).unit() < share;
    begin(Stage::Removed, !is_silent, lane, ctx)
}

/// A place in the numbering of what is drawn about behaviour.
const SILENT: u64 = 1 << 55;

/// Leaves; `told` is whether Google tells anybody. Once, whatever comes of it.
pub(super) fn begin(to: Stage, told: bool, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let ask = Ask::Leave { device: question::name(lane), told };
    Step::to(State::Leaving(Leaving { to }), question::ask(Operation::AndroidGoogleLeave, &ask, ctx))
}

impl Leaving {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = Operation::AndroidGoogleLeave;
        let trouble = match question::answer(event, operation) {
            Ok(Answer::Taken) => None,
            Ok(answer) => Some(question::other(&answer, operation)),
            Err(trouble) => Some(trouble).filter(|trouble| !question::is_gone(trouble)),
        };
        if let Some(trouble) = trouble {
            trouble.complain(ctx);
        }
        end(lane, self.to, ctx)
    }
}

/// Where a wipe leads: a company's device is reset, of somebody's own the work profile is removed.
pub(super) fn erased(ctx: &Ctx<'_>) -> Stage {
    match enroll::mode(ctx) {
        Mode::FullyManaged | Mode::Dedicated | Mode::CompanyWorkProfile => Stage::Wiped,
        Mode::PersonalWorkProfile => Stage::Removed,
    }
}

/// The enrollment, or the attempt at one, is over. What was wiped may enroll again by itself, after a while.
pub(super) fn end(lane: &mut Lane, stage: Stage, ctx: &mut Ctx<'_>) -> Step {
    lane.go(stage, ctx);
    lane.record.wanted.ended(Operation::Unenroll, Outcome::Succeeded, ctx);
    lane.record.wanted.give_up(NOT_ENROLLED, ctx);
    forget(lane);
    if stage == Stage::Wiped {
        lane.record.ask_at = ctx.character.reenrolls_after_wipe.map(|after| ctx.clocks.wall + after).into();
    }
    lane.rest(ctx)
}

/// Forgets what belonged to an enrollment. What counts on stays.
pub(super) fn forget(lane: &mut Lane) {
    let Record { generation, sessions, reports, commands, installs, retries, boots, stage, wanted, .. } = lane.record;
    lane.record = Record {
        generation,
        sessions,
        reports,
        commands,
        installs,
        retries,
        boots,
        stage,
        wanted,
        ..Record::default()
    };
    lane.shared = Arc::default();
    lane.own = Own::default();
}
