//! WNS on the stage, and the program that plays the server's sender.

use crate::left_out::Stop;
use crate::program::{Program, python};
use crate::stage::{Stage, token_book};
use droves_emulators::push::Registry;
use droves_emulators::wns::{Config, Handle, Rules};
use droves_facts::{Dice, LaneIx, Wall};
use droves_net::clock::RunClock;
use droves_wire::windows::wns;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

pub(crate) const PFN: &str = "Droves.Mdm_8wekyb3d8bbwe";
const LANES: u32 = 300;

impl Stage {
    pub(crate) fn wns(&self, rules: Rules) -> Handle {
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            certificates: self.folder().join("certs"),
            connections_max: 1_000,
            rules,
            tokens: token_book(),
            registry: Arc::new(Registry::new(LANES)),
            dice: Dice::new(1),
            clock: RunClock::start(),
        };
        Handle::start(config, self.sink()).unwrap()
    }

    /// A lane opens a channel now.
    pub(crate) fn open(&self, service: &Handle, lane: u32, generation: u32) -> String {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = Wall(i64::try_from(since.as_micros()).unwrap());
        let topic = service.registry().topic(PFN).unwrap();
        assert!(service.registry().register(LaneIx(lane), generation, topic, now));
        self.channel(service, lane, generation)
    }

    /// The URL of a channel, open or not.
    pub(crate) fn channel(&self, service: &Handle, lane: u32, generation: u32) -> String {
        wns::channel(&service.channels(), &token_book().token(LaneIx(lane), generation))
    }

    /// Starts the sender's program.
    pub(crate) fn sender(&self, service: &Handle) -> Result<Sender, Stop> {
        let mut command = Command::new(python(NAME)?);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers").join(NAME).join("provider.py"));
        command.arg(format!("https://localhost:{}/accesstoken.srf", service.addr().port()));
        command.env("SSL_CERT_FILE", service.ca_pem_path()).env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(Sender(Program::start(&mut command, self.folder())))
    }
}

/// A raw notification of one byte, as MDM servers send it, to each of these channels.
pub(crate) fn raw(channels: &[impl AsRef<str>]) -> Value {
    let channels: Vec<&str> = channels.iter().map(AsRef::as_ref).collect();
    json!({ "channels": channels, "raw": "1", "id": "ms-app://S-1-15-2-1", "secret": "secret" })
}

/// The sender's program.
pub(crate) struct Sender(Program);

impl Sender {
    /// What the library said of each channel: nothing where it was content.
    pub(crate) fn run(&mut self, job: &Value) -> Vec<String> {
        self.0.run(job)
    }
}

const NAME: &str = "wns-provider";
