//! What becomes of an enrollment: user channels, renewals, wipes, the ways out.

use super::*;
use crate::Need;
use droves_facts::DeviceIx;

fn magic(rig: &mut Rig) -> String {
    messages::magic(rig.machine.record().generation, &rig.world.ctx())
}

fn token(rig: &Rig, n: usize) -> Vec<u8> {
    rig.message(n).get("Token").and_then(|token| token.as_data()).unwrap().to_vec()
}

#[test]
fn a_wiped_device_is_gone_and_may_come_back_as_another_enrollment() {
    let mut rig = Rig::new(Character { reenrolls_after_wipe: Some(Dur::secs(5)), ..ios() });
    rig.order(Order::Enroll);
    let (certificate, old_magic, old_token) = (rig.world.identity.clone(), magic(&mut rig), token(&rig, 4));
    rig.forget();
    let action = rig.pushed([bare("1", "EraseDevice"), ok()]);
    assert_eq!(rig.statuses(), ["Idle", "Acknowledged"], "no CheckOut");
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Unreachable)), 1);
    assert!(rig.world.identity.is_none());
    let knows = |rig: &mut Rig| Apple::magic(&rig.machine.record(), &rig.world.ctx()).as_ref() == Some(&old_magic);
    assert!(!knows(&mut rig));
    assert!(!action.hear.has(Reasons::PUSH));
    rig.asked.clear();
    rig.time(&action);
    assert_eq!(rig.operations(), IN);
    assert!(rig.world.identity.is_some() && rig.world.identity != certificate);
    assert!(!knows(&mut rig));
    assert_ne!(token(&rig, 4), old_token);
    // One that does not come back by itself comes by order.
    let mut rig = Rig::enrolled(ios());
    assert!(matches!(rig.pushed([bare("1", "EraseDevice"), ok()]).what, What::End(Why::Wiped)));
    rig.asked.clear();
    rig.order(Order::Enroll);
    assert_eq!(rig.operations(), IN);
    // It is erased, whether the server takes the answer or not.
    let mut rig = Rig::enrolled(ios());
    assert!(matches!(rig.pushed([bare("1", "EraseDevice"), status(500)]).what, What::End(Why::Wiped)));
}

#[test]
fn a_device_that_is_told_to_enroll_again_is_another_enrollment() {
    let mut rig = Rig::enrolled(Character { users: 1, ..mac() });
    let old = rig.world.identity.clone();
    rig.order(Order::Enroll);
    assert_eq!(rig.operations(), IN);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    assert_ne!(rig.world.identity, old);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Unreachable)), 1);
    assert_eq!(rig.orders, [(1, Order::MainEnded), (1, Order::Enroll)]);
}

#[test]
fn a_renewal_keeps_the_enrollment_and_a_failed_one_changes_nothing() {
    let mut rig = Rig::new(Character { users: 1, ..mac() });
    rig.order(Order::Enroll);
    let (before, old_token, old_magic) = (rig.world.identity.clone().unwrap(), token(&rig, 4), magic(&mut rig));
    rig.forget();
    rig.order(Order::Renew);
    assert_eq!(rig.operations(), IN);
    assert_eq!(rig.ended, [(Operation::Renew, Outcome::Succeeded)]);
    assert_ne!(rig.world.identity.clone().unwrap(), before);
    assert_eq!(rig.ca_asked[1].0, *before.certificate, "the old identity signs");
    assert_eq!((token(&rig, 4), magic(&mut rig)), (old_token, old_magic));
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Device { .. } | Fact::Unreachable)), 0);
    assert_eq!(rig.orders, [(1, Order::IdentityRenewed)]);
    let kept = rig.world.identity.clone();
    // The CA refuses, or the server does: the old identity is in force.
    for (ca, mdm) in [(Some(status(500)), ok()), (None, status(400))] {
        rig.forget();
        rig.ca_script = ca.into_iter().collect();
        rig.script = [mdm].into();
        rig.order(Order::Renew);
        assert_eq!(rig.world.identity, kept);
        assert!(matches!(rig.ended[..], [(Operation::Renew, Outcome::Failed { .. })]));
        rig.pushed([bare("1", "ProfileList"), ok()]);
        assert_eq!(rig.statuses(), ["Idle", "Acknowledged"]);
    }
}

/// The server may know the new identity, and then no other.
#[test]
fn a_renewal_without_an_answer_is_tried_again_with_the_same_identity() {
    let mut rig = Rig::enrolled(ios());
    let before = rig.world.identity.clone();
    rig.forget();
    rig.script = [timeout()].into();
    let action = rig.order(Order::Renew);
    assert_eq!((rig.operations().last(), rig.ended.len()), (Some(&"apple.authenticate"), 0));
    let new = rig.world.identity.clone();
    assert_ne!(new, before);
    rig.forget();
    rig.time(&action);
    assert_eq!(rig.operations(), ["apple.authenticate", "apple.token_update"]);
    assert_eq!(rig.ended, [(Operation::Renew, Outcome::Succeeded)]);
    assert_eq!(rig.world.identity, new);
}

