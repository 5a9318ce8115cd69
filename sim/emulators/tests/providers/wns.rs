//! The emulated WNS, driven by a client that is not ours: django-push-notifications (`tests/peers/wns-provider`), which
//! asks for a token before each notification.

use crate::left_out::Stop;
use crate::stage::case;
use crate::wns_client::{PFN, raw};
use droves_emulators::push::Reason as _;
use droves_emulators::push::{Fault, Order, Rate, Strikes};
use droves_emulators::wns::{App, Reason, Rules};
use droves_facts::{Dur, LaneIx, Mono, PushFate};
use serde_json::json;

/// What the library makes of each status.
const WORDS: [(u16, &str); 10] = [
    (400, "headers were specified incorrectly"),
    (401, "did not present a valid authentication ticket"),
    (403, "is not authorized to send a notification to this URI"),
    (404, "channel URI is not valid"),
    (405, "Invalid method"),
    (406, "exceeded its throttle limit"),
    (410, "channel expired"),
    (413, "payload exceeds"),
    (500, "internal failure"),
    (503, "currently unavailable"),
];

/// Whether the library saw this status, and nothing else.
fn is_refused(said: &[String], status: u16) -> bool {
    let words = WORDS.iter().find(|(of, _)| *of == status).map_or("?", |(_, words)| words);
    let is_it = |said: &String| {
        said.starts_with(&format!("WNSNotificationResponseError: HTTP {status}: ")) && said.contains(words)
    };
    !said.is_empty() && said.iter().all(is_it)
}

#[test]
fn a_raw_notification_wakes_the_device_of_its_channel() {
    case("wns-raw", |stage| {
        let wns = stage.wns(Rules::default());
        let channels: Vec<String> = (0..100).map(|lane| stage.open(&wns, lane, 3)).collect();
        let said = stage.sender(&wns)?.run(&raw(&channels));
        assert_eq!(said, vec![""; 100]);
        let heard = stage.heard(100, |heard| heard.woken.len());
        let woken = heard.woken.iter().map(|push| (push.lane.0, push.generation, &*push.magic));
        assert_eq!(woken.collect::<Vec<_>>(), (0..100).map(|lane| (lane, 3, "")).collect::<Vec<_>>());
        assert_eq!(heard.fates, (0..100).map(|lane| (lane, PushFate::Received)).collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn what_is_wrong_is_refused_in_the_words_that_the_library_expects() {
    case("wns-rules", |stage| {
        let app = |id: &str, pfn: &str| App { id: id.into(), secret: "secret".into(), pfn: pfn.into() };
        let apps = vec![app("ms-app://S-1-15-2-1", PFN), app("ms-app://S-1-15-2-2", "Other_1")];
        let wns = stage.wns(Rules {
            apps,
            channel_rate: Some(Rate { pushes: 2, per: Dur::secs(3_600) }),
            ..Rules::default()
        });
        let mut sender = stage.sender(&wns)?;
        let (first, second) = (stage.open(&wns, 0, 1), stage.open(&wns, 1, 1));
        assert_eq!(sender.run(&raw(&[&first])), [""]);
        let mut other = raw(&[&first]);
        other["id"] = "ms-app://S-1-15-2-2".into();
        assert!(is_refused(&sender.run(&other), 403));
        other["secret"] = "wrong".into();
        let authentication = "WNSAuthenticationError: Authentication failed, check your WNS settings.";
        assert_eq!(sender.run(&other), [authentication]);
        let strangers =
            [stage.channel(&wns, 0, 2), stage.channel(&wns, 2, 1), format!("{first}AA"), first.replace('?', "?x")];
        assert!(is_refused(&sender.run(&raw(&strangers)), 404));
        let mut large = raw(&[&first]);
        large["raw"] = "1".repeat(5_001).into();
        assert!(is_refused(&sender.run(&large), 413));
        assert_eq!(sender.run(&raw(&[&first])), [""]);
        assert!(is_refused(&sender.run(&raw(&[&first])), 406), "a third in a row");
        assert_ne!(stage.open(&wns, 1, 2), second, "another channel");
        assert!(is_refused(&sender.run(&raw(&[&second])), 410));
        let toast = json!({ "channels": [stage.channel(&wns, 1, 2)], "message": "hello",
                            "id": "ms-app://S-1-15-2-1", "secret": "secret" });
        assert_eq!(sender.run(&toast), [""], "taken, and no wake");
        let heard = stage.heard(2, |heard| heard.woken.len());
        assert_eq!(heard.woken.iter().map(|push| push.lane).collect::<Vec<_>>(), [LaneIx(0), LaneIx(0)]);
        let tally = wns.tally();
        assert_eq!((tally.accepted, tally.woken, tally.unreadable, tally.refusals()), (3, 2, 1, 8));
        Ok(())
    });
}

#[test]
fn a_token_that_is_past_its_time_is_refused() {
    case("wns-token", |stage| {
        let wns = stage.wns(Rules { access_max: Dur::ZERO, ..Rules::default() });
        let channel = stage.open(&wns, 0, 1);
        assert!(is_refused(&stage.sender(&wns)?.run(&raw(&[channel])), 401));
        Ok(())
    });
}

#[test]
fn a_channel_that_is_past_its_time_is_gone() {
    case("wns-channel", |stage| {
        let wns = stage.wns(Rules { channel_max: Dur::ZERO, ..Rules::default() });
        let channel = stage.open(&wns, 0, 1);
        assert!(is_refused(&stage.sender(&wns)?.run(&raw(&[channel])), 410));
        let heard = stage.heard(1, |heard| heard.fates.len());
        assert_eq!(heard.fates, [(0, PushFate::Unregistered)]);
        Ok(())
    });
}

#[test]
fn every_status_can_be_ordered_and_is_understood() {
    case("wns-orders", |stage| {
        let wns = stage.wns(Rules::default());
        let channel = stage.open(&wns, 0, 1);
        let mut sender = stage.sender(&wns)?;
        assert_eq!(
            Reason::ALL.iter().map(|reason| reason.status()).collect::<Vec<_>>(),
            WORDS.map(|(status, _)| status)
        );
        for &reason in Reason::ALL {
            let order = Order {
                fault: Fault::Refuse(reason),
                strikes: Strikes::Share(1.0),
                lanes: None,
                window: Mono::ZERO..Mono::NEVER,
            };
            let order = wns.order(order).ok_or(Stop::Failed("orders"))?;
            let said = sender.run(&raw(&[&channel]));
            assert!(is_refused(&said, reason.status()), "{reason:?}: {said:?}");
            wns.lift(order);
        }
        assert_eq!(sender.run(&raw(&[&channel])), [""]);
        Ok(())
    });
}

#[test]
fn a_device_out_of_reach_misses_what_is_not_kept() {
    case("wns-reach", |stage| {
        let wns = stage.wns(Rules::default());
        let channels = [stage.open(&wns, 0, 1), stage.open(&wns, 1, 1)];
        wns.registry().set_reachable(LaneIx(0), false);
        // The library never says X-WNS-Cache-Policy, and a raw notification is not kept without it.
        assert_eq!(stage.sender(&wns)?.run(&raw(&channels)), ["", ""]);
        let heard = stage.heard(3, |heard| heard.fates.len());
        assert_eq!(heard.fates, [(0, PushFate::Received), (0, PushFate::Expired), (1, PushFate::Received)]);
        assert_eq!(stage.heard(1, |heard| heard.woken.len()).woken[0].lane, LaneIx(1));
        Ok(())
    });
}
