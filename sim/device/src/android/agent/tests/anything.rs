//! Whatever a server says and a shell brings: no panic, no spinning, always a next action, nothing lost by folding. The rig
//! looks at each deadline, and takes each lane that falls asleep through the store.

use super::*;
use proptest::prelude::*;

fn any_config() -> impl Strategy<Value = wire::Config> {
    let text =
        prop::sample::select(vec!["", "d8", "https://other.example.test", "http://x", "files/a", "\u{1}", "äöü"]);
    let push = prop::sample::select(vec!["mqttAlarm", "mqttWorker", "polling", ""]);
    let flag = || prop::option::of(any::<bool>());
    (
        prop::option::of(push),
        prop::option::of(text.clone()),
        prop::option::of(text.clone()),
        text,
        flag(),
        flag(),
        0..9_u32,
    )
        .prop_map(|(push, number, server, url, reset, reboot, version)| wire::Config {
            push_options: push.map(str::to_owned),
            new_number: number.map(str::to_owned),
            new_server_url: server.map(str::to_owned),
            factory_reset: reset.filter(|_| version == 0),
            reboot,
            applications: vec![
                Application { remove: version == 3, ..app("a", &version.to_string(), Some(url)) },
                Application { skip_version: version == 4, ..app("b", "1", None) },
            ],
            files: vec![RemoteFile {
                path: Some("/docs/a.txt".into()),
                url: Some(url.into()),
                last_update: version.into(),
                remove: version == 5,
                ..RemoteFile::default()
            }],
            ..wire::Config::default()
        })
}

fn any_answer() -> impl Strategy<Value = Result<(u16, Vec<u8>), &'static str>> {
    let status = prop::sample::select(vec![200_u16, 200, 200, 206, 301, 401, 403, 404, 416, 500, 503, 999]);
    let body = prop_oneof![
        4 => any_config().prop_map(|config| Envelope::ok(Some(config)).write()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => Just(Envelope::<()>::error("error.internal.server").write()),
        1 => Just(Envelope::<()>::ok(None).write()),
        1 => Just(br#"{"status":"OK","message":null,"data":[{"messageType":"configUpdated"}]}"#.to_vec()),
        1 => Just(br#"{"status":"OK","message":null,"data":{"sendData":true,"intervalMins":1}}"#.to_vec()),
    ];
    prop_oneof![6 => (status, body).prop_map(Ok), 1 => Just(Err("reset")), 1 => Just(Err("timeout"))]
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let payload = prop_oneof![
        Just(wire::Push::new(Kind::ConfigUpdated).write()),
        Just(wire::Push::new(Kind::Reboot).write()),
        Just(wire::Push::new(Kind::ExitKiosk).write()),
        Just(br#"{messageType: "uninstallApp", payload: {"pkg":"com.a"}}"#.to_vec()),
        Just(br#"{messageType: "deleteDir", payload: {"path":"docs"}}"#.to_vec()),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    let publish = (payload, 0..3_u8, 1..4_u16).prop_map(|(payload, qos, id)| {
        let id = (qos > 0).then_some(id);
        Packet::Publish(Publish { topic: "d7".into(), payload, qos, id, ..Publish::default() })
    });
    prop_oneof![
        5 => publish,
        1 => (0..6_u8).prop_map(|code| Packet::ConnAck { session_present: false, code }),
        1 => (1..4_u16).prop_map(Packet::PubRel),
        1 => Just(Packet::SubAck(1, vec![0x80])),
        1 => Just(Packet::PingResp),
        1 => Just(Packet::Disconnect),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_server_can_break_a_device(
        answers in prop::collection::vec((0_usize..7, any_answer()), 0..40),
        configs in prop::collection::vec(any_config(), 1..5),
        happens in prop::collection::vec((0_u8..8, any_packet()), 1..25),
    ) {
        let operations = [
            Operation::AndroidEnroll,
            Operation::AndroidConfig,
            Operation::AndroidReport,
            Operation::AndroidLogs,
            Operation::AndroidDownload,
        ];
        let mut rig = Rig::new(Character { reenrolls_after_wipe: Some(Dur::secs(60)), ..agent() });
        let mut answers = answers.into_iter().map(|(n, answer)| (operations[n % operations.len()], answer));
        let mut configs = configs.into_iter().cycle();
        rig.order(Order::Enroll);
        for (what, packet) in happens {
            if let Some(answer) = answers.next() {
                rig.script.clear();
                rig.script.push_back(answer);
            }
            match what {
                0 => rig.order(Order::CheckIn),
                1 => rig.order(Order::Unenroll),
                2 => rig.order(Order::Enroll),
                3 => rig.wait(Dur::secs(1_000)),
                4 => rig.config = configs.next().unwrap(),
                5 => {
                    rig.pushes = vec![wire::Push::new(Kind::ConfigUpdated)];
                    rig.settle();
                }
                _ => {
                    rig.frames.push_back(packet);
                    rig.settle();
                }
            }
        }
        // Left alone it comes to rest, and enrolls once it is told to.
        rig.script.clear();
        rig.config = Rig::mqtt();
        rig.wait(Dur::secs(20_000));
        rig.order(Order::Enroll);
        rig.wait(Dur::secs(1));
        prop_assert_eq!(rig.state(), DeviceState::Enrolled);
    }

    /// A shell that brings what is not due harms nothing.
    #[test]
    fn no_shell_can_break_a_device(strays in prop::collection::vec((0_u8..3, 0_u8..8, any_packet()), 1..40)) {
        let mut rig = Rig::new(agent());
        rig.order(Order::Enroll);
        for (channel, what, packet) in strays {
            if rig.lanes[usize::from(channel)].ended.is_some() {
                rig.order(Order::Enroll);
            }
            match what {
                0 => rig.on(channel, Event::Saved),
                1 => rig.answer(channel, 200, b"<a/>", &[]),
                2 => rig.fail(channel, "reset"),
                3 => rig.on(channel, Event::Frame(packet.write().unwrap().into())),
                4 => rig.on(channel, Event::Made(crate::Made::Key(crate::KeyIx(1)))),
                5 => rig.wake(channel, Reasons::TIME),
                6 => rig.give(channel, Order::Fetched(1)),
                _ => rig.wait(Dur::secs(100)),
            }
        }
        rig.wait(Dur::secs(20_000));
        rig.order(Order::Enroll);
        rig.wait(Dur::secs(1));
        prop_assert_eq!(rig.state(), DeviceState::Enrolled);
    }
}
