//! A lane between its exchanges: what it keeps, how it rests, what it does when it wakes.

use super::own::Own;
use super::record::{At, Reason, Record, Stage};
use super::schedule;
use super::shared::{Account, Shared};
use super::tree::Tree;
use super::{Step, channel, enroll, install, leave, renewal, session};
use crate::rest::Over;
use crate::trouble::Trouble;
use crate::{Action, Ctx, Need, Reasons, Retry, Slept, Wake};
use droves_facts::{Blame, Operation, Outcome, Wall, What as Fact};
use std::sync::Arc;

/// What a lane keeps while it sleeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub(super) record: Record,
    pub(super) shared: Arc<Shared>,
    /// Without the tree's part, which is in `tree` while the lane is awake.
    pub(super) own: Own,
    pub(super) tree: Tree,
}

impl Lane {
    /// Of a lane that sleeps.
    pub(super) fn open(record: Record, shared: Arc<Shared>, own: Option<&[u8]>) -> Self {
        let mut own = Own::decode(own);
        let tree = Tree::open(&shared.base, std::mem::take(&mut own.overlay));
        Lane { record, shared, own, tree }
    }

    /// Put to sleep.
    pub(super) fn fold(self) -> Slept<super::Windows> {
        let Lane { record, mut shared, mut own, tree } = self;
        let (base, overlay) = tree.fold();
        if !Arc::ptr_eq(&base, &shared.base) {
            Arc::make_mut(&mut shared).base = base;
        }
        own.overlay = overlay;
        Slept { record, shared, own: own.encode() }
    }

    /// The server's account. Without it, which is a fault of ours, the lane can't speak to anyone.
    pub(super) fn account(&self) -> Option<Arc<Account>> {
        self.shared.account.clone()
    }

    /// Goes to another stage, and says so where it is another state of the device.
    pub(super) fn go(&mut self, stage: Stage, ctx: &mut Ctx<'_>) {
        let (from, to) = (self.record.stage.state(), stage.state());
        self.record.stage = stage;
        if from != to {
            ctx.fact(Fact::Device { from, to });
        }
    }

    /// A session failed: it is tried again as the account says, and after that when the schedule brings the next.
    pub(super) fn failed(&mut self, ctx: &Ctx<'_>) {
        let record = &mut self.record;
        record.tries = record.tries.saturating_add(1);
        record.retries = record.retries.wrapping_add(1);
        let account = self.shared.account.as_ref();
        let backoff =
            account.and_then(|account| account.backoff(record.tries)).map(|backoff| match ctx.character.retry {
                Retry::AsPlatform => backoff,
                _ => ctx.retry_delay(record.tries, u64::from(record.retries)),
            });
        record.retrying = backoff.is_some();
        record.next_at = backoff.map(|backoff| ctx.clocks.wall + backoff).into();
        if backoff.is_none() {
            record.tries = 0;
        }
    }

    /// Something of our own failed: it is tried again after a while.
    pub(super) fn put_off(&mut self, ctx: &Ctx<'_>) {
        let record = &mut self.record;
        record.tries = record.tries.saturating_add(1);
        record.retries = record.retries.wrapping_add(1);
        record.retrying = true;
        record.next_at = (ctx.clocks.wall + ctx.retry_delay(record.tries, u64::from(record.retries))).into();
    }

    /// Something went well: the next failure is the first of its row again.
    pub(super) fn went_well(&mut self) {
        self.record.tries = 0;
        self.record.retrying = false;
        self.record.next_at = At::NEVER;
    }

    /// A session follows at once.
    pub(super) fn connect_soon(&mut self, ctx: &Ctx<'_>) {
        self.record.next_at = ctx.clocks.wall.into();
    }

    /// Sleeps, or is over.
    pub(super) fn rest(&mut self, ctx: &Ctx<'_>) -> Step {
        if self.record.stage == Stage::Enrolled {
            self.record.chore_at = schedule::chore_at(self, ctx);
        }
        Step::asleep(resting(&self.record, ctx))
    }

    /// What a sleeping lane does when it wakes.
    pub(super) fn wake(&mut self, wake: &Wake<'_>, ctx: &mut Ctx<'_>) -> Step {
        for note in wake.notes {
            self.record.wanted.order(note.order);
        }
        let pushed = wake.reasons.has(Reasons::PUSH);
        if pushed {
            self.record.tries = 0;
            self.record.reason = Reason::Server;
        }
        self.proceed(pushed, ctx)
    }

