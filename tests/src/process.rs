//! A server as a process: its log in a file, a free port found for it, killed when it goes out of scope.

use crate::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take until it answers: Go servers take 0.1 s here, PostgreSQL 1 s; two busy cores take longer.
const READY_WAIT_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
/// Another process can take the port between our look and the server's bind.
const PORT_TRIES: usize = 5;
/// Who asks for any port is given one above these, and so is every connection: they are not taken by chance.
const PORTS: Range<u16> = 20_000..32_000;
/// What an error shows of a log.
const LOG_TAIL_BYTES: u64 = 4_000;

/// A process that ends with this value.
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where its part of the log begins.
    begins: u64,
}

impl Running {
    /// Start `command`, its output appended to `<dir>/<name>.log`.
    pub fn start(name: &str, dir: &Path, command: &mut Command) -> Result<Running, Error> {
        let log = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).map_err(Error::at(&log))?;
        let begins = file.metadata().map_err(Error::at(&log))?.len();
        let twin = file.try_clone().map_err(Error::at(&log))?;
        command.stdin(Stdio::null()).stdout(file).stderr(twin);
        let child = command.spawn().map_err(Error::at(command.get_program()))?;
        Ok(Running { name: name.to_owned(), child, log, begins })
    }

    /// Start a server on a free port of 127.0.0.1 and wait until `ready` says so. If the port was taken meanwhile, it
    /// is tried again with another.
    pub fn serve(
        name: &str,
        dir: &Path,
        command: impl Fn(u16) -> Command,
        ready: impl Fn(u16) -> bool,
    ) -> Result<(Running, u16), Error> {
        for _ in 1..PORT_TRIES {
            match Running::serve_on(free_port()?, name, dir, &command, &ready) {
                Err(Error::Server { log, .. }) if log.to_lowercase().contains("address already in use") => {}
                done => return done,
            }
        }
        Running::serve_on(free_port()?, name, dir, &command, &ready)
    }

    /// The same on a port that is given, as a restart needs it.
    pub fn serve_on(
        port: u16,
        name: &str,
        dir: &Path,
        command: impl Fn(u16) -> Command,
        ready: impl Fn(u16) -> bool,
    ) -> Result<(Running, u16), Error> {
        let mut running = Running::start(name, dir, &mut command(port))?;
        let deadline = Instant::now() + READY_WAIT_MAX;
        loop {
            if let Some(status) = running.child.try_wait().map_err(Error::at(name))? {
                return Err(running.error(format!("ended with {status}")));
            }
            if ready(port) {
                return Ok((running, port));
            }
            if Instant::now() > deadline {
                return Err(running.error(format!("did not answer within {} s", READY_WAIT_MAX.as_secs())));
            }
            std::thread::sleep(POLL);
        }
    }

    /// True until it has ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, if it has.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().and_then(|status| status.code())
    }

    /// The process, for signals.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether this stands in its log.
    pub fn has_said(&self, words: &str) -> bool {
        std::fs::read_to_string(&self.log).is_ok_and(|log| log.contains(words))
    }

    /// An error that shows the end of the log.
    pub fn error(&self, what: impl Into<String>) -> Error {
        Error::Server { name: self.name.clone(), what: what.into(), log: tail(&self.log, self.begins) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already can't be killed: there is nothing to do about either error.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Poll until it is so, for at most `wait_max`; whether it became so.
pub fn wait_until(wait_max: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + wait_max;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

/// Run a program for its standard output.
pub(crate) fn answer_of(command: &mut Command) -> Result<String, Error> {
    let output = command.output().map_err(Error::at(command.get_program()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let first = command.get_args().next().unwrap_or_default().to_string_lossy().into_owned();
    let program = format!("{} {first}", Path::new(command.get_program()).display());
    Err(Error::Program { program, said: String::from_utf8_lossy(&output.stderr).into_owned() })
}

/// A port of 127.0.0.1 that nobody has now, another one each time.
pub fn free_port() -> Result<u16, Error> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    // Suites that run at the same time begin in different places.
    let first = std::process::id().wrapping_mul(2_654_435_761) >> 16;
    for _ in PORTS {
        let n = first + ASKED.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (n % PORTS.len() as u32) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::Answer(format!("no port of {PORTS:?} is free")))
}

fn tail(log: &Path, begins: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(bytes.saturating_sub(LOG_TAIL_BYTES).max(begins)))?;
        let mut end = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut end)?;
        Ok(String::from_utf8_lossy(&end).into_owned())
    };
    read().unwrap_or_else(|error| format!("({}: {error})", log.display()))
}
