//! mosquitto, a broker of MQTT that is not ours: one user, sessions that outlive it on disk, and a log of every packet.

use crate::process::{Running, answer_of, wait_until};
use crate::{Error, program, python};
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The one user that Headwind MDM's agents are.
const USER: &str = "hmdm";

/// A running broker.
pub struct Mosquitto {
    running: Running,
    port: u16,
    program: PathBuf,
    dir: PathBuf,
}

impl Mosquitto {
    /// Start it on a free port for whoever knows this password.
    pub fn start(dir: &Path, password: &str) -> Result<Mosquitto, Error> {
        let (program, passwords) = (program("mosquitto")?, dir.join("mosquitto.passwords"));
        let tool = crate::program("mosquitto_passwd")?;
        answer_of(Command::new(tool).args(["-b", "-c"]).arg(passwords).args([USER, password]))?;
        let settings = dir.join("mosquitto.conf");
        std::fs::write(&settings, settings_in(dir)).map_err(Error::at(&settings))?;
        let (running, port) = Running::serve("mosquitto", dir, |port| command(&program, dir, port), answers)?;
        Ok(Mosquitto { running, port, program, dir: dir.to_path_buf() })
    }

    /// The port that it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// End it, and start it again where it was, with the sessions that it had.
    pub fn restart(&mut self) -> Result<(), Error> {
        answer_of(Command::new("kill").args(["-TERM", &self.running.pid().to_string()]))?;
        if !wait_until(Duration::from_secs(120), || !self.running.is_alive()) {
            return Err(self.running.error("does not end"));
        }
        let command = |port: u16| command(&self.program, &self.dir, port);
        (self.running, _) = Running::serve_on(self.port, "mosquitto", &self.dir, command, answers)?;
        Ok(())
    }

    /// How many lines of its log have this in them.
    pub fn logged(&self, what: &str) -> usize {
        let log = std::fs::read_to_string(self.dir.join("mosquitto.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(what)).count()
    }

    /// paho's client, ready to tell the devices of these numbers that their configuration is new.
    pub fn publisher(&self, numbers: &[String]) -> Result<Publisher, Error> {
        let publish = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/mqtt/publish.py");
        let mut python = Command::new(python("mqtt")?);
        python.arg(&publish).arg(format!("127.0.0.1:{}", self.port)).args(numbers);
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = python.spawn().map_err(Error::at(&publish))?;
        // If it ends instead, it says why when it is told to publish.
        let mut said = [0; b"ready\n".len()];
        drop(child.stdout.as_mut().map(|stdout| stdout.read_exact(&mut said)));
        Ok(Publisher(child))
    }
}

/// A client that waits for its word.
pub struct Publisher(Child);

impl Publisher {
    /// Tells the devices, as Headwind MDM does. Done when the broker has taken all of it.
    pub fn configuration_is_new(self) -> Result<(), Error> {
        let output = self.0.wait_with_output().map_err(Error::at("publish.py"))?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(())
        } else {
            Err(Error::Program { program: "publish.py".into(), said: said() })
        }
    }
}

fn command(program: &Path, dir: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.arg("-c").arg(dir.join("mosquitto.conf")).args(["-p", &port.to_string()]);
    command
}

/// Without a listener of its own it serves loopback only. Started by root it would become another user, who may not write
/// here.
fn settings_in(dir: &Path) -> String {
    format!(
        "allow_anonymous false\npassword_file {0}/mosquitto.passwords\npersistence true\npersistence_location {0}/\n\
         log_dest stderr\nlog_type all\nuser root\n",
        dir.display()
    )
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