#[test]
fn an_identity_is_renewed_by_itself_before_it_ends() {
    let mut rig = Rig::enrolled(ios());
    let before = rig.world.identity.clone().unwrap();
    let action = rig.push();
    let (from, to) = droves_wire::x509::validity(&before.certificate).unwrap();
    let wakes = rig.world.clocks.wall + rig.wait(&action);
    assert!(wakes < to && to.since(wakes).0 <= to.since(from).0 / 10 + 1_000_000);
    rig.asked.clear();
    let action = rig.time(&action);
    assert_eq!(rig.operations(), IN);
    assert_ne!(rig.world.identity.clone().unwrap(), before);
    // It fails: some time later it is tried again.
    let mut action = rig.time(&action);
    rig.forget();
    rig.ca_script = [status(503)].into();
    action = rig.time(&action);
    assert_eq!(rig.operations(), ["apple.scep.caps"]);
    assert_eq!(rig.wait(&action), Dur::secs(3_600));
    rig.time(&action);
    assert_eq!(rig.operations()[1..], IN);
}

#[test]
fn the_server_renews_by_installing_the_enrollments_profile_again() {
    let mut rig = Rig::enrolled(ios());
    let before = rig.world.identity.clone();
    let install = |profile: String| command("1", &Wanted::InstallProfile { payload: profile.as_bytes() });
    rig.pushed([install(enrollment())]);
    assert_eq!(rig.operations()[1..], [&IN[..], &["apple.command"]].concat());
    assert_eq!(rig.status(6), "Acknowledged");
    assert_ne!(rig.world.identity, before);
    // What an update may not change is refused before the CA is asked.
    let before = rig.world.identity.clone();
    for (from, to) in [
        ("https://mdm.test/mdm", "https://mdm.test/mdm?x=1"),
        ("https://mdm.test/checkin", "https://mdm.test/check"),
        ("External.x", "External.y"),
    ] {
        rig.pushed([install(enrollment().replace(from, to))]);
        assert_eq!(rig.statuses(), ["Idle", "Error"], "{to}");
    }
    assert_eq!(rig.world.identity, before);
    // The server does not take the new identity: the error is told with the old one.
    rig.pushed([install(enrollment()), status(403)]);
    assert_eq!(rig.world.identity, before);
    assert_eq!(rig.status(rig.asked.len() - 1), "Error");
}

#[test]
fn leaving_says_check_out_once_and_the_users_channels_end() {
    for answer in [ok(), status(500), status(401), timeout()] {
        let mut rig = Rig::enrolled(Character { users: 2, ..mac() });
        rig.script = [answer.clone()].into();
        let action = rig.order(Order::Unenroll);
        assert_eq!(rig.operations(), ["apple.check_out"], "{answer:?}");
        assert!(matches!(action.what, What::End(Why::Removed)), "{answer:?}");
        assert_eq!(rig.orders, [(1, Order::MainEnded), (2, Order::MainEnded)]);
        assert!(matches!(rig.ended[..], [(Operation::Unenroll, _)]), "{answer:?}");
        assert_eq!(rig.world.identity, None);
    }
    // Without the profile's wish the server hears nothing.
    let silent = MDM.replace("<key>CheckOutWhenRemoved</key><true/>", "");
    let mut rig = Rig::with(ios(), &enrollment_with("", &silent)).enroll();
    assert!(matches!(rig.order(Order::Unenroll).what, What::End(Why::Removed)));
    assert!(rig.asked.is_empty());
    assert_eq!(rig.ended, [(Operation::Unenroll, Outcome::Succeeded)]);
}

#[test]
fn the_server_removes_the_enrollments_profile_and_the_device_leaves() {
    let mut rig = Rig::enrolled(ios());
    let action = rig.pushed([command("1", &Wanted::RemoveProfile { identifier: "t.C" }), ok()]);
    assert_eq!(rig.operations(), ["apple.idle", "apple.command", "apple.check_out"]);
    assert_eq!(rig.status(1), "Acknowledged");
    assert!(matches!(action.what, What::End(Why::Removed)));
}

/// The user's lane of a Mac that has enrolled.
fn user_of(main: &Rig) -> Rig {
    let mut user = Rig::new(main.world.character.clone());
    user.world.channel = 1;
    user.world.lane = LaneIx(10);
    user.world.device = DeviceIx(7);
    user.world.identity = main.world.identity.clone();
    user.machine = Apple::open(Slept { shared: main.machine.sister(), ..Slept::default() });
    user
}

