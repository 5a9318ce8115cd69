//! Deliveries of messages: when each might have gone.

use super::{SUBSCRIPTION, Stage, TOPIC};
use crate::Delay;
use crate::google::{Fault, FaultOrder, Object, Outbound};
use crate::push::Strikes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::{Dur, Wall};
use serde_json::json;

const ENDPOINT: &str = "https://emm.example/push";
const REPORTS: usize = 12;

/// A device, and nothing to post any more.
fn enrolled(stage: &mut Stage) -> String {
    let device = stage.enroll("a").unwrap();
    for post in stage.google.tick(stage.now) {
        stage.google.pushed(stage.now, &post, Some(200), Dur::ms(5));
    }
    device
}

fn reports(stage: &mut Stage, device: &str, count: usize) {
    (0..count).for_each(|_| stage.google.report(stage.now, device, 0, Object::new()).unwrap());
}

/// How much later than it might have gone each post goes, in milliseconds, where the n-th takes so long.
fn lateness(stage: &mut Stage, took: impl Fn(usize) -> (Dur, u16)) -> Vec<u64> {
    let mut out: Vec<(Wall, Outbound, u16, Dur)> = Vec::new();
    let (mut late, mut n) = (Vec::new(), 0);
    loop {
        for post in stage.google.tick(stage.now) {
            late.push(stage.now.since(post.due()).0 / 1_000);
            let (took, status) = took(n);
            out.push((stage.now + took, post, status, took));
            n += 1;
        }
        out.sort_by_key(|(at, ..)| *at);
        let next = stage.google.next(stage.now).into_iter().chain(out.first().map(|(at, ..)| *at)).min();
        let Some(next) = next else { return late };
        stage.now = next;
        while out.first().is_some_and(|(at, ..)| *at <= stage.now) {
            let (_, post, status, took) = out.remove(0);
            stage.google.pushed(stage.now, &post, Some(status), took);
        }
    }
}

#[test]
fn what_is_late_on_order_or_waits_for_a_pause_is_not_the_servers() {
    let mut stage = Stage::new(Some(ENDPOINT));
    let device = enrolled(&mut stage);
    let soon = Delay::Fixed(Dur::secs(5));
    let id = stage.google.give(FaultOrder::always(Fault::Repeat(soon), Strikes::Nth(1))).unwrap();
    reports(&mut stage, &device, 1);
    assert_eq!(lateness(&mut stage, |_| (Dur::ms(5), 200)), [0, 0], "the second came when it was to come");
    stage.google.lift(id);
    reports(&mut stage, &device, 1);
    assert_eq!(
        lateness(&mut stage, |n| (Dur::ms(5), if n < 9 { 503 } else { 200 })),
        [0; 10],
        "refused, and posted again"
    );
}

#[test]
fn a_slow_start_is_not_the_servers_and_a_server_that_hangs_is() {
    let mut stage = Stage::new(Some(ENDPOINT));
    let device = enrolled(&mut stage);
    reports(&mut stage, &device, REPORTS);
    assert_eq!(lateness(&mut stage, |_| (Dur::ms(300), 200)), [0; REPORTS], "it is as quick as Pub/Sub wants it");
    // A new subscription begins slowly: three at once, then six.
    let mut stage = Stage::new(Some(ENDPOINT));
    let device = stage.enroll("a").unwrap();
    reports(&mut stage, &device, REPORTS - 2);
    let late = lateness(&mut stage, |n| (if n < 3 { Dur::secs(5) } else { Dur::ms(5) }, 200));
    // Nothing was late while the first three were out for a second; the four seconds are everybody's who waits behind them.
    assert_eq!(late, [[0; 3].as_slice(), &[4_000; REPORTS - 3]].concat());
    stage.ask("GET", "/v1/projects/p/topics/amapi", &json!({}));
    reports(&mut stage, &device, 1);
    assert_eq!(lateness(&mut stage, |_| (Dur::ms(5), 200)), [0], "what comes later has waited for nobody");
}

#[test]
fn an_answer_has_ten_megabytes_of_messages_and_the_rest_is_in_the_next() {
    let mut stage = Stage::new(None);
    stage.heard();
    let message = json!({ "data": STANDARD.encode(vec![0; 250_000]) });
    (0..2).for_each(|_| {
        drop(stage.ask("POST", &format!("{TOPIC}:publish"), &json!({ "messages": vec![message.clone(); 30] })))
    });
    let counts = [(); 3].map(|()| stage.messages().len());
    assert_eq!(counts, [41, 19, 0]);
}

#[test]
fn an_id_of_a_subscription_that_is_gone_acknowledges_nothing() {
    let mut stage = Stage::new(None);
    stage.heard();
    let pulls = |stage: &mut Stage| {
        stage.ask("POST", &format!("{TOPIC}:publish"), &json!({ "messages": [{ "data": "AAAA" }] }));
        let pulled = stage.ask("POST", &format!("{SUBSCRIPTION}:pull"), &json!({ "maxMessages": 1 }));
        pulled["receivedMessages"][0]["ackId"].as_str().unwrap().to_owned()
    };
    let late = pulls(&mut stage);
    stage.ask("DELETE", SUBSCRIPTION, &json!({}));
    stage.ask("PUT", SUBSCRIPTION, &json!({ "topic": TOPIC.trim_start_matches("/v1/") }));
    (0..3).for_each(|_| drop(pulls(&mut stage)));
    stage.ask("POST", &format!("{SUBSCRIPTION}:acknowledge"), &json!({ "ackIds": [late] }));
    stage.now = stage.now + Dur::secs(10);
    assert_eq!(stage.messages().len(), 3, "leases are over, and none was acknowledged");
}

#[test]
fn messages_are_published_all_or_none() {
    let mut stage = Stage::new(None);
    stage.heard();
    let (good, bad) = (json!({ "data": "AAAA" }), [json!({}), json!({ "data": "?" })]);
    for bad in bad {
        let messages = json!({ "messages": [good, bad] });
        assert_eq!(stage.ask("POST", &format!("{TOPIC}:publish"), &messages)["error"]["code"], 400);
        assert_eq!(stage.messages().len(), 0);
    }
}

#[test]
fn what_has_no_room_any_more_is_dropped_and_counted() {
    let mut stage = Stage::new(None);
    let device = stage.enroll("a").unwrap();
    stage.heard();
    stage.google.pubsub.store.bytes_max = 10_000;
    reports(&mut stage, &device, 3);
    assert_eq!((stage.google.dropped(), stage.google.lost()), (1, 0));
    let publish = |stage: &mut Stage| {
        let message = json!({ "data": STANDARD.encode(vec![0; 5_000]) });
        stage.ask("POST", &format!("{TOPIC}:publish"), &json!({ "messages": [message] }))["error"]["code"].clone()
    };
    assert_eq!(publish(&mut stage), 429);
    assert_eq!(stage.messages().len(), 2);
    assert_eq!(publish(&mut stage), json!(null), "what is acknowledged makes room");
    assert_eq!((stage.messages().len(), stage.google.dropped()), (1, 1));
}
