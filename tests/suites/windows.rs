//! Our Windows devices against the independent server of `tests/peers/windows`, which judges every message by rules that it
//! has from Microsoft's documents: they enroll in both ways, prove who they are in all of them, are woken through the
//! emulated WNS by somebody else's sender, do what its queue says, and leave or are let go.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Droves, Error, Ground, Started, WindowsServer, case, wait_until, wns_send};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const COUNT: usize = 4;
const WAIT_MAX: Duration = Duration::from_secs(120);
/// No device connects by itself while a case runs.
const NO_POLL: &str = r#"{"NumberOfRemainingScheduledRetries":0,"IntervalForRemainingScheduledRetries":1440}"#;
const CAMERA: &str = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera";
const CORTANA: &str = "./Device/Vendor/MSFT/Policy/Config/Experience/AllowCortana";

/// What each device is asked, with the status that Windows gives and, of a Get, the result; two commands are done together
/// or not at all.
fn asked() -> Vec<(Value, u16, Option<&'static str>)> {
    let data = |cmd: &str, uri: &str, data: &str| json!({ "cmd": cmd, "uri": uri, "data": data, "format": "int" });
    let bare = |cmd: &str, uri: &str| json!({ "cmd": cmd, "uri": uri });
    let atomic = |second: Value| json!({ "cmd": "Atomic", "commands": [data("Replace", CORTANA, "0"), second] });
    vec![
        (bare("Get", "./DevDetail/SwV"), 200, Some("10.0.")),
        (bare("Get", "./DevInfo/DmV"), 200, Some("1.3")),
        (bare("Get", CAMERA), 404, None),
        (data("Add", CAMERA, "0"), 200, None),
        (data("Add", CAMERA, "1"), 418, None),
        (bare("Get", CAMERA), 200, Some("0")),
        (data("Replace", CAMERA, "1"), 200, None),
        (bare("Get", CAMERA), 200, Some("1")),
        (atomic(data("Replace", CAMERA, "0")), 200, None),
        (bare("Get", CAMERA), 200, Some("0")),
        (bare("Delete", CAMERA), 200, None),
        (bare("Get", CAMERA), 404, None),
        (bare("Exec", "./Device/Vendor/MSFT/Nothing/Here"), 404, None),
    ]
}

fn scenario(server: &WindowsServer, profile: &str, phases: &str) -> String {
    format!(
        "droves: 1\ntarget:\n  server: {profile}\n  url: {}\n  tls: {{ ca: {} }}\n  vars: {{ admin: \"{}\", password: droves }}\n\
         fleet:\n  seed: 7\n  keys: {{ pool: 8 }}\n  populations:\n    pcs: {{ platform: windows, count: {COUNT}, \
         behaviour: [ {{ slow: {{ factor: 0.02 }} }} ], wake: {{ median: 50ms, sigma: 0.3 }} }}\n\
         bounds: {{ lag_max: 60s }}\nphases:\n  - name: enroll\n    enroll: {{ who: all, arrivals: {{ rate: 10/s }} }}\n    \
         until: {{ enrolled: 100%, within: 10m }}\n{phases}",
        server.url(),
        server.ca(),
        server.admin(),
    )
}

/// Waits until the server has a device for each of ours, in this state.
fn devices(server: &WindowsServer, state: &str, holds: impl Fn(&Value) -> bool) -> Result<Vec<String>, Error> {
    let all = |devices: &[Value]| devices.len() == COUNT && devices.iter().all(|it| it["state"] == *state && holds(it));
    wait_until(WAIT_MAX, || server.devices().is_ok_and(|devices| all(&devices)));
    let devices = server.devices()?;
    assert!(all(&devices), "not all {state}: {devices:#?}");
    Ok(devices.iter().map(|device| device["device_id"].as_str().unwrap_or_default().to_owned()).collect())
}

