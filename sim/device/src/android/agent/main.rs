//! The main lane: enrolls, gets the configuration, reports, and whatever else a device asks or says by HTTP.
//!
//! What is to be done is a set in the record; one thing of it is asked for at a time, and what is put to sleep in the
//! middle of it asks again.

use super::dialect::{Answer, Base, Heard, Told, Who, Wish, is_lost};
use super::goods::Loss;
use super::lane::Lane;
use super::record::{Record, Stage};
use super::shared::{Push, Way};
use super::stages::{NOT_ENROLLED, end, forget, go, leave, restart};
use super::todo::Task;
use super::{State, Step, fcm};
use crate::at::At;
use crate::trouble::{Trouble, unexpected};
use crate::{Action, Ctx, Event, Need, Order, Reasons, Retry, Sink, Wake, What};
use droves_facts::{Blame, CommandStatus, Dur, Operation, Outcome, Purpose, Wall, What as Fact};
use std::sync::Arc;

/// A question that is under way.
#[derive(Debug)]
pub(super) struct Asking {
    about: About,
    operation: Operation,
    base: Base,
    session: Session,
}

/// What it is about.
#[derive(Debug)]
enum About {
    /// The first configuration.
    Enroll,
    /// Whether the server that the device is sent to answers it.
    Move(Arc<str>),
    /// Something of what is to be done.
    Task(Task),
}

/// What a session remembers of itself.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Where the server wants the device to go.
    to: Option<Arc<str>>,
    /// It went, or tried: two servers that send a device to each other are asked once each.
    moved: bool,
    /// An urgent message has woken it out of a doze, until then.
    awake_until: Option<Wall>,
}

impl Session {
    /// What the device needs to go on.
    fn need(&self, ctx: &Ctx<'_>) -> Need {
        let is_awake = self.awake_until.is_some_and(|until| until > ctx.clocks.wall);
        if is_awake { Need::UrgentPush } else { Need::Attention }
    }
}

/// What a sleeping lane does when it wakes.
pub(super) fn wake(lane: &mut Lane, wake: &Wake<'_>, ctx: &mut Ctx<'_>) -> Step {
    let was_off = lane.record.offline_until.is_due(ctx.clocks.wall);
    for note in wake.notes {
        match note.order {
            Order::Enroll => lane.record.wanted.add(Operation::Enroll),
            Order::Unenroll => lane.record.wanted.add(Operation::Unenroll),
            Order::CheckIn => {
                lane.record.wanted.add(Operation::CheckIn);
                lane.record.todo.extend(&[Task::Config, Task::Report]);
                lane.record.next_at = At::NEVER;
            }
            Order::Renew => ctx.ended(Operation::Renew, NO_IDENTITY),
            Order::Fetched(number) => fetched(lane, number),
            Order::Pushed(number) => match Wish::of(number) {
                Wish::Config => {
                    lane.record.todo.add(Task::Config);
                    (lane.record.tries, lane.record.next_at) = (0, At::NEVER);
                }
                Wish::Reboot => restart(lane, ctx),
                Wish::ExitKiosk if lane.shared.held.kiosk => {
                    Arc::make_mut(&mut Arc::make_mut(&mut lane.shared).held).kiosk = false;
                }
                Wish::Lose(loss) => lose(lane, loss),
                Wish::ExitKiosk | Wish::Quiet => {}
            },
            Order::MainEnded | Order::IdentityRenewed | Order::Shared => {}
        }
    }
    if wake.notes.iter().any(|note| matches!(note.order, Order::Fetched(_))) {
        ctx.order(TRANSFER, Order::Shared);
    }
    if wake.reasons.has(Reasons::PUSH) && fcm::is_used(ctx) {
        // Whatever the message says, what there is to do is in the configuration. One over the link may have been heard with it,
        // or alone: the wake is the same.
        lane.record.todo.add(Task::Config);
        (lane.record.tries, lane.record.next_at) = (0, At::NEVER);
    }
    if was_off {
        // The agent starts with the device, and asks at each start.
        lane.record.offline_until = At::NEVER;
        lane.record.todo.add(Task::Config);
    }
    lane.record.sessions = lane.record.sessions.wrapping_add(1);
    let awake_until = wake.reasons.has(Reasons::URGENT).then(|| ctx.clocks.wall + URGENT_LASTS);
    proceed(lane, Session { awake_until, ..Session::default() }, ctx)
}

