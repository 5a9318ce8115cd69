#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::push::Order;
use droves_scenario::plan::Strikes;
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};

const WALL: Wall = Wall::from_secs(1_732_500_000);
const LANES: u32 = 4;

fn tokens() -> Tokens {
    Tokens::new([7; 32])
}

/// Every lane is registered for `p`, as its second time.
fn service(rules: Rules) -> Service {
    let registry = Registry::new(LANES);
    let project = registry.topic("p").unwrap();
    assert!((0..LANES).all(|lane| registry.register(LaneIx(lane), 2, project, WALL)));
    Service::new("https://localhost:1", rules, tokens(), Arc::new(registry), Dice::new(5))
}

fn token(lane: u32, generation: u32) -> String {
    fcm::token(&tokens().token(LaneIx(lane), generation))
}

fn message(token: &str, android: &Value) -> Value {
    json!({ "message": { "token": token, "data": { "cmd": "sync" }, "android": android } })
}

fn post(service: &mut Service, now: u64, project: &str, body: &Value) -> Reply {
    let headers: HeaderMap = [(http::header::AUTHORIZATION, "Bearer any".parse().unwrap())].into_iter().collect();
    let (path, body) = (format!("/v1/projects/{project}/messages:send"), body.to_string());
    let request = Request { method: "POST", path: &path, target: &path, headers: &headers, body: body.as_bytes() };
    service.answer(Mono(now), WALL + Dur(now), request)
}

fn send(service: &mut Service, now: u64, lane: u32) -> Reply {
    post(service, now, "p", &message(&token(lane, 2), &json!({})))
}

/// Status, and FCM's own code or the name of the message.
fn check(reply: &Reply, status: u16, expected: &str) {
    let said: Value = serde_json::from_slice(&reply.body).unwrap();
    let code = said["error"]["details"][0]["errorCode"].as_str();
    let said = code.or(said["name"].as_str()).unwrap_or_default();
    assert_eq!(reply.status, status, "{said}");
    assert!(said.starts_with(expected), "{said}: {expected}");
}

fn woken(service: &mut Service, now: u64) -> Vec<u32> {
    let due = std::iter::from_fn(|| service.due(Mono(now)));
    due.filter_map(|due| if let Due::Wake(push) = due { Some(push.lane.0) } else { None }).collect()
}

fn retry_after(reply: &Reply) -> Option<&str> {
    reply.headers.iter().find(|(name, _)| *name == "Retry-After").map(|(_, value)| value.as_str())
}

#[test]
fn a_token_is_answered_by_what_its_lane_registered() {
    let mut service = service(Rules::default());
    let registry = Arc::clone(&service.traffic.registry);
    registry.withdraw(LaneIx(3), WALL);
    check(&send(&mut service, 0, 0), 200, "projects/p/messages/0:1732500000000000%");
    let mut to = |token: &str| post(&mut service, 0, "p", &message(token, &json!({})));
    for gone in [token(0, 1), token(3, 2), token(0, 3), token(LANES, 1)] {
        check(&to(&gone), 404, "UNREGISTERED");
    }
    assert_eq!(to(&token(0, 1)).fates, [PushFate::Unregistered]);
    for none in ["", "t", "cXyz:APA91bAAAA"] {
        check(&to(none), 400, "INVALID_ARGUMENT");
    }
    check(&post(&mut service, 0, "q", &message(&token(1, 2), &json!({}))), 403, "SENDER_ID_MISMATCH");
    let topic = post(&mut service, 0, "p", &json!({ "message": { "topic": "all" } }));
    check(&topic, 200, "projects/p/messages/0:");
    assert_eq!(woken(&mut service, 1_000), [0]);
    let tally = service.tally();
    assert_eq!((tally.accepted, tally.lost, tally.refused(Reason::Unregistered)), (2, 1, 5));
}

