//! The command loop: `Idle` or an owed result, then command by command until the server has nothing more.
//!
//! Promises, after Apple's *Implementing the command loop*: a result is kept until a 2xx, and sent again byte for byte;
//! an empty 200 ends the session, an empty plist is a format error; a device comes back by itself only if `NotNow` was
//! the last that it said in the session, when what kept it is over.

use super::commands::{self, Command, Then};
use super::exchange::{Exchange, Heard, Taken, Trouble, Verdict};
use super::lane::Lane;
use super::own::Owed;
use super::record::Stage;
use super::{State, Step, declarative, enroll, leave, messages};
use crate::{Action, Ctx, Event, Reasons, What};
use bytes::Bytes;
use droves_facts::{Blame, CommandKey, CommandStatus, Dur, Operation, Outcome, What as Fact};

/// What a session remembers of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Session {
    /// Commands taken.
    commands: u32,
    /// What was answered last.
    last: Option<CommandStatus>,
}

/// `Idle` is under way.
#[derive(Debug)]
pub(super) struct Polling {
    exchange: Exchange,
    session: Session,
}

/// A command is being done.
#[derive(Debug)]
pub(super) struct Working {
    session: Session,
    command: Command,
    key: CommandKey,
    refused: bool,
}

/// A result is under way; the lane's own part holds it.
#[derive(Debug)]
pub(super) struct Reporting {
    exchange: Exchange,
    session: Session,
    then: Then,
}

/// A session begins: with the result that the server has not taken yet, else with `Idle`.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.record.sessions = lane.record.sessions.wrapping_add(1);
    lane.record.next_at = None;
    lane.record.retrying = false;
    commands::settle(lane, ctx);
    if let Some(owed) = lane.own.owed.take() {
        if !owed.is_whole() {
            // The server must not be told what the device never said. It has no answer yet, and will ask once more.
            let text = "a result that is owed is not what it was when it was written: it is dropped";
            return hang_up(lane, &Trouble::new(Blame::Generator, "owed_result", text), ctx);
        }
        return report(lane, owed, Session::default(), Then::Nothing, ctx);
    }
    let Some(settings) = lane.settings() else { return leave::lost(lane, ctx) };
    let body = messages::idle(ctx);
    let headers = messages::command_headers(ctx);
    let exchange = Exchange::put(Operation::AppleIdle, &settings.server_url, headers, body, settings.sign_message);
    let action = exchange.ask(ctx);
    Step::to(State::Polling(Polling { exchange, session: Session::default() }), action)
}

/// A result for a command that was done outside of a session: a renewal that the server asked for by `InstallProfile`.
pub(super) fn resume(lane: &mut Lane, owed: Owed, ctx: &mut Ctx<'_>) -> Step {
    ctx.fact(Fact::Answered { command: owed.command, status: owed.status });
    report(lane, owed, Session::default(), Then::Nothing, ctx)
}

impl Polling {
    pub(super) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => Step::to(State::Polling(self), action),
            Heard::Said(Verdict::Taken(taken)) => {
                lane.went_well();
                take(lane, taken, self.session, ctx)
            }
            Heard::Said(verdict) => broken(lane, verdict, ctx),
        }
    }
}

impl Working {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        if !matches!(event, Event::Wake(_)) {
            ctx.complain(
                Blame::Generator,
                "unexpected_event",
                "a device that works was brought something else than time",
            );
        }
        self.finish(lane, ctx)
    }

    /// The time that the command takes is over.
    fn finish(self, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let done = if self.refused {
            commands::not_now(&self.command, ctx)
        } else {
            commands::execute(&self.command, lane, ctx)
        };
        if let Then::Renew(profile) = done.then {
            return enroll::install(lane, self.command.uuid, &profile, ctx);
        }
        ctx.fact(Fact::Answered { command: self.key, status: done.status });
        let owed = Owed::new(self.key, done.status, done.body);
        report(lane, owed, self.session, done.then, ctx)
    }
}

impl Reporting {
    pub(super) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return Step::to(State::Reporting(self), action),
            Heard::Said(verdict) => verdict,
        };
        if let Verdict::Taken(_) = verdict {
            lane.went_well();
            if let Some(owed) = lane.own.owed.take() {
                ctx.fact(Fact::Accepted { command: owed.command, status: owed.status });
                self.session.last = Some(owed.status);
            }
        }
        // A device that is erased, leaves or restarts does so whether the server heard of it or not.
        match (self.then, verdict) {
            (Then::Erase, verdict) => {
                told(lane, verdict, ctx);
                leave::wiped(lane, ctx)
            }
            (Then::Leave, verdict) => {
                told(lane, verdict, ctx);
                leave::begin(lane, ctx)
            }
            (Then::Offline(time), verdict) => {
                if !matches!(verdict, Verdict::Taken(_)) {
                    lane.failed(ctx);
                }
                told(lane, verdict, ctx);
                lane.record.offline_until = Some(ctx.clocks.wall + time);
                lane.rest(ctx)
            }
            (_, Verdict::Taken(taken)) => take(lane, taken, self.session, ctx),
            (_, verdict) => broken(lane, verdict, ctx),
        }
    }
}

