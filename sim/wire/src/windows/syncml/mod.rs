//! SyncML 1.2 as Windows speaks it (MS-MDM; OMA-TS-SyncML-RepPro 1.2.1, OMA-TS-DM-RepPro 1.2): one message a request,
//! one an answer, the same shape in both directions.
//!
//! [`Message::read`] takes elements in any order, whatever their prefix, and passes over those it does not know inside
//! of a command; [`Message::write`] writes them in the order of the DTD, on one line and without a declaration, as
//! Windows does. [`Composer`] does the same command by command, and says when the other side's `MaxMsgSize` is reached.
//! Ids are opaque texts: servers use UUIDs, and count from where they like.

mod auth;
mod object;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use auth::{basic, md5};
pub use object::{Assembly, ObjectError, Piece, Progress, piece};
pub use write::{Composer, fragment};

use super::xml::XmlError;
use crate::lenient;
use droves_facts::Limits;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `Content-Type` of both directions; a server may add a charset.
pub const CONTENT_TYPE: &str = "application/vnd.syncml.dm+xml";
/// `Accept` of Windows, which takes WBXML too.
pub const ACCEPT: &str = "application/vnd.syncml.dm+xml, application/vnd.syncml.dm+wbxml, application/octet-stream";
/// `User-Agent` of the management client; the enrollment client has [another](super::soap::USER_AGENT).
pub const USER_AGENT: &str = "MSFT OMA DM Client/1.2.0.1";

/// In whose name a session runs, as the query of its address says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// `Maintenance`: a user is logged in.
    Maintenance,
    /// `Machine`: the system alone.
    Machine,
}

impl Mode {
    /// The address that is called; messages name it without this query.
    pub fn url(self, address: &str) -> String {
        let joint = if address.contains('?') { '&' } else { '?' };
        let mode = match self {
            Mode::Maintenance => "Maintenance",
            Mode::Machine => "Machine",
        };
        format!("{address}{joint}mode={mode}&Platform=WoA")
    }
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Message<'a> {
    /// `SyncHdr`.
    pub header: Header<'a>,
    /// What stands in `SyncBody`, in order.
    pub commands: Vec<Command<'a>>,
    /// `Final`: the package ends with this message. Without it more is to follow.
    pub last: bool,
}

impl<'a> Message<'a> {
    /// Reads one.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        read::message(bytes, limits)
    }

    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut composer = Composer::new(out, &self.header, usize::MAX);
        for command in &self.commands {
            composer.push(command);
        }
        composer.end(self.last);
    }

    /// Whether the other side wants nothing more, neither an answer nor credentials: it has only acknowledged, so this side
    /// does not answer (MS-MDM 2.2.7.8).
    pub fn is_quiet(&self) -> bool {
        let wants_nothing = |body: &Body<'_>| matches!(body, Body::Status(status) if status.challenge.is_none());
        self.last && self.commands.iter().all(|command| wants_nothing(&command.body))
    }
}

/// `SyncHdr`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header<'a> {
    /// `SessionID`: counts up; hexadecimal in sessions of version 2.0.
    pub session: Cow<'a, str>,
    /// `MsgID`: counts the sender's messages of the session from 1.
    pub message: Cow<'a, str>,
    /// `Target`.
    pub target: Location<'a>,
    /// `Source`.
    pub source: Location<'a>,
    /// `RespURI`: where to send the next message instead.
    pub respond_to: Option<Cow<'a, str>>,
    /// `Cred`.
    pub credentials: Option<Credentials<'a>>,
    /// `Meta/MaxMsgSize`: what the sender takes in one message, in bytes.
    pub message_bytes_max: Option<u64>,
    /// `Meta/MaxObjSize`: what it takes as one object, in bytes.
    pub object_bytes_max: Option<u64>,
}

