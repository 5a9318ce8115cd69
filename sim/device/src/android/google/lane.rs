//! A lane between its exchanges: what it keeps, how it rests, what it does when it wakes.

use super::own::Own;
use super::record::{At, Record, Stage};
use super::shared::Shared;
use super::{Step, apps, enroll, leave, report, sync};
use crate::rest::Over;
use crate::{Action, Ctx, Need, Order, Reasons, Slept, Wake};
use droves_facts::{Blame, Dur, Operation, Outcome, Purpose, Wall, What as Fact};
use std::sync::Arc;

/// What a lane keeps while it sleeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub(super) record: Record,
    pub(super) shared: Arc<Shared>,
    pub(super) own: Own,
}

impl Lane {
    /// Of a lane that sleeps.
    pub(super) fn open(record: Record, shared: Arc<Shared>, own: Option<&[u8]>) -> Self {
        Lane { record, shared, own: Own::decode(own) }
    }

    /// Put to sleep.
    pub(super) fn fold(self) -> Slept<super::Google> {
        Slept { record: self.record, shared: self.shared, own: self.own.encode() }
    }

    /// Goes to another stage, and says so where it is another state of the device.
    pub(super) fn go(&mut self, stage: Stage, ctx: &mut Ctx<'_>) {
        let (from, to) = (self.record.stage.state(), stage.state());
        self.record.stage = stage;
        if from != to {
            ctx.fact(Fact::Device { from, to });
        }
    }

    /// Something failed: when it is tried again.
    pub(super) fn again_at(&mut self, ctx: &Ctx<'_>) -> At {
        let record = &mut self.record;
        record.tries = record.tries.saturating_add(1);
        record.retries = record.retries.wrapping_add(1);
        (ctx.clocks.wall + ctx.retry_delay(record.tries, u64::from(record.retries))).into()
    }

    /// Sleeps, or is over.
    pub(super) fn rest(&self, ctx: &Ctx<'_>) -> Step {
        Step::asleep(resting(&self.record, ctx))
    }

    /// What a sleeping lane does when it wakes.
    pub(super) fn wake(&mut self, wake: &Wake<'_>, ctx: &mut Ctx<'_>) -> Step {
        for note in wake.notes {
            match note.order {
                Order::Renew => ctx.ended(Operation::Renew, NO_IDENTITY),
                order => self.record.wanted.order(order),
            }
        }
        // A nudge says no more than that something is new.
        if wake.reasons.has(Reasons::PUSH) && self.is_enrolled() {
            self.record.tries = 0;
            self.record.ask_at = ctx.clocks.wall.into();
        }
        self.proceed(ctx)
    }

    fn is_enrolled(&self) -> bool {
        matches!(self.record.stage, Stage::Settling | Stage::Enrolled)
    }

    /// Does what comes next at this stage.
    pub(super) fn proceed(&mut self, ctx: &mut Ctx<'_>) -> Step {
        let now = ctx.clocks.wall;
        if away_until(&self.record, ctx).is_some() {
            return self.rest(ctx);
        }
        self.record.away_until = At::NEVER;
        if self.record.wanted.has(Operation::Unenroll) {
            if self.is_enrolled() {
                return leave::by_user(self, ctx);
            }
            if !self.record.stage.is_over() {
                return leave::end(self, Stage::Removed, ctx);
            }
            // It would end the next enrollment in the middle.
            self.record.wanted.ended(Operation::Unenroll, NOT_ENROLLED, ctx);
        }
        let stage = self.record.stage;
        if self.record.wanted.has(Operation::Enroll) && (stage.is_over() || stage == Stage::Enrolled) {
            return enroll::begin(self, ctx);
        }
        match stage {
            Stage::Wiped if self.record.ask_at.is_due(now) => enroll::begin(self, ctx),
            Stage::Unenrolled | Stage::Removed | Stage::Wiped | Stage::Failed => {
                self.record.wanted.give_up(NOT_ENROLLED, ctx);
                self.rest(ctx)
            }
            Stage::Provisioning if self.record.ask_at.is_due(now) => enroll::ask(self, ctx),
            Stage::Named if self.record.ask_at.is_due(now) => Step::save(ctx),
            Stage::Provisioning | Stage::Named => self.rest(ctx),
            Stage::Settling | Stage::Enrolled => self.next(ctx),
        }
    }

