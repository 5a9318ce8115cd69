//! The server's commands: handed to the tree one by one, their statuses put out in order, what they set off done or noted.

use super::outbox::Reply;
use super::{Session, Then};
use crate::Ctx;
use crate::trouble::Trouble;
use crate::windows::lane::Lane;
use crate::windows::tree::{Credential, Effect, Executed, Said};
use crate::windows::{channel, install, renewal, schedule};
use droves_facts::{Blame, CommandKey, CommandStatus, Dur, What as Fact};
use droves_wire::windows::syncml::{Body, Command, Data, Item, Message, Meta, ObjectError, Progress};
use std::sync::Arc;

impl Session {
    /// Executes what the message holds. How long that takes, or `None` if the server ends the enrollment by it.
    pub(super) fn execute(
        &mut self,
        message: &Message<'_>,
        lane: &mut Lane,
        ctx: &mut Ctx<'_>,
    ) -> Result<Option<Dur>, Trouble> {
        let mut took = Dur::ZERO;
        for command in &message.commands {
            if !matches!(command.body, Body::Status(_) | Body::Alert { .. } | Body::Results { .. }) {
                self.nodes = self.nodes.saturating_add(delivered(command, ctx));
            }
        }
        if self.nodes > ctx.limits.session_nodes_max {
            let text = format!("commands about more than {} nodes in one session", ctx.limits.session_nodes_max);
            return Err(Trouble::new(Blame::Server, "session_too_long", text));
        }
        for command in &message.commands {
            match &command.body {
                Body::Status(_) => {}
                // A server has no results of ours to give, and results get no status.
                Body::Results { .. } => {
                    ctx.complain(Blame::Server, "results", "the server sends results to a device");
                }
                Body::Alert { .. } => self.status(&command.id, "Alert", 200, None),
                Body::Nodes { .. } | Body::Group { .. } | Body::Unknown(_) => {
                    let Some(executed) = self.assembled(command, lane, ctx) else { continue };
                    if executed.beyond > 0 {
                        let text = format!("{} commands refused: the tree is as large as it may be", executed.beyond);
                        ctx.complain(Blame::Server, "tree_full", text);
                    }
                    for effect in executed.effects {
                        if !self.effect(effect, lane, ctx) {
                            return Ok(None);
                        }
                    }
                    took = self.say_what(&executed.said).iter().fold(took, |sum, said| sum + said.took);
                    lane.record.commands = lane.record.commands.saturating_add(executed.said.len() as u32);
                }
            }
        }
        Ok(Some(took))
    }

    /// Executes a command, once its object is whole; `None` if it is answered already.
    fn assembled(&mut self, command: &Command<'_>, lane: &mut Lane, ctx: &Ctx<'_>) -> Option<Executed> {
        let Body::Nodes { verb, meta, items } = &command.body else {
            self.no_end_of_object();
            return Some(self.on_tree(command, lane, ctx));
        };
        let [item] = items.as_slice() else {
            if items.iter().any(|item| item.more) {
                self.answer(command, verb.name(), 400);
                return None;
            }
            self.no_end_of_object();
            return Some(self.on_tree(command, lane, ctx));
        };
        let whole = Item { meta: merged(&item.meta, meta), ..item.clone() };
        let mut progress = self.assembly.take(&whole, ctx.limits);
        if progress == Err(ObjectError::NoEnd) {
            self.end_missing(item.target.as_deref());
            progress = self.assembly.take(&whole, ctx.limits);
        }
        match progress {
            Ok(Progress::Single) => Some(self.on_tree(command, lane, ctx)),
            Ok(Progress::Part) => {
                self.answer(command, verb.name(), 213);
                None
            }
            Ok(Progress::Whole { meta, data }) => {
                let item = Item { meta, data: Some(Data::Text(data.into())), more: false, ..item.clone() };
                let body = Body::Nodes { verb: *verb, meta: Meta::default(), items: vec![item] };
                Some(self.on_tree(&Command { id: command.id.clone(), body }, lane, ctx))
            }
            Err(error) => {
                self.answer(command, verb.name(), error.status().unwrap_or(400));
                None
            }
        }
    }

    fn on_tree(&self, command: &Command<'_>, lane: &mut Lane, ctx: &Ctx<'_>) -> Executed {
        let scene = self.who.scene(&lane.own, lane.record.commands, &self.account, ctx);
        lane.tree.execute(command, &scene)
    }

    /// Something else came where the rest of an object was due.
    fn no_end_of_object(&mut self) {
        if self.assembly.is_open() {
            self.assembly = Default::default();
            self.end_missing(None);
        }
    }

    /// Alert 1225: the end of an object is missing.
    fn end_missing(&mut self, uri: Option<&str>) {
        let source = uri.map(|uri| uri.to_owned().into());
        let items = source.is_some().then(|| Item { source, ..Item::default() }).into_iter().collect();
        self.outbox.push(Reply::Own(Body::Alert { code: 1225, items }));
    }

