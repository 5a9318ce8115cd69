//! Status reports: some minutes after a policy was applied, as applications come, and once in a while. A report goes to
//! Google as the recipe that its text is made from.

use super::hardware::Hardware;
use super::lane::{Lane, Takes};
use super::question::{self, is_gone, other};
use super::record::{At, Stage};
use super::{State, Step, apps, enroll, leave, logs};
use crate::{Ctx, Enrolls, Event};
use droves_facts::{Operation, Outcome, Purpose};
use droves_wire::android::adp::{Answer, Ask, Recipe};

/// Google is told.
#[derive(Debug)]
pub(super) struct Reporting;

/// There is something to tell: a report follows, unless one is due before it.
pub(super) fn soon(lane: &mut Lane, ctx: &Ctx<'_>) {
    lane.record.reports = lane.record.reports.wrapping_add(1);
    let at = ctx.clocks.wall + Takes::Report.time(lane.record.reports, ctx);
    lane.record.report_at = lane.record.report_at.get().map_or(at, |before| before.min(at)).into();
}

/// Tells how the device is.
pub(super) fn begin(lane: &Lane, ctx: &Ctx<'_>) -> Step {
    let recipe = Box::new(recipe(lane, ctx));
    let ask = Ask::Report { device: question::name(lane), applied: lane.record.applied, recipe };
    Step::to(State::Reporting(Reporting), question::ask(Operation::AndroidGoogleReport, &ask, ctx))
}

impl Reporting {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = Operation::AndroidGoogleReport;
        let trouble = match question::answer(event, operation) {
            Ok(Answer::Taken) => {
                taken(lane, ctx);
                return logs::begin(lane, ctx).unwrap_or_else(|| lane.proceed(ctx));
            }
            Ok(answer) => other(&answer, operation),
            Err(trouble) if is_gone(&trouble) => return leave::end(lane, Stage::Removed, ctx),
            Err(trouble) => trouble,
        };
        trouble.complain(ctx);
        lane.record.report_at = lane.again_at(ctx);
        lane.rest(ctx)
    }
}

/// The next one follows after the usual time, and the device asks then what is new: a nudge may have been lost.
fn taken(lane: &mut Lane, ctx: &mut Ctx<'_>) {
    lane.record.tries = 0;
    lane.own.removed.clear();
    if lane.record.stage == Stage::Settling {
        lane.go(Stage::Enrolled, ctx);
        lane.record.wanted.ended(Operation::Enroll, Outcome::Succeeded, ctx);
    }
    lane.record.report_at = next_at(lane, ctx);
    let asks = [lane.record.ask_at, lane.record.report_at].into_iter().filter_map(At::get).min();
    lane.record.ask_at = asks.into();
}

/// Somewhere in the last tenth of the interval, as periodic work is run.
fn next_at(lane: &Lane, ctx: &Ctx<'_>) -> At {
    let Enrolls::Google(google) = &ctx.character.enrolls else { return At::NEVER };
    let drawn = ctx.device_dice(Purpose::CheckIn, u64::from(lane.record.reports)).unit();
    let every = google.report_every.scaled(1.0 - drawn / 10.0);
    At::from(Some(ctx.clocks.wall + every).filter(|at| *at > ctx.clocks.wall))
}

/// From what the device's report is made now.
pub(super) fn recipe(lane: &Lane, ctx: &Ctx<'_>) -> Recipe {
    let hardware = Hardware::of(ctx);
    let policy = &lane.shared.policy;
    let of_users = if lane.record.has_acted { &[] } else { &*policy.until_acted };
    let mut details: Vec<_> = policy.never.iter().chain(of_users).cloned().collect();
    details.extend(apps::details(lane, ctx));
    Recipe {
        seed: hardware.seed(),
        mode: enroll::mode(ctx),
        brand: hardware.brand().into(),
        model: hardware.model().into(),
        android_version: hardware.android_version().into(),
        api_level: hardware.api_level(),
        serial: hardware.serial().into(),
        system_apps: hardware.system_apps(),
        apps: apps::installed(lane, ctx),
        details,
        applied_state: if lane.record.is_lost { "LOST" } else { "" }.into(),
        boots: lane.record.boots,
    }
}
