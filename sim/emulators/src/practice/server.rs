//! The practice server with its sockets: a thread of its own, so that its processor time is shown apart.

use super::agents::{self, Held};
use super::body::AnswerBody;
use super::brain::{Brain, Told};
use super::emm;
use super::exchange::{Incoming, Outgoing, Proof, Wake};
use super::faults::Faults;
use super::link::{self, Waiting};
use super::pushing::{self, Pushers};
use super::windows;
use crate::provider::Provider;
use crate::sender::{self, Package};
use droves_facts::{Limits, Mono, PhaseIx, PopulationIx, Wall};
use droves_net::clock::{Clock, RunClock};
use droves_net::cpu;
use droves_net::listen::{BindError, Listener, Settings, read_body};
use droves_net::tls::{AskClient, ServerTls, ServerTlsSettings, TlsError, TrustError};
use droves_wire::ca::{Authority, AuthorityError, Subject};
use droves_wire::x509;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming as Body;
use hyper::service::service_fn;
use rustls::pki_types::CertificateDer;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};
use std::{fs, io};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;

/// Pushes that wait to be sent; the administrator's call waits when they are more.
const WAKES_MAX: usize = 10_000;
/// Connections of the provider.
const LINES: usize = 4;

/// What a practice server needs to be told.
#[derive(Debug)]
pub struct Config {
    /// Where it listens; port 0 picks one.
    pub listen: SocketAddr,
    /// What devices are told to talk to, where that is not its own address: a proxy in front of it.
    pub url: Option<String>,
    /// Where it listens with TLS, for Windows.
    pub windows_listen: SocketAddr,
    /// What Windows devices are told to talk to, where that is not its own address: `https://` and a name.
    pub windows_url: Option<String>,
    /// What it asks of Windows devices.
    pub windows: windows::Settings,
    /// Where it listens with MQTT, for agents on Android.
    pub agents_listen: SocketAddr,
    /// How it is to them.
    pub agents: agents::Settings,
    /// The push service and its authority's certificate; without one it pushes nobody of Apple's.
    pub push: Option<(SocketAddr, PathBuf)>,
    /// The same for Windows.
    pub channels: Option<Channels>,
    /// The same for agents on Android, beside its broker.
    pub messages: Option<MessagesBy>,
    /// How it manages Android devices, by Google; none: it doesn't.
    pub android: Option<emm::Config>,
    /// What it does wrong, on order.
    pub faults: Faults,
    /// The administrator's token; one is drawn without it.
    pub token: Option<String>,
    /// The run's clock.
    pub clock: RunClock,
    /// Bounds.
    pub limits: Limits,
}

/// A push service for Windows.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Where it is.
    pub to: SocketAddr,
    /// Its authority's certificate, PEM.
    pub ca: PathBuf,
    /// Whom the server is there.
    pub package: Package,
}

/// A push service for agents on Android: FCM.
#[derive(Clone, Debug)]
pub struct MessagesBy {
    /// Where it is.
    pub to: SocketAddr,
    /// Its authority's certificate, PEM.
    pub ca: PathBuf,
    /// The key file of the service account that the server is there.
    pub key_file: PathBuf,
}

