//! Memory: slopes between two sizes, each in a process of its own, since what one measurement frees the next would use.

use crate::bare::Bare;
use crate::fleet::{self, Camp};
use crate::sink::Sink;
use crate::{Row, resident};
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a process of its own is told.
#[derive(Serialize, Deserialize)]
struct Order {
    scenario: String,
    fleet: PathBuf,
    dir: PathBuf,
    port: u16,
    authority: (String, String),
    few: u32,
    many: u32,
}

impl Order {
    /// Gives the order to this program once more, and reads the number that it prints.
    fn give(&self, what: &str) -> f64 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--memory", what, "--of", &serde_json::to_string(self).unwrap()])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse().unwrap_or_else(|_| panic!("--memory {what} said {text:?}"))
    }
}

/// What the process of its own does.
pub(crate) fn measure(what: &str, order: &str) {
    let order: Order = serde_json::from_str(order).unwrap();
    println!("{}", if what == "bare" { bare(&order) } else { ours(&order) });
}

/// Resident memory of an idle device that a run has opened from its fleet, with its certificate; to the certificate and
/// 112 bytes (record and wheel).
pub(crate) fn idle(camp: &Camp, sink: &Sink, devices: u32) -> Row {
    let (few, many) = (devices * 2, devices * 40);
    let mut looks = Vec::new();
    let mut certificate = 0.0;
    for (place, count) in [few, many].into_iter().enumerate() {
        let dir = camp.path().join(format!("idle-{place}"));
        std::fs::create_dir(&dir).unwrap();
        let plan =
            camp.plan_in(&dir, sink.port, &format!("idle: {{ platform: ios, count: {count} }}"), "  - wait: 2s\n");
        let fleet = dir.join("fleet");
        camp.mint_in(&fleet, &plan, true);
        let order = camp.order(&dir, fleet, sink.port, (0, 0));
        looks.push(order.give("ours"));
        let key = Key::generate_p256().unwrap();
        let name = "00008120-000FE6CB74C6560A";
        certificate = camp.authority.issue_identity(name, key.spki(), 1, fleet::now()).unwrap().len() as f64;
    }
    Row {
        name: "an idle enrolled device with its certificate, to both alone",
        unit: "B",
        ours: (looks[1] - looks[0]) / f64::from(many - few),
        floor: certificate + 112.0,
        target: 1.5,
    }
}

/// Resident memory of an open session after its first request, to one of the bare client.
pub(crate) fn open(camp: &Camp, sink: &mut Sink, (few, many): (u32, u32)) -> Row {
    let dir = camp.path().join("open");
    std::fs::create_dir(&dir).unwrap();
    let rate = 300;
    let phase = |who: &str, count: u32| {
        format!(
            "  - name: {who}\n    check_in: {{ who: {who}, arrivals: {{ rate: {rate}/s }} }}\n    for: {}s\n",
            count / rate + 8
        )
    };
    let fleet = format!(
        "few: {{ platform: ios, count: {few}, {0} }}\n    many: {{ platform: ios, count: {many}, {0} }}",
        fleet::QUICK
    );
    let plan = camp.plan_in(&dir, sink.port, &fleet, &[phase("few", few), phase("many", many)].concat());
    let folder = dir.join("fleet");
    camp.mint_in(&folder, &plan, true);
    // Every session has its first answer, a command, and waits for the second.
    sink.order(2, 600);
    let order = camp.order(&dir, folder, sink.port, (few, many));
    let row = Row {
        name: "an open session after a request, to the bare client",
        unit: "B",
        ours: order.give("ours"),
        floor: order.give("bare"),
        target: 1.1,
    };
    sink.order(0, 0);
    row
}

/// Runs the scenario. Where sessions are held, the slope between its two phases; else what is resident in the end.
fn ours(order: &Order) -> f64 {
    let plan = std::sync::Arc::new(fleet::plan(&order.dir, &order.scenario));
    let mut looks = [0.0; 2];
    let run = fleet::run(&plan, Some(&order.fleet), |look| {
        if let Some(phase) = look.phases.first() {
            looks[usize::from(phase.name == "many")] = resident();
        }
    });
    if order.many == 0 {
        return looks[0];
    }
    assert_eq!(run.finished.sessions_open, u64::from(order.few + order.many), "sessions open at the end");
    (looks[1] - looks[0]) / f64::from(order.many)
}

fn bare(order: &Order) -> f64 {
    let (certificate, key) = &order.authority;
    let authority = Authority::from_pem(certificate, key).unwrap();
    let key = Key::generate_p256().unwrap();
    let identity = authority.issue_identity("bare", key.spki(), 1, fleet::now()).unwrap();
    let bare = Bare::new(order.port, authority.certificate(), identity, key.private_key_der().unwrap());
    bare.open_session_bytes(order.few, order.many)
}

impl Camp {
    fn order(&self, dir: &std::path::Path, fleet: PathBuf, port: u16, (few, many): (u32, u32)) -> Order {
        Order {
            scenario: std::fs::read_to_string(dir.join("bench.yaml")).unwrap(),
            fleet,
            dir: dir.to_owned(),
            port,
            authority: (self.authority.certificate_pem(), self.authority.key_pem().unwrap()),
            few,
            many,
        }
    }
}