#[test]
fn what_is_only_to_be_judged_wakes_nobody() {
    let mut service = service(Rules { collapsible_rate: Rate { pushes: 1, per: MINUTE }, ..Rules::default() });
    let mut judged = message(&token(0, 2), &json!({ "collapse_key": "sync" }));
    judged["validate_only"] = true.into();
    for _ in 0..3 {
        check(&post(&mut service, 0, "p", &judged), 200, "projects/p/messages/fake_message_id");
    }
    judged["message"]["token"] = token(0, 1).into();
    check(&post(&mut service, 0, "p", &judged), 404, "UNREGISTERED");
    judged["message"]["data"] = json!({ "from": "me" });
    check(&post(&mut service, 0, "p", &judged), 400, "INVALID_ARGUMENT");
    assert!(woken(&mut service, 1_000).is_empty());
}

#[test]
fn a_wake_lasts_as_long_as_its_message() {
    let mut service = service(Rules { travel: Travel::of(Delay::Fixed(Dur(10))), ..Rules::default() });
    let mut with = |ttl: &str| {
        post(&mut service, 5, "p", &message(&token(2, 2), &json!({ "ttl": ttl })));
        let Some(Due::Wake(push)) = service.due(Mono(15)) else { panic!("no wake") };
        assert_eq!((push.lane, push.generation, &*push.magic, push.received), (LaneIx(2), 2, "", Mono(5)));
        push.keep_until.unwrap().since(WALL + Dur(5))
    };
    assert_eq!(with("60s"), MINUTE);
    assert_eq!(with("0s"), TRY + Dur(10));
}

#[test]
fn a_device_out_of_reach_finds_one_wake_and_what_is_too_much_is_dropped() {
    let mut service = service(Rules::default());
    let registry = Arc::clone(&service.traffic.registry);
    registry.set_reachable(LaneIx(3), false);
    let mut to = |android: Value| post(&mut service, 0, "p", &message(&token(3, 2), &android)).fates;
    assert_eq!(to(json!({ "ttl": "0s" })), [PushFate::Received, PushFate::Expired]);
    assert_eq!(to(json!({})), [PushFate::Received]);
    (0..100).for_each(|_| assert_eq!(to(json!({})), [PushFate::Received, PushFate::Coalesced]));
    (0..5).for_each(|n| assert_eq!(to(json!({ "collapse_key": n.to_string() })).len(), 2));
    assert_eq!(service.dropped(), Dropped { collapsible: 1, others: 101, told: 0 });
    assert!(woken(&mut service, 10).is_empty());
    registry.set_reachable(LaneIx(3), true);
    assert_eq!(woken(&mut service, 11), [3]);
    assert_eq!(service.dropped().told, 1);
    registry.set_reachable(LaneIx(3), false);
    post(&mut service, 20, "p", &message(&token(3, 2), &json!({ "ttl": "1s" })));
    assert_eq!(service.due(Mono(1_000_020)), Some(Due::Expired(LaneIx(3))));
}

#[test]
fn who_sends_too_much_waits() {
    let quota = Quota { requests_max: 3, window: MINUTE };
    let mut all = service(Rules { quota, ..Rules::default() });
    check(&post(&mut all, 0, "p", &json!({})), 400, "INVALID_ARGUMENT");
    assert_eq!([send(&mut all, 1, 0).status, send(&mut all, 2, 1).status], [200, 200]);
    let refused = send(&mut all, 10_000_000, 2);
    check(&refused, 429, "QUOTA_EXCEEDED");
    assert_eq!(retry_after(&refused), Some("50"), "a fixed minute, and errors count");
    assert_eq!(send(&mut all, 60_000_000, 2).status, 200);
    let two = |per| Rate { pushes: 2, per };
    let mut few = service(Rules { device_rates: [two(MINUTE), two(MINUTE.times(60))], ..Rules::default() });
    assert_eq!([0, 0, 0, 1].map(|lane| send(&mut few, 0, lane).status), [200, 200, 429, 200]);
    let refused = send(&mut few, MINUTE.0, 0);
    assert_eq!((refused.status, retry_after(&refused)), (429, Some("1740")), "the hour's");
    let mut collapsible = service(Rules { collapsible_rate: two(MINUTE.times(6)), ..Rules::default() });
    let mut to = |android: Value| {
        let reply = post(&mut collapsible, 0, "p", &message(&token(0, 2), &android));
        (reply.status, retry_after(&reply).map(str::to_owned))
    };
    let key = json!({ "collapse_key": "sync" });
    assert_eq!([to(key.clone()).0, to(json!({})).0, to(key.clone()).0, to(json!({})).0], [200; 4]);
    assert_eq!(to(key), (429, Some("180".to_owned())));
}

