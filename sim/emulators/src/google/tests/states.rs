//! Whose a device is, what it is to be, and how it goes.

use super::lanes::{policy, recipe};
use super::*;
use droves_wire::android::adp::{self, Answer, Ask, Enroll, Mode, Recipe};

#[test]
fn who_has_a_user_says_whose_it_is() {
    let mut stage = Stage::new(None);
    let personal = Recipe { mode: Mode::PersonalWorkProfile, ..recipe(1, 0) };
    let dedicated = Recipe { mode: Mode::Dedicated, ..recipe(2, 0) };
    let device = stage.agent_enrolls(0, personal);
    let user = stage.ask("GET", &format!("/v1/{device}"), &json!({}))["userName"].clone();
    let users = format!("{}/users/", stage.enterprise);
    assert!(user.as_str().and_then(|user| user.strip_prefix(&users)?.parse::<u64>().ok()).is_some(), "{user}");
    let command = stage.ask("POST", &format!("/v1/{device}:issueCommand"), &json!({ "type": "LOCK" }));
    assert_eq!(command["metadata"]["userName"], user);
    let target = format!("/v1/{}/enrollmentTokens", stage.enterprise);
    let asked = json!({ "policyName": "p", "allowPersonalUsage": "PERSONAL_USAGE_DISALLOWED_USERLESS" });
    let token = stage.ask("POST", &target, &asked)["value"].as_str().unwrap().into();
    let enroll = Ask::Enroll(Box::new(Enroll { token, recipe: dedicated }));
    let Ok(Answer::Enrolled { device, .. }) = stage.agent(1, enroll) else { panic!() };
    assert_eq!(stage.ask("GET", &format!("/v1/{device}"), &json!({}))["userName"], Value::Null);
}

#[test]
fn a_device_that_is_deleted_hears_of_it_and_is_reported_as_deleted() {
    let mut stage = Stage::new(None);
    stage.sets_policy("p", &policy(false, false));
    let device = stage.agent_enrolls(0, recipe(1, 0));
    stage.agent_syncs(0, &device, 0);
    stage.ask("POST", &format!("/v1/{device}:issueCommand"), &json!({ "type": "LOCK" }));
    let adp::Order::Command { operation, .. } = stage.agent_syncs(0, &device, 1).1 else { panic!() };
    assert_eq!(stage.ask("DELETE", &format!("/v1/{device}"), &json!({})), json!({}));
    stage.messages();
    // What it was about to say comes to nothing, and nobody hears of it.
    stage.agent_reports(0, &device, 1, recipe(1, 0));
    let done = Ask::Done { operation, outcome: adp::Outcome::Done(Object::new()) };
    assert_eq!(stage.agent(0, done), Ok(Answer::TooLate));
    assert_eq!(stage.heard(), "");
    assert_eq!(stage.agent_syncs(0, &device, 1), (None, adp::Order::Wipe));
    assert_eq!(stage.agent(0, Ask::Leave { device: device.clone(), told: true }), Ok(Answer::Taken));
    let messages = stage.messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    let told = STANDARD.decode(message["data"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&told).unwrap()["appliedState"], "DELETED");
    assert_eq!(stage.agent(0, Ask::Sync { device, applied: 1 }), Err(404), "that was all");
}

#[test]
fn a_device_is_asked_to_report_once_it_is_to_be_in_another_state() {
    let mut stage = Stage::new(None);
    stage.sets_policy("p", &policy(false, false));
    let device = stage.agent_enrolls(0, recipe(1, 0));
    let is_asked = |stage: &mut Stage| match stage.agent(0, Ask::Sync { device: device.clone(), applied: 1 }) {
        Ok(Answer::Sync { tells, .. }) => tells,
        other => panic!("{other:?}"),
    };
    assert!(!is_asked(&mut stage), "its first report comes by itself");
    stage.agent_reports(0, &device, 1, recipe(1, 0));
    assert!(!is_asked(&mut stage));
    for state in ["DISABLED", "ACTIVE"] {
        stage.ask("PATCH", &format!("/v1/{device}?updateMask=state"), &json!({ "state": state }));
        assert!(is_asked(&mut stage), "{state}");
        stage.agent_reports(0, &device, 1, recipe(1, 0));
        assert_eq!(stage.ask("GET", &format!("/v1/{device}"), &Value::Null)["appliedState"], state);
        assert!(!is_asked(&mut stage), "{state}");
    }
}
