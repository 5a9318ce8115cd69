//! Recorded shapes, round trips, large objects, and hostile bytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::windows::Broken;
use crate::windows::xml::tests::{every_prefix_is_bound, fits};
use proptest::prelude::*;

const DEVICE: &str = "5AD0B1C2E3F4A5968778695A4B3C2D1E";

fn text<'a>(text: &'a str) -> Option<Cow<'a, str>> {
    Some(Cow::Borrowed(text))
}

fn header<'a>(message: &'a str) -> Header<'a> {
    Header {
        session: "1".into(),
        message: message.into(),
        target: Location::at("https://mdmwindow.test/ManagementServer/MDM.svc"),
        source: Location::at(DEVICE),
        ..Header::default()
    }
}

fn source<'a>(uri: &'a str, data: &'a str) -> Item<'a> {
    Item { source: text(uri), data: Some(Data::Text(data.into())), ..Item::default() }
}

fn nodes<'a>(id: &'a str, verb: Verb, items: Vec<Item<'a>>) -> Command<'a> {
    Command { id: id.into(), body: Body::Nodes { verb, meta: Meta::default(), items } }
}

fn alert<'a>(id: &'a str, code: u16, items: Vec<Item<'a>>) -> Command<'a> {
    Command { id: id.into(), body: Body::Alert { code, items } }
}

fn status<'a>(id: &'a str, command: &'a str, name: &'a str, code: u16) -> Command<'a> {
    let status = Status { message: "1".into(), command: command.into(), name: name.into(), code, ..Status::default() };
    Command { id: id.into(), body: Body::Status(status) }
}

/// The first package of a session, as a Windows 10 21H1 sends it.
fn first_package<'a>(unenrolls: bool) -> Message<'a> {
    let login = Meta { kind: text("com.microsoft/MDM/LoginStatus"), ..Meta::default() };
    let login = Item { meta: login, data: Some(Data::Text("user".into())), ..Item::default() };
    let leave = Meta {
        kind: text("com.microsoft:mdm.unenrollment.userrequest"),
        format: text(Format::Int.name()),
        ..Meta::default()
    };
    let leave = Item { meta: leave, data: Some(Data::Text("1".into())), ..Item::default() };
    let about = vec![
        source("./DevInfo/DevId", DEVICE),
        source("./DevInfo/Man", "VMware, Inc."),
        source("./DevInfo/Mod", "VMware7,1"),
        source("./DevInfo/DmV", "1.3"),
        source("./DevInfo/Lang", "en-US"),
    ];
    let mut commands = vec![alert("2", 1201, vec![]), alert("3", 1224, vec![login])];
    if unenrolls {
        commands.push(alert("4", 1226, vec![leave]));
    }
    commands.push(nodes(if unenrolls { "5" } else { "4" }, Verb::Replace, about));
    Message { header: header("1"), commands, last: true }
}

fn written(message: &Message<'_>) -> String {
    let mut out = Vec::new();
    message.write(&mut out);
    every_prefix_is_bound(&out);
    assert_eq!(Message::read(&out, &Limits::default()).as_ref(), Ok(message));
    String::from_utf8(out).unwrap()
}

fn read(text: &str) -> Message<'_> {
    Message::read(text.as_bytes(), &Limits::default()).unwrap()
}

fn broken(text: &str) -> Broken {
    Message::read(text.as_bytes(), &Limits::default()).unwrap_err().broken
}

/// A message around this body.
fn around(body: &str) -> String {
    format!(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1\
         </SessionID><MsgID>1</MsgID><Target><LocURI>t</LocURI></Target><Source><LocURI>s</LocURI></Source></SyncHdr>\
         <SyncBody>{body}</SyncBody></SyncML>"
    )
}