/// The transfer has fetched something, so that it is there. After the last the device becomes what it is to be.
fn fetched(lane: &mut Lane, number: u32) {
    let shared = &lane.shared;
    let Some(good) = shared.wanted().find(|good| shared.number(good) == number) else { return };
    let held = Arc::new(shared.held.with(good));
    let shared = Arc::make_mut(&mut lane.shared);
    shared.held = held;
    if shared.way != Way::There && shared.wanted().next().is_none() {
        lane.record.todo.add(Task::Apply);
    }
}

/// An app or files are taken away. It shows with the next report, and the next configuration makes up for it.
fn lose(lane: &mut Lane, loss: Loss) {
    let Some(held) = lane.shared.held.without(loss) else { return };
    let shared = Arc::make_mut(&mut lane.shared);
    shared.held = Arc::new(held);
    if shared.way != Way::There && shared.wanted().next().is_some() {
        // What is being fetched may be more by now.
        lane.record.todo.take(Task::Apply);
        lane.record.todo.add(Task::Tell);
    }
}

/// When the schedule wants the next report: as Android does work that is periodic, somewhere in the first part of each period.
/// What is reported beside it moves nothing.
pub(super) fn tick(record: &Record, ctx: &Ctx<'_>) -> Option<Wall> {
    let begins = record.period_at.get()?;
    let mut dice = ctx.device_dice(Purpose::Behaviour, TICKS | begins.secs().unsigned_abs());
    Some(begins + FLEX.scaled(dice.unit()))
}

/// What the schedule asks for by now: a report each quarter of an hour, with it the configuration if it is an hour old, and
/// details.
fn schedule(lane: &mut Lane, ctx: &Ctx<'_>) {
    let (now, has_no_token) = (ctx.clocks.wall, fcm::is_wanted(lane, ctx));
    let is_due = tick(&lane.record, ctx).is_some_and(|at| at <= now);
    let record = &mut lane.record;
    if let Some(begins) = record.period_at.get().filter(|_| is_due) {
        // What was missed is made up for once.
        record.period_at = (begins + TICK.times(now.since(begins).0 / TICK.0 + 1)).into();
        record.todo.add(Task::Report);
        if has_no_token {
            record.todo.add(Task::Register);
        }
        if record.config_at.get().is_none_or(|at| at + CONFIG_AGE_MAX <= now) {
            record.todo.add(Task::Config);
        }
    }
    if record.detail_at.is_due(now) {
        record.detail_at = (now + Dur::secs(60).times(record.detail_mins.max(1).into())).into();
        record.todo.add(Task::Details);
    }
}

/// Does what comes next.
pub(super) fn proceed(lane: &mut Lane, session: Session, ctx: &mut Ctx<'_>) -> Step {
    let now = ctx.clocks.wall;
    if lane.record.stage == Stage::Enrolled
        && let Some(until) = ctx.lacks_until(Need::Power)
    {
        lane.record.offline_until = lane.record.offline_until.get().into_iter().chain([until]).max().into();
    }
    if lane.kept_until(session.need(ctx), ctx).is_some() {
        return lane.rest(ctx);
    }
    if lane.record.wanted.has(Operation::Unenroll) {
        return leave(lane, ctx);
    }
    let is_put_off = lane.record.next_at.get().is_some_and(|at| at > now);
    match lane.record.stage {
        stage if lane.record.wanted.has(Operation::Enroll) && stage != Stage::Enrolling => begin(lane, ctx),
        Stage::Wiped if lane.record.next_at.is_due(now) => begin(lane, ctx),
        Stage::Enrolling if is_put_off => lane.rest(ctx),
        Stage::Enrolling => ask(lane, About::Enroll, session, ctx),
        Stage::Enrolled if is_put_off => lane.rest(ctx),
        Stage::Enrolled => {
            lane.record.next_at = At::NEVER;
            schedule(lane, ctx);
            next(lane, session, ctx)
        }
        Stage::Unenrolled | Stage::Removed | Stage::Wiped | Stage::Failed => {
            lane.record.wanted.give_up(NOT_ENROLLED, ctx);
            lane.rest(ctx)
        }
    }
}

