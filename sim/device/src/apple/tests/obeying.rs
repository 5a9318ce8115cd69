//! The command loop: what a device answers, what an answer of the server means to it, when it comes back.

use super::*;
use droves_wire::apple::request::{App, AppSource};

fn wifi() -> Vec<u8> {
    b"<plist version=\"1.0\"><dict><key>PayloadContent</key><array/><key>PayloadIdentifier</key><string>wifi</string>\
      <key>PayloadType</key><string>Configuration</string><key>PayloadUUID</key><string>W</string>\
      <key>PayloadVersion</key><integer>1</integer></dict></plist>"
        .to_vec()
}

#[test]
fn commands_are_answered_one_by_one_and_an_unknown_one_with_an_error() {
    let mut rig = Rig::enrolled(ios());
    let queries = Wanted::DeviceInformation { queries: &["UDID", "OSVersion"], attestation_nonce: None };
    rig.pushed([command("1", &queries), bare("2", "MakeCoffee"), ok()]);
    assert_eq!(rig.operations(), ["apple.idle", "apple.command", "apple.command"]);
    assert_eq!(rig.statuses(), ["Idle", "Acknowledged", "Error"]);
    let answers = rig.message(1);
    let version = answers.get("QueryResponses").and_then(|dict| dict.get("OSVersion"));
    assert_eq!(version.and_then(|version| version.as_str()), Some("18.1"));
    assert_eq!(rig.error(2), Some(12_021));
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { .. })), 2);
}

#[test]
fn a_device_that_takes_no_time_does_not_wait() {
    let took = |pace| {
        let mut rig = Rig::enrolled(Character { pace, ..ios() });
        rig.pushed([ok()]);
        let began = rig.world.clocks.now;
        rig.pushed([bare("1", "SecurityInfo"), bare("2", "SecurityInfo"), ok()]);
        assert_eq!(rig.statuses(), ["Idle", "Acknowledged", "Acknowledged"]);
        rig.world.clocks.now.since(began)
    };
    assert_eq!(took(0.0), Dur::ZERO);
    assert_eq!(took(1e-9), Dur::ZERO, "less than the clock knows");
    assert!(took(1.0) > Dur::ms(10));
}

#[test]
fn what_is_no_command_is_said_so_once_and_then_the_device_hangs_up() {
    for body in ["<html>", "<plist version=\"1.0\"><dict/></plist>", "<plist version=\"1.0\"><array/></plist>"] {
        let mut rig = Rig::enrolled(ios());
        let nonsense = Reply::Says(200, body.into());
        let action = rig.pushed([nonsense.clone(), nonsense]);
        assert_eq!(rig.statuses(), ["Idle", "CommandFormatError"], "{body}");
        assert!(matches!(action.what, What::Sleep { .. }) && !action.until.is_never(), "{body}");
    }
}

#[test]
fn a_result_is_owed_byte_for_byte_until_a_2xx() {
    let mut rig = Rig::enrolled(ios());
    let mut action = rig.pushed([bare("1", "SecurityInfo"), status(500)]);
    let first = rig.asked[1].body.clone();
    for failure in [timeout(), status(503), status(400), status(404)] {
        rig.save();
        rig.script = [failure].into();
        action = rig.time(&action);
        assert_eq!(rig.asked.last().unwrap().body, first);
    }
    rig.script = [status(204)].into();
    rig.time(&action);
    assert_eq!(
        rig.operations(),
        [
            "apple.idle",
            "apple.command",
            "apple.command",
            "apple.command",
            "apple.command",
            "apple.command",
            "apple.command"
        ]
    );
    assert_eq!(rig.asked.last().unwrap().body, first);
    let one = CommandKey::of(b"1");
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Answered { command, .. } if *command == one)), 1);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { command, .. } if *command == one)), 1);
    rig.asked.clear();
    rig.push();
    assert_eq!(rig.operations(), ["apple.idle"]);
}

