//! What no client needs to be there for: what time brings.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::{Callers, Departure, Enrollment, Google, Object, Order, Outcome, Quota, Request, Settings};
use droves_facts::{Dice, Dur, Wall};
use droves_wire::keys::Key;
use serde_json::{Value, json};

const TOPIC: &str = "/v1/projects/p/topics/amapi";
const SUBSCRIPTION: &str = "/v1/projects/p/subscriptions/amapi";

/// Google with an enterprise that hears of everything, and its name.
struct Stage {
    google: Google,
    now: Wall,
    enterprise: String,
}

impl Stage {
    fn new(push: Option<&str>) -> Self {
        let settings = Settings {
            callers: Callers::Anybody,
            accounts: Vec::new(),
            quota: Quota { requests_max: 1_000, window: Dur::secs(60) },
            devices_max: 2,
            dice: Dice::new(1),
            key: Key::generate_rsa(2048).unwrap(),
        };
        let google = Google::new("http://google.example", settings).unwrap();
        let mut stage = Stage { google, now: Wall::VIRTUAL_START, enterprise: String::new() };
        stage.ask("PUT", TOPIC, &json!({}));
        let role = json!({ "role": "roles/pubsub.publisher", "members": [super::pubsub::PUBLISHER] });
        stage.ask("POST", &format!("{TOPIC}:setIamPolicy"), &json!({ "policy": { "bindings": [role] } }));
        let config = push.map_or_else(|| json!({}), |endpoint| json!({ "pushEndpoint": endpoint }));
        stage.ask("PUT", SUBSCRIPTION, &json!({ "topic": "projects/p/topics/amapi", "pushConfig": config }));
        let kinds = ["ENROLLMENT", "STATUS_REPORT", "COMMAND"];
        let body = json!({ "pubsubTopic": "projects/p/topics/amapi", "enabledNotificationTypes": kinds });
        let made = stage.ask("POST", "/v1/enterprises?projectId=p&agreementAccepted=true", &body);
        made["name"].as_str().unwrap().clone_into(&mut stage.enterprise);
        stage
    }

    /// A call's answer.
    fn ask(&mut self, method: &str, target: &str, body: &Value) -> Value {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request {
            method,
            path,
            query,
            authorization: Some("Bearer anything"),
            content_type: None,
            method_override: None,
            body: &body,
        };
        serde_json::from_slice(&self.google.answer(self.now, &request).body).unwrap()
    }

    fn enroll(&mut self, serial: &str) -> Result<String, super::EnrollError> {
        let target = format!("/v1/{}/enrollmentTokens", self.enterprise);
        let token = self.ask("POST", &target, &json!({}))["value"].as_str().unwrap().to_owned();
        let hardware: Object = [("serialNumber".to_owned(), json!(serial))].into_iter().collect();
        let (management_mode, ownership) = ("DEVICE_OWNER", "COMPANY_OWNED");
        let enrollment = Enrollment { token, management_mode, ownership, api_level: 35, hardware };
        self.google.enroll(self.now, enrollment).map(|enrolled| enrolled.name)
    }

