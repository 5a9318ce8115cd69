//! The administrator: calls the server's own API as its profile says. No server is known by name here.
//!
//! Calls go out in batches as the API allows, with so many open at a time as it allows, over kept connections. Each has
//! a time-out and a bounded answer. A call whose outcome is not known leaves its commands *unknown*: they may be queued
//! or not. Nothing is called twice.

mod announce;
mod call;
mod command;
mod due;
mod tokens;

pub use announce::{Announce, AnnounceError, Announced, announce};
pub use command::{Command, Listed, Name, Says};
pub(crate) use due::{Naming, begun};
pub(crate) use tokens::Asking;

use crate::directory::Directory;
use crate::inbox::Shards;
use call::{Api, Failed};
use droves_facts::{Blame, CommandKey, Dur, Fact, LaneIx, Mono, Operation, PhaseIx, Truth, What};
use droves_net::clock::{Clock, RunClock};
use droves_net::tls::ClientTls;
use droves_scenario::plan::Target;
use droves_scenario::server::{self, Believes, CommandName, Queueing, Secret};
use minijinja::context;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Why there is no administrator.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address can't be read.
    #[error("administrator's API: `{url}`: {why}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// A template can't be filled in.
    #[error("administrator's API: {0}")]
    Template(String),
    /// The server gives no enrollment token.
    #[error("no enrollment token for `{population}`: {why}")]
    NoToken {
        /// For which devices.
        population: String,
        /// Why.
        why: String,
    },
    /// The profile has no such call.
    #[error("server profile `{server}` has no call `{call}`, which the scenario needs")]
    NoCall {
        /// Which server profile.
        server: String,
        /// Which call.
        call: &'static str,
    },
}

/// A lane, and the id under which the server knows its enrollment.
pub(crate) type Named = (LaneIx, String);

/// The administrator of one target.
pub(crate) struct Admin {
    profile: server::Admin,
    server: String,
    api: Api,
    vars: minijinja::Value,
    shards: Shards,
    clock: RunClock,
    directory: Rc<Directory>,
    /// Room for calls that queue, each kind at its own place.
    queueing: [Rc<Semaphore>; Queueing::ALL.len()],
    /// How many were queued for a lane of what is known by its order.
    ordered: RefCell<HashMap<(LaneIx, Queueing), u64>>,
    pushing: Rc<Semaphore>,
}

impl Admin {
    /// The administrator that the target's profile describes; `token` is a bearer token where the profile leaves it
    /// open, which only an embedded server does.
    pub(crate) fn new(
        target: &Target,
        url: &str,
        token: Option<&str>,
        tls: ClientTls,
        shards: Shards,
        clock: RunClock,
        directory: &Rc<Directory>,
    ) -> Result<Option<Self>, AdminError> {
        let Some(mut profile) = target.profile.admin.clone() else { return Ok(None) };
        authorised(&mut profile, token);
        let vars = context! { vars => target.vars.clone(), target => context! { url => url.trim_end_matches('/') } };
        let base = match &profile.url {
            Some(template) => call::render(template, &vars)?,
            None => url.to_owned(),
        };
        let api = Api::new(&base, &profile.auth, &target.authorised, tls, Arc::clone(directory.limits()))?;
        let room = |call: Option<&server::Call>| {
            Rc::new(Semaphore::new(call.map_or(1, |call| call.in_flight.max(1) as usize)))
        };
        Ok(Some(Admin {
            queueing: Queueing::ALL.map(|queueing| room(profile.queueing(queueing))),
            ordered: RefCell::default(),
            pushing: room(profile.push.as_ref()),
            server: target.profile.name.clone(),
            profile,
            api,
            vars,
            shards,
            clock,
            directory: Rc::clone(directory),
        }))
    }

    /// Devices that one call of this kind can queue a command for.
    pub(crate) fn queue_batch_max(&self, queueing: Queueing) -> usize {
        self.profile.queueing(queueing).map_or(1, |call| call.batch.max(1) as usize)
    }

