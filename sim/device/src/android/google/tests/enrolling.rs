//! Enrolling, and the ways out.

use super::*;

#[test]
fn an_arrival_ends_with_the_first_report_of_the_policy() {
    let mut rig = Rig::new(slow(Mode::FullyManaged));
    rig.policy(4, json!({}));
    let action = rig.order(Order::Enroll);
    assert!((MINUTE.times(3)..MINUTE.times(10)).contains(&rig.wait(&action)), "{}", rig.wait(&action));
    assert_eq!((rig.words(), rig.states()), (vec![], vec![DeviceState::Enrolling]));
    let action = rig.time(&action);
    assert_eq!(rig.words(), ["enroll", "sync"]);
    assert_eq!(rig.states(), [DeviceState::Enrolling, DeviceState::Enrolled]);
    assert!(rig.ended.is_empty());
    assert!((MINUTE..MINUTE.times(3)).contains(&rig.wait(&action)), "{}", rig.wait(&action));
    rig.time(&action);
    assert_eq!(rig.words(), ["enroll", "sync", "report"]);
    assert_eq!(rig.reports()[0].0, 4);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
}

#[test]
fn without_a_pace_everything_is_at_once() {
    let mut rig = Rig::new(managed(Mode::Dedicated));
    rig.policy(1, json!({ "applications": [{ "packageName": "a.b", "installType": "KIOSK" }] }));
    rig.played.commands.push_back(json!({ "type": "LOCK" }));
    let action = rig.order(Order::Enroll);
    assert_eq!(rig.words(), ["enroll", "sync", "done", "sync", "report"]);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    assert!(rig.wait(&action) >= DAY.scaled(0.9), "{}", rig.wait(&action));
}

#[test]
fn a_policy_that_nobody_has_made_is_none_to_wait_for() {
    let mut rig = Rig::new(managed(Mode::FullyManaged));
    rig.order(Order::Enroll);
    assert_eq!(rig.reports()[0].0, 0);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
}

#[test]
fn google_hears_who_the_device_is() {
    let mut rig = Rig::new(managed(Mode::PersonalWorkProfile));
    rig.order(Order::Enroll);
    let Ask::Enroll(enroll) = &rig.played.asked[0] else { panic!("{:?}", rig.words()) };
    let (token, recipe) = (&*enroll.token, &enroll.recipe);
    assert_eq!((token, &*recipe.brand, &*recipe.model, recipe.api_level), ("TOKEN", "Google", "Pixel 9", 35));
    assert_eq!(recipe.mode, Mode::PersonalWorkProfile);
    assert_eq!(*recipe.serial, Google::enrollment_id(&rig.world.ctx()));
    let record = rig.machine.record();
    assert_eq!(Google::magic(&record, &rig.world.ctx()).as_deref(), Some("0000000000000001"));
}

#[test]
fn a_token_that_is_not_good_or_not_for_it_ends_it() {
    for (status, kind) in [(403, "status_403"), (409, "status_409")] {
        let mut rig = Rig::new(managed(Mode::FullyManaged));
        rig.played.instead.push_back(Ok((status, Bytes::new())));
        let action = rig.order(Order::Enroll);
        assert!(matches!(action.what, What::End(crate::Why::GaveUp)), "{action:?}");
        assert_eq!((rig.words(), rig.state()), (vec!["enroll"], DeviceState::Failed));
        let failed = Outcome::Failed { blame: Blame::Server, kind };
        assert_eq!((rig.ended.as_slice(), rig.complaints()), (&[(Operation::Enroll, failed)][..], vec![kind]));
    }
}

#[test]
fn what_passes_is_tried_again_a_few_times() {
    let mut rig = Rig::new(managed(Mode::FullyManaged));
    rig.played.instead = [Ok((429, Bytes::new())), Err("reset")].into();
    let action = rig.order(Order::Enroll);
    let action = rig.time(&action);
    rig.time(&action);
    assert_eq!(rig.words(), ["enroll", "enroll", "enroll", "sync", "report"]);
    assert_eq!(rig.state(), DeviceState::Enrolled);
    let mut rig = Rig::new(managed(Mode::FullyManaged));
    rig.played.instead = (0..10).map(|_| Ok((429, Bytes::new()))).collect();
    let mut action = rig.order(Order::Enroll);
    while !action.until.is_never() {
        action = rig.time(&action);
    }
    assert_eq!((rig.words().len(), rig.state()), (5, DeviceState::Failed));
}

#[test]
fn a_name_that_google_could_not_have_given_is_none() {
    for name in ["enterprises/LC1/devices/ABCDEFABCDEFABCD", "enterprises/LC1/devices/12", "x", ""] {
        let mut rig = Rig::new(managed(Mode::FullyManaged));
        let answer = Answer::Enrolled { device: name.into(), policy: "p".into() };
        rig.played.instead = (0..5).map(|_| Ok((200, serde_json::to_vec(&answer).unwrap().into()))).collect();
        let mut action = rig.order(Order::Enroll);
        while !action.until.is_never() {
            action = rig.time(&action);
        }
        assert_eq!((rig.state(), rig.complaints()), (DeviceState::Failed, vec!["google_answer"; 5]), "{name}");
    }
}

