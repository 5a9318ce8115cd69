//! System calls of one request more on an open connection, by strace.

use crate::apart::ask_by;
use crate::bare::Bare;
use crate::fleet;
use crate::harness::{Ground, Row, begins};
use droves_wire::ca::Authority;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Command;

/// Requests of a session, few and many: what else is called is the same in both.
const REQUESTS: [u32; 2] = [3, 43];
const SECONDS: u32 = 3;
const SESSIONS: u32 = 150;

/// What a process of its own is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    scenario: PathBuf,
    fleet: PathBuf,
    port: u16,
    authority: (String, String),
    requests: u32,
}

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    if Command::new("strace").arg("--version").output().is_err() {
        begins("system calls are left out: no strace");
        return Vec::new();
    }
    let camp = &ground.camp;
    let dir = camp.path().join("calls");
    std::fs::create_dir(&dir).unwrap();
    let fleet = format!("phones: {{ platform: ios, count: {SESSIONS}, {} }}", fleet::QUICK);
    let rate = SESSIONS / SECONDS;
    let phase = format!("  - check_in: {{ who: all, arrivals: {{ rate: {rate}/s }} }}\n    for: {SECONDS}s\n");
    let plan = camp.plan_in(&dir, ground.sink.port, &fleet, &phase);
    let folder = dir.join("fleet");
    camp.mint_in(&folder, &plan, true);
    let calls = |what: &str, requests: u32| {
        ground.sink.order(requests - 1, 0);
        let counted = dir.join("strace");
        let order = Order {
            scenario: dir.join(fleet::FILE),
            fleet: folder.clone(),
            port: ground.sink.port,
            authority: (camp.authority.certificate_pem(), camp.authority.key_pem().unwrap()),
            requests,
        };
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-o"]).arg(&counted).arg(std::env::current_exe().unwrap());
        let [sessions] = ask_by(strace, what, &order)[..] else { panic!("{what} says how many sessions") };
        total(&std::fs::read_to_string(&counted).unwrap()) / sessions
    };
    let each = |what: &str| {
        let [few, many] = REQUESTS.map(|requests| calls(what, requests));
        (many - few) / f64::from(REQUESTS[1] - REQUESTS[0])
    };
    let (ours, floor) = (each("calls of ours"), each("calls of bare"));
    ground.sink.order(0, 0);
    // Two are the least: one write, one read.
    vec![Row::new("system calls of a request more, to the bare client", "", (ours, floor), 2.5 / 2.08)]
}

/// The calls of all kinds in strace's table: its fourth column.
fn total(table: &str) -> f64 {
    let calls = |line: &str| line.split_whitespace().nth(3)?.parse::<f64>().ok();
    table.lines().filter(|line| !line.ends_with(" total")).filter_map(calls).sum()
}

/// Ours; how many sessions there were.
pub(crate) fn ours(order: &Order) -> Vec<f64> {
    let text = std::fs::read_to_string(&order.scenario).unwrap();
    let plan = std::sync::Arc::new(fleet::plan(order.scenario.parent().unwrap(), &text));
    let run = fleet::run(&plan, Some(&order.fleet), |_| ());
    vec![run.finished.folds.counts.sessions_started as f64]
}

/// The bare client's.
pub(crate) fn bare(order: &Order) -> Vec<f64> {
    let (certificate, key) = &order.authority;
    let authority = Authority::from_pem(certificate, key).unwrap();
    let bare = Bare::new(order.port, &fleet::shown_by(&authority, true));
    bare.session_us(SESSIONS / SECONDS, SECONDS, order.requests);
    vec![f64::from(SESSIONS)]
}
