//! Firebase Cloud Messaging: a registration token for the agent's project, asked for once the device has enrolled and said to
//! the server in what it reports. An agent that is installed anew has another.

use super::lane::Lane;
use super::main::{self, Session};
use super::shared::agent;
use super::todo::Task;
use super::{State, Step};
use crate::trouble::{Trouble, unexpected};
use crate::{Ctx, Event};
use droves_facts::{Blame, Operation};
use droves_wire::android::fcm;
use std::sync::Arc;

/// Whether the device is to have a token, and has none.
pub(super) fn is_wanted(lane: &Lane, ctx: &Ctx<'_>) -> bool {
    is_used(ctx) && !has_token(lane, ctx)
}

/// Asks for one.
pub(super) fn register(lane: &mut Lane, session: Session, ctx: &mut Ctx<'_>) -> Step {
    lane.record.todo.take(Task::Register);
    let Some(project) = project(ctx) else { return main::proceed(lane, session, ctx) };
    let action = ctx.register(Operation::AndroidPushRegister, lane.record.generation, Arc::clone(project));
    Step::to(State::Registering(session), action)
}

/// What came of it. A token is on disk before the server hears of it; without one the schedule asks again.
pub(super) fn registered(lane: &mut Lane, session: Session, event: Event<'_>, ctx: &mut Ctx<'_>) -> Step {
    let trouble = match event {
        Event::Response(response) if (200..300).contains(&response.status) => {
            Arc::make_mut(&mut lane.shared).project = project(ctx).cloned();
            lane.record.todo.add(Task::Report);
            return Step::to(State::Saving(session), ctx.save());
        }
        Event::Response(response) => {
            Trouble::new(Blame::Generator, "push_register", format!("the push service said {}", response.status))
        }
        other => unexpected(&other, "a registration token"),
    };
    trouble.complain(ctx);
    main::proceed(lane, session, ctx)
}

/// The lane's token, if it has one.
pub(super) fn token(lane: &Lane, ctx: &Ctx<'_>) -> Option<String> {
    has_token(lane, ctx).then(|| fcm::token(&ctx.tokens.token(ctx.lane, lane.record.generation)))
}

/// Whether it has one for the project that its agent is of now.
fn has_token(lane: &Lane, ctx: &Ctx<'_>) -> bool {
    is_used(ctx) && lane.shared.project.as_ref() == project(ctx)
}

/// Whether the device's agent is woken by FCM.
pub(super) fn is_used(ctx: &Ctx<'_>) -> bool {
    project(ctx).is_some()
}

fn project<'a>(ctx: &Ctx<'a>) -> Option<&'a Arc<str>> {
    agent(ctx)?.fcm.as_ref()
}
