//! Into the server's hands, and out of them.

use super::*;

#[test]
fn a_device_enrolls_as_the_agent_does() {
    let mut rig = Rig::new(agent());
    rig.order(Order::Enroll);
    assert_eq!(
        rig.operations(),
        ["android.enroll", "android.logs", "android.logs", "android.report"],
        "{:?}",
        rig.facts
    );
    let asked = &rig.asked[0];
    assert_eq!(asked.url, format!("{BASE}/rest/public/sync/configuration/d7"));
    assert_eq!(asked.body, br#"{"customer":null,"configuration":null,"groups":null}"#);
    assert_eq!(asked.headers["x-request-signature"], sign::request(SECRET, "d7"));
    assert_eq!(asked.headers["x-cpu-arch"], "arm64-v8a");
    assert_eq!(asked.headers["content-type"], "application/json; charset=UTF-8");
    let report = rig.report();
    assert_eq!((report.device_id.as_deref(), report.model.as_deref()), (Some("d7"), Some("Pixel 9")));
    assert_eq!(rig.asked[3].url, format!("{BASE}/rest/public/sync/info"));
    assert_eq!(rig.state(), DeviceState::Enrolled);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
    assert_eq!(rig.saves, 1);
    // The link has opened meanwhile, beside it.
    assert_eq!(rig.connects.len(), 1);
}

#[test]
fn a_number_that_is_not_known_ends_it_and_a_network_that_fails_does_not() {
    let mut rig = Rig::new(agent());
    let refusal = Envelope::<()>::error(wire::envelope::UNKNOWN_DEVICE).write();
    rig.script.push_back((Operation::AndroidEnroll, Ok((200, refusal))));
    rig.order(Order::Enroll);
    let expected = Outcome::Failed { blame: Blame::Server, kind: "unknown_device" };
    assert_eq!((rig.ended.as_slice(), rig.state()), (&[(Operation::Enroll, expected)][..], DeviceState::Failed));
    // Who tries again enrolls, whatever was before.
    for reply in [Err("connect_refused"), Ok((503, b"<html>".to_vec())), Ok((200, b"<html>".to_vec()))] {
        rig.script.push_back((Operation::AndroidEnroll, reply));
    }
    rig.ended.clear();
    rig.order(Order::Enroll);
    rig.wait(Dur::secs(3_600));
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    assert_eq!(rig.complaints()[..4], ["unknown_device", "connect_refused", "status_503", "malformed"]);
}

fn with_second_url() -> Character {
    let Enrolls::Agent(of) = agent().enrolls else { panic!("an agent") };
    let of = crate::Agent { second_url: "https://mdm2.example.test/hmdm".into(), ..(*of).clone() };
    Character { enrolls: Enrolls::Agent(Arc::new(of)), ..agent() }
}

/// By which host what was asked.
fn hosts(rig: &Rig, operation: Operation) -> Vec<&str> {
    let asked = rig.asked.iter().filter(|asked| asked.operation == operation);
    asked.map(|asked| asked.url.split(['/', '.']).nth(2).unwrap()).collect()
}

#[test]
fn what_came_to_nothing_by_the_first_url_is_asked_by_the_second_each_time() {
    let mut rig = Rig::new(with_second_url());
    rig.script.push_back((Operation::AndroidEnroll, Err("connect_refused")));
    rig.script.push_back((Operation::AndroidReport, Err("timeout")));
    rig.order(Order::Enroll);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    assert_eq!(hosts(&rig, Operation::AndroidEnroll), ["mdm", "mdm2"]);
    assert_eq!(hosts(&rig, Operation::AndroidLogs), ["mdm", "mdm"], "each request anew");
    assert_eq!(hosts(&rig, Operation::AndroidReport), ["mdm", "mdm2"]);
    assert_eq!(
        (rig.hops(), rig.complaints()),
        (vec!["delivered", "answered", "accepted"], vec!["connect_refused", "timeout"])
    );
    assert_eq!(rig.connects[0].0, "mqtt://mdm.example.test:31000", "of which the second knows nothing");
    // By neither: it is as if there were one.
    rig.forget();
    rig.script.extend((0..4).map(|_| (Operation::AndroidConfig, Err("reset"))));
    rig.order(Order::CheckIn);
    rig.wait(Dur::secs(20));
    assert_eq!(hosts(&rig, Operation::AndroidConfig), ["mdm", "mdm2", "mdm", "mdm2"]);
    assert_eq!(rig.ended, [(Operation::CheckIn, Outcome::Failed { blame: Blame::Network, kind: "reset" })]);
}

#[test]
fn a_bad_answer_is_an_answer_and_a_new_server_has_one_url() {
    let mut rig = Rig::new(with_second_url());
    let refusal = Envelope::<()>::error(wire::envelope::UNKNOWN_DEVICE).write();
    for bad in [(503, b"<html>".to_vec()), (200, b"<html>".to_vec()), (200, refusal)] {
        rig.script.push_back((Operation::AndroidEnroll, Ok(bad)));
    }
    rig.order(Order::Enroll);
    rig.wait(Dur::secs(600));
    assert_eq!(hosts(&rig, Operation::AndroidEnroll), ["mdm"; 3]);
    rig.forget();
    rig.order(Order::Enroll);
    rig.config.new_server_url = Some("https://other.example.test".into());
    rig.script.push_back((Operation::AndroidConfig, Err("reset")));
    rig.script.push_back((Operation::AndroidConfig, Ok((200, Envelope::ok(Some(rig.config.clone())).write()))));
    rig.order(Order::CheckIn);
    rig.script.push_back((Operation::AndroidConfig, Err("reset")));
    rig.order(Order::CheckIn);
    assert_eq!(
        hosts(&rig, Operation::AndroidConfig),
        ["mdm", "mdm2", "other", "other", "other"],
        "{:?}",
        rig.operations()
    );
}

#[test]
fn tries_are_bounded() {
    let mut rig = Rig::new(agent());
    rig.script.extend((0..99).map(|_| (Operation::AndroidEnroll, Err("connect_refused"))));
    rig.order(Order::Enroll);
    rig.wait(Dur::secs(86_400));
    // Each of them by both bases.
    assert_eq!(rig.count(Operation::AndroidEnroll), 2 * usize::from(rig.world.limits.enrollment_tries_max));
    assert_eq!(rig.state(), DeviceState::Failed);
}

#[test]
fn http_is_for_loopback_only() {
    let Enrolls::Agent(of) = agent().enrolls else { panic!("an agent") };
    let of = crate::Agent { url: "http://mdm.example.test".into(), ..(*of).clone() };
    let character = Character { enrolls: Enrolls::Agent(Arc::new(of)), ..agent() };
    let mut rig = Rig::new(character.clone());
    rig.order(Order::Enroll);
    assert_eq!((rig.operations().len(), rig.complaints()), (0, vec!["url"]));
    let mut rig = Rig::new(Character { allow_http: true, ..character });
    rig.order(Order::Enroll);
    assert_eq!(rig.state(), DeviceState::Enrolled);
    assert_eq!(rig.asked[0].url, "http://mdm.example.test/rest/public/sync/configuration/d7");
}

#[test]
fn an_agent_that_looks_at_signatures_takes_no_others() {
    let Enrolls::Agent(of) = agent().enrolls else { panic!("an agent") };
    let checked = Arc::new(crate::Agent { checked: true, ..(*of).clone() });
    let mut rig = Rig::new(Character { enrolls: Enrolls::Agent(checked), ..agent() });
    // A refusal is not signed, and says what it says.
    let refusal = Envelope::<()>::error(wire::envelope::DENIED).write();
    rig.script.push_back((Operation::AndroidEnroll, Ok((200, refusal))));
    rig.order(Order::Enroll);
    assert_eq!((rig.complaints(), rig.state()), (vec!["permission_denied"], DeviceState::Failed));
    // What is not signed at all is tried again, as what the network lost.
    rig.forget();
    rig.script.push_back((Operation::AndroidEnroll, Ok((200, Envelope::ok(Some(Rig::mqtt())).write()))));
    rig.order(Order::Enroll);
    assert_eq!((rig.complaints(), rig.state()), (vec!["wrong_signature"], DeviceState::Enrolling));
    rig.wait(Dur::secs(600));
    assert_eq!((rig.complaints().len(), rig.state()), (1, DeviceState::Enrolled));
    // With another secret: it stays what it was.
    rig.forget();
    (rig.secret, rig.config.kiosk_mode) = ("another", Some(true));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(60));
    assert_eq!((rig.complaints(), rig.hops()), (vec!["wrong_signature"; 2], vec![]));
    rig.secret = SECRET;
    rig.wait(Dur::secs(3_600));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
    // The agent that everybody can get does not look.
    let mut rig = Rig::new(agent());
    rig.secret = "another";
    rig.order(Order::Enroll);
    assert_eq!(rig.state(), DeviceState::Enrolled);
}

