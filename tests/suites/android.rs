//! Android's two ways: devices that Google manages, for a server in a process of its own and for the one inside the run; and
//! devices with an agent of their server's, which is heard over MQTT, by polls, and by a broker that is not ours.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{
    Call, Droves, Error, Ground, Mosquitto, Relay, Run, Running, Stall, Started, case, free_port, program, wait_until,
};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

static ALONE: Mutex<()> = Mutex::new(());

/// Two cores carry one of these cases at a time.
fn alone(name: &str, run: impl FnOnce(&Ground) -> Result<(), Error>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    case(name, run);
}

const WAIT_MAX: Duration = Duration::from_secs(180);
const QUICK: &str = "behaviour: [ { slow: { factor: 0.02 } } ]";
const CLONES: &str = "behaviour: [ { slow: { factor: 0.02 } }, { cloned: { share: 60% } } ]";
const ENROLL: &str = "  - name: enroll\n    enroll: { who: all, arrivals: { rate: 40/s } }\n    until: { enrolled: 100%, within: 10m }\n";

fn scenario(target: &str, fleet: &str, phases: &[&str]) -> String {
    format!(
        "droves: 1\ntarget: {{ server: practice{target} }}\nfleet:\n  seed: 7\n  populations:\n{fleet}\
         bounds: {{ lag_max: 60s }}\nphases:\n{ENROLL}{}",
        phases.concat()
    )
}

/// A phase that ends when everybody has done it. On 429 the server waits for over a minute.
fn command(name: &str, who: &str, what: &str) -> String {
    format!(
        "  - name: {name}\n    command: {{ who: {who}, {what}, deadline: 10m }}\n    until: {{ accepted: 100%, within: 10m }}\n"
    )
}

fn sum(value: &Value) -> u64 {
    value.as_object().map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum())
}

/// How often an operation was done, and that it never failed.
fn done(run: &Run, operation: &str) -> u64 {
    let of = &run.summary["operations"][operation];
    assert_eq!(of["failed"].as_u64().unwrap_or(0), 0, "{operation}: {:#}", run.summary["failures"]);
    of["count"].as_u64().unwrap_or(0)
}

/// What the server inside a run knew at its end.
fn truth_after(run: &Run) -> Value {
    serde_json::from_slice(&std::fs::read(run.folder.join("practice.json")).unwrap()).unwrap()
}

fn truth(port: u16) -> Result<Value, Error> {
    let answer = Call { method: "GET", path: "/_truth", headers: &[], body: &[] }.send(port)?;
    serde_json::from_slice(&answer.body).map_err(|_| Error::Answer(answer.text()))
}

/// The run ended well, and its ledger has nothing to say.
fn is_well(run: &Run) {
    assert_eq!(run.code, 0, "{:#} {:#}", run.summary["verdict"], run.summary["ledger"]);
    run.adds_up();
    for wrong in ["lost", "duplicated", "misdelivered", "late", "misstated", "undecided", "unknown"] {
        assert_eq!(run.number(&format!("ledger.{wrong}")), 0, "{:#}", run.summary["ledger"]);
    }
    assert_eq!((run.number("truth.differs"), run.number("truth.unavailable")), (0, 0), "{:#}", run.summary["truth"]);
}

const PHONES: u64 = 20;
const PROFILES: u64 = 5;
const STOLEN: u64 = 3;

/// The life of devices that Google manages, at a target with these keys beside.
fn managed(target: &str) -> String {
    let fleet = format!(
        "    phones: {{ platform: android, count: {PHONES}, mode: fully_managed, {CLONES} }}\n    \
         profiles: {{ platform: android, count: {PROFILES}, mode: work_profile, token: one_time, {QUICK} }}\n"
    );
    let policy = "policy: { cameraDisabled: true, statusReportingSettings: { softwareInfoEnabled: true } }";
    let phases = [
        command("lock", "{ phones: all }", "request: LOCK"),
        command("policy", "all", policy),
        command("stolen", &format!("{{ phones: {STOLEN} devices }}"), "request: WIPE"),
    ];
    scenario(target, &fleet, &phases.each_ref().map(String::as_str))
}

