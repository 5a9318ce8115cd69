//! Devices of lanes: what they weigh, what is told of them, and how far what was asked of them has come.

use super::super::ear::Ear;
use super::super::{Config, Handle};
use super::*;
use crate::push::{Push, Sink};
use droves_facts::{CommandKey, CommandStatus, Fact, LaneIx, Limits, Mono, Operation, PushFate, What};
use droves_net::clock::RunClock;
use droves_net::tls::Trust;
use droves_wire::android::adp::{self, Answer, App, Ask, Detail, Enroll, Mode, Recipe};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) fn recipe(number: u64, apps: u32) -> Recipe {
    let app =
        |n| App { package: format!("com.example.work.application{n:03}").into(), version: 10_000 + n, removed: false };
    Recipe {
        seed: number,
        mode: Mode::FullyManaged,
        brand: "Google".into(),
        model: "Pixel 9".into(),
        android_version: "15".into(),
        api_level: 35,
        serial: format!("35281JEHN{number:06}").into(),
        apps: (0..apps).map(app).collect(),
        boots: 1,
        ..Recipe::default()
    }
}

/// What a policy asks for that has all of the table in mind.
pub(super) fn policy(apps: bool, samples: bool) -> Value {
    json!({ "statusReportingSettings": {
        "applicationReportsEnabled": apps, "softwareInfoEnabled": true, "networkInfoEnabled": true,
        "memoryInfoEnabled": true, "displayInfoEnabled": true, "deviceSettingsEnabled": true,
        "hardwareStatusEnabled": samples, "powerManagementEventsEnabled": samples,
    } })
}

impl Stage {
    pub(super) fn agent(&mut self, lane: u32, ask: Ask) -> Result<Answer, u16> {
        self.google.ask(self.now, LaneIx(lane), ask)
    }