#[test]
fn a_user_who_removes_the_agent_tells_nobody() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.order(Order::Unenroll);
    assert_eq!((rig.operations().len(), rig.state()), (0, DeviceState::Removed));
    assert_eq!(rig.ended, [(Operation::Unenroll, Outcome::Succeeded)]);
    assert!(rig.facts.iter().any(|fact| matches!(fact, Fact::Unreachable)));
    rig.order(Order::Enroll);
    assert_eq!(rig.state(), DeviceState::Enrolled);
}

#[test]
fn a_device_that_is_erased_confirms_it_first_and_may_come_back() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.world.character.reenrolls_after_wipe = Some(Dur::secs(600));
    rig.config.factory_reset = Some(true);
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!(rig.last(Operation::AndroidReport).url, format!("{BASE}/rest/plugins/devicereset/public/d7"));
    assert_eq!((rig.report().factory_reset, rig.state()), (Some(true), DeviceState::Wiped));
    rig.config.factory_reset = None;
    rig.forget();
    rig.wait(Dur::secs(601));
    assert_eq!((rig.state(), rig.count(Operation::AndroidEnroll)), (DeviceState::Enrolled, 1));
    // Where nobody takes the confirmation, nothing is erased.
    rig.config.factory_reset = Some(true);
    rig.script.push_back((Operation::AndroidReport, Ok((404, b"<html>".to_vec()))));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!(rig.state(), DeviceState::Enrolled);
}

#[test]
fn a_configuration_that_no_device_could_keep_is_refused() {
    let enrolled = |chars: usize| {
        let mut rig = Rig::new(agent());
        rig.config.applications = (0..100).map(|n| app(&format!("{n}{}", "x".repeat(chars)), "1", None)).collect();
        rig.order(Order::Enroll);
        (rig.state(), rig.complaints())
    };
    assert_eq!(enrolled(1_000), (DeviceState::Enrolled, vec![]));
    assert_eq!(enrolled(10_000), (DeviceState::Enrolling, vec!["malformed"]));
}
