//! Google as it is played, driven by Google's own client libraries for Python, Go and Node, unchanged but for their endpoint
//! (`google`, `google-go` and `google-node` in `tests/peers`). The program is the EMM's server; its devices are played here,
//! on its word.
#![expect(clippy::unwrap_used, reason = "tests")]

mod left_out;

use droves_emulators::Delay;
use droves_emulators::google::{
    Account, Callers, Config, Departure, Enrollment, Fault, FaultOrder, Handle, Migration, Object, Order, Outcome,
    Quota, Refusal, Settings,
};
use droves_emulators::push::Strikes;
use droves_facts::{Dice, Dur, LaneIx, Limits};
use droves_net::clock::RunClock;
use droves_net::tls::Trust;
use droves_wire::keys::Key;
use left_out::{Stop, judge};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn every_method_answers_what_its_schema_allows() {
    case("management", Quota::DOCUMENTED);
}

#[test]
fn every_field_of_every_schema_is_taken_and_comes_back_as_it_was() {
    case("fields", Quota { requests_max: 100_000, ..Quota::PER_MINUTE });
}

#[test]
fn what_is_spelled_otherwise_is_answered_as_google_spells_it_and_what_it_does_not_know_is_refused() {
    case("canonical", Quota { requests_max: 100_000, ..Quota::PER_MINUTE });
}

#[test]
fn a_client_made_from_our_discovery_document_works_and_sends_its_batches_here() {
    case("discovery", Quota::DOCUMENTED);
}

#[test]
fn a_service_account_is_let_in_by_its_signature_and_nobody_else_is() {
    case("accounts", Quota::DOCUMENTED);
}

#[test]
fn a_quota_that_is_used_up_refuses_in_googles_words() {
    case("quota", Quota { requests_max: 5, ..Quota::PER_MINUTE });
}

#[test]
fn a_client_that_tries_again_gets_through_and_a_notification_may_come_twice_or_never() {
    case("faults", Quota::PER_MINUTE);
}

#[test]
fn pubsub_delivers_until_it_is_acknowledged() {
    case("pubsub", Quota::PER_MINUTE);
}

#[test]
fn every_type_of_notification_reaches_its_topic() {
    case("notifications", Quota::PER_MINUTE);
}

#[test]
fn what_agents_report_is_what_its_schema_allows() {
    case("agents", Quota::PER_MINUTE);
}

#[test]
fn pushes_show_a_token_that_googles_library_believes() {
    case("push", Quota::PER_MINUTE);
}

#[test]
fn grpc_does_what_rest_does() {
    case("grpc", Quota::PER_MINUTE);
}

#[test]
fn a_stream_brings_each_message_until_it_is_acknowledged() {
    case("streaming", Quota::PER_MINUTE);
}

#[test]
fn one_key_keeps_its_order_and_what_fails_too_often_is_put_away() {
    case("order", Quota::PER_MINUTE);
}

#[test]
fn a_stream_answers_pings_and_gives_back_what_it_held() {
    case("keepalive", Quota::PER_MINUTE);
}

#[test]
fn gos_library_makes_every_call_and_knows_every_field_of_the_answers() {
    go_case("management");
}

#[test]
fn gos_library_reads_refusals_those_on_order_among_them() {
    go_case("errors");
}

#[test]
fn gos_library_believes_a_pushs_token() {
    go_case("push");
}

#[test]
fn gos_library_hears_of_every_notification_by_a_stream() {
    go_case("pull");
}

#[test]
fn gos_library_takes_large_messages_by_a_stream() {
    go_case("large");
}

/// Four pings of the library, one in half a minute.
#[test]
fn a_stream_of_gos_library_stays_up_and_what_it_holds_does_not_come_again() {
    go_case("keepalive");
}

#[test]
fn pubsub_answers_as_googles_own_fake_does() {
    go_case("pstest");
}

#[test]
fn nodes_library_asks_again_by_itself_and_only_with_get() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/google-node/emm.js");
    let modules = peer("node/google-node/node_modules", "no modules of Google's for Node");
    let command = modules.map(|modules| {
        let mut command = Command::new("node");
        command.arg(program).env("NODE_PATH", modules);
        command
    });
    judge("google-node", command.map(|command| play(command, "management", Quota::PER_MINUTE)));
}

fn case(name: &str, quota: Quota) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/google/emm.py");
    let python = peer("python/google/bin/python", "no Python with Google's libraries");
    let command = python.map(|python| {
        let mut command = Command::new(python);
        command.arg(program).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    });
    judge(&format!("google-{name}"), command.map(|command| play(command, name, quota)));
}

fn go_case(name: &str) {
    let program = peer("bin/google-go", "no program with Google's libraries for Go");
    judge(&format!("google-go-{name}"), program.map(|program| play(Command::new(program), name, Quota::PER_MINUTE)));
}

