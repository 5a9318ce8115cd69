use super::{Stage, resource};
use crate::Delay;
use crate::google::{Departure, Fault, FaultOrder, Object, Refusal};
use crate::push::Strikes;
use droves_facts::{Dur, Wall};
use droves_wire::android::Status;
use serde_json::{Value, json};

const ALL: Strikes = Strikes::Share(1.0);

fn about(names: &[&str], order: FaultOrder) -> FaultOrder {
    FaultOrder { about: names.iter().map(|name| (*name).to_owned()).collect(), ..order }
}

fn struck(stage: &Stage) -> Vec<(&'static str, u64)> {
    stage.google.struck().iter().map(|(name, count)| (*name, *count)).collect()
}

/// A device that enterprise and topic have heard of, and no more.
fn enrolled(stage: &mut Stage, serial: &str) -> String {
    let device = stage.enroll(serial).unwrap();
    stage.heard();
    device
}

#[test]
fn the_call_that_is_struck_is_refused_in_googles_words_and_does_nothing() {
    let mut stage = Stage::new(None);
    let policy = format!("/v1/{}/policies/p", stage.enterprise);
    let mut check = |refusal: Refusal, status: u16, words: &str| {
        let order = FaultOrder::always(Fault::Refuse(refusal), Strikes::Nth(2));
        let id = stage.google.give(about(&["enterprises.policies.patch"], order)).unwrap();
        let version = |answer: Value| answer["version"].as_str().unwrap().parse::<u32>().unwrap();
        let first = version(stage.ask("PATCH", &policy, &json!({})));
        assert_eq!(stage.call("GET", &policy, &json!({})).status, 200, "another method");
        let refused = stage.call("PATCH", &policy, &json!({}));
        assert_eq!(refused.status, status);
        let said = Status::read(&refused.body).map(|status| status.message).unwrap_or_default();
        assert!(said.starts_with(words), "{said}");
        assert_eq!(refused.body.is_empty(), words.is_empty());
        assert_eq!(version(stage.ask("PATCH", &policy, &json!({}))), first + 1, "the refused one changed nothing");
        stage.google.lift(id);
    };
    check(Refusal::Quota, 429, "Quota exceeded for quota metric 'Requests'");
    check(Refusal::QuotaAsInternal, 500, "Quota exceeded for quota metric 'Requests'");
    check(Refusal::Internal, 500, "Internal error");
    check(Refusal::Unavailable, 503, "The service is currently unavailable");
    check(Refusal::NotModified, 304, "");
    let names = ["internal", "not_modified", "quota", "quota_as_internal", "unavailable"];
    assert_eq!(struck(&stage), names.map(|name| (name, 1)));
}

#[test]
fn an_order_holds_in_its_window_and_until_it_is_taken_back() {
    let mut stage = Stage::new(None);
    let enterprise = format!("/v1/{}", stage.enterprise);
    let window = stage.now + Dur::secs(10)..stage.now + Dur::secs(20);
    let order = FaultOrder { window, ..FaultOrder::always(Fault::Refuse(Refusal::Unavailable), ALL) };
    let id = stage.google.give(order).unwrap();
    let statuses = |stage: &mut Stage, secs: u64| {
        stage.now = Wall::VIRTUAL_START + Dur::secs(secs);
        stage.call("GET", &enterprise, &json!({})).status
    };
    assert_eq!([9, 10, 19, 20].map(|secs| statuses(&mut stage, secs)), [200, 503, 503, 200]);
    assert_eq!(statuses(&mut stage, 15), 503);
    stage.google.lift(id);
    assert_eq!(statuses(&mut stage, 15), 200);
}

#[test]
fn a_slow_call_is_done_and_its_answer_comes_later() {
    let mut stage = Stage::new(None);
    let enterprise = format!("/v1/{}", stage.enterprise);
    let delay = Delay::LogNormal { median: Dur::ms(200), sigma: 0.5, max: Dur::secs(2) };
    stage.google.give(FaultOrder::always(Fault::Slow(delay), ALL)).unwrap();
    let mut delays: Vec<Dur> = (0..99).map(|_| stage.call("GET", &enterprise, &json!({})).delay).collect();
    delays.sort();
    assert!((Dur::ms(150)..Dur::ms(270)).contains(&delays[49]), "{}", delays[49]);
    assert!(delays[98] <= Dur::secs(2) && delays[0] < delays[98]);
    assert_eq!(stage.call("GET", "/v1/projects/p/topics/amapi", &json!({})).delay, Dur::ZERO, "Pub/Sub is not slow");
}

#[test]
fn a_share_of_the_calls_is_struck_and_the_same_ones_for_the_same_seed() {
    let struck = || {
        let mut stage = Stage::new(None);
        let order = FaultOrder::always(Fault::Refuse(Refusal::Quota), Strikes::Share(0.2));
        stage.google.give(order).unwrap();
        let target = "/v1/enterprises?projectId=p";
        (0..500).filter(|_| stage.call("GET", target, &json!({})).status == 429).count()
    };
    assert!((70..130).contains(&struck()), "{}", struck());
    assert_eq!(struck(), struck());
}

