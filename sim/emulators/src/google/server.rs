//! Google with its sockets: a thread of its own, one plain port for everything, and posts to push endpoints.

use super::brain::{Answer, Google, Request, Settings};
use super::ear::{Ear, Told};
use super::faults::FaultOrder;
use super::signer::SignerError;
use super::{grpc, poster, rpc};
use crate::orders::OrderId;
use bytes::Bytes;
use droves_facts::{Dur, LaneIx, Limits, Wall};
use droves_net::clock::{Clock, RunClock};
use droves_net::listen::{self, BindError, Listener, read_body};
use droves_net::tls::{ClientTls, ClientTlsSettings, TlsError, Trust, TrustError};
use droves_wire::android::adp::Ask;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::Instant;
use tonic::body::Body;

/// What Google needs to be told, with its sockets.
#[derive(Debug)]
pub struct Config {
    /// Where it listens; port 0 picks one.
    pub listen: SocketAddr,
    /// What callers are told where it is, if that is not its own address: a proxy in front of it.
    pub url: Option<String>,
    /// What it is.
    pub settings: Settings,
    /// Whom push endpoints with TLS are believed by.
    pub trust: Trust,
    /// Hosts of push endpoints that may be posted to although they are neither loopback nor private.
    pub authorised: Vec<String>,
    /// The run's clock.
    pub clock: RunClock,
    /// Bounds.
    pub limits: Limits,
}

