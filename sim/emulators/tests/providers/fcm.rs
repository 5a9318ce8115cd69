//! The emulated FCM, driven by Google's own libraries: firebase-admin for Go (`tests/peers/fcm-go`), and for Python the one
//! that makes itself of FCM's discovery document (`tests/peers/google/fcm.py`). What they say and what we counted is the
//! same.

use crate::fcm_client::{OTHER, PROJECT, Said, account, register, token, wake};
use crate::left_out::Stop;
use crate::stage::case;
use droves_emulators::fcm::{Reason, Rules};
use droves_emulators::google::Quota;
use droves_emulators::push::Reason as _;
use droves_emulators::push::{Fault, Order, Strikes};
use droves_facts::{Dur, Mono, PushFate};
use serde_json::{Value, json};

const HOUR: Dur = Dur::secs(3_600);

fn kinds(said: &[Said]) -> Vec<&str> {
    said.iter().map(|said| &*said.kind).collect()
}

#[test]
fn a_message_wakes_the_device_of_its_token() {
    case("fcm-go", |stage| {
        let fcm = stage.fcm(Rules::default());
        let tokens: Vec<String> = (0..100).map(|lane| register(&fcm, lane, 3, PROJECT)).collect();
        let messages: Vec<Value> = tokens.iter().map(|token| wake(token)).collect();
        let mut go = stage.go(&fcm, &account(PROJECT))?;
        let judged: Vec<Said> = go.run(&json!({ "messages": messages, "dry": true }));
        assert!(judged.iter().all(|said| said.name == "projects/p1/messages/fake_message_id"), "{judged:?}");
        let said: Vec<Said> = go.run(&json!({ "messages": messages }));
        assert!(said.iter().all(|said| said.name.starts_with("projects/p1/messages/0:")), "{said:?}");
        let heard = stage.heard(100, |heard| heard.woken.len());
        let mut woken: Vec<_> = heard.woken.iter().map(|push| (push.lane.0, push.generation)).collect();
        woken.sort_unstable();
        assert_eq!(woken, (0..100).map(|lane| (lane, 3)).collect::<Vec<_>>());
        assert!(heard.fates.iter().all(|(_, fate)| *fate == PushFate::Received) && heard.fates.len() == 100);
        let tally = fcm.tally();
        assert_eq!((tally.accepted, tally.woken, tally.lost, tally.refusals()), (200, 100, 100, 0));
        Ok(())
    });
}

#[test]
fn what_is_wrong_is_refused_in_the_words_that_the_library_expects() {
    case("fcm-rules", |stage| {
        let fcm = stage.fcm(Rules::default());
        let (first, other) = (register(&fcm, 0, 1, PROJECT), register(&fcm, 1, 1, "another"));
        let mut go = stage.go(&fcm, &account(PROJECT))?;
        assert_ne!(register(&fcm, 0, 2, PROJECT), first, "a reinstalled app has another token");
        let messages = [wake(&first), wake(&token(7, 1)), wake(&other), wake("no token"), wake(&token(0, 2))];
        let said: Vec<Said> = go.run(&json!({ "messages": messages }));
        assert_eq!(
            kinds(&said),
            ["unregistered", "unregistered", "sender_id_mismatch", "invalid_argument", ""],
            "{said:?}"
        );
        let mut large = wake(&token(0, 2));
        large["data"]["a"] = "x".repeat(4_096).into();
        let said: Vec<Said> = go.run(&json!({ "messages": [large] }));
        assert_eq!((kinds(&said), &*said[0].error), (vec!["invalid_argument"], "Message is too big"));
        let refused = [(Reason::Unregistered, 2), (Reason::SenderIdMismatch, 1), (Reason::InvalidArgument, 2)];
        assert_eq!(fcm.tally().refused, refused.into_iter().collect());
        assert_eq!(fcm.tally().accepted, 1);
        let fates = stage.heard(3, |heard| heard.fates.len()).fates;
        assert!(fates.contains(&(0, PushFate::Unregistered)) && fates.contains(&(0, PushFate::Received)), "{fates:?}");
        Ok(())
    });
}

#[test]
fn a_quota_that_is_used_up_is_known_as_one() {
    case("fcm-quota", |stage| {
        // The library does not try again in more than two minutes.
        let fcm = stage.fcm(Rules { quota: Quota { requests_max: 2, window: HOUR }, ..Rules::default() });
        let tokens = [register(&fcm, 0, 1, PROJECT), register(&fcm, 1, 1, PROJECT)];
        let mut go = stage.go(&fcm, &account(PROJECT))?;
        let mut send = |token: &str| -> Vec<Said> { go.run(&json!({ "messages": [wake(token)] })) };
        let said = [send(&tokens[0]), send(&tokens[1]), send(&tokens[0])].concat();
        assert_eq!(kinds(&said), ["", "", "quota_exceeded"], "{said:?}");
        assert_eq!(fcm.tally().refused(Reason::QuotaExceeded), 1);
        Ok(())
    });
}

