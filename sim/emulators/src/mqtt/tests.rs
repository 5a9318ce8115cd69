//! The broker, led where paho's client can't be led (`tests/peers/mqtt`): by a client that stops at any packet.

#![expect(clippy::unwrap_used, reason = "tests")]
use super::{Broker, LineId, Refusal, Settings};
use droves_facts::{Dur, Mono};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::v3_1_1::{Connect, Publish, Subscribe};
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Packet, Qos, SubEntry, SubOpts};
use mqtt_protocol_core::mqtt::{Connection, Version, role};
use proptest::prelude::*;

const NOW: Mono = Mono(1_000_000);

fn broker() -> Broker {
    let (user, password) = ("hmdm".to_owned(), "secret".to_owned());
    Broker::new(Settings { user, password, open_topics: true, says_session: true })
}

/// A client, and what it has heard: payload, whether it was said to be one more time, and its quality.
struct Client {
    connection: Connection<role::Client>,
    line: LineId,
    heard: Vec<(String, bool, Qos)>,
    connack: Option<(u8, bool)>,
    granted: Vec<u8>,
    /// It takes so many packets more.
    takes: usize,
}

impl Client {
    fn new() -> Self {
        let mut connection = Connection::new(Version::V3_1_1);
        connection.set_auto_pub_response(true);
        Client { connection, line: LineId(0), heard: Vec::new(), connack: None, granted: Vec::new(), takes: usize::MAX }
    }

    fn connect(&mut self, broker: &mut Broker, id: &str, clean: bool) {
        self.connect_with(broker, id, clean, 0, &mut |_| None);
    }

    fn connect_with(
        &mut self,
        broker: &mut Broker,
        id: &str,
        clean: bool,
        keep_alive: u16,
        gate: &mut dyn FnMut(&str) -> Option<Refusal>,
    ) {
        self.line = broker.open(NOW);
        let connect = Connect::builder().client_id(id).unwrap().clean_session(clean).keep_alive(keep_alive);
        let connect = connect.user_name("hmdm").unwrap().password(b"secret").unwrap().build().unwrap();
        let events = self.connection.send(connect.into());
        self.done(broker, events, gate);
        self.pump(broker);
    }

    fn subscribe(&mut self, broker: &mut Broker, filter: &str, qos: Qos) {
        let id = self.connection.acquire_packet_id().unwrap();
        let entry = SubEntry::new(filter, SubOpts::new().set_qos(qos)).unwrap();
        let events =
            self.connection.send(Subscribe::builder().packet_id(id).entries(vec![entry]).build().unwrap().into());
        self.done(broker, events, &mut |_| None);
        self.pump(broker);
    }

    fn publish(&mut self, broker: &mut Broker, topic: &str, qos: Qos) {
        let publish = Publish::builder().topic_name(topic).unwrap().payload("p").qos(qos);
        let publish = match qos {
            Qos::AtMostOnce => publish,
            _ => publish.packet_id(self.connection.acquire_packet_id().unwrap()),
        };
        let events = self.connection.send(publish.build().unwrap().into());
        self.done(broker, events, &mut |_| None);
        self.pump(broker);
    }

    /// Takes what the broker writes, until it writes nothing more or the client takes nothing more; false at its end.
    fn pump(&mut self, broker: &mut Broker) -> bool {
        loop {
            let written = broker.take(self.line);
            let mut cursor = Cursor::new(written.bytes.as_slice());
            while (cursor.position() as usize) < written.bytes.len() && self.takes > 0 {
                self.takes = self.takes.saturating_sub(1);
                let events = self.connection.recv(&mut cursor);
                self.done(broker, events, &mut |_| None);
            }
            if written.ends || written.bytes.is_empty() {
                return !written.ends;
            }
        }
    }

    fn done(&mut self, broker: &mut Broker, events: Vec<Event>, gate: &mut dyn FnMut(&str) -> Option<Refusal>) {
        for event in events {
            match event {
                Event::RequestSendPacket { packet, .. } if self.takes > 0 => {
                    broker.hear(NOW, self.line, &packet.to_continuous_buffer(), gate);
                }
                Event::NotifyPacketReceived(Packet::V3_1_1Publish(packet)) => {
                    let payload = String::from_utf8(packet.payload().as_slice().to_vec()).unwrap();
                    self.heard.push((payload, packet.dup(), packet.qos()));
                }
                Event::NotifyPacketReceived(Packet::V3_1_1Connack(packet)) => {
                    self.connack = Some((packet.return_code() as u8, packet.session_present()));
                }
                Event::NotifyPacketReceived(Packet::V3_1_1Suback(packet)) => {
                    self.granted.extend(packet.return_codes().iter().map(|code| *code as u8));
                }
                Event::NotifyError(error) => panic!("{error:?}"),
                _ => {}
            }
        }
    }

