//! The session: what a device says, in which order, and when it says nothing.

use super::*;
use droves_wire::windows::syncml::{Format, Group};

fn names(told: &Message<'_>) -> Vec<String> {
    told.commands.iter().map(|command| format!("{} {}", command.id, command.body.name())).collect()
}

/// Statuses and results in the order of the wire: `Get g 200`, `Results g`.
fn said(told: &Message<'_>) -> Vec<String> {
    let one = |command: &Command<'_>| match &command.body {
        Body::Status(status) => format!("{} {} {}", status.name, status.command, status.code),
        Body::Results { command, .. } => format!("Results {command}"),
        Body::Alert { code, .. } => format!("Alert {code}"),
        other => other.name().to_owned(),
    };
    told.commands.iter().map(one).collect()
}

#[test]
fn the_first_message_is_the_recorded_one() {
    let mut rig = Rig::enrolled();
    rig.order(Order::CheckIn);
    assert_eq!(rig.operations(), ["windows.first_message"]);
    let id = rig.device_id();
    let told = rig.told(0);
    assert_eq!((&*told.header.session, &*told.header.message), ("2", "1"));
    assert_eq!((&*told.header.target.uri, &*told.header.source.uri), (ADDRESS, &*id));
    assert_eq!((told.header.credentials.as_ref(), told.header.message_bytes_max), (None, None));
    assert_eq!(names(&told), ["2 Alert", "3 Alert", "4 Replace"]);
    assert!(told.last);
    assert!(matches!(told.commands[0].body, Body::Alert { code: 1201, .. }));
    let Body::Alert { code: 1224, items } = &told.commands[1].body else { panic!("{told:?}") };
    assert_eq!(items[0].meta.kind.as_deref(), Some("com.microsoft/MDM/LoginStatus"));
    assert_eq!(items[0].data.as_ref().map(Data::as_str), Some("user"));
    let Body::Nodes { verb: Verb::Replace, items, .. } = &told.commands[2].body else { panic!("{told:?}") };
    let info: Vec<_> = items.iter().map(|item| item.source.as_deref().unwrap()).collect();
    assert_eq!(info, ["./DevInfo/DevId", "./DevInfo/Man", "./DevInfo/Mod", "./DevInfo/DmV", "./DevInfo/Lang"]);
    assert_eq!(items[0].data.as_ref().map(Data::as_str), Some(&*id));
    let vector = &rig.asked[0].varying[0];
    assert!(vector.0 == "ms-cv" && vector.1.len() == 16 + 6 && vector.1.ends_with(".0.0.1"), "{vector:?}");
    assert!(!rig.asked[0].body.starts_with(b"<?xml"));
    rig.pushed([]);
    assert!(matches!(rig.told(0).commands[0].body, Body::Alert { code: 1200, .. }));
    assert_eq!(rig.told(0).header.session, "3");
}

#[test]
fn each_command_is_answered_in_its_order() {
    let mut rig = Rig::enrolled();
    let group = Command {
        id: "g".into(),
        body: Body::Group {
            kind: Group::Sequence,
            meta: Meta::default(),
            commands: vec![command("g1", Verb::Replace, "EntDMID", "one"), get("g2", "EntDMID")],
        },
    };
    rig.pushed([
        says([get("a", "Not/There"), command("7", Verb::Replace, "UPN", "u"), group, get("b", "UPN")]),
        says([]),
    ]);
    assert_eq!(rig.operations(), ["windows.first_message", "windows.message"]);
    let told = rig.told(1);
    assert_eq!(told.header.message, "2");
    let expected = [
        "SyncHdr 0 200",
        "Get a 404",
        "Replace 7 200",
        "Sequence g 200",
        "Replace g1 200",
        "Get g2 200",
        "Results g2",
        "Get b 200",
        "Results b",
    ];
    assert_eq!(said(&told), expected);
    assert!(told.commands.iter().all(|command| match &command.body {
        Body::Status(Status { message, .. }) | Body::Results { message, .. } => message == "1",
        _ => false,
    }));
    let ids: Vec<_> = told.commands.iter().map(|command| command.id.to_string()).collect();
    assert_eq!(ids, (1..=9).map(|n| n.to_string()).collect::<Vec<_>>());
    let Body::Results { items, .. } = &told.commands[6].body else { panic!() };
    assert_eq!(items[0].data.as_ref().map(Data::as_str), Some("one"));
    assert_eq!(items[0].meta.format.as_deref(), Some(Format::Chr.name()));
    assert_eq!(items[0].source.as_deref(), Some("./Device/Vendor/MSFT/DMClient/Provider/Test/EntDMID"));
    // The ledger: six commands came, were answered, and the server took it. By such short ids they are not known again.
    for is in [
        |fact: &Fact| matches!(fact, Fact::Delivered { named: false, .. }),
        |fact: &Fact| matches!(fact, Fact::Answered { .. }),
        |fact: &Fact| matches!(fact, Fact::Accepted { .. }),
    ] {
        assert_eq!(rig.count(is), 6);
    }
    let failed = |fact: &Fact| matches!(fact, Fact::Accepted { command, status: CommandStatus::Error } if *command == CommandKey::of(b"a"));
    assert_eq!(rig.count(failed), 1);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Managed { messages: 2, nodes: 5 })), 1);
}