/// A Windows 10 (19043.2364) with names of the same lengths sent 991 bytes, and 207 more with the alert by which a user
/// leaves. Its answer to two commands had 633.
#[test]
fn windows_messages_have_the_recorded_sizes() {
    let first = written(&first_package(false));
    fits("syncml-client", &first);
    assert_eq!(first.len(), 991);
    assert!(first.contains(
        "<Alert><CmdID>3</CmdID><Data>1224</Data><Item><Meta><Type xmlns=\"syncml:metinf\">com.microsoft/MDM/LoginStatus\
         </Type></Meta><Data>user</Data></Item></Alert><Replace><CmdID>4</CmdID><Item><Source><LocURI>./DevInfo/DevId\
         </LocURI></Source><Data>5AD0B1C2E3F4A5968778695A4B3C2D1E</Data></Item>"
    ));
    assert_eq!(written(&first_package(true)).len(), first.len() + 207);
    let commands =
        vec![status("1", "0", "SyncHdr", 200), status("2", "5", "Replace", 202), status("3", "6", "Replace", 202)];
    let answer = Message { header: header("2"), commands, last: true };
    assert_eq!(written(&answer).len(), 633);
    fits("syncml-client", &written(&answer));
    assert!(answer.is_quiet() && !first_package(false).is_quiet());
    assert!(!Message { last: false, ..answer }.is_quiet(), "more of the package is to follow");
}

/// Credentials take 155 bytes.
#[test]
fn credentials_and_challenges_have_the_recorded_shape() {
    let credentials = Credentials { kind: MD5.into(), data: md5("Bruce2", "OhBehave", b"Nonce").into() };
    let with = Message { header: Header { credentials: Some(credentials), ..header("1") }, ..first_package(false) };
    let wire = written(&with);
    assert_eq!(wire.len(), written(&first_package(false)).len() + 155);
    assert!(wire.contains(
        "<Cred><Meta><Format xmlns=\"syncml:metinf\">b64</Format><Type xmlns=\"syncml:metinf\">syncml:auth-md5</Type>\
         </Meta><Data>Zz6EivR3yeaaENcRN6lpAQ==</Data></Cred></SyncHdr>"
    ));
    let mut refusal = status("1", "0", "SyncHdr", 407);
    let Body::Status(inner) = &mut refusal.body else { unreachable!("made as one") };
    inner.challenge = Some(Challenge { kind: MD5.into(), next_nonce: text("Tm9uY2U=") });
    let message = Message { header: header("1"), commands: vec![refusal], last: true };
    assert!(!message.is_quiet(), "it waits for credentials");
    assert!(written(&message).contains(
        "<Chal><Meta><Format xmlns=\"syncml:metinf\">b64</Format><Type xmlns=\"syncml:metinf\">syncml:auth-md5</Type>\
         <NextNonce xmlns=\"syncml:metinf\">Tm9uY2U=</NextNonce></Meta></Chal><Data>407</Data></Status>"
    ));
}

#[test]
fn a_servers_message_is_read_in_any_order_with_any_prefix() {
    let message = read(
        "\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<y:SyncML xmlns:y=\"SYNCML:SYNCML1.1\">\n<y:SyncBody>\n\
         <y:Get><y:Item><y:Target><y:LocURI> ./DevDetail/SwV </y:LocURI></y:Target></y:Item><y:CmdID>77</y:CmdID></y:Get>\
         <y:Exec><y:CmdID>b0d5</y:CmdID><y:Meta><Format>xml</Format><Type>text/plain</Type></y:Meta><y:Item><y:Data>\
         <MsiInstallJob id=\"{A}\"/></y:Data></y:Item></y:Exec>\
         <y:Final /></y:SyncBody><y:SyncHdr><y:MsgID>9</y:MsgID><y:Meta><MaxMsgSize>4096</MaxMsgSize></y:Meta>\
         <y:SessionID>0</y:SessionID></y:SyncHdr></y:SyncML>",
    );
    assert_eq!((&*message.header.session, &*message.header.message), ("0", "9"));
    assert_eq!(message.header.message_bytes_max, Some(4096));
    assert!(message.last && !message.is_quiet());
    let [get, exec] = &message.commands[..] else { panic!("{message:?}") };
    let item = Item { target: text("./DevDetail/SwV"), ..Item::default() };
    assert_eq!(*get, nodes("77", Verb::Get, vec![item]));
    let meta = Meta { format: text("xml"), kind: text("text/plain"), ..Meta::default() };
    let job = Data::Markup("<MsiInstallJob id=\"{A}\"/>".into());
    let items = vec![Item { data: Some(job), ..Item::default() }];
    assert_eq!(*exec, Command { id: "b0d5".into(), body: Body::Nodes { verb: Verb::Exec, meta, items } });
}

