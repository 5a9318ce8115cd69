//! Whatever a server says and a shell brings: no panic, no spinning, each command one status, nothing lost by folding.

use super::*;
use droves_wire::windows::syncml::Group;
use proptest::prelude::*;

const URIS: [&str; 12] = [
    "EntDMID",
    "UPN",
    "Poll/IntervalForFirstSetOfRetries",
    "Push/PFN",
    "Push/ChannelURI",
    "Not/There",
    "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera",
    "./Device/Vendor/MSFT/Reboot/RebootNow",
    "./Vendor/MSFT/DevDetail/SwV",
    "/x",
    "./User/Vendor/MSFT/Policy/Config/Experience/AllowCortana",
    "",
];

fn any_command(depth: u32) -> BoxedStrategy<Command<'static>> {
    let data = prop::sample::select(vec!["", "1", "true", "text & <more>", "0"]);
    let nodes = (prop::sample::select(Verb::ALL.to_vec()), prop::sample::select(URIS.to_vec()), data)
        .prop_map(|(verb, uri, data)| command("", verb, uri, data));
    let unknown = Just(Command { id: "".into(), body: Body::Unknown("Invent".into()) });
    if depth == 0 {
        return prop_oneof![9 => nodes, 1 => unknown].boxed();
    }
    let kind = prop::sample::select(vec![Group::Atomic, Group::Sequence]);
    let group = (kind, prop::collection::vec(any_command(depth - 1), 0..4)).prop_map(|(kind, commands)| Command {
        id: "".into(),
        body: Body::Group { kind, meta: Meta::default(), commands },
    });
    prop_oneof![6 => nodes, 1 => unknown, 2 => group].boxed()
}

/// Gives every command another id, and returns them in the order of the wire.
fn number(commands: &mut [Command<'static>], ids: &mut Vec<String>) {
    for command in commands {
        ids.push(format!("c{}", ids.len()));
        command.id = ids.last().unwrap().clone().into();
        if let Body::Group { commands, .. } = &mut command.body {
            number(commands, ids);
        }
    }
}

fn any_reply() -> impl Strategy<Value = (u8, u16, Vec<u8>, Vec<Command<'static>>)> {
    let status = prop::sample::select(vec![200_u16, 200, 200, 204, 301, 307, 400, 401, 403, 404, 410, 500, 503, 999]);
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        Just(b"<html></html>".to_vec()),
        Just(b"<SyncML><SyncHdr/><SyncBody/></SyncML>".to_vec()),
        Just(b"<s:Envelope><s:Body><s:Fault/></s:Body></s:Envelope>".to_vec()),
    ];
    (0_u8..8, status, bytes, prop::collection::vec(any_command(1), 0..4))
}