    fn lose(&mut self, broker: &mut Broker) {
        broker.gone(self.line);
        drop(self.connection.notify_closed());
        self.takes = usize::MAX;
    }

    fn payloads(&self) -> Vec<&str> {
        self.heard.iter().map(|(payload, ..)| payload.as_str()).collect()
    }
}

fn names(broker: &mut Broker) -> Vec<u64> {
    broker.acknowledged().into_iter().map(|acknowledged| acknowledged.name).collect()
}

/// Wherever a client is cut off, it has each message once when it is back, and the broker hears of it.
#[test]
fn a_message_comes_once_wherever_the_line_breaks() {
    for takes in 0..8 {
        let (mut broker, mut client) = (broker(), Client::new());
        client.connect(&mut broker, "d1", false);
        client.subscribe(&mut broker, "d1", Qos::ExactlyOnce);
        client.takes = takes;
        for name in 1..=3 {
            assert_eq!(broker.publish("d1", name.to_string().as_bytes(), name), 1);
            client.pump(&mut broker);
        }
        client.lose(&mut broker);
        broker.publish("d1", b"4", 4);
        client.connect(&mut broker, "d1", false);
        assert_eq!(client.connack, Some((0, true)), "{takes}");
        assert_eq!(client.payloads(), ["1", "2", "3", "4"], "cut off after {takes} packets");
        let mut named = names(&mut broker);
        named.sort_unstable();
        assert_eq!((named, broker.tally().dropped), (vec![1, 2, 3, 4], 0), "{takes}");
    }
}

/// What was sent and not taken is sent again, and says so.
#[test]
fn what_comes_again_is_marked() {
    let (mut broker, mut client) = (broker(), Client::new());
    client.connect(&mut broker, "d1", false);
    client.subscribe(&mut broker, "d1", Qos::AtLeastOnce);
    client.takes = 0;
    broker.publish("d1", b"1", 1);
    client.pump(&mut broker);
    client.lose(&mut broker);
    client.connect(&mut broker, "d1", false);
    assert_eq!(client.heard, [("1".to_owned(), true, Qos::AtLeastOnce)]);
    assert_eq!((names(&mut broker), broker.tally().published), (vec![1], 1));
}

#[test]
fn a_clean_session_leaves_nothing() {
    let (mut broker, mut client) = (broker(), Client::new());
    client.connect(&mut broker, "d1", false);
    client.subscribe(&mut broker, "d1", Qos::ExactlyOnce);
    client.lose(&mut broker);
    broker.publish("d1", b"1", 1);
    client.connect(&mut broker, "d1", true);
    assert_eq!((client.connack, broker.publish("d1", b"2", 2)), (Some((0, false)), 0));
    client.lose(&mut broker);
    assert!(broker.sessions.is_empty() && broker.lines.is_empty());
    assert_eq!((client.payloads().len(), broker.tally().dropped), (0, 1));
}

#[test]
fn quality_is_the_lesser_of_what_is_sent_and_what_is_wanted() {
    let (mut broker, mut from, mut to) = (broker(), Client::new(), Client::new());
    from.connect(&mut broker, "from", true);
    to.connect(&mut broker, "to", true);
    for (filter, qos) in [("0", Qos::AtMostOnce), ("1", Qos::AtLeastOnce), ("2", Qos::ExactlyOnce)] {
        to.subscribe(&mut broker, filter, qos);
    }
    to.subscribe(&mut broker, "a/#/b", Qos::AtMostOnce);
    assert_eq!(to.granted, [0, 1, 2, 0x80]);
    for topic in ["0", "1", "2"] {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            from.publish(&mut broker, topic, qos);
            to.pump(&mut broker);
        }
    }
    let came: Vec<u8> = to.heard.iter().map(|(.., qos)| *qos as u8).collect();
    assert_eq!(came, [0, 0, 0, 0, 1, 1, 0, 1, 2]);
}

/// A client that reads and does not acknowledge is not sent everything, and one that is away does not keep everything.
#[test]
fn what_waits_is_bounded() {
    let (mut broker, mut client) = (broker(), Client::new());
    client.connect(&mut broker, "d1", false);
    client.subscribe(&mut broker, "d1", Qos::ExactlyOnce);
    client.takes = 0;
    for name in 0..3_000 {
        broker.publish("d1", b"x", name);
        client.pump(&mut broker);
    }
    assert_eq!(broker.tally().published, 20);
    client.lose(&mut broker);
    broker.publish("d1", b"x", 3_000);
    assert_eq!(broker.tally().dropped, 3_001 - 1_020);
    client.connect(&mut broker, "d1", false);
    assert_eq!((client.heard.len(), names(&mut broker).len()), (1_020, 1_020));
    // Nor is one that reads nothing at all written for without end.
    client.takes = 0;
    for _ in 0..100 {
        broker.publish("d1", &[b'x'; 100_000], 0);
    }
    assert!(broker.take(client.line).bytes.len() < 500_000);
}