/// Why there is no practice server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its CA.
    #[error("practice server: {0}")]
    Authority(#[from] AuthorityError),
    /// Its address.
    #[error("practice server: {0}")]
    Bind(#[from] BindError),
    /// Its TLS, or its providers'.
    #[error("practice server: {0}")]
    Tls(#[from] TlsError),
    /// Google's authorities.
    #[error("practice server: {0}")]
    Trust(#[from] TrustError),
    /// Whom it is to Google.
    #[error("practice server: {path}: {why}", path = .path.display())]
    Account {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        why: sender::AccountError,
    },
    /// The push service's certificate, or a key file.
    #[error("practice server: {path}: {why}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// No randomness for its token.
    #[error("practice server: no randomness")]
    NoRandomness,
    /// Its thread.
    #[error("practice server: thread: {0}")]
    Thread(io::Error),
}

/// A running practice server. Dropping it ends it.
#[derive(Debug)]
pub struct Practice {
    url: String,
    discovery: String,
    mqtt: SocketAddr,
    token: String,
    ca_pem: String,
    brain: Arc<Mutex<Brain>>,
    cpu_us: Arc<AtomicU64>,
    clock: RunClock,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Practice {
    /// Takes its address and begins.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let now = wall();
        let authority = Arc::new(Authority::create("Droves practice CA", now)?);
        let topic = "com.apple.mgmt.External.7c6a9f7e-3d0b-4c39-9e57-0a0b4c3d2e10".to_owned();
        let token = config.token.map_or_else(drawn_token, Ok)?;
        let plain = Listener::bind(config.listen, None, Settings::default())?;
        let tls = server_tls(&authority, config.windows_listen, config.windows_url.as_deref(), now)?;
        let secure = Listener::bind(config.windows_listen, Some(tls), Settings::default())?;
        let mqtt = Listener::bind(config.agents_listen, None, Settings::default())?;
        let mqtt_address = mqtt.address();
        let own_url = format!("http://{}", plain.address());
        let windows_url = config.windows_url.unwrap_or_else(|| format!("https://{}", secure.address()));
        let discovery = windows::discovery(&windows_url);
        let told = Told { url: config.url.unwrap_or_else(|| own_url.clone()), windows_url, topic: topic.clone() };
        let (clock, limits) = (config.clock, config.limits);
        let mut brain =
            Brain::new(Arc::clone(&authority), told, token.clone(), limits.clone(), config.faults, config.windows);
        let google = match config.android {
            None => None,
            Some(emm::Config { google, key_file, trust, authorised, settings }) => {
                brain.manage_android(google, account(key_file)?, settings);
                Some((trust.load()?, authorised))
            }
        };
        let brain = Arc::new(Mutex::new(brain.with_agents(config.agents)));
        let apple = match config.push {
            None => None,
            Some((to, path)) => {
                let issued = authority.issue(&Subject::Push(&topic), now)?;
                Some(Provider::new(to, &read(path)?, &issued, &topic, clock, limits.clone())?)
            }
        };
        let windows = match config.channels {
            None => None,
            Some(Channels { to, ca, package }) => {
                Some(sender::Sender::new(to, &read(ca)?, sender::Raw(package), clock, limits.clone())?)
            }
        };
        let android = match config.messages {
            None => None,
            Some(MessagesBy { to, ca, key_file }) => {
                let service = sender::Messages { url: crate::push::url(to), account: account(key_file)? };
                Some(sender::Sender::new(to, &read(ca)?, service, clock, limits.clone())?)
            }
        };
        let (stop, stopped) = watch::channel(false);
        let cpu_us = Arc::new(AtomicU64::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let body = {
            let (brain, cpu_us, authority) = (Arc::clone(&brain), Arc::clone(&cpu_us), Arc::clone(&authority));
            move || {
                let (wakes, queue) = channel(WAKES_MAX);
                let (waiting, changed) = (Waiting::default(), Rc::new(Notify::new()));
                let calling = emm::shell::run(google, Arc::clone(&brain), clock, limits.clone(), Rc::clone(&changed));
                let house = House { brain: Arc::clone(&brain), authority, wakes, waiting, changed, clock, limits };
                let pushing = push(Pushers { apple, windows, android }, queue, brain);
                let saying = async { tokio::join!(pushing, calling) };
                runtime.block_on(run([plain, secure], mqtt, Rc::new(house), saying, cpu_us, stopped));
            }
        };
        let thread = thread::Builder::new().name("practice".to_owned()).spawn(body).map_err(StartError::Thread)?;
        let ca_pem = authority.certificate_pem();
        let (url, thread) = (own_url, Some(thread));
        Ok(Practice { url, discovery, mqtt: mqtt_address, token, ca_pem, brain, cpu_us, clock, stop, thread })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where Windows devices enroll.
    pub fn discovery(&self) -> &str {
        &self.discovery
    }

    /// Where agents on Android are pushed: its broker.
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// The administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its CA's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Processor time of its thread so far, in seconds.
    pub fn cpu_s(&self) -> f64 {
        self.cpu_us.load(Relaxed) as f64 / 1e6
    }

    /// What it knows of the run.
    pub fn truth(&self) -> serde_json::Value {
        self.brain().truth()
    }

    /// Tells which population a device is of, for faults that are only some populations'.
    pub fn introduce(&self, populations: HashMap<String, PopulationIx>) {
        self.brain().faults().introduce(populations);
    }

    /// A phase of the plan begins: faults that go with it are on.
    pub fn phase_begins(&self, phase: PhaseIx) {
        let now = self.clock.now();
        self.brain().faults().phase_begins(phase, now);
    }

    /// A phase of the plan is over.
    pub fn phase_ends(&self, phase: PhaseIx) {
        self.brain().faults().phase_ends(phase);
    }

    /// Ends it.
    pub fn stop(mut self) {
        self.end();
    }

    fn brain(&self) -> std::sync::MutexGuard<'_, Brain> {
        self.brain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the practice server's thread panicked");
        }
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        self.end();
    }
}

fn account(path: PathBuf) -> Result<sender::Account, StartError> {
    let json = read(path.clone())?;
    sender::Account::read(&json).map_err(|why| StartError::Account { path, why })
}

fn read(path: PathBuf) -> Result<Vec<u8>, StartError> {
    fs::read(&path).map_err(|why| StartError::File { path, why })
}

/// TLS for whoever looks for the server at this address, or at this URL. Clients are asked for a certificate, and heard
/// without one: a device that enrolls has none yet.
fn server_tls(authority: &Authority, at: SocketAddr, url: Option<&str>, now: Wall) -> Result<ServerTls, StartError> {
    let address = at.ip().to_string();
    let uri: Option<Uri> = url.and_then(|url| url.parse().ok());
    let told = uri.as_ref().and_then(Uri::host).map(|host| host.trim_matches(['[', ']']));
    let names: Vec<&str> = told.into_iter().chain(["localhost", address.as_str()]).collect();
    let issued = authority.issue(&Subject::Server(&names), now)?;
    let key = issued.key.private_key_der().map_err(AuthorityError::Key)?;
    let settings = ServerTlsSettings { ask: AskClient::Any, resumption: true, ..ServerTlsSettings::default() };
    Ok(ServerTls::new(vec![CertificateDer::from(issued.certificate)], &key, &settings)?)
}

/// Sends what is to be pushed. Without a push service nobody reads the queue, and nobody waits for it.
async fn push(pushers: Pushers, queue: Receiver<Wake>, brain: Arc<Mutex<Brain>>) {
    if pushers.are_there() {
        LocalSet::new().run_until(pushing::run(pushers, queue, brain, LINES)).await;
    } else {
        drop(queue);
    }
    std::future::pending::<()>().await;
}

async fn run(
    [plain, secure]: [Listener; 2],
    mqtt: Listener,
    house: Rc<House>,
    saying: impl Future,
    cpu_us: Arc<AtomicU64>,
    stopped: watch::Receiver<bool>,
) {
    let is_stopped = |mut stopped: watch::Receiver<bool>| async move {
        // An error says that the handle is gone, which is the same.
        let _stopped = stopped.wait_for(|stop| *stop).await.is_ok();
    };
    let meter = async {
        loop {
            cpu_us.store(cpu::of_thread().0, Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let serve = |listener: Listener| {
        let house = Rc::clone(&house);
        listener.serve(is_stopped(stopped.clone()), move |peer| {
            let house = Rc::clone(&house);
            let shown = peer.chain.first().filter(|shown| house.has_issued(shown)).cloned();
            service_fn(move |request| Rc::clone(&house).answer(shown.clone(), request))
        })
    };
    let lines = {
        let house = Rc::clone(&house);
        mqtt.each(is_stopped(stopped.clone()), move |stream, _peer, stopping| {
            link::line(Rc::clone(&house), stream, stopping)
        })
    };
    let serving = async { tokio::join!(serve(plain), serve(secure), lines) };
    tokio::select! {
        _ = serving => {}
        () = link::clock(Rc::clone(&house)) => {}
        _ = saying => {}
        () = meter => {}
    }
    cpu_us.store(cpu::of_thread().0, Relaxed);
}

/// What the connections share.
pub(super) struct House {
    brain: Arc<Mutex<Brain>>,
    authority: Arc<Authority>,
    wakes: Sender<Wake>,
    pub(super) waiting: Waiting,
    /// Told when there may be something to say to Google.
    changed: Rc<Notify>,
    clock: RunClock,
    limits: Limits,
}

/// The connection is closed in place of an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up on order")]
struct HungUp;

impl House {
    /// Does something, and wakes whoever has something to do since.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Brain, Mono) -> T) -> T {
        let now = self.clock.now();
        let (done, stirred) = {
            let mut brain = self.brain.lock().unwrap_or_else(PoisonError::into_inner);
            (act(&mut brain, now), brain.stirred())
        };
        self.waiting.wake(stirred);
        done
    }

    /// Until a time of the run's clock.
    pub(super) async fn until(&self, time: Mono) {
        tokio::time::sleep(time.since(self.clock.now()).std()).await;
    }

    /// Whether a certificate is of this server's CA. TLS has only asked for its key.
    fn has_issued(&self, certificate: &[u8]) -> bool {
        x509::verify(certificate, self.authority.certificate()).is_ok()
    }

    async fn answer(
        self: Rc<Self>,
        shown: Option<CertificateDer<'static>>,
        request: Request<Body>,
    ) -> Result<Response<AnswerBody>, HungUp> {
        let (parts, body) = request.into_parts();
        let body = match read_body(body, self.limits.body_bytes_max, self.limits.request_wait_max).await {
            Ok(body) => body,
            Err(error) => return Ok(plain(StatusCode::BAD_REQUEST, error.to_string())),
        };
        let header = |name: &str| parts.headers.get(name).map(|value| value.as_bytes());
        let signature = ["mdm-signature", "ms-signature", "x-request-signature"].into_iter().find_map(header);
        let proof = match (signature, &shown) {
            (Some(signature), _) => Proof::Signature(signature),
            (None, Some(certificate)) => Proof::Vouched(certificate),
            (None, None) => Proof::Nothing,
        };
        let incoming = Incoming {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            authorization: header("authorization"),
            content_type: header("content-type"),
            range: header("range"),
            proof,
            body: &body,
        };
        let mut wakes = Vec::new();
        let mut outgoing = self.with(|brain, now| brain.answer(now, wall(), &incoming, &mut wakes));
        self.changed.notify_one();
        for wake in wakes {
            // Nobody takes it where there is no push service.
            if self.wakes.send(wake).await.is_err() {
                break;
            }
        }
        if let Some(Held { ticket, until }) = outgoing.held {
            outgoing = link::held(&self, ticket, until).await;
        }
        let Outgoing { status, content_type, headers, body, file, after, hangs_up, is_chunked, .. } = outgoing;
        if !after.std().is_zero() {
            tokio::time::sleep(after.std()).await;
        }
        if hangs_up {
            return Err(HungUp);
        }
        let mut response = Response::new(AnswerBody { bytes: body, file, is_chunked });
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        Ok(response)
    }
}

fn plain(status: StatusCode, text: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody { bytes: text.into(), file: None, is_chunked: false });
    *response.status_mut() = status;
    response
}

fn drawn_token() -> Result<String, StartError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StartError::NoRandomness)?;
    Ok(hex::encode(bytes))
}

pub(super) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