/// Does what an enrolled device does next.
fn next(lane: &mut Lane, mut session: Session, ctx: &mut Ctx<'_>) -> Step {
    if let Some(to) = session.to.take() {
        return ask(lane, About::Move(to), session, ctx);
    }
    match lane.record.todo.first() {
        None => lane.rest(ctx),
        Some(Task::TellEnrolled) => tell(lane, Order::Enroll, session, ctx),
        Some(Task::Tell) => tell(lane, Order::Shared, session, ctx),
        Some(Task::Register) => fcm::register(lane, session, ctx),
        Some(Task::Apply) => {
            let delay = ctx.command_delay(APPLYING, lane.record.configs.into());
            if delay == Dur::ZERO {
                return applied(lane, session, ctx);
            }
            let until = ctx.clocks.now + delay;
            Step::to(State::Applying(session), Action { what: What::Wait, until, hear: Reasons::NONE })
        }
        Some(task) => ask(lane, About::Task(task), session, ctx),
    }
}

/// The sister lanes are told what the disk has by now.
fn tell(lane: &mut Lane, order: Order, session: Session, ctx: &mut Ctx<'_>) -> Step {
    lane.record.todo.take(Task::TellEnrolled);
    lane.record.todo.take(Task::Tell);
    ctx.order(LINK, order);
    ctx.order(TRANSFER, order);
    proceed(lane, session, ctx)
}

/// An enrollment begins, from nothing.
fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.record.generation += 1;
    forget(lane);
    go(lane, Stage::Enrolling, ctx);
    ask(lane, About::Enroll, Session::default(), ctx)
}

fn ask(lane: &mut Lane, about: About, session: Session, ctx: &mut Ctx<'_>) -> Step {
    ask_by(Base::First, lane, about, session, ctx)
}

fn ask_by(base: Base, lane: &mut Lane, about: About, session: Session, ctx: &mut Ctx<'_>) -> Step {
    let shared = Arc::clone(&lane.shared);
    let Some(mut who) = Who::of(&shared, ctx).map(|who| who.by(base)) else {
        return failed(
            lane,
            &about,
            &Trouble::new(Blame::Generator, "no_agent", "the device has no agent"),
            session,
            ctx,
        );
    };
    who.push_token = fcm::token(lane, ctx);
    let question = match &about {
        About::Enroll => Some(who.speech.enroll(&who)),
        About::Move(to) => {
            who.url = to;
            Some(who.speech.config(&who))
        }
        About::Task(Task::Config) => Some(who.speech.config(&who)),
        About::Task(task) => who.speech.tell(*task, &who, &shared.held),
    };
    let Some(question) = question else {
        if let About::Task(task) = about {
            lane.record.todo.take(task);
        }
        return proceed(lane, session, ctx);
    };
    let operation = question.operation;
    match question.ask(Sink::Keep(ctx.limits.body_bytes_max), ctx.limits.request_wait_max, Reasons::NONE, ctx) {
        Ok(action) => Step::to(State::Asking(Box::new(Asking { about, operation, base, session })), action),
        Err(trouble) => failed(lane, &about, &trouble, session, ctx),
    }
}

impl Asking {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Asking { about, operation, base, mut session } = self;
        // A server to move to has one base only.
        if is_lost(&event, base) && !matches!(about, About::Move(_)) {
            unexpected(&event, &format!("{operation}: an answer")).complain(ctx);
            return ask_by(Base::Second, lane, about, session, ctx);
        }
        let shared = Arc::clone(&lane.shared);
        let answer = Answer::of(event, operation).and_then(|answer| answer.good(operation));
        let Some(who) = Who::of(&shared, ctx) else { return lane.rest(ctx) };
        let come = match &about {
            About::Task(task) if *task != Task::Config => answer
                .and_then(|answer| who.speech.heard(*task, &answer.body))
                .map(|heard| done(lane, *task, heard, ctx)),
            _ => answer.and_then(|answer| who.speech.told(&who, &answer)).map(|told| {
                if let About::Move(to) = &about {
                    Arc::make_mut(&mut lane.shared).url = Some(Arc::clone(to));
                }
                configured(lane, told, &mut session, ctx);
            }),
        };
        match (come, about) {
            (Err(trouble), about) => failed(lane, &about, &trouble, session, ctx),
            (Ok(()), About::Task(Task::ConfirmReset)) => end(lane, Stage::Wiped, ctx),
            (Ok(()), about) if matches!(about, About::Enroll) || lane.shared != shared => {
                Step::to(State::Saving(session), ctx.save())
            }
            (Ok(()), _) => proceed(lane, session, ctx),
        }
    }
}