    /// Puts out what the tree answers. A command whose items fared differently has several statuses: for the ledger it is
    /// answered with the last of them, and well if all are.
    fn say_what<'s>(&mut self, all: &'s [Said]) -> &'s [Said] {
        let mut worst = CommandStatus::Acknowledged;
        for (n, said) in all.iter().enumerate() {
            let status = status_of(said.code, &said.command);
            worst = if status == CommandStatus::Acknowledged { worst } else { status };
            let goes_on = said.target.is_some()
                && all.get(n + 1).is_some_and(|next| next.target.is_some() && next.command == said.command);
            let answers = (!goes_on).then(|| (CommandKey::of(said.command.as_bytes()), worst));
            if !goes_on {
                worst = CommandStatus::Acknowledged;
            }
            self.done.extend(answers);
            self.outbox.push(Reply::Status {
                message: self.message(),
                command: said.command.clone(),
                name: said.name.clone(),
                target: said.target.clone(),
                code: said.code,
                answers,
            });
            for found in &said.found {
                self.outbox.push(Reply::Results {
                    message: self.message(),
                    command: said.command.clone(),
                    found: found.clone(),
                    told: 0,
                });
            }
        }
        all
    }

    /// Answers a command that the tree does not see.
    fn answer(&mut self, command: &Command<'_>, name: &str, code: u16) {
        let answers = (CommandKey::of(command.id.as_bytes()), status_of(code, &command.id));
        self.done.push(answers);
        self.status(&command.id, name, code, Some(answers));
    }

    fn status(&mut self, id: &str, name: &str, code: u16, answers: Option<(CommandKey, CommandStatus)>) {
        let (message, command, name) = (self.message(), id.into(), name.into());
        self.outbox.push(Reply::Status { message, command, name, target: None, code, answers });
    }

    /// `MsgRef` of what is answered now.
    fn message(&self) -> Arc<str> {
        self.answers.clone().unwrap_or_default()
    }

    /// Does what a command sets off, or notes it for after the answer. False if the enrollment ends by it.
    fn effect(&mut self, effect: Effect, lane: &mut Lane, ctx: &Ctx<'_>) -> bool {
        match effect {
            Effect::Poll => schedule::begin(lane, ctx),
            Effect::Pfn(pfn) => channel::set(lane, &pfn),
            Effect::Credential(what, value) => {
                match what {
                    Credential::Name => lane.own.credentials.name = value,
                    Credential::Secret => lane.own.credentials.secret = value,
                    // Nonce and kind come with each challenge.
                    Credential::Nonce | Credential::Kind => {}
                }
                self.saves = true;
            }
            Effect::Address(address) => {
                let account = (*self.account).clone().at(address);
                Arc::make_mut(&mut lane.shared).account = Some(Arc::new(account));
                self.saves = true;
            }
            Effect::Renewal => {
                let renew_at = ctx.identity.and_then(|identity| renewal::renew_at(lane, identity, ctx));
                lane.record.renew_at = renew_at.into();
            }
            Effect::RenewNow => lane.record.renewal_wanted = true,
            Effect::Unenroll => return false,
            Effect::Wipe { .. } => self.then = Then::Wipe,
            Effect::Reboot if self.then == Then::Nothing => self.then = Then::Restart,
            Effect::Reboot => {}
            Effect::Scep(scep) => {
                install::want(lane, *scep);
                self.installs = true;
            }
        }
        true
    }
}

/// Whether an object of the message has parts to come.
pub(super) fn has_part(message: &Message<'_>) -> bool {
    message.commands.iter().any(|command| match &command.body {
        Body::Nodes { items, .. } => items.iter().any(|item| item.more),
        _ => false,
    })
}

/// Shorter CmdIDs number the commands of a message, and come again in the next one: they name nothing.
const NAME_BYTES_MIN: usize = 8;

/// States that a command has come, and those in it; of how many nodes they are.
fn delivered(command: &Command<'_>, ctx: &mut Ctx<'_>) -> u32 {
    let named = command.id.len() >= NAME_BYTES_MIN;
    ctx.fact(Fact::Delivered { command: CommandKey::of(command.id.as_bytes()), named });
    match &command.body {
        Body::Nodes { items, .. } => u32::try_from(items.len()).unwrap_or(u32::MAX),
        Body::Group { commands, .. } => {
            commands.iter().fold(0, |sum: u32, command| sum.saturating_add(delivered(command, ctx)))
        }
        _ => 1,
    }
}

/// A status in the ledger's words.
fn status_of(code: u16, command: &str) -> CommandStatus {
    match code {
        400 if command.is_empty() => CommandStatus::FormatError,
        214..=216 => CommandStatus::Error,
        200..=299 => CommandStatus::Acknowledged,
        _ => CommandStatus::Error,
    }
}

/// `Meta` of an item, and what only its command says.
fn merged<'a>(item: &Meta<'a>, command: &Meta<'a>) -> Meta<'a> {
    Meta {
        format: item.format.clone().or_else(|| command.format.clone()),
        kind: item.kind.clone().or_else(|| command.kind.clone()),
        mark: item.mark.clone().or_else(|| command.mark.clone()),
        size: item.size.or(command.size),
    }
}