    /// Types of the notifications since the last time.
    fn heard(&mut self) -> String {
        let pulled = self.ask("POST", &format!("{SUBSCRIPTION}:pull"), &json!({ "maxMessages": 100 }));
        let received = pulled["receivedMessages"].as_array().cloned().unwrap_or_default();
        let ids: Vec<_> = received.iter().map(|of| of["ackId"].clone()).collect();
        self.ask("POST", &format!("{SUBSCRIPTION}:acknowledge"), &json!({ "ackIds": ids }));
        let kind = |of: &Value| of["message"]["attributes"]["notificationType"].as_str().unwrap().to_owned();
        received.iter().map(kind).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn a_command_that_nobody_does_in_time_has_failed() {
    let mut stage = Stage::new(None);
    let device = stage.enroll("a").unwrap();
    assert_eq!(stage.heard(), "test ENROLLMENT");
    let command = json!({ "type": "LOCK", "duration": "30s" });
    let operation = stage.ask("POST", &format!("/v1/{device}:issueCommand"), &command);
    let name = operation["name"].as_str().unwrap().to_owned();
    assert_eq!(stage.google.take_nudged(), std::slice::from_ref(&device));
    assert_eq!(stage.google.next(stage.now), Some(stage.now + Dur::secs(30)));
    stage.now = stage.now + Dur::secs(29);
    assert!(matches!(stage.google.order(stage.now, &device), Ok(Order::Command { .. })));
    stage.now = stage.now + Dur::secs(1);
    assert!(stage.google.tick(stage.now).is_empty());
    assert_eq!(stage.heard(), "COMMAND");
    assert_eq!(stage.google.order(stage.now, &device), Ok(Order::Nothing));
    assert_eq!(stage.google.done(stage.now, &name, Outcome::Done(Object::new())), Ok(false));
    assert_eq!(stage.ask("GET", &format!("/v1/{name}"), &json!({}))["error"]["code"], 4);
    assert_eq!(stage.heard(), "");
}

#[test]
fn a_command_that_a_device_refuses_says_why() {
    let mut stage = Stage::new(None);
    let device = stage.enroll("a").unwrap();
    let operation = stage.ask("POST", &format!("/v1/{device}:issueCommand"), &json!({ "type": "REBOOT" }));
    let name = operation["name"].as_str().unwrap().to_owned();
    assert_eq!(stage.google.done(stage.now, &name, Outcome::Failed("MANAGEMENT_MODE")), Ok(true));
    let ended = stage.ask("GET", &format!("/v1/{name}"), &json!({}));
    assert_eq!((&ended["metadata"]["errorCode"], &ended["done"]), (&json!("MANAGEMENT_MODE"), &json!(true)));
}

#[test]
fn a_device_may_go_without_a_word_and_a_full_project_takes_no_more() {
    let mut stage = Stage::new(None);
    let (first, second) = (stage.enroll("a").unwrap(), stage.enroll("b").unwrap());
    assert_eq!(stage.enroll("c"), Err(super::EnrollError::Full));
    stage.heard();
    stage.google.leave(stage.now, &first, Departure::Silent).unwrap();
    assert_eq!(stage.heard(), "");
    stage.google.leave(stage.now, &second, Departure::Told).unwrap();
    assert_eq!(stage.heard(), "STATUS_REPORT");
    assert_eq!(stage.google.leave(stage.now, &second, Departure::Told), Err(super::Unknown));
}

#[test]
fn a_push_is_refused_until_it_is_taken_and_refusals_slow_it_down() {
    let mut stage = Stage::new(Some("https://emm.example/push"));
    let mut gaps = Vec::new();
    let mut bodies = std::collections::BTreeSet::new();
    for _ in 0..6 {
        let at = stage.google.next(stage.now).unwrap();
        gaps.push(at.since(stage.now).0 / 1_000);
        stage.now = at;
        let posts = stage.google.tick(stage.now);
        assert_eq!(posts.len(), 1);
        bodies.insert(posts[0].body.clone());
        stage.google.pushed(stage.now, &posts[0], Some(203), Dur::ms(5));
    }
    assert_eq!(gaps, [0, 0, 0, 0, 100, 200], "milliseconds; 203 is no acknowledgment");
    assert_eq!(bodies.len(), 1, "the same message each time");
    stage.now = stage.google.next(stage.now).unwrap();
    let posts = stage.google.tick(stage.now);
    stage.google.pushed(stage.now, &posts[0], Some(204), Dur::ms(5));
    assert_eq!(stage.google.next(stage.now), None);
}

#[test]
fn without_a_grant_a_notification_is_lost_and_counted() {
    let mut stage = Stage::new(None);
    stage.heard();
    stage.ask("POST", &format!("{TOPIC}:setIamPolicy"), &json!({ "policy": { "bindings": [] } }));
    stage.enroll("a").unwrap();
    assert_eq!((stage.heard().as_str(), stage.google.lost()), ("", 1));
}