/// What the run says of them, and what the server says that heard of them by Google only.
fn lived(run: &Run, truth: &Value) {
    is_well(run);
    let all = PHONES + PROFILES;
    assert_eq!(run.number("devices.by_state.enrolled"), all - STOLEN, "{:#}", run.summary["devices"]);
    assert_eq!(run.number("devices.by_state.wiped"), STOLEN, "{:#}", run.summary["devices"]);
    let asked = PHONES + all + STOLEN;
    for hop in ["queued", "pushed", "delivered", "answered", "accepted"] {
        assert_eq!(run.number(&format!("fanout.{hop}")), asked, "{hop}: {:#}", run.summary["fanout"]);
        assert!(run.number(&format!("fanout.hops_us.{hop}.max")) > 0, "{hop}: {:#}", run.summary["fanout"]);
    }
    assert!(run.number("fanout.hops_us.notified.max") > 0, "{:#}", run.summary["fanout"]);
    let android = &truth["android"];
    assert_eq!((&android["enrolled"], &android["unenrolled"]), (&json!(all), &json!(STOLEN)), "{truth:#}");
    assert_eq!(truth["enrolled"]["devices"], all - STOLEN, "{truth:#}");
    let commands = |count: u64| json!({ "queued": count, "issued": count, "acknowledged": count });
    assert_eq!(truth["commands"], json!({ "LOCK": commands(PHONES), "WIPE": commands(STOLEN) }), "{truth:#}");
    let calls = &android["calls"];
    assert_eq!(calls["devices.issueCommand"]["200"], PHONES + STOLEN, "{calls:#}");
    // Each has a policy of its own then, beside one for each mode.
    assert_eq!(calls["devices.patch"]["200"], all, "{calls:#}");
    assert_eq!(calls["policies.patch"]["200"], all + 4, "{calls:#}");
    // One for the phones, and one for each profile.
    assert_eq!(calls["enrollmentTokens.create"]["200"], 1 + PROFILES, "{calls:#}");
    let told = &android["notifications"];
    assert_eq!(told["COMMAND"], json!({ "taken": PHONES + STOLEN }), "{told:#}");
    assert_eq!(told["ENROLLMENT"], json!({ "enrolled": all }), "{told:#}");
    // With the new policy at least: a report of before may go with it.
    assert!(told["STATUS_REPORT"]["taken"].as_u64() >= Some(all), "{told:#}");
    assert_eq!(told["STATUS_REPORT"]["unenrolled"], STOLEN, "{told:#}");
    let posted = &truth["requests"]["/android/pubsub"];
    assert_eq!(posted, &json!({ "200": done(run, "android.notification") }), "{truth:#}");
    assert_eq!(done(run, "android.google.enroll"), all);
    assert_eq!(run.summary["failures"], json!([]));
}

/// An EMM that is nothing but a client of Google's, and is refused by a quota for a while.
#[test]
fn devices_that_google_manages_are_known_to_a_server_elsewhere_by_google_alone() {
    alone("google", |ground| {
        // It stands for the server, which can be started only when Google is there.
        let relay = Relay::start()?;
        let target = format!(", url: \"{}\", android: {{ quota: {{ calls: 40, every: 3s }} }}", relay.url());
        let droves = Droves::new(ground.path())?;
        let mut started = droves.start("google", &managed(&target), &[("DROVES_PRACTICE_TOKEN", "secret")], &[])?;
        started.ready()?;
        let (_server, port) = emm(ground.path(), &relay, &started)?;
        let run = started.finish()?;
        let truth = truth(port)?;
        lived(&run, &truth);
        let refused: u64 =
            truth["android"]["calls"].as_object().unwrap().values().filter_map(|by| by["429"].as_u64()).sum();
        assert!(refused > 0, "{truth:#}");
        assert_eq!(run.number("google.quota_refused"), refused, "{:#}", run.summary["google"]);
        assert!(truth["android"]["queue"]["quota_waits"].as_u64() >= Some(1), "{truth:#}");
        // What waits for the quota was asked, and is not yet with Google.
        assert!(run.number("fanout.hops_us.pushed.max") > 50_000_000, "{:#}", run.summary["fanout"]);
        Ok(())
    });
}