#[test]
fn a_notification_that_is_repeated_is_the_same_twice_and_one_that_is_late_is_overtaken() {
    let mut stage = Stage::new(None);
    let device = enrolled(&mut stage, "a");
    let report = |stage: &mut Stage| stage.google.report(stage.now, &device, 0, Object::new()).unwrap();
    let soon = Delay::Fixed(Dur::secs(5));
    let id = stage.google.give(about(&["STATUS_REPORT"], FaultOrder::always(Fault::Repeat(soon), ALL))).unwrap();
    report(&mut stage);
    let first = stage.messages();
    stage.now = stage.now + Dur::secs(4);
    assert_eq!(stage.messages(), [json!(null); 0]);
    stage.now = stage.now + Dur::secs(1);
    assert_eq!(stage.messages(), first, "with its id and the time at which it was published");
    stage.google.lift(id);

    stage.google.give(FaultOrder::always(Fault::Late(soon), Strikes::Nth(1))).unwrap();
    report(&mut stage);
    stage.now = stage.now + Dur::secs(1);
    report(&mut stage);
    let second = stage.messages();
    stage.now = stage.now + Dur::secs(4);
    let first = stage.messages();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(first[0]["publishTime"].as_str() < second[0]["publishTime"].as_str(), "published first, delivered last");
    assert_eq!(struck(&stage), [("late", 1), ("repeat", 1)]);
}

#[test]
fn a_push_endpoint_hears_of_a_repeated_notification_when_its_time_has_come() {
    let mut stage = Stage::new(Some("https://emm.example/push"));
    let taken = |stage: &mut Stage| {
        let posts = stage.google.tick(stage.now);
        posts.iter().for_each(|post| stage.google.pushed(stage.now, post, Some(200), Dur::ms(5)));
        posts.len()
    };
    let device = stage.enroll("a").unwrap();
    assert_eq!(taken(&mut stage), 2);
    stage.google.give(FaultOrder::always(Fault::Repeat(Delay::Fixed(Dur::secs(5))), ALL)).unwrap();
    stage.google.report(stage.now, &device, 0, Object::new()).unwrap();
    assert_eq!(taken(&mut stage), 1);
    assert_eq!(stage.google.next(stage.now), Some(stage.now + Dur::secs(5)));
    stage.now = stage.now + Dur::secs(5);
    assert_eq!(taken(&mut stage), 1);
}

#[test]
fn a_notification_is_lost_on_order() {
    let mut stage = Stage::new(None);
    let order = FaultOrder::always(Fault::Lose, ALL);
    stage.google.give(about(&["COMMAND", "ENROLLMENT"], order)).unwrap();
    assert_eq!(stage.heard(), "test");
    let device = stage.enroll("a").unwrap();
    stage.google.report(stage.now, &device, 0, Object::new()).unwrap();
    assert_eq!(stage.heard(), "STATUS_REPORT");
    assert_eq!(struck(&stage), [("lose", 1)]);
    assert_eq!(stage.google.lost(), 0, "it was wanted");
}

#[test]
fn a_device_that_has_left_is_reported_again() {
    let mut stage = Stage::new(None);
    let (gone, here) = (enrolled(&mut stage, "a"), enrolled(&mut stage, "b"));
    stage.google.give(FaultOrder::always(Fault::Forgotten, ALL)).unwrap();
    stage.google.report(stage.now, &here, 0, Object::new()).unwrap();
    assert_eq!(stage.heard(), "STATUS_REPORT", "nobody has left");
    stage.google.leave(stage.now, &gone, Departure::Silent).unwrap();
    stage.google.report(stage.now, &here, 0, Object::new()).unwrap();
    let told: Vec<Value> = stage.messages().iter().map(resource).collect();
    assert_eq!((&told[0]["name"], &told[0]["appliedState"]), (&json!(here), &json!("ACTIVE")));
    assert_eq!((&told[1]["name"], &told[1]["appliedState"]), (&json!(gone), &json!("DELETED")));
    assert_eq!(struck(&stage), [("forgotten", 1)]);
}

#[test]
fn what_comes_beside_a_notification_comes_whatever_becomes_of_itself() {
    let mut stage = Stage::new(None);
    let (gone, here) = (enrolled(&mut stage, "a"), enrolled(&mut stage, "b"));
    stage.google.leave(stage.now, &gone, Departure::Silent).unwrap();
    stage.google.give(FaultOrder::always(Fault::Forgotten, ALL)).unwrap();
    stage.google.give(about(&["STATUS_REPORT"], FaultOrder::always(Fault::Lose, Strikes::Nth(1)))).unwrap();
    stage.google.report(stage.now, &here, 0, Object::new()).unwrap();
    let told: Vec<Value> = stage.messages().iter().map(resource).collect();
    assert_eq!(told.iter().map(|device| &device["name"]).collect::<Vec<_>>(), [&json!(gone)]);
    assert_eq!(struck(&stage), [("forgotten", 1), ("lose", 1)]);
}

#[test]
fn a_device_that_enrolled_anew_is_reported_under_its_old_name() {
    let mut stage = Stage::new(None);
    let old = enrolled(&mut stage, "a");
    let seen = |stage: &mut Stage, name: &str| {
        let applied: Object =
            [("softwareInfo".to_owned(), json!({})), ("policyCompliant".to_owned(), json!(true))].into_iter().collect();
        stage.google.report(stage.now, name, 3, applied).unwrap();
        stage.messages().iter().map(resource).collect::<Vec<_>>()
    };
    let last = seen(&mut stage, &old);
    stage.google.give(about(&["STATUS_REPORT"], FaultOrder::always(Fault::Stale, ALL))).unwrap();
    stage.google.leave(stage.now, &old, Departure::Silent).unwrap();
    let other = enrolled(&mut stage, "b");
    assert_eq!(seen(&mut stage, &other).len(), 1, "it has left, and is not back");
    stage.now = stage.now + Dur::secs(1);
    let new = enrolled(&mut stage, "a");
    let told = seen(&mut stage, &new);
    assert_eq!((&told[0]["name"], &told[0]["previousDeviceNames"]), (&json!(new), &json!([old])));
    assert_eq!(told[1..], last, "as it was");
}