/// `Source` or `Target`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Location<'a> {
    /// `LocURI`, as written.
    pub uri: Cow<'a, str>,
    /// `LocName`: beside credentials, whose they are.
    pub name: Option<Cow<'a, str>>,
}

impl<'a> Location<'a> {
    /// A place without a name.
    pub fn at(uri: impl Into<Cow<'a, str>>) -> Self {
        Location { uri: uri.into(), name: None }
    }
}

/// `Cred`: who one is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials<'a> {
    /// `Meta/Type`: [`MD5`] or [`BASIC`].
    pub kind: Cow<'a, str>,
    /// `Data`, which [`md5`] or [`basic`] makes.
    pub data: Cow<'a, str>,
}

/// The digest of name, secret and nonce.
pub const MD5: &str = "syncml:auth-md5";
/// Name and secret in clear.
pub const BASIC: &str = "syncml:auth-basic";

/// `Chal`: credentials are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge<'a> {
    /// `Meta/Type`: [`MD5`] or [`BASIC`].
    pub kind: Cow<'a, str>,
    /// `Meta/NextNonce`: base64 of the nonce.
    pub next_nonce: Option<Cow<'a, str>>,
}

impl Challenge<'_> {
    /// The nonce, raw; as it is written where it is no base64.
    pub fn nonce_bytes(&self) -> Vec<u8> {
        let text = self.next_nonce.as_deref().unwrap_or_default();
        lenient::base64(text).unwrap_or_else(|| text.as_bytes().to_vec())
    }
}

/// One element of `SyncBody`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command<'a> {
    /// `CmdID`; empty if it is missing, to which a device answers 400.
    pub id: Cow<'a, str>,
    /// What it says.
    pub body: Body<'a>,
}

/// What a command says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body<'a> {
    /// Something to be done with nodes.
    Nodes {
        /// What.
        verb: Verb,
        /// `Meta` of all items.
        meta: Meta<'a>,
        /// With which.
        items: Vec<Item<'a>>,
    },
    /// Commands that belong together.
    Group {
        /// How.
        kind: Group,
        /// `Meta` of all.
        meta: Meta<'a>,
        /// Which.
        commands: Vec<Command<'a>>,
    },
    /// `Alert`.
    Alert {
        /// `Data`: 1200 to 1226 here.
        code: u16,
        /// What about.
        items: Vec<Item<'a>>,
    },
    /// `Status`: how a command of the other side fared.
    Status(Status<'a>),
    /// `Results`: what a `Get` of the other side found.
    Results {
        /// `MsgRef`: the message with the `Get`.
        message: Cow<'a, str>,
        /// `CmdRef`: its `CmdID`.
        command: Cow<'a, str>,
        /// `Meta` of all items.
        meta: Meta<'a>,
        /// What was found.
        items: Vec<Item<'a>>,
    },
    /// An element that SyncML does not have here: its name. A device answers 400.
    Unknown(Cow<'a, str>),
}

impl Body<'_> {
    /// The element's name, as `Cmd` of a `Status` repeats it.
    pub fn name(&self) -> &str {
        match self {
            Body::Nodes { verb, .. } => verb.name(),
            Body::Group { kind: Group::Atomic, .. } => "Atomic",
            Body::Group { kind: Group::Sequence, .. } => "Sequence",
            Body::Alert { .. } => "Alert",
            Body::Status(_) => "Status",
            Body::Results { .. } => "Results",
            Body::Unknown(name) => name,
        }
    }
}

/// What is to be done with nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the command of that name")]
pub enum Verb {
    Add,
    Copy,
    Delete,
    Exec,
    Get,
    Replace,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 6] = [Verb::Add, Verb::Copy, Verb::Delete, Verb::Exec, Verb::Get, Verb::Replace];

    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Add => "Add",
            Verb::Copy => "Copy",
            Verb::Delete => "Delete",
            Verb::Exec => "Exec",
            Verb::Get => "Get",
            Verb::Replace => "Replace",
        }
    }
}

