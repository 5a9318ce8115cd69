//! The emulated APNs, driven by clients of APNs that are not ours: github.com/sideshow/apns2, and nanopush, the
//! one inside nanomdm (`tests/peers/apns-provider`). What they understood is held against what was meant.

use crate::apns_client::{Outcome, TOPIC, job, tokens};
use crate::stage::case;
use droves_emulators::Delay;
use droves_emulators::apns::{ConnectionRules, Reason, Rules};
use droves_emulators::push::Reason as _;
use droves_emulators::push::{Fault, Order, Strikes};
use droves_facts::{Dur, LaneIx, Mono, PushFate, Wall};
use serde_json::json;

#[test]
fn each_rule_that_a_request_breaks_has_its_reason() {
    case("apns-rules", |stage| {
        let apns = stage.start(Rules::default(), ConnectionRules::default());
        stage.register(&apns, 0..4, 1);
        let mut client = stage.client(&apns, &[])?;
        let good = stage.token(0, 1);
        let mut check = |change: serde_json::Value, status: u16, reason: &str| {
            let mut job = job("apns2", &[good.as_str()]);
            let fields = change.as_object().into_iter().flatten();
            fields.for_each(|(name, value)| job[name] = value.clone());
            let results = client.run(&job);
            assert_eq!((results[0].status, results[0].reason.as_str()), (status, reason), "{change} {results:?}");
            assert_eq!(results[0].id.len(), 36, "{change}");
        };
        check(json!({}), 200, "");
        check(json!({ "topic": TOPIC, "priority": 10, "expiration": 2_000_000_000 }), 200, "");
        check(json!({ "tokens": ["ab"] }), 400, "BadDeviceToken");
        check(json!({ "tokens": ["ab".repeat(32)] }), 400, "BadDeviceToken");
        check(json!({ "tokens": [stage.token(0, 2)] }), 400, "BadDeviceToken");
        check(json!({ "tokens": [""] }), 400, "MissingDeviceToken");
        check(json!({ "topic": "com.example.app" }), 400, "TopicDisallowed");
        check(json!({ "header": ["apns-topic", "no topic"] }), 400, "BadTopic");
        check(json!({ "header": ["apns-expiration", "tomorrow"] }), 400, "BadExpirationDate");
        check(json!({ "priority": 7 }), 400, "BadPriority");
        check(json!({ "id": "not-a-uuid" }), 400, "BadMessageId");
        check(json!({ "collapse_id": "x".repeat(65) }), 400, "BadCollapseId");
        check(json!({ "header": ["apns-priority", "10"], "twice": true }), 400, "DuplicateHeaders");
        check(json!({ "push_type": "smoke" }), 400, "InvalidPushType");
        check(json!({ "empty": true }), 400, "PayloadEmpty");
        check(json!({ "payload": format!("{{\"mdm\":\"{}\"}}", "x".repeat(4_096)) }), 413, "PayloadTooLarge");
        check(json!({ "payload": format!("{{\"mdm\":\"{}\"}}", "x".repeat(500_000)) }), 413, "PayloadTooLarge");
        check(json!({ "path": "/3/devices" }), 404, "BadPath");
        check(json!({ "method": "GET" }), 405, "MethodNotAllowed");
        check(json!({ "no_certificate": true }), 403, "MissingProviderToken");
        let topic = apns.registry().topic("com.apple.mgmt.External.other").ok_or("topics")?;
        assert!(apns.registry().register(LaneIx(3), 1, topic, Wall(0)));
        check(json!({ "tokens": [stage.token(3, 1)] }), 400, "DeviceTokenNotForTopic");
        Ok(())
    });
}

#[test]
fn a_token_of_the_past_is_unregistered_since_it_was_replaced() {
    case("apns-unregistered", |stage| {
        let apns = stage.start(Rules::default(), ConnectionRules::default());
        let old = stage.token(0, 1);
        stage.register(&apns, 0..1, 1);
        let topic = apns.registry().topic(TOPIC).ok_or("topics")?;
        assert!(apns.registry().register(LaneIx(0), 2, topic, Wall::from_secs(1_732_500_000)));
        let mut client = stage.client(&apns, &[])?;
        let gone = client.run(&job("apns2", &[old.as_str()]));
        let said = (gone[0].status, gone[0].reason.as_str(), gone[0].timestamp);
        assert_eq!(said, (410, "Unregistered", 1_732_500_000));
        assert_eq!(client.run(&job("apns2", &[stage.token(0, 2).as_str()]))[0].status, 200);
        let heard = stage.heard(2, |heard| heard.fates.len());
        assert_eq!(heard.fates, [(0, PushFate::Unregistered), (0, PushFate::Received)]);
        Ok(())
    });
}

