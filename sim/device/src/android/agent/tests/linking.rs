//! What the server pushes, over MQTT and by polls.

use super::*;

pub(super) fn polling() -> wire::Config {
    wire::Config { push_options: Some("polling".into()), ..wire::Config::default() }
}

#[test]
fn a_push_is_a_configuration_and_a_report() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config.description = Some("new".into());
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!(rig.operations(), ["android.config", "android.logs", "android.logs", "android.report"]);
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
    assert!(matches!(rig.read[..], [Packet::PubRec(_), Packet::PubComp(_)]), "{:?}", rig.read);
    // The same again is delivered, and no command.
    rig.forget();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!((rig.count(Operation::AndroidReport), rig.hops().len()), (1, 0));
    // What shows at the device only is no reason to speak.
    rig.forget();
    rig.push(&wire::Push::new(Kind::RunApp));
    assert_eq!(rig.operations().len(), 0);
}

#[test]
fn a_link_is_opened_as_the_agent_opens_it() {
    let mut rig = Rig::new(agent());
    rig.order(Order::Enroll);
    let expected = Connect {
        client: "d7".into(),
        user: Some("hmdm".into()),
        password: Some(sign::mqtt_password(SECRET).into_bytes()),
        clean_session: false,
        keep_alive_secs: 300,
    };
    assert_eq!(rig.connects, [("mqtt://mdm.example.test:31000".to_owned(), expected)]);
    assert_eq!(rig.read, [Packet::Subscribe(1, vec![("d7".into(), 2)])]);
}

#[test]
fn a_delivery_that_comes_again_after_a_loss_is_heard_once() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    let push = wire::Push::new(Kind::ConfigUpdated);
    let publish = Publish { topic: "d7".into(), payload: push.write(), qos: 2, id: Some(5), ..Publish::default() };
    rig.frames.push_back(Packet::Publish(publish.clone()));
    rig.settles_one();
    rig.frames.clear();
    rig.fail(1, "reset");
    rig.settle();
    rig.wait(Dur::secs(2));
    assert_eq!(rig.connects.len(), 1, "after a second");
    rig.frames.push_back(Packet::Publish(Publish { dup: true, ..publish }));
    rig.settle();
    assert_eq!(rig.count(Operation::AndroidConfig), 1);
    assert!(rig.read.ends_with(&[Packet::PubRec(5), Packet::PubComp(5)]));
}

#[test]
fn a_link_that_is_lost_is_opened_again_ever_later() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.fail(1, "reset");
    rig.connack = 5;
    rig.wait(Dur::secs(2));
    assert_eq!((rig.connects.len(), rig.complaints()), (1, vec!["reset", "link_refused"]));
    rig.wait(Dur::secs(890));
    assert_eq!(rig.connects.len(), 1, "a refusal is worth a quarter of an hour");
    rig.connack = 0;
    rig.wait(Dur::secs(15));
    assert_eq!(rig.connects.len(), 2);
}

#[test]
fn signs_of_life_are_given_and_missed() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.wait(Dur::secs(299));
    assert!(rig.read.is_empty());
    rig.wait(Dur::secs(2));
    assert_eq!(rig.read, [Packet::PingReq]);
    rig.wait(Dur::secs(600));
    assert_eq!((rig.read.len(), rig.connects.len()), (3, 0));
    rig.answers_pings = false;
    rig.wait(Dur::secs(610));
    assert_eq!((rig.complaints(), rig.connects.len()), (vec!["link_silent"], 1));
}

#[test]
fn two_devices_with_one_number_stop_throwing_each_other_out() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    for _ in 0..40 {
        if matches!(rig.lanes[1].what, What::Wait | What::Send(_)) {
            rig.fail(1, "link_ended");
        }
        rig.wait(Dur::secs(1));
    }
    assert_eq!(rig.connects.len(), 14, "with the one that stood");
    assert_eq!(rig.complaints().last(), Some(&"link_loop"));
    rig.wait(Dur::secs(3_600));
    assert_eq!(rig.connects.len(), 15);
}

#[test]
fn a_broker_that_speaks_nonsense_is_left() {
    for packet in [Packet::PingReq, Packet::ConnAck { session_present: false, code: 0 }] {
        let mut rig = Rig::enrolled(Rig::mqtt());
        rig.frames.push_back(packet);
        rig.settle();
        assert_eq!(rig.complaints(), ["bad_frame"]);
        assert!(matches!(rig.lanes[1].what, What::Sleep { .. }));
    }
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.on(1, Event::Frame(Bytes::from_static(b"\xf0\x00")));
    assert_eq!(rig.complaints(), ["bad_frame"]);
    // A message that is none is answered as one, and goes no further.
    let mut rig = Rig::enrolled(Rig::mqtt());
    let publish = Publish { topic: "d7".into(), payload: b"hello".to_vec(), ..Publish::default() };
    rig.frames.push_back(Packet::Publish(publish));
    rig.settle();
    assert_eq!((rig.complaints(), rig.operations().len()), (vec!["malformed"], 0));
}

