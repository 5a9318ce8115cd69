use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Those that a client sends are as paho-mqtt 2.2.0 was seen to write them.
#[test]
fn packets_are_what_others_write() {
    let check = |hex: &str, packet: Packet| {
        let bytes = hex::decode(hex.replace(' ', "")).unwrap_or_default();
        assert_eq!(Packet::read(&bytes), Ok(packet.clone()), "{hex}");
        assert_eq!(packet.write(), Ok(bytes), "{packet:?}");
    };
    let connect = Connect {
        client: "d1".into(),
        user: Some("hmdm".into()),
        password: Some(b"PW".to_vec()),
        clean_session: false,
        keep_alive_secs: 300,
    };
    check("10 18 0004 4d515454 04 c0 012c 0002 6431 0004 686d646d 0002 5057", Packet::Connect(connect));
    check("20 02 01 00", Packet::ConnAck { session_present: true, code: 0 });
    check("20 02 00 05", Packet::ConnAck { session_present: false, code: NOT_AUTHORIZED });
    check("82 07 0001 0002 6431 02", Packet::Subscribe(1, vec![("d1".into(), 2)]));
    check("90 03 0001 02", Packet::SubAck(1, vec![2]));
    let publish =
        Publish { topic: "d1".into(), payload: b"hi".to_vec(), qos: 2, id: Some(7), dup: false, retain: false };
    check("34 08 0002 6431 0007 6869", Packet::Publish(publish.clone()));
    check("3c 08 0002 6431 0007 6869", Packet::Publish(Publish { dup: true, ..publish }));
    check("40 02 0007", Packet::PubAck(7));
    check("50 02 0007", Packet::PubRec(7));
    check("62 02 0007", Packet::PubRel(7));
    check("70 02 0007", Packet::PubComp(7));
    check("a2 06 0002 0002 6431", Packet::Unsubscribe(2, vec!["d1".into()]));
    check("b0 02 0002", Packet::UnsubAck(2));
    check("c0 00", Packet::PingReq);
    check("d0 00", Packet::PingResp);
    check("e0 00", Packet::Disconnect);
}

#[test]
fn a_stream_is_cut_where_a_packet_ends() {
    let check = |bytes: &[u8], expected| assert_eq!(first(bytes), expected, "{bytes:?}");
    check(&[], Ok(None));
    check(&[0xc0], Ok(None));
    check(&[0xc0, 0], Ok(Some(2)));
    check(&[0xc0, 0, 0xd0, 0], Ok(Some(2)));
    check(&[0x30, 0x80], Ok(None));
    check(&[[0x30, 0x80, 0x01].as_slice(), &[0; 127]].concat(), Ok(None));
    check(&[[0x30, 0x80, 0x01].as_slice(), &[0; 128]].concat(), Ok(Some(131)));
    check(&[0x30, 0xff, 0xff, 0xff, 0x7f], Err(MqttError::TooLarge));
    check(&[0x30, 0xff, 0xff, 0xff, 0xff], Err(MqttError::Length));
}

#[test]
fn what_is_no_packet_is_refused() {
    let check = |bytes: &[u8], error| assert_eq!(Packet::read(bytes), Err(error), "{bytes:?}");
    check(&[], MqttError::Length);
    check(&[0xc0, 0, 0], MqttError::Length);
    check(&[0x00, 0], MqttError::Type);
    check(&[0xc1, 0], MqttError::Type);
    check(&[0x60, 2, 0, 7], MqttError::Type);
    check(&[0x40, 3, 0, 7, 0], MqttError::Fields);
    check(&[0x36, 5, 0, 1, b'a', 0, 1], MqttError::Fields);
    assert_eq!(Packet::PubAck(0).write(), Err(MqttError::Fields));
    assert_eq!(Packet::Subscribe(1, vec![("a".into(), 3)]).write(), Err(MqttError::Fields));
    let long = Publish { topic: "a".into(), payload: vec![0; PACKET_BYTES_MAX], ..Publish::default() };
    assert_eq!(Packet::Publish(long).write(), Err(MqttError::TooLarge));
}

#[test]
fn a_message_that_comes_again_before_its_release_is_the_same() {
    let publish = |id, qos| Publish { topic: "d1".into(), qos, id, ..Publish::default() };
    let mut inbox = Inbox::default();
    assert_eq!(inbox.take(&publish(Some(7), 2)), (true, Some(Packet::PubRec(7))));
    // The connection is lost before the PUBREC gets there, and the session is kept.
    let mut inbox = Inbox::new(inbox.received().iter().copied());
    assert_eq!(inbox.take(&publish(Some(7), 2)), (false, Some(Packet::PubRec(7))));
    assert_eq!(inbox.release(7), Packet::PubComp(7));
    assert_eq!(inbox.release(7), Packet::PubComp(7));
    assert_eq!(inbox.take(&publish(Some(7), 2)), (true, Some(Packet::PubRec(7))));
    assert_eq!(inbox.take(&publish(Some(8), 1)), (true, Some(Packet::PubAck(8))));
    assert_eq!(inbox.take(&publish(None, 0)), (true, None));
    for id in 1..=u16::MAX {
        inbox.take(&publish(Some(id), 2));
    }
    assert_eq!(inbox.received().len(), INBOX_MAX);
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("mqtt", target);
}

fn packets() -> impl Strategy<Value = Packet> {
    let id = 1..=u16::MAX;
    let name = "[a-z0-9/ü]{1,20}";
    prop_oneof![
        ("\\PC{0,20}", option::of(("[a-z]{1,9}", option::of(vec(any::<u8>(), 0..30)))), any::<bool>(), any::<u16>())
            .prop_map(|(client, user, clean_session, keep_alive_secs)| {
                let (user, password) = user.map_or((None, None), |(user, password)| (Some(user), password));
                Packet::Connect(Connect { client, user, password, clean_session, keep_alive_secs })
            }),
        (any::<bool>(), 0..=5_u8)
            .prop_map(|(present, code)| Packet::ConnAck { session_present: present && code == 0, code }),
        (name, vec(any::<u8>(), 0..300), 0..=2_u8, id.clone(), any::<bool>(), any::<bool>()).prop_map(
            |(topic, payload, qos, id, dup, retain)| {
                let (id, dup) = if qos == 0 { (None, false) } else { (Some(id), dup) };
                Packet::Publish(Publish { topic, payload, qos, id, dup, retain })
            }
        ),
        id.clone().prop_map(Packet::PubRec),
        id.clone().prop_map(Packet::PubRel),
        (id.clone(), vec((name, 0..=2_u8), 1..4)).prop_map(|(id, filters)| Packet::Subscribe(id, filters)),
        (id.clone(), vec(prop_oneof![0..=2_u8, Just(SUBSCRIPTION_FAILED)], 1..4))
            .prop_map(|(id, codes)| Packet::SubAck(id, codes)),
        (id, vec(name, 1..4)).prop_map(|(id, filters)| Packet::Unsubscribe(id, filters)),
        Just(Packet::PingReq),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(packets in vec(packets(), 1..4)) {
        let mut stream = Vec::new();
        for packet in &packets {
            stream.extend(packet.write()?);
        }
        let mut rest = stream.as_slice();
        for packet in packets {
            let end = first(rest)?.unwrap_or_default();
            prop_assert_eq!(Packet::read(&rest[..end])?, packet);
            rest = &rest[end..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..100), kind in any::<u8>(), body in vec(any::<u8>(), 0..100)) {
        target(&bytes);
        target(&[&[kind, body.len() as u8], body.as_slice()].concat());
    }
}