/// Waits until every one of these commands has its status, and holds each against what Windows does.
fn answered(server: &WindowsServer, device: &str, numbers: &[Value]) -> Result<(), Error> {
    let is_answered = |answer: &Value| answer["status"].as_array().is_some_and(|codes| !codes.is_empty());
    let answers = || -> Result<Vec<Value>, Error> {
        let all = server.answers(device)?;
        Ok(numbers.iter().filter_map(|number| all.iter().find(|answer| answer["id"] == *number).cloned()).collect())
    };
    wait_until(WAIT_MAX, || answers().is_ok_and(|answers| answers.iter().all(is_answered)));
    for (answer, (command, status, result)) in answers()?.iter().zip(asked()) {
        assert_eq!(answer["status"], json!([status]), "{command} {answer:#}");
        let found = answer["results"][0]["data"].as_str();
        assert_eq!(found.is_some(), result.is_some(), "{command} {answer:#}");
        assert!(found.zip(result).is_none_or(|(found, result)| found.starts_with(result)), "{command} {answer:#}");
    }
    Ok(())
}

/// The data of a node in a believed tree.
fn believed<'a>(tree: &'a Value, uri: &str) -> Option<&'a str> {
    tree[uri.trim_start_matches("./Device/").to_lowercase()]["data"].as_str()
}

/// That the server has nothing to say against our devices, nor against itself.
fn is_content(server: &WindowsServer) -> Result<(), Error> {
    assert_eq!(server.violations()?, Vec::<Value>::new());
    assert_eq!(server.own_violations()?, Vec::<Value>::new());
    server.judge_recorded()
}

/// Devices enroll, are asked, are woken by somebody else's sender, do what they are asked, and are let go in the same way.
fn are_managed(ground: &Ground, options: &[&str], profile: &str) -> Result<(), Error> {
    let fixed = ["--password", "droves", "--poll", NO_POLL, "--pfn", "Droves.Mdm_8wekyb3d8bbwe"];
    let server = WindowsServer::start(ground.path(), &[&fixed, options].concat())?;
    // The first session sets what the channel is opened for. Once there is one a second follows by itself, which reads its
    // URL; a third would meet commands before the push that is for them.
    let started =
        Droves::new(ground.path())?.start("managed", &scenario(&server, profile, "  - wait: 10m\n"), &[], &[])?;
    devices(&server, "enrolled", |device| device["channel"].as_str().is_some_and(|url| url.starts_with("https://")))?;
    let commands: Vec<Value> = asked().into_iter().map(|(command, _, _)| command).collect();
    let all = devices(&server, "enrolled", |_| true)?;
    let numbers = all.iter().map(|device| server.queue(device, &json!(commands))).collect::<Result<Vec<_>, _>>()?;
    wake(&server, &started)?;
    for (device, numbers) in all.iter().zip(&numbers) {
        answered(&server, device, numbers)?;
        let tree = server.tree(device)?;
        assert_eq!((believed(&tree, CAMERA), believed(&tree, CORTANA)), (None, Some("0")), "{tree:#}");
        server.let_go(device)?;
    }
    wake(&server, &started)?;
    devices(&server, "unenrolled", |_| true)?;
    let run = started.interrupt()?;
    run.adds_up();
    assert_eq!(run.number("push.services.wns.accepted"), 2 * COUNT as u64, "{:#}", run.summary["push"]);
    assert_eq!(run.number("push.services.wns.woken"), 2 * COUNT as u64, "{:#}", run.summary["push"]);
    is_content(&server)
}

/// Has every device pushed, at the channel of which the server knows.
fn wake(server: &WindowsServer, started: &Started) -> Result<(), Error> {
    let told = started.told()?;
    let (wns, ca) = (told["wns"].as_str().unwrap_or_default(), told["push_ca"].as_str().unwrap_or_default());
    let channels: Vec<String> =
        server.devices()?.iter().filter_map(|device| device["channel"].as_str().map(str::to_owned)).collect();
    let port = wns.rsplit(':').next().unwrap_or_default();
    let said = wns_send(&format!("https://localhost:{port}/accesstoken.srf"), Path::new(ca), &channels)?;
    assert_eq!(said, vec![""; COUNT]);
    Ok(())
}

