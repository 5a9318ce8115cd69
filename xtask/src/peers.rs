//! The real servers and clients that the tests talk to, installed by name and version into one folder. What is there
//! in the right version is left alone; what can't be installed is said with its reason, and the tests that need it are
//! left out by name.

use crate::House;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A program of the Go registry, pinned.
struct Module {
    name: &'static str,
    package: &'static str,
    version: &'static str,
}

const MODULES: &[Module] = &[
    Module { name: "nanomdm", package: "github.com/micromdm/nanomdm/cmd/nanomdm", version: "v0.9.0" },
    Module { name: "scepserver", package: "github.com/micromdm/scep/v2/cmd/scepserver", version: "v2.3.0" },
    Module { name: "scepclient", package: "github.com/micromdm/scep/v2/cmd/scepclient", version: "v2.3.0" },
    // The largest of them: four minutes on two cores, once.
    Module { name: "step-ca", package: "github.com/smallstep/certificates/cmd/step-ca", version: "v0.30.2" },
    Module { name: "nanohub", package: "github.com/micromdm/nanohub/cmd/nanohub", version: "v0.2.0" },
];

/// Small programs of ours around a library that is not: every Go module in this folder, named as its own folder is.
/// Their libraries are pinned by their `go.sum`.
const PROGRAMS: &str = "tests/peers";

/// What runs programs of ours in the same folder: each that has this mark gets an environment of its own, with the
/// libraries that the mark pins.
struct Interpreter {
    name: &'static str,
    program: &'static str,
    /// A copy of it in the environment is the stamp that all of it is there.
    mark: &'static str,
    /// Where environments are, below the peers' folder.
    below: &'static str,
    missing: &'static str,
    /// Makes the environment for a program's folder.
    build: fn(&Path, &Path) -> Result<()>,
}

const INTERPRETERS: [Interpreter; 2] = [
    Interpreter {
        name: "Python",
        program: "python3",
        mark: "requirements.txt",
        below: "python",
        missing: "no Python: install Python 3.11 or later with venv (apt-get install python3-venv)",
        build: build_python,
    },
    Interpreter {
        name: "Node",
        program: "npm",
        mark: "package-lock.json",
        below: "node",
        missing: "no Node: install Node 20 or later with npm (https://nodejs.org)",
        build: build_node,
    },
];

/// Why Go programs are missing on a machine without Go.
const NO_GO: &str = "no Go: install Go 1.26 or later (https://go.dev/dl, or apt-get install golang)";

/// What became of each peer.
#[derive(Default)]
pub(crate) struct Installed {
    rows: Vec<(String, Outcome)>,
}

enum Outcome {
    Present,
    Installed(Duration),
    LeftOut(String),
}

impl Installed {
    fn add(&mut self, name: String, outcome: Outcome) {
        match &outcome {
            Outcome::Present => println!("peers: {name} is there"),
            Outcome::Installed(took) => println!("peers: {name} installed in {:.1} s", took.as_secs_f64()),
            Outcome::LeftOut(why) => println!("peers: {name} left out, {why}"),
        }
        self.rows.push((name, outcome));
    }

    /// The peers that are missing, with the reason.
    pub(crate) fn left_out(&self) -> Vec<(String, String)> {
        let left_out = |(name, outcome): &(String, Outcome)| match outcome {
            Outcome::LeftOut(why) => Some((format!("peer {name}"), why.clone())),
            _ => None,
        };
        self.rows.iter().filter_map(left_out).collect()
    }
}

