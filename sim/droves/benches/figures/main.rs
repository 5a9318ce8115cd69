//! The figures of docs/performance.md, each as a ratio to a floor measured in the same run: `cargo xtask bench`.
//!
//! Processor time is compared, never wall time, but where a delay is the figure: these machines are shared. Candidate and
//! floor take turns. What is too small for a clock is counted in instructions: `--counts`. The program starts itself once
//! more for what needs a process of its own: the other end, each measurement of memory, each count.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench: both ends are ours"
)]

mod apart;
mod bare;
mod calls;
mod certifier;
mod counts;
mod enrolling;
mod fleet;
mod folds;
mod growth;
mod harness;
mod kept;
mod lag;
mod lanes;
mod memory;
mod peers;
mod pushes;
mod report;
mod sessions;
mod sink;
mod virtual_time;
mod wire;
mod works;

use clap::Parser;
use harness::{Ground, QUICK, Row, WHOLE};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measures what Droves costs, each figure beside a floor of the same run.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    /// A tenth of the work: three minutes, not twelve.
    #[arg(long)]
    quick: bool,
    /// Only this part (repeatable).
    #[arg(long, value_name = "PART", value_parser = PARTS.map(|(name, _)| name))]
    only: Vec<String>,
    /// For programs: `rows[].{name, unit, ours, floor, target}`.
    #[arg(long, conflicts_with_all = ["markdown", "counts"])]
    json: bool,
    /// The table of docs/performance.md.
    #[arg(long, conflicts_with = "counts")]
    markdown: bool,
    /// Hold the ratios against those that an earlier run gave with --json; 112 if one is worse by more than 5 %.
    #[arg(long, value_name = "FILE", conflicts_with = "counts")]
    compare: Option<PathBuf>,
    /// Count instructions with valgrind, and hold them against benches/baseline.json; 112 if one is more by over 2 %.
    #[arg(long)]
    counts: bool,
    /// Take what is counted now for the baseline.
    #[arg(long, requires = "counts")]
    accept: bool,
    /// What cargo says to every bench.
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

/// A part of the figures.
type Part = (&'static str, fn(&Ground) -> Vec<Row>);

/// From the small to the large.
const PARTS: [Part; 12] = [
    ("wire", wire::rows),
    ("folds", folds::rows),
    ("virtual", virtual_time::rows),
    ("kept", kept::rows),
    ("growth", growth::rows),
    ("sessions", sessions::full),
    ("resumed", sessions::resumed),
    ("calls", calls::rows),
    ("enrolling", enrolling::rows),
    ("lag", lag::rows),
    ("pushes", pushes::rows),
    ("memory", memory::rows),
];

/// Worse than what it is held against, as `droves run --baseline` says it.
const WORSE: u8 = 112;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [sink::FLAG, dir, tickets, old] => sink::serve(Path::new(dir), tickets == "true", old == "true"),
        [apart::FLAG, what, order] => apart::answer(what, order),
        [works::FLAG, work, turns] => works::work(work, turns.parse().unwrap()),
        _ => return measure(&Args::parse()),
    }
    ExitCode::SUCCESS
}

fn measure(args: &Args) -> ExitCode {
    let is_well = if args.counts {
        counts::count(args.accept)
    } else {
        let ground = Ground::lay(if args.quick { QUICK } else { WHOLE });
        let chosen = PARTS.iter().filter(|(name, _)| args.only.is_empty() || args.only.iter().any(|only| only == name));
        let rows: Vec<Row> = chosen.flat_map(|(_, part)| part(&ground)).collect();
        match (args.json, args.markdown) {
            (true, _) => report::json(&rows, args.quick),
            (_, true) => report::markdown(&rows),
            _ => report::text(&rows),
        }
        args.compare.as_deref().is_none_or(|before| report::compare(&rows, args.quick, before))
    };
    if is_well { ExitCode::SUCCESS } else { ExitCode::from(WORSE) }
}
