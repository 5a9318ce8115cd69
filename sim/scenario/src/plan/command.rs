//! Commands as the administrator writes them, before they have names.

use super::Managed;
use crate::server::Queueing;
use droves_facts::{Dur, Family, Platform};
pub use droves_wire::windows::syncml::{Format, Verb};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What one arrival of a command phase queues for a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What is asked for.
    pub asks: Asks,
    /// A deadline from *queued*, for the ledger; none is none.
    pub deadline: Option<Dur>,
}

impl Command {
    /// By which call it is queued.
    pub fn queueing(&self) -> Queueing {
        match &self.asks {
            Asks::Request(_) => Queueing::Apple,
            Asks::Nodes(_) => Queueing::Windows,
            Asks::Order(_) => Queueing::Android,
            Asks::Policy(_) => Queueing::Policy,
            Asks::Configuration(_) => Queueing::Configuration,
            Asks::Message(_) => Queueing::Message,
        }
    }

    /// Whether it says something to devices of this population.
    pub fn suits(&self, platform: Platform, android: Option<Managed>) -> bool {
        match &self.asks {
            Asks::Request(_) => platform.family() == Family::Apple,
            Asks::Nodes(_) => platform.family() == Family::Windows,
            Asks::Order(_) | Asks::Policy(_) => matches!(android, Some(Managed::Google { .. })),
            Asks::Configuration(_) | Asks::Message(_) => android == Some(Managed::Agent),
        }
    }

    /// The file that goes with it.
    pub fn payload(&self) -> Option<&Payload> {
        match &self.asks {
            Asks::Request(request) => request.payload.as_ref(),
            _ => None,
        }
    }

    /// So many commands have a name, an answer and a line in the ledger: Apple's one, or each of SyncML's.
    pub fn parts(&self) -> u32 {
        match &self.asks {
            Asks::Nodes(commands) => commands.iter().map(SyncCommand::parts).sum(),
            _ => 1,
        }
    }
}

/// What is asked for, in the words of the platform.
#[derive(Clone, Debug, PartialEq)]
pub enum Asks {
    /// Apple: a request.
    Request(Request),
    /// Windows: SyncML commands, in this order. Never empty.
    Nodes(Vec<SyncCommand>),
    /// Android, by Google: a Command of the Android Management API, its type and its further fields.
    Order(Order),
    /// Android, by Google: a Policy.
    Policy(BTreeMap<String, Value>),
    /// Android, by an agent: its configuration.
    Configuration(BTreeMap<String, Value>),
    /// Android, by an agent: a message, its type and its payload.
    Message(Order),
}

/// A command or a message for Android.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// `LOCK`, or `runApp`.
    pub kind: String,
    /// What it comes with.
    pub with: BTreeMap<String, Value>,
}

/// An Apple request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Apple's `RequestType`.
    pub name: String,
    /// The payload of `InstallProfile`.
    pub payload: Option<Payload>,
    /// Further keys of the command's dictionary.
    pub with: BTreeMap<String, Value>,
}

/// A SyncML command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncCommand {
    /// About one node.
    One(Node),
    /// About several, all or none. Never empty.
    Atomic(Vec<Node>),
}

impl SyncCommand {
    /// Itself, and those within it.
    pub fn parts(&self) -> u32 {
        match self {
            SyncCommand::One(_) => 1,
            SyncCommand::Atomic(nodes) => 1 + nodes.len() as u32,
        }
    }
}

/// What becomes of a node of a Windows device's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Add, Replace, Delete, Get or Exec.
    pub verb: Verb,
    /// Which node: its LocURI.
    pub uri: String,
    /// What kind of data; none where there is none.
    pub format: Option<Format>,
    /// The data.
    pub data: Option<String>,
}

/// A file that goes to devices.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Where it was.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Arc<[u8]>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({}, {} bytes)", self.path.display(), self.bytes.len())
    }
}

/// A value of a command's dictionary, as the scenario writes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: JSON's null. What has no such thing has an empty text in its place.
    Nothing,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// In order.
    List(Vec<Value>),
    /// By name.
    Dict(BTreeMap<String, Value>),
}
