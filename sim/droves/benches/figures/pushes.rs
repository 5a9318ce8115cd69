//! Pushes in one burst: how soon the shard has woken all the devices, and, at the practice server, how long after the push
//! service had them devices are awake and connected.

use crate::bare::Bare;
use crate::fleet;
use crate::harness::{Ground, Row, begins, thread_s};
use crate::lanes;
use droves_facts::{LaneIx, Mono, PhaseIx, Unit};
use droves_measure::Hop;
use droves_shard::Input;
use std::sync::Arc;

/// What the last of 100,000 may wait, and what a queue between threads takes for them, in milliseconds.
const WAIT_MS: f64 = 10.0;
const BURST: u32 = 100_000;
/// Sessions of a burst that are open at a time.
const ROOM: u32 = 2_000;
/// How long a modelled device takes to wake here: as good as none.
const WAKE: &str = "wake: { median: 1us, sigma: 0.0 }";

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    begins("pushes in one burst");
    let taken = taken(ground);
    let makespan = makespan(ground, taken.ours / 1e3);
    let [burst, paced] = practised(ground);
    vec![taken, makespan, burst, paced]
}

/// 100,000 pushes told to a shard, one after the other.
fn taken(ground: &Ground) -> Row {
    let lanes = BURST.min(ground.scale.lanes);
    let ms = burst(lanes) * 1e3 * f64::from(BURST) / f64::from(lanes);
    Row::new("100,000 pushes taken by a shard, to 10 ms", "ms", (ms, WAIT_MS), 1.0)
}

/// All devices of a shard are due at once, and have a session each; with the time that their pushes take, as seconds of one
/// core for 100,000, to as many sessions of the bare client.
fn makespan(ground: &Ground, taken_s: f64) -> Row {
    begins("sessions of one burst");
    let (camp, port, devices) = (&ground.camp, ground.sink.port, ground.scale.idle.1 / 2);
    let dir = camp.path().join("burst");
    std::fs::create_dir(&dir).unwrap();
    let plan = |phases: &str| {
        let text = format!(
            "droves: 1\ntarget:\n  server: sink\n  url: https://127.0.0.1:{port}\n  tls: {{ ca: {}/ca.pem }}\n\
             fleet:\n  keys: {{ pool: 8 }}\n  populations:\n    phones: {{ platform: ios, count: {devices}, {} }}\n\
             bounds: {{ lag_max: 1h, connections_max: {ROOM} }}\nphases:\n{phases}",
            camp.path().display(),
            fleet::QUICK
        );
        Arc::new(fleet::plan(&dir, &text))
    };
    let quiet = plan("  - wait: 1s\n");
    let burst = plan("  - check_in: { who: all, arrivals: at_once }\n    until: { done: 100%, within: 1h }\n");
    let folder = dir.join("fleet");
    camp.mint_in(&folder, &quiet, true);
    ground.sink.order(2, 0);
    let idle = fleet::run(&quiet, Some(&folder), |_| ());
    let run = fleet::run(&burst, Some(&folder), |_| ());
    // More than a core does: it is never without work either.
    let bare = Bare::new(port, &camp.shown(true)).session_us(ROOM, 2, 3);
    ground.sink.order(0, 0);
    let made = run.finished.folds.counts.tries_of(None, Unit::Request).succeeded;
    assert_eq!(made, 3 * u64::from(devices), "three requests of each device");
    let ours = taken_s + (run.cpu_s - idle.cpu_s) / f64::from(devices) * f64::from(BURST);
    let name = "100,000 devices pushed in one burst and their sessions, to as many of the bare client";
    Row::new(name, "s", (ours, bare / 1e6 * f64::from(BURST)), 1.15)
}

/// Pushes each lane of a shard once; how long that takes, in seconds of processor time.
pub(crate) fn burst(lanes: u32) -> f64 {
    let mut shard = lanes::enrolled(lanes, "  - wait: 1s\n");
    let clocks = lanes::clocks(Mono(1));
    let magics: Vec<String> = (0..lanes).map(|lane| shard.magic(clocks, LaneIx(lane)).unwrap()).collect();
    let before = thread_s();
    for (lane, magic) in (0..).zip(&magics) {
        let lane = LaneIx(lane);
        shard.step(clocks, Input::Push { lane, magic, keep_until: None, pushed: clocks.now, urgent: false });
    }
    thread_s() - before
}

/// Devices that enrolled at the practice server are pushed, all at once and at a pace that leaves the machine idle.
fn practised(ground: &Ground) -> [Row; 2] {
    let devices = ground.scale.devices;
    let command = |name: &str, arrivals: &str| {
        format!(
            "  - name: {name}\n    command: {{ who: all, arrivals: {arrivals}, request: SecurityInfo, push: true }}\n    until: {{ accepted: 100%, within: 5m }}\n"
        )
    };
    let text = format!(
        "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  keys: {{ pool: 8 }}\n  populations:\n    phones: {{ platform: ios, count: {devices}, {WAKE}, {} }}\n\
         bounds: {{ lag_max: 60s }}\nphases:\n  - enroll: {{ who: all, arrivals: {{ rate: 60/s }} }}\n    until: {{ enrolled: 100%, within: 10m }}\n{}{}",
        fleet::QUICK,
        command("burst", "at_once"),
        command("paced", "{ rate: 40/s }")
    );
    let run = fleet::run(&Arc::new(fleet::plan(ground.camp.path(), &text)), None, |_| ());
    let p99_ms = |phase: u32, hop: Hop| {
        let times = run.finished.folds.fanout.times(Some(PhaseIx(phase)), hop);
        assert!(times.count() > 0, "no sample of {hop:?} in phase {phase}");
        times.quantile_us(0.99).unwrap_or(0) as f64 / 1e3
    };
    let woken = p99_ms(1, Hop::Woken);
    let connected = p99_ms(2, Hop::Woken) + p99_ms(2, Hop::Connected);
    [
        Row::new("push received to device awake, p99 of one burst, to 10 ms", "ms", (woken, WAIT_MS), 1.0),
        Row::new("push received to connection open, p99 at a pace, to 10 ms", "ms", (connected, WAIT_MS), 1.0),
    ]
}
