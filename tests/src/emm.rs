//! The independent EMM of `tests/peers/emm`, which manages its devices at Google by Google's own libraries for Python: what it
//! believes of them by their notifications, and what it has seen that Google would not do.

use crate::peer::unit_tests;
use crate::process::Running;
use crate::{Call, Error, python};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What its administrator shows.
const BEARER: &str = "Bearer emm";

/// A running EMM.
pub struct Emm {
    _running: Running,
    port: u16,
}

impl Emm {
    /// Start it at this port for the Google of a run, which says in this file where that is.
    pub fn start(dir: &Path, port: u16, ready_file: &Path, settings: &[(&str, Value)]) -> Result<Emm, Error> {
        let python = python("google")?;
        // Two busy cores take longer than Google does.
        let mut all = json!({ "ready_file": ready_file, "port": port, "ready_within": 300, "notify_within": 60 });
        for (name, value) in settings {
            all[*name] = value.clone();
        }
        let file = dir.join("emm.json");
        std::fs::write(&file, all.to_string()).map_err(Error::at(&file))?;
        let command = |_| {
            let mut command = Command::new(&python);
            command.arg(folder().join("emm.py")).arg(&file).env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        let is_up = |port| ask("GET", "/counts", &Value::Null, port).is_ok();
        let (running, port) = Running::serve_on(port, "emm-peer", dir, command, is_up)?;
        Ok(Emm { _running: running, port })
    }

    /// A scenario that lets it enroll a fleet, ask it for this and that, and have it back: `emm.yaml`.
    pub fn scenario() -> Result<String, Error> {
        let file = folder().join("emm.yaml");
        let text = std::fs::read_to_string(&file).map_err(Error::at(&file))?;
        Ok(text.replace("./server.yaml", &folder().join("server.yaml").to_string_lossy()))
    }

    /// Ask its API.
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        ask("GET", path, &Value::Null, self.port)
    }

    /// Have it set a device's state at Google.
    pub fn be(&self, id: &str, state: &str) -> Result<(), Error> {
        ask("PUT", &format!("/devices/{id}/state"), &json!({ "state": state }), self.port).map(drop)
    }

    /// Have it delete a device at Google.
    pub fn delete(&self, id: &str) -> Result<(), Error> {
        ask("DELETE", &format!("/devices/{id}"), &Value::Null, self.port).map(drop)
    }
}

/// Its own tests: what they say of it, and whether it is well.
pub fn emm_tests() -> Result<(bool, String), Error> {
    unit_tests("google", &folder())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/emm")
}

fn ask(method: &'static str, path: &str, body: &Value, port: u16) -> Result<Value, Error> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("Content-Type", "application/json"), ("Authorization", BEARER)];
    let answer = Call { method, path, headers: &headers, body: body.as_bytes() }.send(port)?;
    match serde_json::from_slice(&answer.body) {
        Ok(value) if answer.status < 300 => Ok(value),
        _ => Err(Error::Answer(format!("{method} {path}: {} {}", answer.status, answer.text()))),
    }
}
