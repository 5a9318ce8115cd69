//! Commands.

use super::*;
use adp::Outcome as Came;

impl Rig {
    /// What comes of a command.
    fn obeys(&mut self, command: Value) -> Came {
        self.forget();
        self.played.commands.push_back(command);
        self.push();
        let done = self.played.asked.iter().find_map(|ask| match ask {
            Ask::Done { operation, outcome } => Some((operation, outcome)),
            _ => None,
        });
        let (operation, outcome) = done.unwrap();
        assert_eq!(&**operation, "o");
        outcome.clone()
    }
}

fn on(mode: Mode, version: &str) -> Rig {
    Rig::enrolled(Character { os_version: version.into(), ..managed(mode) })
}

fn failed(why: &str) -> Came {
    Came::Failed(why.into())
}

fn done() -> Came {
    Came::Done(Map::new())
}

#[test]
fn commands_fare_by_mode_and_api_level() {
    let check = |kind: &str, mode, version: &str, expected: Came| {
        assert_eq!(on(mode, version).obeys(json!({ "type": kind })), expected, "{kind} {mode:?} {version}");
    };
    let modes = [Mode::FullyManaged, Mode::Dedicated, Mode::CompanyWorkProfile, Mode::PersonalWorkProfile];
    for mode in modes {
        let is_whole = matches!(mode, Mode::FullyManaged | Mode::Dedicated);
        let only = |counts| if counts { done() } else { failed("MANAGEMENT_MODE") };
        check("LOCK", mode, "15", done());
        check("WIPE", mode, "15", done());
        check("RESET_PASSWORD", mode, "15", done());
        check("REBOOT", mode, "15", only(is_whole));
        check("RELINQUISH_OWNERSHIP", mode, "15", only(mode == Mode::CompanyWorkProfile));
        check("FLY", mode, "15", failed("UNSUPPORTED"));
        check("ADD_ESIM", mode, "14", failed("API_LEVEL"));
        check("CLEAR_APP_DATA", mode, "8.1", failed("API_LEVEL"));
    }
    check("START_LOST_MODE", Mode::PersonalWorkProfile, "15", failed("MANAGEMENT_MODE"));
    check("STOP_LOST_MODE", Mode::PersonalWorkProfile, "15", failed("MANAGEMENT_MODE"));
    check("REMOVE_ESIM", Mode::FullyManaged, "15", failed("INVALID_VALUE"));
}

#[test]
fn a_short_password_of_digits_is_refused_since_android_14() {
    let reset = |password: &str| json!({ "type": "RESET_PASSWORD", "newPassword": password });
    assert_eq!(on(Mode::FullyManaged, "14").obeys(reset("12345")), failed("INVALID_VALUE"));
    assert_eq!(on(Mode::FullyManaged, "13").obeys(reset("12345")), done());
    assert_eq!(on(Mode::FullyManaged, "14").obeys(reset("1234a")), done());
    assert_eq!(on(Mode::FullyManaged, "14").obeys(reset("123456")), done());
}

#[test]
fn lost_mode_begins_and_ends_and_is_reported() {
    let mut rig = on(Mode::CompanyWorkProfile, "15");
    let check = |rig: &mut Rig, kind: &str, field: &str, status: &str, state: &str| {
        let Came::Done(fields) = rig.obeys(json!({ "type": kind })) else { panic!("{kind} failed") };
        assert_eq!(Value::Object(fields), json!({ field: { "status": status } }));
        assert_eq!(&*rig.last_report().applied_state, state);
    };
    check(&mut rig, "STOP_LOST_MODE", "stopLostModeStatus", "NOT_IN_LOST_MODE", "");
    check(&mut rig, "START_LOST_MODE", "startLostModeStatus", "SUCCESS", "LOST");
    check(&mut rig, "START_LOST_MODE", "startLostModeStatus", "ALREADY_IN_LOST_MODE", "LOST");
    check(&mut rig, "STOP_LOST_MODE", "stopLostModeStatus", "SUCCESS", "");
}

#[test]
fn data_of_applications_that_are_there_is_cleared() {
    let mut rig = on(Mode::FullyManaged, "15");
    rig.policy(2, json!({ "applications": [{ "packageName": "a.a", "installType": "FORCE_INSTALLED" }] }));
    rig.push();
    let clear = json!({ "type": "CLEAR_APP_DATA", "clearAppsDataParams": { "packageNames": ["a.a", "b.b"] } });
    let Came::Done(fields) = rig.obeys(clear) else { panic!("failed") };
    let results = json!({ "a.a": { "clearingResult": "SUCCESS" }, "b.b": { "clearingResult": "APP_NOT_FOUND" } });
    assert_eq!(Value::Object(fields), json!({ "clearAppsDataStatus": { "results": results } }));
}