    /// Queues commands, each for those who share one call, and gives the lanes for which the server took it.
    pub(crate) async fn queue(
        self: &Rc<Self>,
        commands: Vec<(Command, Vec<Named>)>,
        deadline: Option<Dur>,
        phase: PhaseIx,
    ) -> Result<Vec<Named>, AdminError> {
        let mut tasks = Vec::new();
        for (command, lanes) in commands {
            if self.profile.queueing(command.queueing()).is_none() {
                return Err(self.missing(command.queueing().name()));
            }
            let this = Rc::clone(self);
            tasks.push(tokio::task::spawn_local(
                async move { this.queue_batch(&command, lanes, deadline, phase).await },
            ));
        }
        let mut taken = Vec::new();
        for task in tasks {
            if let Ok(part) = task.await {
                taken.extend(part?);
            }
        }
        Ok(taken)
    }

    async fn queue_batch(
        &self,
        command: &Command,
        lanes: Vec<Named>,
        deadline: Option<Dur>,
        phase: PhaseIx,
    ) -> Result<Vec<Named>, AdminError> {
        let queueing = command.queueing();
        let Some(call) = self.profile.queueing(queueing) else { return Ok(Vec::new()) };
        let room = self.queueing[queueing as usize].acquire().await;
        let ordered = match call.command_name {
            CommandName::ByOrder => self.next_in_order(queueing, &lanes, phase),
            _ => Vec::new(),
        };
        let asked = self.clock.now();
        let ids: Vec<String> = lanes.iter().map(|(_, id)| id.clone()).collect();
        let first = ids.first().cloned();
        let names = context! { ids => ids, id => first, command => command.for_templates(), ..self.vars.clone() };
        let outcome = self.call(Operation::AdminQueue, call, &names, phase).await?;
        drop(room);
        let queued = self.clock.now();
        let keys = self.keys(command, call, outcome.as_ref().ok(), phase);
        let refused: Vec<(String, String)> = match (&outcome, &call.failed_ids) {
            (Ok(answer), Some(failed)) => failed.find(answer),
            _ => Vec::new(),
        };
        let deadline = deadline.map_or(Mono::NEVER, |deadline| queued + deadline);
        let mut taken = Vec::new();
        for (at, (lane, id)) in lanes.into_iter().enumerate() {
            let why = refused.iter().find(|(refused, _)| *refused == id).map(|(_, why)| why);
            if !ordered.is_empty() && (why.is_some() || outcome.as_ref().is_err_and(|failed| !failed.is_unknown)) {
                self.take_back(queueing, lane);
            }
            let of = |command: CommandKey| match (&outcome, why) {
                (Ok(_), None) => What::CommandQueued { command, asked, queued, deadline },
                (Err(failed), _) if failed.is_unknown => What::CommandUnknown { command, asked },
                (Ok(_), Some(_)) | (Err(_), _) => What::CommandRefused { command },
            };
            for what in keys.iter().chain(ordered.get(at)).map(|&key| of(key)) {
                self.shards.fact(Fact { at: self.clock.now(), phase, lane, what });
            }
            match (&outcome, why) {
                (Ok(_), None) => taken.push((lane, id)),
                (Ok(_), Some(why)) => self.complain(phase, lane, "command_refused", format!("{id}: {}", line(why))),
                (Err(_), _) => {}
            }
        }
        Ok(taken)
    }

    /// What is queued for these lanes now is the next of its kind for each, and belongs to this phase.
    fn next_in_order(&self, queueing: Queueing, lanes: &[Named], phase: PhaseIx) -> Vec<CommandKey> {
        let mut ordered = self.ordered.borrow_mut();
        let next = |(lane, _): &Named| {
            let n = ordered.entry((*lane, queueing)).or_default();
            let key = CommandKey::by_order(*lane, kind(queueing), *n);
            *n += 1;
            self.shards.owner(*lane, crate::inbox::ToShard::Command(phase, key));
            key
        };
        lanes.iter().map(next).collect()
    }

