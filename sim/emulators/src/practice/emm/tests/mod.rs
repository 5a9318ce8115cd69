//! What the EMM does with Google as it is played, and what it does wrong on order. Time is virtual: a minute of quota passes
//! at once.
#![expect(clippy::unwrap_used, reason = "tests")]

mod faults;
mod stage;

use super::Proof;
use crate::google::{Departure, Object};
use droves_facts::{Dur, Mono};
use serde_json::{Value, json};
use stage::{EMM, Push, Stage};

const PLENTY: u32 = 10_000;

#[test]
fn it_signs_up_lets_google_push_and_makes_its_policies() {
    let mut stage = Stage::new(PLENTY);
    let summary = stage.get("/android");
    assert_eq!((&summary["ready"], &summary["trouble"]), (&json!(true), &json!(null)), "{summary}");
    assert!(summary["enterprise"].as_str().unwrap().starts_with("enterprises/LC"));
    assert_eq!(stage.notifications("test", "taken"), 1);
    let calls = &stage.truth()["calls"];
    let expected = [
        ("token", "200", 1),
        ("browser", "302", 1),
        ("browser", "200", 1),
        ("enterprises.create", "200", 1),
        ("topics.setIamPolicy", "200", 1),
        ("subscriptions.create", "200", 1),
        ("enterprises.patch", "200", 1),
        ("policies.patch", "200", 4),
    ];
    expected.iter().for_each(|(name, status, count)| assert_eq!(calls[name][status], *count, "{name}: {calls}"));
}

#[test]
fn a_token_is_made_when_it_is_asked_for() {
    let mut stage = Stage::asleep(PLENTY, None, |_| {});
    let wanted = json!({ "mode": "dedicated", "one_time": true });
    assert_eq!(stage.admin("PUT", "/android/enrollment_tokens/kiosk-7", &wanted).0, 202, "before it is ready");
    assert_eq!(stage.admin("GET", "/android/enrollment_tokens/kiosk-7", &json!({})).0, 404);
    stage.settle();
    let token = stage.get("/android/enrollment_tokens/kiosk-7");
    assert_eq!((&token["one_time"], &token["mode"]), (&json!(true), &json!("dedicated")));
    assert!(token["qr_code"].as_str().unwrap().contains(token["value"].as_str().unwrap()));
    assert_eq!(stage.admin("PUT", "/android/enrollment_tokens/kiosk-7", &wanted).0, 202);
    stage.settle();
    assert_eq!(stage.calls("enrollmentTokens.create", 200), 1, "the same again is the same");
    let other = json!({ "mode": "work_profile" });
    assert_eq!(stage.admin("PUT", "/android/enrollment_tokens/kiosk-7", &other).0, 409);
    assert_eq!(stage.admin("PUT", "/android/enrollment_tokens/x", &json!({ "mode": "byod" })).0, 400);
    assert_eq!(stage.admin("PUT", "/android/enrollment_tokens/a%2Fb", &wanted).0, 400);
    let device = stage.enroll_by("kiosk-7", "K1");
    stage.settle();
    let shown = stage.get("/android/devices/K1");
    assert_eq!((&shown["name"], &shown["group"]), (&json!(device), &json!("kiosk-7")));
    assert!(shown["policy"].as_str().unwrap().ends_with("/policies/dedicated"));
}

#[test]
fn nothing_is_believed_that_google_has_not_signed() {
    let mut stage = Stage::new(PLENTY);
    stage.fleet(1);
    let endpoint = format!("{EMM}/android/pubsub");
    let (push, _) = stage.pushes.last().cloned().unwrap();
    assert_eq!(stage.push(&endpoint, &push).0, 200);
    let mut other = push.token.clone();
    let at = other.len() - 6..other.len() - 5;
    let another = if &other[at.clone()] == "A" { "B" } else { "A" };
    other.replace_range(at, another);
    for token in ["", "a.b.c", &other] {
        assert_eq!(stage.push(&endpoint, &Push { token: token.to_owned(), ..push.clone() }).0, 401, "{token}");
    }
    stage.now += Dur::secs(3_601);
    assert_eq!(stage.push(&endpoint, &push).0, 401, "its hour is over");

    let mut stage = Stage::with(PLENTY, None, |settings| settings.proof = Proof::Secret);
    assert_eq!(stage.notifications("test", "taken"), 1);
    let (push, _) = stage.pushes.last().cloned().unwrap();
    assert_eq!(stage.push(&format!("{endpoint}?token=guess"), &push).0, 401);
}

