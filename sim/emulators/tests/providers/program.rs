//! A program that plays a server's sender: jobs go in, a line each, and what its library made of them comes out.

use crate::left_out::Stop;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Program {
    /// Starts it; what it complains of goes to a log in this folder.
    pub(crate) fn start(command: &mut Command, folder: &Path) -> Self {
        let log = folder.join("program.log");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Program { child, input: Some(input), output, log }
    }

    /// What it says of a job.
    pub(crate) fn run<T: DeserializeOwned>(&mut self, job: &Value) -> T {
        writeln!(self.input.as_mut().unwrap(), "{job}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
        serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line} {}", log()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It ends at the end of its input.
        drop(self.input.take());
        let _gone = self.child.kill().is_ok() && self.child.wait().is_ok();
    }
}

/// Python with the libraries of this peer, as `cargo xtask peers` installs it.
pub(crate) fn python(name: &str) -> Result<PathBuf, Stop> {
    peer(&format!("python/{name}/bin/python"))
}

/// A program among the peers.
pub(crate) fn peer(path: &str) -> Result<PathBuf, Stop> {
    let peers = std::env::var_os("DROVES_PEERS").map(PathBuf::from);
    let left_out = || Stop::LeftOut(format!("no {path} among the peers: `cargo xtask peers` makes it"));
    peers.map(|peers| peers.join(path)).filter(|program| program.is_file()).ok_or_else(left_out)
}
