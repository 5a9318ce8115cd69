//! The sink, as its users run it: the other end for load.

use crate::process::Running;
use crate::{Authority, Error, program, wait_until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A sink on a free port.
pub struct Sink {
    running: Running,
    url: String,
    processes: Vec<u64>,
    counts: PathBuf,
}

impl Sink {
    /// Start it for devices of this authority.
    pub fn start(dir: &Path, authority: &Authority, flags: &[&str]) -> Result<Sink, Error> {
        let (ready, counts) = (dir.join("sink.ready"), dir.join("sink.json"));
        let mut command = Command::new("sh");
        // Its counts go to a file of their own.
        command.args(["-c", "out=$1; shift; exec \"$@\" >\"$out\"", "sh"]).arg(&counts).arg(program("droves")?);
        command.args(["sink", "--listen", "127.0.0.1:0", "--json", "--ready-file"]).arg(&ready);
        command.arg("--ca").arg(authority.certificate()).arg("--ca-key").arg(authority.key());
        command.args(flags).env_remove("RUST_LOG");
        let mut running = Running::start("sink", dir, &mut command)?;
        wait_until(Duration::from_secs(120), || ready.is_file() || !running.is_alive());
        let text = std::fs::read(&ready).map_err(|_| running.error("is not ready"))?;
        let told: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| Error::Answer(format!("{}: {error}", ready.display())))?;
        let url = told["target"].as_str().unwrap_or_default().to_owned();
        let processes = told["processes"].as_array().into_iter().flatten().filter_map(|id| id.as_u64()).collect();
        Ok(Sink { running, url, processes, counts })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it has said this.
    pub fn has_said(&self, words: &str) -> bool {
        self.running.has_said(words)
    }

    /// Its processes, for signals.
    pub fn processes(&self) -> &[u64] {
        &self.processes
    }

    /// End it by a signal as Ctrl-C sends it, and read what it has counted, with its exit code.
    pub fn finish(mut self) -> Result<(serde_json::Value, i32), Error> {
        let kill = Command::new("kill").args(["-INT", &self.running.pid().to_string()]).status();
        kill.map_err(Error::at("kill"))?;
        self.counted()
    }

    /// The same for one that ends by itself.
    pub fn counted(&mut self) -> Result<(serde_json::Value, i32), Error> {
        if !wait_until(Duration::from_secs(120), || !self.running.is_alive()) {
            return Err(self.running.error("does not end"));
        }
        let text = std::fs::read(&self.counts).map_err(Error::at(&self.counts))?;
        let counts = serde_json::from_slice(&text).map_err(|_| self.running.error("counted nothing"))?;
        Ok((counts, self.running.exit_code().unwrap_or(-1)))
    }
}
