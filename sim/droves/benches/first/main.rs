//! The figures that come first, each as a ratio to a floor measured in the same run: `cargo xtask bench`.
//!
//! Processor time is compared, never wall time: these machines are shared. Candidate and floor take turns. `--quick`
//! does less, `--json` prints `rows[].{name, unit, ours, floor, ratio, target}`. The program runs itself once more for
//! what needs a process of its own: the other end, and each measurement of memory.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench: both ends are ours"
)]

mod bare;
mod fleet;
mod memory;
mod sink;

use bare::Bare;
use droves_facts::{Dur, Fact, LaneIx, Mono, Operation, Outcome, PhaseIx, RequestTiming, Unit, What};
use droves_measure::{Fold, Folds, Own};
use droves_wire::apple::signature;
use droves_wire::digest::Digest;
use droves_wire::keys::Key;
use fleet::Camp;
use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use sink::Sink;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// One figure: ours and the floor in the same unit, and the ratio to reach, at most.
struct Row {
    name: &'static str,
    unit: &'static str,
    ours: f64,
    floor: f64,
    target: f64,
}

/// How much is done.
struct Scale {
    /// Devices that check in.
    devices: u32,
    seconds: u32,
    turns: u32,
    /// Signatures, frames.
    samples: u32,
    held: (u32, u32),
    rounds: usize,
}

const WHOLE: Scale =
    Scale { devices: 1_000, seconds: 10, turns: 3_000_000, samples: 2_000, held: (1_000, 6_000), rounds: 3 };
const QUICK: Scale = Scale { devices: 400, seconds: 5, turns: 300_000, samples: 200, held: (300, 1_500), rounds: 1 };

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after = |flag: &str| args.iter().position(|arg| arg == flag).and_then(|at| args.get(at + 1));
    if let Some(dir) = after("--sink") {
        return sink::serve(Path::new(dir));
    }
    if let Some(what) = after("--memory") {
        return memory::measure(what, after("--of").unwrap());
    }
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let rows = rows(if has("--quick") { &QUICK } else { &WHOLE });
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
    println!("{:<66} {:>12} {:>12} {:>7} {:>7}", "", "ours", "floor", "ratio", "target");
    for row in &rows {
        let Row { name, unit, ours, floor, target } = row;
        let ratio = ours / floor;
        let verdict = if ratio <= *target { "" } else { "  MISSED" };
        println!("{name:<66} {ours:>9.1} {unit:<2} {floor:>9.1} {unit:<2} {ratio:>7.2} {target:>7.2}{verdict}");
    }
}

/// Says on stderr what comes next: the whole takes minutes.
fn begins(what: &str) {
    eprintln!("bench: {what}");
}

/// Processor time of the process so far, in seconds.
fn cpu_s() -> f64 {
    used_s(UsageWho::RUSAGE_SELF)
}

/// Processor time of `who` so far, in seconds.
fn used_s(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Resident memory of this process, in bytes.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4_096.0
}

/// Processor time of one turn of a loop, in nanoseconds.
fn per_turn_ns(turns: u32, mut turn: impl FnMut(u32)) -> f64 {
    let before = cpu_s();
    (0..turns).for_each(&mut turn);
    (cpu_s() - before) * 1e9 / f64::from(turns)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rows(scale: &Scale) -> Vec<Row> {
    let camp = Camp::pitch();
    let mut sink = Sink::start(camp.path());
    begins("recording, signing");
    let mut rows = vec![recording(scale.turns), signing(&camp, scale.samples)];
    begins("sessions with P-256 identities");
    let p256 = sessions(&camp, &mut sink, scale, true);
    begins("sessions with RSA identities");
    let rsa = sessions(&camp, &mut sink, scale, false);
    rows.push(Row { name: "a session of 3 requests, P-256, to the bare client", target: 1.10, ..p256.session });
    rows.push(Row { name: "a session of 3 requests, RSA, to the bare client", target: 1.15, ..rsa.session });
    rows.push(Row { name: "a request more on an open connection, to the bare client", target: 1.5, ..p256.request });
    begins("enrolling");
    rows.push(enrolling(&camp, scale, rsa.session.floor));
    begins("the lag at 80 % of a core, the dashboard");
    rows.extend(lag_and_dashboard(&camp, &mut sink, scale, p256.session.ours));
    begins("memory");
    rows.push(memory::idle(&camp, &sink, scale.devices));
    rows.push(memory::open(&camp, &mut sink, scale.held));
    rows
}

/// One sample of a request's end folded, with the reading of the clock that it needs, against one sample in a plain
/// histogram with the same reading. A request's end is three samples.
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
    let fold = per_turn_ns(turns, |n| folds.apply(black_box(&fact(n))));
    let mut histogram: Histogram<u32> = Histogram::new_with_bounds(1, (1 << 20) - 1, 3).unwrap();
    let record = per_turn_ns(turns, |n| histogram.saturating_record(black_box(u64::from(n % 5_000) + 20)));
    let clock = per_turn_ns(turns, |_| _ = black_box(Instant::now()));
    black_box((&folds, &histogram));
    let (ours, floor) = (fold / 3.0 + clock, record + clock);
    Row { name: "recording one sample, to a histogram and the clock", unit: "ns", ours, floor, target: 2.4 }
}