/// Takes what the server answered: the next command, or nothing more.
fn take(lane: &mut Lane, taken: Taken, mut session: Session, ctx: &mut Ctx<'_>) -> Step {
    if taken.body.is_empty() {
        return over(lane, session, ctx);
    }
    session.commands += 1;
    if session.commands > ctx.limits.session_commands_max {
        let text =
            format!("more than {} commands in one session: the device hangs up", ctx.limits.session_commands_max);
        return hang_up(lane, &Trouble::new(Blame::Server, "session_too_long", text), ctx);
    }
    lane.record.commands = lane.record.commands.wrapping_add(1);
    match Command::read(&taken.body, ctx.limits) {
        Ok(command) => {
            let key = CommandKey::of(command.uuid.as_bytes());
            ctx.fact(Fact::Delivered { command: key, named: true });
            let refused = commands::is_refused(&command, ctx);
            let delay = commands::delay(&command, refused, lane, ctx);
            let working = Working { session, command, key, refused };
            if delay == Dur::ZERO {
                return working.finish(lane, ctx);
            }
            let wait = Action { what: What::Wait, until: ctx.clocks.now + delay, hear: Reasons::TIME };
            Step::to(State::Working(Box::new(working)), wait)
        }
        Err(error) => {
            let uuid = error.uuid.unwrap_or_default();
            let key = CommandKey::of(uuid.as_bytes());
            ctx.fact(Fact::Delivered { command: key, named: !uuid.is_empty() });
            let what = format!("{} was answered with what is no command: {}", taken.content_type, error.text);
            ctx.complain(Blame::Server, "command_format", what);
            ctx.fact(Fact::Answered { command: key, status: CommandStatus::FormatError });
            // Twice in a row nothing will come of it: the server is asked again by the schedule.
            if session.last == Some(CommandStatus::FormatError) {
                let text = "two answers in a row that are no commands: the device hangs up";
                return hang_up(lane, &Trouble::new(Blame::Server, "command_format", text), ctx);
            }
            let body = messages::result(&uuid, CommandStatus::FormatError, ctx, messages::Place::Middle, |_| ());
            let owed = Owed::new(key, CommandStatus::FormatError, body);
            report(lane, owed, session, Then::Nothing, ctx)
        }
    }
}

/// Sends a result, which is owed from now on.
fn report(lane: &mut Lane, owed: Owed, session: Session, then: Then, ctx: &mut Ctx<'_>) -> Step {
    let Some(settings) = lane.settings() else { return leave::lost(lane, ctx) };
    let body = Bytes::clone(&owed.body);
    lane.own.owed = Some(owed);
    let headers = messages::command_headers(ctx);
    let exchange = Exchange::put(Operation::AppleCommand, &settings.server_url, headers, body, settings.sign_message);
    let action = exchange.ask(ctx);
    Step::to(State::Reporting(Reporting { exchange, session, then }), action)
}

/// The server has no more commands: what it wants of declarations comes now.
fn over(lane: &mut Lane, session: Session, ctx: &mut Ctx<'_>) -> Step {
    match declarative::begin(lane, session, ctx) {
        Some(step) => step,
        None => done(lane, session, ctx),
    }
}

/// The server has nothing more.
pub(super) fn done(lane: &mut Lane, session: Session, ctx: &mut Ctx<'_>) -> Step {
    if session.last == Some(CommandStatus::NotNow) {
        let soon = ctx.clocks.wall + Dur::secs(1);
        lane.record.next_at = Some(ctx.locked_until().map_or(soon, |end| end.max(soon)));
    }
    lane.record.wanted.ended(Operation::CheckIn, Outcome::Succeeded, ctx);
    lane.rest(ctx)
}

/// The session came to nothing: the device comes back by its schedule, or leaves.
pub(super) fn broken(lane: &mut Lane, verdict: Verdict, ctx: &mut Ctx<'_>) -> Step {
    match verdict {
        Verdict::Unenroll(trouble) => {
            trouble.complain(ctx);
            lane.record.wanted.ended(Operation::CheckIn, trouble.outcome(), ctx);
            leave::begin(lane, ctx)
        }
        Verdict::Refused(trouble) | Verdict::Broken(trouble) => hang_up(lane, &trouble, ctx),
        Verdict::Taken(_) => over(lane, Session::default(), ctx),
    }
}

pub(super) fn hang_up(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    lane.record.wanted.ended(Operation::CheckIn, trouble.outcome(), ctx);
    lane.failed(ctx);
    lane.rest(ctx)
}

/// The last that the server said to a device that goes away for a while, or for ever: the check-in is over.
fn told(lane: &mut Lane, verdict: Verdict, ctx: &mut Ctx<'_>) {
    let outcome = match verdict.taken() {
        Ok(_) => Outcome::Succeeded,
        Err(trouble) => {
            trouble.complain(ctx);
            trouble.outcome()
        }
    };
    if lane.record.stage == Stage::Enrolled {
        lane.record.wanted.ended(Operation::CheckIn, outcome, ctx);
    }
}