#[test]
fn it_knows_who_enrolled_and_who_left() {
    let mut stage = Stage::new(PLENTY);
    let devices: Vec<String> = [("fully_managed", "A"), ("work_profile", "B")]
        .iter()
        .map(|(label, serial)| stage.enroll(label, serial))
        .collect();
    stage.settle();
    assert_eq!(stage.get("/enrollments/A"), json!({ "enrolled": true, "pending": 0 }));
    let id = devices[1].rsplit('/').next().unwrap();
    assert_eq!(stage.get(&format!("/enrollments/{id}"))["enrolled"], true, "by Google's id too");
    assert_eq!(stage.get("/android/devices/B")["group"], "work_profile");
    assert_eq!(stage.get("/android/devices/B")["up_to_date"], false);
    stage.wake(&devices[1]);
    stage.settle();
    let shown = stage.get("/android/devices/B");
    assert_eq!((&shown["up_to_date"], &shown["applied_policy_version"]), (&json!(true), &json!(1)), "{shown}");
    stage.leave(&devices[1], Departure::Told);
    stage.settle();
    assert_eq!(stage.get("/enrollments/B")["enrolled"], false);
    assert_eq!(stage.get("/android")["enrolled"], 1);
    let again = stage.enroll("dedicated", "B");
    stage.settle();
    let shown = stage.get("/android/devices/B");
    assert_eq!(
        (&shown["name"], &shown["group"], &shown["enrolled"]),
        (&json!(again), &json!("dedicated"), &json!(true))
    );
    assert_eq!(stage.get(&format!("/enrollments/{id}"))["enrolled"], false, "the old name is nobody's");
    let listed = stage.get("/android/devices?count=1&after=A");
    assert_eq!(listed["devices"][0]["id"], "B");
}

/// It is that of all clones of the image.
#[test]
fn the_serial_number_of_an_image_is_nobodys_id() {
    let mut stage = Stage::new(PLENTY);
    let device = stage.enroll("fully_managed", "unknown");
    stage.settle();
    assert_eq!(stage.get("/enrollments/unknown")["enrolled"], false);
    let id = device.rsplit('/').next().unwrap();
    assert_eq!(
        (&stage.get("/android")["enrolled"], &stage.get(&format!("/enrollments/{id}"))["enrolled"]),
        (&json!(1), &json!(true))
    );
}

#[test]
fn what_comes_again_or_late_is_acknowledged_and_changes_nothing() {
    let mut stage = Stage::new(PLENTY);
    let device = stage.enroll("fully_managed", "A");
    stage.settle();
    let (enrollment, _) = stage.pushes.last().cloned().unwrap();
    let endpoint = format!("{EMM}/android/pubsub");
    assert_eq!(stage.push(&endpoint, &enrollment).0, 200);
    assert_eq!(stage.notifications("ENROLLMENT", "duplicate"), 1);
    stage.pass(Dur::secs(1));
    stage.wake(&device);
    stage.settle();
    let renamed = |id: &str| {
        let mut body: Value = serde_json::from_slice(&enrollment.body).unwrap();
        body["message"]["messageId"] = id.into();
        Push { body: body.to_string().into_bytes(), ..enrollment.clone() }
    };
    assert_eq!(stage.push(&endpoint, &renamed("7")).0, 200);
    assert_eq!(stage.notifications("ENROLLMENT", "stale"), 1);
    assert_eq!(stage.get("/android/devices/A")["up_to_date"], true);
    stage.enroll("fully_managed", "A");
    stage.settle();
    assert_eq!(stage.push(&endpoint, &renamed("8")).0, 200);
    assert_eq!(stage.notifications("ENROLLMENT", "of an old name"), 1);
    let broken = Push { body: b"{}".to_vec(), ..enrollment.clone() };
    assert_eq!(stage.push(&endpoint, &broken).0, 400, "refused, since nobody knows what it is");
}

#[test]
fn a_policy_for_all_waits_for_the_quota_and_loses_nothing() {
    // 1 sign-up, 2 calls for the enterprise, 4 for policies, 1 for a token; then 30 devices, of which each gets a policy and is given it.
    let mut stage = Stage::new(20);
    stage.fleet(30);
    let (status, answer) = stage.admin("PUT", "/android/policies", &json!({ "cameraDisabled": true }));
    assert_eq!((status, &answer["failed"]), (200, &json!({})));
    stage.settle();
    let taken = |stage: &Stage| stage.calls("policies.patch", 200) + stage.calls("devices.patch", 200) - 4;
    assert_eq!(taken(&stage), 20 - 8);
    let refused = stage.calls("policies.patch", 429) + stage.calls("devices.patch", 429);
    assert!((1..=8).contains(&refused), "only what was out when the first one was refused: {refused}");
    stage.pass(Dur::secs(59));
    assert_eq!(taken(&stage), 12, "a minute is waited");
    assert_eq!(stage.get("/android")["queue"]["waiting"], 26);
    stage.pass(Dur::secs(3 * 75));
    let summary = stage.get("/android");
    assert_eq!((&summary["up_to_date"], &summary["queue"]["waiting"]), (&json!(30), &json!(0)), "{summary}");
    assert_eq!(summary["queue"]["quota_waits"], 3);
    assert_eq!(taken(&stage), 60);
    let shown = stage.get("/android/devices/S007");
    let id = shown["name"].as_str().unwrap().rsplit('/').next().unwrap();
    assert!(shown["policy"].as_str().unwrap().ends_with(&format!("/policies/device-{id}")), "{shown}");
    // Again, and each needs one call only.
    stage.admin("PUT", "/android/policies?ids=S001,S002,nobody", &json!({ "cameraDisabled": false }));
    stage.pass(Dur::secs(75));
    assert_eq!((taken(&stage), &stage.get("/android/devices/S001")["applied_policy_version"]), (62, &json!(2)));
}

