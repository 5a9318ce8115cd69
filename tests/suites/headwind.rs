//! Our agents against a Headwind MDM server that somebody else wrote, from what the real one was seen to answer: it judges each
//! call, speaks by mosquitto, and wakes by Google's own library for FCM, unchanged.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Droves, Error, Ground, Headwind, Relay, Run, case, free_port, headwind_tests, wait_until};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

static ALONE: Mutex<()> = Mutex::new(());

/// Two cores carry one of these cases at a time.
fn alone(name: &str, run: impl FnOnce(&Ground) -> Result<(), Error>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    case(name, run);
}

const WAIT_MAX: Duration = Duration::from_secs(300);
/// The server is to have time for others, too.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const PHONES: u64 = 20;
/// Those of them that leave, if anybody does.
const LEAVERS: u64 = 5;

/// A scenario for a server at this port, with these variables of its profile.
fn scenario(port: u16, vars: &str, phases: &[&str]) -> String {
    let agent = "platform: android, managed_by: agent, behaviour: [ { slow: { factor: 0.02 } } ]";
    format!(
        "droves: 1\ntarget:\n  server: headwind\n  url: \"http://127.0.0.1:{port}\"\n  vars: {{ {vars} }}\n\
         fleet:\n  seed: 7\n  populations:\n    phones: {{ {agent}, count: {} }}\n    leavers: {{ {agent}, count: {LEAVERS} }}\nbounds: {{ lag_max: 60s }}\nphases:\n{ENROLL}{}",
        PHONES - LEAVERS,
        phases.concat()
    )
}

const ENROLL: &str = "  - name: enroll\n    enroll: { who: all, arrivals: { rate: 20/s } }\n    until: { enrolled: 100%, within: 10m }\n";

/// Time in which what was begun comes to its end.
fn settle(name: &str) -> String {
    format!("  - {{ name: {name}, wait: 8s }}\n")
}

/// The same for as long as the case wants.
const LIVE: &str = "  - { name: live, wait: 10m }\n";

/// Sets the configuration that all of them are in. Whose it is does not matter, so it is set once.
fn configure(name: &str, fields: &str) -> String {
    format!(
        "  - name: {name}\n    command: {{ who: {{ phones: 1 devices }}, configuration: {{ id: 1, name: c, {fields} }} }}\n    for: 14s\n"
    )
}

/// The same in the last phase, which goes on until the case has seen what it wants.
fn configure_and_live(fields: &str) -> String {
    configure("last", fields).replace("for: 14s", "for: 10m")
}

/// Waits until this is so at the server.
fn until(server: &Headwind, what: &str, is_so: impl Fn(&Value) -> bool) {
    let is_so = wait_until(WAIT_MAX, || {
        std::thread::sleep(LOOK_EVERY);
        server.truth().is_ok_and(|truth| is_so(&truth))
    });
    assert!(is_so, "{what}: {:#}", server.truth().unwrap());
}

/// Nothing that a device said was otherwise than its server wants it, and the run, which was broken off, has nothing to
/// complain of.
fn is_well(run: &Run, truth: &Value) {
    assert_eq!(run.code, 105, "{:#} {:#}", run.summary["verdict"], run.summary["failures"]);
    run.adds_up();
    assert_eq!(truth["broken"]["total"], 0, "{:#}", truth["broken"]);
    assert_eq!(run.summary["failures"], json!([]));
    assert_eq!(run.number("devices.by_state.enrolled"), PHONES);
    assert_eq!(of_each(truth, |device| device["made_by"] == "post"), PHONES, "{:#}", truth["devices"]);
}

/// Of how many devices this is so.
fn of_each(truth: &Value, is_so: impl Fn(&Value) -> bool) -> u64 {
    truth["devices"].as_object().map_or(0, |devices| devices.values().filter(|device| is_so(device)).count() as u64)
}

#[test]
fn the_headwind_peer_passes_its_own_tests() {
    case("headwind_peer", |ground| {
        let _mosquitto = Headwind::broker(ground.path())?;
        let (is_well, said) = headwind_tests()?;
        assert!(is_well && said.lines().last() == Some("OK"), "{said}");
        Ok(())
    });
}