fn signing(camp: &Camp, turns: u32) -> Row {
    let key = Key::generate_rsa(2_048).unwrap();
    let identity = camp.authority.issue_identity("bench", key.spki(), 1, fleet::now()).unwrap();
    let body = vec![b'x'; 1_200];
    let floor = per_turn_ns(turns, |_| drop(black_box(key.sign(Digest::Sha256, &body)))) / 1e3;
    let ours = per_turn_ns(turns, |_| drop(black_box(signature::sign(&body, &key, &identity, None)))) / 1e3;
    Row { name: "Mdm-Signature, to its RSA-2048 signature", unit: "us", ours, floor, target: 1.15 }
}

/// Sessions of our devices beside sessions of the bare client: one of 3 requests, and what each further one costs.
struct Sessions {
    session: Row,
    request: Row,
}

fn sessions(camp: &Camp, sink: &mut Sink, scale: &Scale, p256: bool) -> Sessions {
    const SHORT: u32 = 3;
    const LONG: u32 = 23;
    let rate = scale.devices / scale.seconds;
    let quiet = format!("  - wait: {}s\n", scale.seconds);
    let steady = format!("  - check_in: {{ who: all, arrivals: {{ rate: {rate}/s }} }}\n    for: {}s\n", scale.seconds);
    let quiet = camp.plan(sink, scale.devices / 2, scale.devices / 2, &quiet);
    let steady = camp.plan(sink, scale.devices / 2, scale.devices / 2, &steady);
    let folder = camp.mint(&quiet, p256);
    let key = if p256 { Key::generate_p256() } else { Key::generate_rsa(2_048) }.unwrap();
    let certificate = camp.authority.issue_identity("bare", key.spki(), 1, fleet::now()).unwrap();
    let bare = Bare::new(sink.port, camp.authority.certificate(), certificate, key.private_key_der().unwrap());
    let mut taken = vec![Vec::new(); 4];
    for _ in 0..scale.rounds {
        let idle = fleet::run(&quiet, Some(&folder), |_| ()).cpu_s;
        for (place, requests) in [(0, SHORT), (1, LONG)] {
            sink.order(requests - 1, 0);
            let run = fleet::run(&steady, Some(&folder), |_| ());
            let counts = &run.finished.folds.counts;
            let made = counts.tries_of(None, Unit::Request).succeeded as f64 / counts.sessions_started as f64;
            assert!((made / f64::from(requests) - 1.0).abs() < 0.05, "{made} requests a session, not {requests}");
            taken[place].push((run.cpu_s - idle) * 1e6 / counts.sessions_started as f64);
            taken[2 + place].push(bare.session_us(rate, scale.seconds, requests));
        }
    }
    sink.order(0, 0);
    let [short, long, bare_short, bare_long] = taken.map_into(median);
    let each = f64::from(LONG - SHORT);
    Sessions {
        session: Row { name: "", unit: "us", ours: short, floor: bare_short, target: 0.0 },
        request: Row {
            name: "",
            unit: "us",
            ours: (long - short) / each,
            floor: (bare_long - bare_short) / each,
            target: 0.0,
        },
    }
}