#[test]
fn a_result_that_is_not_what_was_written_is_not_sent() {
    let mut rig = Rig::enrolled(ios());
    let action = rig.pushed([bare("1", "SecurityInfo"), status(500)]);
    let mut own = rig.machine.lane.own.clone();
    own.owed.as_mut().unwrap().body = Bytes::from_static(b"something else");
    rig.machine.lane.own = Own::decode(own.encode().as_deref());
    rig.asked.clear();
    let action = rig.time(&action);
    assert!(rig.asked.is_empty());
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Complaint { kind: "owed_result", .. })), 1);
    rig.time(&action);
    assert_eq!(rig.operations(), ["apple.idle"]);
}

/// Apple's documentation, as far as it says, and what devices were seen to do: for `Idle` and for a result.
#[test]
fn each_status_means_what_it_means_to_a_device() {
    let check = |reply: Reply, leaves: bool| {
        for before in [None, Some(bare("1", "SecurityInfo"))] {
            let mut rig = Rig::enrolled(ios());
            let action = rig.pushed(before.clone().into_iter().chain([reply.clone()]));
            assert_eq!(matches!(action.what, What::End(Why::Removed)), leaves, "{reply:?}");
            assert_eq!(rig.operations().contains(&"apple.check_out"), leaves, "{reply:?}");
            if !leaves {
                assert!((4..=6).contains(&(rig.wait(&action).0 / 1_000_000)), "{reply:?}");
                let asked = rig.asked.last().unwrap().body.clone();
                rig.time(&action);
                assert_eq!(rig.asked.last().unwrap().body, asked, "{reply:?}");
            }
        }
    };
    check(status(401), true);
    check(unrecognized(), true);
    for code in [400, 403, 404, 410, 429, 500, 502, 503, 504] {
        check(status(code), false);
    }
    check(timeout(), false);
    check(Reply::Fails("connect_refused", Reached::Nothing), false);
    check(Reply::Fails("body_too_large", Reached::Head), false);
    // iOS 16 does not know the code yet, nor does macOS 13; macOS 14 does.
    for (character, version, leaves) in [(ios(), "16.5", false), (mac(), "13.6", false), (mac(), "14.0", true)] {
        let mut rig = Rig::enrolled(Character { os_version: version.into(), ..character });
        assert_eq!(matches!(rig.pushed([unrecognized()]).what, What::End(_)), leaves, "{version}");
    }
}

#[test]
fn failures_in_a_row_put_the_next_try_off_and_a_push_cuts_it_short() {
    let mut rig = Rig::enrolled(ios());
    let mut action = rig.pushed([status(500)]);
    for at_least in [4, 12, 48, 240, 720, 720] {
        let wait = rig.wait(&action).0 / 1_000_000;
        assert!((at_least..=at_least * 3 / 2).contains(&wait), "{wait}");
        rig.script = [status(500)].into();
        action = rig.time(&action);
    }
    let action = rig.pushed([status(500)]);
    assert!((4..=6).contains(&(rig.wait(&action).0 / 1_000_000)), "the row begins again");
}

#[test]
fn a_locked_device_puts_off_and_comes_back_when_it_is_unlocked() {
    let mut rig = Rig::enrolled(Character { locked: (1.0, Dur::secs(30)), ..ios() });
    let action = rig.pushed([bare("1", "SecurityInfo"), ok()]);
    assert_eq!(rig.statuses(), ["Idle", "NotNow"]);
    assert!((1..=31).contains(&(rig.wait(&action).0 / 1_000_000)));
    let one = CommandKey::of(b"1");
    let put_off =
        |fact: &Fact| matches!(fact, Fact::Accepted { command, status: CommandStatus::NotNow } if *command == one);
    assert_eq!(rig.count(put_off), 1);
    // What iOS never puts off it does; then NotNow was not the last, and it waits for a push.
    let action = rig.pushed([bare("1", "SecurityInfo"), bare("2", "ProfileList"), ok()]);
    assert_eq!(rig.statuses(), ["Idle", "NotNow", "Acknowledged"]);
    assert!(rig.wait(&action) > Dur::secs(86_400));
    // A server that offers it again in the same session hears the same again.
    rig.pushed([bare("1", "SecurityInfo"), bare("1", "SecurityInfo"), ok()]);
    assert_eq!(rig.statuses(), ["Idle", "NotNow", "NotNow"]);
}

