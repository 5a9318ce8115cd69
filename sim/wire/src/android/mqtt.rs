//! MQTT 3.1.1 (OASIS, *MQTT Version 3.1.1*), as agents and their brokers speak it: packets in both directions, where one
//! ends in a stream, and what exactly-once delivery needs to remember. Fields are read and written by `mqtt-protocol-core`;
//! wills are read over, since nobody here leaves one.

use mqtt_protocol_core::mqtt::packet::v3_1_1 as v3;
use mqtt_protocol_core::mqtt::packet::{Qos, SubEntry, SubOpts};
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, MqttError as Malformed, SubackReturnCode};

/// Bytes of a packet. A push of an agent's server has under 100, the longest that is seen 4 KB.
pub const PACKET_BYTES_MAX: usize = 256 << 10;
/// Deliveries under way at once in one session ([`Inbox`]); paho's clients take 10.
pub const INBOX_MAX: usize = 64;
/// CONNACK: refused for who it is (3.2.2.3).
pub const NOT_AUTHORIZED: u8 = 5;
/// SUBACK: refused (3.9.3).
pub const SUBSCRIPTION_FAILED: u8 = 0x80;

/// What is wrong with a packet.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MqttError {
    /// More than anybody sends.
    #[error("longer than {PACKET_BYTES_MAX} bytes")]
    TooLarge,
    /// A length that does not end, or that the packet does not have.
    #[error("not the length of a packet")]
    Length,
    /// A type that is none, or flags that it can't have.
    #[error("not a type of packet with its flags")]
    Type,
    /// Fields that break a rule of the protocol.
    #[error("not the fields of such a packet")]
    Fields,
}

/// Bytes of the first packet in a buffer; `None` while its end has not come.
pub fn first(buffer: &[u8]) -> Result<Option<usize>, MqttError> {
    let Some(rest) = buffer.get(1..) else { return Ok(None) };
    let mut length = 0;
    for (at, byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let whole = 2 + at + length;
            return match whole {
                ..=PACKET_BYTES_MAX => Ok((whole <= buffer.len()).then_some(whole)),
                _ => Err(MqttError::TooLarge),
            };
        }
    }
    if rest.len() < LENGTH_BYTES_MAX { Ok(None) } else { Err(MqttError::Length) }
}

/// Bytes of the *Remaining Length* (2.2.3).
const LENGTH_BYTES_MAX: usize = 4;

/// A packet. Ids are never 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packet {
    /// CONNECT.
    Connect(Connect),
    /// CONNACK.
    ConnAck {
        /// The broker has kept the session of the last connection.
        session_present: bool,
        /// 0, or why not.
        code: u8,
    },
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK: at least once, done.
    PubAck(u16),
    /// PUBREC: exactly once, received.
    PubRec(u16),
    /// PUBREL: exactly once, may be forgotten.
    PubRel(u16),
    /// PUBCOMP: exactly once, done.
    PubComp(u16),
    /// SUBSCRIBE: filters of topics, each with the quality of service that is asked for.
    Subscribe(u16, Vec<(String, u8)>),
    /// SUBACK: for each filter the quality that is granted, or [`SUBSCRIPTION_FAILED`].
    SubAck(u16, Vec<u8>),
    /// UNSUBSCRIBE.
    Unsubscribe(u16, Vec<String>),
    /// UNSUBACK.
    UnsubAck(u16),
    /// PINGREQ.
    PingReq,
    /// PINGRESP.
    PingResp,
    /// DISCONNECT.
    Disconnect,
}

/// Who connects, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Connect {
    /// Client id: one connection each.
    pub client: String,
    /// User name.
    pub user: Option<String>,
    /// Password; only with a user.
    pub password: Option<Vec<u8>>,
    /// Whether the session ends with the connection.
    pub clean_session: bool,
    /// Seconds in which the client says something; the broker waits half as long again. 0 for ever.
    pub keep_alive_secs: u16,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Publish {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// At most once, at least once, exactly once.
    pub qos: u8,
    /// The delivery's id; only with a quality of 1 or 2.
    pub id: Option<u16>,
    /// Sent again.
    pub dup: bool,
    /// Kept by the broker for those who subscribe later.
    pub retain: bool,
}