#[test]
fn agents_live_with_a_server_that_is_not_ours_and_its_broker() {
    alone("headwind_mqtt", |ground| {
        let mosquitto = Headwind::broker(ground.path())?;
        let broker = format!("127.0.0.1:{}", mosquitto.port());
        let options = ["--project", "/hmdm", "--strict-signatures", "--mqtt", &broker, "--unset", "mixed"];
        let server = Headwind::start(ground.path(), &options, &[])?;
        let file = server.play("file", &json!({ "path": "app.apk", "size": 9_000_000 }))?;
        let url = file["url"].as_str().unwrap_or_default();
        let apps = format!(
            "pushOptions: mqttAlarm, keepaliveTime: 60, kioskMode: true, applications: [ {{ pkg: com.x, name: X, \
             version: \"2\", url: \"{url}\" }} ]"
        );
        let vars = format!("project: /hmdm/, broker: \"mqtt://{broker}\"");
        let phases = [&*settle("linked"), &configure_and_live(&apps)];
        let scenario = scenario(server.port(), &vars, &phases);
        let started = Droves::new(ground.path())?.start("agents", &scenario, &[Headwind::key()], &[])?;
        let has_app = |device: &Value| {
            let apps = device["info"]["applications"].as_array();
            let is_there = |app: &Value| app["pkg"] == "com.x" && app["version"] == "2";
            device["info"]["kioskMode"] == true && apps.is_some_and(|apps| apps.iter().any(is_there))
        };
        until(&server, "all have it", |truth| of_each(truth, has_app) == PHONES);
        let run = started.interrupt()?;
        let truth = server.truth()?;
        is_well(&run, &truth);
        assert_eq!(truth["pushes"]["mqtt"], json!({ "sent": PHONES }), "{:#}", truth["pushes"]);
        assert_eq!(of_each(&truth, has_app), PHONES, "{truth:#}");
        // In three pieces each.
        assert_eq!(truth["files"]["app.apk"]["count"], 3 * PHONES, "{:#}", truth["files"]);
        Ok(())
    });
}

#[test]
fn agents_are_held_at_polls_by_a_server_that_is_not_ours() {
    alone("headwind_polls", |ground| {
        // Without a project agent and server sign a poll's path alike.
        let options = ["--strict-signatures", "--poll-signature", "either", "--polling-timeout", "10"];
        let server = Headwind::start(ground.path(), &options, &[])?;
        server.configure(&json!({ "id": 1, "name": "c", "pushOptions": "polling" }))?;
        let by_poll = configure_and_live("pushOptions: polling, requestUpdates: gps, brightness: 40");
        let scenario = scenario(server.port(), "project: /", &[&*settle("held"), &by_poll]);
        let started = Droves::new(ground.path())?.start("polls", &scenario, &[Headwind::key()], &[])?;
        until(&server, "all have heard, and were held again for their time", |truth| {
            let idle = truth["requests"]["GET /rest/notification/polling/{number}"]["500 idle"].as_u64();
            let has_lived = |device: &Value| {
                device["counts"]["config"] == 1
                    && device["locations"].as_u64() >= Some(1)
                    && device["shortest_pause"].is_number()
            };
            idle >= Some(PHONES) && of_each(truth, has_lived) == PHONES
        });
        let run = started.interrupt()?;
        let truth = server.truth()?;
        is_well(&run, &truth);
        assert_eq!(truth["pushes"]["poll"]["sent"], PHONES, "{:#}", truth["pushes"]);
        let polls = &truth["requests"]["GET /rest/notification/polling/{number}"];
        assert!(polls["500 idle"].as_u64() >= Some(PHONES), "a poll ends by itself: {polls:#}");
        assert_eq!(truth["poll_signatures"]["agent"], truth["poll_signatures"]["server"], "{truth:#}");
        assert_eq!(of_each(&truth, |device| device["counts"]["config"] == 1), PHONES, "{truth:#}");
        assert_eq!(of_each(&truth, |device| device["locations"].as_u64() >= Some(1)), PHONES, "{truth:#}");
        assert_eq!(of_each(&truth, |device| device["shortest_pause"].as_f64() >= Some(4.9)), PHONES, "{truth:#}");
        Ok(())
    });
}

#[test]
fn agents_go_by_another_number_and_to_another_place() {
    alone("headwind_moves", |ground| {
        let mosquitto = Headwind::broker(ground.path())?;
        let (broker, also) = (format!("127.0.0.1:{}", mosquitto.port()), free_port()?.to_string());
        let options = ["--project", "/hmdm", "--mqtt", &broker, "--also-port", &also];
        let server = Headwind::start(ground.path(), &options, &[])?;
        let vars = format!("project: /hmdm/, broker: \"mqtt://{broker}\"");
        let scenario = scenario(server.port(), &vars, &[LIVE]);
        let started = Droves::new(ground.path())?.start("moves", &scenario, &[Headwind::key()], &[])?;
        assert!(wait_until(WAIT_MAX, || mosquitto.logged("Sending SUBACK to d") as u64 == PHONES), "not all subscribe");
        server.play("number", &json!({ "number": "d0", "new": "n0", "push": true }))?;
        until(&server, "another number", |truth| truth["devices"]["n0"]["info"]["deviceId"] == "n0");
        assert!(wait_until(WAIT_MAX, || mosquitto.logged("Sending SUBACK to n0") == 1), "it subscribes as that");
        let url = format!("http://127.0.0.1:{also}/hmdm");
        let moved = json!({ "id": 1, "name": "c", "pushOptions": "mqttAlarm", "newServerUrl": url });
        let settled = server.truth()?;
        server.configure(&moved)?;
        until(&server, "another place", |truth| have_reported(truth, &settled));
        assert!(server.truth()?["ports"]["also"].as_u64() >= Some(4 * PHONES));
        server.play("refuse", &json!({ "port": "first", "how": "503" }))?;
        // What is new reaches them there, and their reports come from there.
        let settled = server.truth()?;
        let new = json!({ "id": 1, "name": "c", "pushOptions": "mqttAlarm", "brightness": 4 });
        server.configure_by(also.parse().unwrap(), &new)?;
        until(&server, "what is new there", |truth| have_reported(truth, &settled));
        let run = started.interrupt()?;
        let truth = server.truth()?;
        assert_eq!((run.code, &truth["broken"]["total"]), (105, &json!(0)), "{:#}", truth["broken"]);
        assert_eq!(run.summary["failures"], json!([]));
        Ok(())
    });
}

