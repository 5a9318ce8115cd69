//! What no client needs to be there for: what time brings, and what is done wrong on order.
#![expect(clippy::unwrap_used, reason = "tests")]

mod asked;
mod deliveries;
mod ear;
mod faults;
mod lanes;
mod states;

use super::{
    Answer, Callers, Departure, Enrollment, Google, Migration, Object, Order, Outcome, Quota, Request, Settings,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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

fn settings(devices_max: usize) -> Settings {
    Settings {
        callers: Callers::Anybody,
        accounts: Vec::new(),
        quota: Quota { requests_max: 1_000, window: Dur::secs(60) },
        devices_max,
        dice: Dice::new(1),
        key: Key::generate_rsa(2048).unwrap(),
    }
}

impl Stage {
    fn new(push: Option<&str>) -> Self {
        Stage::of(push, 2)
    }

    fn of(push: Option<&str>, devices_max: usize) -> Self {
        let google = Google::new("http://google.example", settings(devices_max)).unwrap();
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

    /// What a call's answer holds.
    fn ask(&mut self, method: &str, target: &str, body: &Value) -> Value {
        serde_json::from_slice(&self.call(method, target, body).body).unwrap()
    }

    fn call(&mut self, method: &str, target: &str, body: &Value) -> Answer {
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
        self.google.answer(self.now, &request)
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
        let kind = |of: &Value| of["attributes"]["notificationType"].as_str().unwrap().to_owned();
        self.messages().iter().map(kind).collect::<Vec<_>>().join(" ")
    }

    /// The notifications since the last time.
    fn messages(&mut self) -> Vec<Value> {
        let pulled = self.ask("POST", &format!("{SUBSCRIPTION}:pull"), &json!({ "maxMessages": 100 }));
        let received = pulled["receivedMessages"].as_array().cloned().unwrap_or_default();
        let ids: Vec<_> = received.iter().map(|of| of["ackId"].clone()).collect();
        self.ask("POST", &format!("{SUBSCRIPTION}:acknowledge"), &json!({ "ackIds": ids }));
        received.into_iter().map(|mut of| of["message"].take()).collect()
    }
}

/// What a message holds.
fn resource(message: &Value) -> Value {
    serde_json::from_slice(&STANDARD.decode(message["data"].as_str().unwrap()).unwrap()).unwrap()
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
fn reports_of_a_device_that_come_together_become_one_message() {
    let mut stage = Stage::new(None);
    let (one, other) = (stage.enroll("a").unwrap(), stage.enroll("b").unwrap());
    stage.heard();
    stage.google.gather(Dur::secs(5));
    let report = |stage: &mut Stage, name: &str, applied| {
        stage.google.report(stage.now, name, applied, Object::new()).unwrap();
    };
    report(&mut stage, &one, 1);
    report(&mut stage, &other, 1);
    stage.now = stage.now + Dur::secs(4);
    report(&mut stage, &one, 2);
    let operation = stage.ask("POST", &format!("/v1/{one}:issueCommand"), &json!({ "type": "REBOOT" }));
    let operation = operation["name"].as_str().unwrap().to_owned();
    stage.google.done(stage.now, &operation, Outcome::Done(Object::new())).unwrap();
    assert_eq!(stage.heard(), "COMMAND", "each command is a resource of its own");
    assert_eq!(stage.google.next(stage.now), Some(stage.now + Dur::secs(1)));
    stage.now = stage.now + Dur::secs(1);
    stage.google.tick(stage.now);
    let told: Vec<Value> = stage.messages().iter().map(resource).collect();
    let version = |name: &str| {
        let mut of = told.iter().filter(|device| device["name"] == name);
        (of.next().map(|device| device["appliedPolicyVersion"].clone()), of.count())
    };
    assert_eq!((version(&one), version(&other)), ((Some(json!("2")), 0), (Some(json!("1")), 0)));
    stage.google.gather(Dur::ZERO);
    report(&mut stage, &one, 3);
    assert_eq!(stage.heard(), "STATUS_REPORT");
}

#[test]
fn events_of_a_log_come_in_the_order_of_their_times() {
    let mut stage = Stage::new(None);
    let device = stage.enroll("a").unwrap();
    let enterprise = format!("/v1/{}", stage.enterprise);
    stage.ask("PATCH", &enterprise, &json!({ "enabledNotificationTypes": ["USAGE_LOGS"] }));
    stage.heard();
    // Text would put the second before the first.
    let times = ["2026-01-05T08:00:00Z", "2026-01-05T08:00:00.500Z", "2026-01-05T07:59:59.999Z"];
    let events = times.map(|time| json!({ "eventTime": time })).to_vec();
    stage.google.log(stage.now, &device, events).unwrap();
    let told: Vec<Value> = stage.messages().iter().map(resource).collect();
    let sorted = [times[2], times[0], times[1]].map(|time| json!({ "eventTime": time }));
    assert_eq!(told[0]["usageLogEvents"], json!(sorted));
}

#[test]
fn a_migration_token_brings_one_device_with_what_its_agent_knew() {
    let mut stage = Stage::new(None);
    stage.heard();
    let tokens = format!("/v1/{}/migrationTokens", stage.enterprise);
    let asked = json!({ "deviceId": "d", "userId": "u", "policy": "p", "additionalData": "unit 7", "ttl": "60s",
        "managementMode": "WORK_PROFILE_COMPANY_OWNED" });
    let token = stage.ask("POST", &tokens, &asked);
    assert_eq!((token.get("ttl"), token.get("device")), (None, None));
    let migrate = |stage: &mut Stage, token: &Value| {
        let hardware: Object = [("serialNumber".to_owned(), json!("a"))].into_iter().collect();
        let (token, previous_dpc) = (token["value"].as_str().unwrap().to_owned(), "com.example.dpc".to_owned());
        stage.google.migrate(stage.now, Migration { token, previous_dpc, api_level: 35, hardware })
    };
    let late = stage.ask("POST", &tokens, &asked);
    let enrolled = migrate(&mut stage, &token).unwrap();
    assert_eq!(enrolled.policy, format!("{}/policies/p", stage.enterprise));
    let told: Vec<Value> = stage.messages().iter().map(resource).collect();
    let [device] = &told[..] else { panic!("{told:?}") };
    assert_eq!(device["dpcMigrationInfo"], json!({ "previousDpc": "com.example.dpc", "additionalData": "unit 7" }));
    assert_eq!((&device["managementMode"], &device["ownership"]), (&json!("PROFILE_OWNER"), &json!("COMPANY_OWNED")));
    assert_eq!(device.get("enrollmentTokenName"), None);
    let shown = stage.ask("GET", &format!("/v1/{}", token["name"].as_str().unwrap()), &json!({}));
    assert_eq!(shown["device"], enrolled.name);
    assert_eq!(migrate(&mut stage, &token), Err(super::EnrollError::Token), "one device");
    stage.now = stage.now + Dur::secs(60);
    assert_eq!(migrate(&mut stage, &late), Err(super::EnrollError::Token), "its time is over");
    stage.now = stage.now + Dur::secs(7 * 86_400);
    assert_eq!(stage.ask("GET", &tokens, &json!({})), json!({}), "and a week later it is gone");
    for refused in [json!({ "ttl": "604801s" }), json!({ "ttl": "60s", "expireTime": "2026-01-05T08:00:00Z" })] {
        let mut asked = asked.clone();
        asked.as_object_mut().unwrap().extend(refused.as_object().unwrap().clone());
        assert_eq!(stage.ask("POST", &tokens, &asked)["error"]["code"], 400, "{asked}");
    }
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
        bodies.insert(posts[0].body());
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
