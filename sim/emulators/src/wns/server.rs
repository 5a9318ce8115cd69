//! WNS with its sockets: a thread and a runtime of its own, and one TLS port for tokens and notifications.

use super::{Reason, Reply, Rules, Service, WnsRequest};
use crate::push::{self, Order, OrderId, Post, Registry, Shown, Sink, Tally, TrustError};
use bytes::Bytes;
use droves_facts::{Dice, Dur};
use droves_net::clock::RunClock;
use droves_net::listen::{BindError, Listener, Settings, read_body};
use droves_net::tls::{Alpn, AskClient, ServerTls, ServerTlsSettings, TlsError};
use droves_wire::apple::push::Tokens;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::{io, thread};
use tokio::time::sleep;

/// What WNS needs to be told.
#[derive(Debug)]
pub struct Config {
    /// Where servers connect; port 0 picks one.
    pub listen: SocketAddr,
    /// Where the authority's files lie, or are made.
    pub certificates: PathBuf,
    /// Connections at once; more are closed at once. Some servers dial twice for each push.
    pub connections_max: usize,
    /// How it behaves towards everybody.
    pub rules: Rules,
    /// The tokens of the fleet.
    pub tokens: Tokens,
    /// Which lane holds which.
    pub registry: Arc<Registry>,
    /// The run's dice.
    pub dice: Dice,
    /// The run's clock.
    pub clock: RunClock,
}

/// Why there is no WNS.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No certificate to show.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address could not be taken.
    #[error("wns: {0}")]
    Listen(#[from] BindError),
    /// The thread or its runtime could not be made.
    #[error("wns's thread: {0}")]
    Thread(io::Error),
}

/// A running WNS. Dropping it, or [`Handle::stop`], ends it in good order.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    ca_pem: PathBuf,
    post: Arc<Post<Service>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Takes the address and begins; when this returns, servers can connect. Wakes go to `sink`.
    pub fn start(config: Config, sink: Arc<dyn Sink>) -> Result<Self, StartError> {
        let shown = push::shown(&config.certificates, &HOSTS)?;
        let settings =
            Settings { connections_max: config.connections_max, drain_wait_max: GOODBYE_MAX, ..Settings::default() };
        let port = Listener::bind(config.listen, Some(tls(&shown)?), settings)?;
        let service = Service::new(config.rules, config.tokens, Arc::clone(&config.registry), config.dice);
        let post = Arc::new(Post::new(service, config.registry, config.clock, sink));
        let mut handle = Handle { addr: port.address(), ca_pem: shown.ca_pem, post: Arc::clone(&post), thread: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let body = move || runtime.block_on(run(&post, port));
        handle.thread = Some(thread::Builder::new().name("wns".to_owned()).spawn(body).map_err(StartError::Thread)?);
        Ok(handle)
    }

    /// Where servers connect by TLS, for tokens and for channels.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Host and port of the channels.
    pub fn channels(&self) -> String {
        format!("localhost:{}", self.addr.port())
    }

    /// Which hosts and ports a CONNECT door leads here, for servers into which they are compiled.
    pub fn behind_door(&self) -> Vec<((&'static str, u16), SocketAddr)> {
        HOSTS.map(|host| ((host, 443), self.addr)).to_vec()
    }

    /// The authority's certificate: `SSL_CERT_FILE`.
    pub fn ca_pem_path(&self) -> &Path {
        &self.ca_pem
    }

    /// Where lanes register, without a network.
    pub fn registry(&self) -> &Arc<Registry> {
        self.post.registry()
    }

    /// What happened to notifications so far.
    pub fn tally(&self) -> Tally<Reason> {
        self.post.brain().tally()
    }

    /// Wakes that the sink could not pass on: ours, never the server's.
    pub fn wakes_dropped(&self) -> u64 {
        self.post.wakes_dropped()
    }

    /// Takes a fault on order; `None` when there are [`push::ORDERS_MAX`] already.
    pub fn order(&self, order: Order<Reason>) -> Option<OrderId> {
        self.post.brain().give(order)
    }

    /// Takes an order back.
    pub fn lift(&self, id: OrderId) {
        self.post.brain().lift(id);
    }

    /// Ends it: no new connections, a few seconds for what is under way.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.post.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("wns's thread panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread's work.
async fn run(post: &Arc<Post<Service>>, port: Listener) {
    let house = Arc::clone(post);
    let serving = port.serve(post.closed(), move |_peer| {
        let post = Arc::clone(&house);
        service_fn(move |request| answer(Arc::clone(&post), request))
    });
    tokio::join!(serving, post.deliver());
}

/// The request's body did not come, or not within bounds.
#[derive(Debug, thiserror::Error)]
#[error("request body did not arrive")]
struct Unread;

async fn answer(post: Arc<Post<Service>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Unread> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, BODY_BYTES_MAX, BODY_WAIT_MAX).await.map_err(|_| Unread)?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let request = WnsRequest {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        target,
        headers: &parts.headers,
        body: &body,
    };
    let fates = |reply: &Reply| (reply.lane, reply.fates);
    let Reply { status, headers, body, lag, .. } =
        post.answer(|service, now, wall| service.answer(now, wall, request), fates);
    if lag > Dur::ZERO {
        sleep(lag.std()).await;
    }
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn tls(shown: &Shown) -> Result<ServerTls, TlsError> {
    let settings = ServerTlsSettings { ask: AskClient::No, alpn: Alpn::Either, ..ServerTlsSettings::default() };
    ServerTls::new(shown.chain.clone(), &shown.key, &settings)
}

/// Where servers ask for tokens, if they can't be told where.
const HOSTS: [&str; 2] = ["login.live.com", "login.microsoftonline.com"];

/// Read of a body that is too large, before it is given up.
const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_WAIT_MAX: Dur = Dur::secs(30);
/// For all connections to end at the end of the house.
const GOODBYE_MAX: Dur = Dur::secs(5);
