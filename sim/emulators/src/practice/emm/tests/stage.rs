//! Google and the EMM, brain to brain and in virtual time, with devices that do what they are told.

use super::super::super::brain::{Brain, Told};
use super::super::super::exchange::{Incoming, Proof as Shown};
use super::super::super::faults::Faults;
use super::super::{Account, Call, Reply, Settings};
use crate::google;
use crate::google::{Callers, Departure, Enrollment, Google, Object, Order, Outcome, Quota};
use bytes::Bytes;
use droves_facts::{Dice, Dur, Limits, Mono, PhaseIx, Wall};
use droves_scenario::plan::{Fault, FaultKind, ServerFault, Strikes};
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

const GOOGLE: &str = "http://google.example";
pub(super) const EMM: &str = "http://emm.example";
const ADMIN: &str = "administrator";
/// More steps without time passing are none that end.
const STEPS_MAX: usize = 10_000;

pub(super) struct Stage {
    pub(super) google: Google,
    pub(super) brain: Brain,
    pub(super) now: Mono,
    /// Answers to these calls, by the end of the URL, do not come until they are let go.
    pub(super) holds: Option<&'static str>,
    held: Vec<(u64, Option<Reply>)>,
    /// Calls that fail once, by the end of the URL: with a status, or without an answer though Google has done its part.
    pub(super) fails: Vec<(&'static str, Option<u16>)>,
    /// Pushes, as they were, with the status that they were answered by.
    pub(super) pushes: Vec<(Push, u16)>,
    /// Devices that are there, and do what they are told.
    awake: BTreeSet<String>,
}

/// A push, to be repeated.
#[derive(Clone)]
pub(super) struct Push {
    pub(super) body: Vec<u8>,
    pub(super) token: String,
}

static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| Key::generate_rsa(2048).unwrap().to_pkcs8().unwrap());
static AUTHORITY: LazyLock<Arc<Authority>> =
    LazyLock::new(|| Arc::new(Authority::create_p384("Test", Wall::VIRTUAL_START).unwrap()));

fn key() -> Key {
    Key::from_pkcs8(&KEY).unwrap()
}

impl Stage {
    /// An EMM that has begun, whose project may make so many calls a minute.
    pub(super) fn new(requests_max: u32) -> Self {
        Stage::with(requests_max, None, |_| {})
    }

    /// One that does this wrong while [`Stage::faulty`], and is otherwise so.
    pub(super) fn with(requests_max: u32, fault: Option<ServerFault>, set: impl FnOnce(&mut Settings)) -> Self {
        let mut stage = Stage::asleep(requests_max, fault, set);
        stage.settle();
        stage
    }

    /// One that has not begun.
    pub(super) fn asleep(requests_max: u32, fault: Option<ServerFault>, set: impl FnOnce(&mut Settings)) -> Self {
        let (email, project) = ("emm@p.iam.gserviceaccount.com".to_owned(), "p".to_owned());
        let account = google::Account { email, project, key_id: "k".to_owned(), key: key() };
        let key_file = account.key_file(GOOGLE).unwrap().to_string();
        let settings = google::Settings {
            callers: Callers::Known,
            accounts: vec![account],
            quota: Quota { requests_max, window: Dur::secs(60) },
            devices_max: 1_000,
            dice: Dice::new(1),
            key: key(),
        };
        let google = Google::new(GOOGLE, settings).unwrap();
        let fault = fault.map(|fault| Fault {
            what: FaultKind::Server(fault),
            strikes: Strikes::Share(1.0),
            who: None,
            during: Some(PhaseIx(1)),
            after: Dur::ZERO,
            length: None,
        });
        let faults = Faults::new(fault.as_slice(), Dice::new(1));
        let told = Told { url: EMM.to_owned(), windows_url: EMM.to_owned(), topic: "topic".to_owned() };
        let (limits, windows) = (Limits::default(), super::super::super::windows::Settings::default());
        let mut brain = Brain::new(Arc::clone(&AUTHORITY), told, ADMIN.to_owned(), limits, faults, windows);
        let mut settings = Settings::default();
        set(&mut settings);
        brain.manage_android(GOOGLE.to_owned(), Account::read(key_file.as_bytes()).unwrap(), settings);
        let (now, holds, held, fails) = (Mono(1_000_000), None, Vec::new(), Vec::new());
        Stage { google, brain, now, holds, held, fails, pushes: Vec::new(), awake: BTreeSet::new() }
    }

