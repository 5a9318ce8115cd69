//! `cargo xtask test`: the one door to the tests. It installs the peers while the workspace compiles, runs every
//! suite from one build, and ends with two tables: what each suite did, and what was left out and why. Under `CI`
//! leaving out is a failure, so that no run is green by absence.

use crate::{House, peers};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Suites that do little but wait for what takes minutes: they run beside the others, and are shown when they are done.
const WAITING: [&str; 2] = ["emm", "google"];

/// What a part of the run is called, what it did, how long it took.
struct Row {
    name: String,
    passed: bool,
    took: Duration,
}

/// Run the suites named, or all; true if all passed and nothing was left out that may not be.
pub(crate) fn test(house: &House, only: &[String]) -> Result<bool> {
    let suites = Suites::of(house)?;
    let chosen = suites.choose(only)?;
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    let door = Door { root: house.root(), peers: house.peers_dir(), left_out: left_out_file(house)? };

    let start = Instant::now();
    let (installed, built) = std::thread::scope(|scope| {
        let installing = scope.spawn(|| peers::install_all(house));
        let built = door.command(&["--no-run"]).status().context("cargo test").map(|status| status.success());
        (installing.join(), built)
    });
    let Ok(installed) = installed else { bail!("the installation of the peers panicked") };
    let installed = installed?;
    let mut rows = vec![Row { name: "build, peers".to_owned(), passed: built?, took: start.elapsed() }];

    if rows.iter().all(|row| row.passed) {
        let is_waiting = |(name, _): &&(String, Vec<String>)| WAITING.contains(&&**name);
        // By themselves they have nobody to run beside.
        let (waiting, working): (Vec<_>, Vec<_>) = match chosen.iter().all(is_waiting) {
            true => (Vec::new(), chosen),
            false => chosen.into_iter().partition(is_waiting),
        };
        let ran = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| door.run_all(&waiting, Door::cargo_aside));
            let worked = door.run_all(&working, Door::cargo);
            (worked, waiting.join())
        });
        let (worked, Ok(waited)) = ran else { bail!("a suite's run panicked") };
        rows.extend(worked?.into_iter().chain(waited?));
    }

    let mut left_out = installed.left_out();
    left_out.extend(read_left_out(&door.left_out)?);
    print_rows(&rows);
    print_left_out(&left_out, ci);
    let complete = left_out.is_empty() || !ci;
    Ok(complete && rows.iter().all(|row| row.passed))
}

/// The suites by name, in the order in which they run, with the arguments that select each. All of them select from
/// the whole workspace: so features are unified once, and nothing is built twice.
struct Suites {
    named: Vec<(String, Vec<String>)>,
}

impl Suites {
    fn of(house: &House) -> Result<Suites> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut named = vec![("unit".to_owned(), words("--lib --bins")), ("doc".to_owned(), words("--doc"))];
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        let packages = house.metadata.workspace_packages();
        // The end-to-end suites come last: they take longest, and say least about where the fault is.
        let (inside, outside): (Vec<_>, Vec<_>) = packages.into_iter().partition(|p| p.name.as_str() != "droves-e2e");
        for package in inside.into_iter().chain(outside) {
            for target in package.targets.iter().filter(|target| target.is_test()) {
                if let Some(other) = owners.insert(target.name.clone(), package.name.to_string()) {
                    bail!("{other} and {} both have a test target `{}`: rename one", package.name, target.name);
                }
                named.push((target.name.clone(), vec!["--test".to_owned(), target.name.clone()]));
            }
        }
        Ok(Suites { named })
    }

    fn choose(&self, only: &[String]) -> Result<Vec<&(String, Vec<String>)>> {
        for wanted in only {
            if !self.named.iter().any(|(name, _)| name == wanted) {
                let known: Vec<&str> = self.named.iter().map(|(name, _)| name.as_str()).collect();
                bail!("no suite is called `{wanted}`; there are: {}", known.join(", "));
            }
        }
        Ok(self.named.iter().filter(|(name, _)| only.is_empty() || only.contains(name)).collect())
    }
}