#[test]
fn a_client_is_taken_over_with_all_that_waits_for_it() {
    let (mut broker, mut first, mut second) = (broker(), Client::new(), Client::new());
    first.connect(&mut broker, "d1", false);
    first.subscribe(&mut broker, "d1", Qos::ExactlyOnce);
    first.takes = 0;
    broker.publish("d1", b"1", 1);
    second.connect(&mut broker, "d1", false);
    assert_eq!((second.connack, second.payloads()), (Some((0, true)), vec!["1"]));
    assert!(!first.pump(&mut broker), "it is cut off");
    first.lose(&mut broker);
    broker.publish("d1", b"2", 2);
    assert!(second.pump(&mut broker) && broker.is_connected("d1"));
    assert_eq!((second.payloads(), broker.tally().taken_over), (vec!["1", "2"], 1));
}

#[test]
fn who_says_nothing_is_cut_off_at_its_time() {
    let (mut broker, mut client) = (broker(), Client::new());
    let silent = broker.open(NOW);
    client.connect_with(&mut broker, "d1", true, 10, &mut |_| None);
    for (line, wait) in [(silent, 30), (client.line, 15)] {
        let end = NOW + Dur::secs(wait);
        assert_eq!(broker.take(line).deadline, Some(end));
        broker.fire(Mono(end.0 - 1), line);
        assert!(!broker.take(line).ends);
        broker.fire(end, line);
        assert!(broker.take(line).ends);
    }
    assert_eq!(broker.tally().timed_out, 2);
}

#[test]
fn who_pings_has_its_time_once_more() {
    let (mut broker, mut client) = (broker(), Client::new());
    client.connect_with(&mut broker, "d1", true, 10, &mut |_| None);
    let (line, pinged) = (client.line, NOW + Dur::secs(14));
    broker.hear(pinged, line, &[0xc0, 0], &mut |_| None);
    assert_eq!(broker.take(line).deadline, Some(pinged + Dur::secs(15)));
    broker.fire(NOW + Dur::secs(15), line);
    assert!(!broker.take(line).ends);
    assert_eq!((broker.tally().pings, broker.tally().timed_out), (1, 0));
}

#[test]
fn whoever_begins_with_another_packet_is_cut_off_at_once() {
    for first in (0..=u8::MAX).filter(|first| *first != 0x10) {
        let mut broker = broker();
        let line = broker.open(NOW);
        broker.hear(NOW, line, &[first], &mut |_| None);
        assert!(broker.take(line).ends, "{first:#x}: nobody has to wait for the rest of what comes to nothing");
        assert_eq!((broker.tally().broken, broker.tally().timed_out), (1, 0));
    }
}

#[test]
fn a_gate_refuses_whom_it_will() {
    let mut broker = broker();
    for (refusal, code) in [(Refusal::Unavailable, Some((3, false))), (Refusal::HangUp, None)] {
        let mut client = Client::new();
        client.connect_with(&mut broker, "d1", true, 0, &mut |id| (id == "d1").then_some(refusal));
        assert_eq!(client.connack, code);
        assert!(!client.pump(&mut broker));
    }
    assert_eq!((broker.tally().refused, broker.tally().connected), (2, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever comes, in whatever pieces, the broker stays as it is for everybody else.
    #[test]
    fn rubbish_ends_its_own_line_at_most(
        after_connect in any::<bool>(),
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                (0_u8..16, 0_u8..16, proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(kind, flags, body)| {
                    [&[kind << 4 | flags, body.len() as u8], body.as_slice()].concat()
                }),
            ],
            0..8,
        ),
    ) {
        let (mut broker, mut client) = (broker(), Client::new());
        client.connect(&mut broker, "d1", false);
        client.subscribe(&mut broker, "d1", Qos::ExactlyOnce);
        let mut other = Client::new();
        match after_connect {
            true => other.connect(&mut broker, "other", false),
            false => other.line = broker.open(NOW),
        }
        for piece in pieces {
            broker.hear(NOW, other.line, &piece, &mut |_| None);
            prop_assert!(broker.take(other.line).bytes.len() < 1_000);
        }
        broker.gone(other.line);
        broker.publish("d1", b"still", 1);
        prop_assert!(client.pump(&mut broker));
        prop_assert_eq!(client.payloads(), ["still"]);
    }
}
