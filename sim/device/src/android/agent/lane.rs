//! A lane between its exchanges: what it keeps, and how it rests.

use super::record::{OWN_VERSION, Record, Stage};
use super::shared::Shared;
use super::{Agent, Step, fcm, main};
use crate::at::At;
use crate::kept::{from_bytes, to_bytes};
use crate::trouble::Trouble;
use crate::{Action, Ctx, Need, Reasons, Slept, What, Why};
use droves_facts::{Blame, Dur, Mono, Purpose, Wall};
use droves_wire::android::mqtt::Inbox;
use std::sync::Arc;

/// What a lane keeps while it sleeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub(super) record: Record,
    pub(super) shared: Arc<Shared>,
    /// Link: deliveries that are not yet done. Its session outlives its connections.
    pub(super) inbox: Inbox,
}

impl Lane {
    pub(super) fn open(slept: Slept<Agent>) -> Self {
        let received = slept.own.and_then(|own| from_bytes::<Vec<u16>>("own part", OWN_VERSION, &own).ok());
        Lane { record: slept.record, shared: slept.shared, inbox: Inbox::new(received.unwrap_or_default()) }
    }

    pub(super) fn fold(self) -> Slept<Agent> {
        let received = self.inbox.received();
        let own = (!received.is_empty()).then(|| to_bytes(OWN_VERSION, &received).into_boxed_slice());
        Slept { record: self.record, shared: self.shared, own }
    }

    /// Names a failure in words.
    pub(super) fn complain(trouble: &Trouble, ctx: &mut Ctx<'_>) {
        ctx.complain(trouble.blame, trouble.kind, trouble.text.as_str());
    }

    /// What a lane is brought that it does not wait for.
    pub(super) fn stray(&mut self, what: &str, ctx: &mut Ctx<'_>) -> Step {
        let text = format!("a lane that waits for none of it was brought {what}");
        Lane::complain(&Trouble::new(Blame::Generator, "unexpected_event", text), ctx);
        self.rest(ctx)
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

/// What a lane with this record waits for while it is asleep; also after a restart of ours.
pub(super) fn resting(record: &Record, ctx: &Ctx<'_>) -> Action {
    let wall = ctx.clocks.wall;
    // Never now: a lane that is woken in vain would spin.
    let sleep = |until: Option<Wall>, hear: Reasons| Action {
        what: What::Sleep {
            lag: if ctx.channel == 0 { ctx.wake_lag(u64::from(record.sessions) + 1) } else { Dur::ZERO },
        },
        until: until.map_or(Mono::NEVER, |at| ctx.clocks.now + at.since(wall).max(Dur::ms(1))),
        hear,
    };
    let end = |why| Action { what: What::End(why), until: Mono::NEVER, hear: Reasons::ORDER };
    let kept = kept_until(record, if ctx.channel == main::TRANSFER { Need::Transfer } else { Need::Attention }, ctx);
    if ctx.channel > 0 {
        let (until, hear) = kept.map_or((record.next_at.get(), Reasons::ORDER), |kept| (Some(kept), Reasons::NONE));
        return sleep(until, hear | Reasons::TIME);
    }
    let all = Reasons::TIME | Reasons::PUSH | Reasons::ORDER;
    // It is to see that it goes off: it asks its server when it is on again. Or that it will hear no plain message.
    let off = ctx.lacks_from(if fcm::is_used(ctx) { Need::Attention } else { Need::Power });
    match record.stage {
        Stage::Wiped if record.next_at != At::NEVER => sleep(record.next_at.get(), Reasons::TIME | Reasons::ORDER),
        Stage::Wiped => end(Why::Wiped),
        Stage::Failed => end(Why::GaveUp),
        Stage::Unenrolled | Stage::Removed => end(Why::Removed),
        _ if kept.is_some() && fcm::is_used(ctx) => match kept_until(record, Need::UrgentPush, ctx) {
            // Then it hears urgent ones again at least.
            Some(until) => sleep(Some(until), Reasons::TIME),
            None => {
                sleep(kept.into_iter().chain(ctx.lacks_from(Need::UrgentPush)).min(), Reasons::TIME | Reasons::URGENT)
            }
        },
        _ if kept.is_some() => sleep(kept, Reasons::TIME),
        _ if record.next_at.get().is_some_and(|at| at > wall) => {
            sleep(record.next_at.get().into_iter().chain(off).min(), all)
        }
        // What is to be done and was not put off goes on by itself.
        _ if record.next_at == At::NEVER && record.stage == Stage::Enrolling => sleep(Some(wall), all),
        _ if record.next_at == At::NEVER && record.todo.first().is_some() => sleep(Some(wall), all),
        _ => sleep(
            [record.next_at, record.tick_at, record.detail_at].into_iter().filter_map(At::get).chain(off).min(),
            all,
        ),
    }
}

fn kept_until(record: &Record, need: Need, ctx: &Ctx<'_>) -> Option<Wall> {
    let restarts = record.offline_until.get().filter(|until| *until > ctx.clocks.wall);
    restarts.into_iter().chain(ctx.lacks_until(need)).max()
}

/// How long a restart takes, at least, and by how much longer at most: until the agent runs again.
const RESTART: (Dur, Dur) = (Dur::secs(30), Dur::secs(90));
/// Place in the numbering of what a device draws for its behaviour.
const RESTARTS: u64 = 1 << 61;