    /// Does what comes next at this stage.
    pub(super) fn proceed(&mut self, pushed: bool, ctx: &mut Ctx<'_>) -> Step {
        let now = ctx.clocks.wall;
        if let Some(until) = gone_until(&self.record, ctx) {
            // The PC had the push before it went: it follows it when it is back.
            self.record.next_at = if pushed { until.into() } else { self.record.next_at };
            return self.rest(ctx);
        }
        self.record.offline_until = At::NEVER;
        if self.record.wanted.has(Operation::Unenroll) {
            if !self.record.stage.is_over() {
                return leave::begin(self, ctx);
            }
            // It would end the next enrollment in the middle.
            self.record.wanted.ended(Operation::Unenroll, NOT_ENROLLED, ctx);
        }
        let record = &self.record;
        if record.wanted.has(Operation::Enroll) && (record.stage.is_over() || record.stage == Stage::Enrolled) {
            return enroll::begin(self, ctx);
        }
        match record.stage {
            Stage::Wiped if record.next_at.is_due(now) => enroll::begin(self, ctx),
            Stage::Unenrolled | Stage::Removed | Stage::Wiped | Stage::Failed => {
                self.record.wanted.give_up(NOT_ENROLLED, ctx);
                self.rest(ctx)
            }
            // What the server has put off waits for its time.
            Stage::Starting if record.retrying && !record.next_at.is_due(now) => self.rest(ctx),
            Stage::Starting => enroll::start(self, ctx),
            Stage::HasIdentity if record.retrying && !record.next_at.is_due(now) => self.rest(ctx),
            Stage::HasIdentity if record.retrying => {
                self.record.retrying = false;
                Step::save(ctx)
            }
            Stage::HasIdentity => enroll::done(self, ctx),
            Stage::Leaving => leave::begin(self, ctx),
            Stage::Enrolled => self.next(pushed, ctx),
        }
    }

    /// Does what an enrolled device does next.
    fn next(&mut self, pushed: bool, ctx: &mut Ctx<'_>) -> Step {
        let now = ctx.clocks.wall;
        let record = &self.record;
        let chore = record.chore_at.is_due(now);
        if chore && schedule::has_lost_contact(self, ctx) {
            let text = "the device has not reached its server for as long as it was told, and leaves";
            Trouble::new(Blame::Server, "lost_contact", text).complain(ctx);
            return leave::end(self, Stage::Removed, ctx);
        }
        if record.wanted.has(Operation::Renew) || record.renewal_wanted || record.renew_at.is_due(now) {
            return renewal::begin(self, ctx);
        }
        if install::is_due(self, now) {
            return install::begin(self, ctx);
        }
        if channel::is_due(self, now) {
            return channel::register(self, ctx);
        }
        let due = record.next_at.is_due(now) || record.poll_at.is_due(now) || chore;
        if pushed || due || record.wanted.has(Operation::CheckIn) {
            return session::begin(self, ctx);
        }
        self.rest(ctx)
    }
}

/// What a lane with this record waits for while it is asleep; also after a restart.
pub(super) fn resting(record: &Record, ctx: &Ctx<'_>) -> Action {
    let Record { stage, wanted, sessions, next_at, poll_at, chore_at, renew_at, .. } = *record;
    let gone = gone_until(record, ctx);
    if let Some(over) = ctx.over(Over { state: stage.state(), wanted, sessions, again_at: next_at.get() }, gone) {
        return over;
    }
    if let Some(until) = gone {
        return ctx.sleep(record.sessions, Some(until), Reasons::TIME);
    }
    let until = match record.stage {
        Stage::Enrolled if record.wanted.is_empty() => {
            [next_at, poll_at, chore_at, renew_at].into_iter().filter_map(At::get).min()
        }
        // What was put to sleep in the middle of enrolling, or of an order, goes on by itself.
        _ if record.retrying => next_at.get(),
        _ => Some(ctx.clocks.wall),
    };
    let until = until.into_iter().chain(ctx.lacks_from(Need::Power)).min();
    ctx.sleep(record.sessions, until, Reasons::TIME | Reasons::PUSH | Reasons::ORDER)
}

fn gone_until(record: &Record, ctx: &Ctx<'_>) -> Option<Wall> {
    ctx.gone_until(record.offline_until.get(), Need::Power)
}

const NOT_ENROLLED: Outcome = Outcome::Failed { blame: Blame::Scenario, kind: "not_enrolled" };