#[test]
fn who_is_to_leave_and_is_not_there_enrolls_all_the_same() {
    let mut rig = Rig::new(ios());
    let now = rig.world.clocks.now;
    let notes = [Order::Unenroll, Order::Enroll].map(|order| Note { order, cause: now });
    rig.wake(Wake { reasons: Reasons::ORDER, due: now, notes: &notes });
    assert_eq!(rig.machine.record().stage, record::Stage::Enrolled);
    let refused = |(operation, outcome): &(Operation, Outcome)| {
        *operation == Operation::Unenroll && matches!(outcome, Outcome::Failed { kind: "not_enrolled", .. })
    };
    assert!(rig.ended.iter().any(refused), "{:?}", rig.ended);
}

#[test]
fn a_user_channel_has_its_own_token_and_speaks_for_its_user() {
    let mut main = Rig::new(Character { users: 1, ..mac() });
    main.order(Order::Enroll);
    let (main_token, main_magic) = (token(&main, 4), magic(&mut main));
    let mut user = user_of(&main);
    let action = user.order(Order::Enroll);
    assert!((1..=4).contains(&(user.wait(&action).0 / 1_000_000)), "seconds after the device");
    let action = user.time(&action);
    assert_eq!(user.operations(), ["apple.token_update"]);
    let message = user.message(0);
    assert!(message.get("UserID").is_some() && message.get("UserShortName").is_some());
    assert_eq!(message.get("UDID"), main.message(4).get("UDID"));
    assert_ne!((token(&user, 0), magic(&mut user)), (main_token, main_magic));
    user.time(&action);
    user.pushed([bare("1", "ProfileList"), bare("2", "SecurityInfo"), ok()]);
    assert!((0..3).all(|n| user.message(n).get("UserID").is_some()));
    assert_eq!(user.statuses(), ["Idle", "Acknowledged", "Error"], "it is the device's");
    let listed = user.message(1).get("ProfileList").and_then(|list| list.as_array().map(<[_]>::len));
    assert_eq!(listed, Some(0), "the device's profiles are not the user's");
    // It can't renew what is the device's.
    user.forget();
    user.order(Order::Renew);
    assert!(matches!(user.ended[..], [(Operation::Renew, Outcome::Failed { .. })]));
    assert!(user.asked.is_empty());
    let action = user.order(Order::MainEnded);
    assert!(matches!(action.what, What::End(Why::Removed)));
    assert!(user.asked.is_empty(), "only the device says CheckOut");
    // The device comes back, and so does the user.
    let action = user.order(Order::Enroll);
    user.machine.lane.shared = main.machine.sister();
    user.time(&action);
    assert_eq!(user.operations(), ["apple.token_update"]);
    // While the user's lane was busy the device enrolled anew, and was wiped: what came last counts.
    user.forget();
    let now = user.world.clocks.now;
    let notes = [Order::MainEnded, Order::Enroll, Order::MainEnded].map(|order| Note { order, cause: now });
    let action = user.wake(Wake { reasons: Reasons::ORDER, due: now, notes: &notes });
    assert!(matches!(action.what, What::End(Why::Removed)), "{action:?}");
}

#[test]
fn a_user_channel_whose_device_is_gone_meanwhile_tells_nobody() {
    let main = Rig::enrolled(Character { users: 1, ..mac() });
    let mut user = user_of(&main);
    let action = user.order(Order::Enroll);
    user.world.identity = None;
    let action = user.time(&action);
    assert!(matches!(action.what, What::End(Why::Removed)), "{action:?}");
    assert!(user.asked.is_empty());
}

#[test]
fn a_user_who_is_not_managed_has_no_channel() {
    let main = Rig::enrolled(Character { users: 1, ..mac() });
    let mut user = user_of(&main);
    let action = user.order(Order::Enroll);
    user.script = [status(410)].into();
    assert!(matches!(user.time(&action).what, What::End(Why::GaveUp)));
    assert!(matches!(user.ended[..], [(Operation::Enroll, Outcome::Failed { .. })]));
}

#[test]
fn a_user_channel_that_waits_is_told_of_a_new_identity() {
    let main = Rig::enrolled(Character { users: 1, ..mac() });
    let mut user = user_of(&main);
    let action = user.order(Order::Enroll);
    let action = user.time(&action);
    user.time(&action);
    user.pushed([status(500)]);
    user.asked.clear();
    user.order(Order::IdentityRenewed);
    assert_eq!(user.operations(), ["apple.idle"]);
}

#[test]
fn who_is_away_when_it_is_to_enroll_enrolls_when_it_is_back() {
    let habits = Habits { off: (0.5, Dur::secs(3_600)), ..Habits::default() };
    let mut rig = Rig::new(Character { habits, ..ios() });
    while rig.world.ctx().lacks_until(Need::Power).is_none() {
        rig.pass(rig.world.clocks.now + Dur::secs(60));
    }
    let first = rig.order(Order::Enroll);
    let mut action = rig.order(Order::Enroll);
    assert_eq!((action.hear, action.until, rig.asked.len()), (Reasons::TIME, first.until, 0));
    while rig.ended.is_empty() {
        action = rig.time(&action);
    }
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
}