/// A configuration has come.
fn configured(lane: &mut Lane, told: Told, session: &mut Session, ctx: &mut Ctx<'_>) {
    let Told { config, number, url, tasks } = told;
    let before = Arc::clone(&lane.shared);
    lane.record.todo.take(Task::Config);
    (lane.record.tries, lane.record.next_at) = (0, At::NEVER);
    lane.record.config_at = ctx.clocks.wall.into();
    lane.record.todo.extend(&tasks);
    if let Some(who) = Who::of(&before, ctx) {
        lane.record.todo.extend(who.speech.chores());
        session.to = url.filter(|url| !session.moved && **url != *who.url);
        session.moved |= session.to.is_some();
    }
    if number.is_some() && number != before.number {
        Arc::make_mut(&mut lane.shared).number = number;
    }
    if config.digest != before.config.digest {
        ctx.fact(Fact::Configured { command: config.key() });
        lane.record.configs = lane.record.configs.wrapping_add(1);
        let shared = Arc::make_mut(&mut lane.shared);
        (shared.config, shared.way) = (Arc::new(config), Way::Becoming);
        // What had to be fetched for the one before counts no more.
        lane.record.todo.take(Task::Apply);
        lane.record.todo.take(Task::ReportApplied);
        if lane.shared.wanted().next().is_none() {
            lane.record.todo.add(Task::Apply);
        }
    } else {
        lane.record.todo.add(Task::Report);
        if lane.shared.wanted().next().is_some() {
            lane.record.todo.add(Task::Tell);
            if lane.shared.way == Way::There {
                Arc::make_mut(&mut lane.shared).way = Way::Restoring;
            }
        } else if lane.shared.config.over(&lane.shared.held) != *lane.shared.held {
            lane.record.todo.add(Task::Apply);
        }
    }
    if fcm::is_wanted(lane, ctx) {
        lane.record.todo.add(Task::Register);
    }
    if lane.record.stage == Stage::Enrolling {
        go(lane, Stage::Enrolled, ctx);
        lane.record.period_at = (ctx.clocks.wall + TICK).into();
        lane.record.todo.add(Task::TellEnrolled);
    } else if lane.shared != before || matches!(lane.shared.config.push, Push::Mqtt(_)) {
        // Also if nothing has changed: an MQTT link that is down is opened with each configuration.
        lane.record.todo.add(Task::Tell);
    }
}

/// All that the configuration wants is there.
pub(super) fn applied(lane: &mut Lane, session: Session, ctx: &mut Ctx<'_>) -> Step {
    lane.record.todo.take(Task::Apply);
    let shared = Arc::make_mut(&mut lane.shared);
    let held = shared.config.over(&shared.held);
    // Most devices are what they are to be and no more: that is kept once.
    shared.held = if held == *shared.config { Arc::clone(&shared.config) } else { Arc::new(held) };
    if std::mem::take(&mut shared.way) == Way::Becoming {
        ctx.fact(Fact::Answered { command: shared.config.key(), status: CommandStatus::Acknowledged });
        lane.record.todo.add(Task::ReportApplied);
    } else {
        lane.record.todo.add(Task::Report);
    }
    proceed(lane, session, ctx)
}

/// The server has taken something.
fn done(lane: &mut Lane, task: Task, heard: Heard, ctx: &mut Ctx<'_>) {
    lane.record.todo.take(task);
    match heard {
        Heard::Taken => {}
        Heard::Do(task) => lane.record.todo.add(task),
        Heard::Details(mins) => {
            lane.record.detail_mins = mins.unwrap_or_default();
            // Those that are due already stay so.
            let next = mins.map(|mins| ctx.clocks.wall + Dur::secs(60).times(mins.into()));
            lane.record.detail_at = next.map(|next| lane.record.detail_at.get().map_or(next, |at| at.min(next))).into();
        }
    }
    match task {
        Task::ReportApplied => {
            lane.record.todo.take(Task::Report);
            let command = lane.shared.held.key();
            ctx.fact(Fact::Accepted { command, status: CommandStatus::Acknowledged });
            reported(lane, ctx);
        }
        Task::Report => reported(lane, ctx),
        Task::ConfirmReboot => restart(lane, ctx),
        _ => {}
    }
}