    /// A lane's device enrolls with a token for the policy `p`: its name.
    pub(super) fn agent_enrolls(&mut self, lane: u32, recipe: Recipe) -> Box<str> {
        let target = format!("/v1/{}/enrollmentTokens", self.enterprise);
        let token = self.ask("POST", &target, &json!({ "policyName": "p" }))["value"].as_str().unwrap().into();
        match self.agent(lane, Ask::Enroll(Box::new(Enroll { token, recipe }))) {
            Ok(Answer::Enrolled { device, .. }) => device,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn agent_syncs(
        &mut self,
        lane: u32,
        device: &str,
        applied: i64,
    ) -> (Option<(Box<str>, i64)>, adp::Order) {
        match self.agent(lane, Ask::Sync { device: device.into(), applied }) {
            Ok(Answer::Sync { policy, order, .. }) => (policy.map(|policy| (policy.name, policy.version)), order),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn agent_reports(&mut self, lane: u32, device: &str, applied: i64, recipe: Recipe) {
        let report = Ask::Report { device: device.into(), applied, recipe: Box::new(recipe) };
        assert_eq!(self.agent(lane, report), Ok(Answer::Taken));
    }

    pub(super) fn sets_policy(&mut self, id: &str, body: &Value) {
        let target = format!("/v1/{}/policies/{id}", self.enterprise);
        assert_eq!(self.ask("PATCH", &target, body)["error"], Value::Null);
    }

    /// What was said of a lane: `command 0 delivered`, ..
    fn said(&mut self, lane: u32) -> String {
        let said = self.google.take_said(Mono::ZERO).into_iter();
        let said = said.filter(|(of, what)| of.0 == lane && !matches!(what, What::Called));
        said.map(|(lane, what)| spelled(lane, &what)).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn spelled(lane: LaneIx, what: &What) -> String {
    let (command, word) = match what {
        What::Delivered { command, named: true } => (command, "delivered"),
        What::Answered { command, status: CommandStatus::Acknowledged } => (command, "answered"),
        What::Answered { command, status: CommandStatus::Error } => (command, "failed"),
        What::Notified { command } => (command, "notified"),
        What::Accepted { command, status: CommandStatus::Acknowledged } => (command, "accepted"),
        What::Accepted { command, status: CommandStatus::Error } => (command, "accepted as failed"),
        other => panic!("{other:?}"),
    };
    let mut names = ["command", "policy"].into_iter().flat_map(|kind| (0..9).map(move |n| (kind, n)));
    let (kind, n) = names.find(|(kind, n)| CommandKey::by_order(lane, kind, *n) == *command).unwrap();
    format!("{kind} {n} {word}")
}

#[test]
fn reports_are_as_large_as_real_ones() {
    let check = |apps: u32, system_apps: u16, samples: bool, bytes: usize| {
        let mut stage = Stage::new(None);
        stage.sets_policy("p", &policy(true, samples));
        let recipe = Recipe { system_apps, ..recipe(1, apps) };
        let device = stage.agent_enrolls(0, recipe.clone());
        assert!(stage.agent_syncs(0, &device, 0).0.is_some());
        stage.agent_reports(0, &device, 1, recipe);
        let is = stage.ask("GET", &format!("/v1/{device}"), &json!({})).to_string().len();
        assert!(is.abs_diff(bytes) * 100 <= bytes * 15, "{apps} + {system_apps} applications: {is} bytes, not {bytes}");
    };
    check(0, 0, false, 2_200);
    check(30, 0, false, 18_600);
    check(120, 0, false, 68_000);
    check(120, 0, true, 98_000);
    check(120, 230, false, 194_000);
}

#[test]
fn an_enrollment_tells_little() {
    let mut stage = Stage::new(None);
    stage.sets_policy("p", &policy(true, true));
    stage.messages();
    stage.agent_enrolls(0, recipe(1, 120));
    let messages = stage.messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    let data = STANDARD.decode(message["data"].as_str().unwrap());
    let device: Value = serde_json::from_slice(&data.unwrap()).unwrap();
    let bytes = device.to_string().len();
    assert!(bytes.abs_diff(1_800) <= 270, "{bytes} bytes");
    assert!(
        device["softwareInfo"].is_object()
            && device["memoryInfo"].is_object()
            && device["applicationReports"].is_null()
    );
}

#[test]
fn a_device_weighs_little_however_large_its_reports_are() {
    const DEVICES: u32 = 1_000;
    let mut stage = Stage::of(None, DEVICES as usize);
    stage.sets_policy("p", &policy(true, true));
    let target = format!("/v1/{}/enrollmentTokens", stage.enterprise);
    let token: Box<str> = stage.ask("POST", &target, &json!({ "policyName": "p" }))["value"].as_str().unwrap().into();
    // Nobody is told: what waits in a subscription is another matter.
    let enterprise = format!("/v1/{}", stage.enterprise);
    stage.ask("PATCH", &format!("{enterprise}?updateMask=enabledNotificationTypes"), &json!({}));
    let live = allocation_counter::measure(|| {
        for lane in 0..DEVICES {
            let recipe = recipe(lane.into(), 60);
            let enroll = Enroll { token: token.clone(), recipe: recipe.clone() };
            let Ok(Answer::Enrolled { device, .. }) = stage.agent(lane, Ask::Enroll(Box::new(enroll))) else {
                panic!()
            };
            stage.agent_syncs(lane, &device, 0);
            stage.agent_reports(lane, &device, 1, recipe);
        }
    });
    let each = live.bytes_current / i64::from(DEVICES);
    assert!((500..=2_048).contains(&each), "{each} bytes a device");
    let mut list = |query: &str| {
        let target = format!("{enterprise}/devices?pageSize=100{query}");
        let mut devices = 0;
        let all = allocation_counter::measure(|| {
            devices = stage.ask("GET", &target, &json!({}))["devices"].as_array().unwrap().len()
        });
        assert_eq!(devices, 100);
        all.bytes_total
    };
    let (whole, names) = (list(""), list("&fields=devices(name,state),nextPageToken"));
    assert!(names * 20 < whole, "{names} bytes for names, {whole} for all: what is not wanted is not made");
}

#[test]
fn reports_that_nobody_takes_weigh_little_and_are_as_they_were() {
    const DEVICES: u32 = 100;
    let mut stage = Stage::of(None, DEVICES as usize);
    stage.sets_policy("p", &policy(true, true));
    let devices: Vec<Box<str>> = (0..DEVICES).map(|lane| stage.agent_enrolls(lane, recipe(lane.into(), 120))).collect();
    devices.iter().zip(0..).for_each(|(device, lane)| drop(stage.agent_syncs(lane, device, 0)));
    while !stage.messages().is_empty() {}
    let report = |stage: &mut Stage, lane: u32| {
        stage.agent_reports(lane, &devices[lane as usize], 1, recipe(lane.into(), 120));
    };
    let waiting = allocation_counter::measure(|| (0..DEVICES).for_each(|lane| report(&mut stage, lane)));
    let each = waiting.bytes_current / i64::from(DEVICES);
    assert!((1_000..=8_192).contains(&each), "{each} bytes each");
    let shown = stage.ask("GET", &format!("/v1/{}", devices[0]), &json!({}));
    stage.now = stage.now + Dur::secs(1);
    report(&mut stage, 0);
    let told: Vec<Value> =
        std::iter::from_fn(|| Some(stage.messages()).filter(|of| !of.is_empty())).flatten().collect();
    assert_eq!(told.len(), 101);
    assert_eq!(resource(&told[0]), shown);
    assert_ne!(resource(&told[100]), shown);
    assert!(told[0]["data"].as_str().unwrap().len() > 90_000);
}

#[test]
fn a_command_is_followed_by_its_order_to_the_acknowledgment() {
    let mut stage = Stage::new(None);
    let device = stage.agent_enrolls(7, recipe(1, 0));
    stage.heard();
    assert_eq!(stage.said(7), "");
    let target = format!("/v1/{device}:issueCommand");
    stage.ask("POST", &target, &json!({ "type": "LOCK" }));
    stage.ask("POST", &target, &json!({ "type": "REBOOT" }));
    assert_eq!(stage.google.take_nudges(), [(LaneIx(7), device.rsplit('/').next().unwrap().into())]);
    assert_eq!(stage.google.take_nudges(), []);
    for outcome in [adp::Outcome::Done(Object::new()), adp::Outcome::Failed("SOMETHING_NEW".into())] {
        let (_, order) = stage.agent_syncs(7, &device, 0);
        assert_eq!(stage.agent_syncs(7, &device, 0).1, order, "the same until it is done");
        let adp::Order::Command { operation, .. } = order else { panic!("{order:?}") };
        assert_eq!(
            stage.agent(7, Ask::Done { operation: operation.clone(), outcome: outcome.clone() }),
            Ok(Answer::Taken)
        );
        assert_eq!(stage.agent(7, Ask::Done { operation, outcome }), Ok(Answer::TooLate));
    }
    assert_eq!(stage.said(7), "command 0 delivered, command 0 answered, command 1 delivered, command 1 failed");
    stage.heard();
    assert_eq!(
        stage.said(7),
        "command 0 notified, command 1 notified, command 0 accepted, command 1 accepted as failed"
    );
    // Under its next name the lane's device goes on counting.
    let device = stage.agent_enrolls(7, recipe(1, 0));
    stage.ask("POST", &format!("/v1/{device}:issueCommand"), &json!({ "type": "LOCK", "duration": "30s" }));
    stage.now = stage.now + Dur::secs(30);
    stage.google.tick(stage.now);
    stage.heard();
    assert_eq!(stage.said(7), "command 2 notified, command 2 accepted as failed", "nobody did it");
}

#[test]
fn changes_of_a_policy_are_followed_also_those_that_are_skipped() {
    let mut stage = Stage::new(None);
    stage.sets_policy("p", &json!({}));
    let device = stage.agent_enrolls(7, recipe(1, 0));
    let policy = |id: &str, version| {
        Some((format!("{}/policies/{id}", device.split("/devices").next().unwrap()).into(), version))
    };
    assert_eq!(stage.agent_syncs(7, &device, 0).0, policy("p", 1));
    stage.agent_reports(7, &device, 1, recipe(1, 0));
    stage.heard();
    assert_eq!(stage.said(7), "", "what it enrolled with is no change");
    stage.sets_policy("p", &json!({ "cameraDisabled": true }));
    stage.sets_policy("p", &json!({}));
    assert_eq!(stage.google.take_nudged(), [device.to_string()]);
    assert_eq!(stage.agent_syncs(7, &device, 1).0, policy("p", 3));
    stage.agent_reports(7, &device, 1, recipe(1, 0));
    stage.heard();
    assert_eq!(stage.said(7), "policy 0 delivered, policy 1 delivered", "not applied yet");
    stage.agent_reports(7, &device, 3, recipe(1, 0));
    stage.heard();
    assert_eq!(
        stage.said(7),
        "policy 0 answered, policy 1 answered, policy 0 notified, policy 1 notified, policy 0 accepted, policy 1 accepted"
    );
    assert_eq!(stage.agent_syncs(7, &device, 3).0, None);
    // Another policy counts as a change, also one of the same version.
    ["q"; 3].iter().for_each(|id| stage.sets_policy(id, &json!({})));
    let target = format!("/v1/{device}?updateMask=policyName");
    stage.ask("PATCH", &target, &json!({ "policyName": "q" }));
    stage.ask("PATCH", &target, &json!({ "policyName": "q" }));
    assert_eq!(stage.ask("GET", &format!("/v1/{device}"), &json!({}))["appliedPolicyVersion"], "3");
    assert_eq!(stage.agent_syncs(7, &device, 3).0, policy("q", 3));
    assert_eq!(stage.agent_syncs(7, &device, 3).0, None);
    stage.agent_reports(7, &device, 3, recipe(1, 0));
    stage.heard();
    assert_eq!(stage.said(7), "policy 2 delivered, policy 2 answered, policy 2 notified, policy 2 accepted");
    stage.sets_policy("p", &json!({}));
    assert_eq!(stage.agent_syncs(7, &device, 3).0, None, "its policy is another");
    let applied = stage.ask("GET", &format!("/v1/{device}"), &json!({}))["appliedPolicyName"].clone();
    assert!(applied.as_str().unwrap().ends_with("/q"));
}

#[test]
fn a_serial_number_of_many_puts_nobody_out() {
    let mut stage = Stage::of(None, 3);
    let cloned = |seed| Recipe { serial: "0123456789ABCDEF".into(), ..recipe(seed, 0) };
    let (first, second) = (stage.agent_enrolls(1, cloned(1)), stage.agent_enrolls(2, cloned(2)));
    let shown = stage.ask("GET", &format!("/v1/{second}"), &json!({}));
    assert_eq!(shown["previousDeviceNames"], json!([first]), "Google takes both for one");
    assert_eq!(stage.ask("GET", &format!("/v1/{first}"), &json!({}))["state"], "ACTIVE");
    let again = stage.agent_enrolls(1, cloned(1));
    assert_eq!(stage.agent(1, Ask::Sync { device: first, applied: 0 }), Err(404));
    let before = |stage: &mut Stage, name: &str| {
        let names = stage.ask("GET", &format!("/v1/{name}"), &json!({}))["previousDeviceNames"].clone();
        names.as_array().map(Vec::len)
    };
    assert_eq!(before(&mut stage, &again), Some(2));
    assert_eq!((stage.google.id_of(LaneIx(1)), stage.google.id_of(LaneIx(9))), (again.rsplit('/').next(), None));
}

#[test]
fn more_clones_than_are_remembered_leave_and_come_back_one_by_one() {
    let mut stage = Stage::of(None, 40);
    let cloned = |seed| Recipe { serial: "unknown".into(), ..recipe(seed, 0) };
    let first = stage.agent_enrolls(1, cloned(1));
    (2..=20).for_each(|lane| drop(stage.agent_enrolls(lane, cloned(lane.into()))));
    let shown = stage.ask("GET", &format!("/v1/{first}"), &json!({}));
    assert_eq!(shown["previousDeviceNames"], Value::Null, "those that came later were not before it");
    stage.agent_enrolls(1, cloned(1));
    assert_eq!(stage.agent(1, Ask::Sync { device: first.clone(), applied: 0 }), Err(404));
    assert_eq!(stage.ask("GET", &format!("/v1/{first}"), &json!({}))["error"]["code"], 404);
}

#[test]
fn a_report_says_how_it_stands() {
    let mut stage = Stage::new(None);
    stage.sets_policy("p", &json!({}));
    let device = stage.agent_enrolls(7, recipe(1, 0));
    let stands = |stage: &mut Stage, applied, recipe| {
        stage.agent_reports(7, &device, applied, recipe);
        let shown = stage.ask("GET", &format!("/v1/{device}"), &json!({}));
        [&shown["policyCompliant"], &shown["appliedState"], &shown["appliedPolicyVersion"]]
            .map(Value::to_string)
            .join(" ")
    };
    assert_eq!(stands(&mut stage, 0, recipe(1, 0)), r#"false "ACTIVE" null"#, "nothing is applied yet");
    let pending = Detail { setting: "applications".into(), reason: "PENDING".into(), ..Detail::default() };
    let lost = Recipe { details: vec![pending], applied_state: "LOST".into(), ..recipe(1, 0) };
    assert_eq!(stands(&mut stage, 1, lost), r#"false "LOST" "1""#);
    assert_eq!(stands(&mut stage, 1, recipe(1, 0)), r#"true "ACTIVE" "1""#);
}

/// Who hears.
struct Heard(Mutex<SyncSender<String>>);

impl Sink for Heard {
    fn wake(&self, push: Push) -> PushFate {
        self.0.lock().unwrap().send(format!("nudge {} {}", push.lane, push.magic)).unwrap();
        PushFate::DroppedOurs
    }
}

impl Ear for Heard {
    fn fact(&self, fact: Fact) {
        let said = match &fact.what {
            What::RequestStarted { operation: Operation::AndroidNotification } => "post".to_owned(),
            What::RequestEnded { outcome, timing, bytes_out, .. } => {
                assert!(timing.due <= timing.started && timing.started <= timing.ended);
                let is_timed = timing.first_byte.is_some() && *bytes_out > 100;
                format!("posted {outcome:?} {is_timed}").replace("Failed { blame: Server, kind: ", "").replace(" }", "")
            }
            What::Called => "called".to_owned(),
            what => spelled(fact.lane, what),
        };
        let lane = fact.lane;
        self.0.lock().unwrap().send(format!("{said} {lane}")).unwrap();
    }
}

/// A push endpoint that answers with these statuses, one after the other.
fn endpoint(statuses: &'static [u16]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for status in statuses {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let mut length = 0;
            for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
            }
            reader.take(length).read_to_end(&mut Vec::new()).unwrap();
            write!(&stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
    });
    url
}

/// Google with its sockets, heard by somebody.
pub(super) fn start(ear: Arc<dyn Ear>) -> Handle {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        url: None,
        settings: settings(2),
        trust: Trust::system(),
        authorised: Vec::new(),
        clock: RunClock::start(),
        limits: Limits::default(),
    };
    Handle::start(config, Some(ear)).unwrap()
}

/// What comes up to this, without what is about nobody.
fn until(heard: &Receiver<String>, last: &str) -> Vec<String> {
    let mut all = Vec::new();
    while all.last().is_none_or(|said| said != last) {
        let said = heard.recv_timeout(Duration::from_secs(60)).unwrap();
        all.extend(Some(said).filter(|said| !said.ends_with(&LaneIx::NOBODY.to_string())));
    }
    all
}

#[test]
fn whoever_plays_devices_hears_for_how_long_the_quota_is_used_up() {
    let mut stage = Stage::new(None);
    stage.google.take_said(Mono::ZERO);
    let enterprise = format!("/v1/{}", stage.enterprise);
    let (began, mut left) = (stage.now, None);
    for call in 0..1_000 {
        stage.now = began + Dur::ms(10 * call);
        assert_eq!(
            stage.ask("GET", &enterprise, &Value::Null)["error"]["code"],
            left.map_or(Value::Null, |_| json!(429))
        );
        let now = Mono::ZERO + stage.now.since(began);
        if let [(LaneIx::NOBODY, What::QuotaUsedUp { until })] = &stage.google.take_said(now)[..] {
            assert_eq!(left.replace(*until), None, "it is said once");
        }
    }
    assert!(left.is_some_and(|until| (Mono(59_000_000)..Mono(60_000_001)).contains(&until)), "{left:?}");
}

#[test]
fn whoever_plays_devices_hears_of_nudges_and_of_every_post() {
    let mut stage = Stage::new(Some(&endpoint(&[200, 500, 204])));
    // The message that greets a new topic is of no interest.
    let greeting = stage.google.tick(stage.now);
    stage.google.pushed(stage.now, &greeting[0], Some(200), Dur::ZERO);
    let (sender, heard) = sync_channel(1_000);
    let (google, enterprise) = (stage.google, stage.enterprise);
    let handle = start(Arc::new(Heard(Mutex::new(sender))));
    handle.with(|brain, _| *brain = google);
    let ask = |method: &'static str, path: String, body: Value| {
        handle.with(|google, now| {
            let body = body.to_string().into_bytes();
            let (authorization, content_type, method_override) = (Some("Bearer x"), None, None);
            let query = "";
            let request =
                Request { method, path: &path, query, authorization, content_type, method_override, body: &body };
            serde_json::from_slice::<Value>(&google.answer(now, &request).body).unwrap()
        })
    };
    let token = ask("POST", format!("/v1/{enterprise}/enrollmentTokens"), json!({}))["value"].clone();
    let enroll = json!({ "enroll": { "token": token, "recipe": recipe(1, 0) } }).to_string();
    let (status, answer) = handle.ask(LaneIx(7), enroll.as_bytes());
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let device = answer["enrolled"]["device"].as_str().unwrap().to_owned();
    assert_eq!(status, 200);
    assert_eq!(until(&heard, "posted Succeeded true 7"), ["post 7", "posted Succeeded true 7"]);
    let operation = ask("POST", format!("/v1/{device}:issueCommand"), json!({ "type": "LOCK" }))["name"].clone();
    let nudge = format!("nudge 7 {}", device.rsplit('/').next().unwrap());
    assert_eq!(until(&heard, &nudge), ["called 7", &nudge]);
    assert_eq!(handle.nudges_dropped(), 1);
    let done = json!({ "done": { "operation": operation, "outcome": { "done": {} } } }).to_string();
    assert_eq!(handle.ask(LaneIx(7), done.as_bytes()).0, 200);
    let mut all = until(&heard, "posted Succeeded true 7");
    // Two threads say it.
    all.sort();
    let expected = [
        "command 0 accepted 7",
        "command 0 answered 7",
        "command 0 notified 7",
        "post 7",
        "post 7",
        "posted \"status_500\" true 7",
        "posted Succeeded true 7",
    ];
    assert_eq!(all, expected);
    handle.stop();
}
