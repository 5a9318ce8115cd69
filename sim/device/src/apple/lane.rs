//! A lane between its exchanges: what it keeps, how it rests, what it does when it wakes.

use super::own::Own;
use super::record::{Record, Stage};
use super::shared::{MdmSettings, Shared};
use super::{Apple, Step, enroll, leave, session};
use crate::rest::Over;
use crate::{Action, Ctx, Need, Order, Reasons, Slept, Wake};
use droves_facts::{Dur, Operation, Outcome, Purpose, Wall, What as Fact};
use std::sync::Arc;

/// What a lane keeps while it sleeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub(super) record: Record,
    pub(super) shared: Arc<Shared>,
    pub(super) own: Own,
}

impl Lane {
    /// The server's settings. Without them, which is a fault of ours, the lane can't speak to anyone.
    pub(super) fn settings(&self) -> Option<Arc<MdmSettings>> {
        self.shared.mdm.clone()
    }

    /// Goes to another stage, and says so where it is another state of the device.
    pub(super) fn go(&mut self, stage: Stage, ctx: &mut Ctx<'_>) {
        let from = self.record.stage.state(self.record.renewing);
        let renewing = self.record.renewing && !stage.is_over() && stage != Stage::Enrolled;
        let to = stage.state(renewing);
        self.record.stage = stage;
        self.record.renewing = renewing;
        if from != to && ctx.channel == 0 {
            ctx.fact(Fact::Device { from, to });
        }
    }

    /// Something failed that is tried again after a while.
    pub(super) fn failed(&mut self, ctx: &Ctx<'_>) {
        let record = &mut self.record;
        record.tries = record.tries.saturating_add(1);
        record.retries = record.retries.wrapping_add(1);
        record.retrying = true;
        record.next_at = Some(ctx.clocks.wall + ctx.retry_delay(record.tries, u64::from(record.retries)));
    }

    /// Something went well: the next failure is the first of its row again.
    pub(super) fn went_well(&mut self) {
        self.record.tries = 0;
        self.record.retrying = false;
        self.record.next_at = None;
    }

    /// Connects by itself, soon: 0 to 10 s from now, as devices do after TokenUpdate.
    pub(super) fn connect_soon(&mut self, ctx: &Ctx<'_>) {
        let mut dice = ctx.lane_dice(Purpose::CheckIn, u64::from(self.record.sessions) << 32);
        self.record.next_at = Some(ctx.clocks.wall + Dur::ms(10 + dice.below(9_990)));
    }

    /// Put to sleep. A renewal that is put to sleep before there is a new identity has not begun: it begins again if it
    /// was ordered, if its time has come, or if the server asks for it once more.
    pub(super) fn fold(mut self) -> Slept<Apple> {
        if self.record.stage == Stage::Enrolled && self.record.renewing {
            self.record.renewing = false;
            self.own.renewal = None;
        }
        let own = self.own.encode();
        Slept { record: self.record, shared: self.shared, own }
    }

    /// Sleeps, or is over.
    pub(super) fn rest(&mut self, ctx: &Ctx<'_>) -> Step {
        Step::asleep(resting(&self.record, ctx))
    }

    /// What a sleeping lane does when it wakes.
    pub(super) fn wake(&mut self, wake: &Wake<'_>, ctx: &mut Ctx<'_>) -> Step {
        for (n, note) in wake.notes.iter().enumerate() {
            let enrolls_after = wake.notes.iter().skip(n).any(|note| note.order == Order::Enroll);
            match note.order {
                // The new enrollment follows in the same wake at times: the end of the old one then means nothing.
                Order::MainEnded if enrolls_after => {}
                Order::MainEnded => return leave::end(self, Stage::Removed, ctx),
                Order::IdentityRenewed if self.record.retrying => self.record.next_at = Some(ctx.clocks.wall),
                order => self.record.wanted.order(order),
            }
        }
        if ctx.channel > 0 {
            self.record.wanted.ended(Operation::Renew, NO_IDENTITY, ctx);
        }
        let pushed = wake.reasons.has(Reasons::PUSH);
        if pushed {
            self.record.tries = 0;
        }
        self.proceed(pushed, ctx)
    }