#[test]
fn one_policy_for_all_is_one_call() {
    let mut stage = Stage::new(PLENTY);
    stage.fleet(5);
    let before = stage.calls("policies.patch", 200);
    assert_eq!(stage.admin("PUT", "/android/policies/fully_managed", &json!({ "cameraDisabled": true })).0, 200);
    stage.settle();
    assert_eq!(stage.calls("policies.patch", 200), before + 1);
    let summary = stage.get("/android");
    assert_eq!((&summary["up_to_date"], &summary["enrolled"]), (&json!(5), &json!(5)));
    let shown = stage.get("/android/devices/S003");
    assert_eq!(shown["applied_policy_version"], 2);
    let (_, policy) = stage.google.policy(stage.wall(), shown["name"].as_str().unwrap()).unwrap().unwrap();
    assert_eq!(policy["statusReportingSettings"]["applicationReportsEnabled"], true, "else nothing would be reported");
    let refused = json!({ "policyEnforcementRules": [{}] });
    stage.admin("PUT", "/android/policies/fully_managed", &refused);
    stage.settle();
    assert_eq!(stage.truth()["policies_refused"], 1);
}

#[test]
fn a_command_is_followed_to_its_end() {
    let mut stage = Stage::new(PLENTY);
    let asleep = stage.enroll("fully_managed", "Z");
    stage.fleet(2);
    let (status, answer) = stage.admin("PUT", "/commands?ids=S000,S001,Z,nobody", &json!({ "type": "LOCK" }));
    assert_eq!((status, &answer["failed"]), (207, &json!({ "nobody": "not enrolled" })));
    stage.settle();
    assert_eq!((stage.fate("LOCK", "issued"), stage.fate("LOCK", "acknowledged")), (3, 2));
    assert_eq!(stage.get("/enrollments/Z")["pending"], 1);
    let open = stage.get("/android/commands");
    assert_eq!(
        (&open["commands"][0]["id"], &open["commands"][0]["command_uuid"]),
        (&json!("Z"), &answer["command_uuid"])
    );
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "REBOOT" }));
    stage.settle();
    assert_eq!(stage.fate("REBOOT", "error"), 1, "the device can't");
    stage.pass(Dur::secs(601));
    assert_eq!(stage.fate("LOCK", "error"), 1, "nobody did it in time");
    assert_eq!(stage.get("/enrollments/Z")["pending"], 0);
    stage.admin("PUT", "/commands?ids=Z", &json!({ "type": "WIPE" }));
    stage.settle();
    stage.wake(&asleep);
    stage.leave(&asleep, Departure::Told);
    stage.settle();
    assert_eq!((stage.fate("WIPE", "acknowledged"), stage.truth()["unenrolled"].clone()), (1, json!(1)));
    assert_eq!(stage.admin("PUT", "/commands?ids=S000", &json!({})).0, 400);
}

#[test]
fn of_one_device_commands_keep_their_order() {
    let mut stage = Stage::new(PLENTY);
    stage.fleet(1);
    stage.holds = Some(":issueCommand");
    for kind in ["LOCK", "RESET_PASSWORD"] {
        stage.admin("PUT", "/commands?ids=S000", &json!({ "type": kind }));
    }
    stage.settle();
    assert_eq!(stage.truth()["queue"]["out"], 1);
    stage.let_go();
    stage.pass(Dur::secs(1));
    assert_eq!((stage.fate("LOCK", "acknowledged"), stage.fate("RESET_PASSWORD", "acknowledged")), (1, 1));
}

