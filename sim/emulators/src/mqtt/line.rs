//! One connection of a client.

use droves_facts::Mono;
use mqtt_protocol_core::mqtt::connection::ConnectionOptions;
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Packet};
use mqtt_protocol_core::mqtt::{Connection, Version, role};
use std::fmt;
use std::sync::Arc;

/// Names a connection; none is ever named again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LineId(pub(super) u64);

/// How a client is not let in, whatever it shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// With code 3, as a broker does that is not ready.
    Unavailable,
    /// Without a word.
    HangUp,
}

/// What a connection is to do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// Bytes to write.
    pub bytes: Vec<u8>,
    /// It is closed after them.
    pub ends: bool,
    /// [`super::Broker::fire`] is called if nothing was heard by then.
    pub deadline: Option<Mono>,
}

/// The protocol's state: packets in part, and acknowledgements that are due. It outlives its connection in a session that is
/// kept.
pub(super) struct Protocol(Box<Connection<role::Server>>);

impl Protocol {
    pub(super) fn new(packet_bytes_max: u32) -> Self {
        let options = ConnectionOptions::new().maximum_packet_size_recv(packet_bytes_max);
        let mut connection = Connection::with_options(Version::V3_1_1, options);
        connection.set_auto_pub_response(true);
        connection.set_auto_ping_response(true);
        Protocol(Box::new(connection))
    }
}

impl std::ops::Deref for Protocol {
    type Target = Connection<role::Server>;

    fn deref(&self) -> &Connection<role::Server> {
        &self.0
    }
}

impl std::ops::DerefMut for Protocol {
    fn deref_mut(&mut self) -> &mut Connection<role::Server> {
        &mut self.0
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol")
    }
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) protocol: Protocol,
    /// Whether it has said anything.
    pub(super) has_begun: bool,
    /// Who it is, once it was let in.
    pub(super) client: Option<Arc<str>>,
    pub(super) deadline: Option<Mono>,
    /// Not written yet.
    pub(super) out: Vec<u8>,
    pub(super) ends: bool,
}

impl Line {
    pub(super) fn new(packet_bytes_max: u32, deadline: Mono) -> Self {
        let protocol = Protocol::new(packet_bytes_max);
        Line { protocol, has_begun: false, client: None, deadline: Some(deadline), out: Vec::new(), ends: false }
    }

    pub(super) fn write(&mut self, packet: &Packet) {
        self.out.extend(packet.to_continuous_buffer());
    }
}