/// The practice server alone, managing devices by the Google of this run.
fn emm(folder: &Path, relay: &Relay, started: &Started) -> Result<(Running, u16), Error> {
    let (droves, google) = (program("droves")?, started.told()?["google"].clone());
    let text = |key: &str| google[key].as_str().unwrap_or_default().to_owned();
    let (url, key) = (text("url"), text("key_file"));
    let command = |port: u16| {
        let mut command = Command::new(&droves);
        command.args(["practice", "--token", "secret", "--windows-port", "0", "--mqtt-port", "0"]);
        command.args(["--port", &port.to_string(), "--url", &relay.url(), "--google", &url, "--google-key", &key]);
        command.env_remove("RUST_LOG");
        command
    };
    let ready = |port: u16| {
        let Ok(truth) = truth(port) else { return false };
        // The browser and Google's notifications come back by the relay while it signs up.
        relay.lead_to(port);
        truth["android"]["ready"] == true
    };
    Running::serve("practice", folder, command, ready)
}

#[test]
fn a_run_that_still_asks_for_tokens_can_be_broken_off() {
    alone("tokens", |ground| {
        let fleet = "    phones: { platform: android, count: 600, token: one_time }\n";
        let scenario = scenario(", android: { quota: { calls: 20, every: 60s } }", fleet, &[]);
        let [ready, out, certs] = ["ready", "results", "certs"].map(|name| ground.path().join(name));
        let place = |path: &Path| path.to_string_lossy().into_owned();
        let flags = ["--headless", "--ready-file", &place(&ready), "--out", &place(&out), "--certs", &place(&certs)];
        let mut running = Droves::new(ground.path())?.begin(&["run"], "tokens", &scenario, &[], &flags)?;
        assert!(wait_until(WAIT_MAX, || ready.is_file()));
        Command::new("kill").args(["-INT", &running.pid().to_string()]).status().unwrap();
        // The tokens alone would take half an hour.
        assert!(wait_until(Duration::from_secs(120), || !running.is_alive()));
        assert_eq!(running.exit_code(), Some(105));
        Ok(())
    });
}

#[test]
fn devices_that_google_manages_live_in_two_processes() {
    alone("google_of_two", |ground| {
        let run = Droves::new(ground.path())?.run("google", &managed(""), &[], &["--processes", "2"])?;
        let truth = truth_after(&run);
        lived(&run, &truth);
        assert_eq!(truth["android"]["queue"]["quota_waits"], 0, "{truth:#}");
        Ok(())
    });
}

/// The ledger's trial, of a server that speaks to its devices through Google: what it lets fall for its quota is lost, and
/// nothing else. What it asks for again has a name of its own at Google, and so nobody of ours has queued it.
#[test]
fn an_emm_that_does_wrong_is_found_out() {
    alone("wrong", |ground| {
        let fleet = format!(
            "    phones: {{ platform: android, count: 30, {QUICK} }}\n    \
             tablets: {{ platform: android, count: 3, {QUICK} }}\n"
        );
        // What waits for the quota waits for over a minute.
        let many = "  - name: many\n    command: { who: phones, request: LOCK, deadline: 10s }\n    for: 13s\n";
        let faults = "faults: [ { server: repeat_command, during: twice }, { server: lose_on_quota, during: many } ]\n";
        // Between them a window of the quota goes by.
        let phases = [&command("twice", "tablets", "request: LOCK"), "  - wait: 7s\n", many, faults];
        let target = ", android: { quota: { calls: 13, every: 6s } }";
        let run = Droves::new(ground.path())?.run("wrong", &scenario(target, &fleet, &phases), &[], &[])?;
        run.adds_up();
        let (ledger, truth) = (&run.summary["ledger"], truth_after(&run));
        let lost = run.number("ledger.lost");
        assert!((1..30).contains(&lost), "{ledger:#}");
        assert_eq!((run.code, run.number("fanout.accepted")), (110, 33 - lost), "{:#}", run.summary["fanout"]);
        assert_eq!(run.number("ledger.foreign"), 3, "{ledger:#}");
        for nothing in ["duplicated", "misdelivered", "late", "undecided", "unknown"] {
            assert_eq!(run.number(&format!("ledger.{nothing}")), 0, "{ledger:#}");
        }
        // What was under way when the quota was used up, it forgot; what stood behind that waits for longer than its deadline.
        let (locks, waits) = (&truth["commands"]["LOCK"], &truth["pending"]);
        let forgotten = locks["lost"].as_u64().unwrap_or(0);
        assert!(forgotten > 0 && Some(lost - forgotten) == waits.as_u64(), "{truth:#}");
        assert_eq!(locks["acknowledged"], 33 - lost + 3, "{truth:#}");
        Ok(())
    });
}

