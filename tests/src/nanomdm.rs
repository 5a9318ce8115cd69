//! nanomdm (micromdm/nanomdm): plain HTTP, device and check-in at `/mdm`, its API with Basic authentication.

use crate::process::Running;
use crate::server::{Refusals, Server, Witness};
use crate::{Authority, Call, Droves, Error, Ground, NanomdmTables, Postgres, PushCertificate, http, program};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The password of the API in all cases; user names are the products' own.
pub const API_KEY: &str = "droves-api";

/// Where it keeps what it knows.
pub enum Storage {
    /// PostgreSQL, by its data source name.
    Pgsql(String),
    /// Files below the case's folder.
    FileKv,
    /// Memory: a restart forgets all.
    InMemory,
}

/// What a server is told of its surroundings.
#[derive(Default)]
pub struct Surroundings {
    /// Where it tells of each message.
    pub webhook_url: Option<String>,
    /// `HTTPS_PROXY`: the way to an emulated push service.
    pub https_proxy: Option<String>,
    /// `SSL_CERT_FILE`: the authority of the emulated push service.
    pub trusted: Option<PathBuf>,
    /// Whether it takes enrollments over from other servers.
    pub takes_over: bool,
    /// Who is asked what it got.
    pub witness: Option<Arc<dyn Witness>>,
}

impl Surroundings {
    /// The flag and the environment. Without a proxy of ours pushes end at a closed port: no test reaches Apple.
    pub(crate) fn apply(&self, command: &mut Command) {
        if self.takes_over {
            command.args(["-migration", "-retro"]);
        }
        if let Some(url) = &self.webhook_url {
            command.args(["-webhook-url", url]);
        }
        let proxy = self.https_proxy.as_deref().unwrap_or("http://127.0.0.1:1");
        command.env("HTTPS_PROXY", proxy).env_remove("https_proxy").env_remove("NO_PROXY").env_remove("no_proxy");
        if let Some(trusted) = &self.trusted {
            command.env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
        }
    }
}

/// A nanomdm on PostgreSQL whose devices have certificates of an authority of the case's own, pushing to ours.
pub struct OwnAuthority {
    /// Who certifies devices.
    pub authority: Authority,
    /// The program.
    pub droves: Droves,
    /// What the server got.
    pub tables: Arc<NanomdmTables>,
    /// The server.
    pub server: Nanomdm,
    /// What it pushes with.
    pub push: PushCertificate,
}

impl OwnAuthority {
    /// Start all of it. `takes_over`: whether the server takes enrollments over from other servers.
    pub fn start(ground: &Ground, topic_uuid: &str, takes_over: bool) -> Result<OwnAuthority, Error> {
        let authority = Authority::new(ground.path())?;
        let droves = Droves::new(ground.path())?;
        let tables = Arc::new(NanomdmTables::create(Arc::new(Postgres::start(ground.path())?), "nanomdm")?);
        let around = Surroundings {
            https_proxy: Some(droves.proxy()),
            trusted: Some(droves.trusted()),
            takes_over,
            ..Surroundings::default()
        };
        let server = Nanomdm::start(ground.path(), authority.certificate(), Storage::Pgsql(tables.dsn()), around)?;
        let push = PushCertificate::new(ground.path(), topic_uuid)?;
        server.upload_push_certificate(&push)?;
        Ok(OwnAuthority { authority, droves, tables, server, push })
    }
}

/// A nanomdm that can be stopped and started again, on the same port with the same data.
pub struct Nanomdm {
    options: Options,
    port: u16,
    running: Option<Running>,
}

struct Options {
    program: PathBuf,
    dir: PathBuf,
    authority: PathBuf,
    storage: Storage,
    around: Surroundings,
}

impl Nanomdm {
    /// Start it, data and log in `dir`; `authority` is a PEM file with the roots of device identities.
    pub fn start(dir: &Path, authority: &Path, storage: Storage, around: Surroundings) -> Result<Nanomdm, Error> {
        let (dir, authority) = (dir.to_path_buf(), authority.to_path_buf());
        let options = Options { program: program("nanomdm")?, dir, authority, storage, around };
        let (running, port) = Running::serve("nanomdm", &options.dir, |port| command(&options, port), is_ready)?;
        Ok(Nanomdm { options, port, running: Some(running) })
    }

