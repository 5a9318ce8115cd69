//! The program under test, as its users run it.

use crate::process::Running;
use crate::{Error, free_port, program, wait_until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A run ends by itself, if not by a test then at one of its own limits: ten minutes for what takes seconds.
const END_WAIT_MAX: Duration = Duration::from_secs(1_500);

/// Droves with a folder of its own and a port for the door to its push service.
pub struct Droves {
    program: PathBuf,
    dir: PathBuf,
    door: u16,
    certificates: PathBuf,
}

/// What a run left: `summary.json`, and where it lies.
pub struct Run {
    /// The summary.
    pub summary: serde_json::Value,
    /// The results folder.
    pub folder: PathBuf,
    /// The exit code.
    pub code: i32,
}

impl Droves {
    /// Prepare to run it in `dir`; makes the authority that servers must trust.
    pub fn new(dir: &Path) -> Result<Droves, Error> {
        let program = program("droves")?;
        let certificates = dir.join("certs");
        let made = Command::new(&program).args(["certs", "--certs"]).arg(&certificates).output();
        let made = made.map_err(Error::at("droves certs"))?;
        if !made.status.success() {
            return Err(Error::Answer(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        Ok(Droves { program, dir: dir.to_path_buf(), door: free_port()?, certificates })
    }

    /// `HTTPS_PROXY` for a server under test.
    pub fn proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.door)
    }

    /// `SSL_CERT_FILE` for a server under test.
    pub fn trusted(&self) -> PathBuf {
        self.certificates.join("push-ca.pem")
    }

    /// The root of devices' attestations: what an ACME server under test must trust.
    pub fn attestation_root(&self) -> Result<PathBuf, Error> {
        let keys = keys();
        let said = self.say(&["certs", "--attestation", "--keys", &keys.to_string_lossy()])?;
        Ok(PathBuf::from(said.trim()))
    }

    /// Write a scenario, and begin another command with it than `run`: `command FILE flags`.
    pub fn begin(
        &self,
        command: &[&str],
        name: &str,
        scenario: &str,
        env: &[(&str, &str)],
        flags: &[&str],
    ) -> Result<Running, Error> {
        let file = self.scenario(name, scenario)?;
        let mut program = Command::new(&self.program);
        program.args(command).arg(&file).args(flags).envs(env.iter().copied()).env_remove("RUST_LOG");
        if command.contains(&"mint") {
            program.arg("--keys").arg(keys());
        }
        Running::start(&command.join("-"), &self.dir, &mut program)
    }

    /// The same to its end; anything but 0 is an error with what it said.
    pub fn complete(
        &self,
        command: &[&str],
        name: &str,
        scenario: &str,
        env: &[(&str, &str)],
        flags: &[&str],
    ) -> Result<(), Error> {
        let mut running = self.begin(command, name, scenario, env, flags)?;
        wait_until(END_WAIT_MAX, || !running.is_alive());
        if running.exit_code() == Some(0) { Ok(()) } else { Err(running.error("did not end well")) }
    }

    /// A command that is over at once, and what it says; anything but 0 is an error with it.
    pub fn say(&self, arguments: &[&str]) -> Result<String, Error> {
        let output = Command::new(&self.program).args(arguments).env_remove("RUST_LOG").output();
        let output = output.map_err(Error::at(arguments.join(" ")))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() { Ok(said) } else { Err(Error::Answer(said)) }
    }

    fn scenario(&self, name: &str, scenario: &str) -> Result<PathBuf, Error> {
        let file = self.dir.join(format!("{name}.yaml"));
        std::fs::write(&file, scenario).map_err(Error::at(&file))?;
        Ok(file)
    }

    /// Begin a run of a scenario, with its results in a folder of this name.
    pub fn start(&self, name: &str, scenario: &str, env: &[(&str, &str)], flags: &[&str]) -> Result<Started, Error> {
        let file = self.scenario(name, scenario)?;
        let out = self.dir.join(format!("results-{name}"));
        let ready = self.dir.join(format!("{name}.ready"));
        let mut command = Command::new(&self.program);
        command.arg("run").arg(&file).arg("--headless").arg("--out").arg(&out).arg("--certs").arg(&self.certificates);
        command.args(["--door-port", &self.door.to_string(), "--wait", "10m"]).arg("--ready-file").arg(&ready);
        command.arg("--keys").arg(keys());
        command.args(flags).envs(env.iter().copied()).env_remove("RUST_LOG");
        Ok(Started { running: Running::start(name, &self.dir, &mut command)?, out, ready })
    }

    /// Run a scenario to its end.
    pub fn run(&self, name: &str, scenario: &str, env: &[(&str, &str)], flags: &[&str]) -> Result<Run, Error> {
        self.start(name, scenario, env, flags)?.finish()
    }
}

/// Keys are made once for all cases of this machine.
fn keys() -> PathBuf {
    std::env::temp_dir().join("droves-test-keys")
}

/// A run under way.
pub struct Started {
    running: Running,
    out: PathBuf,
    ready: PathBuf,
}

impl Started {
    /// The process, for signals.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Wait until everything listens.
    pub fn ready(&mut self) -> Result<(), Error> {
        let is_ready = wait_until(END_WAIT_MAX, || self.ready.is_file() || !self.running.is_alive());
        if is_ready && self.ready.is_file() { Ok(()) } else { Err(self.running.error("is not ready")) }
    }

    /// The file in which it says that everything listens, and where.
    pub fn ready_file(&self) -> &Path {
        &self.ready
    }

    /// Whether it has said this, on its standard output or elsewhere.
    pub fn has_said(&self, words: &str) -> bool {
        self.running.has_said(words)
    }

    /// What its ready file says.
    pub fn told(&self) -> Result<serde_json::Value, Error> {
        let text = std::fs::read(&self.ready).map_err(Error::at(&self.ready))?;
        serde_json::from_slice(&text).map_err(|error| Error::Answer(format!("{}: {error}", self.ready.display())))
    }

    /// The port of the server inside the run, once everything listens.
    pub fn target_port(&self) -> Result<u16, Error> {
        let told = self.told()?;
        let port = told["target"].as_str().and_then(|url| url.rsplit(':').next()?.parse().ok());
        port.ok_or_else(|| Error::Answer(format!("no port of the target in {told:#}")))
    }

    /// Break it off as Ctrl-C does, wait for the end, and read what it left.
    pub fn interrupt(self) -> Result<Run, Error> {
        let kill = Command::new("kill").args(["-INT", &self.running.pid().to_string()]).status();
        kill.map_err(Error::at("kill"))?;
        self.finish()
    }

    /// Wait for the end, and read what it left.
    pub fn finish(mut self) -> Result<Run, Error> {
        let ended = wait_until(END_WAIT_MAX, || !self.running.is_alive());
        if !ended {
            return Err(self.running.error("does not end"));
        }
        let code = self.running.exit_code().unwrap_or(-1);
        let folders = std::fs::read_dir(&self.out).map_err(Error::at(&self.out))?;
        let folder = folders.filter_map(Result::ok).map(|entry| entry.path()).max();
        let folder = folder.ok_or_else(|| self.running.error("left no results"))?;
        let path = folder.join("summary.json");
        let text = std::fs::read(&path).map_err(|_| self.running.error("left no summary.json"))?;
        let summary =
            serde_json::from_slice(&text).map_err(|error| Error::Answer(format!("{}: {error}", path.display())))?;
        Ok(Run { summary, folder, code })
    }
}

impl Run {
    /// A number of the summary, by its path; an error that shows the whole if it is not there.
    pub fn number(&self, path: &str) -> u64 {
        let found = path.split('.').try_fold(&self.summary, |value, name| value.get(name));
        found.and_then(serde_json::Value::as_u64).unwrap_or_else(|| panic!("no {path} in {:#}", self.summary))
    }

    /// Fails unless every identity of the summary holds.
    pub fn adds_up(&self) {
        let identities = self.summary["identities"].as_array().cloned().unwrap_or_default();
        assert!(identities.len() >= 4, "{:#}", self.summary);
        for identity in identities {
            assert_eq!(identity["holds"], true, "{identity:#}");
        }
    }
}
