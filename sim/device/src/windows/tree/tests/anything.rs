//! Any list of commands.

use super::*;
use droves_wire::windows::syncml::{Format, Message, Verb};
use proptest::prelude::*;

/// Places of every kind, some of which are none.
const URIS: &[&str] = &[
    "./Vendor/MSFT/Policy/Config/Camera/AllowCamera",
    "./Vendor/MSFT/Policy/Config/Bluetooth/Allow",
    "./Vendor/MSFT/Policy/Config/Camera",
    "./Vendor/MSFT/Policy/Config",
    "./Vendor/MSFT/Policy/Result/Camera/AllowCamera",
    "./Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/App/Policy/File",
    "./User/Vendor/MSFT/Policy/Config/Camera/AllowCamera",
    "./Vendor/MSFT/WiFi/Profile/Net/WlanXml",
    "./Vendor/MSFT/WiFi/Profile/Net",
    "./Vendor/MSFT/VPNv2/Corp/ProfileXML",
    "./Vendor/MSFT/VPNv2/Corp/A/B/C",
    "./Vendor/MSFT/VPNv2/Corp",
    "./Vendor/MSFT/BitLocker/RequireDeviceEncryption",
    "./Vendor/MSFT/BitLocker/RotateRecoveryPasswords",
    "./Vendor/MSFT/Defender/Scan",
    "./Vendor/MSFT/DMClient/Provider/Example%20MDM/EntDMID",
    "./Vendor/MSFT/DMClient/Provider/Example%20MDM/Poll/NumberOfFirstRetries",
    "./Vendor/MSFT/DMClient/Provider/Example%20MDM/Push/PFN",
    "./SyncML/DMAcc/Example%20MDM/AppAuth/CLCRED/AAuthSecret",
    "./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D/DownloadInstall",
    "./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D/Status",
    "./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D",
    "./Vendor/MSFT/NodeCache/Example%20MDM/Nodes/1/NodeURI",
    "./Vendor/MSFT/NodeCache/Example%20MDM/Nodes/1/ExpectedValue",
    "./Vendor/MSFT/NodeCache/Example%20MDM/Nodes/1/AutoSetExpectedValue",
    "./Vendor/MSFT/NodeCache/Example%20MDM/ChangedNodes",
    "./Vendor/MSFT/NodeCache/Example%20MDM/ChangedNodesData",
    "./Vendor/MSFT/ClientCertificateInstall/SCEP/S/Install/ServerURL",
    "./Vendor/MSFT/ClientCertificateInstall/SCEP/S/Install/Challenge",
    "./Vendor/MSFT/ClientCertificateInstall/SCEP/S/Install/Enroll",
    "./Vendor/MSFT/DeclaredConfiguration/Host/Complete/Documents/D/Document",
    "./Vendor/MSFT/DeclaredConfiguration/Host/Complete/Results/D/Document",
    "./DevInfo/Man",
    "./DevDetail",
    ".",
    "./User",
    "/Vendor",
    "./Vendor/MSFT?prop=ACL",
];

/// Values of every kind; among them URIs of nodes that look at others.
const VALUES: &[&str] = &[
    "1",
    "0",
    "true",
    "<enabled/>",
    "<policyDefinitions/>",
    "<MsiInstallJob><Product Version=\"1\"/></MsiInstallJob>",
    "<DeclaredConfiguration id=\"D\" checksum=\"1\"/>",
    "<WLANProfile/>",
    "./Vendor/MSFT/NodeCache/Example%20MDM/ChangedNodesData",
    "./DevInfo/Man",
    "text & <more>",
    "",
];

fn one() -> impl Strategy<Value = Command<'static>> {
    let format = prop::option::of(prop::sample::select(&["int", "chr", "bool", "b64", "node", "xml", "odd"][..]));
    let data = prop::option::of(prop::sample::select(VALUES));
    let id = prop_oneof![9 => Just("7"), 1 => Just("")];
    (prop::sample::select(&Verb::ALL[..]), prop::collection::vec(prop::sample::select(URIS), 1..3), format, data, id)
        .prop_map(|(verb, uris, format, data, id)| {
            let meta = Meta { format: format.map(Cow::Borrowed), ..Meta::default() };
            let item = |uri: &'static str| Item {
                target: Some(Cow::Borrowed(uri)),
                data: data.map(|data| Data::Text(Cow::Borrowed(data))),
                ..Item::default()
            };
            let items = uris.into_iter().map(item).collect();
            Command { id: id.into(), body: Body::Nodes { verb, meta, items } }
        })
}

fn command() -> impl Strategy<Value = Command<'static>> {
    one().prop_recursive(3, 24, 6, |inner| {
        let kind = prop::sample::select(&[Group::Atomic, Group::Sequence][..]);
        (kind, prop::collection::vec(inner, 0..6)).prop_map(|(kind, commands)| group(kind, commands))
    })
}