/// Escaped, in CDATA, or with blanks around it: data comes as it was meant, blanks and all (fleetdm/fleet#33350).
#[test]
fn data_keeps_its_blanks_and_loses_its_escapes() {
    let data = |inner: &str| {
        let text = around(&format!("<Replace><CmdID>1</CmdID><Item><Data>{inner}</Data></Item></Replace>"));
        let message = read(&text);
        let Body::Nodes { items, .. } = &message.commands[0].body else { panic!("{message:?}") };
        items[0].data.as_ref().unwrap().as_str().to_owned()
    };
    assert_eq!(data("&lt;enabled/&gt;"), "<enabled/>");
    assert_eq!(data("<![CDATA[<enabled/>]]>"), "<enabled/>");
    assert_eq!(data("\n <![CDATA[<enabled/>]]> "), "\n <enabled/> ");
    let mut out = Vec::new();
    let item = Item { data: Some(Data::CData("a]]>b".into())), ..Item::default() };
    let message = Message { header: header("1"), commands: vec![nodes("1", Verb::Add, vec![item])], last: false };
    message.write(&mut out);
    assert!(String::from_utf8_lossy(&out).contains("<Data><![CDATA[a]]]]><![CDATA[>b]]></Data>"));
    assert_eq!(data("<![CDATA[a]]]]><![CDATA[>b]]>"), "a]]>b");
}

/// What a device answers 400 to is read, and its command's id with it.
#[test]
fn unknown_commands_and_missing_ids_are_told() {
    let text = around("<Put>words<CmdID>4</CmdID></Put><Atomic><CmdID>5</CmdID><Search/></Atomic><Delete/>");
    let message = read(&text);
    let unknown = |name: &'static str| Body::Unknown(name.into());
    assert_eq!(message.commands[0], Command { id: "4".into(), body: unknown("Put") });
    let Body::Group { kind: Group::Atomic, commands, .. } = &message.commands[1].body else { panic!("{message:?}") };
    assert_eq!(commands[..], [Command { id: "".into(), body: unknown("Search") }]);
    assert_eq!(message.commands[2], nodes("", Verb::Delete, vec![]));
    assert!(!message.last);
}

#[test]
fn broken_messages_are_named() {
    let check = |text: &str, expected: Broken| assert_eq!(broken(text), expected, "{text}");
    check("", Broken::Empty);
    check("<html><body>502</body></html>", Broken::Element { wanted: "SyncML", found: "html".into() });
    check("<SyncML><SyncBody/></SyncML>", Broken::Missing("SyncHdr"));
    check("<SyncML><SyncHdr/></SyncML>", Broken::Missing("SyncBody"));
    check(&around("<Status><CmdID>1</CmdID></Status>"), Broken::Missing("Data"));
    check(&around("<Alert><Data>soon</Data></Alert>"), Broken::Value("Data"));
    // fleetdm/fleet#16316: the whole message is lost.
    check(&around("<Replace><Item><Data><?xml version=\"1.0\"?><a/></Data></Item></Replace>"), Broken::Declaration);
    check(&around(&"<Atomic>".repeat(100_000)), Broken::TooDeep { depth_max: 32 });
}

#[test]
fn sessions_are_called_at_their_mode() {
    assert_eq!(Mode::Maintenance.url("https://s/MDM.svc"), "https://s/MDM.svc?mode=Maintenance&Platform=WoA");
    assert_eq!(Mode::Machine.url("https://s/m?x=1"), "https://s/m?x=1&mode=Machine&Platform=WoA");
}

/// No message is larger than what the other side takes, whatever is pushed; and nothing that fits is refused.
#[test]
fn a_message_keeps_to_the_other_sides_size() {
    let whole = first_package(true);
    let size = written(&whole).len();
    for bytes_max in [size - 1, size] {
        let mut out = b"before".to_vec();
        let mut composer = Composer::new(&mut out, &whole.header, bytes_max);
        let pushed = whole.commands.iter().take_while(|command| composer.push(command)).count();
        assert_eq!(pushed, whole.commands.len() - usize::from(bytes_max < size));
        assert_eq!(composer.room() == 0, bytes_max == size);
        composer.end(pushed == whole.commands.len());
        let message = Message::read(&out[6..], &Limits::default()).unwrap();
        assert_eq!(message.commands, whole.commands[..pushed]);
        assert_eq!(message.last, bytes_max == size);
        assert!(out.len() - 6 <= bytes_max);
    }
}

