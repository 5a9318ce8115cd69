//! What a broker keeps of a client: its subscriptions and what waits for it.

use super::line::{LineId, Protocol};
use mqtt_protocol_core::mqtt::packet::Qos;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// A message that is published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) topic: Arc<str>,
    pub(super) payload: Arc<[u8]>,
    /// By which its acknowledgement is told, if it is to be.
    pub(super) name: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Session {
    /// It ends with its connection.
    pub(super) is_clean: bool,
    pub(super) filters: BTreeSet<String>,
    pub(super) queue: VecDeque<(Message, Qos)>,
    /// Names of the messages on their way, by packet id.
    pub(super) in_flight: HashMap<u16, Option<u64>>,
    /// Its connection, and without one what the protocol remembers.
    pub(super) at: At,
}

#[derive(Debug)]
pub(super) enum At {
    Line(LineId),
    Away(Protocol),
}

impl Session {
    pub(super) fn new(is_clean: bool, line: LineId) -> Self {
        Session {
            is_clean,
            filters: BTreeSet::new(),
            queue: VecDeque::new(),
            in_flight: HashMap::new(),
            at: At::Line(line),
        }
    }

    pub(super) fn line(&self) -> Option<LineId> {
        match self.at {
            At::Line(line) => Some(line),
            At::Away(_) => None,
        }
    }
}