/// How every call of `cargo test` is made.
struct Door {
    root: PathBuf,
    peers: PathBuf,
    left_out: PathBuf,
}

impl Door {
    /// Run suites one after the other.
    fn run_all(
        &self,
        suites: &[&(String, Vec<String>)],
        run: impl Fn(&Door, &str, &[&str]) -> Result<bool>,
    ) -> Result<Vec<Row>> {
        let row = |(name, arguments): &&(String, Vec<String>)| {
            let start = Instant::now();
            let passed = run(self, name, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
            Ok(Row { name: name.clone(), passed, took: start.elapsed() })
        };
        suites.iter().map(row).collect()
    }

    /// Run a suite and show what it says as it says it.
    fn cargo(&self, suite: &str, arguments: &[&str]) -> Result<bool> {
        println!("test: suite {suite}");
        Ok(self.command(arguments).status().context("cargo test")?.success())
    }

    /// The same, shown at once when it is done.
    fn cargo_aside(&self, suite: &str, arguments: &[&str]) -> Result<bool> {
        println!("test: suite {suite} runs beside the others, and is shown when it is done");
        let output = self.command(arguments).output().context("cargo test")?;
        let [said, minded] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        println!("test: suite {suite}, which ran beside the others\n{minded}{said}");
        Ok(output.status.success())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["test", "--workspace", "--no-fail-fast"]).args(arguments).current_dir(&self.root);
        command.env("DROVES_PEERS", &self.peers).env("DROVES_LEFT_OUT", &self.left_out);
        command
    }
}

/// Tests that leave themselves out append a line `test <tab> reason` to the file that `DROVES_LEFT_OUT` names.
fn left_out_file(house: &House) -> Result<PathBuf> {
    let path = house.metadata.target_directory.join("left-out.tsv").into_std_path_buf();
    std::fs::create_dir_all(&house.metadata.target_directory)?;
    std::fs::write(&path, "").with_context(|| path.display().to_string())?;
    Ok(path)
}

fn read_left_out(path: &Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    let cut = |line: &str| line.split_once('\t').map(|(test, why)| (test.to_owned(), why.to_owned()));
    Ok(lines
        .into_iter()
        .map(|line| cut(line).unwrap_or_else(|| (line.to_owned(), "no reason given".to_owned())))
        .collect())
}

fn print_rows(rows: &[Row]) {
    println!("\n{:<28} {:<8} {:>8}", "suite", "outcome", "seconds");
    for row in rows {
        println!(
            "{:<28} {:<8} {:>8.1}",
            row.name,
            if row.passed { "passed" } else { "FAILED" },
            row.took.as_secs_f64()
        );
    }
}

fn print_left_out(left_out: &[(String, String)], ci: bool) {
    if left_out.is_empty() {
        println!("left out: nothing");
        return;
    }
    println!("\n{:<44} why it was left out", "left out");
    for (what, why) in left_out {
        println!("{what:<44} {why}");
    }
    if ci {
        println!("error: under CI nothing may be left out");
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_tests_left_out_is_listed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("left-out.tsv");
        std::fs::write(&path, "b\tno Go\na\tno openssl\nb\tno Go\n\nodd\n").unwrap();
        let owned = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let expected = [owned("a", "no openssl"), owned("b", "no Go"), owned("odd", "no reason given")];
        assert_eq!(read_left_out(&path).unwrap(), expected);
    }

    #[test]
    fn an_unknown_suite_is_an_error_that_names_the_known_ones() {
        let suites = Suites { named: vec![("unit".to_owned(), vec![]), ("servers".to_owned(), vec![])] };
        let error = suites.choose(&["server".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "no suite is called `server`; there are: unit, servers");
        assert_eq!(suites.choose(&[]).unwrap().len(), 2);
    }
}
