//! The broker: bytes and times in, bytes out.

use super::line::{Line, LineId, Refusal, Written};
use super::session::{At, Message, Session};
use super::tally::Tally;
use super::topic::{Subscriptions, is_filter, is_topic};
use droves_facts::{Dur, Mono};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Event, TimerKind};
use mqtt_protocol_core::mqtt::packet::v3_1_1::{Connack, Connect, Publish, Suback, Subscribe, Unsuback, Unsubscribe};
use mqtt_protocol_core::mqtt::packet::{Packet, Qos};
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, SubackReturnCode};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A packet of a client. Agents send names of topics and acknowledgements.
const PACKET_BYTES_MAX: u32 = 64 << 10;
/// How a connection begins: a CONNECT (section 3.1.0), without flags.
const FIRST_BYTE: u8 = 0x10;
/// From a connection's beginning to its CONNECT.
const CONNECT_WAIT_MAX: Dur = Dur::secs(30);
/// Sessions, with a connection or without.
const SESSIONS_MAX: usize = 200_000;
/// Filters of one session.
const FILTERS_MAX: usize = 64;
/// Messages that wait for one session; one more is dropped.
const QUEUE_MAX: usize = 1_000;
/// Messages on their way to one client, not acknowledged yet.
const IN_FLIGHT_MAX: usize = 20;
/// What a client may leave unread; beyond it messages wait, or are dropped where they can't.
const OUT_BYTES_MAX: usize = 256 << 10;

/// How a broker is, beside what MQTT asks of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The name that all clients show.
    pub user: String,
    /// Their password.
    pub password: String,
    /// Whether a client may subscribe to more than the topic of its own id.
    pub open_topics: bool,
    /// Whether a client is told that its session was kept.
    pub says_session: bool,
}

/// A message that its client has acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledged {
    /// The client's id.
    pub client: Arc<str>,
    /// The name that the message was published with.
    pub name: u64,
}

/// A broker. Its clients are the business of whoever calls: bytes that came are handed to [`Broker::hear`], and the connections
/// that [`Broker::stirred`] names are asked by [`Broker::take`] what they are to write.
#[derive(Debug)]
pub struct Broker {
    settings: Settings,
    pub(super) sessions: HashMap<Arc<str>, Session>,
    subscriptions: Subscriptions,
    pub(super) lines: HashMap<LineId, Line>,
    opened: u64,
    now: Mono,
    stirred: BTreeSet<LineId>,
    acknowledged: Vec<Acknowledged>,
    tally: Tally,
}

