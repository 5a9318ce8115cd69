#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::push::{Due, Order, Queue};
use droves_scenario::plan::Strikes;
use http::HeaderMap;
use proptest::prelude::*;

const PFN: &str = "Droves.Mdm_8wekyb3d8bbwe";
const WALL: Wall = Wall::from_secs(1_732_500_000);
const LANES: u32 = 4;

fn tokens() -> Tokens {
    Tokens::new([7; 32])
}

/// Every lane has a channel of generation 2.
fn service(rules: Rules) -> Service {
    let registry = Registry::new(LANES);
    let pfn = registry.topic(PFN).unwrap();
    assert!((0..LANES).all(|lane| registry.register(LaneIx(lane), 2, pfn, WALL)));
    Service::new(rules, tokens(), Arc::new(registry), Dice::new(5))
}

fn app(id: &str, pfn: &str) -> App {
    App { id: id.into(), secret: "secret".into(), pfn: pfn.into() }
}

fn channel(lane: u32, generation: u32) -> String {
    let url = wns::channel("localhost:1", &tokens().token(LaneIx(lane), generation));
    url.trim_start_matches("https://localhost:1").to_owned()
}

fn bearer(service: &mut Service, id: &str) -> String {
    let form = wns::TokenRequest { client_id: id.into(), client_secret: "secret".into(), scope: wns::SCOPE.into() };
    let (form, headers) = (form.write(), HeaderMap::new());
    let path = "/accesstoken.srf";
    let request = Request { method: "POST", path, target: path, headers: &headers, body: form.as_bytes() };
    let reply = service.answer(Mono(0), WALL, request);
    assert_eq!(reply.status, 200);
    format!("Bearer {}", wns::Token::read(&reply.body).unwrap().access_token)
}

fn send(service: &mut Service, (now, wall): (u64, Wall), target: &str, pairs: &[(&str, &str)]) -> Reply {
    let mut headers = HeaderMap::new();
    let raw = [(wns::TYPE, wns::RAW), ("Content-Type", wns::RAW_CONTENT_TYPE)];
    for (name, value) in raw.iter().chain(pairs) {
        headers.insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    service.answer(Mono(now), wall, Request { method: "POST", path, target, headers: &headers, body: b"1" })
}

fn said<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str())
}

/// Status, `X-WNS-Status` and a word of the description.
fn check(reply: &Reply, status: u16, fate: Option<&str>, word: &str) {
    assert_eq!((reply.status, said(reply, wns::STATUS)), (status, fate), "{reply:?}");
    assert!(said(reply, wns::ERROR_DESCRIPTION).unwrap_or_default().contains(word), "{reply:?}");
    assert_eq!(said(reply, wns::MESSAGE_ID).map(str::len), Some(16));
    assert!(said(reply, "MS-CV").is_some() && said(reply, wns::DEBUG_TRACE).is_some());
}

fn woken(service: &mut Service, now: u64) -> Vec<u32> {
    let due = std::iter::from_fn(|| service.due(Mono(now)));
    due.filter_map(|due| if let Due::Wake(push) = due { Some(push.lane.0) } else { None }).collect()
}

#[test]
fn a_channel_is_answered_by_what_its_lane_registered() {
    let mut service = service(Rules::default());
    let good = bearer(&mut service, "anybody");
    let good = ("Authorization", good.as_str());
    let registry = Arc::clone(&service.traffic.registry);
    registry.withdraw(LaneIx(3), WALL);
    let at = (0, WALL);
    check(&send(&mut service, at, &channel(0, 2), &[good]), 200, Some("received"), "");
    for stranger in [channel(0, 3), channel(LANES, 2), "/?token=AAAA".into(), "/".into(), "/somewhere".into()] {
        check(&send(&mut service, at, &stranger, &[good]), 404, None, "Nobody");
    }
    let gone = send(&mut service, at, &channel(0, 1), &[good]);
    check(&gone, 410, None, "another");
    assert_eq!((gone.lane, gone.fates), (Some(LaneIx(0)), &[PushFate::Unregistered][..]));
    check(&send(&mut service, at, &channel(3, 2), &[good]), 410, None, "another");
    let late = (1, WALL + DAY.times(30));
    let good = bearer(&mut service, "anybody");
    check(&send(&mut service, late, &channel(0, 2), &[("Authorization", &good)]), 401, None, "past its time");
    assert_eq!(woken(&mut service, 1_000), [0]);
    assert_eq!((service.tally().accepted, service.tally().refused(Reason::Gone)), (1, 2));
}