    pub(super) fn wall(&self) -> Wall {
        Wall::VIRTUAL_START + Dur(self.now.0)
    }

    pub(super) fn faulty(&mut self, is_on: bool) {
        match is_on {
            true => self.brain.faults().phase_begins(PhaseIx(1), self.now),
            false => self.brain.faults().phase_ends(PhaseIx(1)),
        }
    }

    /// Everything that needs no time.
    pub(super) fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("no end: {}", self.truth());
    }

    /// Time passes.
    pub(super) fn pass(&mut self, time: Dur) {
        let end = self.now + time;
        loop {
            self.settle();
            let of_google = self.google.next(self.wall()).map(|next| self.now + next.since(self.wall()));
            let next = of_google.into_iter().chain(self.brain.next_call(self.now)).min().unwrap_or(Mono::NEVER);
            if next > end {
                break;
            }
            self.now = next.max(self.now + Dur::us(1));
        }
        self.now = end;
        self.settle();
    }

    /// Whether anything happened.
    fn step(&mut self) -> bool {
        let calls = self.brain.calls(self.now, self.wall());
        let mut happened = !calls.is_empty();
        for call in calls {
            let (number, is_held) = (call.number, self.holds.is_some_and(|end| call.url.ends_with(end)));
            let reply = self.meet(&call);
            if is_held {
                self.held.push((number, reply));
            } else {
                self.brain.called(self.now, self.wall(), number, reply);
            }
        }
        for post in self.google.tick(self.wall()) {
            happened = true;
            let token = self.google.token(self.wall(), &post).unwrap_or_default();
            assert_eq!(post.endpoint.split('?').next(), Some("http://emm.example/android/pubsub"));
            let (push, endpoint) = (Push { body: post.body(), token }, post.endpoint.clone());
            let (status, took) = self.push(&endpoint, &push);
            self.pushes.push((push, status));
            let status = Some(status).filter(|_| took < post.wait_max);
            self.google.pushed(self.wall(), &post, status, took);
        }
        for device in self.google.take_nudged() {
            if self.awake.contains(&device) {
                happened = true;
                self.obey(&device);
            }
        }
        happened
    }

    /// A push; its status, and how long it took.
    pub(super) fn push(&mut self, endpoint: &str, push: &Push) -> (u16, Dur) {
        let path = endpoint.strip_prefix(EMM).unwrap();
        let bearer = format!("Bearer {}", push.token);
        let outgoing = self.ask("POST", path, bearer.as_bytes(), "application/json", &push.body);
        (outgoing.0, outgoing.2)
    }

    fn meet(&mut self, call: &Call) -> Option<Reply> {
        if let Some(at) = self.fails.iter().position(|(end, status)| call.url.ends_with(end) && status.is_some()) {
            let status = self.fails.remove(at).1.unwrap();
            return Some(Reply { status, location: None, body: Bytes::new() });
        }
        let reply = if let Some(path) = call.url.strip_prefix(EMM) {
            let (status, body, _) = self.ask("GET", path, b"", "", b"");
            Reply { status, location: None, body: body.to_string().into() }
        } else {
            let target = call.url.strip_prefix(GOOGLE).unwrap();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let request = google::Request {
                method: call.method,
                path,
                query,
                authorization: call.authorization.as_deref(),
                content_type: call.content_type,
                method_override: None,
                body: &call.body,
            };
            let google::Answer { status, location, body, .. } = self.google.answer(self.wall(), &request);
            Reply { status, location, body: body.into() }
        };
        match self.fails.iter().position(|(end, _)| call.url.ends_with(end)) {
            Some(at) => {
                self.fails.remove(at);
                None
            }
            None => Some(reply),
        }
    }

    /// Answers that were held back come.
    pub(super) fn let_go(&mut self) {
        self.holds = None;
        for (number, reply) in std::mem::take(&mut self.held) {
            self.brain.called(self.now, self.wall(), number, reply);
        }
        self.settle();
    }

    fn ask(&mut self, method: &str, target: &str, authorization: &[u8], kind: &str, body: &[u8]) -> (u16, Value, Dur) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let incoming = Incoming {
            method,
            path,
            query,
            authorization: Some(authorization),
            content_type: Some(kind.as_bytes()),
            range: None,
            proof: Shown::Nothing,
            body,
        };
        let outgoing = self.brain.answer(self.now, self.wall(), &incoming, &mut Vec::new());
        let body = serde_json::from_slice(&outgoing.body);
        let text = || String::from_utf8_lossy(&outgoing.body).into_owned().into();
        (outgoing.status, body.unwrap_or_else(|_| text()), outgoing.after)
    }

    /// What the administrator is answered.
    pub(super) fn admin(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (kind, body) = ("application/json", if method == "GET" { String::new() } else { body.to_string() });
        let bearer = format!("Bearer {ADMIN}");
        let (status, answer, _) =
            self.ask(method, &format!("/admin/v1{path}"), bearer.as_bytes(), kind, body.as_bytes());
        (status, answer)
    }

    pub(super) fn get(&mut self, path: &str) -> Value {
        let (status, answer) = self.admin("GET", path, &json!({}));
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(super) fn truth(&self) -> Value {
        self.brain.truth()["android"].clone()
    }

    /// How often this was answered so.
    pub(super) fn calls(&self, name: &str, status: u16) -> u64 {
        self.truth()["calls"][name][status.to_string()].as_u64().unwrap_or(0)
    }

    /// How often this became of notifications of that type.
    pub(super) fn notifications(&self, kind: &str, what: &str) -> u64 {
        self.truth()["notifications"][kind][what].as_u64().unwrap_or(0)
    }

    /// Commands of a type that came to this.
    pub(super) fn fate(&self, kind: &str, fate: &str) -> u64 {
        self.brain.truth()["commands"][kind][fate].as_u64().unwrap_or(0)
    }

    /// A device enrolls by a token for a mode, which has its name; its own name at Google.
    pub(super) fn enroll(&mut self, mode: &str, serial: &str) -> String {
        let wanted = json!({ "mode": mode, "one_time": false });
        assert_eq!(self.admin("PUT", &format!("/android/enrollment_tokens/{mode}"), &wanted).0, 202);
        self.settle();
        self.enroll_by(mode, serial)
    }

    /// A device enrolls by the token of this label.
    pub(super) fn enroll_by(&mut self, label: &str, serial: &str) -> String {
        let token = self.get(&format!("/android/enrollment_tokens/{label}"))["value"].as_str().unwrap().to_owned();
        let hardware = Object::from_iter([("serialNumber".to_owned(), json!(serial))]);
        let (management_mode, ownership) = ("DEVICE_OWNER", "COMPANY_OWNED");
        let enrollment = Enrollment { token, management_mode, ownership, api_level: 35, hardware };
        self.google.enroll(self.wall(), enrollment).unwrap().name
    }

    /// Devices that are awake from the start, by their names.
    pub(super) fn fleet(&mut self, count: usize) -> Vec<String> {
        let devices: Vec<String> = (0..count).map(|n| self.enroll("fully_managed", &format!("S{n:03}"))).collect();
        devices.iter().for_each(|device| self.wake(device));
        self.settle();
        devices
    }

    /// A device comes to, and stays awake.
    pub(super) fn wake(&mut self, device: &str) {
        self.awake.insert(device.to_owned());
        self.obey(device);
    }

    /// A device does what is wanted of it: its policy, then its commands.
    fn obey(&mut self, device: &str) {
        let now = self.wall();
        let Ok(policy) = self.google.policy(now, device) else { return };
        let applied = policy.map_or(0, |(version, _)| version);
        let report = Object::from_iter([("policyCompliant".to_owned(), json!(true))]);
        self.google.report(now, device, applied, report).unwrap();
        while let Ok(Order::Command { operation, command }) = self.google.order(now, device) {
            let outcome = match command["type"].as_str() {
                Some("REBOOT") => Outcome::Failed("MANAGEMENT_MODE"),
                _ => Outcome::Done(Object::new()),
            };
            self.google.done(now, &operation, outcome).unwrap();
        }
    }

    /// A device leaves.
    pub(super) fn leave(&mut self, device: &str, departure: Departure) {
        self.awake.remove(device);
        let now = self.wall();
        self.google.leave(now, device, departure).unwrap();
    }

    /// Whether Google may publish to the EMM's topic: without, what it has to tell is lost.
    pub(super) fn publishing(&mut self, is_on: bool) {
        let member = if is_on { "serviceAccount:android-cloud-policy@system.gserviceaccount.com" } else { "nobody" };
        let binding = json!({ "role": "roles/pubsub.publisher", "members": [member] });
        let policy = Object::from_iter([("bindings".to_owned(), json!([binding]))]);
        self.google.pubsub().set_iam_policy("projects/p/topics/droves-practice", policy).unwrap();
    }
}