fn reply((kind, status, bytes, commands): (u8, u16, Vec<u8>, Vec<Command<'static>>)) -> Reply {
    match kind {
        0 => Reply::Says(status, bytes.into()),
        1 => Reply::Fails("reset"),
        2 => Reply::Challenge(401, syncml::MD5, "AAAA"),
        3 => Reply::Message(commands, false),
        4 => says(installing::wants("Wi-Fi", &[])),
        _ => says(commands),
    }
}

impl Rig {
    fn folds_without_loss(&mut self) {
        let slept = std::mem::take(&mut self.machine).fold();
        let again = Windows::open(slept.clone()).fold();
        assert_eq!((slept.record, &slept.shared, &slept.own), (again.record, &again.shared, &again.own));
        let record = Windows::record_from_bytes(&Windows::record_to_bytes(&slept.record)).unwrap();
        let shared = Windows::shared_from_bytes(&Windows::shared_to_bytes(&slept.shared)).unwrap();
        assert_eq!((record, &shared), (slept.record, &*slept.shared));
        self.machine = Windows::open(slept);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the commands are and however little the server takes in a message: one status for each, in the order of
    /// the wire, results after the status that they belong to, and an end.
    #[test]
    fn each_command_has_one_status(
        mut batches in prop::collection::vec(prop::collection::vec(any_command(2), 1..6), 1..4),
        bytes_max in prop::sample::select(vec![1_200_u64, 3_000, 500_000]),
    ) {
        let mut rig = Rig::enrolled();
        let mut ids = Vec::new();
        let leaves = |command: &Command<'_>| format!("{command:?}").contains("Unenroll");
        for batch in &mut batches {
            prop_assume!(!batch.iter().any(leaves));
            number(batch, &mut ids);
        }
        rig.batches = batches.into();
        rig.bytes_max = Some(bytes_max);
        rig.script.extend((0..400).map(|_| Reply::Next));
        rig.wake(Reasons::PUSH, &[]);
        prop_assert!(rig.complaints().iter().all(|kind| *kind == "tree_full"), "{:?}", rig.complaints());
        let (mut statuses, mut last): (Vec<String>, _) = (Vec::new(), String::new());
        for n in 0..rig.asked.len() {
            for command in &rig.told(n).commands {
                match &command.body {
                    Body::Status(status) if status.command == "0" || status.name == "Alert" => {}
                    Body::Status(status) => {
                        last = status.command.to_string();
                        // The items of one command may fare differently.
                        if status.targets.is_empty() || statuses.last() != Some(&last) {
                            statuses.push(last.clone());
                        }
                    }
                    Body::Results { command, .. } => prop_assert_eq!(&**command, &*last),
                    _ => {}
                }
            }
        }
        // A restart ends the session with whatever is asked after it.
        prop_assert_eq!(&statuses[..], &ids[..statuses.len()]);
        let restarted = rig.machine.record().offline_until.get().is_some();
        prop_assert!(statuses.len() == ids.len() || restarted, "{:?}", statuses);
        prop_assert_eq!(rig.count(|fact| matches!(fact, Fact::Answered { .. })), statuses.len());
        prop_assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { .. })), statuses.len());
    }

    /// The device sleeps or ends, never asks to be woken in the past (the rig looks at each action), and folds without
    /// a loss.
    #[test]
    fn no_server_can_break_a_device(
        enrollment in prop::collection::vec(any_reply(), 0..4),
        replies in prop::collection::vec(any_reply(), 0..60),
        orders in prop::collection::vec(0_u8..6, 1..12),
    ) {
        let mut rig = Rig::new(Character { reenrolls_after_wipe: Some(Dur::secs(60)), ..windows() });
        let steps = [Operation::WindowsDiscovery, Operation::WindowsPolicy, Operation::WindowsIssue, Operation::WindowsRenew];
        for (any, operation) in enrollment.into_iter().zip(steps.into_iter().cycle()) {
            rig.enrollment.push_back((operation, Reply::Says(any.1, any.2.into())));
        }
        rig.script = replies.into_iter().map(reply).collect();
        let mut action = rig.order(Order::Enroll);
        for order in orders {
            rig.folds_without_loss();
            action = match order {
                _ if matches!(action.what, What::End(_)) => rig.order(Order::Enroll),
                0 => rig.order(Order::CheckIn),
                1 => rig.order(Order::Renew),
                2 => rig.order(Order::Unenroll),
                3 | 4 if !action.until.is_never() => rig.time(&action),
                _ if action.hear.has(Reasons::PUSH) => rig.wake(Reasons::PUSH, &[]),
                _ if action.hear.has(Reasons::ORDER) => rig.order(Order::CheckIn),
                _ => rig.time(&action),
            };
        }
    }

    /// A shell that brings what is not due, at any point, harms nothing: left alone, the device comes to rest, and
    /// enrolls once it is told to.
    #[test]
    fn no_shell_can_break_a_device(
        replies in prop::collection::vec(any_reply(), 0..20),
        strays in prop::collection::vec(0_u8..16, 1..60),
    ) {
        let mut rig = Rig::new(windows());
        rig.keeps_contract = false;
        rig.script = replies.into_iter().map(reply).collect();
        let mut action = rig.stray(15);
        for stray in strays {
            action = match stray {
                0..8 => match rig.react(action) {
                    Ok(next) => next,
                    Err(rest) if rest.until.is_never() => rig.stray(15),
                    Err(rest) => {
                        rig.folds_without_loss();
                        rig.time(&rest)
                    }
                },
                stray => rig.stray(stray),
            };
        }
        rig.script.clear();
        let mut action = rig.stray(8);
        while let Ok(next) = rig.react(action) {
            action = next;
        }
        rig.pass(rig.world.clocks.now + Dur::secs(86_400));
        rig.order(Order::Enroll);
        prop_assert_eq!(Windows::state(&rig.machine.record()), DeviceState::Enrolled);
    }
}

impl Rig {
    /// Something that is not due.
    fn stray(&mut self, which: u8) -> Action {
        let now = self.world.clocks.now;
        let wake = |rig: &mut Rig, reasons, orders: &[Order]| {
            let notes: Vec<Note> = orders.iter().map(|&order| Note { order, cause: now }).collect();
            rig.on(Event::Wake(Wake { reasons, due: now, notes: &notes }))
        };
        match which {
            8 => {
                let (blame, kind, reached) = (Blame::Generator, "timeout", Reached::Nothing);
                self.on(Event::Failed(Failure { blame, kind, reached, text: "too late".into() }))
            }
            9 => self.on(Event::Saved),
            10 => self.on(Event::Made(Made::Key(KeyIx(1)))),
            11 => self.answer(200, Bytes::from_static(b"<a/>"), HeaderMap::new()),
            12 => wake(self, Reasons::TIME, &[]),
            13 => wake(self, Reasons::PUSH, &[]),
            14 => wake(self, Reasons::ORDER, &[Order::Renew, Order::Unenroll, Order::MainEnded]),
            _ => wake(self, Reasons::ORDER, &[Order::Enroll]),
        }
    }
}
