//! The practice server and Google as it is played, each with its sockets: sign-up, pushes with Google's tokens, and calls that
//! wait for the quota go over HTTP. Devices are played here, in process.
#![expect(clippy::unwrap_used, reason = "tests")]

use droves_emulators::google::{self, Account, Callers, Departure, Enrollment, Handle, Object, Order, Outcome, Quota};
use droves_emulators::practice::{self, Faults, Practice, agents, emm, windows};
use droves_facts::{Dice, Dur, Limits};
use droves_net::clock::RunClock;
use droves_net::connect::{Dialler, Sources};
use droves_net::http::{Body, Conn, Origin, Outgoing, Sink};
use droves_net::tls::Trust;
use droves_wire::keys::Key;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use serde_json::{Value, json};
use std::time::Duration;

const TOKEN: &str = "administrator";
const DEVICES: usize = 20;
/// Looks at what does not come are given up after so many, each a moment after the last.
const LOOKS_MAX: usize = 12_000;

struct World {
    google: Handle,
    practice: Practice,
    client: tokio::runtime::Runtime,
}

#[test]
fn over_sockets_they_enroll_roll_out_command_and_find_who_left() {
    let world = World::start();
    let token = "/android/enrollment_tokens/people";
    world.put(token, &json!({ "mode": "work_profile" }));
    world.until("there is a token", |world| world.get(token)["value"].is_string());
    let token = world.get(token)["value"].as_str().unwrap().to_owned();
    let devices: Vec<String> = (0..DEVICES).map(|n| world.enroll(&token, n)).collect();
    world.until("all are known", |world| world.get("/android")["enrolled"] == DEVICES);

    assert_eq!(world.put("/android/policies", &json!({ "cameraDisabled": true }))["failed"], json!({}));
    world.until("each has its policy", |world| {
        world.obey();
        let truth = &world.practice.truth()["android"];
        let given = truth["calls"]["devices.patch"]["200"] == DEVICES;
        given && world.get("/android")["up_to_date"] == DEVICES
    });
    let queue = &world.practice.truth()["android"]["queue"];
    assert!(queue["quota_waits"].as_u64().unwrap() > 0, "{queue}");

    let ids = (0..DEVICES).map(|n| format!("serial-{n}")).collect::<Vec<_>>().join(",");
    world.put(&format!("/commands?ids={ids}"), &json!({ "type": "LOCK" }));
    world.until("all commands are done", |world| {
        world.obey();
        world.practice.truth()["commands"]["LOCK"]["acknowledged"] == DEVICES
    });

    world.google.with(|google, now| google.leave(now, &devices[7], Departure::Silent)).unwrap();
    world.until("a list shows who is gone", |world| world.get("/enrollments/serial-7")["enrolled"] == false);
    assert_eq!(world.practice.truth()["android"]["gone_silently"], 1);
    assert_eq!(world.google.with(|google, _| google.lost()), 0);
}

impl World {
    fn start() -> Self {
        let key = Key::generate_rsa(2048).unwrap();
        let email = "emm@p1.iam.gserviceaccount.com".to_owned();
        let account = |key: &Key| {
            let key = Key::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
            Account { email: email.clone(), project: "p1".to_owned(), key_id: "k1".to_owned(), key }
        };
        let (clock, limits, trust) = (RunClock::start(), Limits::default(), Trust::system());
        let google = Handle::start(
            google::Config {
                listen: ([127, 0, 0, 1], 0).into(),
                url: None,
                settings: google::Settings {
                    callers: Callers::Known,
                    accounts: vec![account(&key)],
                    quota: Quota { requests_max: 20, window: Dur::secs(1) },
                    devices_max: 500,
                    dice: Dice::new(7),
                    key: Key::generate_rsa(2048).unwrap(),
                },
                authorised: Vec::new(),
                trust: trust.clone(),
                clock,
                limits: limits.clone(),
            },
            None,
        );
        let google = google.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key.json");
        std::fs::write(&key_file, account(&key).key_file(google.url()).unwrap().to_string()).unwrap();
        let (quota_wait, sweep_every) = (Dur::ms(1_100), Dur::ms(500));
        let settings = emm::Settings { quota_wait, sweep_every, ..emm::Settings::default() };
        let practice = Practice::start(practice::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            url: None,
            windows_listen: ([127, 0, 0, 1], 0).into(),
            windows_url: None,
            windows: windows::Settings::default(),
            agents_listen: ([127, 0, 0, 1], 0).into(),
            agents: agents::Settings::default(),
            push: None,
            channels: None,
            messages: None,
            android: Some(emm::Config {
                google: google.url().to_owned(),
                key_file,
                trust,
                authorised: Vec::new(),
                settings,
            }),
            faults: Faults::new(&[], Dice::new(0)),
            token: Some(TOKEN.to_owned()),
            clock,
            limits,
        });
        let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        World { google, practice: practice.unwrap(), client }
    }

    fn until(&self, what: &str, holds: impl Fn(&World) -> bool) {
        for _ in 0..LOOKS_MAX {
            if holds(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("never: {what}: {}", self.practice.truth());
    }

    fn enroll(&self, token: &str, number: usize) -> String {
        let hardware = Object::from_iter([("serialNumber".to_owned(), json!(format!("serial-{number}")))]);
        let (management_mode, ownership) = ("PROFILE_OWNER", "PERSONALLY_OWNED");
        let token = token.to_owned();
        let enrollment = Enrollment { token, management_mode, ownership, api_level: 35, hardware };
        self.google.with(|google, now| google.enroll(now, enrollment)).unwrap().name
    }

    /// Devices that Google has nudged do what they are told.
    fn obey(&self) {
        self.google.with(|google, now| {
            for device in google.take_nudged() {
                let Ok(policy) = google.policy(now, &device) else { continue };
                let applied = policy.map_or(0, |(version, _)| version);
                google.report(now, &device, applied, Object::new()).unwrap();
                while let Ok(Order::Command { operation, .. }) = google.order(now, &device) {
                    google.done(now, &operation, Outcome::Done(Object::new())).unwrap();
                }
            }
        });
    }

    fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, String::new())
    }

    fn put(&self, path: &str, body: &Value) -> Value {
        self.call(Method::PUT, path, body.to_string())
    }

    fn call(&self, method: Method, path: &str, body: String) -> Value {
        let uri: Uri = format!("{}/admin/v1{path}", self.practice.url()).parse().unwrap();
        let (limits, clock) = (Limits::default(), RunClock::start());
        let headers = HeaderMap::from_iter([
            (header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {TOKEN}")).unwrap()),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let target = uri.path_and_query().cloned().unwrap();
        let outgoing = Outgoing { method, target, headers, body: body.into() };
        self.client.block_on(async {
            let address = uri.authority().unwrap().as_str().parse().unwrap();
            let (stream, _) = Dialler::new(&limits, Sources::system()).dial(address, None, &clock).await.unwrap();
            let origin = Origin::new(false, uri.host().unwrap(), uri.port_u16().unwrap()).unwrap();
            let mut conn = Conn::open(stream, false, origin, &limits).await.unwrap();
            let sink = Sink::Keep { bytes_max: 1 << 20 };
            let answer = conn.send(outgoing, sink, limits.request_wait_max, &clock).await.unwrap();
            let Body::Kept(body) = answer.body else { return Value::Null };
            serde_json::from_slice(&body).unwrap_or_default()
        })
    }
}