    /// Does what an enrolled device does next.
    fn next(&mut self, ctx: &mut Ctx<'_>) -> Step {
        let now = ctx.clocks.wall;
        apps::settle(self, ctx);
        if self.record.act_at.is_due(now) {
            self.record.act_at = At::NEVER;
            self.record.has_acted = true;
            report::soon(self, ctx);
        }
        if self.record.ask_at.is_due(now) || self.record.wanted.has(Operation::CheckIn) {
            return sync::begin(self, ctx);
        }
        if self.record.report_at.is_due(now) {
            return report::begin(self, ctx);
        }
        self.rest(ctx)
    }
}

/// Until when the device does nothing at all: it restarts by command, or its habits keep it from attending to Google. Google
/// nudges a device without urgency, so that one which dozes hears of it in the next window.
fn away_until(record: &Record, ctx: &Ctx<'_>) -> Option<Wall> {
    ctx.gone_until(record.away_until.get(), Need::Attention)
}

/// What a lane with this record waits for while it is asleep; also after a restart.
pub(super) fn resting(record: &Record, ctx: &Ctx<'_>) -> Action {
    let Record { stage, wanted, sessions, ask_at, report_at, install_at, act_at, .. } = *record;
    let away = away_until(record, ctx);
    if let Some(over) = ctx.over(Over { state: stage.state(), wanted, sessions, again_at: ask_at.get() }, away) {
        return over;
    }
    if let Some(until) = away {
        return ctx.sleep(record.sessions, Some(until), Reasons::TIME);
    }
    let own = [ask_at, report_at, install_at, act_at].into_iter().filter_map(At::get);
    let next = own.chain(ctx.lacks_from(Need::Attention)).min();
    ctx.sleep(record.sessions, next, Reasons::TIME | Reasons::PUSH | Reasons::ORDER)
}

/// Things that take their time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    /// From unpacking to Google: the agent is downloaded, the profile made.
    Provisioning,
    /// What a command asks for.
    Command,
    /// A restart.
    Restart,
    /// One application: its download, and its installing.
    Install,
    /// An application that the network has failed, until it is tried again.
    InstallAgain,
    /// From something to tell to the status report that tells it.
    Report,
    /// A user, until what is asked of users is done.
    User,
}

impl Takes {
    /// The shortest and the longest time.
    fn bounds(self) -> (Dur, Dur) {
        match self {
            Takes::Provisioning => (Dur::secs(180), Dur::secs(600)),
            Takes::Command => (Dur::secs(1), Dur::secs(10)),
            Takes::Restart => (Dur::secs(30), Dur::secs(120)),
            Takes::Install => (Dur::secs(10), Dur::secs(600)),
            Takes::InstallAgain => (Dur::secs(600), Dur::secs(3_600)),
            Takes::Report => (Dur::secs(60), Dur::secs(180)),
            Takes::User => (Dur::secs(60), Dur::secs(86_400)),
        }
    }

    /// How long it takes the `n`th time: each factor between the shortest and the longest time is as likely as another. The
    /// character's pace scales it.
    pub(super) fn time(self, n: u32, ctx: &Ctx<'_>) -> Dur {
        let pace = ctx.character.pace;
        if pace.is_nan() || pace <= 0.0 {
            return Dur::ZERO;
        }
        let (shortest, longest) = self.bounds();
        let factor = longest.as_secs_f64() / shortest.as_secs_f64();
        let drawn = ctx.lane_dice(Purpose::CommandDelay, (self as u64 + 1) << 32 | u64::from(n)).unit();
        shortest.scaled(factor.powf(drawn)).scaled(pace)
    }
}

pub(super) const NOT_ENROLLED: Outcome = Outcome::Failed { blame: Blame::Scenario, kind: "not_enrolled" };
/// Google's agent has no certificate that would have to be renewed.
const NO_IDENTITY: Outcome = Outcome::Failed { blame: Blame::Scenario, kind: "no_identity" };
