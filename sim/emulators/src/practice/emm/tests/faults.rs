//! What the EMM does wrong on order; each is beside what it does when nothing is ordered.

use super::PLENTY;
use super::stage::Stage;
use crate::google::Departure;
use droves_facts::Dur;
use droves_scenario::plan::{Delay, ServerFault};
use serde_json::json;

fn faulty(requests_max: u32, fault: ServerFault) -> Stage {
    Stage::with(requests_max, Some(fault), |_| {})
}

#[test]
fn commands_that_meet_the_quota_are_lost() {
    let lock = |is_on: bool| {
        // 8 calls to begin with, and one command.
        let mut stage = faulty(9, ServerFault::LoseOnQuota);
        stage.fleet(2);
        stage.faulty(is_on);
        stage.admin("PUT", "/commands?ids=S000,S001", &json!({ "type": "LOCK" }));
        stage.pass(Dur::secs(80));
        assert_eq!((stage.calls("devices.issueCommand", 429), stage.get("/android")["pending"].clone()), (1, json!(0)));
        (stage.fate("LOCK", "acknowledged"), stage.fate("LOCK", "lost"))
    };
    assert_eq!(lock(false), (2, 0));
    assert_eq!(lock(true), (1, 1));
}

#[test]
fn a_report_on_a_forgotten_device_crashes_it() {
    let mut stage = faulty(PLENTY, ServerFault::CrashOnForgotten);
    let device = stage.fleet(1).remove(0);
    assert_eq!(stage.admin("DELETE", "/android/devices/S000", &json!({})).0, 200);
    assert_eq!(stage.get("/enrollments/S000")["enrolled"], false);
    stage.faulty(true);
    stage.wake(&device);
    stage.settle();
    assert_eq!(stage.pushes.last().map(|(_, status)| *status), Some(502));
    assert!(stage.notifications("STATUS_REPORT", "crashed") > 0);
    stage.faulty(false);
    stage.pass(Dur::secs(60));
    assert_eq!(stage.notifications("STATUS_REPORT", "taken up"), 1, "what it did not acknowledge came again");
    assert_eq!(stage.get("/enrollments/S000")["enrolled"], true);
}

#[test]
fn a_device_that_google_does_not_know_has_done_its_command() {
    let wipe = |is_on: bool| {
        let mut stage = faulty(PLENTY, ServerFault::GoneIsDone);
        let device = stage.fleet(1).remove(0);
        stage.leave(&device, Departure::Silent);
        stage.faulty(is_on);
        stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "WIPE" }));
        stage.settle();
        assert_eq!(stage.calls("devices.issueCommand", 404), 1);
        let enrolled = stage.get("/enrollments/S000")["enrolled"].clone();
        (stage.fate("WIPE", "acknowledged"), stage.fate("WIPE", "not found"), enrolled)
    };
    assert_eq!(wipe(false), (0, 1, json!(false)));
    assert_eq!(wipe(true), (1, 0, json!(true)));
}

#[test]
fn a_push_that_is_refused_or_answered_too_late_comes_again() {
    for fault in [ServerFault::Answer(500), ServerFault::Slow(Delay::Fixed(Dur::secs(61)))] {
        let mut stage = faulty(PLENTY, fault);
        stage.faulty(true);
        stage.enroll("fully_managed", "A");
        stage.settle();
        let taken = |stage: &Stage| {
            (stage.notifications("ENROLLMENT", "enrolled"), stage.notifications("ENROLLMENT", "duplicate"))
        };
        let is_looked_at = u64::from(matches!(fault, ServerFault::Slow(_)));
        assert_eq!(taken(&stage).0, is_looked_at, "{fault:?}");
        stage.faulty(false);
        let before = stage.pushes.len();
        stage.pass(Dur::secs(60));
        assert_eq!(stage.pushes.len(), before + 1, "{fault:?}");
        assert_eq!(taken(&stage).0, 1);
        assert!(is_looked_at == 0 || taken(&stage).1 > 0);
    }
}

#[test]
fn the_faults_of_other_families_strike_here_too() {
    let mut stage = faulty(PLENTY, ServerFault::LoseCommand);
    stage.fleet(1);
    stage.faulty(true);
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "LOCK" }));
    stage.settle();
    assert_eq!(stage.calls("devices.issueCommand", 200), 0);

    let mut stage = faulty(PLENTY, ServerFault::MisdeliverCommand);
    stage.fleet(2);
    stage.faulty(true);
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "LOCK" }));
    stage.settle();
    let truth = stage.brain.truth();
    assert_eq!(truth["by_enrollment"]["S001"]["acknowledged"], 1, "{}", truth["by_enrollment"]);

    let mut stage = faulty(PLENTY, ServerFault::RepeatCommand);
    stage.fleet(1);
    stage.faulty(true);
    stage.admin("PUT", "/commands?ids=S000", &json!({ "type": "LOCK" }));
    stage.settle();
    assert_eq!((stage.calls("devices.issueCommand", 200), stage.fate("LOCK", "acknowledged")), (2, 2));
}
