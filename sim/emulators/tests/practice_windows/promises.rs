//! What Windows' half promises beside.

use crate::device::{Device, End};
use crate::stage::{SYNCML, Stage, get, of};
use droves_emulators::practice::windows::{Auth, Settings};
use droves_emulators::practice::{Proof, Wake};
use droves_scenario::plan::ServerFault;

use serde_json::json;

#[test]
fn a_command_waits_until_it_is_answered() {
    let mut stage = Stage::new(Settings { batch: 2, ..Settings::default() });
    let mut device = Device::enroll(&mut stage, 1, 1);
    let id = device.id.clone();
    stage.queue(&[&id], SYNCML, &[get("a"), get("b"), get("c")].concat());
    // It hears of two, and says nothing more.
    assert_eq!(device.session_of(&mut stage, 1, &[]), End::Cut);
    assert_eq!((device.given.concat().as_str(), stage.brain.believes(&id).unwrap().pending), ("ab", 3));
    assert_eq!(device.connect(&mut stage), End::Quiet);
    assert_eq!((device.given.concat().as_str(), stage.brain.believes(&id).unwrap().pending), ("ababc", 0));
}

#[test]
fn what_can_not_be_added_is_replaced_in_the_same_session() {
    let mut stage = Stage::new(Settings::default());
    let mut device = Device::enroll(&mut stage, 1, 1);
    device.answers.insert("there".to_owned(), 418);
    let uri = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera";
    stage.queue(&[&device.id.clone()], SYNCML, &of("Add", "there", uri, Some("1")));
    assert_eq!(device.connect(&mut stage), End::Quiet);
    assert_eq!(device.given.len(), 2, "{:?}", device.given);
    assert_eq!(stage.brain.truth()["by_command"]["there"], json!({ "queued": 1, "delivered": 1, "error": 1 }));
}

/// Others' certificates prove nothing, and an old one is good until the new one has been seen: its answer may be lost.
#[test]
fn a_certificate_is_good_until_the_next_is_seen() {
    let mut stage = Stage::new(Settings::default());
    let mut device = Device::enroll(&mut stage, 1, 1);
    let other = Device::enroll(&mut stage, 2, 2);
    let first = device.certificate.clone();
    device.renew(&mut stage, false).unwrap();
    assert_eq!(device.connect(&mut stage), End::Quiet);
    device.renew(&mut stage, true).unwrap();
    assert_ne!(device.certificate, first);
    assert_eq!(device.connect(&mut stage), End::Quiet);
    for wrong in [first, other.certificate] {
        device.certificate = wrong;
        assert!(matches!(device.connect(&mut stage), End::Broken(why) if why.starts_with("401")));
    }
    let why = device.renew(&mut stage, true).unwrap_err();
    assert!(why.contains("CertificateRequest") || why.contains("Authentication"), "{why}");
}

#[test]
fn another_name_and_secret_are_good_once_they_are_used() {
    let settings = Settings { auth: Auth::Md5, rekeys: true, ..Settings::default() };
    let mut stage = Stage::new(settings);
    let mut device = Device::enroll(&mut stage, 1, 1);
    let first = device.account.clone();
    // The first message with them is answered by new ones; the second, which is never sent, would have been the first of those.
    assert_eq!(device.session_of(&mut stage, 2, &[]), End::Cut);
    let second = device.account.clone();
    assert_ne!(first, second);
    device.account = first.clone();
    assert_eq!(device.session_of(&mut stage, 2, &[]), End::Quiet, "the old ones while the new ones were not used");
    device.account = second;
    assert_eq!(device.session_of(&mut stage, 2, &[]), End::Quiet);
    device.account = first;
    assert_eq!(device.connect(&mut stage), End::Broken("401".to_owned()));
}

#[test]
fn users_are_asked_for_their_password() {
    let mut stage = Stage::new(Settings::default());
    let why = Device::enroll_as(&mut stage, 1, 1, "guess").err().unwrap();
    assert!(why.contains("Authentication"), "{why}");
    assert_eq!(stage.brain.truth()["issued"], 0);
}