    /// The last one was not taken, and the next has its place.
    fn take_back(&self, queueing: Queueing, lane: LaneIx) {
        if let Some(n) = self.ordered.borrow_mut().get_mut(&(lane, queueing)) {
            *n = n.saturating_sub(1);
        }
    }

    /// The names by which what was queued can be followed.
    fn keys(
        &self,
        command: &Command,
        call: &server::Call,
        answer: Option<&serde_json::Value>,
        phase: PhaseIx,
    ) -> Vec<CommandKey> {
        match &call.command_name {
            CommandName::Given => command.names.iter().map(|name| name.key).collect(),
            CommandName::Returned(member) => {
                let named = answer.and_then(|answer| answer.get(member)).and_then(|name| name.as_str());
                let named = named.map(|name| self.directory.queued(name));
                let given = command.names.first().map(|name| name.key);
                if let Some(key) = named.filter(|_| named != given) {
                    self.shards.all(|| crate::inbox::ToShard::Command(phase, key));
                }
                named.or(given).into_iter().collect()
            }
            CommandName::ByOrder | CommandName::Unknown => Vec::new(),
        }
    }

    /// Asks the server to push lanes.
    pub(crate) async fn push(self: &Rc<Self>, lanes: Vec<Named>, phase: PhaseIx) -> Result<(), AdminError> {
        let call = self.profile.push.as_ref().ok_or_else(|| self.missing("push"))?;
        let batch = call.batch.max(1) as usize;
        let mut tasks = Vec::new();
        let mut lanes = lanes;
        while !lanes.is_empty() {
            let rest = lanes.split_off(lanes.len().min(batch));
            let this = Rc::clone(self);
            let part = std::mem::replace(&mut lanes, rest);
            tasks.push(tokio::task::spawn_local(async move { this.push_batch(part, phase).await }));
        }
        for task in tasks {
            if let Ok(result) = task.await {
                result?;
            }
        }
        Ok(())
    }

    async fn push_batch(&self, lanes: Vec<Named>, phase: PhaseIx) -> Result<(), AdminError> {
        let Some(call) = &self.profile.push else { return Ok(()) };
        let room = self.pushing.acquire().await;
        let ids: Vec<String> = lanes.iter().map(|(_, id)| id.clone()).collect();
        let first = ids.first().cloned();
        let names = context! { ids => ids, id => first, ..self.vars.clone() };
        let outcome = self.call(Operation::AdminPush, call, &names, phase).await?;
        drop(room);
        let Ok(answer) = outcome else { return Ok(()) };
        let refused = call.failed_ids.as_ref().map(|failed| failed.find(&answer)).unwrap_or_default();
        for (lane, id) in lanes {
            match refused.iter().find(|(refused, _)| *refused == id) {
                None => self.shards.fact(Fact { at: self.clock.now(), phase, lane, what: What::PushAsked }),
                Some((_, why)) => self.complain(phase, lane, "push_refused", format!("{id}: {}", line(why))),
            }
        }
        Ok(())
    }

