//! Instructions, counted by callgrind in a process of its own, and held against `benches/baseline.json`.
//!
//! Counts are the same on every machine as far as code does not choose by the processor: valgrind shows it one of its own,
//! and no key or handshake is among what is counted. The seeds of hash maps move a count by some tenths of a percent.

use crate::harness::begins;
use crate::works::{self, WORKS};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// More than this many times the baseline is a regression.
const WORSE: f64 = 1.02;

/// Instructions of one piece, by its name.
type Counts = BTreeMap<String, u64>;

/// Counts, prints each beside the baseline, and takes it for the baseline if that is wanted. Whether none is worse.
pub(crate) fn count(accept: bool) -> bool {
    assert!(Command::new("valgrind").arg("--version").output().is_ok(), "no valgrind: install it (apt: valgrind)");
    let dir = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/baseline.json");
    let accepted = std::fs::read_to_string(&file);
    let baseline: Counts = accepted.map_or_else(|_| Counts::new(), |text| serde_json::from_str(&text).unwrap());
    let mut counts = Counts::new();
    let mut is_well = true;
    for (name, turns, _) in WORKS {
        begins(name);
        let [once, twice] = [turns, 2 * turns].map(|turns| instructions(name, turns, dir.path()));
        let each = twice.saturating_sub(once) / u64::from(turns);
        let before = baseline.get(name).copied();
        let change = before.map(|before| each as f64 / before as f64);
        let verdict = match change {
            None => "new",
            Some(change) if change > WORSE => "WORSE",
            Some(change) if change < 1.0 / WORSE => "better",
            Some(_) => "",
        };
        is_well &= change.is_none_or(|change| change <= WORSE);
        let change = change.map_or(String::new(), |change| format!("{:+.1} %", (change - 1.0) * 100.0));
        println!("{name:<50} {each:>10} {:>10} {change:>8}  {verdict}", before.unwrap_or_default());
        counts.insert(name.to_owned(), each);
    }
    if accept {
        std::fs::write(&file, serde_json::to_string_pretty(&counts).unwrap() + "\n").unwrap();
        return true;
    }
    if !is_well {
        println!("worse than {}: cure it, or take it with --counts --accept and say why in the commit", file.display());
    }
    is_well
}

/// All instructions of this program doing so much: the line `totals:` of callgrind's file.
fn instructions(work: &str, turns: u32, dir: &Path) -> u64 {
    let counted = dir.join("callgrind");
    let status = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .arg(std::env::current_exe().unwrap())
        .args([works::FLAG, work, &turns.to_string()])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{work}: {status}");
    let text = std::fs::read_to_string(&counted).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap_or_default();
    total.trim().parse().unwrap_or_else(|_| panic!("{work}: no count in {}", counted.display()))
}