/// How commands belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// All or none.
    Atomic,
    /// In this order.
    Sequence,
}

/// `Status`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status<'a> {
    /// `MsgRef`: the message with the command.
    pub message: Cow<'a, str>,
    /// `CmdRef`: its `CmdID`; 0 is `SyncHdr`.
    pub command: Cow<'a, str>,
    /// `Cmd`: its name.
    pub name: Cow<'a, str>,
    /// `TargetRef`.
    pub targets: Vec<Cow<'a, str>>,
    /// `SourceRef`.
    pub sources: Vec<Cow<'a, str>>,
    /// `Chal`.
    pub challenge: Option<Challenge<'a>>,
    /// `Data`: 100 to 599.
    pub code: u16,
    /// What more there is to say.
    pub items: Vec<Item<'a>>,
}

/// `Item`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Item<'a> {
    /// `Target/LocURI`.
    pub target: Option<Cow<'a, str>>,
    /// `Source/LocURI`.
    pub source: Option<Cow<'a, str>>,
    /// `Meta`.
    pub meta: Meta<'a>,
    /// `Data`.
    pub data: Option<Data<'a>>,
    /// `MoreData`: the rest of the object follows in a later message.
    pub more: bool,
}

/// `Data` of an item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data<'a> {
    /// Text, written with escapes.
    Text(Cow<'a, str>),
    /// Text, written in CDATA, as some servers do and Windows does not. Read, it is [`Data::Text`].
    CData(Cow<'a, str>),
    /// Elements, as `Format` xml has them.
    Markup(Cow<'a, str>),
}

impl Data<'_> {
    /// The text or the markup.
    pub fn as_str(&self) -> &str {
        match self {
            Data::Text(text) | Data::CData(text) | Data::Markup(text) => text,
        }
    }
}

/// `Meta` of a command or an item.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta<'a> {
    /// `Format`; [`Format::named`] knows those of device management.
    pub format: Option<Cow<'a, str>>,
    /// `Type`: a media type, or the name of an alert.
    pub kind: Option<Cow<'a, str>>,
    /// `Mark`: how urgent an alert is.
    pub mark: Option<Cow<'a, str>>,
    /// `Size`: bytes of an object that comes in parts, in its first part.
    pub size: Option<u64>,
}

/// The formats of a node's data (OMA-TS-DM-StdObj 1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the format of that name")]
pub enum Format {
    B64,
    Bin,
    Bool,
    Chr,
    Date,
    Float,
    Int,
    Node,
    Null,
    Time,
    Xml,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 11] = [
        Format::B64,
        Format::Bin,
        Format::Bool,
        Format::Chr,
        Format::Date,
        Format::Float,
        Format::Int,
        Format::Node,
        Format::Null,
        Format::Time,
        Format::Xml,
    ];

    /// The format of this name; `None` is what a device answers 415 to.
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::B64 => "b64",
            Format::Bin => "bin",
            Format::Bool => "bool",
            Format::Chr => "chr",
            Format::Date => "date",
            Format::Float => "float",
            Format::Int => "int",
            Format::Node => "node",
            Format::Null => "null",
            Format::Time => "time",
            Format::Xml => "xml",
        }
    }
}

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    let limits = Limits { body_bytes_max: 1 << 20, ..Limits::default() };
    let Ok(message) = Message::read(bytes, &limits) else { return };
    let mut out = Vec::new();
    message.write(&mut out);
    let again =
        Message::read(&out, &Limits { body_bytes_max: usize::MAX, xml_elements_max: usize::MAX, ..limits.clone() });
    assert_eq!(again.as_ref(), Ok(&message));
    let mut assembly = Assembly::default();
    for command in &message.commands {
        if let Body::Nodes { items, .. } | Body::Results { items, .. } = &command.body {
            for item in items {
                drop(assembly.take(item, &limits));
            }
        }
    }
}