const TABLETS: u64 = 20;

/// The life of devices with an agent of their server's, at a target with these keys beside.
fn agents(target: &str, phases: &[&str]) -> String {
    let fleet = format!("    tablets: {{ platform: android, count: {TABLETS}, managed_by: agent, {QUICK} }}\n");
    scenario(target, &fleet, phases)
}

/// Who is not yet subscribed hears nothing: links are opened right after enrolling.
const LINKED: &str = "  - wait: 10s\n";
const MESSAGE: &str =
    "  - name: message\n    command: { who: all, message: runApp, with: { pkg: com.x } }\n    for: 12s\n";

/// Each device enrolls, gets one configuration with that, and one for each of so many changes; reports with each.
fn configured(run: &Run, truth: &Value, changes: u64) {
    is_well(run);
    assert_eq!(run.number("devices.by_state.enrolled"), TABLETS);
    assert_eq!(run.number("fanout.accepted"), changes * TABLETS, "{:#}", run.summary["fanout"]);
    let agents = &truth["agents"];
    assert_eq!(agents["enrolled"], TABLETS, "{truth:#}");
    let requests = |path: &str| sum(&truth["requests"][path]);
    assert_eq!(requests("/rest/public/sync/configuration"), done(run, "android.config") + done(run, "android.enroll"));
    assert_eq!(requests("/rest/public/sync/info"), done(run, "android.report"), "{truth:#}");
    assert_eq!(requests("/files"), done(run, "android.download"), "{truth:#}");
    // What a device is reported to be after a change may be true of the one before too.
    assert!(done(run, "android.report") >= changes * TABLETS, "{truth:#}");
}

#[test]
fn agents_hear_over_mqtt() {
    alone("mqtt", |ground| {
        let change = command("change", "all", "configuration: { keepaliveTime: 120 }");
        let phases = [LINKED, &change, MESSAGE];
        let run = Droves::new(ground.path())?.run("mqtt", &agents("", &phases), &[], &[])?;
        let truth = truth_after(&run);
        configured(&run, &truth, 1);
        // Opened anew for another keep-alive.
        assert_eq!(done(&run, "android.link"), 2 * TABLETS);
        assert_eq!(truth["agents"]["mqtt"]["subscribed"], 2 * TABLETS, "{truth:#}");
        assert_eq!(truth["agents"]["mqtt"]["acknowledged"], 2 * TABLETS, "{truth:#}");
        let delivered = json!({ "queued": TABLETS, "delivered": TABLETS });
        assert_eq!(truth["commands"], json!({ "configUpdated": delivered, "runApp": delivered }), "{truth:#}");
        assert_eq!(run.number("push.received"), 2 * TABLETS);
        Ok(())
    });
}

#[test]
fn agents_hear_by_polls_once_they_are_told_to() {
    alone("polls", |ground| {
        let to_polls = command("to polls", "all", "configuration: { pushOptions: polling }");
        let by_poll =
            command("by poll", "all", "configuration: { pushOptions: polling, brightness: 40, requestUpdates: gps }");
        // The server ends a poll after a minute for which there is nothing.
        let phases = [LINKED, &to_polls, &by_poll, MESSAGE, "  - { name: idle, wait: 70s }\n"];
        let run = Droves::new(ground.path())?.run("polls", &agents("", &phases), &[], &[])?;
        let truth = truth_after(&run);
        configured(&run, &truth, 2);
        assert_eq!(done(&run, "android.link"), TABLETS);
        // Over MQTT came the first change and nothing after it. It comes once more by the first poll.
        assert_eq!(truth["agents"]["mqtt"]["acknowledged"], TABLETS, "{truth:#}");
        let configurations = json!({ "queued": 2 * TABLETS, "delivered": TABLETS, "polled": 2 * TABLETS });
        let messages = json!({ "queued": TABLETS, "polled": TABLETS });
        assert_eq!(truth["commands"], json!({ "configUpdated": configurations, "runApp": messages }), "{truth:#}");
        // Where they are is brought with each report of the last configuration.
        assert!(truth["agents"]["brought"].as_u64() >= Some(TABLETS), "{truth:#}");
        assert_eq!(sum(&truth["requests"]["/rest/plugins"]), done(&run, "android.logs"), "{truth:#}");
        let polls = &truth["requests"]["/rest/notification/polling"];
        assert!(polls["200"].as_u64() >= Some(2 * TABLETS), "{truth:#}");
        assert_eq!(polls["500"], TABLETS, "{truth:#}");
        assert_eq!(run.summary["operations"]["android.poll"]["failed"], 0, "{:#}", run.summary["operations"]);
        Ok(())
    });
}

