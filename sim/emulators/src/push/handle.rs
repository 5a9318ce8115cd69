//! A push service with its sockets: a thread and a runtime of its own, and one TLS port.
//!
//! All of them run as [`Handle`] says. One that answers plain requests of HTTP needs to say no more than how
//! ([`Answers`]); APNs, which does more to its connections, has a body of its own for the thread.

use super::order::Order;
use super::post::{Brain, Post, Sink};
use super::registry::Registry;
use super::tally::Tally;
use super::trust::{self, Shown, TrustError};
use crate::orders::OrderId;
use bytes::Bytes;
use droves_facts::{Dice, Dur, LaneIx, Mono, PushFate, Wall};
use droves_net::clock::RunClock;
use droves_net::listen::{BindError, Listener, Settings, read_body};
use droves_net::tls::{Alpn, AskClient, ServerTls, ServerTlsSettings, TlsError};
use droves_wire::apple::push::Tokens;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;
use std::{fmt, io, thread};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// What a push service with rules `R` needs to be told.
#[derive(Debug)]
pub struct Config<R> {
    /// Where servers connect; port 0 picks one.
    pub listen: SocketAddr,
    /// Where the authority's files lie, or are made.
    pub certificates: PathBuf,
    /// Connections at once; more are closed at once. Some servers dial twice for each push.
    pub connections_max: usize,
    /// How it behaves towards everybody.
    pub rules: R,
    /// The tokens of the fleet.
    pub tokens: Tokens,
    /// Which lane holds which.
    pub registry: Arc<Registry>,
    /// The run's dice.
    pub dice: Dice,
    /// The run's clock.
    pub clock: RunClock,
}

/// Why there is no push service.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No certificate to show.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address could not be taken.
    #[error("push service: {0}")]
    Listen(#[from] BindError),
    /// The thread or its runtime could not be made.
    #[error("push service's thread: {0}")]
    Thread(io::Error),
}

/// A running push service with this brain, and what more there is of it. Dropping it, or [`Handle::stop`], ends it in
/// good order.
pub struct Handle<B, X = ()> {
    addr: SocketAddr,
    ca_pem: PathBuf,
    post: Arc<Post<B>>,
    thread: Option<JoinHandle<()>>,
    /// What only this service has.
    pub(crate) own: X,
}

impl<B: Brain, X> Handle<B, X> {
    /// Begins: the thread of this name does its work on a runtime of its own.
    pub(crate) fn run(
        (name, addr, ca_pem): (&str, SocketAddr, PathBuf),
        post: Arc<Post<B>>,
        own: X,
        work: impl FnOnce(&Runtime) + Send + 'static,
    ) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(&runtime));
        Ok(Handle { addr, ca_pem, post, thread: Some(thread.map_err(StartError::Thread)?), own })
    }

    /// Where servers connect by TLS.
    pub fn addr(&self) -> SocketAddr {
        self.addr
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
    pub fn tally(&self) -> Tally<B::Reason> {
        self.post.brain().tally()
    }

    /// Wakes that the sink could not pass on: ours, never the server's.
    pub fn wakes_dropped(&self) -> u64 {
        self.post.wakes_dropped()
    }

    /// Takes a fault on order; `None` when there are [`super::ORDERS_MAX`] already.
    pub fn order(&self, order: Order<B::Reason>) -> Option<OrderId> {
        self.post.brain().give(order)
    }

    /// Takes an order back.
    pub fn lift(&self, id: OrderId) {
        self.post.brain().lift(id);
    }

    pub(crate) fn brain(&self) -> MutexGuard<'_, B> {
        self.post.brain()
    }

    /// Ends it: no new connections, a few seconds for what is under way.
    pub fn stop(self) {
        drop(self);
    }
}

impl<B, X> Drop for Handle<B, X> {
    fn drop(&mut self) {
        self.post.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a push service's thread panicked");
        }
    }
}

impl<B: fmt::Debug, X: fmt::Debug> fmt::Debug for Handle<B, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("addr", &self.addr).field("post", &self.post).finish_non_exhaustive()
    }
}

/// A request of HTTP, as the shell read it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `POST`, or it is refused.
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, up to [`BODY_BYTES_MAX`].
    pub body: &'a [u8],
}

/// What a service answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Beside `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, or nothing.
    pub body: Vec<u8>,
    /// How long the answer is in the making.
    pub lag: Dur,
    /// Whose token it was, where it is anybody's.
    pub lane: Option<LaneIx>,
    /// What there is to say about the lane, in order.
    pub fates: &'static [PushFate],
}

/// A brain that answers requests of HTTP, and no more is to be done for it.
pub trait Answers: Brain + Send + 'static {
    /// Answers one.
    fn answer(&mut self, now: Mono, wall: Wall, request: Request<'_>) -> Reply;
}

impl<B: Answers> Handle<B> {
    /// Takes the address and begins, under these names; when this returns, servers can connect. Wakes go to `sink`.
    pub(crate) fn answering<R>(
        thread: &str,
        hosts: &[&str],
        config: Config<R>,
        sink: Arc<dyn Sink>,
        brain: impl FnOnce(&str, R, Tokens, Arc<Registry>, Dice) -> B,
    ) -> Result<Self, StartError> {
        let shown = trust::shown(&config.certificates, hosts)?;
        let settings =
            Settings { connections_max: config.connections_max, drain_wait_max: GOODBYE_MAX, ..Settings::default() };
        let port = Listener::bind(config.listen, Some(tls(&shown)?), settings)?;
        let brain = brain(&url(port.address()), config.rules, config.tokens, Arc::clone(&config.registry), config.dice);
        let post = Arc::new(Post::new(brain, config.registry, config.clock, sink));
        let place = (thread, port.address(), shown.ca_pem);
        let house = Arc::clone(&post);
        Handle::run(place, post, (), move |runtime| runtime.block_on(serve(&house, port)))
    }
}

/// The thread's work.
async fn serve<B: Answers>(post: &Arc<Post<B>>, port: Listener) {
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

async fn answer<B: Answers>(
    post: Arc<Post<B>>,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Unread> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, BODY_BYTES_MAX, BODY_WAIT_MAX).await.map_err(|_| Unread)?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let request =
        Request { method: parts.method.as_str(), path: parts.uri.path(), target, headers: &parts.headers, body: &body };
    let fates = |reply: &Reply| (reply.lane, reply.fates);
    let Reply { status, headers, body, lag, .. } =
        post.answer(|brain, now, wall| brain.answer(now, wall, request), fates);
    if lag > Dur::ZERO {
        sleep(lag.std()).await;
    }
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Where a service at this address is, by a name that its certificate has.
pub(crate) fn url(addr: SocketAddr) -> String {
    format!("https://localhost:{}", addr.port())
}

fn tls(shown: &Shown) -> Result<ServerTls, TlsError> {
    let settings = ServerTlsSettings { ask: AskClient::No, alpn: Alpn::Either, ..ServerTlsSettings::default() };
    ServerTls::new(shown.chain.clone(), &shown.key, &settings)
}

/// Read of a body that is too large, before it is given up.
pub const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_WAIT_MAX: Dur = Dur::secs(30);
/// For all connections to end at the end of the house.
pub(crate) const GOODBYE_MAX: Dur = Dur::secs(5);