#[test]
fn a_channel_is_good_for_thirty_days() {
    let mut service = service(Rules { access_max: DAY.times(60), ..Rules::default() });
    let good = bearer(&mut service, "anybody");
    let mut status = |wall| send(&mut service, (0, wall), &channel(0, 2), &[("Authorization", &good)]).status;
    assert_eq!(status(WALL + DAY.times(30) - Dur::secs(1)), 200);
    assert_eq!(status(WALL + DAY.times(30)), 410);
}

#[test]
fn a_package_sends_to_its_own_channels() {
    let mut service = service(Rules { apps: vec![app("a", PFN), app("b", "Other_1")], ..Rules::default() });
    let (own, other) = (bearer(&mut service, "a"), bearer(&mut service, "b"));
    let mut send = |token: &str| send(&mut service, (0, WALL), &channel(1, 2), &[("Authorization", token)]);
    check(&send(&own), 200, Some("received"), "");
    check(&send(&other), 403, None, "another package");
    check(&send("Bearer AAAA"), 401, None, "not one of ours");
    check(&send("Basic AAAA"), 401, None, "bearer");
}

#[test]
fn who_sends_too_much_waits() {
    let two = Some(Rate { pushes: 2, per: Dur::secs(10) });
    let mut channels = service(Rules { channel_rate: two, ..Rules::default() });
    let good = bearer(&mut channels, "a");
    let mut to = |lane| send(&mut channels, (0, WALL), &channel(lane, 2), &[("Authorization", &good)]);
    assert_eq!([to(0).status, to(0).status, to(1).status], [200; 3]);
    let throttled = to(0);
    check(&throttled, 406, Some("channelthrottled"), "Too many");
    assert_eq!(said(&throttled, wns::CONTINUE_AFTER), Some("5"));
    let mut packages =
        service(Rules { package_rate: two, apps: vec![app("a", PFN), app("b", PFN)], ..Rules::default() });
    let (a, b) = (bearer(&mut packages, "a"), bearer(&mut packages, "b"));
    let mut to = |lane, token: &str| send(&mut packages, (0, WALL), &channel(lane, 2), &[("Authorization", token)]);
    assert_eq!([to(0, &a).status, to(1, &a).status, to(2, &b).status], [200; 3]);
    check(&to(3, &a), 406, Some("dropped"), "Too many");
}

#[test]
fn a_device_out_of_reach_keeps_one_that_may_be_kept() {
    let mut service = service(Rules::default());
    let good = bearer(&mut service, "a");
    let registry = Arc::clone(&service.traffic.registry);
    registry.set_reachable(LaneIx(2), false);
    let good = ("Authorization", good.as_str());
    let (kept, wanted) = (("X-WNS-Cache-Policy", "cache"), ("X-WNS-RequestForStatus", "true"));
    let mut to = |pairs: &[_]| send(&mut service, (0, WALL), &channel(2, 2), pairs);
    let dropped = to(&[good, wanted]);
    check(&dropped, 200, Some("dropped"), "");
    assert_eq!(said(&dropped, wns::CONNECTION), Some("disconnected"));
    check(&to(&[good, kept]), 200, Some("received"), "");
    check(&to(&[good, kept]), 200, Some("received"), "");
    assert!(woken(&mut service, 10).is_empty());
    registry.set_reachable(LaneIx(2), true);
    assert_eq!(woken(&mut service, 11), [2]);
    assert!(woken(&mut service, 12).is_empty());
    let there = send(&mut service, (13, WALL), &channel(2, 2), &[good, wanted]);
    assert_eq!(said(&there, wns::CONNECTION), Some("connected"));
    assert_eq!(said(&send(&mut service, (14, WALL), &channel(2, 2), &[good]), wns::CONNECTION), None);
}