#[test]
fn every_reason_can_be_ordered() {
    case("apns-orders", |stage| {
        let apns = stage.start(Rules::default(), ConnectionRules::default());
        stage.register(&apns, 0..1, 1);
        let mut client = stage.client(&apns, &[])?;
        for &reason in Reason::ALL {
            let order = Order {
                fault: Fault::Refuse(reason),
                strikes: Strikes::Share(1.0),
                lanes: None,
                window: Mono::ZERO..Mono::NEVER,
            };
            let order = apns.order(order).ok_or("orders")?;
            let results = client.run(&job("apns2", &[stage.token(0, 1).as_str()]));
            assert_eq!((results[0].status, results[0].reason.as_str()), (reason.status(), reason.name()));
            assert_eq!(results[0].timestamp > 1_700_000_000, reason.has_timestamp(), "{reason}");
            apns.lift(order);
        }
        assert_eq!(apns.tally().refusals(), Reason::ALL.len() as u64);
        Ok(())
    });
}

#[test]
fn thousands_of_pushes_share_a_few_connections_and_wake_everybody() {
    case("apns-many", |stage| {
        let delay = Delay::Uniform { from: Dur::ms(1), to: Dur::ms(50) };
        let apns = stage.start(Rules { delivery_delay: delay, ..Rules::default() }, ConnectionRules::default());
        stage.register(&apns, 0..3_000, 1);
        let mut client = stage.client(&apns, &[])?;
        let tokens = tokens(&stage, 0..3_000);
        let results = client.run(&job("apns2", &tokens));
        assert!(results.iter().all(|result| result.status == 200), "{results:?}");
        let heard = stage.heard(3_000, |heard| heard.woken.len());
        let mut woken: Vec<u32> = heard.woken.iter().map(|push| push.lane.0).collect();
        woken.sort_unstable();
        assert_eq!(woken, (0..3_000).collect::<Vec<u32>>());
        assert!(heard.woken.iter().all(|push| *push.magic == format!("magic-{}", push.lane)));
        assert!((1..=4).contains(&apns.connections().used), "{:?}", apns.connections());
        Ok(())
    });
}

#[test]
fn a_goaway_costs_no_push() {
    case("apns-goaway", |stage| {
        let rules = ConnectionRules { goaway_after: Some(50), ..ConnectionRules::default() };
        let apns = stage.start(Rules::default(), rules);
        stage.register(&apns, 0..1_000, 1);
        let mut client = stage.client(&apns, &[])?;
        let results = client.run(&job("apns2", &tokens(&stage, 0..1_000)));
        let failed: Vec<&Outcome> = results.iter().filter(|result| result.status != 200).collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert!(apns.connections().goaways >= 10, "{:?}", apns.connections());
        stage.heard(1_000, |heard| heard.woken.len());
        Ok(())
    });
}

#[test]
fn a_refused_push_leaves_one_stream_until_a_good_one() {
    case("apns-throttle", |stage| {
        let rules = ConnectionRules { throttles: true, streams_max: 321, ..ConnectionRules::default() };
        let apns = stage.start(Rules::default(), rules);
        stage.register(&apns, 0..200, 1);
        let mut client = stage.client(&apns, &[("GODEBUG", "http2debug=1")])?;
        let stranger = "ab".repeat(32);
        client.run(&job("apns2", &[stranger.as_str()]));
        assert_eq!(client.run(&job("apns2", &[stage.token(0, 1).as_str()]))[0].status, 200);
        let results = client.run(&job("apns2", &tokens(&stage, 0..200)));
        assert!(results.iter().all(|result| result.status == 200), "{results:?}");
        let said = client.streams_announced();
        assert_eq!(said, [321, 1, 321], "as the client logged them");
        assert_eq!(apns.connections().listener.greeted, 1);
        Ok(())
    });
}

#[test]
fn a_run_of_bad_tokens_cuts_the_connection_and_the_streams_on_it() {
    case("apns-cut", |stage| {
        let rules = ConnectionRules { bad_token_run_max: Some(5), ..ConnectionRules::default() };
        // The answers of parallel pushes are under way when the fifth bad one cuts the connection.
        let slow = Delay::Uniform { from: Dur::ms(5), to: Dur::ms(40) };
        let apns = stage.start(Rules { answer_delay: slow, ..Rules::default() }, rules);
        stage.register(&apns, 0..1, 1);
        let mut client = stage.client(&apns, &[])?;
        let strangers: Vec<String> = (0..40).map(|n| format!("{n:064x}")).collect();
        let results = client.run(&job("apns2", &strangers));
        let lost =
            results.iter().filter(|result| result.error.contains("GOAWAY") && result.error.contains("BadDeviceToken"));
        assert!(lost.count() > 0, "{results:?}");
        assert!(apns.connections().cut > 0);
        assert_eq!(client.run(&job("apns2", &[stage.token(0, 1).as_str()]))[0].status, 200);
        Ok(())
    });
}