/// Whether every device has reported since then.
fn have_reported(truth: &Value, since: &Value) -> bool {
    let reports = |truth: &Value, number: &str| truth["devices"][number]["counts"]["info"].as_u64();
    let devices = truth["devices"].as_object();
    devices.is_some_and(|all| all.keys().all(|number| reports(truth, number) > reports(since, number)))
}

const LEAVE: &str =
    "  - name: leave\n    unenroll: { who: leavers, arrivals: at_once }\n    until: { done: 100%, within: 10m }\n";
const AGAIN: &str =
    "  - name: again\n    enroll: { who: leavers, arrivals: at_once }\n    until: { enrolled: 100%, within: 10m }\n";

/// Nothing but FCM tells the devices: there is no broker, and no poll is held.
#[test]
fn agents_are_woken_by_googles_own_library() {
    alone("headwind_fcm", |ground| {
        // It stands for the server, which can be started only when FCM is there.
        let relay = Relay::start()?;
        let port = relay.url().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
        let droves = Droves::new(ground.path())?;
        let woken = configure("woken", "pushOptions: null, brightness: 40");
        let gone = configure("gone", "pushOptions: null, brightness: 50");
        let last = configure_and_live("pushOptions: null, brightness: 60");
        let phases = [&*settle("settled"), &woken, LEAVE, &gone, AGAIN, &settle("back"), &last];
        let vars = "project: /hmdm/, firebase_project: fleet-1";
        let mut started = droves.start("fcm", &scenario(port, vars, &phases), &[Headwind::key()], &[])?;
        started.ready()?;
        let told = started.told()?["fcm"].clone();
        let key = told["key_file"].as_str().unwrap_or_default().to_owned();
        let (proxy, trusted) = (droves.proxy(), droves.trusted());
        // Its library finds FCM by the name that it has; where tokens are granted, the key file says.
        let env = [
            ("HTTPS_PROXY", &*proxy),
            ("NO_PROXY", "127.0.0.1,localhost"),
            ("REQUESTS_CA_BUNDLE", &*trusted.to_string_lossy()),
        ];
        let options = ["--project", "/hmdm", "--fcm-key", &key, "--fcm-only"];
        let server = Headwind::start(ground.path(), &options, &env)?;
        server.configure(&json!({ "id": 1, "name": "c", "pushOptions": null }))?;
        relay.lead_to(server.port());
        // Each message has the configuration fetched: three by those that stayed, two by the others, and what enrolls is given it.
        let gets = |count: u64| move |device: &Value| device["counts"]["config"] == count;
        let fetched = |truth: &Value| (of_each(truth, gets(3)), of_each(truth, gets(2)));
        until(&server, "all have heard all", |truth| fetched(truth) == (PHONES - LEAVERS, LEAVERS));
        let run = started.interrupt()?;
        let truth = server.truth()?;
        is_well(&run, &truth);
        let fcm = &truth["pushes"]["fcm"];
        assert_eq!(
            (&fcm["sent"], &fcm["unregistered"]),
            (&json!(3 * PHONES - LEAVERS), &json!(LEAVERS)),
            "{:#}",
            truth["pushes"]
        );
        for silent in ["mqtt", "row", "poll"] {
            assert_eq!(truth["pushes"][silent], json!({}), "{:#}", truth["pushes"]);
        }
        let tokens: std::collections::BTreeSet<&str> =
            truth["devices"].as_object().unwrap().values().filter_map(|device| device["custom1"].as_str()).collect();
        assert_eq!(tokens.len() as u64, PHONES, "{truth:#}");
        let rotated = |device: &Value| device["custom1_before"].as_array().is_some_and(|before| before.len() == 1);
        assert_eq!(of_each(&truth, rotated), LEAVERS, "{truth:#}");
        let service = &run.summary["push"]["services"]["fcm"];
        assert_eq!((&service["accepted"], &service["woken"]), (&fcm["sent"], &fcm["sent"]), "{service:#}");
        assert_eq!(service["refused"], json!({ "404": LEAVERS }), "{service:#}");
        assert_eq!(fetched(&truth), (PHONES - LEAVERS, LEAVERS), "{truth:#}");
        Ok(())
    });
}