impl Packet {
    /// Reads one whole packet, as [`first`] measures it.
    pub fn read(bytes: &[u8]) -> Result<Self, MqttError> {
        if first(bytes)? != Some(bytes.len()) {
            return Err(MqttError::Length);
        }
        // The bytes of the length are those with a continuation, and one more.
        let (kind, rest) = bytes.split_first().ok_or(MqttError::Length)?;
        let at = rest.iter().position(|byte| byte & 0x80 == 0).ok_or(MqttError::Length)? + 1;
        let body = rest.get(at..).ok_or(MqttError::Length)?;
        Ok(match (kind >> 4, kind & 0x0f) {
            // The library takes a reason behind the id, which is of MQTT 5.
            (4..=7 | 11, _) if body.len() != 2 => return Err(MqttError::Fields),
            (1, 0) => Packet::Connect(Connect::of(&whole(body, v3::Connect::parse)?)),
            (2, 0) => {
                let ack = whole(body, v3::Connack::parse)?;
                Packet::ConnAck { session_present: ack.session_present(), code: ack.return_code() as u8 }
            }
            (3, flags) => Packet::Publish(Publish::of(&whole(body, |body| v3::Publish::parse(flags, body.into()))?)),
            (4, 0) => Packet::PubAck(whole(body, v3::Puback::parse)?.packet_id()),
            (5, 0) => Packet::PubRec(whole(body, v3::Pubrec::parse)?.packet_id()),
            (6, 2) => Packet::PubRel(whole(body, v3::Pubrel::parse)?.packet_id()),
            (7, 0) => Packet::PubComp(whole(body, v3::Pubcomp::parse)?.packet_id()),
            (8, 2) => {
                let subscribe = whole(body, v3::Subscribe::parse)?;
                let filter = |entry: &SubEntry| (entry.topic_filter().to_owned(), entry.sub_opts().qos() as u8);
                Packet::Subscribe(subscribe.packet_id(), subscribe.entries().iter().map(filter).collect())
            }
            (9, 0) => {
                let ack = whole(body, v3::Suback::parse)?;
                Packet::SubAck(ack.packet_id(), ack.return_codes().into_iter().map(|code| code as u8).collect())
            }
            (10, 2) => {
                let unsubscribe = whole(body, v3::Unsubscribe::parse)?;
                let filters = unsubscribe.entries().iter().map(|filter| filter.as_str().to_owned());
                Packet::Unsubscribe(unsubscribe.packet_id(), filters.collect())
            }
            (11, 0) => Packet::UnsubAck(whole(body, v3::Unsuback::parse)?.packet_id()),
            (12, 0) => whole(body, v3::Pingreq::parse).map(|_| Packet::PingReq)?,
            (13, 0) => whole(body, v3::Pingresp::parse).map(|_| Packet::PingResp)?,
            (14, 0) => whole(body, v3::Disconnect::parse).map(|_| Packet::Disconnect)?,
            _ => return Err(MqttError::Type),
        })
    }

    /// Writes it; an error for what no packet can say (an id of 0, a text of 64 KB, a quality of 3).
    pub fn write(&self) -> Result<Vec<u8>, MqttError> {
        let bytes = self.written().map_err(|_| MqttError::Fields)?;
        if bytes.len() > PACKET_BYTES_MAX { Err(MqttError::TooLarge) } else { Ok(bytes) }
    }

    fn written(&self) -> Result<Vec<u8>, Malformed> {
        Ok(match self {
            Packet::Connect(connect) => connect.packet()?.to_continuous_buffer(),
            Packet::ConnAck { session_present, code } => {
                let code = ConnectReturnCode::try_from(*code).map_err(|_| Malformed::ProtocolError)?;
                let ack = v3::Connack::builder().session_present(*session_present).return_code(code);
                ack.build()?.to_continuous_buffer()
            }
            Packet::Publish(publish) => publish.packet()?.to_continuous_buffer(),
            Packet::PubAck(id) => v3::Puback::builder().packet_id(*id).build()?.to_continuous_buffer(),
            Packet::PubRec(id) => v3::Pubrec::builder().packet_id(*id).build()?.to_continuous_buffer(),
            Packet::PubRel(id) => v3::Pubrel::builder().packet_id(*id).build()?.to_continuous_buffer(),
            Packet::PubComp(id) => v3::Pubcomp::builder().packet_id(*id).build()?.to_continuous_buffer(),
            Packet::Subscribe(id, filters) => {
                let entry = |(filter, qos): &(String, u8)| {
                    SubEntry::new(filter.as_str(), SubOpts::new().set_qos(quality(*qos)?))
                };
                let entries = filters.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
                v3::Subscribe::builder().packet_id(*id).entries(entries).build()?.to_continuous_buffer()
            }
            Packet::SubAck(id, codes) => {
                let code = |code: &u8| SubackReturnCode::try_from(*code).map_err(|_| Malformed::ProtocolError);
                let codes = codes.iter().map(code).collect::<Result<Vec<_>, _>>()?;
                v3::Suback::builder().packet_id(*id).return_codes(codes).build()?.to_continuous_buffer()
            }
            Packet::Unsubscribe(id, filters) => {
                let filters = filters.iter().map(String::as_str);
                v3::Unsubscribe::builder().packet_id(*id).entries(filters)?.build()?.to_continuous_buffer()
            }
            Packet::UnsubAck(id) => v3::Unsuback::builder().packet_id(*id).build()?.to_continuous_buffer(),
            Packet::PingReq => v3::Pingreq::new().to_continuous_buffer(),
            Packet::PingResp => v3::Pingresp::new().to_continuous_buffer(),
            Packet::Disconnect => v3::Disconnect::new().to_continuous_buffer(),
        })
    }
}