/// Starts Google and the program, and plays its devices until it ends.
fn play(mut command: Command, name: &str, quota: Quota) {
    let key = Key::generate_rsa(2048).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (key_file, log) = (folder.path().join("key.json"), folder.path().join("log"));
    let settings = Settings {
        callers: Callers::Known,
        accounts: vec![account(Key::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap())],
        quota,
        devices_max: 500,
        dice: Dice::new(7),
        key: Key::generate_rsa(2048).unwrap(),
    };
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        url: None,
        settings,
        trust: Trust::system(),
        authorised: Vec::new(),
        clock: RunClock::start(),
        limits: Limits::default(),
    };
    let google = Handle::start(config, None).unwrap();
    std::fs::write(&key_file, account(key).key_file(google.url()).unwrap().to_string()).unwrap();
    command.arg(name).arg(google.url()).arg(&key_file);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for line in output.lines() {
        let asked: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let came = if asked["act"] == "fault" { order(&google, &asked) } else { act(&google, &asked) };
        // A program that has failed meanwhile is judged by its end.
        if writeln!(input, "{came}").is_err() {
            break;
        }
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{}", std::fs::read_to_string(&log).unwrap());
    google.stop();
}

fn account(key: Key) -> Account {
    let email = "emm@p1.iam.gserviceaccount.com".to_owned();
    Account { email, project: "p1".to_owned(), key_id: "k1".to_owned(), key }
}

/// One of Google's calls or notifications is to go wrong: the n-th of those that it is about.
fn order(google: &Handle, asked: &Value) -> Value {
    let fault = match asked["fault"].as_str().unwrap() {
        "quota" => Fault::Refuse(Refusal::Quota),
        "quota_as_internal" => Fault::Refuse(Refusal::QuotaAsInternal),
        "internal" => Fault::Refuse(Refusal::Internal),
        "unavailable" => Fault::Refuse(Refusal::Unavailable),
        "not_modified" => Fault::Refuse(Refusal::NotModified),
        "slow" => Fault::Slow(Delay::Fixed(Dur::ms(50))),
        "lose" => Fault::Lose,
        "repeat" => Fault::Repeat(Delay::None),
        other => panic!("{other}"),
    };
    let about = asked["about"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let nth = Strikes::Nth(asked["nth"].as_u64().unwrap());
    google.order(FaultOrder { about, ..FaultOrder::always(fault, nth) }).unwrap();
    json!({})
}

/// A device does what the program wants of it.
fn act(google: &Handle, asked: &Value) -> Value {
    let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
    let object = |field: &str| asked[field].as_object().cloned().unwrap_or_default();
    let name = text("device");
    google.with(|google, now| match asked["act"].as_str().unwrap() {
        "migrate" => {
            let (token, previous_dpc, hardware) =
                (text("token"), "com.example.dpc".to_owned(), hardware(text("serial")));
            let migration = Migration { token, previous_dpc, api_level: 35, hardware };
            json!({ "name": google.migrate(now, migration).unwrap().name })
        }
        "enroll" => {
            let hardware = hardware(text("serial"));
            let (management_mode, ownership) = ("DEVICE_OWNER", "COMPANY_OWNED");
            let enrollment = Enrollment { token: text("token"), management_mode, ownership, api_level: 35, hardware };
            match google.enroll(now, enrollment) {
                Ok(enrolled) => json!({ "name": enrolled.name, "policy": enrolled.policy }),
                Err(why) => json!({ "error": why.to_string() }),
            }
        }
        "ask" => {
            let lane = LaneIx(u32::try_from(asked["lane"].as_u64().unwrap()).unwrap());
            let ask = serde_json::from_value(asked["ask"].clone()).unwrap();
            match google.ask(now, lane, ask) {
                Ok(answer) => json!({ "answer": answer }),
                Err(status) => json!({ "status": status }),
            }
        }
        "struck" => json!(google.struck()),
        "provision" => json!({ "name": google.provision(object("info")) }),
        "report" => {
            let (version, _) = google.policy(now, &name).unwrap().unwrap();
            assert_eq!(version, asked["applied"].as_i64().unwrap());
            google.report(now, &name, version, object("report")).unwrap();
            json!({})
        }
        "order" => match google.order(now, &name).unwrap() {
            Order::Nothing => json!({}),
            Order::Command { operation, command } => json!({ "operation": operation, "command": command }),
            Order::Wipe => json!({ "wipe": true }),
        },
        "done" => {
            let outcome = match asked["failed"].as_str() {
                Some(why) => Outcome::Failed(why.to_owned().leak()),
                None => Outcome::Done(object("status")),
            };
            json!({ "ended": google.done(now, &text("operation"), outcome).unwrap() })
        }
        "log" => {
            google.log(now, &name, asked["events"].as_array().unwrap().clone()).unwrap();
            json!({})
        }
        "leave" => {
            google.leave(now, &name, Departure::Told).unwrap();
            json!({})
        }
        other => panic!("{other}"),
    })
}

fn hardware(serial: String) -> Object {
    let mut hardware = Object::new();
    hardware.insert("brand".to_owned(), "Droves".into());
    hardware.insert("serialNumber".to_owned(), serial.into());
    hardware
}

/// A program in the peers' folder, as `cargo xtask peers` makes it.
fn peer(path: &str, missing: &str) -> Result<PathBuf, Stop> {
    let peers = std::env::var_os("DROVES_PEERS").map(PathBuf::from);
    let built = || Some(std::env::current_exe().ok()?.parent()?.parent()?.parent()?.join("peers"));
    let program = peers.or_else(built).map(|peers| peers.join(path));
    let left_out = || Stop::LeftOut(format!("{missing}: `cargo xtask peers` makes it"));
    program.filter(|program| program.exists()).ok_or_else(left_out)
}