#[test]
fn who_enrolls_again_is_another_device_with_the_same_serial_number() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    let magic = |rig: &mut Rig| {
        let record = rig.machine.record();
        Google::magic(&record, &rig.world.ctx())
    };
    let (before, serial) = (magic(&mut rig), Google::enrollment_id(&rig.world.ctx()));
    rig.order(Order::Enroll);
    assert_ne!(magic(&mut rig), before);
    assert_eq!(Google::enrollment_id(&rig.world.ctx()), serial);
    assert_eq!(rig.words(), ["enroll", "sync", "report"]);
    assert_eq!(rig.states(), [DeviceState::Enrolling, DeviceState::Enrolled]);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
}

#[test]
fn an_order_to_leave_is_told() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    let action = rig.order(Order::Unenroll);
    assert!(matches!(rig.played.asked[..], [Ask::Leave { told: true, .. }]), "{:?}", rig.played.asked);
    assert!(matches!(action.what, What::End(crate::Why::Removed)));
    assert_eq!((rig.states(), rig.complaints()), (vec![DeviceState::Removed], vec![]));
    assert_eq!(rig.ended, [(Operation::Unenroll, Outcome::Succeeded)]);
    rig.forget();
    rig.order(Order::Unenroll);
    let failed = Outcome::Failed { blame: Blame::Scenario, kind: "not_enrolled" };
    assert_eq!((rig.ended.as_slice(), rig.words()), (&[(Operation::Unenroll, failed)][..], vec![]));
}

#[test]
fn of_some_google_never_hears_that_they_leave() {
    let Enrolls::Google(way) = google().enrolls else { unreachable!() };
    let way = Arc::new(crate::Google { silent: 1.0, ..(*way).clone() });
    let mut rig = Rig::enrolled(Character { enrolls: Enrolls::Google(way), ..google() });
    rig.order(Order::Unenroll);
    assert!(matches!(rig.played.asked[..], [Ask::Leave { told: false, .. }]), "{:?}", rig.played.asked);
    assert_eq!(rig.states(), [DeviceState::Removed]);
}

#[test]
fn what_belonged_to_an_enrollment_goes_with_it() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    let app = |n: u8| json!({ "packageName": format!("p{n}"), "installType": "FORCE_INSTALLED" });
    rig.policy(2, json!({ "applications": [app(1), app(2)] }));
    rig.push();
    rig.order(Order::Unenroll);
    let Slept { shared, own, .. } = rig.machine.snapshot();
    assert_eq!((shared, own), (Arc::default(), None));
}

#[test]
fn an_enrollment_can_be_called_off() {
    let mut rig = Rig::new(slow(Mode::FullyManaged));
    rig.order(Order::Enroll);
    rig.order(Order::Unenroll);
    let failed = Outcome::Failed { blame: Blame::Scenario, kind: "not_enrolled" };
    assert_eq!(rig.ended, [(Operation::Unenroll, Outcome::Succeeded), (Operation::Enroll, failed)]);
    assert_eq!((rig.words(), rig.state()), (vec![], DeviceState::Removed));
}

#[test]
fn a_device_that_was_deleted_is_erased_and_says_so() {
    for (mode, state) in [
        (Mode::Dedicated, DeviceState::Wiped),
        (Mode::CompanyWorkProfile, DeviceState::Wiped),
        (Mode::PersonalWorkProfile, DeviceState::Removed),
    ] {
        let mut rig = Rig::enrolled(managed(mode));
        rig.played.deletes = true;
        rig.push();
        assert_eq!((rig.words(), rig.states()), (vec!["sync", "leave"], vec![state]), "{mode:?}");
    }
}

#[test]
fn what_was_wiped_enrolls_again_by_itself_if_it_is_its_way() {
    let mut rig = Rig::enrolled(Character { reenrolls_after_wipe: Some(HOUR), ..managed(Mode::FullyManaged) });
    rig.played.deletes = true;
    let action = rig.push();
    assert_eq!((rig.wait(&action), rig.state()), (HOUR, DeviceState::Wiped));
    assert!(!action.hear.has(Reasons::PUSH));
    rig.played.deletes = false;
    rig.time(&action);
    assert_eq!(rig.state(), DeviceState::Enrolled);
}

#[test]
fn a_device_that_google_does_not_know_any_more_is_unenrolled() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.played.instead.push_back(Ok((404, Bytes::new())));
    rig.push();
    assert_eq!((rig.words(), rig.state(), rig.complaints()), (vec!["sync"], DeviceState::Removed, vec![]));
}

#[test]
fn a_device_has_no_identity_to_renew() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.order(Order::Renew);
    let failed = Outcome::Failed { blame: Blame::Scenario, kind: "no_identity" };
    assert_eq!((rig.ended.as_slice(), rig.words()), (&[(Operation::Renew, failed)][..], vec![]));
}
