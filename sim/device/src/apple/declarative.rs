//! Declarative management: the sync of a channel's declarations, which follows the command loop on the same connection.
//!
//! A `DeclarativeManagement` command wants it; then, by check-in messages: `tokens` (unless the command said the token),
//! `declaration-items` if the token is another one, every new or changed declaration, the removal of what is not listed
//! any more, and a status report. What a device has of declarations is in the shared part, the token in its own.
//!
//! Not modelled: the daily report by itself, assets' data, predicates, and what status subscriptions would bring.

use super::exchange::{Exchange, Heard, Taken, Trouble, Verdict};
use super::lane::Lane;
use super::session::{self, Session};
use super::{State, Step, leave, messages};
use crate::{Ctx, Event};
use droves_facts::{Blame, Operation};
use droves_wire::apple::declarative::{self, Declaration, Item, Items};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a channel knows of its declarations' state.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Declarative {
    /// The token of what it has; none before the first sync.
    pub(super) token: Option<Box<str>>,
    /// A sync is to come, or was broken off.
    pub(super) wanted: Option<Wanted>,
}

/// A sync that is to come.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The token that the command said.
    pub(super) token: Option<Box<str>>,
    /// Syncs that failed in a row: the lane's own count begins again with each `Idle` that is answered.
    tries: u8,
}

/// A sync under way.
#[derive(Debug)]
pub(super) struct Syncing {
    exchange: Exchange,
    asked: Asked,
    rounds: u8,
    /// The command loop before it.
    session: Session,
}

/// What was asked.
#[derive(Debug)]
enum Asked {
    Tokens,
    /// The token that the server said before.
    Items(String),
    Declaration(Fetch),
    /// The token of the items that the report is about, and the one before them.
    Status(String, String),
}

/// Declarations on their way in.
#[derive(Debug)]
struct Fetch {
    announced: String,
    items: Items,
    /// Places in the items of what is still to be fetched, the last one first; the last is under way.
    missing: Vec<usize>,
    fetched: Vec<Declaration>,
}

/// The command: a sync follows the loop.
pub(super) fn command(data: Option<&[u8]>, lane: &mut Lane) {
    // Without a token, or with one that can't be read, the server is asked for it.
    let token = data.and_then(|data| declarative::token(data).ok()).map(Into::into);
    lane.own.declarative.get_or_insert_default().wanted = Some(Wanted { token, tries: 0 });
}

/// The command loop is over: the sync begins, if one is wanted.
pub(super) fn begin(lane: &mut Lane, session: Session, ctx: &mut Ctx<'_>) -> Option<Step> {
    let wanted = lane.own.declarative.as_ref()?.wanted.clone()?;
    Some(match wanted.token {
        None => ask(Asked::Tokens, 0, session, lane, ctx),
        Some(token) => announced(token.into(), 0, session, lane, ctx),
    })
}

/// The server said its token.
fn announced(token: String, rounds: u8, session: Session, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let is_same = |state: &Declarative| state.token.as_deref() == Some(&*token);
    if lane.own.declarative.as_ref().is_some_and(is_same) {
        return settled(lane, session, ctx);
    }
    ask(Asked::Items(token), rounds, session, lane, ctx)
}

/// Asks, or reports.
fn ask(asked: Asked, rounds: u8, session: Session, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let Some(settings) = lane.settings() else { return leave::lost(lane, ctx) };
    let (operation, endpoint, data) = match &asked {
        Asked::Tokens => (Operation::AppleTokens, "tokens".to_owned(), None),
        Asked::Items(_) => (Operation::AppleItems, "declaration-items".to_owned(), None),
        Asked::Declaration(fetch) => (Operation::AppleDeclaration, fetch.endpoint(), None),
        Asked::Status(..) => {
            let is_first = lane.own.declarative.as_ref().is_none_or(|state| state.token.is_none());
            let declarations: Vec<&Declaration> = lane.shared.declarations.iter().map(|d| &**d).collect();
            let report = declarative::status_report(&declarations, is_first);
            (Operation::AppleStatus, "status".to_owned(), Some(report))
        }
    };
    let body = messages::declarative(&endpoint, data.as_deref(), ctx);
    let headers = messages::check_in_headers(ctx);
    let exchange = Exchange::put(operation, &settings.check_in_url, headers, body, settings.sign_message);
    let action = exchange.ask(ctx);
    Step::to(State::Syncing(Box::new(Syncing { exchange, asked, rounds, session })), action)
}

/// The channel has what the server has.
fn settled(lane: &mut Lane, session: Session, ctx: &mut Ctx<'_>) -> Step {
    if let Some(state) = &mut lane.own.declarative {
        state.wanted = None;
    }
    session::done(lane, session, ctx)
}

/// A sync failed: the next one waits as long as after so many failures.
fn count_failure(lane: &mut Lane) {
    if let Some(wanted) = lane.own.declarative.as_mut().and_then(|state| state.wanted.as_mut()) {
        lane.record.tries = wanted.tries;
        wanted.tries = wanted.tries.saturating_add(1);
    }
}