/// The commands in the order of the wire: each with how many statuses it has if its items fare differently.
fn walk<'c>(command: &'c Command<'static>, inside: bool, all: &mut Vec<(&'c str, usize)>) {
    let most = match &command.body {
        Body::Nodes { items, .. } if !inside => items.len(),
        _ => 1,
    };
    all.push((command.body.name(), most));
    if let Body::Group { kind, commands, .. } = &command.body {
        commands.iter().for_each(|child| walk(child, inside || *kind == Group::Atomic, all));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Each command and each child has one status (one for each item if they differ), in order; a failed Atomic leaves
    /// nothing behind; what slept is what was.
    #[test]
    fn every_command_is_answered_once(commands in prop::collection::vec(command(), 0..12), user in any::<bool>()) {
        let mut bench = Bench::new();
        bench.login = if user { Login::User } else { Login::None };
        for command in &commands {
            let before = bench.tree.clone().fold();
            let executed = bench.run(command);
            let mut all = Vec::new();
            walk(command, false, &mut all);
            let mut said = executed.said.iter();
            for (name, most) in all {
                let first = said.next().expect("a status");
                prop_assert_eq!(&*first.name, name);
                prop_assert!(most > 1 || first.target.is_none());
                let more = if first.target.is_some() { most - 1 } else { 0 };
                prop_assert!(said.by_ref().take(more).all(|more| *more.name == *name && more.target.is_some()));
            }
            prop_assert!(said.next().is_none(), "{:?}", executed);
            for said in &executed.said {
                prop_assert!((200..600).contains(&said.code), "{:?}", said);
                prop_assert!(said.found.is_empty() || said.code == 200 && &*said.name == "Get");
            }
            let is_atomic = matches!(command.body, Body::Group { kind: Group::Atomic, .. });
            if is_atomic && executed.said[0].code != 200 {
                prop_assert_eq!(bench.tree.clone().fold(), before);
                prop_assert_eq!(executed.effects.len(), 0);
            }
            let now = bench.tree.clone().fold();
            bench.sleep();
            prop_assert_eq!(bench.tree.clone().fold(), now);
            bench.pass(Dur::secs(600));
            bench.with(|tree, scene| tree.settle(scene));
        }
    }

    /// What a good Replace has set is what a Get then finds, but where the system has a form of its own.
    #[test]
    fn a_get_finds_what_was_set(command in one()) {
        let mut bench = Bench::new();
        let Body::Nodes { verb: Verb::Replace | Verb::Add, items, .. } = &command.body else { return Ok(()) };
        let Some(data) = items[0].data.as_ref().map(Data::as_str) else { return Ok(()) };
        let executed = bench.run(&command);
        if executed.said.iter().any(|said| said.code != 200) {
            return Ok(());
        }
        for item in items {
            let uri = item.target.as_deref().expect("a target");
            let is_other = ["WlanXml", "AAuthSecret", "Challenge", "DownloadInstall"].iter().any(|end| uri.ends_with(end));
            let interior = bench.run(&get(uri)).said[0].found.first().is_some_and(|found| found.format == Format::Node);
            if !is_other && !interior {
                let value = bench.value(uri);
                prop_assert_eq!(value.as_deref(), Some(data), "{}", uri);
            }
        }
    }

    /// Whatever can be read as a message can be carried out.
    #[test]
    fn no_uri_and_no_data_is_too_odd(uri in ".{0,80}", data in ".{0,80}", verb in prop::sample::select(&Verb::ALL[..])) {
        let mut bench = Bench::new();
        for uri in [uri.clone(), format!("./Vendor/MSFT/{uri}"), format!("./Vendor/MSFT/VPNv2/{uri}")] {
            let executed = bench.run(&nodes(verb, &uri, None, Some(&data)));
            prop_assert_eq!(executed.said.len(), 1);
        }
        bench.code(get("./Vendor/MSFT/VPNv2"));
        let name = uri.split('/').next().unwrap_or_default();
        let escaped = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string();
        if !escaped.is_empty() {
            let node = format!("./Vendor/MSFT/VPNv2/{escaped}/Server");
            if bench.code(add(&node, "chr", "x")) == 200 {
                let value = bench.value(&node);
                prop_assert_eq!(value.as_deref(), Some("x"));
                let listed = bench.value("./Vendor/MSFT/VPNv2").expect("a value");
                // What the URI itself has made is listed beside it.
                let back = |name: &str| bench.value(&format!("./Vendor/MSFT/VPNv2/{name}/Server"));
                prop_assert!(listed.split('/').map(back).any(|value| value.as_deref() == Some("x")), "{}", listed);
            }
        }
    }
}

/// The device is fed by the reader: what it gives is what is carried out.
#[test]
fn a_message_of_the_wire_is_carried_out() {
    let bytes = b"<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>\
        <SessionID>1</SessionID><MsgID>1</MsgID><Target><LocURI>D3</LocURI></Target><Source><LocURI>S</LocURI></Source>\
        </SyncHdr><SyncBody><Add><CmdID>a</CmdID><Item><Target><LocURI>./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/\
        %7BA%7D/DownloadInstall</LocURI></Target></Item></Add><Exec><CmdID>b</CmdID><Item><Target><LocURI>./Vendor/MSFT/\
        EnterpriseDesktopAppManagement/MSI/%7BA%7D/DownloadInstall</LocURI></Target><Meta><Format>xml</Format></Meta><Data>\
        <MsiInstallJob id=\"{A}\"><Product Version=\"1.0\"/></MsiInstallJob></Data></Item></Exec><Final/></SyncBody></SyncML>";
    let mut bench = Bench::new();
    let limits = bench.world.limits.clone();
    let message = Message::read(bytes, &limits).expect("a message");
    let codes: Vec<_> = message.commands.iter().map(|command| bench.run(command).said[0].code).collect();
    assert_eq!(codes, [200, 202]);
}