impl Connect {
    fn of(packet: &v3::Connect) -> Self {
        Connect {
            client: packet.client_id().to_owned(),
            user: packet.user_name().map(str::to_owned),
            password: packet.password().map(<[u8]>::to_vec),
            clean_session: packet.clean_session(),
            keep_alive_secs: packet.keep_alive(),
        }
    }

    fn packet(&self) -> Result<v3::Connect, Malformed> {
        let mut connect = v3::Connect::builder().client_id(self.client.as_str())?.clean_session(self.clean_session);
        if let Some(user) = &self.user {
            connect = connect.user_name(user.as_str())?;
        }
        if let Some(password) = &self.password {
            connect = connect.password(password)?;
        }
        connect.keep_alive(self.keep_alive_secs).build()
    }
}

impl Publish {
    fn of(packet: &v3::Publish) -> Self {
        Publish {
            topic: packet.topic_name().to_owned(),
            payload: packet.payload().as_slice().to_vec(),
            qos: packet.qos() as u8,
            id: packet.packet_id(),
            dup: packet.dup(),
            retain: packet.retain(),
        }
    }

    fn packet(&self) -> Result<v3::Publish, Malformed> {
        let mut publish = v3::Publish::builder().topic_name(self.topic.as_str())?.payload(self.payload.as_slice());
        if let Some(id) = self.id {
            publish = publish.packet_id(id);
        }
        publish.qos(quality(self.qos)?).dup(self.dup).retain(self.retain).build()
    }
}

/// Fields that fill the body to its last byte.
fn whole<T>(body: &[u8], parse: impl FnOnce(&[u8]) -> Result<(T, usize), Malformed>) -> Result<T, MqttError> {
    match parse(body) {
        Ok((packet, used)) if used == body.len() => Ok(packet),
        _ => Err(MqttError::Fields),
    }
}

fn quality(qos: u8) -> Result<Qos, Malformed> {
    Qos::try_from(qos).map_err(|_| Malformed::ProtocolError)
}

/// What the receiving end of a session remembers: deliveries that it has answered with PUBREC, and that it must not take
/// again for new before their PUBREL (4.3.3, method B). Outlives connections unless the session is clean.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inbox(Vec<u16>);

impl Inbox {
    /// One that has answered these.
    pub fn new(received: impl IntoIterator<Item = u16>) -> Self {
        Inbox(received.into_iter().take(INBOX_MAX).collect())
    }

    /// Ids of what it has answered and not yet forgotten, oldest first.
    pub fn received(&self) -> &[u16] {
        &self.0
    }

    /// A message has come: whether it is a new one, and what is to be answered. Of more than [`INBOX_MAX`] at once the
    /// oldest is forgotten, and would be taken for new.
    pub fn take(&mut self, publish: &Publish) -> (bool, Option<Packet>) {
        match (publish.qos, publish.id) {
            (2, Some(id)) => {
                let is_new = !self.0.contains(&id);
                if is_new {
                    if self.0.len() == INBOX_MAX {
                        self.0.remove(0);
                    }
                    self.0.push(id);
                }
                (is_new, Some(Packet::PubRec(id)))
            }
            (1, Some(id)) => (true, Some(Packet::PubAck(id))),
            _ => (true, None),
        }
    }

    /// A PUBREL has come; the answer is the same whether or not the delivery was known.
    pub fn release(&mut self, id: u16) -> Packet {
        self.0.retain(|known| *known != id);
        Packet::PubComp(id)
    }
}

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    let Ok(Some(end)) = first(bytes) else { return };
    let Some(bytes) = bytes.get(..end) else { return };
    if let Ok(packet) = Packet::read(bytes) {
        // An id of 0 is read and never written.
        if let Ok(written) = packet.write() {
            assert_eq!(Packet::read(&written), Ok(packet));
        }
    }
}

#[cfg(test)]
mod tests;