/// Why there is no Google.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its address.
    #[error("google: {0}")]
    Bind(#[from] BindError),
    /// Its key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Authorities of push endpoints.
    #[error("google: {0}")]
    Trust(#[from] TrustError),
    /// TLS to them.
    #[error("google: {0}")]
    Tls(#[from] TlsError),
    /// Its thread.
    #[error("google: thread: {0}")]
    Thread(io::Error),
}

/// A running Google. Dropping it ends it.
#[derive(Debug)]
pub struct Handle {
    url: String,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// The brain, and that something changed in it.
#[derive(Debug)]
pub(super) struct Shared {
    brain: Mutex<Google>,
    changes: watch::Sender<u64>,
    clock: RunClock,
    pub(super) told: Told,
}

/// How long a pull that finds nothing is held.
const WAIT_MAX: Duration = Duration::from_secs(20);

impl Handle {
    /// Takes its address and begins. Nudges and facts go to `ear`.
    ///
    /// # Errors
    /// The address can't be taken, or a key or an authority is none.
    pub fn start(config: Config, ear: Option<Arc<dyn Ear>>) -> Result<Self, StartError> {
        let Config { listen, url, settings, trust, authorised, clock, limits } = config;
        let listener = Listener::bind(listen, None, listen::Settings::default())?;
        let own = format!("http://{}", listener.address());
        let url = url.unwrap_or(own);
        let brain = Mutex::new(Google::new(&url, settings)?);
        let shared = Arc::new(Shared { brain, changes: watch::Sender::new(0), clock, told: Told::new(ear) });
        let roots = trust.load()?;
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        // Made twice: it can't go to another thread, and what is wrong with it is to be said here.
        ClientTls::new(&roots, ClientTlsSettings::default())?;
        let body = {
            let shared = Arc::clone(&shared);
            move || match ClientTls::new(&roots, ClientTlsSettings::default()) {
                Ok(tls) => runtime.block_on(run(listener, shared, (tls, authorised), clock, limits, stopped)),
                Err(error) => tracing::error!(%error, "google"),
            }
        };
        let thread = thread::Builder::new().name("google".to_owned()).spawn(body).map_err(StartError::Thread)?;
        Ok(Handle { url, shared, stop, thread: Some(thread) })
    }

    /// Where it is, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Something is done at Google, now, by a device or by whoever wants to know.
    pub fn with<T>(&self, act: impl FnOnce(&mut Google, Wall) -> T) -> T {
        self.shared.with(act)
    }

    /// A device asks something: an [`Ask`] as JSON. Status, and the [`Answer`](droves_wire::android::adp::Answer) as JSON.
    pub fn ask(&self, lane: LaneIx, ask: &[u8]) -> (u16, Bytes) {
        let Ok(ask) = serde_json::from_slice::<Ask>(ask) else { return (400, Bytes::new()) };
        match self.with(|google, now| google.ask(now, lane, ask)) {
            Ok(answer) => (200, serde_json::to_vec(&answer).unwrap_or_default().into()),
            Err(status) => (status, Bytes::new()),
        }
    }

    /// Takes a fault on order; `None` when there are [`ORDERS_MAX`](crate::push::ORDERS_MAX) already.
    pub fn order(&self, order: FaultOrder) -> Option<OrderId> {
        self.shared.look(|google, _| google.give(order))
    }

    /// Takes an order back.
    pub fn lift(&self, id: OrderId) {
        self.shared.look(|google, _| google.lift(id));
    }

    /// Nudges that the ear could not pass on.
    pub fn nudges_dropped(&self) -> u64 {
        self.shared.told.nudges_dropped()
    }

    /// Ends it.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("google's thread panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// Acts, and tells those who wait for a change.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Google, Wall) -> T) -> T {
        let done = self.look(act);
        self.changed();
        done
    }

    /// Acts until something comes of it, at whatever changes and when it says that there may be something; not for ever, as
    /// whoever asks has no more patience than a minute.
    pub(super) async fn until_something<T>(&self, act: impl Fn(&mut Google, Wall) -> (T, Option<Dur>)) -> T {
        let (mut changes, end) = (self.changes(), Instant::now() + WAIT_MAX);
        loop {
            changes.mark_unchanged();
            let (done, rest) = self.look(&act);
            let Some(rest) = rest.filter(|_| Instant::now() < end) else {
                self.changed();
                return done;
            };
            tokio::select! {
                () = tokio::time::sleep_until(end.min(Instant::now() + rest.std())) => {}
                changed = changes.changed() => if changed.is_err() { return done },
            }
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Acts without telling those.
    pub(super) fn look<T>(&self, act: impl FnOnce(&mut Google, Wall) -> T) -> T {
        let mut brain = self.brain.lock().unwrap_or_else(PoisonError::into_inner);
        let done = act(&mut brain, wall());
        if self.told.hears() {
            // Nobody may act before it is told: of a lane, what was so first is heard first.
            let at = self.clock.now();
            let (said, nudges) = (brain.take_said(at), brain.take_nudges());
            said.into_iter().for_each(|(lane, what)| self.told.say(at, lane, what));
            nudges.into_iter().for_each(|(lane, id)| self.told.nudge(at, lane, id));
        }
        done
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

async fn run(
    listener: Listener,
    shared: Arc<Shared>,
    (tls, authorised): (ClientTls, Vec<String>),
    clock: RunClock,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let posting = LocalSet::new();
    let poster = Rc::new(poster::Poster::new(Arc::clone(&shared), tls, authorised, clock, limits.clone()));
    let posts = posting.run_until(poster::run(poster));
    let stop = async move {
        // An error says that the handle is gone, which is the same.
        let _stopped = stopped.wait_for(|stop| *stop).await.is_ok();
    };
    let limits = Rc::new(limits);
    let serving = listener.serve(stop, move |_peer| {
        let (shared, limits) = (Arc::clone(&shared), Rc::clone(&limits));
        service_fn(move |request| answer(Arc::clone(&shared), Rc::clone(&limits), request))
    });
    tokio::select! {
        () = serving => {}
        () = posts => {}
    }
}

async fn answer(
    shared: Arc<Shared>,
    limits: Rc<Limits>,
    request: http::Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, Body>>, Infallible> {
    if rpc::is_grpc(request.headers()) {
        return Ok(grpc::answer(shared, request).await.map(Either::Right));
    }
    Ok(called(&shared, &limits, request).await.map(Either::Left))
}

/// A request of REST, or of a browser.
async fn called(shared: &Shared, limits: &Limits, request: http::Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = match read_body(body, limits.body_bytes_max, limits.request_wait_max).await {
        Ok(body) => body,
        Err(error) => {
            let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
    };
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        authorization: header("authorization"),
        content_type: header("content-type"),
        method_override: header("x-http-method-override"),
        body: &body,
    };
    let answer = |google: &mut Google, now| {
        let answer = google.answer(now, &request);
        let rest = answer.rest;
        (answer, rest)
    };
    let answer = shared.until_something(answer).await;
    tokio::time::sleep(answer.delay.std()).await;
    response(answer)
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let Answer { status, content_type, location, body, .. } = answer;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [(header::CONTENT_TYPE, Some(content_type.into_owned())), (header::LOCATION, location)];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