    /// Does what comes next at this stage.
    pub(super) fn proceed(&mut self, pushed: bool, ctx: &mut Ctx<'_>) -> Step {
        let record = &mut self.record;
        if let Some(until) = gone_until(record, ctx) {
            // The device had the push before it went: it follows it when it is back.
            record.next_at = if pushed { Some(until) } else { record.next_at };
            return self.rest(ctx);
        }
        record.offline_until = None;
        let now = ctx.clocks.wall;
        let due = |at: Option<Wall>| at.is_some_and(|at| at <= now);
        if record.wanted.has(Operation::Unenroll) {
            if !record.stage.is_over() {
                return leave::begin(self, ctx);
            }
            // It would end the next enrollment in the middle.
            self.record.wanted.ended(Operation::Unenroll, NOT_ENROLLED, ctx);
        }
        let record = &mut self.record;
        if record.wanted.has(Operation::Enroll) && (record.stage.is_over() || record.stage == Stage::Enrolled) {
            return enroll::begin(self, ctx);
        }
        match record.stage {
            Stage::Wiped if ctx.channel == 0 && due(record.next_at) => enroll::begin(self, ctx),
            Stage::Unenrolled | Stage::Removed | Stage::Wiped | Stage::Failed => {
                self.record.wanted.give_up(NOT_ENROLLED, ctx);
                self.rest(ctx)
            }
            // What failed waits for its time, for a push or for an order.
            Stage::HasIdentity | Stage::Authenticated | Stage::Registered
                if record.retrying && !pushed && !due(record.next_at) =>
            {
                self.rest(ctx)
            }
            Stage::Starting => enroll::start(self, ctx),
            Stage::HasIdentity => enroll::authenticate(self, ctx),
            Stage::Authenticated => enroll::register(self, ctx),
            Stage::Registered => enroll::token_update(self, ctx),
            Stage::Enrolled if record.wanted.has(Operation::Renew) || (ctx.channel == 0 && due(record.renew_at)) => {
                enroll::renew(self, ctx)
            }
            Stage::Enrolled if pushed || record.wanted.has(Operation::CheckIn) || due(record.next_at) => {
                session::begin(self, ctx)
            }
            Stage::Enrolled => self.rest(ctx),
        }
    }
}

/// What a lane with this record waits for while it is asleep; also after a restart.
pub(super) fn resting(record: &Record, ctx: &Ctx<'_>) -> Action {
    let (gone, state) = (gone_until(record, ctx), record.stage.state(record.renewing));
    let Record { wanted, sessions, next_at, .. } = *record;
    if let Some(over) = ctx.over(Over { state, wanted, sessions, again_at: next_at }, gone) {
        return over;
    }
    if let Some(until) = gone {
        return ctx.sleep(record.sessions, Some(until), Reasons::TIME);
    }
    let renew_at = record.renew_at.filter(|_| ctx.channel == 0);
    let until = match record.stage {
        // What was put to sleep in the middle of enrolling, or of an order, goes on by itself.
        Stage::Enrolled if record.wanted.is_empty() => [record.next_at, renew_at].into_iter().flatten().min(),
        _ => record.next_at.filter(|_| record.retrying).or(Some(ctx.clocks.wall)),
    };
    let until = until.into_iter().chain(ctx.lacks_from(Need::Power)).min();
    ctx.sleep(record.sessions, until, Reasons::TIME | Reasons::PUSH | Reasons::ORDER)
}

fn gone_until(record: &Record, ctx: &Ctx<'_>) -> Option<Wall> {
    ctx.gone_until(record.offline_until, Need::Power)
}

/// A user channel has the device's identity, and renews none.
const NO_IDENTITY: Outcome = Outcome::Failed { blame: droves_facts::Blame::Scenario, kind: "user_channel" };
const NOT_ENROLLED: Outcome = Outcome::Failed { blame: droves_facts::Blame::Scenario, kind: "not_enrolled" };