#[test]
fn who_may_send_is_known_by_a_token() {
    let mut known = service(Rules { callers: Callers::Known, ..Rules::default() });
    let refused = send(&mut known, 0, 0);
    assert_eq!((refused.status, known.tally().refused(Reason::Unauthenticated)), (401, 1));
    let headers = HeaderMap::new();
    let mut get = |method, path| {
        let request = Request { method, path, target: path, headers: &headers, body: b"grant_type=password" };
        known.answer(Mono(0), WALL, request).status
    };
    assert_eq!(get("POST", "/token"), 400);
    for nothing in ["/v1/projects//messages:send", "/v1/projects/a/b/messages:send", "/batch", "/"] {
        assert_eq!(get("POST", nothing), 404, "{nothing}");
    }
    assert_eq!(get("GET", "/v1/projects/p/messages:send"), 404);
    assert_eq!(known.tally().refusals(), 1);
}

#[test]
fn every_reason_can_be_ordered() {
    let mut service = service(Rules::default());
    for &reason in Reason::ALL {
        let window = Mono::ZERO..Mono::NEVER;
        let order = Order { fault: Fault::Refuse(reason), strikes: Strikes::Share(1.0), lanes: Some(0..1), window };
        let id = service.give(order).unwrap();
        let reply = send(&mut service, 0, 0);
        assert_eq!((reply.status, send(&mut service, 0, 1).status), (reason.status(), 200));
        let waits = matches!(reason.status(), 429 | 500 | 503);
        assert_eq!(retry_after(&reply), waits.then_some("60"), "{reason:?}");
        service.lift(id);
    }
    let window = Mono::ZERO..Mono::NEVER;
    service.give(Order { fault: Fault::Lose, strikes: Strikes::Nth(1), lanes: None, window }).unwrap();
    woken(&mut service, 1_000);
    assert_eq!(send(&mut service, 2_000, 0).status, 200);
    assert!(woken(&mut service, 3_000).is_empty());
}

proptest! {
    /// Whatever is sent, registered and out of reach: what was accepted is woken, folded, expired, lost or still
    /// there, and the same seed gives the same answers.
    #[test]
    fn accepted_is_accounted_for(steps in prop::collection::vec((0_u32..6, 0_u8..7, 0_u64..2_000_000), 1..100)) {
        let run = || {
            let travel = Travel::of(Delay::Uniform { from: Dur(0), to: Dur(40) });
            let mut service = service(Rules { travel, ..Rules::default() });
            let registry = Arc::clone(&service.traffic.registry);
            let (mut now, mut seen) = (0, Vec::new());
            for &(lane, what, pause) in &steps {
                now += pause;
                let android = match what {
                    0 => { registry.set_reachable(LaneIx(lane), false); continue }
                    1 => { registry.set_reachable(LaneIx(lane), true); continue }
                    2 => json!({ "ttl": "0s" }),
                    3 => json!({ "ttl": "1s" }),
                    4 => json!({ "collapse_key": "sync" }),
                    _ => json!({}),
                };
                seen.push(post(&mut service, now, "p", &message(&token(lane, 2), &android)));
                if what % 3 == 0 {
                    woken(&mut service, now);
                }
            }
            let waiting = service.traffic.waiting() as u64;
            (seen, service.tally(), waiting)
        };
        let (seen, tally, waiting) = run();
        prop_assert_eq!(tally.accepted + tally.refusals(), seen.len() as u64);
        prop_assert_eq!(tally.accepted, tally.woken + tally.coalesced + tally.expired + tally.lost + waiting);
        prop_assert_eq!(run(), (seen, tally, waiting));
    }
}
