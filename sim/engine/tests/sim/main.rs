//! The main test: whole configurations drawn from seeds, played in virtual time against the practice server's brain
//! with faults on every side and kills of the generator, healed, and asked whether all is as it should be; each twice,
//! to the same facts. `cargo xtask sim --help` says more.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is what it is for")]
#![expect(clippy::expect_used, reason = "tests")]

mod apns;
mod config;
mod demands;
mod disk;
mod draw;
mod plants;
mod profile;
mod shrink;
mod side;
mod store;
mod trial;

use clap::Parser;
use config::Config;
use droves_facts::{Fact, LaneIx};
use plants::Plant;
use side::Broken;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Where the first of the drawn seeds is.
const FIRST: u64 = 1;
/// How many are drawn where nobody says it.
const SEEDS: u64 = 300;
/// How many facts of the lanes concerned are shown: their first, and their last.
const FACTS_SHOWN: usize = 20;
/// Nobody who waits is left without a word for longer.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Play configurations drawn from seeds, twice each, and see that they come to a good end.
///
/// A seed draws a fleet, phases, faults, a server and a network, and moments at which the generator is killed and
/// started again from its disk. In the end everything is well for three hours, every channel connects, and then the
/// devices, the server and the accounts must agree. A seed that fails is made smaller and written to tests/seeds.
///
/// Without flags: the kept seeds of tests/seeds, faults that are planted in the world and must be found, and drawn
/// seeds. It plays on one core, and needs neither network nor peers.
#[derive(Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Cli {
    /// Play this seed alone, and print its configuration: a scenario that `droves plan` and `droves run` take.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Draw so many seeds, from `--seed` on. Default: 300 from seed 1.
    #[arg(long, value_name = "COUNT")]
    seeds: Option<u64>,
    /// Play a configuration that was kept; its path from the root of the repository.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "seeds"])]
    file: Option<PathBuf>,
    /// Print every fact of a single seed or file, one a line.
    #[arg(long)]
    facts: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let passed = match (&cli.file, cli.seed, cli.seeds) {
        (Some(file), ..) => kept(file).is_some_and(|config| alone(&config, &repeats_file(file), cli.facts)),
        (None, Some(seed), None) => alone(&draw::draw(seed), &repeats(seed), cli.facts),
        (None, Some(from), Some(count)) => drawn(from, count),
        (None, None, Some(count)) => drawn(FIRST, count),
        (None, None, None) => all_kept() & planted() & drawn(FIRST, SEEDS),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One configuration, with everything there is to see.
fn alone(config: &Config, repeats: &str, facts: bool) -> bool {
    println!("{}", config.text());
    let trial = match trial::twice(config, None) {
        Ok(trial) => trial,
        Err(why) => {
            println!("sim: this is no configuration: {why}");
            return false;
        }
    };
    for fact in trial.played.facts.iter().filter(|_| facts) {
        println!("{}", serde_json::to_string(fact).unwrap_or_default());
    }
    let (facts, sessions, crashes) = (trial.played.facts.len(), trial.played.sessions, trial.played.crashes);
    println!("sim: {facts} facts, {sessions} sessions, {crashes} crashes, sha256 {}", trial.sha256);
    for broken in &trial.played.broken {
        println!("sim: BROKEN {}: {} (lanes {:?})", broken.demand, broken.text, broken.lanes);
    }
    let Some(first) = trial.played.broken.first() else { return true };
    tell(config, first, &trial.played.facts, repeats);
    false
}

/// The kept seeds.
fn all_kept() -> bool {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .map(|found| found.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    let mut passed = true;
    for path in &files {
        let Some(config) = kept(path) else {
            passed = false;
            continue;
        };
        passed &= holds(&config, &repeats_file(path), None);
    }
    println!("sim: {} kept seeds", files.len());
    passed
}

fn kept(path: &Path) -> Option<Config> {
    let read = std::fs::read_to_string(root().join(path)).map_err(|error| error.to_string());
    let config = read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    config.map_err(|why| println!("sim: {}: {why}", path.display())).ok()
}

/// Faults planted in the world: each is found by some seed, by the demand that is there for it, and made smaller.
fn planted() -> bool {
    let mut passed = true;
    for (plant, demand) in Plant::ALL {
        let mut all = (FIRST..FIRST + SEEDS).map(|seed| (seed, draw::draw(seed)));
        let found = all.find(|(_, config)| plant.grows_in(config) && shrink::fails(config, demand, Some(plant)));
        let Some((seed, config)) = found else {
            println!("sim: BROKEN {plant:?} was planted, and no seed found that {demand}");
            passed = false;
            continue;
        };
        let smallest = shrink::shrink(&config, demand, Some(plant));
        let (before, after) = (config.devices(), smallest.devices());
        println!("sim: {plant:?} was planted, and found by seed {seed} with {before} devices, and with {after}");
        if after > 2 || smallest.steps.len() > 3 {
            println!("sim: BROKEN a smaller one would do\n{}", smallest.text());
            passed = false;
        }
    }
    passed
}

/// Seeds from `from` on.
fn drawn(from: u64, count: u64) -> bool {
    let (began, mut said) = (Instant::now(), Instant::now());
    let mut failed = 0;
    for seed in from..from + count {
        failed += u64::from(!holds(&draw::draw(seed), &repeats(seed), Some(seed)));
        if said.elapsed() > PROGRESS_EVERY && std::io::stderr().is_terminal() {
            said = Instant::now();
            eprint!("\rsim: {} of {count} seeds, {failed} failed\x1b[K", seed + 1 - from);
        }
    }
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    println!("sim: {count} seeds from {from} in {:.1} s, {failed} failed", began.elapsed().as_secs_f64());
    failed == 0
}

/// Whether a configuration holds. One that does not is told of; a drawn one is made smaller and kept.
fn holds(config: &Config, repeats: &str, drawn: Option<u64>) -> bool {
    let trial = match trial::twice(config, None) {
        Ok(trial) => trial,
        Err(why) => {
            println!("sim: {repeats}: no configuration: {why}\n{}", config.text());
            return false;
        }
    };
    let Some(broken) = trial.played.broken.first() else { return true };
    tell(config, broken, &trial.played.facts, repeats);
    if let Some(seed) = drawn {
        let smallest = shrink::shrink(config, broken.demand, None);
        let path = folder().join(format!("seed-{seed}.json"));
        let text = serde_json::to_string_pretty(&smallest).unwrap_or_default() + "\n";
        match std::fs::write(&path, text) {
            Ok(()) => println!("sim: as small as it gets, with {} devices:\n{}", smallest.devices(), smallest.text()),
            Err(error) => println!("sim: {}: {error}", path.display()),
        }
        println!("sim: kept; {}", repeats_file(&path));
    }
    false
}

/// Says what does not hold, and what the lanes concerned did first.
fn tell(config: &Config, broken: &Broken, facts: &[Fact], repeats: &str) {
    println!("sim: BROKEN seed {}: {}: {}", config.seed, broken.demand, broken.text);
    let lanes: BTreeSet<LaneIx> = broken.lanes.iter().copied().take(3).collect();
    let theirs: Vec<&Fact> = facts.iter().filter(|fact| lanes.contains(&fact.lane)).collect();
    for (n, fact) in theirs.iter().enumerate() {
        if n < FACTS_SHOWN || n + FACTS_SHOWN >= theirs.len() {
            println!("  {}", serde_json::to_string(fact).unwrap_or_default());
        } else if n == FACTS_SHOWN {
            println!("  .. {} more", theirs.len() - 2 * FACTS_SHOWN);
        }
    }
    println!("sim: {repeats}");
}

fn repeats(seed: u64) -> String {
    format!("again: cargo xtask sim --seed {seed}")
}

fn repeats_file(path: &Path) -> String {
    format!("again: cargo xtask sim --file {}", path.strip_prefix(root()).unwrap_or(path).display())
}

fn folder() -> PathBuf {
    root().join("tests/seeds")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