#[test]
fn what_is_kept_expires_and_what_lives_shortly_is_worth_nothing_later() {
    let mut service = service(Rules::default());
    let good = bearer(&mut service, "a");
    let pairs = [("Authorization", good.as_str()), ("X-WNS-Cache-Policy", "cache"), ("X-WNS-TTL", "5")];
    send(&mut service, (0, WALL), &channel(0, 2), &pairs);
    let Some(Due::Wake(push)) = service.due(Mono(0)) else { panic!("no wake") };
    assert_eq!((&*push.magic, push.generation, push.keep_until), ("", 2, Some(WALL + Dur::secs(5))));
    service.traffic.registry.set_reachable(LaneIx(0), false);
    send(&mut service, (0, WALL), &channel(0, 2), &pairs);
    assert_eq!(service.due(Mono(4_999_999)), None);
    assert_eq!(service.due(Mono(5_000_000)), Some(Due::Expired(LaneIx(0))));
}

#[test]
fn what_is_for_a_screen_wakes_nobody() {
    let mut service = service(Rules::default());
    let good = bearer(&mut service, "a");
    let pairs = [("Authorization", good.as_str()), (wns::TYPE, "wns/toast"), ("Content-Type", "text/xml")];
    check(&send(&mut service, (0, WALL), &channel(0, 2), &pairs), 200, Some("received"), "");
    assert!(woken(&mut service, 1_000).is_empty());
    assert_eq!((service.tally().lost, service.tally().unreadable), (1, 1));
}

#[test]
fn every_reason_can_be_ordered() {
    let mut service = service(Rules::default());
    let good = bearer(&mut service, "a");
    for &reason in Reason::ALL {
        let window = Mono::ZERO..Mono::NEVER;
        let order = |fault| Order { fault, strikes: Strikes::Share(1.0), lanes: Some(0..1), window: window.clone() };
        let id = service.give(order(Fault::Refuse(reason))).unwrap();
        let mut to = |lane| send(&mut service, (0, WALL), &channel(lane, 2), &[("Authorization", &good)]);
        assert_eq!((to(0).status, to(1).status), (reason.status(), 200));
        let reply = to(0);
        let wait = match reason.status() {
            406 => said(&reply, wns::CONTINUE_AFTER),
            500 | 503 => said(&reply, "Retry-After"),
            _ => Some("60").filter(|_| said(&reply, "Retry-After").is_none()),
        };
        assert_eq!(wait, Some("60"), "{reason:?}");
        service.lift(id);
    }
    let window = Mono::ZERO..Mono::NEVER;
    service.give(Order { fault: Fault::Lose, strikes: Strikes::Nth(1), lanes: None, window }).unwrap();
    woken(&mut service, 1_000);
    let mut to = |now| send(&mut service, (now, WALL), &channel(0, 2), &[("Authorization", &good)]).status;
    assert_eq!(to(2_000), 200);
    assert!(woken(&mut service, 3_000).is_empty());
}

proptest! {
    /// Whatever is sent, registered and out of reach: what was accepted is woken, folded, expired, lost or still
    /// there, and the same seed gives the same answers.
    #[test]
    fn accepted_is_accounted_for(steps in prop::collection::vec((0_u32..6, 0_u8..6, 0_u64..50), 1..100)) {
        let run = || {
            let delay = Delay::Uniform { from: Dur(0), to: Dur(40) };
            let queue = Queue { lanes: 0..2, share: 0.3, length: Dur(100) };
            let travel = Travel { delay, queues: vec![queue] };
            let mut service = service(Rules { travel, ..Rules::default() });
            let good = bearer(&mut service, "a");
            let registry = Arc::clone(&service.traffic.registry);
            let (mut now, mut seen) = (0, Vec::new());
            for &(lane, what, pause) in &steps {
                now += pause;
                let policy = ("X-WNS-Cache-Policy", if what % 2 == 0 { "cache" } else { "no-cache" });
                match what {
                    0 => registry.set_reachable(LaneIx(lane), false),
                    1 => registry.set_reachable(LaneIx(lane), true),
                    _ => {
                        let pairs = [("Authorization", good.as_str()), policy];
                        seen.push(send(&mut service, (now, WALL), &channel(lane, 2), &pairs));
                    }
                }
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
