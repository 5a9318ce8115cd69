//! What a shard costs grows as its lanes do, and no faster: work by instructions, memory by live bytes, from a thousand
//! lanes to sixty-four thousand. Both are counted, so that the machine's other tenants change nothing.
//!
//! Instructions are counted by valgrind, in this program started once more for each size.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "shard/toy.rs"]
#[expect(dead_code, reason = "the other suite's toy: this one asks less of it")]
mod toy;

use droves_facts::{Dur, Mono, PhaseIx, What};
use droves_shard::forecast::Forecast;
use std::path::Path;
use std::process::Command;
use toy::{Toy, World, forecast, plan};

/// Lanes of each size.
const SIZES: [u32; 4] = [1_000, 4_000, 16_000, 64_000];
/// How far a slope may be from 1: a constant of the process on one side, a heap's logarithm on the other.
const SLOPES: std::ops::RangeInclusive<f64> = 0.97..=1.03;
/// Tells the program, started once more, how many lanes to play.
const LANES: &str = "DROVES_LINEAR_LANES";

/// Twenty minutes of a fleet that checks in once an hour: each session sets a timer that falls through the wheel.
fn fleet(lanes: u32) -> Forecast<Toy, World> {
    let fleet = format!("phones: {{ platform: ios, count: {lanes} }}");
    let phase = "check_in: { who: all, arrivals: { each: { every: 1h } } }\n    for: 20m";
    let mut run = forecast(plan(&fleet, phase), usize::MAX, World::default());
    run.begin(PhaseIx(0));
    run
}

/// Plays it, and gives how many sessions there were. What is counted is what happens in here, by this name.
#[inline(never)]
fn counted(run: &mut Forecast<Toy, World>) -> u64 {
    let mut sessions = 0;
    for minute in 1..=20 {
        assert!(run.run_until(Mono::ZERO + Dur::secs(60 * minute), u64::MAX));
        sessions += run.facts.drain(..).filter(|fact| matches!(fact.what, What::SessionEnded { .. })).count() as u64;
    }
    sessions
}

#[test]
fn live_bytes_grow_as_lanes_do() {
    let live = |lanes| {
        let mut run = None;
        let live = allocation_counter::measure(|| {
            let run = run.insert(fleet(lanes));
            counted(run);
            run.facts.shrink_to_fit();
        });
        live.bytes_current as f64
    };
    // What a process makes once is nobody's, and what a shard has for its first lane is not the others'.
    live(1);
    let first = live(1);
    is_linear("live bytes by lanes", &SIZES.map(|lanes| (f64::from(lanes), live(lanes) - first)));
}

#[test]
fn instructions_grow_as_sessions_do() {
    if !is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let points = SIZES.map(|lanes| {
        let counts = dir.path().join(lanes.to_string());
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--toggle-collect=*::counted*"])
            .arg(format!("--callgrind-out-file={}", counts.display()))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "played_to_be_counted", "--ignored", "--nocapture"])
            .env(LANES, lanes.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let sessions = said.lines().find_map(|line| line.split_once("sessions: ")?.1.parse().ok());
        let sessions: f64 = sessions.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
        (sessions, instructions(&counts))
    });
    is_linear("instructions by sessions", &points);
}

#[test]
#[ignore = "started by instructions_grow_as_sessions_do, under valgrind"]
#[expect(clippy::print_stdout, reason = "it tells whoever started it")]
fn played_to_be_counted() {
    let lanes = std::env::var(LANES).unwrap().parse().unwrap();
    println!("\nsessions: {}", counted(&mut fleet(lanes)));
}

/// All instructions that callgrind counted: the line `totals:` of its file.
fn instructions(counts: &Path) -> f64 {
    let text = std::fs::read_to_string(counts).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap_or_default();
    total.trim().parse().unwrap_or_else(|_| panic!("no count in {}", counts.display()))
}

/// Holds the line from the first point to the last to its slope, with both axes in logarithms.
fn is_linear(what: &str, points: &[(f64, f64)]) {
    let [(x, y), .., (to_x, to_y)] = *points else { panic!("a line has two ends") };
    let slope = (to_y / y).ln() / (to_x / x).ln();
    let each: Vec<f64> = points.iter().map(|(x, y)| (y / x).round()).collect();
    assert!(SLOPES.contains(&slope), "{what}: slope {slope:.3}, {each:?} for each of {points:?}");
}

/// Whether there is a valgrind to count with. CI must have one.
fn is_there() -> bool {
    let there = Command::new("valgrind").arg("--version").output().is_ok_and(|out| out.status.success());
    assert!(there || std::env::var_os("CI").is_none(), "CI without valgrind");
    if let (false, Some(list)) = (there, std::env::var_os("DROVES_LEFT_OUT")) {
        use std::io::Write;
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(list, "instructions_grow_as_sessions_do\tvalgrind is not installed").unwrap();
    }
    there
}