impl Syncing {
    pub(super) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let verdict = match self.exchange.hear(event, ctx) {
            Heard::Moved(action) => return Step::to(State::Syncing(Box::new(self)), action),
            Heard::Said(verdict) => verdict,
        };
        let taken = match verdict {
            Verdict::Taken(taken) => taken,
            // A declaration that is gone meanwhile is none that the device has.
            Verdict::Refused(trouble)
                if trouble.kind == "status_404" && matches!(self.asked, Asked::Declaration(_)) =>
            {
                return self.next(None, lane, ctx);
            }
            verdict => {
                count_failure(lane);
                return session::broken(lane, verdict, ctx);
            }
        };
        match self.take(&taken, lane, ctx) {
            Ok(step) => step,
            Err(text) => {
                count_failure(lane);
                session::hang_up(lane, &Trouble::new(Blame::Server, "declarative", text), ctx)
            }
        }
    }

    /// A good answer.
    fn take(self, taken: &Taken, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Result<Step, String> {
        let Syncing { rounds, session, .. } = self;
        match self.asked {
            Asked::Tokens => {
                let token = declarative::token(&taken.body).map_err(|error| error.to_string())?;
                Ok(announced(token, rounds, session, lane, ctx))
            }
            Asked::Items(announced) => {
                let items = Items::read(&taken.body, ctx.limits).map_err(|error| error.to_string())?;
                let mut fetch = Fetch { announced, items, missing: Vec::new(), fetched: Vec::new() };
                let is_new = |item: &Item| !lane.shared.declarations.iter().any(|has| is(has, item));
                fetch.missing = (0..fetch.items.items.len()).filter(|&at| is_new(&fetch.items.items[at])).collect();
                fetch.missing.reverse();
                Ok(fetch.go_on(rounds, session, lane, ctx))
            }
            Asked::Declaration(ref fetch) => {
                let Some(item) = fetch.under_way() else { return Err("nothing was asked for".to_owned()) };
                let declaration = Declaration::read(item.kind, &taken.body, ctx.limits);
                let declaration = declaration.map_err(|error| format!("{}: {error}", item.identifier))?;
                if *declaration.identifier != item.identifier {
                    return Err(format!("{} was asked for, {} came", item.identifier, declaration.identifier));
                }
                Ok(self.next(Some(declaration), lane, ctx))
            }
            Asked::Status(token, announced) => {
                let is_steady = token == announced;
                if let Some(state) = &mut lane.own.declarative {
                    state.token = Some(token.into());
                }
                if is_steady {
                    return Ok(settled(lane, session, ctx));
                }
                // What was synced is not what was announced: the server is asked once more.
                if rounds + 1 >= ctx.limits.declarative_rounds_max {
                    let text = format!("its declarations' token is another one after each of {} syncs", rounds + 1);
                    ctx.complain(Blame::Server, "declarative_unsettled", text);
                    return Ok(settled(lane, session, ctx));
                }
                Ok(ask(Asked::Tokens, rounds + 1, session, lane, ctx))
            }
        }
    }

    /// A declaration has come, or is gone: the next one.
    fn next(self, declaration: Option<Declaration>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Asked::Declaration(mut fetch) = self.asked else { return settled(lane, self.session, ctx) };
        let gone = fetch.missing.pop();
        if let (None, Some(gone)) = (&declaration, gone) {
            // Others keep their places until the end.
            fetch.items.items[gone].identifier.clear();
        }
        fetch.fetched.extend(declaration);
        fetch.go_on(self.rounds, self.session, lane, ctx)
    }
}

impl Fetch {
    fn under_way(&self) -> Option<&Item> {
        self.missing.last().and_then(|&at| self.items.items.get(at))
    }

    fn endpoint(&self) -> String {
        self.under_way()
            .map_or_else(String::new, |item| format!("declaration/{}/{}", item.kind.word(), item.identifier))
    }

    /// Asks for what is missing; when nothing is, the channel has what is listed and nothing else, and reports.
    fn go_on(mut self, rounds: u8, session: Session, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        if !self.missing.is_empty() {
            return ask(Asked::Declaration(self), rounds, session, lane, ctx);
        }
        let mut has = Vec::with_capacity(self.items.items.len());
        for item in &self.items.items {
            let kept = lane.shared.declarations.iter().find(|has| is(has, item)).map(Arc::clone);
            let came =
                self.fetched.iter().position(|came| came.kind == item.kind && *came.identifier == item.identifier);
            has.extend(kept.or_else(|| came.map(|at| Arc::new(self.fetched.swap_remove(at)))));
        }
        Arc::make_mut(&mut lane.shared).declarations = has;
        ask(Asked::Status(self.items.token, self.announced), rounds, session, lane, ctx)
    }
}

/// Whether a declaration is this one, in this state.
fn is(declaration: &Declaration, item: &Item) -> bool {
    declaration.kind == item.kind
        && *declaration.identifier == item.identifier
        && *declaration.server_token == item.server_token
}
