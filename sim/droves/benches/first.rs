//! The figures that come first, each as a ratio to a floor measured in the same run: `cargo xtask bench`.
//!
//! Processor time is compared, never wall time: these machines are shared. `--quick` does a tenth, `--json` prints
//! `rows[].{name, ours, floor, ratio, target}`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use droves_device::apple::Apple;
use droves_device::{Character, Clocks, Identity, KeyIx, Machine, ProfileSource, Retry, Slept};
use droves_engine::{Finished, Setup};
use droves_facts::{Dur, Fact, LaneIx, Limits, Mono, Operation, Outcome, PhaseIx, Platform, RequestTiming, Wall, What};
use droves_measure::{Fold, Folds, Thresholds};
use droves_shard::{Cells, Config, Shard, Snapshot};
use droves_wire::apple::push::Tokens;
use droves_wire::apple::signature;
use droves_wire::ca::Authority;
use droves_wire::digest::Digest;
use droves_wire::keys::Key;
use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

struct Row {
    name: &'static str,
    unit: &'static str,
    ours: f64,
    floor: f64,
    /// The ratio to reach, and whether it is to be at most that.
    target: f64,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let part = if has("--quick") { 10 } else { 1 };
    let rows = rows(part);
    if has("--json") {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "name": row.name, "unit": row.unit, "ours": row.ours, "floor": row.floor,
                    "ratio": row.ours / row.floor, "target": row.target,
                })
            })
            .collect();
        return println!("{:#}", serde_json::json!({ "rows": rows }));
    }
    println!("{:<44} {:>12} {:>12} {:>7} {:>7}", "", "ours", "floor", "ratio", "target");
    for row in &rows {
        let verdict = if row.ours / row.floor <= row.target { "" } else { "  MISSED" };
        println!(
            "{:<44} {:>9.1} {:<2} {:>9.1} {:<2} {:>7.2} {:>7.2}{verdict}",
            row.name,
            row.ours,
            row.unit,
            row.floor,
            row.unit,
            row.ours / row.floor,
            row.target
        );
    }
}

/// Processor time of the process so far, in seconds.
fn cpu_s() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Processor time of one turn of a loop, in nanoseconds.
fn per_turn_ns(turns: u32, mut turn: impl FnMut(u32)) -> f64 {
    let before = cpu_s();
    (0..turns).for_each(&mut turn);
    (cpu_s() - before) * 1e9 / f64::from(turns)
}

fn rows(part: u32) -> Vec<Row> {
    let key = Key::generate_rsa(2_048).unwrap();
    let authority = Authority::create("bench", Wall::VIRTUAL_START).unwrap();
    let identity = authority.issue_identity("bench", key.spki(), 1, Wall::VIRTUAL_START).unwrap();
    let body = vec![b'x'; 600];
    let rsa_us = per_turn_ns(2_000 / part, |_| drop(black_box(key.sign(Digest::Sha256, &body)))) / 1e3;
    let signed_us = per_turn_ns(2_000 / part, |_| drop(black_box(signature::sign(&body, &key, &identity, None)))) / 1e3;
    let (enrolled, session) = fleet(part);
    vec![
        recording(3_000_000 / part),
        Row { name: "Mdm-Signature, RSA-2048", unit: "us", ours: signed_us, floor: rsa_us, target: 1.15 },
        // SCEP signs a temporary certificate, the request and the message, and opens the reply; Authenticate and
        // TokenUpdate are signed.
        Row {
            name: "enrolling a device, floor: six RSA operations",
            unit: "us",
            ours: enrolled,
            floor: 6.0 * rsa_us,
            target: 2.0,
        },
        Row {
            name: "a check-in session, floor: one RSA signature",
            unit: "us",
            ours: session,
            floor: rsa_us,
            target: 2.0,
        },
        idle(&identity, part),
    ]
}

/// One fact of a request's end folded, against three samples in plain histograms.
fn recording(turns: u32) -> Row {
    let fact = |n: u32| {
        let due = Mono(1_000_000);
        let (sent, ended) = (due + Dur(10), due + Dur(u64::from(n % 5_000) + 20));
        let timing = RequestTiming { due, started: due, sent, first_byte: Some(ended), ended };
        let what = What::RequestEnded {
            operation: Operation::AppleIdle,
            timing,
            outcome: Outcome::Succeeded,
            bytes_out: 500,
            bytes_in: 200,
        };
        Fact { at: ended, phase: PhaseIx(1), lane: LaneIx(n % 1_000), what }
    };
    let mut folds = Folds::default();
    let ours = per_turn_ns(turns, |n| folds.apply(black_box(&fact(n))));
    let mut histograms: Vec<Histogram<u32>> =
        (0..3).map(|_| Histogram::new_with_bounds(1, (1 << 20) - 1, 3).unwrap()).collect();
    let floor = per_turn_ns(turns, |n| {
        let fact = black_box(fact(n));
        let What::RequestEnded { timing, .. } = &fact.what else { return };
        histograms[0].saturating_record(timing.response().0);
        histograms[1].saturating_record(timing.service().0);
        histograms[2].saturating_record(timing.ended.since(timing.sent).0);
    });
    black_box((&folds, &histograms));
    Row { name: "recording one request, floor: three samples", unit: "ns", ours, floor, target: 2.0 }
}