/// A device enrolled by SCEP at the practice server with a key out of the pool. The floor is what can't be left out: a
/// session of the bare client with an RSA identity, the five other operations with an RSA key (the temporary
/// certificate, the request, the message, the reply, and one `Mdm-Signature` more than sessions have).
fn enrolling(camp: &Camp, scale: &Scale, session_us: f64) -> Row {
    let key = Key::generate_rsa(2_048).unwrap();
    let signature = per_turn_ns(scale.samples, |_| drop(black_box(key.sign(Digest::Sha256, b"x")))) / 1e3;
    let text = |phases: &str| {
        format!(
            "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  keys: {{ pool: 8 }}\n  populations:\n    phones: {{ platform: ios, count: {} }}\nbounds: {{ lag_max: 60s }}\nphases:\n{phases}",
            scale.devices
        )
    };
    let enroll = "  - enroll: { who: all, arrivals: { rate: 60/s } }\n    until: { enrolled: 100%, within: 5m }\n";
    let plan = std::sync::Arc::new(fleet::plan(camp.path(), &text(enroll)));
    let mut ours = Vec::new();
    for _ in 0..scale.rounds {
        let run = fleet::run(&plan, None, |_| ());
        // Some check in for the first time before the last has enrolled.
        let further = run.finished.folds.counts.sessions_started.saturating_sub(u64::from(scale.devices));
        ours.push((run.cpu_s * 1e6 - further as f64 * session_us) / f64::from(scale.devices));
    }
    Row {
        name: "a device enrolled, to a bare RSA session and 5 RSA operations",
        unit: "us",
        ours: median(ours),
        floor: session_us + 5.0 * signature,
        target: 1.5,
    }
}

/// How late sessions start when arrivals want four fifths of the shard's core, and what it costs to show it all.
fn lag_and_dashboard(camp: &Camp, sink: &mut Sink, scale: &Scale, session_us: f64) -> [Row; 2] {
    let rate = (0.8e6 / session_us) as u32;
    let phases =
        format!("  - check_in: {{ who: all, arrivals: {{ poisson: {rate}/s }} }}\n    for: {}s\n", 2 * scale.seconds);
    let plan = camp.plan(sink, scale.devices / 2, scale.devices / 2, &phases);
    sink.order(2, 0);
    let folder = camp.path().join("fleet-p256");
    let mut view = droves_views::View::new("bench", true);
    let mut terminal = ratatui::Terminal::with_options(
        ratatui::backend::CrosstermBackend::new(std::io::sink()),
        ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(ratatui::layout::Rect::new(0, 0, 200, 50)) },
    )
    .unwrap();
    let (mut shown_s, mut frames) = (0.0, 0u32);
    let run = fleet::run(&plan, Some(&folder), |look| {
        let before = used_s(UsageWho::RUSAGE_THREAD);
        view.take(look);
        terminal.draw(|frame| droves_views::draw(frame, &view)).unwrap();
        shown_s += used_s(UsageWho::RUSAGE_THREAD) - before;
        frames += 1;
    });
    sink.order(0, 0);
    let lag = run.finished.folds.series.own(None, Own::Lag);
    let slice_us = run.finished.folds.slices.mean_us().unwrap_or(0.0);
    // Four frames a second: a core has a quarter of a second for each, of which the dashboard may have a hundredth.
    let frame_us = shown_s * 1e6 / f64::from(frames.max(1));
    [
        Row {
            name: "start lag p99.9 at 80 %, to 15.8 mean slices and a timer step",
            unit: "us",
            ours: lag.quantile_us(0.999).unwrap_or(0) as f64,
            floor: 15.8 * slice_us + TIMER_STEP_US,
            target: 2.0,
        },
        Row {
            name: "one frame of the dashboard, to 1 % of a core at 4 a second",
            unit: "us",
            ours: frame_us,
            floor: 2_500.0,
            target: 1.0,
        },
    ]
}

/// What a timer of the runtime may be late by, since it counts milliseconds.
const TIMER_STEP_US: f64 = 1_000.0;

trait MapInto {
    fn map_into(self, f: fn(Vec<f64>) -> f64) -> [f64; 4];
}

impl MapInto for Vec<Vec<f64>> {
    fn map_into(self, f: fn(Vec<f64>) -> f64) -> [f64; 4] {
        let values: Vec<f64> = self.into_iter().map(f).collect();
        values.try_into().unwrap()
    }
}
