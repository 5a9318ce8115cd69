//! What a device still has to say in a session, and the messages that it makes of it: each as long as the server takes,
//! an object that is longer than a message in parts.

use crate::windows::tree::Found;
use droves_facts::{CommandKey, CommandStatus};
use droves_wire::windows::syncml::{self, Body, Command, Composer, Data, Header, Item, Meta, Piece, Status, piece};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

/// What is to be said, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Reply>,
    /// What the last message said, until its answer has come: a challenge wants it again.
    said: Vec<Reply>,
    /// Whether the last of those is a part whose rest waits.
    cut: bool,
}

/// One thing to be said.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Something of the device's own: an alert, or who it is.
    Own(Body<'static>),
    /// How a command of the server fared.
    Status {
        /// `MsgRef`.
        message: Arc<str>,
        /// `CmdRef`.
        command: Box<str>,
        /// `Cmd`.
        name: Box<str>,
        /// `TargetRef`.
        target: Option<Box<str>>,
        /// `Data`.
        code: u16,
        /// For the ledger; `None` for what is no command.
        answers: Option<(CommandKey, CommandStatus)>,
    },
    /// What a `Get` found.
    Results {
        /// `MsgRef`.
        message: Arc<str>,
        /// `CmdRef`.
        command: Box<str>,
        /// The node.
        found: Found,
        /// Bytes of its value that are said already.
        told: usize,
    },
}

/// What stands around what is said.
pub(super) struct Around<'a> {
    pub(super) header: &'a Header<'a>,
    /// `MsgID` of the message of the server that this one answers, if it answers one.
    pub(super) answers: Option<&'a str>,
    /// Whether the server is asked for more (alert 1222): its package has not ended.
    pub(super) asks: bool,
    pub(super) bytes_max: usize,
}

/// The server takes messages in which nothing has room.
#[derive(Debug)]
pub(super) struct NoRoom;

impl Outbox {
    pub(super) fn push(&mut self, reply: Reply) {
        self.waiting.push_back(reply);
    }

    /// Whether there is nothing to be said.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The last message counts: what it answered.
    pub(super) fn accepted(&mut self) -> impl Iterator<Item = (CommandKey, CommandStatus)> + '_ {
        self.cut = false;
        self.said.drain(..).filter_map(|reply| match reply {
            Reply::Status { answers, .. } => answers,
            Reply::Own(_) | Reply::Results { .. } => None,
        })
    }

    /// The last message does not count: it is to be said again.
    pub(super) fn again(&mut self) {
        if std::mem::take(&mut self.cut) {
            self.waiting.pop_front();
        }
        for reply in self.said.drain(..).rev() {
            self.waiting.push_front(reply);
        }
    }

    /// The next message, which takes what has room in it.
    pub(super) fn compose(&mut self, around: &Around<'_>) -> Result<Vec<u8>, NoRoom> {
        let mut out = Vec::with_capacity(2_048);
        let mut composer = Composer::new(&mut out, around.header, around.bytes_max);
        // Without credentials to prove it, the first message of Windows leaves the first number out.
        let mut id = if around.answers.is_some() { 0 } else { 1_u32 };
        let first = around.answers.map(|message| {
            let status = Status {
                message: message.into(),
                command: "0".into(),
                name: "SyncHdr".into(),
                code: 200,
                ..Status::default()
            };
            numbered(&mut id, Body::Status(status))
        });
        let asks = around.asks.then(|| numbered(&mut id, Body::Alert { code: 1222, items: Vec::new() }));
        // A part of an object stands last: what is asked for stands before everything else.
        if first.into_iter().chain(asks).any(|command| !composer.push(&command)) {
            return Err(NoRoom);
        }
        self.said.clear();
        while let Some(reply) = self.waiting.front() {
            let command = numbered(&mut id, reply.body());
            if composer.push(&command) {
                self.said.extend(self.waiting.pop_front());
                continue;
            }
            let may_cut = self.said.is_empty() || composer.room() >= PART_ROOM_MIN;
            if let Some((part, told)) = reply.part(&command.id, composer.room()).filter(|_| may_cut)
                && composer.push(&part)
            {
                self.said.push(reply.clone());
                self.cut = true;
                if let Some(Reply::Results { told: so_far, .. }) = self.waiting.front_mut() {
                    *so_far = told;
                }
            } else if self.said.is_empty() {
                return Err(NoRoom);
            }
            break;
        }
        composer.end(self.waiting.is_empty() && !around.asks);
        Ok(out)
    }
}

fn numbered<'a>(id: &mut u32, body: Body<'a>) -> Command<'a> {
    *id += 1;
    Command { id: Cow::Owned(id.to_string()), body }
}

impl Reply {
    fn body(&self) -> Body<'_> {
        match self {
            Reply::Own(body) => body.clone(),
            Reply::Status { message, command, name, target, code, .. } => Body::Status(Status {
                message: (&**message).into(),
                command: (&**command).into(),
                name: (&**name).into(),
                targets: target.iter().map(|target| (&**target).into()).collect(),
                code: *code,
                ..Status::default()
            }),
            Reply::Results { found, told, .. } => self.results(found.value.get(*told..).unwrap_or_default(), false),
        }
    }

    /// The `Results` with this much of the value. Only the first part says how large the whole is.
    fn results<'a>(&'a self, text: &'a str, more: bool) -> Body<'a> {
        let Reply::Results { message, command, found, told } = self else { return self.body() };
        let size = (more && *told == 0).then_some(found.value.len() as u64);
        let kind = (found.format != syncml::Format::Node).then_some(Cow::Borrowed("text/plain"));
        let meta = Meta { format: Some(found.format.name().into()), kind, mark: None, size };
        Body::Results {
            message: (&**message).into(),
            command: (&**command).into(),
            meta: Meta::default(),
            items: vec![Item {
                source: Some((&*found.uri).into()),
                meta,
                data: Some(Data::Text(text.into())),
                more,
                ..Item::default()
            }],
        }
    }

    /// As much of an object as has room, and how much of it is told then; `None` if it is none, or if nothing has room.
    fn part<'a>(&'a self, id: &str, room: usize) -> Option<(Command<'a>, usize)> {
        let Reply::Results { found, told, .. } = self else { return None };
        let with = |text| Command { id: Cow::Owned(id.to_owned()), body: self.results(text, true) };
        let mut empty = Vec::new();
        let mut composer = Composer::new(&mut empty, &Header::default(), usize::MAX);
        let before = composer.room();
        composer.push(&with(""));
        let around = before - composer.room();
        let rest = found.value.get(*told..)?;
        let Piece { now, .. } = piece(rest, room.checked_sub(around)?);
        (!now.is_empty()).then(|| (with(now), told + now.len()))
    }
}

/// Less room than this is left to itself: the object begins with the next message.
const PART_ROOM_MIN: usize = 2_048;