    /// What the server believes of each of these lanes, of which we know whether they are enrolled.
    pub(crate) async fn believes(
        self: &Rc<Self>,
        lanes: Vec<(Named, bool)>,
    ) -> Result<Vec<(LaneIx, Truth)>, AdminError> {
        let Believes::Call { call, enrolled, .. } = &self.profile.believes else {
            return Ok(lanes.into_iter().map(|((lane, _), _)| (lane, Truth::Unavailable)).collect());
        };
        let room = Rc::new(Semaphore::new(call.in_flight.max(1) as usize));
        let mut tasks = Vec::new();
        for ((lane, id), is_enrolled) in lanes {
            let (this, room, call, member) = (Rc::clone(self), Rc::clone(&room), call.clone(), enrolled.clone());
            tasks.push(tokio::task::spawn_local(async move {
                let _room = room.acquire().await;
                let names = context! { ids => vec![id.clone()], id => id, ..this.vars.clone() };
                let answer = this.call(Operation::AdminBelieves, &call, &names, PhaseIx(0)).await?;
                let says = match (&answer, &member) {
                    (Ok(answer), Some(member)) => {
                        let found = member.split('.').try_fold(answer, |value, name| value.get(name));
                        Some(found.and_then(serde_json::Value::as_bool).unwrap_or(false))
                    }
                    // It does not know the enrollment at all.
                    (Err(failed), _) if failed.status == Some(404) => Some(false),
                    _ => None,
                };
                Ok::<_, AdminError>((
                    lane,
                    match says {
                        Some(says) if says == is_enrolled => Truth::Agrees,
                        Some(_) => Truth::Differs,
                        None => Truth::Unavailable,
                    },
                ))
            }));
        }
        let mut truths = Vec::new();
        for task in tasks {
            if let Ok(truth) = task.await {
                truths.push(truth?);
            }
        }
        Ok(truths)
    }

    /// Makes a call, states it, and gives the answer's JSON (null if it has none).
    async fn call(
        &self,
        operation: Operation,
        call: &server::Call,
        names: &minijinja::Value,
        phase: PhaseIx,
    ) -> Result<Result<serde_json::Value, Failed>, AdminError> {
        let request = self.api.request(call, names)?;
        self.say(phase, What::RequestStarted { operation });
        let outcome = self.api.send(request, call, &self.clock, self.directory.limits()).await;
        let (timing, bytes_out, bytes_in) = match &outcome {
            Ok(answered) => (answered.timing, answered.bytes_out, answered.bytes_in),
            Err(failed) => (failed.timing, 0, 0),
        };
        let result = match &outcome {
            Ok(_) => droves_facts::Outcome::Succeeded,
            Err(failed) => droves_facts::Outcome::Failed { blame: failed.blame, kind: failed.kind },
        };
        self.say(phase, What::RequestEnded { operation, timing, outcome: result, bytes_out, bytes_in });
        if let Err(failed) = &outcome {
            let text = format!("{operation}: {}", failed.text);
            self.complain_of(failed.blame, phase, LaneIx::NOBODY, failed.kind, text);
        }
        Ok(outcome.map(|answered| answered.json))
    }

    fn missing(&self, call: &'static str) -> AdminError {
        AdminError::NoCall { server: self.server.clone(), call }
    }

    fn say(&self, phase: PhaseIx, what: What) {
        self.shards.fact(Fact { at: self.clock.now(), phase, lane: LaneIx::NOBODY, what });
    }

    fn complain(&self, phase: PhaseIx, lane: LaneIx, kind: &'static str, text: String) {
        self.complain_of(Blame::Server, phase, lane, kind, text);
    }

    fn complain_of(&self, blame: Blame, phase: PhaseIx, lane: LaneIx, kind: &'static str, text: String) {
        let what = What::Complaint { blame, kind, text: text.into() };
        self.shards.fact(Fact { at: self.clock.now(), phase, lane, what });
    }
}

/// A bearer's token, where the profile leaves it open.
fn authorised(profile: &mut server::Admin, token: Option<&str>) {
    if let (server::Auth::Bearer(Secret(secret)), Some(token)) = (&mut profile.auth, token)
        && secret.is_empty()
    {
        token.clone_into(secret);
    }
}

/// How whoever plays Google counts what is asked of a lane.
pub(crate) fn kind(queueing: Queueing) -> &'static str {
    if queueing == Queueing::Policy { "policy" } else { "command" }
}

/// What a server said, on one line.
fn line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(word);
        if line.len() > LINE_BYTES_MAX {
            break;
        }
    }
    line.chars().filter(|c| !c.is_control()).take(LINE_BYTES_MAX).collect()
}

const LINE_BYTES_MAX: usize = 200;