#[test]
fn a_service_account_of_another_project_may_not_send() {
    case("fcm-account", |stage| {
        let fcm = stage.fcm(Rules::default());
        let token = register(&fcm, 0, 1, PROJECT);
        let send = |project: &str| -> Result<Vec<Said>, Stop> {
            Ok(stage.go(&fcm, &account(project))?.run(&json!({ "messages": [wake(&token)] })))
        };
        let said = send("p3")?;
        assert!(said[0].error.contains("account not found"), "{said:?}");
        assert_eq!((fcm.tally().accepted, fcm.tally().refusals()), (0, 0), "it has no token to show");
        let said = send(OTHER)?;
        assert!(said[0].error.contains("cloudmessaging.messages.create"), "{said:?}");
        assert_eq!((fcm.tally().accepted, fcm.tally().refused(Reason::PermissionDenied)), (0, 1));
        Ok(())
    });
}

#[test]
fn every_reason_can_be_ordered_and_is_understood() {
    case("fcm-orders", |stage| {
        let fcm = stage.fcm(Rules { retry_after: HOUR, ..Rules::default() });
        let token = register(&fcm, 0, 1, PROJECT);
        let mut go = stage.go(&fcm, &account(PROJECT))?;
        let mut python = stage.python(&fcm)?;
        for &reason in Reason::ALL {
            let kind = match reason {
                Reason::InvalidArgument => "invalid_argument",
                Reason::ThirdPartyAuthError => "third_party_auth",
                Reason::SenderIdMismatch => "sender_id_mismatch",
                Reason::Unregistered => "unregistered",
                Reason::QuotaExceeded => "quota_exceeded",
                Reason::Internal => "internal",
                Reason::Unavailable => "unavailable",
                Reason::Unauthenticated | Reason::PermissionDenied => "other",
            };
            let window = Mono::ZERO..Mono::NEVER;
            let order = Order { fault: Fault::Refuse(reason), strikes: Strikes::Share(1.0), lanes: None, window };
            let order = fcm.order(order).unwrap();
            let before = fcm.tally().refused(reason);
            let said: Vec<Said> = go.run(&json!({ "messages": [wake(&token)] }));
            assert_eq!(kinds(&said), [kind], "{reason:?}: {said:?}");
            assert_eq!(fcm.tally().refused(reason), before + 1, "{reason:?}: tried once");
            if reason != Reason::Unauthenticated {
                let said: Vec<Said> = python.run(&json!({ "messages": [wake(&token)] }));
                assert_eq!(kinds(&said), [kind], "{reason:?}: {said:?}");
            }
            fcm.lift(order);
        }
        let order =
            Order { fault: Fault::Lose, strikes: Strikes::Nth(1), lanes: None, window: Mono::ZERO..Mono::NEVER };
        fcm.order(order).unwrap();
        let said: Vec<Said> = go.run(&json!({ "messages": [wake(&token)] }));
        assert_eq!((kinds(&said), fcm.tally().lost), (vec![""], 1));
        Ok(())
    });
}

#[test]
fn what_is_unavailable_once_is_sent_again_by_the_library() {
    case("fcm-again", |stage| {
        let fcm = stage.fcm(Rules { retry_after: Dur::secs(1), ..Rules::default() });
        let token = register(&fcm, 0, 1, PROJECT);
        let window = Mono::ZERO..Mono::NEVER;
        let fault = Fault::Refuse(Reason::Unavailable);
        fcm.order(Order { fault, strikes: Strikes::Nth(1), lanes: None, window }).unwrap();
        let said: Vec<Said> = stage.go(&fcm, &account(PROJECT))?.run(&json!({ "messages": [wake(&token)] }));
        assert_eq!(kinds(&said), [""]);
        assert_eq!((fcm.tally().accepted, fcm.tally().refused(Reason::Unavailable)), (1, 1));
        Ok(())
    });
}

#[test]
fn a_client_made_of_the_discovery_document_sends_and_judges() {
    case("fcm-python", |stage| {
        let fcm = stage.fcm(Rules::default());
        let token = register(&fcm, 0, 1, PROJECT);
        let mut python = stage.python(&fcm)?;
        let judged: Vec<Said> = python.run(&json!({ "messages": [wake(&token)], "dry": true }));
        assert_eq!(judged[0].name, "projects/p1/messages/fake_message_id");
        let mut teapot = wake(&token);
        teapot["android"]["teapot"] = 1.into();
        let said: Vec<Said> = python.run(&json!({ "messages": [wake(&token), teapot] }));
        assert_eq!(kinds(&said), ["", "bad_request"], "{said:?}");
        assert!(said[1].error.contains("Unknown name \"teapot\" at 'message.android'"), "{said:?}");
        assert_eq!(stage.heard(1, |heard| heard.woken.len()).woken[0].lane.0, 0);
        assert_eq!((fcm.tally().accepted, fcm.tally().refusals()), (2, 1));
        Ok(())
    });
}