/// Sends an object in messages of this size, and puts it together on the other side.
fn transfer(object: &str, bytes_max: usize) -> (usize, Progress) {
    let limits = Limits::default();
    let (mut rest, mut messages, mut assembly) = (object, 0, Assembly::default());
    loop {
        let mut out = Vec::new();
        let mut composer = Composer::new(&mut out, &header("1"), bytes_max);
        let size = (messages == 0).then_some(object.len() as u64);
        let item = |data, more| {
            let meta = Meta { format: text("chr"), size, ..Meta::default() };
            nodes(
                "2",
                Verb::Replace,
                vec![Item { target: text("./a"), meta, data: Some(Data::Text(data)), more, ..Item::default() }],
            )
        };
        // What a command costs without data, then as much data as is left.
        let mut empty = Vec::new();
        Composer::new(&mut empty, &header("1"), usize::MAX).push(&item("".into(), true));
        let frame = empty.len() - out_len(&header("1"));
        let cut = piece(rest, composer_room(&header("1"), bytes_max) - frame);
        assert!(composer.push(&item(cut.now.into(), !cut.rest.is_empty())), "the piece does not fit");
        composer.end(true);
        assert!(out.len() <= bytes_max);
        messages += 1;
        let message = Message::read(&out, &limits).unwrap();
        let Body::Nodes { items, .. } = &message.commands[0].body else { panic!("{message:?}") };
        match assembly.take(&items[0], &limits).unwrap() {
            Progress::Part => rest = cut.rest,
            done => return (messages, done),
        }
    }
}

fn out_len(header: &Header<'_>) -> usize {
    let mut out = Vec::new();
    Composer::new(&mut out, header, usize::MAX);
    out.len()
}

fn composer_room(header: &Header<'_>, bytes_max: usize) -> usize {
    Composer::new(&mut Vec::new(), header, bytes_max).room()
}

#[test]
fn an_object_that_does_not_fit_goes_in_parts() {
    let object = "<enabled/> & ü\r\n".repeat(100);
    let (messages, done) = transfer(&object, 1_000);
    assert!(messages > 4, "{messages}");
    let meta = Meta { format: Some("chr".into()), ..Meta::default() };
    assert_eq!(done, Progress::Whole { meta, data: object.clone() });
    assert_eq!(transfer(&object, 100_000), (1, Progress::Single));
}

#[test]
fn parts_that_make_no_object_are_refused() {
    let limits = Limits { object_bytes_max: 10, ..Limits::default() };
    let part = |uri, data, more, size| Item {
        target: text(uri),
        meta: Meta { size, ..Meta::default() },
        data: Some(Data::Text(Cow::Borrowed(data))),
        more,
        ..Item::default()
    };
    let check = |parts: &[Item<'_>], error: ObjectError, status| {
        let mut assembly = Assembly::default();
        let (last, before) = parts.split_last().unwrap();
        before.iter().for_each(|part| assert_eq!(assembly.take(part, &limits), Ok(Progress::Part)));
        assert_eq!(assembly.take(last, &limits), Err(error));
        assert!(!assembly.is_open());
        assert_eq!(error.status(), status);
    };
    check(&[part("a", "1", true, None)], ObjectError::NoSize, Some(411));
    check(&[part("a", "1", true, Some(11))], ObjectError::TooLarge(10), Some(413));
    check(&[part("a", "1", true, Some(2)), part("a", "2345678901", true, None)], ObjectError::TooLarge(10), Some(413));
    check(
        &[part("a", "1", true, Some(3)), part("a", "2", false, None)],
        ObjectError::Size { said: 3, found: 2 },
        Some(424),
    );
    check(&[part("a", "1", true, Some(3)), part("b", "2", false, None)], ObjectError::NoEnd, None);
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("syncml", target);
}

/// Text that XML can carry. Ids and their like lose the blanks around them.
fn any_text() -> impl Strategy<Value = Cow<'static, str>> {
    "[ -~\t\n\rä€😀]{0,12}".prop_map(Cow::Owned)
}