    /// Kill it, as a crash would.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Start it again after [`Nanomdm::stop`].
    pub fn start_again(&mut self) -> Result<(), Error> {
        self.running = None;
        let command = |port| command(&self.options, port);
        let (running, _) = Running::serve_on(self.port, "nanomdm", &self.options.dir, command, is_ready)?;
        self.running = Some(running);
        Ok(())
    }

    /// The port that it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn api(&self) -> Api {
        Api { port: self.port, user: "nanomdm", prefix: "/v1" }
    }
}

impl Server for Nanomdm {
    fn mdm_url(&self) -> String {
        format!("http://127.0.0.1:{}/mdm", self.port)
    }

    fn upload_push_certificate(&self, certificate: &PushCertificate) -> Result<(), Error> {
        self.api().upload_push_certificate(certificate)
    }

    fn queue(&self, ids: &[&str], command: &str) -> Result<Refusals, Error> {
        self.api().queue(ids, command)
    }

    fn push(&self, ids: &[&str]) -> Result<Refusals, Error> {
        self.api().push(ids)
    }

    fn witness(&self) -> Option<&dyn Witness> {
        self.options.around.witness.as_deref()
    }
}

fn command(options: &Options, port: u16) -> Command {
    let mut command = Command::new(&options.program);
    command.arg("-ca").arg(&options.authority).args(["-api", API_KEY, "-listen", &format!("127.0.0.1:{port}")]);
    // Storage and its data source are wanted as a pair, also where there is no source.
    match &options.storage {
        Storage::Pgsql(dsn) => command.args(["-storage", "pgsql", "-storage-dsn", dsn]),
        Storage::FileKv => command.args(["-storage", "filekv", "-storage-dsn"]).arg(options.dir.join("nanomdm-data")),
        Storage::InMemory => command.args(["-storage", "inmem", "-storage-dsn", "x"]),
    };
    options.around.apply(&mut command);
    command
}

pub(crate) fn is_ready(port: u16) -> bool {
    http::status_of(port, "/version") == Some(200)
}

/// The API that nanomdm has and NanoHUB takes over.
pub(crate) struct Api {
    pub(crate) port: u16,
    pub(crate) user: &'static str,
    pub(crate) prefix: &'static str,
}

impl Api {
    pub(crate) fn upload_push_certificate(&self, certificate: &PushCertificate) -> Result<(), Error> {
        let answer = self.call("PUT", "/pushcert", certificate.pem()?.as_bytes())?;
        match answer.get("topic").and_then(|topic| topic.as_str()) {
            Some(topic) if topic == certificate.topic() => Ok(()),
            _ => Err(Error::Answer(format!("pushcert: {answer}"))),
        }
    }

    pub(crate) fn queue(&self, ids: &[&str], command: &str) -> Result<Refusals, Error> {
        let answer = self.call("PUT", &format!("/enqueue/{}?nopush=1", ids.join(",")), command.as_bytes())?;
        refusals(&answer, "command_error")
    }

    pub(crate) fn push(&self, ids: &[&str]) -> Result<Refusals, Error> {
        refusals(&self.call("PUT", &format!("/push/{}", ids.join(",")), &[])?, "push_error")
    }

    fn call(&self, method: &str, path: &str, body: &[u8]) -> Result<serde_json::Value, Error> {
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{API_KEY}", self.user)));
        let path = format!("{}{path}", self.prefix);
        let call = Call { method, path: &path, headers: &[("Authorization", &authorization)], body };
        let answer = call.send(self.port)?;
        serde_json::from_slice(&answer.body)
            .map_err(|_| Error::Answer(format!("{method} {path}: {} {}", answer.status, answer.text())))
    }
}

/// All fine is 200, some failed 207, all failed 500: the body says it more exactly.
fn refusals(answer: &serde_json::Value, field: &str) -> Result<Refusals, Error> {
    if let Some(error) = answer.get(field).and_then(|error| error.as_str()) {
        return Err(Error::Answer(error.to_owned()));
    }
    let by_id = answer.get("status").and_then(|status| status.as_object());
    let refused = |(id, status): (&String, &serde_json::Value)| {
        status.get(field).and_then(|error| error.as_str()).map(|error| (id.clone(), error.to_owned()))
    };
    Ok(by_id.into_iter().flatten().filter_map(refused).collect())
}