impl Broker {
    /// A broker without clients.
    pub fn new(settings: Settings) -> Self {
        Broker {
            settings,
            sessions: HashMap::new(),
            subscriptions: Subscriptions::default(),
            lines: HashMap::new(),
            opened: 0,
            now: Mono::ZERO,
            stirred: BTreeSet::new(),
            acknowledged: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// A client has connected.
    pub fn open(&mut self, now: Mono) -> LineId {
        self.now = now;
        self.opened += 1;
        let id = LineId(self.opened);
        self.lines.insert(id, Line::new(PACKET_BYTES_MAX, now + CONNECT_WAIT_MAX));
        id
    }

    /// Bytes came. `gate` is asked whether a client is to be refused that has shown all that is wanted of it.
    pub fn hear(&mut self, now: Mono, id: LineId, bytes: &[u8], gate: &mut dyn FnMut(&str) -> Option<Refusal>) {
        self.now = now;
        if let (Some(line), Some(first)) = (self.lines.get_mut(&id), bytes.first())
            && !std::mem::replace(&mut line.has_begun, true)
            && *first != FIRST_BYTE
        {
            // Of another packet the protocol would wait for the whole, as long as that says it is.
            return self.break_off(id);
        }
        let mut cursor = Cursor::new(bytes);
        while (cursor.position() as usize) < bytes.len() {
            let Some(line) = self.lines.get_mut(&id).filter(|line| !line.ends) else { return };
            let events = line.protocol.recv(&mut cursor);
            self.act(id, events, gate);
        }
    }

    /// A connection's deadline has passed.
    pub fn fire(&mut self, now: Mono, id: LineId) {
        if let Some(line) = self.lines.get_mut(&id)
            && line.deadline.is_some_and(|deadline| deadline <= now)
        {
            line.ends = true;
            self.tally.timed_out += 1;
            self.stirred.insert(id);
        }
    }

    /// A connection is closed.
    pub fn gone(&mut self, id: LineId) {
        let Some(mut line) = self.lines.remove(&id) else { return };
        self.stirred.remove(&id);
        let Some(client) = line.client else { return };
        // Packet ids that it gives back are of messages that nobody has acknowledged.
        drop(line.protocol.notify_closed());
        let Some(session) = self.sessions.get_mut(&client) else { return };
        if session.is_clean {
            self.forget(&client);
        } else {
            session.at = At::Away(line.protocol);
        }
    }

    /// Publishes to whoever has subscribed, as well as they want it. `name` is told when somebody has acknowledged it. Gives how
    /// many subscribers there are.
    pub fn publish(&mut self, topic: &str, payload: &[u8], name: u64) -> usize {
        let message = Message { topic: topic.into(), payload: payload.into(), name: Some(name) };
        self.distribute(message, Qos::ExactlyOnce)
    }

    /// Whether a client is connected.
    pub fn is_connected(&self, client: &str) -> bool {
        self.sessions.get(client).is_some_and(|session| session.line().is_some())
    }

    /// The connections that have something to do since this was asked last.
    pub fn stirred(&mut self) -> BTreeSet<LineId> {
        std::mem::take(&mut self.stirred)
    }

    /// What a connection is to do; one that is not known is to end.
    pub fn take(&mut self, id: LineId) -> Written {
        let Some(line) = self.lines.get_mut(&id) else { return Written { ends: true, ..Written::default() } };
        let written = Written { bytes: std::mem::take(&mut line.out), ends: line.ends, deadline: line.deadline };
        if let Some(client) = line.client.clone() {
            // There may be room now for what waits.
            self.flush(&client);
        }
        written
    }

    /// What was acknowledged since this was asked last.
    pub fn acknowledged(&mut self) -> Vec<Acknowledged> {
        std::mem::take(&mut self.acknowledged)
    }

    /// What it has counted.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn act(&mut self, id: LineId, events: Vec<Event>, gate: &mut dyn FnMut(&str) -> Option<Refusal>) {
        self.stirred.insert(id);
        for event in events {
            let Some(line) = self.lines.get_mut(&id) else { return };
            match event {
                Event::RequestSendPacket { packet, .. } => line.write(&packet),
                Event::RequestTimerReset { kind: TimerKind::PingreqRecv, duration_ms } => {
                    line.deadline = Some(self.now + Dur::ms(duration_ms));
                }
                Event::RequestTimerCancel(TimerKind::PingreqRecv) => line.deadline = None,
                // A server sends no pings.
                Event::RequestTimerReset { .. } | Event::RequestTimerCancel(_) => {}
                Event::NotifyPacketReceived(Packet::V3_1_1Connect(packet)) => self.connect(id, &packet, gate),
                Event::NotifyPacketReceived(packet) => self.received(id, packet),
                Event::NotifyPacketIdReleased(packet) => self.released(id, packet),
                Event::NotifyError(error) => {
                    tracing::debug!(?error, "mqtt client");
                    self.break_off(id);
                }
                Event::RequestClose => line.ends = true,
            }
        }
    }

    fn break_off(&mut self, id: LineId) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.ends = true;
            self.tally.broken += 1;
            self.stirred.insert(id);
        }
    }

    /// A client says who it is (section 3.1).
    fn connect(&mut self, id: LineId, packet: &Connect, gate: &mut dyn FnMut(&str) -> Option<Refusal>) {
        let code = match self.refusal(packet, gate) {
            Some(Refusal::HangUp) => {
                self.tally.refused += 1;
                if let Some(line) = self.lines.get_mut(&id) {
                    line.ends = true;
                }
                return;
            }
            Some(Refusal::Unavailable) => ConnectReturnCode::ServerUnavailable,
            None if !self.is_known(packet) => ConnectReturnCode::NotAuthorized,
            None if packet.client_id().is_empty() && !packet.clean_session() => ConnectReturnCode::IdentifierRejected,
            None => ConnectReturnCode::Accepted,
        };
        let mut is_present = false;
        if code == ConnectReturnCode::Accepted {
            self.tally.connected += 1;
            is_present = self.let_in(id, packet);
        } else {
            self.tally.refused += 1;
        }
        let is_present = is_present && self.settings.says_session;
        let connack = Connack::builder().session_present(is_present).return_code(code).build();
        self.send(id, connack.map(Packet::from).ok());
        if let Some(client) = self.lines.get(&id).and_then(|line| line.client.clone()) {
            self.flush(&client);
        }
    }

    fn is_known(&self, packet: &Connect) -> bool {
        let Settings { user, password, .. } = &self.settings;
        packet.user_name() == Some(user.as_str()) && packet.password() == Some(password.as_bytes())
    }

    fn refusal(&self, packet: &Connect, gate: &mut dyn FnMut(&str) -> Option<Refusal>) -> Option<Refusal> {
        let is_full = self.sessions.len() >= SESSIONS_MAX && !self.sessions.contains_key(packet.client_id());
        gate(packet.client_id()).or(is_full.then_some(Refusal::Unavailable))
    }

    /// Gives a connection its session, and tells whether that was kept from before.
    fn let_in(&mut self, id: LineId, packet: &Connect) -> bool {
        let client: Arc<str> = match packet.client_id() {
            "" => format!("line-{}", id.0).into(),
            client => client.into(),
        };
        if let Some(before) = self.sessions.get(&client).and_then(Session::line) {
            self.tally.taken_over += 1;
            if let Some(line) = self.lines.get_mut(&before) {
                line.ends = true;
                self.stirred.insert(before);
            }
            self.leave(before);
        }
        if packet.clean_session() {
            self.forget(&client);
        }
        let Some(line) = self.lines.get_mut(&id) else { return false };
        line.client = Some(Arc::clone(&client));
        let Some(session) = self.sessions.get_mut(&client) else {
            self.sessions.insert(client, Session::new(packet.clean_session(), id));
            return false;
        };
        if let At::Away(mut protocol) = std::mem::replace(&mut session.at, At::Line(id)) {
            // It hears what its stand-in has heard, and goes on where it was.
            let connect = packet.to_continuous_buffer();
            drop(protocol.recv(&mut Cursor::new(connect.as_slice())));
            line.protocol = protocol;
        }
        true
    }

    /// A connection has no session any more; what the protocol knows stays with that.
    fn leave(&mut self, id: LineId) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        let Some(client) = line.client.take() else { return };
        let mut protocol = std::mem::replace(&mut line.protocol, super::line::Protocol::new(PACKET_BYTES_MAX));
        drop(protocol.notify_closed());
        match self.sessions.get_mut(&client) {
            Some(session) if !session.is_clean => session.at = At::Away(protocol),
            _ => self.forget(&client),
        }
    }

    fn forget(&mut self, client: &Arc<str>) {
        let Some(session) = self.sessions.remove(client) else { return };
        self.tally.dropped += (session.queue.len() + session.in_flight.len()) as u64;
        for filter in &session.filters {
            self.subscriptions.remove(client, filter);
        }
    }

    fn received(&mut self, id: LineId, packet: Packet) {
        let Some(client) = self.lines.get(&id).and_then(|line| line.client.clone()) else {
            return self.break_off(id);
        };
        let answer = match packet {
            Packet::V3_1_1Subscribe(packet) => self.subscribe(&client, &packet),
            Packet::V3_1_1Unsubscribe(packet) => self.unsubscribe(&client, &packet),
            Packet::V3_1_1Publish(packet) if is_topic(packet.topic_name()) => {
                let payload = packet.payload().as_slice().into();
                let message = Message { topic: packet.topic_name().into(), payload, name: None };
                self.distribute(message, packet.qos());
                return;
            }
            Packet::V3_1_1Publish(_) => return self.break_off(id),
            Packet::V3_1_1Disconnect(_) => {
                if let Some(line) = self.lines.get_mut(&id) {
                    line.ends = true;
                }
                return;
            }
            Packet::V3_1_1Pingreq(_) => {
                self.tally.pings += 1;
                return;
            }
            _ => return,
        };
        self.send(id, answer);
    }

    fn subscribe(&mut self, client: &Arc<str>, packet: &Subscribe) -> Option<Packet> {
        let session = self.sessions.get_mut(client)?;
        let mut codes = Vec::new();
        for entry in packet.entries() {
            let (filter, qos) = (entry.topic_filter(), entry.sub_opts().qos());
            let is_allowed = self.settings.open_topics || filter == &**client;
            let has_room = session.filters.len() < FILTERS_MAX || session.filters.contains(filter);
            if !(is_filter(filter) && is_allowed && has_room) {
                codes.push(SubackReturnCode::Failure);
                continue;
            }
            self.tally.subscribed += 1;
            session.filters.insert(filter.to_owned());
            self.subscriptions.add(client, filter, qos);
            codes.push(match qos {
                Qos::AtMostOnce => SubackReturnCode::SuccessMaximumQos0,
                Qos::AtLeastOnce => SubackReturnCode::SuccessMaximumQos1,
                Qos::ExactlyOnce => SubackReturnCode::SuccessMaximumQos2,
            });
        }
        Suback::builder().packet_id(packet.packet_id()).return_codes(codes).build().map(Packet::from).ok()
    }

    fn unsubscribe(&mut self, client: &Arc<str>, packet: &Unsubscribe) -> Option<Packet> {
        let session = self.sessions.get_mut(client)?;
        for filter in packet.entries() {
            if session.filters.remove(filter.as_str()) {
                self.subscriptions.remove(client, filter.as_str());
            }
        }
        Unsuback::builder().packet_id(packet.packet_id()).build().map(Packet::from).ok()
    }

    fn distribute(&mut self, message: Message, qos: Qos) -> usize {
        let subscribers = self.subscriptions.of(&message.topic);
        let count = subscribers.len();
        for (client, granted) in subscribers {
            let qos = if (granted as u8) < qos as u8 { granted } else { qos };
            let Some(session) = self.sessions.get_mut(&client) else { continue };
            let is_away = session.line().is_none();
            if session.queue.len() >= QUEUE_MAX || (is_away && qos == Qos::AtMostOnce) {
                self.tally.dropped += 1;
                continue;
            }
            self.tally.kept += u64::from(is_away);
            session.queue.push_back((message.clone(), qos));
            self.flush(&client);
        }
        count
    }

    /// Sends what waits, as far as the client is there and keeps up.
    fn flush(&mut self, client: &Arc<str>) {
        loop {
            let Some(session) = self.sessions.get_mut(client) else { return };
            let Some(id) = session.line() else { return };
            let Some(line) = self.lines.get_mut(&id).filter(|line| !line.ends) else { return };
            let has_room = session.in_flight.len() < IN_FLIGHT_MAX && line.out.len() < OUT_BYTES_MAX;
            let Some((message, qos)) = has_room.then(|| session.queue.pop_front()).flatten() else { return };
            let publish = Publish::builder().topic_name(&*message.topic).map(|b| b.qos(qos).payload(&*message.payload));
            let publish = if qos == Qos::AtMostOnce {
                publish.and_then(|builder| builder.build())
            } else {
                line.protocol.acquire_packet_id().and_then(|packet| {
                    session.in_flight.insert(packet, message.name);
                    publish.and_then(|builder| builder.packet_id(packet).build())
                })
            };
            self.tally.published += 1;
            self.send(id, publish.map(Packet::from).ok());
        }
    }

    /// A message is with its client for good.
    fn released(&mut self, id: LineId, packet: u16) {
        let Some(client) = self.lines.get(&id).and_then(|line| line.client.clone()) else { return };
        let Some(name) = self.sessions.get_mut(&client).and_then(|session| session.in_flight.remove(&packet)) else {
            return;
        };
        self.tally.acknowledged += 1;
        self.acknowledged.extend(name.map(|name| Acknowledged { client: Arc::clone(&client), name }));
        self.flush(&client);
    }

    /// Sends a packet of ours; one that can't be made ends the connection.
    fn send(&mut self, id: LineId, packet: Option<Packet>) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        match packet {
            Some(packet) => {
                let events = line.protocol.send(packet);
                self.act(id, events, &mut |_| None);
            }
            None => self.break_off(id),
        }
    }
}