#[test]
fn a_device_is_pushed_by_the_channel_that_it_tells() {
    let mut stage = Stage::new(Settings { pfn: Some("Droves_1".to_owned()), ..Settings::default() });
    let mut device = Device::enroll(&mut stage, 1, 1);
    let id = device.id.clone();
    let push = |stage: &mut Stage, id: &str| {
        let url = format!("/admin/v1/push?ids={id}");
        stage.ask("POST", &url, Proof::Nothing, "", b"").status
    };
    assert_eq!(push(&mut stage, &id), 207, "it has told no channel yet");
    device.nodes.insert("/ChannelURI", "http://wns.test/?token=AA".to_owned());
    assert_eq!((device.connect(&mut stage), push(&mut stage, &id)), (End::Quiet, 207), "no channel is without TLS");
    device.nodes.insert("/ChannelURI", "https://wns.test/?token=AA".to_owned());
    assert_eq!(device.connect(&mut stage), End::Quiet);
    // By its hardware too.
    for name in [&id, &format!("{:064X}", 1)] {
        assert_eq!(stage.push(name), [Wake::Windows { channel: "https://wns.test/?token=AA".to_owned() }]);
    }
    assert_eq!(device.session_of(&mut stage, usize::MAX, &["com.microsoft:mdm.unenrollment.userrequest"]), End::Quiet);
    assert_eq!((push(&mut stage, &id), stage.brain.believes(&id).unwrap().enrolled), (207, false));
}

#[test]
fn the_administrator_is_told_what_is_no_command() {
    let mut stage = Stage::new(Settings::default());
    let device = Device::enroll(&mut stage, 1, 1);
    for (fragment, why) in [
        ("", "no command"),
        ("<Get/>", "CmdID"),
        (&get("0"), "CmdID"),
        (&[get("a"), get("a")].concat(), "CmdID `a`"),
        ("<Atomic><CmdID>1</CmdID></Atomic>", "no command with nodes"),
        ("<Alert><CmdID>1</CmdID><Data>1201</Data></Alert>", "no command with nodes"),
        ("<Get><CmdID>1</CmdID></Get>", "no command with nodes"),
        ("<Get>", ""),
    ] {
        let said = stage.queue(&[&device.id], SYNCML, fragment);
        assert!(said.as_str().is_some_and(|said| said.contains(why)), "{fragment}: {said}");
    }
    let said = stage.queue(&[&device.id, "nobody"], SYNCML, &get("a"));
    assert_eq!(said["failed"], json!({ "nobody": "not enrolled" }));
    let apple = "<plist version=\"1.0\"><dict><key>Command</key><dict><key>RequestType</key><string>ProfileList</string>\
                 </dict><key>CommandUUID</key><string>x</string></dict></plist>";
    let said = stage.queue(&[&device.id], "application/xml", apple);
    assert_eq!(said["failed"], json!({ &device.id: "speaks another protocol" }), "{said}");
}

#[test]
fn a_message_is_as_long_as_the_server_takes() {
    let mut stage = Stage::new(Settings { message_bytes_max: Some(2_000), ..Settings::default() });
    let mut device = Device::enroll(&mut stage, 1, 1);
    stage.queue(&[&device.id.clone()], SYNCML, &get("a"));
    device.nodes.insert("/DevId", "x".repeat(2_000));
    assert_eq!(
        device.connect(&mut stage),
        End::Broken("413 text outside of an element that holds text at line 1, column 1".to_owned())
    );
}

/// What is commanded of Windows never reaches a device of Apple's, whatever goes wrong.
#[test]
fn a_command_that_is_misdelivered_stays_in_its_protocol() {
    let mut stage = Stage::with_fault(Settings::default(), Some(ServerFault::MisdeliverCommand));
    let phone = [
        "<key>MessageType</key><string>Authenticate</string>",
        "<key>MessageType</key><string>TokenUpdate</string><key>Token</key><data>AAAA</data>\
         <key>PushMagic</key><string>magic</string>",
    ];
    for said in phone {
        let who = "<key>UDID</key><string>PHONE</string><key>Topic</key><string>topic</string>";
        let body = format!("<plist version=\"1.0\"><dict>{who}{said}</dict></plist>");
        let outgoing = stage.ask("PUT", "/checkin", Proof::Vouched(b"phone"), "", body.as_bytes());
        assert_eq!(outgoing.status, 200, "{:?}", outgoing.body);
    }
    let mut device = Device::enroll(&mut stage, 1, 1);
    stage.faulty(true);
    // Nobody else is there who would understand it.
    stage.queue(&[&device.id.clone()], SYNCML, &get("a"));
    assert_eq!(stage.brain.believes("PHONE").map(|phone| (phone.enrolled, phone.pending)), Some((true, 0)));
    assert_eq!((device.connect(&mut stage), device.given.concat().as_str()), (End::Quiet, "a"));
}