#[test]
fn what_is_asked_about_chips_is_answered() {
    let asks = |mode, version: &str, command: Value| {
        let Came::Done(fields) = on(mode, version).obeys(command) else { panic!("failed") };
        Value::Object(fields)
    };
    let info = || json!({ "type": "REQUEST_DEVICE_INFO", "requestDeviceInfoParams": { "deviceInfo": "EID" } });
    let told = asks(Mode::FullyManaged, "15", info());
    assert_eq!(told["requestDeviceInfoStatus"]["status"], "SUCCEEDED");
    assert_eq!(told["requestDeviceInfoStatus"]["eidInfo"]["eids"][0]["eid"].as_str().unwrap().len(), 32);
    let unsupported = json!({ "requestDeviceInfoStatus": { "status": "UNSUPPORTED" } });
    assert_eq!(asks(Mode::FullyManaged, "12", info()), unsupported);
    assert_eq!(asks(Mode::PersonalWorkProfile, "15", info()), unsupported);
    let remove = || json!({ "type": "REMOVE_ESIM", "removeEsimParams": { "iccId": "89" } });
    let removed = json!({ "esimStatus": { "status": "SUCCESS", "esimInfo": { "iccId": "89" } } });
    assert_eq!(asks(Mode::FullyManaged, "15", remove()), removed);
    let asked = json!({ "esimStatus": { "status": "PENDING_USER_ACTION" } });
    assert_eq!(asks(Mode::PersonalWorkProfile, "15", remove()), asked);
    assert_eq!(asks(Mode::FullyManaged, "15", json!({ "type": "ADD_ESIM" }))["esimStatus"]["status"], "SUCCESS");
}

#[test]
fn commands_run_one_after_the_other_and_take_seconds() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    rig.played.commands.extend((0..5).map(|_| json!({ "type": "LOCK" })));
    let before = rig.world.clocks.now;
    rig.push();
    let done = ["sync", "done"].repeat(5);
    assert_eq!(rig.words(), [&done[..], &["sync"]].concat());
    let took = rig.world.clocks.now.since(before);
    assert!((Dur::secs(5)..Dur::secs(50)).contains(&took), "{took}");
}

#[test]
fn a_restart_takes_the_device_away_for_a_while() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    rig.played.commands.extend([json!({ "type": "REBOOT" }), json!({ "type": "LOCK" })]);
    let action = rig.push();
    assert_eq!((rig.words(), action.hear), (vec!["sync", "done"], Reasons::TIME));
    assert!((Dur::secs(30)..Dur::secs(120)).contains(&rig.wait(&action)), "{}", rig.wait(&action));
    let action = rig.time(&action);
    assert_eq!(rig.words()[2..], ["sync", "done", "sync"]);
    rig.until_reported(action);
    assert_eq!(rig.last_report().boots, 1);
}

#[test]
fn a_wipe_is_told_before_the_device_is_gone() {
    let mut rig = on(Mode::FullyManaged, "15");
    rig.obeys(json!({ "type": "WIPE" }));
    assert!(matches!(rig.played.asked[2], Ask::Leave { told: true, .. }), "{:?}", rig.words());
    assert_eq!((rig.words().len(), rig.state()), (3, DeviceState::Wiped));
    let mut rig = on(Mode::CompanyWorkProfile, "15");
    rig.obeys(json!({ "type": "RELINQUISH_OWNERSHIP" }));
    assert_eq!((rig.words(), rig.state()), (vec!["sync", "done", "leave"], DeviceState::Removed));
}

#[test]
fn a_command_whose_time_is_over_has_no_consequence() {
    for kind in ["WIPE", "REBOOT", "START_LOST_MODE"] {
        let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
        rig.played.takes = false;
        rig.obeys(json!({ "type": kind }));
        assert_eq!((rig.words(), rig.state()), (vec!["sync", "done", "sync"], DeviceState::Enrolled), "{kind}");
        assert!(!rig.machine.record().is_lost);
    }
}

#[test]
fn a_google_that_gives_commands_without_an_end_is_left() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.world.limits.session_commands_max = 10;
    rig.played.commands.extend((0..15).map(|_| json!({ "type": "LOCK" })));
    let action = rig.push();
    assert_eq!((rig.complaints(), rig.words().len()), (vec!["commands_without_end"], 21));
    rig.live(action, HOUR);
    assert!(rig.played.commands.is_empty());
}
