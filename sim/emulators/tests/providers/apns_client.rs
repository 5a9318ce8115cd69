//! APNs on the stage, and the program that plays the provider.

use crate::left_out::Stop;
use crate::stage::{Stage, token_book};
use droves_emulators::apns::{Config, ConnectionRules, Handle, Rules};
use droves_emulators::push::Registry;
use droves_facts::{Dice, LaneIx, Wall};
use droves_net::clock::RunClock;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, OnceLock};

pub(crate) const TOPIC: &str = "com.apple.mgmt.External.1f4f7e8a-1d3b-4a53-9d0b-2f8f8f1a6a10";
const LANES: u32 = 4_000;

impl Stage {
    pub(crate) fn start(&self, rules: Rules, connections: ConnectionRules) -> Handle {
        self.certify(None);
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            door: Some(([127, 0, 0, 1], 0).into()),
            beyond: Vec::new(),
            certificates: self.folder().join("certs"),
            provider_roots: None,
            connections_max: 1_000,
            rules,
            connections,
            tokens: token_book(),
            registry: Arc::new(Registry::new(LANES)),
            dice: Dice::new(1),
            clock: RunClock::start(),
        };
        Handle::start(config, self.sink()).unwrap()
    }

    pub(crate) fn register(&self, apns: &Handle, lanes: Range<u32>, generation: u32) {
        let topic = apns.registry().topic(TOPIC).unwrap();
        lanes.for_each(|lane| assert!(apns.registry().register(LaneIx(lane), generation, topic, Wall(0))));
    }

    pub(crate) fn token(&self, lane: u32, generation: u32) -> String {
        hex::encode(token_book().token(LaneIx(lane), generation))
    }

    /// Makes the provider's certificate anew, good from one year to another.
    pub(crate) fn certify(&self, years: Option<(i32, i32)>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]), TOPIC);
        params.distinguished_name.push(DnType::CommonName, "APSP:1f4f7e8a-1d3b-4a53-9d0b-2f8f8f1a6a10");
        if let Some((from, until)) = years {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
        }
        std::fs::write(self.certificate(), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(self.key(), key.serialize_pem()).unwrap();
    }

    /// Starts the provider's program.
    pub(crate) fn client(&self, apns: &Handle, environment: &[(&str, &str)]) -> Result<Client, Stop> {
        let proxied = environment.iter().any(|(name, _)| *name == "HTTPS_PROXY");
        let host = if proxied { "https://api.push.apple.com".to_owned() } else { format!("https://{}", apns.addr()) };
        let log = self.folder().join("client.log");
        let mut command = Command::new(program()?);
        command.arg(host).arg(self.certificate()).arg(self.key());
        command.env("SSL_CERT_FILE", apns.ca_pem_path()).env_remove("HTTPS_PROXY").env_remove("NO_PROXY");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Ok(Client { child, input: Some(input), output, log })
    }

    fn certificate(&self) -> PathBuf {
        self.folder().join("push.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder().join("push.key")
    }
}

/// Tokens of the first generation.
pub(crate) fn tokens(stage: &Stage, lanes: Range<u32>) -> Vec<String> {
    lanes.map(|lane| stage.token(lane, 1)).collect()
}

/// A job for the program: these tokens, 50 at once, with the magics `magic-0`, `magic-1` and so on.
pub(crate) fn job(client: &str, tokens: &[impl AsRef<str>]) -> Value {
    let tokens: Vec<&str> = tokens.iter().map(AsRef::as_ref).collect();
    let magics: Vec<String> = (0..tokens.len()).map(|n| format!("magic-{n}")).collect();
    json!({ "client": client, "tokens": tokens, "magics": magics, "parallel": 50 })
}

/// What the client made of an answer.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) id: String,
    pub(crate) reason: String,
    /// In seconds, as apns2 keeps it.
    pub(crate) timestamp: i64,
    pub(crate) error: String,
}

pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Client {
    pub(crate) fn run(&mut self, job: &Value) -> Vec<Outcome> {
        writeln!(self.input.as_mut().unwrap(), "{job}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
        let results: Vec<Value> = serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line} {}", log()));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let outcome = |result: &Value| Outcome {
            status: u16::try_from(result["status"].as_u64().unwrap()).unwrap(),
            id: text(&result["id"]),
            reason: text(&result["reason"]),
            timestamp: result["timestamp"].as_i64().unwrap(),
            error: text(&result["error"]),
        };
        results.iter().map(outcome).collect()
    }

    /// The stream limits that the client heard, in order, from Go's own log of HTTP/2.
    pub(crate) fn streams_announced(&self) -> Vec<u32> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let frames = log.lines().filter(|line| line.contains("Transport received SETTINGS"));
        let limit = |line: &str| {
            let (_, rest) = line.split_once("MAX_CONCURRENT_STREAMS=")?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        frames.filter_map(limit).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It ends at the end of its input.
        drop(self.input.take());
        let _gone = self.child.kill().is_ok() && self.child.wait().is_ok();
    }
}

/// The program as `cargo xtask peers` installs it, or built here and now if there is a Go.
fn program() -> Result<&'static Path, Stop> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PROGRAM.get_or_init(|| installed().map_or_else(build, Ok)).as_deref().map_err(|why| Stop::LeftOut(why.clone()))
}

fn installed() -> Option<PathBuf> {
    let program = Path::new(&std::env::var_os("DROVES_PEERS")?).join("bin").join(NAME);
    program.is_file().then_some(program)
}

fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers").join(NAME);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(NAME);
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-o"]).arg(&program).arg(".").current_dir(source);
    let built = go.output().map_err(|why| format!("no Go to build {NAME} with: {why}"))?;
    if built.status.success() {
        Ok(program)
    } else {
        Err(format!("{NAME}: {}", String::from_utf8_lossy(&built.stderr)))
    }
}

const NAME: &str = "apns-provider";