fn reported(lane: &mut Lane, ctx: &mut Ctx<'_>) {
    lane.record.wanted.ended(Operation::CheckIn, Outcome::Succeeded, ctx);
}

/// Something came to nothing.
fn failed(lane: &mut Lane, about: &About, trouble: &Trouble, session: Session, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    match about {
        About::Enroll => {
            if is_final(trouble) || lane.record.tries + 1 >= ctx.limits.enrollment_tries_max {
                lane.record.wanted.ended(Operation::Enroll, trouble.outcome(), ctx);
                return end(lane, Stage::Failed, ctx);
            }
            let after = ctx.retry_delay(lane.record.tries + 1, u64::from(lane.record.retries) + 1);
            lane.put_off(after, ctx);
            lane.rest(ctx)
        }
        // The device stays where it is, and goes on.
        About::Move(_) => proceed(lane, session, ctx),
        About::Task(Task::Config) => {
            let again = lane.record.tries == 0;
            let after = match ctx.character.retry {
                Retry::AsPlatform => CONFIG_AGAIN,
                _ => ctx.retry_delay(1, u64::from(lane.record.retries) + 1),
            };
            if again {
                lane.put_off(after, ctx);
                return lane.rest(ctx);
            }
            lane.record.tries = 0;
            lane.record.todo.take(Task::Config);
            give_up_check_in(lane, trouble, ctx);
            lane.rest_until_tick(ctx)
        }
        About::Task(task @ (Task::Report | Task::ReportApplied)) => {
            // What was not taken is said again by the schedule.
            lane.record.todo.take(Task::Report);
            give_up_check_in(lane, trouble, ctx);
            if *task == Task::Report { lane.rest(ctx) } else { lane.rest_until_tick(ctx) }
        }
        About::Task(task) => {
            lane.record.todo.take(*task);
            proceed(lane, session, ctx)
        }
    }
}

impl Lane {
    /// What is left to do waits for the schedule.
    fn rest_until_tick(&mut self, ctx: &Ctx<'_>) -> Step {
        if self.record.todo.first().is_some() {
            let tick = tick(&self.record, ctx).filter(|at| *at > ctx.clocks.wall);
            self.record.next_at = tick.unwrap_or(ctx.clocks.wall + TICK).into();
        }
        self.rest(ctx)
    }
}

fn give_up_check_in(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) {
    lane.record.wanted.ended(Operation::CheckIn, trouble.outcome(), ctx);
}

/// Whether no second try of an enrollment would be another.
fn is_final(trouble: &Trouble) -> bool {
    matches!(trouble.kind, "unknown_device" | "permission_denied" | "duplicate_device" | "url")
}

/// What was to be kept is on the disk.
pub(super) fn saved(lane: &mut Lane, session: Session, ctx: &mut Ctx<'_>) -> Step {
    lane.record.wanted.ended(Operation::Enroll, Outcome::Succeeded, ctx);
    proceed(lane, session, ctx)
}

/// The channel of the main lane.
pub(super) const MAIN: u8 = 0;
/// The channel of the link.
pub(super) const LINK: u8 = 1;
/// The channel of what is fetched.
pub(super) const TRANSFER: u8 = 2;
/// The period of reports: the least one of work in the background, and how late in it the work is done at most.
const TICK: Dur = Dur::secs(15 * 60);
const FLEX: Dur = Dur::secs(5 * 60);
/// Place in the numbering of what a device draws for its behaviour.
const TICKS: u64 = 1 << 60;
/// A configuration that is older is asked for with the report.
const CONFIG_AGE_MAX: Dur = Dur::secs(3_600);
/// A configuration that could not be had is asked for once more: Wi-Fi may not yet be there.
const CONFIG_AGAIN: Dur = Dur::secs(15);
/// How long an urgent message keeps a device awake that dozes (developer.android.com, *Optimize for Doze and App Standby*).
const URGENT_LASTS: Dur = Dur::secs(10);
/// How long it takes to apply one, median and 95th percentile. Ours.
const APPLYING: (Dur, Dur) = (Dur::secs(2), Dur::secs(15));

const NO_IDENTITY: Outcome = Outcome::Failed { blame: Blame::Scenario, kind: "no_identity" };