#[test]
fn devices_that_show_their_certificates_are_managed() {
    case("windows_mtls", |ground| are_managed(ground, &["--auth", "mtls"], "windows-peer"));
}

#[test]
fn devices_that_answer_a_challenge_are_managed() {
    case("windows_md5", |ground| are_managed(ground, &["--auth", "md5"], "windows-peer"));
}

#[test]
fn devices_that_say_their_passwords_are_managed() {
    case("windows_basic", |ground| are_managed(ground, &["--auth", "basic", "--auth-once"], "windows-peer"));
}

#[test]
fn devices_that_sign_their_messages_are_managed() {
    case("windows_signed", |ground| are_managed(ground, &["--auth", "signed"], "windows-peer"));
}

#[test]
fn devices_whose_users_log_in_are_managed() {
    case("windows_federated", |ground| {
        // The profile that is shipped, but for how users prove who they are.
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/servers/windows-peer.yaml");
        let profile = std::fs::read_to_string(shipped).unwrap();
        let federated = profile.replace("proof: { password: \"{{ vars.password }}\" }", "proof: login");
        assert_ne!(federated, profile);
        std::fs::write(ground.path().join("federated.yaml"), federated).unwrap();
        are_managed(ground, &["--policy", "Federated"], "federated.yaml")
    });
}

/// In messages of 2 KB at most, four commands in each: what is longer goes in pieces.
#[test]
fn devices_are_managed_in_small_messages() {
    case("windows_small", |ground| {
        let small = ["--batch", "4", "--max-msg-size", "2500", "--send-limit", "2500"];
        are_managed(ground, &small, "windows-peer")
    });
}

/// The program queues by the profile of this server, and the devices renew their certificates and leave by themselves.
#[test]
fn a_scenario_asks_and_devices_leave_by_themselves() {
    case("windows_scenario", |ground| {
        let server = WindowsServer::start(ground.path(), &["--password", "droves", "--poll", NO_POLL])?;
        let nodes = format!("{{ add: {CAMERA}, format: int, data: 0 }}, {{ get: {CAMERA} }}");
        let both = format!("{{ replace: {CAMERA}, format: int, data: 1 }}, {{ add: {CORTANA}, format: int, data: 0 }}");
        let phases = format!(
            "  - name: ask\n    command: {{ who: all, nodes: [ {nodes} ] }}\n    for: 5s\n\
             \x20 - name: ask for both\n    command: {{ who: all, nodes: [ {both} ], atomic: true }}\n    for: 5s\n\
             \x20 - name: connect\n    check_in: {{ who: all, arrivals: at_once }}\n    \
             until: {{ done: 100%, within: 10m }}\n\
             \x20 - name: renew\n    renew: {{ who: all }}\n    until: {{ done: 100%, within: 10m }}\n\
             \x20 - name: leave\n    unenroll: {{ who: all }}\n    until: {{ done: 100%, within: 10m }}\n"
        );
        let run = Droves::new(ground.path())?.run("asks", &scenario(&server, "windows-peer", &phases), &[], &[])?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        run.adds_up();
        assert_eq!(run.summary["operations"]["windows.renew"]["count"].as_u64(), Some(COUNT as u64));
        for device in devices(&server, "unenrolled", |_| true)? {
            let codes: Vec<Value> = server.answers(&device)?.iter().map(|answer| answer["status"].clone()).collect();
            assert_eq!(codes, [json!([200]), json!([200]), json!([200])], "{:#?}", server.answers(&device)?);
            let tree = server.tree(&device)?;
            assert_eq!((believed(&tree, CAMERA), believed(&tree, CORTANA)), (Some("1"), Some("0")), "{tree:#}");
        }
        is_content(&server)
    });
}