/// Resident memory of an idle lane with its certificate, against the certificate and 112 bytes (record and wheel).
fn idle(certificate: &[u8], part: u32) -> Row {
    let (few, many) = (10_000 / part, 110_000 / part);
    let before = resident();
    let small = shard(few, certificate);
    let middle = resident();
    let large = shard(many, certificate);
    let after = resident();
    let ours = ((after - middle) - (middle - before)) / f64::from(many - few);
    black_box((&small, &large));
    Row {
        name: "an idle enrolled device with its certificate",
        unit: "B",
        ours,
        floor: certificate.len() as f64 + 112.0,
        target: 1.5,
    }
}

fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4_096.0
}

fn shard(devices: u32, certificate: &[u8]) -> Shard<Apple> {
    let text = format!(
        "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  populations:\n    phones: {{ platform: ios, count: {devices} }}\nphases:\n  - wait: 1s\n"
    );
    let plan = Arc::new(plan(&text));
    let roster = Arc::new(plan.roster());
    let character = Character {
        platform: Platform::Ios,
        model: "iPhone16,1".into(),
        os_version: "18.1".into(),
        profile: ProfileSource::Url("http://127.0.0.1/enroll".into()),
        allow_http: true,
        retry: Retry::AsPlatform,
        wake: (Dur::ms(500), 0.5),
        pace: 1.0,
        locked: (0.0, Dur::secs(1)),
        users: 0,
        reenrolls_after_wipe: None,
    };
    let config = Config {
        cells: Arc::new(Cells::new(&roster, 1)),
        plan,
        roster,
        shard: 0,
        characters: Arc::new([character]),
        limits: Arc::new(Limits::default()),
        tokens: Arc::new(Tokens::new([7; 32])),
        sessions_max: 1_000,
        keeps: false,
    };
    let mut shard = Shard::<Apple>::new(config, |_| 0);
    let slept = Slept::<Apple>::default();
    let clocks = Clocks { now: Mono::ZERO, wall: Wall::VIRTUAL_START };
    for lane in 0..devices {
        let identity = Identity { key: KeyIx(0), certificate: certificate.into() };
        let snapshot = Snapshot {
            lane: LaneIx(lane),
            record: Apple::record_to_bytes(&slept.record),
            shared: Apple::shared_to_bytes(&slept.shared),
            own: None,
            identity: Some(Arc::new(identity)),
            ended: false,
        };
        shard.restore(&snapshot, clocks).unwrap();
    }
    shard
}

fn plan(text: &str) -> droves_scenario::plan::Plan {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bench.yaml");
    std::fs::write(&path, text).unwrap();
    match droves_scenario::load(&path, &[], |_| None) {
        Ok(loaded) => loaded.plan,
        Err(problems) => panic!("{problems}"),
    }
}

/// Processor time of the generator for one device enrolled and for one check-in session, in microseconds, against the
/// practice server, whose own time is taken off.
fn fleet(part: u32) -> (f64, f64) {
    let devices = 1_000 / part;
    let enroll = format!(
        "  - enroll: {{ who: all, arrivals: {{ rate: {}/s }} }}\n    until: {{ enrolled: 100%, within: 2m }}\n",
        50
    );
    let quiet = "  - wait: 12s\n";
    let steady =
        format!("  - check_in: {{ who: all, arrivals: {{ rate: 100/s }} }}\n    for: {}s\n", (20 / part).max(5));
    let run = |phases: &str| {
        let text = format!(
            "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  keys: {{ pool: 8 }}\n  populations:\n    phones: {{ platform: ios, count: {devices} }}\nbounds: {{ lag_max: 60s }}\nphases:\n{phases}"
        );
        cost(plan(&text))
    };
    // Keys are made first; then the two runs differ by their check-ins alone.
    run(&enroll);
    let (without, before) = run(&[enroll.as_str(), quiet].concat());
    let (with, after) = run(&[enroll.as_str(), quiet, &steady].concat());
    let sessions = after.folds.counts.sessions_started - before.folds.counts.sessions_started;
    let own = before.folds.counts.sessions_started - u64::from(devices);
    let session = (with - without) * 1e6 / sessions.max(1) as f64;
    (without * 1e6 / f64::from(devices) - session * own as f64 / f64::from(devices), session)
}

/// The generator's processor time of a run, in seconds.
fn cost(plan: droves_scenario::plan::Plan) -> (f64, Finished) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let setup = Setup {
        plan: Arc::new(plan),
        limits: Limits::default(),
        fleet: None,
        keys: dir.join("keys"),
        certificates: dir.join("certs"),
        shards: 1,
        push_port: 0,
        door_port: 0,
        target_wait: Dur::ZERO,
        thresholds: Thresholds::parse(&[], &[]).unwrap(),
    };
    let before = cpu_s();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let finished = droves_engine::run(setup, stopped, |_| (), |_| ()).unwrap();
    (cpu_s() - before - finished.practice_cpu_s.unwrap_or(0.0), finished)
}
