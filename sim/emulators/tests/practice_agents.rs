//! The practice server as Android devices with an agent of their own meet it, and their administrator: by programs that are not
//! ours but for their plot (`tests/peers/mqtt`): paho's client of MQTT, Python's own HTTP, and signatures by its own digests.
#![expect(clippy::unwrap_used, reason = "tests")]

mod left_out;

use droves_emulators::practice::agents::Settings;
use droves_emulators::practice::{Config, Faults, Practice, windows};
use droves_facts::{Dice, Dur, Limits, PopulationIx};
use droves_net::clock::RunClock;
use droves_scenario::plan::{Fault, FaultKind, ServerFault, Strikes};
use left_out::{Stop, judge};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A server at the root that holds polls for longer than any case takes.
fn settings() -> Settings {
    Settings { project: String::new(), poll_wait: Dur::secs(600), ..Settings::default() }
}

#[test]
fn a_push_comes_once_in_the_quality_that_was_asked_for() {
    case("push", settings(), &[]);
}

#[test]
fn who_has_not_the_password_is_refused_with_code_5() {
    case("password", settings(), &[]);
}

#[test]
fn a_session_keeps_what_is_pushed_while_its_device_is_away() {
    case("session", Settings { says_session: true, ..settings() }, &[]);
}

#[test]
fn a_session_is_kept_also_where_the_broker_does_not_say_so() {
    case("session", settings(), &[]);
}

#[test]
fn of_two_clients_with_one_id_the_later_one_has_the_line() {
    case("takeover", settings(), &[]);
}

#[test]
fn wildcards_read_everything() {
    case("wildcards", settings(), &[]);
}

#[test]
fn wildcards_are_refused_by_a_server_that_knows_better() {
    case("wildcards", Settings { open_topics: false, ..settings() }, &[]);
}

#[test]
fn who_pings_stays_and_who_is_silent_is_cut_off() {
    case("keep_alive", settings(), &[]);
}

#[test]
fn messages_are_delayed_for_the_whole_fleet_at_once() {
    case("delay", Settings { message_delay: Dur::ms(300), ..settings() }, &[]);
}

#[test]
fn what_is_no_mqtt_ends_its_own_connection() {
    case("rubbish", settings(), &[]);
}

#[test]
fn a_device_is_configured_and_heard_of() {
    case("sync", settings(), &[]);
}

#[test]
fn strangers_are_let_in_by_a_configuration_only() {
    case("strangers", Settings { on_demand: false, ..settings() }, &[]);
}

#[test]
fn signatures_are_looked_at_where_the_real_server_does() {
    case("secured", Settings { is_secure: true, ..settings() }, &[]);
}

#[test]
fn a_server_may_be_below_a_path() {
    case("project", Settings { project: "hmdm".to_owned(), is_secure: true, ..settings() }, &[]);
}

#[test]
fn polls_are_held_until_there_is_something_to_say() {
    case("polls", settings(), &[]);
}

#[test]
fn polls_end_after_their_time() {
    case("idle", Settings { poll_wait: Dur::secs(1), ..settings() }, &[]);
}

#[test]
fn a_push_goes_both_ways() {
    case("both_ways", settings(), &[]);
}

#[test]
fn a_configuration_that_changes_is_known_to_have_arrived_by_a_report() {
    case("configurations", settings(), &[]);
}

#[test]
fn a_device_that_is_to_go_by_another_number_hears_of_it() {
    case("rename", settings(), &[]);
}

#[test]
fn files_have_the_same_bytes_however_they_are_fetched() {
    case("files", settings(), &[]);
}

#[test]
fn logs_and_details_are_taken() {
    case("plugins", settings(), &[]);
}

#[test]
fn what_goes_wrong_on_order_goes_wrong() {
    let faults = [
        ("sign", ServerFault::WrongSignature),
        ("lose", ServerFault::LoseCommand),
        ("forget", ServerFault::ForgetPush),
        ("repeat", ServerFault::RepeatCommand),
        ("wrong", ServerFault::MisdeliverCommand),
        ("error", ServerFault::Answer(500)),
    ];
    case("failing", settings(), &faults);
}

fn case(name: &str, settings: Settings, faults: &[(&str, ServerFault)]) {
    judge(&format!("agents-{name}"), play(name, settings, faults));
}

/// Starts a server that does this wrong with the devices of these numbers, and the program.
fn play(name: &str, settings: Settings, faults: &[(&str, ServerFault)]) -> Result<(), Stop> {
    let python = python()?;
    let loopback = ([127, 0, 0, 1], 0).into();
    let told = json!({ "says_session": settings.says_session, "open_topics": settings.open_topics, "message_delay_s": settings.message_delay.as_secs_f64() });
    let ordered = |(n, (_, fault)): (usize, &(&str, ServerFault))| Fault {
        what: FaultKind::Server(*fault),
        strikes: Strikes::Share(1.0),
        who: Some(vec![PopulationIx(n as u32)]),
        during: None,
        after: Dur::ZERO,
        length: None,
    };
    let ordered: Vec<Fault> = faults.iter().enumerate().map(ordered).collect();
    let practice = Practice::start(Config {
        listen: loopback,
        url: None,
        windows_listen: loopback,
        windows_url: None,
        windows: windows::Settings::default(),
        agents_listen: loopback,
        agents: settings,
        push: None,
        channels: None,
        messages: None,
        android: None,
        faults: Faults::new(&ordered, Dice::new(1)),
        token: None,
        clock: RunClock::start(),
        limits: Limits::default(),
    });
    let practice = practice.unwrap();
    let populations = faults.iter().enumerate().map(|(n, (number, _))| ((*number).to_owned(), PopulationIx(n as u32)));
    practice.introduce(populations.collect());
    let mut told = told;
    told["url"] = practice.url().into();
    told["mqtt"] = practice.mqtt().to_string().into();
    told["token"] = practice.token().into();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/mqtt/dpc.py");
    let mut command = Command::new(python);
    command.arg(program).arg(name).env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(told.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", practice.truth());
    practice.stop();
    Ok(())
}

/// Python with paho, as `cargo xtask peers` installs it.
fn python() -> Result<PathBuf, Stop> {
    let peers = std::env::var_os("DROVES_PEERS").map(PathBuf::from);
    let built = || Some(std::env::current_exe().ok()?.parent()?.parent()?.parent()?.join("peers"));
    let python = peers.or_else(built).map(|peers| peers.join("python/mqtt/bin/python"));
    let left_out = || Stop::LeftOut("no Python with paho: `cargo xtask peers` makes it".to_owned());
    python.filter(|python| python.is_file()).ok_or_else(left_out)
}