#[test]
fn what_is_only_acknowledged_is_not_answered() {
    let mut rig = Rig::enrolled();
    rig.pushed([]);
    assert_eq!(rig.asked.len(), 1);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Managed { messages: 1, nodes: 0 })), 1);
}

#[test]
fn what_cannot_be_understood_is_answered_with_400() {
    let mut rig = Rig::enrolled();
    let unknown = Command { id: "invented-1".into(), body: Body::Unknown("Invent".into()) };
    rig.pushed([says([command("", Verb::Replace, "UPN", "x"), unknown]), says([])]);
    assert_eq!(said(&rig.told(1)), ["SyncHdr 0 200", "Replace  400", "Invent invented-1 400"]);
    let is = |fact: &Fact| matches!(fact, Fact::Answered { status: CommandStatus::FormatError, .. });
    assert_eq!(rig.count(is), 1);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Delivered { named: false, .. })), 1);
}

#[test]
fn a_long_answer_takes_as_many_messages_as_the_server_wants() {
    const MAX: usize = 1_500;
    let mut rig = Rig::enrolled();
    let long: String = (0..2_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    rig.pushed([says([command("set", Verb::Replace, "EntDMID", &long)]), says([])]);
    rig.bytes_max = Some(MAX as u64);
    rig.batches.push_back(vec![get("1", "EntDMID"), get("2", "UPN"), get("3", "Not/There")]);
    rig.pushed((0..9).map(|_| Reply::Next));
    let (mut whole, mut order, mut sizes) = (String::new(), Vec::new(), Vec::new());
    for n in 1..rig.asked.len() {
        assert!(rig.asked[n].body.len() <= MAX, "{} bytes", rig.asked[n].body.len());
        let told = rig.told(n);
        let parts = told.commands.iter().flat_map(|command| match &command.body {
            Body::Results { items, command, .. } if command == "1" => items.as_slice(),
            _ => &[],
        });
        let mut has_more = false;
        for item in parts {
            whole.push_str(item.data.as_ref().unwrap().as_str());
            sizes.extend(item.meta.size);
            has_more = item.more;
        }
        let is_part_last =
            matches!(&told.commands.last().unwrap().body, Body::Results { command, .. } if command == "1");
        assert!(!has_more || is_part_last, "{:?}", said(&told));
        assert_eq!(told.last, n == rig.asked.len() - 1, "{:?}", said(&told));
        order.extend(said(&told).into_iter().filter(|said| said.starts_with("Get")));
    }
    assert_eq!((whole, sizes), (long, vec![2_000]));
    assert_eq!(order, ["Get 1 200", "Get 2 200", "Get 3 404"]);
    assert!(rig.asked.len() > 3, "{}", rig.asked.len());
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { .. })), 3);
}

#[test]
fn an_object_in_parts_is_put_together() {
    let mut rig = Rig::enrolled();
    let part = |id: &str, data: &str, size: Option<u64>, more: bool| {
        let mut command = command(id, Verb::Replace, "EntDMID", data);
        let Body::Nodes { items, .. } = &mut command.body else { panic!() };
        items[0].more = more;
        items[0].meta.size = size;
        command
    };
    let unfinished = |command| Reply::Message(vec![command], false);
    rig.pushed([
        unfinished(part("1", "Hello, ", Some(13), true)),
        unfinished(part("2", "wor", None, true)),
        says([part("3", "ld!", None, false), get("4", "EntDMID")]),
        says([]),
    ]);
    assert_eq!(said(&rig.told(1)), ["SyncHdr 0 200", "Alert 1222", "Replace 1 213"]);
    assert!(!rig.told(1).last);
    assert_eq!(said(&rig.told(3)), ["SyncHdr 0 200", "Replace 3 200", "Get 4 200", "Results 4"]);
    let told = rig.told(3);
    let Body::Results { items, .. } = &told.commands[3].body else { panic!() };
    assert_eq!(items[0].data.as_ref().map(Data::as_str), Some("Hello, world!"));

    // Of another size than was said; and another command where the rest is due.
    rig.pushed([unfinished(part("1", "abc", Some(9), true)), says([part("2", "def", None, false)]), says([])]);
    assert_eq!(said(&rig.told(2)), ["SyncHdr 0 200", "Replace 2 424"]);
    rig.pushed([unfinished(part("1", "abc", Some(9), true)), says([get("2", "UPN")]), says([])]);
    assert_eq!(said(&rig.told(2))[..3], ["SyncHdr 0 200", "Alert 1225", "Get 2 200"]);
}

