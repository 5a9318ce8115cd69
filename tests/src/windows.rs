//! The independent Windows peer of `tests/peers/windows`: its server, what that was asked, understood and minded; and its
//! judgement of recorded messages.

use crate::process::{Running, wait_until};
use crate::{Call, Error, python};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A server on free ports.
pub struct WindowsServer {
    running: Running,
    told: Value,
    recorded: PathBuf,
}

impl WindowsServer {
    /// Start it with these options; it records every message.
    pub fn start(dir: &Path, options: &[&str]) -> Result<WindowsServer, Error> {
        let (ready, recorded) = (dir.join("windows-server.ready"), dir.join("messages"));
        let mut command = windows_package("server")?;
        command.arg("--directory").arg(dir.join("windows-keys")).arg("--record").arg(&recorded);
        command.args(options).arg("--ready-file").arg(&ready);
        let mut running = Running::start("windows-server", dir, &mut command)?;
        wait_until(Duration::from_secs(120), || ready.is_file() || !running.is_alive());
        let text = std::fs::read(&ready).map_err(|_| running.error("is not ready"))?;
        let told = serde_json::from_slice(&text).map_err(|_| running.error("does not say where it is"))?;
        Ok(WindowsServer { running, told, recorded })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.told["base"].as_str().unwrap_or_default()
    }

    /// Where its API is.
    pub fn admin(&self) -> &str {
        self.told["admin"].as_str().unwrap_or_default()
    }

    /// The authority that devices must trust, PEM.
    pub fn ca(&self) -> &str {
        self.told["ca"].as_str().unwrap_or_default()
    }

    /// What it knows of each device.
    pub fn devices(&self) -> Result<Vec<Value>, Error> {
        self.list("/devices")
    }

    /// Queue commands for a device; their numbers.
    pub fn queue(&self, device: &str, commands: &Value) -> Result<Vec<Value>, Error> {
        let path = format!("/devices/{device}/commands");
        array(&path, self.ask("POST", &path, commands.to_string().as_bytes())?)
    }

    /// Queue a device's end of management.
    pub fn let_go(&self, device: &str) -> Result<(), Error> {
        self.ask("POST", &format!("/devices/{device}/unenroll"), &[]).map(|_| ())
    }

    /// Every command for a device, also its own, with number, status codes and results.
    pub fn answers(&self, device: &str) -> Result<Vec<Value>, Error> {
        self.list(&format!("/devices/{device}/answers"))
    }

    /// What it believes the device's management tree to be: `format` and `data` by the node's path in small letters, without
    /// `./Device/`.
    pub fn tree(&self, device: &str) -> Result<Value, Error> {
        self.ask("GET", &format!("/devices/{device}/tree"), &[])
    }

    /// The rules of either level that devices broke.
    pub fn violations(&self) -> Result<Vec<Value>, Error> {
        self.list("/violations")
    }

    /// The rules that it broke itself: its own faults.
    pub fn own_violations(&self) -> Result<Vec<Value>, Error> {
        self.list("/own-violations")
    }

    /// Has every recorded message judged: see [`judge_recorded`].
    pub fn judge_recorded(&self) -> Result<(), Error> {
        judge_recorded(&self.recorded)
    }

    fn list(&self, path: &str) -> Result<Vec<Value>, Error> {
        array(path, self.ask("GET", path, &[])?)
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Value, Error> {
        let port = self.admin().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| self.running.error("has no port for its API"))?;
        let answer = Call { method, path, headers: &[], body }.send(port)?;
        match serde_json::from_slice(&answer.body) {
            Ok(value) if answer.status == 200 => Ok(value),
            _ => Err(Error::Answer(format!("{method} {path}: {} {}", answer.status, answer.text()))),
        }
    }
}

fn array(path: &str, value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(Error::Answer(format!("{path}: {other}"))),
    }
}

/// Sends a raw notification of WNS to each of these channels by somebody else's client, `tests/peers/wns-provider`: what it
/// said of each, nothing where it was content.
pub fn wns_send(access_url: &str, ca: &Path, channels: &[String]) -> Result<Vec<String>, Error> {
    let job = serde_json::json!({ "channels": channels, "raw": "1", "id": "ms-app://S-1-15-2-1", "secret": "secret" });
    let mut command = Command::new("sh");
    command.args(["-c", "printf '%s\\n' \"$1\" | \"$2\" \"$3\" \"$4\"", "sh"]).arg(job.to_string());
    command.arg(python("wns-provider")?).arg(peers().join("wns-provider/provider.py")).arg(access_url);
    command.env("SSL_CERT_FILE", ca).env("PYTHONDONTWRITEBYTECODE", "1");
    let said = crate::process::answer_of(&mut command)?;
    serde_json::from_str(&said).map_err(|_| Error::Answer(said))
}

/// Has every message in a folder judged by rules, by schema (xmllint) and by its way through WBXML and back; an error with
/// what was said. Tools that are missing leave the case out.
pub fn judge_recorded(folder: &Path) -> Result<(), Error> {
    let mut command = windows_package("check_recorded")?;
    let output = command.arg("--require").arg(folder).output().map_err(Error::at(folder))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(2) if said.contains("is not installed") => {
            Err(Error::LeftOut(format!("{said}: apt-get install libxml2-utils libwbxml2-utils")))
        }
        _ => Err(Error::Answer(format!("{said}{}", String::from_utf8_lossy(&output.stderr)))),
    }
}

/// A module of the package in `tests/peers/windows`, as `python -m` runs it.
pub fn windows_package(module: &str) -> Result<Command, Error> {
    let mut command = Command::new(python("windows")?);
    command.args(["-m", &format!("windows.{module}")]).current_dir(peers()).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}
