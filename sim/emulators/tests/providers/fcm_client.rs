//! FCM on the stage, and the programs that play the server: Google's own libraries, unchanged but for their endpoint.

use crate::left_out::Stop;
use crate::program::{Program, peer, python};
use crate::stage::{Stage, token_book};
use droves_emulators::fcm::{Config, Handle, Rules};
use droves_emulators::google::{Account, Callers};
use droves_emulators::push::Registry;
use droves_facts::{Dice, LaneIx, Wall};
use droves_net::clock::RunClock;
use droves_wire::android::fcm;
use droves_wire::keys::Key;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

pub(crate) const PROJECT: &str = "p1";
pub(crate) const OTHER: &str = "p2";
const LANES: u32 = 300;

/// What a library made of the answer to one message.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    /// The message's name, if it was taken.
    pub(crate) name: String,
    /// Which kind of error it was.
    pub(crate) kind: String,
    pub(crate) error: String,
}

impl Stage {
    /// FCM that knows an account of each of two projects.
    pub(crate) fn fcm(&self, rules: Rules) -> Handle {
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            certificates: self.folder().join("certs"),
            connections_max: 1_000,
            rules: Rules { callers: Callers::Known, accounts: vec![account(PROJECT), account(OTHER)], ..rules },
            tokens: token_book(),
            registry: Arc::new(Registry::new(LANES)),
            dice: Dice::new(1),
            clock: RunClock::start(),
        };
        Handle::start(config, self.sink()).unwrap()
    }

    /// The library for Go sends for this account.
    pub(crate) fn go(&self, service: &Handle, account: &Account) -> Result<Program, Stop> {
        let mut command = Command::new(peer("bin/fcm-go")?);
        command.arg(service.url()).arg(PROJECT).arg(self.key_file(service, account));
        command.env("SSL_CERT_FILE", service.ca_pem_path());
        Ok(Program::start(&mut command, self.folder()))
    }

    /// The library for Python that is made from the discovery document of FCM.
    pub(crate) fn python(&self, service: &Handle) -> Result<Program, Stop> {
        let mut command = Command::new(python("google")?);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/google/fcm.py"));
        command.arg(service.url()).arg(PROJECT).arg(self.key_file(service, &account(PROJECT)));
        command.env("HTTPLIB2_CA_CERTS", service.ca_pem_path()).env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(Program::start(&mut command, self.folder()))
    }

    fn key_file(&self, service: &Handle, account: &Account) -> std::path::PathBuf {
        let path = self.folder().join("key.json");
        std::fs::write(&path, account.key_file(&service.url()).unwrap().to_string()).unwrap();
        path
    }
}

/// A service account of a project.
pub(crate) fn account(project: &str) -> Account {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    let pkcs8 = KEY.get_or_init(|| Key::generate_rsa(2048).unwrap().to_pkcs8().unwrap().to_vec());
    Account {
        email: format!("mdm@{project}.iam.gserviceaccount.com"),
        project: project.to_owned(),
        key_id: "k1".to_owned(),
        key: Key::from_pkcs8(pkcs8).unwrap(),
    }
}

/// A lane's app registers for a project, and gets this token.
pub(crate) fn register(service: &Handle, lane: u32, generation: u32, project: &str) -> String {
    let registry = service.registry();
    assert!(registry.register(LaneIx(lane), generation, registry.topic(project).unwrap(), Wall(0)));
    token(lane, generation)
}

/// A token, registered or not.
pub(crate) fn token(lane: u32, generation: u32) -> String {
    fcm::token(&token_book().token(LaneIx(lane), generation))
}

/// The message by which an agent is woken.
pub(crate) fn wake(token: &str) -> Value {
    let android = json!({ "priority": "high", "ttl": "3600s", "collapse_key": "sync" });
    json!({ "token": token, "data": { "cmd": "sync" }, "android": android })
}