#[test]
fn a_device_that_restarts_is_deaf_and_follows_a_push_when_it_is_back() {
    let habits = Habits { restarts_every: Some(Dur::secs(86_400)), ..Habits::default() };
    let mut rig = Rig::enrolled(Character { habits, locked: (1.0, Dur::secs(30)), ..ios() });
    let action = rig.pushed([ok()]);
    assert!(action.hear.has(Reasons::PUSH));
    assert_eq!(rig.operations(), ["apple.idle"]);
    rig.asked.clear();
    let action = rig.time(&action);
    assert_eq!((action.hear, rig.asked.len()), (Reasons::TIME, 0));
    let gone = rig.wait(&action);
    assert!(gone >= Dur::secs(30) && gone < Dur::secs(720), "{gone}");
    // One that it heard just before it went.
    let mut late = rig.pushed([ok()]);
    assert_eq!((late.hear, late.until, rig.asked.len()), (Reasons::TIME, action.until, 0));
    late.until += Dur::ms(1);
    let action = rig.time(&late);
    assert_eq!(rig.operations(), ["apple.idle"]);
    assert!(action.hear.has(Reasons::PUSH) && rig.wait(&action) > Dur::secs(3_600), "{}", rig.wait(&action));
}

#[test]
fn who_puts_off_what_depends_on_system_and_channel() {
    let check = |character: Character, channel: u8, request: &str, expected: &str| {
        let mut rig = Rig::enrolled(Character { locked: (1.0, Dur::secs(30)), ..character });
        rig.world.channel = channel;
        rig.pushed([bare("1", request), ok()]);
        assert_eq!(rig.status(1), expected, "{request}");
    };
    check(ios(), 0, "InstallProfile", "NotNow");
    check(ios(), 0, "CertificateList", "NotNow");
    check(ios(), 0, "DeviceInformation", "Acknowledged");
    check(ios(), 0, "Restrictions", "Acknowledged");
    check(mac(), 0, "DeviceInformation", "NotNow");
    check(mac(), 0, "UserList", "Acknowledged");
    check(mac(), 1, "ProfileList", "Acknowledged");
    check(mac(), 1, "RemoveProfile", "NotNow");
}

#[test]
fn a_profile_is_there_until_it_is_removed_and_not_after() {
    let mut rig = Rig::enrolled(ios());
    let remove = |uuid: &str| command(uuid, &Wanted::RemoveProfile { identifier: "wifi" });
    let install = command("1", &Wanted::InstallProfile { payload: &wifi() });
    rig.pushed([install, bare("2", "ProfileList"), remove("3"), bare("4", "ProfileList"), remove("5"), ok()]);
    let listed = |n: usize| rig.message(n).get("ProfileList").and_then(|list| list.as_array().map(<[_]>::len)).unwrap();
    assert_eq!([listed(2), listed(4)], [2, 1]);
    assert_eq!(rig.statuses()[1..], ["Acknowledged", "Acknowledged", "Acknowledged", "Acknowledged", "Error"]);
    assert_eq!(rig.error(5), Some(12_075));
    // Garbage is no profile.
    rig.pushed([command("6", &Wanted::InstallProfile { payload: b"garbage" }), ok()]);
    assert_eq!(rig.status(1), "Error");
}