#[test]
fn nanopush_comes_through_the_door_in_a_storm_of_dials() {
    case("apns-door", |stage| {
        let apns = stage.start(Rules::default(), ConnectionRules::default());
        stage.register(&apns, 0..300, 1);
        let door = format!("http://{}", apns.door_addr().ok_or("no door")?);
        let mut client = stage.client(&apns, &[("HTTPS_PROXY", &door)])?;
        let all = tokens(&stage, 0..300);
        let results = client.run(&job("nanopush", &all));
        assert!(results.iter().all(|result| result.status == 200 && result.id.len() == 36), "{results:?}");
        stage.heard(300, |heard| heard.woken.len());
        let storm = apns.connections();
        assert!(storm.listener.accepted >= storm.listener.greeted && storm.listener.greeted >= storm.used, "{storm:?}");
        assert!((1..=5).contains(&storm.used), "{storm:?}");

        let warm = client.run(&job("nanopush", &all));
        assert!(warm.iter().all(|result| result.status == 200), "{warm:?}");
        let topic = apns.registry().topic(TOPIC).ok_or("topics")?;
        assert!(apns.registry().register(LaneIx(7), 2, topic, Wall::from_secs(1_732_500_000)));
        let gone = client.run(&job("nanopush", &all[7..8]));
        let words = "push HTTP status: 410: APNs push error: Unregistered: timestamp 1732500000000";
        assert_eq!(gone[0].error, words, "the words that nanomdm reports");
        assert_eq!(client.run(&job("apns2", &all[0..1]))[0].status, 200, "the other client, the same door");
        Ok(())
    });
}

#[test]
fn http_1_is_refused_when_the_connection_is_made() {
    case("apns-http1", |stage| {
        let apns = stage.start(Rules::default(), ConnectionRules::default());
        stage.register(&apns, 0..1, 1);
        let mut client = stage.client(&apns, &[])?;
        for alpn in ["said", "unsaid"] {
            let mut old = job("apns2", &[stage.token(0, 1).as_str()]);
            old["http1"] = alpn.into();
            let results = client.run(&old);
            assert!(!results[0].error.is_empty(), "{results:?}");
        }
        let connections = apns.connections();
        assert_eq!(
            (connections.listener.greeted - connections.not_http2, apns.tally().accepted),
            (0, 0),
            "{connections:?}"
        );
        assert!(connections.listener.handshake_failed >= 1 && connections.not_http2 >= 1, "{connections:?}");
        Ok(())
    });
}

#[test]
fn a_device_out_of_reach_is_woken_when_it_is_back() {
    case("apns-reach", |stage| {
        let apns = stage.start(Rules::default(), ConnectionRules::default());
        stage.register(&apns, 0..2, 1);
        apns.registry().set_reachable(LaneIx(0), false);
        let mut client = stage.client(&apns, &[])?;
        let all = tokens(&stage, 0..2);
        // One that is still on its way would be one with the next.
        for sent in 1..=2 {
            let results = client.run(&job("apns2", &all));
            assert!(results.iter().all(|result| result.status == 200), "{results:?}");
            stage.heard(sent, |heard| heard.woken.len());
        }
        let heard = stage.heard(2, |heard| heard.woken.len());
        assert!(heard.woken.iter().all(|push| push.lane == LaneIx(1)), "{:?}", heard.woken);
        apns.registry().set_reachable(LaneIx(0), true);
        let heard = stage.heard(3, |heard| heard.woken.len());
        assert_eq!(heard.woken[2].lane, LaneIx(0));
        assert_eq!((apns.tally().stored, apns.tally().woken), (1, 3));
        Ok(())
    });
}

#[test]
fn an_expired_push_certificate_is_refused() {
    case("apns-expired", |stage| {
        let apns = stage.start(Rules::default(), ConnectionRules::default());
        stage.register(&apns, 0..1, 1);
        stage.certify(Some((2001, 2002)));
        let mut client = stage.client(&apns, &[])?;
        let results = client.run(&job("apns2", &[stage.token(0, 1).as_str()]));
        assert_eq!((results[0].status, results[0].reason.as_str()), (403, "BadCertificate"));
        Ok(())
    });
}