#[test]
fn a_package_that_has_not_ended_is_asked_for() {
    let mut rig = Rig::enrolled();
    rig.pushed([
        Reply::Message(vec![get("1", "UPN")], false),
        Reply::Message(Vec::new(), false),
        says([get("2", "UPN")]),
        says([]),
    ]);
    assert_eq!(said(&rig.told(1))[..3], ["SyncHdr 0 200", "Alert 1222", "Get 1 200"]);
    assert_eq!(said(&rig.told(2)), ["SyncHdr 0 200", "Alert 1222"]);
    assert!(!rig.told(1).last && !rig.told(2).last && rig.told(3).last);
    assert_eq!(said(&rig.told(3))[..2], ["SyncHdr 0 200", "Get 2 200"]);
}

#[test]
fn a_session_ends_when_the_server_breaks_it() {
    let check = |reply: Reply, kind: &str| {
        let mut rig = Rig::enrolled();
        rig.order(Order::CheckIn);
        rig.forget();
        rig.script.push_back(reply);
        let action = rig.order(Order::CheckIn);
        assert!(
            matches!(rig.ended[..], [(Operation::CheckIn, Outcome::Failed { kind: is, .. })] if is == kind),
            "{kind}: {:?}",
            rig.ended
        );
        assert_eq!((rig.complaints(), rig.asked.len()), (vec![kind], 1));
        assert_eq!(rig.wait(&action), Dur::secs(30), "{kind}");
        assert_eq!(rig.count(|fact| matches!(fact, Fact::Managed { messages: 1, .. })), 1);
    };
    check(Reply::Says(200, Bytes::new()), "empty_answer");
    check(Reply::Says(200, "<html>busy</html>".into()), "syncml_format");
    check(Reply::Says(401, Bytes::new()), "status_401");
    check(Reply::Says(503, "later".into()), "status_503");
    check(Reply::Fails("reset"), "reset");
    check(says([alert("1", 1223)]), "aborted");
    check(Reply::Challenge(500, syncml::MD5, ""), "header_status");
    let raw = "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr/><SyncBody><Replace><CmdID>1</CmdID><Item><Data>\
        <?xml version=\"1.0\"?><a/></Data></Item></Replace></SyncBody></SyncML>";
    check(Reply::Says(200, raw.into()), "syncml_declaration");
}

#[test]
fn a_failed_session_is_tried_again_as_the_account_says() {
    let mut rig = Rig::enrolled();
    rig.script.extend((0..3).map(|_| Reply::Says(503, Bytes::new())));
    let action = rig.order(Order::CheckIn);
    assert_eq!(rig.wait(&action), Dur::secs(30));
    let action = rig.time(&action);
    assert_eq!(rig.wait(&action), Dur::secs(60));
    let action = rig.time(&action);
    // Three tries were those that it has: then the schedule brings the next.
    assert!(rig.wait(&action) > Dur::secs(120), "{}", rig.wait(&action));
    assert_eq!(rig.asked.len(), 3);
    rig.forget();
    rig.time(&action);
    assert_eq!(rig.asked.len(), 1);
    assert!(rig.complaints().is_empty());
}

#[test]
fn a_server_that_goes_on_for_ever_is_hung_up_on() {
    let mut rig = Rig::enrolled();
    rig.script.extend((0..300).map(|n| says([get(&n.to_string(), "UPN")])));
    rig.order(Order::CheckIn);
    assert_eq!(rig.asked.len(), 200);
    assert_eq!(rig.complaints(), ["session_too_long"]);
    let mut rig = Rig::enrolled();
    rig.world.limits.session_nodes_max = 5;
    rig.script.push_back(says((0..6).map(|n| get(&n.to_string(), "UPN"))));
    rig.order(Order::CheckIn);
    assert_eq!(rig.complaints(), ["session_too_long"]);
}

#[test]
fn a_status_for_another_message_acknowledges_nothing() {
    let mut rig = Rig::enrolled();
    let strange = Reply::Made(Box::new(|_| Message {
        header: Header { message: "2".into(), ..Header::default() },
        commands: vec![Command {
            id: "1".into(),
            body: Body::Status(Status { message: "9".into(), command: "0".into(), code: 200, ..Status::default() }),
        }],
        last: true,
    }));
    rig.pushed([says([get("1", "UPN")]), strange]);
    assert_eq!(rig.complaints(), ["msg_ref"]);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Answered { .. })), 1);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { .. })), 0);
}

#[test]
fn nobody_is_logged_in_at_a_pc_that_is_locked() {
    let mut rig = Rig::new(Character { locked: (1.0, Dur::secs(3_600)), ..windows() });
    rig.order(Order::Enroll);
    let n = rig.asked.len() - 1;
    assert!(rig.asked[n].url.ends_with("?mode=Machine&Platform=WoA"), "{}", rig.asked[n].url);
    let told = rig.told(n);
    let Body::Alert { items, .. } = &told.commands[1].body else { panic!("{told:?}") };
    assert_eq!(items[0].data.as_ref().map(Data::as_str), Some("none"));
}