#[test]
fn an_app_comes_in_by_and_by_and_goes_once() {
    let mut rig = Rig::enrolled(Character { pace: 1.0, ..ios() });
    let app = App { source: AppSource::Bundle("com.example.app"), management_flags: 1, licensed: false };
    let listed = |rig: &mut Rig| {
        rig.pushed([bare("l", "ManagedApplicationList"), ok()]);
        let message = rig.message(1);
        let app = message.get("ManagedApplicationList").and_then(|list| list.get("com.example.app"));
        app.and_then(|app| app.get("Status")).and_then(|status| status.as_str()).map(str::to_owned)
    };
    rig.pushed([command("1", &Wanted::InstallApplication(app)), ok()]);
    assert_eq!(rig.message(1).get("State").and_then(|state| state.as_str()), Some("Queued"));
    let first = listed(&mut rig).unwrap();
    assert!(["Queued", "Installing"].contains(&first.as_str()), "{first}");
    rig.pass(rig.world.clocks.now + Dur::secs(120));
    assert_eq!(listed(&mut rig).as_deref(), Some("Managed"));
    let remove = |uuid| command(uuid, &Wanted::RemoveApplication { identifier: "com.example.app" });
    rig.pushed([remove("2"), remove("3"), ok()]);
    assert_eq!(rig.statuses()[1..], ["Acknowledged", "Error"]);
    assert_eq!(listed(&mut rig), None);
}

#[test]
fn a_server_without_the_right_is_refused() {
    let rights = MDM.replace("8191", "16");
    let mut rig = Rig::with(ios(), &enrollment_with("", &rights)).enroll();
    let queries = Wanted::DeviceInformation { queries: &["OSVersion", "WiFiMAC"], attestation_nonce: None };
    rig.pushed([bare("1", "SecurityInfo"), command("2", &queries), ok()]);
    assert_eq!((rig.error(1), rig.status(2)), (Some(12_008), "Acknowledged".to_owned()));
    let message = rig.message(2);
    let answers = message.get("QueryResponses").unwrap();
    assert!(answers.get("OSVersion").is_some() && answers.get("WiFiMAC").is_none());
}

#[test]
fn a_restarting_device_hears_nothing_until_it_is_back() {
    let mut rig = Rig::enrolled(ios());
    let action = rig.pushed([bare("1", "RestartDevice"), bare("2", "SecurityInfo"), ok()]);
    assert_eq!(rig.statuses(), ["Idle", "Acknowledged"], "what the server said then is lost");
    assert!((40..=120).contains(&(rig.wait(&action).0 / 1_000_000)));
    assert_eq!(action.hear, Reasons::TIME);
    let back = rig.time(&action);
    assert!(back.hear.has(Reasons::PUSH));
    // A result that the server did not take is told once it is back.
    let mut rig = Rig::enrolled(ios());
    let action = rig.pushed([bare("1", "RestartDevice"), status(500)]);
    let result = rig.asked[1].body.clone();
    let action = rig.time(&action);
    assert!(rig.asked.len() == 3 || !action.until.is_never());
    if rig.asked.len() == 2 {
        rig.time(&action);
    }
    assert_eq!(rig.asked[2].body, result);
}

#[test]
fn a_server_that_never_ends_is_hung_up_on() {
    let mut rig = Rig::enrolled(ios());
    let max = rig.world.limits.session_commands_max as usize;
    let action = rig.pushed(vec![bare("1", "ProfileList"); max + 5]);
    assert_eq!(rig.asked.len(), max + 1);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Complaint { kind: "session_too_long", .. })), 1);
    assert!(!action.until.is_never());
}

#[test]
fn a_check_in_that_was_ordered_ends_with_its_session() {
    let mut rig = Rig::enrolled(ios());
    rig.script = [bare("1", "ProfileList"), ok()].into();
    rig.order(Order::CheckIn);
    assert_eq!(rig.ended, [(Operation::CheckIn, Outcome::Succeeded)]);
    rig.script = [status(503)].into();
    rig.order(Order::CheckIn);
    let failed = Outcome::Failed { blame: Blame::Server, kind: "status_503" };
    assert_eq!(rig.ended[1..], [(Operation::CheckIn, failed)]);
    let mut rig = Rig::new(ios());
    rig.order(Order::CheckIn);
    let failed = Outcome::Failed { blame: Blame::Scenario, kind: "not_enrolled" };
    assert_eq!(rig.ended, [(Operation::CheckIn, failed)]);
}
