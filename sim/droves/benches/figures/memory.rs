//! Memory: slopes between two sizes, each in a process of its own, since what one measurement frees the next would use.

use crate::apart;
use crate::bare::Bare;
use crate::fleet::{self, Camp};
use crate::harness::{Ground, Row, begins, cpu_s, resident};
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a process of its own is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    scenario: String,
    fleet: PathBuf,
    dir: PathBuf,
    port: u16,
    authority: (String, String),
    few: u32,
    many: u32,
}

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    begins("memory of devices with certificates, and of open sessions");
    let mut rows = idle(ground);
    rows.push(open(ground));
    rows
}

/// Resident memory of an idle device that a run has opened from its fleet, with its certificate, to the certificate and
/// 112 bytes (record and wheel); and how long that opening takes for a million.
fn idle(ground: &Ground) -> Vec<Row> {
    let Ground { scale, camp, sink } = ground;
    let (few, many) = scale.idle;
    let [small, large] = [few, many].map(|count| {
        let dir = camp.path().join(format!("idle-{count}"));
        std::fs::create_dir(&dir).unwrap();
        let plan =
            camp.plan_in(&dir, sink.port, &format!("idle: {{ platform: ios, count: {count} }}"), "  - wait: 2s\n");
        let fleet = dir.join("fleet");
        camp.mint_in(&fleet, &plan, true);
        let figures = apart::ask("ours", &camp.order(&dir, fleet.clone(), sink.port, (0, 0)));
        std::fs::remove_dir_all(fleet).unwrap();
        (figures[0], figures[1])
    });
    let key = Key::generate_p256().unwrap();
    let name = "00008120-000FE6CB74C6560A";
    let certificate = camp.authority.issue_identity(name, key.spki(), 1, fleet::now()).unwrap().len() as f64;
    let each = f64::from(many - few);
    vec![
        Row::new(
            "an idle enrolled device with its certificate, to both alone",
            "B",
            ((large.0 - small.0) / each, certificate + 112.0),
            1.5,
        ),
        Row::new(
            "a fleet opened from the disk, a million devices, to a second",
            "s",
            ((large.1 - small.1) / each * 1e6, 1.0),
            1.0,
        ),
    ]
}

/// Resident memory of an open session after its first request, to one of the bare client.
fn open(ground: &Ground) -> Row {
    let Ground { scale, camp, sink } = ground;
    let (few, many) = scale.held;
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
    let figures = (apart::ask("ours", &order)[0], apart::ask("bare", &order)[0]);
    sink.order(0, 0);
    Row::new("an open session after a request, to the bare client", "B", figures, 1.1)
}

/// Runs the scenario. Where sessions are held, the slope between its two phases; else what is resident in the end, and
/// the processor time up to the first phase, in seconds.
pub(crate) fn ours(order: &Order) -> Vec<f64> {
    let plan = std::sync::Arc::new(fleet::plan(&order.dir, &order.scenario));
    let (mut looks, mut began) = ([0.0; 2], None);
    let run = fleet::run(&plan, Some(&order.fleet), |look| {
        if let Some(phase) = look.phases.first() {
            looks[usize::from(phase.name == "many")] = resident().0;
            began.get_or_insert_with(cpu_s);
        }
    });
    if order.many == 0 {
        return vec![looks[0], began.unwrap_or(0.0)];
    }
    assert_eq!(run.finished.sessions_open, u64::from(order.few + order.many), "sessions open at the end");
    vec![(looks[1] - looks[0]) / f64::from(order.many)]
}

pub(crate) fn bare(order: &Order) -> Vec<f64> {
    let (certificate, key) = &order.authority;
    let authority = Authority::from_pem(certificate, key).unwrap();
    let bare = Bare::new(order.port, &fleet::shown_by(&authority, true));
    vec![bare.open_session_bytes(order.few, order.many)]
}

impl Camp {
    fn order(&self, dir: &Path, fleet: PathBuf, port: u16, (few, many): (u32, u32)) -> Order {
        Order {
            scenario: std::fs::read_to_string(dir.join(fleet::FILE)).unwrap(),
            fleet,
            dir: dir.to_owned(),
            port,
            authority: (self.authority.certificate_pem(), self.authority.key_pem().unwrap()),
            few,
            many,
        }
    }
}