/// Half of them have no link for twelve seconds at a time. That is their own: it is in the hops, and in no latency.
#[test]
fn agents_that_are_paused_hear_it_afterwards_and_it_is_not_the_servers_time() {
    alone("paused", |ground| {
        let behaviour = "[ { slow: { factor: 0.02 } }, { paused: { share: 50%, spell: 12s } } ]";
        let fleet = format!(
            "    tablets: {{ platform: android, count: {TABLETS}, managed_by: agent, behaviour: {behaviour} }}\n"
        );
        let settled = "  - wait: 15s\n";
        let change = command("change", "all", "configuration: { brightness: 40 }");
        let run = Droves::new(ground.path())?.run("paused", &scenario("", &fleet, &[settled, &change]), &[], &[])?;
        is_well(&run);
        assert_eq!(run.number("fanout.accepted"), TABLETS, "{:#}", run.summary["fanout"]);
        let (own, theirs) = (run.number("fanout.hops_us.pushed.max"), |operation: &str| {
            run.summary["operations"][operation]["response_us"]["p50"].as_u64().unwrap()
        });
        let theirs = theirs("android.config").max(theirs("android.report"));
        assert!(own > 3_000_000 && theirs < own / 2, "{own} {theirs}");
        Ok(())
    });
}

/// Upper-case hexadecimal SHA-1 of `hmdm` and the secret that all agents share with their server.
const PASSWORD: &str = "D54F553ED2EAC4DCF371B38366EBFA1B5973811A";

/// The server's own broker is not asked: what it would say, paho says to mosquitto. Then all are cut off, and it is said
/// while they are away.
#[test]
fn agents_hear_a_broker_that_is_not_ours_also_what_was_said_while_they_were_away() {
    alone("mosquitto", |ground| {
        let mut mosquitto = Mosquitto::start(ground.path(), PASSWORD)?;
        let relay = Relay::start()?;
        relay.lead_to(mosquitto.port());
        let target = format!(", vars: {{ broker: \"{}\" }}", relay.url().replace("http:", "mqtt:"));
        let live = command("live", "all", "configuration: { brightness: 40 }");
        let away = command("away", "all", "configuration: { brightness: 60 }");
        let scenario = agents(&target, &[&live, &away]);
        let mut started = Droves::new(ground.path())?.start("agents", &scenario, &[], &[])?;
        started.ready()?;
        let port = started.target_port()?;
        let numbers: Vec<String> = (0..TABLETS).map(|n| format!("d{n}")).collect();
        let queued = |count: u64| {
            let of = |truth: Value| truth["commands"]["configUpdated"]["queued"].as_u64();
            wait_until(WAIT_MAX, || truth(port).is_ok_and(|truth| of(truth) == Some(count)))
        };
        assert!(queued(TABLETS), "{:#}", truth(port)?);
        let all = TABLETS as usize;
        assert!(wait_until(WAIT_MAX, || mosquitto.logged("Sending SUBACK to d") == all), "not all subscribe");
        let configurations = |truth: &Value| truth["agents"]["configurations"].as_u64();
        assert_eq!(configurations(&truth(port)?), Some(TABLETS), "who has not heard does not ask");
        mosquitto.publisher(&numbers)?.configuration_is_new()?;

        assert!(queued(2 * TABLETS), "{:#}", truth(port)?);
        assert_eq!(configurations(&truth(port)?), Some(2 * TABLETS));
        // It stands for a moment only: devices give up on a connection that is not answered, and would be known twice.
        let publisher = mosquitto.publisher(&numbers)?;
        relay.stand(Some(Stall::AfterAccept));
        mosquitto.restart()?;
        publisher.configuration_is_new()?;
        assert_eq!(configurations(&truth(port)?), Some(2 * TABLETS), "nobody can have heard");
        relay.stand(None);
        let run = started.finish()?;
        let truth = truth_after(&run);
        configured(&run, &truth, 2);
        assert_eq!(configurations(&truth), Some(3 * TABLETS), "{truth:#}");
        // Its own broker has had nobody to tell.
        assert_eq!(truth["agents"]["mqtt"]["connected"], Value::Null, "{truth:#}");
        // Every session was new once, and then the one of before.
        let welcomed =
            |number: &String, is_known: u8| mosquitto.logged(&format!("Sending CONNACK to {number} ({is_known}, 0)"));
        let sessions: Vec<_> = numbers.iter().map(|number| (welcomed(number, 0), welcomed(number, 1))).collect();
        assert_eq!(sessions, vec![(1, 1); all]);
        // In the quality that was asked for: both are received, and let go.
        assert_eq!(mosquitto.logged("Received PUBREC from d"), 2 * all);
        assert_eq!(mosquitto.logged("Received PUBCOMP from d"), 2 * all);
        Ok(())
    });
}