#[test]
fn a_notification_that_overtakes_its_command_comes_again() {
    let mut stage = Stage::new(PLENTY);
    stage.fleet(1);
    stage.holds = Some(":issueCommand");
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "LOCK" }));
    stage.settle();
    assert_eq!(stage.fate("LOCK", "acknowledged"), 0);
    assert_eq!(stage.pushes.last().map(|(_, status)| *status), Some(503));
    let overtook = stage.notifications("COMMAND", "overtook its command");
    assert!(overtook > 0);
    stage.let_go();
    stage.pass(Dur::secs(60));
    assert_eq!((stage.fate("LOCK", "acknowledged"), stage.notifications("COMMAND", "taken")), (1, 1));
    assert_eq!(stage.get("/enrollments/S000")["pending"], 0);
}

#[test]
fn a_list_finds_who_left_without_a_word() {
    let mut stage = Stage::with(PLENTY, None, |settings| settings.sweep_every = Dur::secs(600));
    let devices = stage.fleet(120);
    stage.leave(&devices[3], Departure::Silent);
    stage.leave(&devices[110], Departure::Silent);
    stage.settle();
    assert_eq!(stage.get("/enrollments/S003")["enrolled"], true, "nobody has said so");
    stage.pass(Dur::secs(600));
    assert_eq!(stage.calls("devices.list", 200), 2, "two pages");
    assert_eq!(stage.get("/enrollments/S003")["enrolled"], false);
    let truth = stage.truth();
    assert_eq!((&truth["gone_silently"], &truth["sweeps"]), (&json!(2), &json!(1)));
    assert_eq!(stage.get("/android")["enrolled"], 118);
    stage.pass(Dur::secs(600));
    assert_eq!(stage.truth()["gone_silently"], 2);
}

#[test]
fn a_command_whose_end_nobody_told_is_asked_for() {
    let mut stage = Stage::with(PLENTY, None, |settings| {
        settings.sweep_every = Dur::secs(600);
        settings.pending_max = Dur::secs(900);
    });
    stage.fleet(1);
    stage.publishing(false);
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "LOCK" }));
    stage.settle();
    stage.publishing(true);
    stage.pass(Dur::secs(899));
    assert_eq!((stage.fate("LOCK", "acknowledged"), stage.calls("operations.get", 200)), (0, 0));
    stage.pass(Dur::secs(400));
    assert_eq!((stage.fate("LOCK", "acknowledged"), stage.calls("operations.get", 200)), (1, 1));
    assert_eq!(stage.truth()["found_done"], 1);
}

#[test]
fn a_token_is_asked_for_anew_before_it_ends_and_after_it_was_refused() {
    let mut stage = Stage::with(PLENTY, None, |settings| settings.sweep_every = Dur::secs(1_000));
    stage.pass(Dur::secs(3_900));
    assert_eq!((stage.calls("token", 200), stage.calls("devices.list", 200)), (1, 3));
    stage.pass(Dur::secs(1_000));
    assert_eq!((stage.calls("token", 200), stage.calls("devices.list", 401)), (2, 0));
    stage.fleet(1);
    stage.fails.push((":issueCommand", Some(401)));
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "LOCK" }));
    stage.settle();
    assert_eq!((stage.calls("token", 200), stage.fate("LOCK", "acknowledged")), (3, 1));
}

#[test]
fn what_fails_is_tried_again_but_for_a_command_that_may_have_been_taken() {
    let mut stage = Stage::asleep(PLENTY, None, |_| {});
    stage.fails = vec![("/token", Some(400)), ("/droves-practice", Some(503)), ("/droves-practice", None)];
    stage.pass(Dur::secs(10));
    assert_eq!(stage.get("/android")["ready"], true, "{}", stage.truth());
    stage.fleet(1);
    stage.fails = vec![(":issueCommand", Some(503))];
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "LOCK" }));
    stage.pass(Dur::secs(10));
    assert_eq!(stage.fate("LOCK", "acknowledged"), 1);
    stage.fails = vec![(":issueCommand", None)];
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "LOCK" }));
    stage.pass(Dur::secs(10));
    assert_eq!((stage.fate("LOCK", "unanswered"), stage.fate("LOCK", "acknowledged")), (1, 1));
    assert_eq!(stage.get("/enrollments/S000")["pending"], 0);
    assert_eq!(stage.now, Mono(31_000_000));
}

#[test]
fn a_report_without_hardware_is_nobodys() {
    let mut stage = Stage::new(PLENTY);
    stage.enroll("fully_managed", "");
    stage.settle();
    assert_eq!(
        (stage.notifications("ENROLLMENT", "without hardware"), stage.truth()["enrolled"].clone()),
        (1, json!(0))
    );
    let unknown = Object::from_iter([("name".to_owned(), json!("no device"))]);
    assert!(super::fleet::Report::read(&serde_json::to_vec(&unknown).unwrap()).is_none());
}
