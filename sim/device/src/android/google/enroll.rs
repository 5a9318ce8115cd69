//! Enrolling: a token from a QR code or a link, shown to Google, who gives the device a name.

use super::hardware::Hardware;
use super::lane::{Lane, Takes};
use super::question::{self, other};
use super::record::{Record, Stage};
use super::{State, Step, leave, report};
use crate::trouble::Trouble;
use crate::{Ctx, Enrolls, Event};
use droves_facts::{Blame, Operation, status_kind};
use droves_wire::android::adp::{Answer, Ask, Enroll, Mode};
use std::sync::Arc;

/// Google is asked.
#[derive(Debug)]
pub(super) struct Enrolling;

/// A new enrollment begins, whatever was before it.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    leave::forget(lane);
    lane.record.generation = lane.record.generation.wrapping_add(1);
    lane.go(Stage::Provisioning, ctx);
    lane.record.ask_at = (ctx.clocks.wall + Takes::Provisioning.time(lane.record.generation, ctx)).into();
    lane.proceed(ctx)
}

/// Asks Google.
pub(super) fn ask(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let enroll = Enroll { token: token(ctx), recipe: report::recipe(lane, ctx) };
    let action = question::ask(Operation::AndroidGoogleEnroll, &Ask::Enroll(Box::new(enroll)), ctx);
    Step::to(State::Enrolling(Enrolling), action)
}

impl Enrolling {
    /// The device's name is on disk before Google hears it from the device.
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = Operation::AndroidGoogleEnroll;
        let named = question::answer(event, operation).and_then(|answer| match answer {
            Answer::Enrolled { device, .. } => read(&device),
            answer => Err(other(&answer, operation)),
        });
        match named {
            Ok((enterprise, id)) => {
                lane.record.tries = 0;
                lane.record.id = id;
                Arc::make_mut(&mut lane.shared).enterprise = enterprise;
                lane.go(Stage::Named, ctx);
                Step::save(ctx)
            }
            Err(trouble) => failed(lane, &trouble, ctx),
        }
    }
}

/// Enterprise and id of a device's name.
fn read(name: &str) -> Result<(Arc<str>, u64), Trouble> {
    let parts = name.split_once("/devices/").and_then(|(enterprise, id)| Some((enterprise, Record::read_id(id)?)));
    let (enterprise, id) = parts.ok_or_else(|| {
        Trouble::new(Blame::Generator, "google_answer", format!("Google has named the device {name:?}"))
    })?;
    Ok((enterprise.into(), id))
}

/// The device is enrolled, and asks for its policy.
pub(super) fn done(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.go(Stage::Settling, ctx);
    lane.record.ask_at = ctx.clocks.wall.into();
    lane.proceed(ctx)
}

/// The enrollment came to nothing. A token that is not good stays so; anything else is tried again, a few times.
fn failed(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    let is_refused = [403, 409].map(status_kind).contains(&trouble.kind);
    if !is_refused && lane.record.tries + 1 < ctx.limits.enrollment_tries_max {
        lane.record.ask_at = lane.again_at(ctx);
        return lane.rest(ctx);
    }
    lane.record.wanted.ended(Operation::Enroll, trouble.outcome(), ctx);
    leave::end(lane, Stage::Failed, ctx)
}

/// The token that this device shows. Who casts the fleet gives such a device one; without it Google refuses it.
fn token(ctx: &Ctx<'_>) -> Box<str> {
    match &ctx.character.enrolls {
        Enrolls::Google(google) => google.token.of(ctx.device).into(),
        _ => "".into(),
    }
}

/// How the device is managed.
pub(super) fn mode(ctx: &Ctx<'_>) -> Mode {
    match &ctx.character.enrolls {
        Enrolls::Google(google) => google.mode,
        _ => Mode::default(),
    }
}

/// Android's API level.
pub(super) fn api_level(ctx: &Ctx<'_>) -> u16 {
    Hardware::of(ctx).api_level()
}