#[test]
fn agents_that_a_broker_refuses_say_so_and_live_on_without_it() {
    alone("refused", |ground| {
        let mosquitto = Mosquitto::start(ground.path(), "another")?;
        let target = format!(", vars: {{ broker: \"mqtt://127.0.0.1:{}\" }}", mosquitto.port());
        let run = Droves::new(ground.path())?.run("refused", &agents(&target, &[LINKED]), &[], &[])?;
        run.adds_up();
        assert_eq!(run.number("devices.by_state.enrolled"), TABLETS);
        // Once: they don't try again for a quarter of an hour.
        assert_eq!(mosquitto.logged(" (0, 5)") as u64, TABLETS);
        let failures = run.summary["failures"].as_array().unwrap();
        let refused = failures.iter().find(|failure| failure["kind"] == "link_refused");
        assert_eq!(refused.map(|refused| &refused["count"]), Some(&json!(TABLETS)), "{failures:#?}");
        assert_eq!(truth_after(&run)["agents"]["reports"].as_u64(), Some(TABLETS));
        Ok(())
    });
}

/// Agents at the practice server, by its profile with this in place of that.
fn agents_with(ground: &Ground, of: &str, by: &str, phases: &[&str]) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/servers/practice.yaml");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let profile = shipped.replace(of, by);
    assert_ne!(profile, shipped);
    std::fs::write(ground.path().join("profile.yaml"), profile).unwrap();
    agents("", phases).replace("server: practice", "server: ./profile.yaml")
}

/// How often something failed in this way.
fn failures(run: &Run, kind: &str) -> u64 {
    let failures = run.summary["failures"].as_array().unwrap().iter().filter(|failure| failure["kind"] == kind);
    failures.filter_map(|failure| failure["count"].as_u64()).sum()
}

/// Whoever is given what is signed wrongly refuses it, and asks again.
#[test]
fn agents_that_look_at_signatures_take_what_is_signed_well_and_no_other() {
    alone("checked", |ground| {
        let checked = "dialect: headwind\n      checked: true";
        let scenario = agents_with(ground, "dialect: headwind", checked, &[]);
        let fault = "faults:\n  - { server: wrong_signature, nth: 3 }\n";
        let run = Droves::new(ground.path())?.run("checked", &(scenario + fault), &[], &[])?;
        assert_eq!(run.number("devices.by_state.enrolled"), TABLETS, "{:#}", run.summary["failures"]);
        assert_eq!(failures(&run, "wrong_signature"), 1, "{:#}", run.summary["failures"]);
        Ok(())
    });
}