fn any_word() -> impl Strategy<Value = Cow<'static, str>> {
    "[!-~ä€😀]{0,12}".prop_map(Cow::Owned)
}

fn any_meta() -> impl Strategy<Value = Meta<'static>> {
    let word = || prop::option::of(any_word());
    (word(), word(), word(), any::<Option<u64>>()).prop_map(|(format, kind, mark, size)| Meta {
        format,
        kind,
        mark,
        size,
    })
}

fn any_item() -> impl Strategy<Value = Item<'static>> {
    let data = prop_oneof![any_text().prop_map(Data::Text), Just(Data::Markup("<a b=\"c\">d<e/></a>".into()))];
    let word = || prop::option::of(any_word());
    (word(), word(), any_meta(), prop::option::of(data), any::<bool>())
        .prop_map(|(target, source, meta, data, more)| Item { target, source, meta, data, more })
}

fn any_command() -> impl Strategy<Value = Command<'static>> {
    let items = || prop::collection::vec(any_item(), 0..3);
    let nodes = (prop::sample::select(&Verb::ALL[..]), any_meta(), items())
        .prop_map(|(verb, meta, items)| Body::Nodes { verb, meta, items });
    let alert = (any::<u16>(), items()).prop_map(|(code, items)| Body::Alert { code, items });
    let challenge =
        (any_word(), prop::option::of(any_word())).prop_map(|(kind, next_nonce)| Challenge { kind, next_nonce });
    let words = || prop::collection::vec(any_word(), 0..3);
    let status =
        ([any_word(), any_word(), any_word()], words(), words(), prop::option::of(challenge), any::<u16>(), items())
            .prop_map(|([message, command, name], targets, sources, challenge, code, items)| {
                Body::Status(Status { message, command, name, targets, sources, challenge, code, items })
            });
    let results = (any_word(), any_word(), any_meta(), items())
        .prop_map(|(message, command, meta, items)| Body::Results { message, command, meta, items });
    let leaf = prop_oneof![nodes, alert, status, results, Just(Body::Unknown("Put".into()))];
    let leaf = (any_word(), leaf).prop_map(|(id, body)| Command { id, body });
    leaf.prop_recursive(4, 16, 4, |inner| {
        let kind = prop_oneof![Just(Group::Atomic), Just(Group::Sequence)];
        (any_word(), kind, any_meta(), prop::collection::vec(inner, 0..4))
            .prop_map(|(id, kind, meta, commands)| Command { id, body: Body::Group { kind, meta, commands } })
    })
}

fn any_header() -> impl Strategy<Value = Header<'static>> {
    let location = || (any_word(), prop::option::of(any_word())).prop_map(|(uri, name)| Location { uri, name });
    let credentials = (any_word(), any_word()).prop_map(|(kind, data)| Credentials { kind, data });
    let sizes = (any::<Option<u64>>(), any::<Option<u64>>());
    let words = (any_word(), any_word(), prop::option::of(any_word()));
    (words, location(), location(), prop::option::of(credentials), sizes).prop_map(
        |((session, message, respond_to), target, source, credentials, (message_bytes_max, object_bytes_max))| Header {
            session,
            message,
            target,
            source,
            respond_to,
            credentials,
            message_bytes_max,
            object_bytes_max,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        header in any_header(),
        commands in prop::collection::vec(any_command(), 0..6),
        last in any::<bool>(),
    ) {
        written(&Message { header, commands, last });
    }

    #[test]
    fn an_object_arrives_whole_in_messages_of_any_size(object in "[ -~\r\nä😀&<]{0,400}", bytes_max in 600_usize..1_200) {
        match transfer(&object, bytes_max).1 {
            Progress::Whole { data, .. } => prop_assert_eq!(data, object),
            other => prop_assert_eq!(other, Progress::Single),
        }
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..1_200, flip in 0_usize..1_200) {
        target(&bytes);
        let mut message = written(&first_package(true)).into_bytes();
        if let Some(byte) = message.get_mut(flip) {
            *byte ^= 1;
        }
        target(&message);
        message.truncate(cut);
        target(&message);
    }
}
