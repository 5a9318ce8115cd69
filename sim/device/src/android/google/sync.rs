//! What is new: the policy if it is another one, and the next command. A session goes on until Google has no more.

use super::lane::Lane;
use super::question::{self, is_gone, other};
use super::record::{At, Stage};
use super::{State, Step, commands, leave, policy, report};
use crate::trouble::Trouble;
use crate::{Ctx, Event};
use droves_facts::{Blame, Operation, Outcome};
use droves_wire::android::adp::{Answer, Ask, Order};

/// Google is asked what is new.
#[derive(Debug)]
pub(super) struct Syncing {
    /// Commands of this session so far.
    pub(super) commands: u32,
}

/// Asks for the first time in a session.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.record.sessions = lane.record.sessions.wrapping_add(1);
    ask(lane, 0, ctx)
}

/// Asks, after so many commands in this session.
pub(super) fn ask(lane: &Lane, commands: u32, ctx: &Ctx<'_>) -> Step {
    let ask = Ask::Sync { device: question::name(lane), applied: lane.record.applied };
    Step::to(State::Syncing(Syncing { commands }), question::ask(Operation::AndroidGoogleSync, &ask, ctx))
}

impl Syncing {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = Operation::AndroidGoogleSync;
        let (new, order, tells) = match question::answer(event, operation) {
            Ok(Answer::Sync { policy, order, tells }) => (policy, order, tells),
            Ok(answer) => return failed(lane, &other(&answer, operation), ctx),
            Err(trouble) => return failed(lane, &trouble, ctx),
        };
        lane.record.tries = 0;
        if tells {
            report::soon(lane, ctx);
        }
        if let Some(new) = new {
            policy::adopt(lane, &new, ctx);
        } else if lane.record.stage == Stage::Settling && lane.record.report_at == At::NEVER {
            // Nobody has made the policy that its token names: there is nothing to apply.
            report::soon(lane, ctx);
        }
        match order {
            Order::Nothing => {
                lane.record.ask_at = At::NEVER;
                lane.record.wanted.ended(Operation::CheckIn, Outcome::Succeeded, ctx);
                lane.proceed(ctx)
            }
            Order::Command { .. } if self.commands >= ctx.limits.session_commands_max => {
                let text = format!("Google has given {} commands in one session", self.commands);
                failed(lane, &Trouble::new(Blame::Generator, "commands_without_end", text), ctx)
            }
            Order::Command { operation, command } => commands::begin(lane, operation, &command, self.commands + 1, ctx),
            Order::Wipe => leave::begin(leave::erased(ctx), true, lane, ctx),
        }
    }
}

/// A session failed: another one follows after a while.
pub(super) fn failed(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    if is_gone(trouble) {
        return leave::end(lane, Stage::Removed, ctx);
    }
    trouble.complain(ctx);
    lane.record.wanted.ended(Operation::CheckIn, trouble.outcome(), ctx);
    lane.record.ask_at = lane.again_at(ctx);
    lane.rest(ctx)
}