/// At the first nobody listens.
#[test]
fn agents_get_along_by_their_second_url() {
    alone("second", |ground| {
        let second = "url: http://127.0.0.1:1/hmdm\n      second_url: /hmdm\n";
        let scenario = agents_with(ground, "url: /hmdm\n", second, &[LINKED]);
        let run = Droves::new(ground.path())?.run("second", &scenario, &[], &[])?;
        assert_eq!(run.number("devices.by_state.enrolled"), TABLETS, "{:#}", run.summary["failures"]);
        let reported = truth_after(&run)["agents"]["reports"].as_u64();
        assert_eq!(reported, Some(TABLETS));
        assert!(failures(&run, "connect_refused") >= 2 * TABLETS, "{:#}", run.summary["failures"]);
        Ok(())
    });
}

/// An app of three, of 5 MB each, in pieces of four: it is fetched once more, and not before a configuration asks for it.
#[test]
fn agents_lose_what_they_are_told_to_and_fetch_it_again() {
    alone("lost", |ground| {
        let uninstall = MESSAGE.replace("runApp, with: { pkg: com.x }", "uninstallApp, with: { pkg: com.hmdm.pager }");
        let change = command("change", "all", "configuration: { brightness: 40 }");
        let run = Droves::new(ground.path())?.run("lost", &agents("", &[LINKED, &uninstall, &change]), &[], &[])?;
        configured(&run, &truth_after(&run), 1);
        assert_eq!(done(&run, "android.download"), (3 + 1) * 2 * TABLETS, "{:#}", run.summary["operations"]);
        Ok(())
    });
}

/// The server is in a process of its own, so that the memory is the device's: its bytes are digested and not kept. While they
/// come, it hears of another configuration, and goes on with them where it was.
#[test]
fn an_app_of_two_gigabytes_deafens_nobody_and_is_not_kept() {
    alone("large", |ground| {
        let (program, broker) = (program("droves")?, free_port()?.to_string());
        let command = |port: u16| {
            let mut command = Command::new(&program);
            command.args(["practice", "--token", "secret", "--windows-port", "0", "--mqtt-port", &broker]);
            command.args(["--port", &port.to_string()]).env_remove("RUST_LOG");
            command
        };
        let (_server, port) = Running::serve("practice", ground.path(), command, |port| truth(port).is_ok())?;
        let target = format!(", url: \"http://127.0.0.1:{port}\", vars: {{ broker: \"mqtt://127.0.0.1:{broker}\" }}");
        let fleet = format!("    tablets: {{ platform: android, count: 1, managed_by: agent, {QUICK} }}\n");
        let url = format!("http://127.0.0.1:{port}/hmdm/files/large.apk?bytes={}", 2_u64 << 30);
        let app =
            format!("applications: [ {{ type: app, pkg: com.large, name: Large, version: \"1\", url: \"{url}\" }} ]");
        let began = format!(
            "  - name: began\n    command: {{ who: all, configuration: {{ {app} }}, deadline: 10m }}\n    for: 1s\n"
        );
        let what = format!("configuration: {{ {app}, brightness: 40 }}");
        let heard = self::command("heard", "all", &what);
        let scenario = scenario(&target, &fleet, &[LINKED, &began, &heard]);
        let droves = Droves::new(ground.path())?;
        let started = droves.start("large", &scenario, &[("DROVES_PRACTICE_TOKEN", "secret")], &[])?;
        let mut seen = Value::Null;
        let has_heard = wait_until(WAIT_MAX, || {
            seen = truth(port).unwrap_or_default();
            seen["agents"]["configurations"].as_u64() >= Some(3)
        });
        assert!(has_heard, "{seen:#}");
        // In pieces of 4 MB these are 512, beside a few of the stock.
        let fetched = sum(&seen["requests"]["/files"]);
        let run = started.finish()?;
        run.adds_up();
        assert!(fetched < 500, "all of it had come before: {fetched}");
        assert_eq!(run.number("fanout.accepted"), 1, "{:#}", run.summary["fanout"]);
        let downloads = done(&run, "android.download");
        assert!((512..530).contains(&downloads), "what had come is not fetched again: {downloads}");
        assert!(run.number("generator.rss_bytes_max") < 500 << 20, "{:#}", run.summary["generator"]);
        Ok(())
    });
}