/// Install what is missing, a line as each is done. An installation that fails is a peer left out, not an error here.
pub(crate) fn install_all(house: &House) -> Result<Installed> {
    let bin = house.peers_dir().join("bin");
    std::fs::create_dir_all(&bin).with_context(|| bin.display().to_string())?;
    let go = Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    let mut installed = Installed::default();
    for module in MODULES {
        let outcome = if is_stamped(&bin, module) {
            Outcome::Present
        } else if go {
            run_timed(|| install(&bin, module))
        } else {
            Outcome::LeftOut(NO_GO.to_owned())
        };
        installed.add(format!("{} {}", module.name, module.version), outcome);
    }
    for (name, dir) in programs(&house.root(), "go.mod")? {
        // Go's own cache decides what is to be built again: without a change it takes half a second.
        let build = || go_command(&dir, &["build", "-trimpath", "-o", &path_text(&bin.join(&name)), "."]);
        let outcome = if go { run_timed(build) } else { Outcome::LeftOut(NO_GO.to_owned()) };
        installed.add(name, outcome);
    }
    for interpreter in &INTERPRETERS {
        let Interpreter { name: kind, program, mark, below, missing, build } = interpreter;
        let is_there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
        for (name, dir) in programs(&house.root(), mark)? {
            let environment = house.peers_dir().join(below).join(&name);
            let wanted = std::fs::read_to_string(dir.join(mark)).context(*mark)?;
            let outcome = if std::fs::read_to_string(environment.join(mark)).is_ok_and(|has| has == wanted) {
                Outcome::Present
            } else if is_there {
                run_timed(|| {
                    build(&environment, &dir)?;
                    std::fs::write(environment.join(mark), &wanted).context("the stamp of an environment")
                })
            } else {
                Outcome::LeftOut((*missing).to_owned())
            };
            installed.add(format!("{name} ({kind})"), outcome);
        }
    }
    Ok(installed)
}

fn build_python(environment: &Path, dir: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(environment.join("bin/python")).args(pip).arg(dir.join("requirements.txt")))
}

/// npm takes its two files from the folder that it fills, and one of them is the stamp: it is filled next to its place.
fn build_node(environment: &Path, dir: &Path) -> Result<()> {
    let filled = environment.with_extension("new");
    for old in [&filled, &environment.to_path_buf()] {
        if old.exists() {
            std::fs::remove_dir_all(old).with_context(|| old.display().to_string())?;
        }
    }
    std::fs::create_dir_all(&filled).with_context(|| filled.display().to_string())?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(dir.join(file), filled.join(file)).context(file)?;
    }
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&filled))?;
    std::fs::rename(&filled, environment).context("the environment's place")
}

/// The folders of our own small programs that have this file.
fn programs(root: &Path, mark: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let folder = root.join(PROGRAMS);
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let dir = entry?.path();
        if let Some(name) = dir.file_name().filter(|_| dir.join(mark).is_file()) {
            found.push((name.to_string_lossy().into_owned(), dir.clone()));
        }
    }
    found.sort();
    Ok(found)
}

fn run_timed(work: impl FnOnce() -> Result<()>) -> Outcome {
    let start = Instant::now();
    match work() {
        Ok(()) => Outcome::Installed(start.elapsed()),
        Err(error) => Outcome::LeftOut(format!("{error:#}")),
    }
}

/// A stamp beside the program names its version, so that a new pin installs anew.
fn stamp(bin: &Path, module: &Module) -> PathBuf {
    bin.join(format!("{}.version", module.name))
}

fn is_stamped(bin: &Path, module: &Module) -> bool {
    let stamped = std::fs::read_to_string(stamp(bin, module)).is_ok_and(|version| version == module.version);
    stamped && bin.join(module.name).is_file()
}

fn install(bin: &Path, module: &Module) -> Result<()> {
    go_command(bin, &["install", "-trimpath", &format!("{}@{}", module.package, module.version)])?;
    std::fs::write(stamp(bin, module), module.version).context("the version stamp")
}

fn go_command(dir: &Path, arguments: &[&str]) -> Result<()> {
    let mut go = Command::new("go");
    // No C compiler is needed, and the result runs on any machine of this kind.
    go.args(arguments).current_dir(dir).env("CGO_ENABLED", "0");
    if arguments.first() == Some(&"install") {
        go.env("GOBIN", dir);
    }
    run(&mut go)
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| program.clone())?;
    if output.status.success() {
        return Ok(());
    }
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    anyhow::bail!("`{program} {}` failed: {}", arguments.join(" "), last.join(" / "))
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_new_pin_is_not_taken_for_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let module = &MODULES[0];
        assert!(!is_stamped(dir.path(), module));
        std::fs::write(dir.path().join(module.name), "").unwrap();
        std::fs::write(stamp(dir.path(), module), module.version).unwrap();
        assert!(is_stamped(dir.path(), module));
        std::fs::write(stamp(dir.path(), module), "v0.0.1").unwrap();
        assert!(!is_stamped(dir.path(), module));
    }
}
