//! The independent Headwind MDM server of `tests/peers/headwind`: what its devices called, what it minded of that, and what it
//! was told to do wrong.

use crate::peer::unit_tests;
use crate::process::Running;
use crate::{Call, Error, Mosquitto, python};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The token of its administrator.
const TOKEN: &str = "administrator";
/// Upper-case hexadecimal SHA-1 of `hmdm` and the secret that all agents share with their server.
const PASSWORD: &str = "D54F553ED2EAC4DCF371B38366EBFA1B5973811A";

/// A running server.
pub struct Headwind {
    _running: Running,
    port: u16,
    /// The path below which it is.
    project: String,
}

impl Headwind {
    /// The broker that it and its agents know the password of.
    pub fn broker(dir: &Path) -> Result<Mosquitto, Error> {
        Mosquitto::start(dir, PASSWORD)
    }

    /// Start it with these options and in this environment.
    pub fn start(dir: &Path, options: &[&str], env: &[(&str, &str)]) -> Result<Headwind, Error> {
        let python = python("headwind")?;
        let command = |port: u16| {
            let mut command = Command::new(&python);
            command.arg(folder().join("server.py")).args(["--port", &port.to_string(), "--id-token", TOKEN]);
            command.args(["--password-was-set"]).args(options).envs(env.iter().copied());
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        let (running, port) = Running::serve("headwind", dir, command, |port| truth(port).is_ok())?;
        let project = options.iter().skip_while(|option| **option != "--project").nth(1).copied().unwrap_or_default();
        Ok(Headwind { _running: running, port, project: project.to_owned() })
    }

    /// `HEADWIND_KEY` for a run against it.
    pub fn key() -> (&'static str, &'static str) {
        ("HEADWIND_KEY", TOKEN)
    }

    /// The port that it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it knows.
    pub fn truth(&self) -> Result<Value, Error> {
        truth(self.port)
    }

    /// Set a configuration, as its administrator does: whole, with its id.
    pub fn configure(&self, configuration: &Value) -> Result<(), Error> {
        self.configure_by(self.port, configuration)
    }

    /// The same by another of its ports.
    pub fn configure_by(&self, port: u16, configuration: &Value) -> Result<(), Error> {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Content-Type", "application/json"), ("Authorization", &*bearer)];
        let path = format!("{}/rest/private/configurations", self.project);
        let body = configuration.to_string();
        let said = read(&Call { method: "PUT", path: &path, headers: &headers, body: body.as_bytes() }, port)?;
        if said["status"] == "OK" { Ok(()) } else { Err(Error::Answer(format!("PUT {path}: {said}"))) }
    }

    /// Has it do wrong, or otherwise than before: one of its levers.
    pub fn play(&self, lever: &str, order: &Value) -> Result<Value, Error> {
        let headers = [("Content-Type", "application/json")];
        let (path, body) = (format!("/_play/{lever}"), order.to_string());
        read(&Call { method: "POST", path: &path, headers: &headers, body: body.as_bytes() }, self.port)
    }
}

/// Its own tests: what they say of it, and whether it is well.
pub fn headwind_tests() -> Result<(bool, String), Error> {
    unit_tests("headwind", &folder())
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/headwind")
}

fn truth(port: u16) -> Result<Value, Error> {
    read(&Call { method: "GET", path: "/_truth", headers: &[], body: &[] }, port)
}

fn read(call: &Call<'_>, port: u16) -> Result<Value, Error> {
    let answer = call.send(port)?;
    match serde_json::from_slice(&answer.body) {
        Ok(value) if answer.status == 200 => Ok(value),
        _ => Err(Error::Answer(format!("{} {}: {} {}", call.method, call.path, answer.status, answer.text()))),
    }
}
