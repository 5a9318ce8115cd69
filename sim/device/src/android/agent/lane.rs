//! A lane between its exchanges: what it keeps, and how it rests.

use super::record::{OWN_VERSION, Record, Stage};
use super::shared::Shared;
use super::{Agent, Step, fcm, main};
use crate::kept::{own_from_bytes, own_to_bytes};
use crate::rest::Over;
use crate::{Action, Ctx, Need, Reasons, Slept, What};
use droves_facts::{Dur, Purpose, Wall};
use droves_wire::android::mqtt::Inbox;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a lane keeps while it sleeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub(super) record: Record,
    pub(super) shared: Arc<Shared>,
    /// Link: deliveries that are not yet done. Its session outlives its connections.
    pub(super) inbox: Inbox,
    /// Transfer: what has come of what is to be fetched, and of which the main lane does not yet know that it is there.
    pub(super) parts: Vec<Part>,
}

/// What has come of something that is to be fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    /// Of what.
    pub(super) number: u32,
    /// Bytes.
    pub(super) bytes: u64,
    /// Whether that is all.
    pub(super) is_whole: bool,
}

impl Lane {
    pub(super) fn open(slept: Slept<Agent>) -> Self {
        let (received, parts) = own_from_bytes::<(Vec<u16>, Vec<Part>)>(OWN_VERSION, slept.own.as_deref());
        Lane { record: slept.record, shared: slept.shared, inbox: Inbox::new(received), parts }
    }

    pub(super) fn fold(self) -> Slept<Agent> {
        let own = own_to_bytes(OWN_VERSION, &(self.inbox.received(), self.parts.as_slice()));
        Slept { record: self.record, shared: self.shared, own }
    }

    /// What failed is tried again after this long.
    pub(super) fn put_off(&mut self, after: Dur, ctx: &Ctx<'_>) {
        self.record.tries = self.record.tries.saturating_add(1);
        self.record.retries = self.record.retries.wrapping_add(1);
        self.record.next_at = (ctx.clocks.wall + after).into();
    }

    /// The server has commanded so many restarts: the device is away for a while after each.
    pub(super) fn restarts(&mut self, ctx: &Ctx<'_>) {
        let record = &mut self.record;
        if record.restarts != self.shared.restarts {
            record.restarts = self.shared.restarts;
            let mut dice = ctx.device_dice(Purpose::Behaviour, RESTARTS | u64::from(record.restarts));
            let away = RESTART.0 + RESTART.1.scaled(dice.unit());
            record.offline_until = (ctx.clocks.wall + away).into();
        }
    }

    /// Until when the device is kept from what it needs: it restarts, is off, dozes, saves what costs money.
    pub(super) fn kept_until(&self, need: Need, ctx: &Ctx<'_>) -> Option<Wall> {
        kept_until(&self.record, need, ctx)
    }

    /// Sleeps, or is over.
    pub(super) fn rest(&self, ctx: &Ctx<'_>) -> Step {
        Step::asleep(resting(&self.record, ctx))
    }
}

/// A request, or the opening of a link, for as long as the device has what it needs: then its network is gone, and it is let go of.
/// That is nobody's failure.
pub(super) fn while_there(need: Need, action: Action, ctx: &Ctx<'_>) -> Action {
    match ctx.lacks_from(need).map(|from| ctx.moment(Some(from))) {
        Some(until) if until < action.until => Action { until, hear: action.hear | Reasons::TIME, ..action },
        _ => action,
    }
}

/// What a lane with this record waits for while it is asleep; also after a restart of ours.
pub(super) fn resting(record: &Record, ctx: &Ctx<'_>) -> Action {
    let wall = ctx.clocks.wall;
    let need = if ctx.channel == main::TRANSFER { Need::Transfer } else { Need::Attention };
    let kept = kept_until(record, need, ctx);
    if ctx.channel > 0 {
        let (until, hear) = kept.map_or((record.next_at.get(), Reasons::ORDER), |kept| (Some(kept), Reasons::NONE));
        // It hears no pushes, after which a device takes its time.
        let what = What::Sleep { lag: Dur::ZERO };
        return Action { what, until: ctx.moment(until), hear: hear | Reasons::TIME };
    }
    let Record { stage, wanted, sessions, next_at, .. } = *record;
    if let Some(over) = ctx.over(Over { state: stage.state(), wanted, sessions, again_at: next_at.get() }, kept) {
        return over;
    }
    if let Some(kept) = kept {
        return away(record, kept, ctx);
    }
    // It is to see that it goes off, since it asks its server when it is on again; and that it will hear no message.
    let off = ctx.lacks_from(Need::Attention);
    let until = match record.next_at.get() {
        Some(at) if at > wall => Some(at).into_iter().chain(off).min(),
        // What is to be done and was not put off goes on by itself.
        None if record.stage == Stage::Enrolling || record.todo.first().is_some() => Some(wall),
        _ => {
            let tick = main::tick(record, ctx);
            [record.next_at.get(), tick, record.detail_at.get()].into_iter().flatten().chain(off).min()
        }
    };
    ctx.sleep(record.sessions, until, Reasons::TIME | Reasons::PUSH | Reasons::ORDER)
}

/// What a device waits for that is kept from its work until then: of those that FCM wakes also for an urgent message, as
/// soon as one reaches it.
fn away(record: &Record, kept: Wall, ctx: &Ctx<'_>) -> Action {
    let (until, hear) = match kept_until(record, Need::UrgentPush, ctx) {
        _ if !fcm::is_used(ctx) => (kept, Reasons::TIME),
        Some(until) => (until, Reasons::TIME),
        None => {
            let until = ctx.lacks_from(Need::UrgentPush).map_or(kept, |from| from.min(kept));
            (until, Reasons::TIME | Reasons::URGENT)
        }
    };
    ctx.sleep(record.sessions, Some(until), hear)
}

fn kept_until(record: &Record, need: Need, ctx: &Ctx<'_>) -> Option<Wall> {
    ctx.gone_until(record.offline_until.get(), need)
}

/// How long a restart takes, at least, and by how much longer at most: until the agent runs again.
const RESTART: (Dur, Dur) = (Dur::secs(30), Dur::secs(90));
/// Place in the numbering of what a device draws for its behaviour.
const RESTARTS: u64 = 1 << 61;