#[test]
fn a_poll_is_held_and_its_end_is_no_failure() {
    let mut rig = Rig::enrolled(polling());
    rig.wait(Dur::secs(200));
    assert_eq!(rig.count(Operation::AndroidPoll), 3);
    assert_eq!((rig.complaints().len(), rig.connects.len()), (0, 0));
    let poll = rig.last(Operation::AndroidPoll);
    assert_eq!(poll.url, format!("{BASE}/rest/notification/polling/d7"));
    let signature = sign::request(SECRET, "hmdm/rest/notification/polling/d7");
    assert_eq!(poll.headers["x-request-signature"], signature, "without the slash in front");
    rig.forget();
    rig.config.description = Some("new".into());
    rig.pushes = vec![wire::Push::new(Kind::ConfigUpdated), wire::Push::new(Kind::RunApp)];
    rig.settle();
    assert_eq!((rig.count(Operation::AndroidConfig), rig.hops().len()), (1, 3));
    rig.wait(Dur::secs(4));
    assert_eq!(rig.count(Operation::AndroidPoll), 0);
    rig.wait(Dur::secs(2));
    assert_eq!(rig.count(Operation::AndroidPoll), 1);
}

#[test]
fn a_poll_brings_so_many_messages_and_no_more() {
    let orders = |count: usize| {
        let mut rig = Rig::enrolled(polling());
        rig.pushes = vec![wire::Push::new(Kind::Reboot); count];
        rig.lanes[0].hear = Reasons::NONE;
        rig.settle();
        let complaints =
            rig.facts.iter().filter(|fact| matches!(fact, Fact::Complaint { kind: "too_many_messages", .. }));
        (rig.lanes[0].notes.len(), complaints.count())
    };
    assert_eq!((orders(48), orders(49)), ((48, 0), (48, 1)));
    assert!(Rig::enrolled(polling()).world.limits.notes_max > 48);
}

#[test]
fn a_poll_that_fails_comes_again_after_a_minute() {
    let mut rig = Rig::enrolled(polling());
    rig.answer(1, 403, b"<html>", &[]);
    rig.wait(Dur::secs(59));
    assert_eq!(rig.count(Operation::AndroidPoll), 0);
    rig.wait(Dur::secs(2));
    assert_eq!((rig.count(Operation::AndroidPoll), rig.complaints()), (1, vec!["status_403"]));
    // One that came to nothing comes again at once, by the other base, and then after a minute.
    rig.forget();
    rig.fail(1, "reset");
    assert_eq!(rig.count(Operation::AndroidPoll), 1);
    rig.fail(1, "reset");
    rig.wait(Dur::secs(59));
    assert_eq!(rig.count(Operation::AndroidPoll), 1);
    rig.wait(Dur::secs(2));
    assert_eq!((rig.count(Operation::AndroidPoll), rig.complaints()), (2, vec!["reset"; 2]));
}

#[test]
fn a_server_that_ends_a_poll_at_once_is_complained_of_and_asked_again_after_a_pause() {
    for (status, kind) in [(500, "status_500"), (503, "status_503")] {
        let mut rig = Rig::enrolled(polling());
        rig.forget();
        rig.answer(1, status, b"<html>", &[]);
        rig.wait(Dur::secs(4));
        assert_eq!((rig.count(Operation::AndroidPoll), rig.complaints()), (0, vec![kind]));
        rig.wait(Dur::secs(2));
        assert_eq!(rig.count(Operation::AndroidPoll), 1);
    }
}

#[test]
fn the_way_of_pushes_changes_with_the_configuration() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config = polling();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!(rig.count(Operation::AndroidPoll), 1);
    rig.config.push_options = None;
    rig.pushes = vec![wire::Push::new(Kind::ConfigUpdated)];
    rig.settle();
    rig.forget();
    rig.wait(Dur::secs(600));
    assert_eq!((rig.count(Operation::AndroidPoll), rig.connects.len()), (0, 0));
    rig.config = Rig::mqtt();
    rig.wait(Dur::secs(3_600));
    assert_eq!(rig.connects.len(), 1, "by the schedule");
}
