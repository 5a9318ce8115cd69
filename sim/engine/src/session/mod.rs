//! A lane's session on the network: one task, its connections, one request at a time. A link that is not HTTP is a task of
//! its own.
//!
//! One connection per origin and identity is kept while the session lasts. A request is never sent twice; one that
//! found its kept connection closed before a byte was taken goes out on a new one.

mod dial;
mod link;

use crate::faults::LaneFaults;
use crate::keys::KeyRing;
use crate::signing;
pub(crate) use dial::Destination;
pub(crate) use link::Link;

use bytes::Bytes;
use dial::{Dialled, Place, To, destination};
use droves_device::{Body, Failure, Method, Reached, Request, Sink};
use droves_facts::{Blame, Closing, Dur, KeyFamily, LaneIx, Limits, Mono, Opening};
use droves_net::clock::{Clock, RunClock};
use droves_net::connect::Dialler;
use droves_net::faults::ByteStream;
use droves_net::http::{self as net, Conn, Failed, Origin, Outgoing};
use droves_net::tls::{Alpn, ClientTls};
use droves_scenario::plan::{Http, Resumption};
use droves_shard::{Answer, Exchange, Ticket};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Everything that the sessions of one shard share.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) dialler: Dialler,
    pub(crate) tls: ClientTls,
    pub(crate) clock: RunClock,
    pub(crate) limits: Arc<Limits>,
    pub(crate) authorised: Vec<String>,
    pub(crate) http: Http,
    pub(crate) resumption: Resumption,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) faults: LaneFaults,
    pub(crate) addresses: RefCell<HashMap<(String, u16), SocketAddr>>,
    pub(crate) destinations: RefCell<HashMap<Arc<str>, Rc<Destination>>>,
    pub(crate) mailbox: Mailbox,
}

/// What sessions tell their shard, on one thread.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    letters: RefCell<VecDeque<Letter>>,
    bell: Bell,
}

/// Wakes the one task that waits for what somebody else of the same thread has put down. Whoever waits looks first: a
/// ring that nobody hears is not kept.
#[derive(Default)]
struct Bell(Cell<Option<Waker>>);

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

impl Bell {
    fn ring(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }

    /// Waits until it finds something.
    async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        poll_fn(|cx: &mut Context<'_>| match look() {
            Some(found) => Poll::Ready(found),
            None => {
                self.0.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

/// One thing that a session tells.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A request has its end.
    Done { lane: LaneIx, ticket: Ticket, exchange: Exchange, result: Result<Answer, Failure> },
    /// A connection stands.
    Opened { lane: LaneIx, opening: Opening },
    /// A connection could not be opened.
    NotOpened { lane: LaneIx, blame: Blame, kind: &'static str },
    /// A connection is gone.
    Closed { lane: LaneIx, closing: Closing },
    /// A link stands, and its peer has answered.
    Linked { lane: LaneIx, ticket: Ticket, exchange: Exchange, frame: Bytes },
    /// A frame has come over a link. The next one comes when it was taken.
    Frame { lane: LaneIx, frame: Bytes },
    /// A link is lost.
    LinkLost { lane: LaneIx, failure: Failure },
    /// Something was signed.
    Signed { lane: LaneIx, took: Dur, by: KeyFamily },
}

impl Mailbox {
    fn put(&self, letter: Letter) {
        self.letters.borrow_mut().push_back(letter);
        self.bell.ring();
    }

    /// The next letter, if there is one.
    pub(crate) fn take(&self) -> Option<Letter> {
        self.letters.borrow_mut().pop_front()
    }

    /// Waits until there is one.
    pub(crate) async fn rung(&self) {
        self.bell.until(|| (!self.letters.borrow().is_empty()).then_some(())).await;
    }
}

/// A session as its shard holds it; dropping it closes its connections.
#[derive(Debug)]
pub(crate) struct Session(Rc<Orders>);

#[derive(Debug)]
struct Job {
    ticket: Ticket,
    request: Box<Request>,
}

/// What a session is told by its shard.
#[derive(Debug, Default)]
struct Orders {
    /// A lane waits for one thing at a time; a request that was let go of may not have left yet.
    jobs: RefCell<VecDeque<Job>>,
    cancelled: Cell<Option<(Ticket, &'static str)>>,
    over: Cell<bool>,
    bell: Bell,
}

impl Session {
    /// Begins one; nothing is opened before the first request.
    pub(crate) fn begin(network: &Rc<Network>, lane: LaneIx) -> Self {
        let orders = Rc::new(Orders::default());
        tokio::task::spawn_local(talk(Rc::clone(network), lane, Rc::clone(&orders)));
        Session(orders)
    }

    /// Sends a request; its end comes by the mailbox.
    pub(crate) fn send(&self, ticket: Ticket, request: Box<Request>) {
        self.0.jobs.borrow_mut().push_back(Job { ticket, request });
        self.0.bell.ring();
    }

    /// Lets go of a request that is under way; it ends as failed, of this kind.
    pub(crate) fn cancel(&self, ticket: Ticket, kind: &'static str) {
        self.0.cancelled.set(Some((ticket, kind)));
        self.0.bell.ring();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.over.set(true);
        self.0.bell.ring();
    }
}

impl Orders {
    /// The next request; none when the session is over.
    async fn next(&self) -> Option<Job> {
        let look = || {
            let job = self.jobs.borrow_mut().pop_front();
            (job.is_some() || self.over.get()).then_some(job)
        };
        self.bell.until(look).await
    }

    /// Waits until a request is let go of; none when all is over, and nobody wants to hear of it.
    async fn let_go(&self, ticket: Ticket) -> Option<&'static str> {
        let look = || {
            let kind = self.cancelled.take().filter(|(which, _)| *which == ticket).map(|(_, kind)| kind);
            (kind.is_some() || self.over.get()).then_some(kind)
        };
        self.bell.until(look).await
    }
}

/// A connection of the session, and whom it is to.
struct Connection {
    network: Rc<Network>,
    lane: LaneIx,
    to: To,
    conn: Conn<Box<dyn ByteStream>>,
    closing: Closing,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.network.mailbox.put(Letter::Closed { lane: self.lane, closing: self.closing });
    }
}

async fn talk(network: Rc<Network>, lane: LaneIx, orders: Rc<Orders>) {
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let job = tokio::select! {
            biased;
            job = orders.next() => job,
            () = one_closed(&mut connections), if !connections.is_empty() => continue,
        };
        let Some(Job { ticket, request }) = job else { return };
        let mut progress = Progress::begin(&network.clock);
        let ended = {
            let mut exchange = pin!(exchange(&network, lane, &mut connections, &request, &mut progress));
            tokio::select! {
                biased;
                result = &mut exchange => Ok(result),
                why = orders.let_go(ticket) => match why {
                    Some(kind) => Err(kind),
                    None => return,
                },
            }
        };
        let result = ended.unwrap_or_else(|kind| {
            progress.ended = network.clock.now();
            Err(Failure {
                blame: if kind == "timeout" { Blame::Server } else { Blame::Scenario },
                kind,
                reached: progress.reached,
                text: format!("{}: no whole answer in time", request.url).into(),
            })
        });
        let exchange = progress.exchange();
        network.mailbox.put(Letter::Done { lane, ticket, exchange, result });
    }
}

/// Waits until the peer closes a resting connection, and forgets it.
async fn one_closed(connections: &mut Vec<Connection>) {
    let at = poll_fn(|cx| {
        for (at, connection) in connections.iter_mut().enumerate() {
            if pin!(connection.conn.until_closed()).poll(cx).is_ready() {
                return Poll::Ready(at);
            }
        }
        Poll::Pending
    })
    .await;
    let mut connection = connections.swap_remove(at);
    connection.closing = Closing::ByPeer;
}

/// How far a request has come, for whoever has to tell of it when it is cancelled.
struct Progress {
    started: Mono,
    sent: Mono,
    first_byte: Option<Mono>,
    ended: Mono,
    bytes_out: u64,
    bytes_in: u64,
    reached: Reached,
}

impl Progress {
    fn begin(clock: &RunClock) -> Self {
        let now = clock.now();
        Progress {
            started: now,
            sent: now,
            first_byte: None,
            ended: now,
            bytes_out: 0,
            bytes_in: 0,
            reached: Reached::Nothing,
        }
    }

    fn exchange(&self) -> Exchange {
        Exchange {
            started: self.started,
            sent: self.sent,
            first_byte: self.first_byte,
            ended: self.ended,
            bytes_out: u32::try_from(self.bytes_out).unwrap_or(u32::MAX),
            bytes_in: u32::try_from(self.bytes_in).unwrap_or(u32::MAX),
        }
    }
}

async fn exchange(
    network: &Rc<Network>,
    lane: LaneIx,
    connections: &mut Vec<Connection>,
    request: &Request,
    progress: &mut Progress,
) -> Result<Answer, Failure> {
    let result = attempt(network, lane, connections, request, progress).await;
    progress.ended = network.clock.now();
    result
}

async fn attempt(
    network: &Rc<Network>,
    lane: LaneIx,
    connections: &mut Vec<Connection>,
    request: &Request,
    progress: &mut Progress,
) -> Result<Answer, Failure> {
    let destination = destination(network, &request.url)?;
    let to = To::new(&destination, request.identity.as_ref());
    let outgoing = outgoing(network, lane, request, destination.target.clone())?;
    let sink = match request.sink {
        Sink::Keep(bytes_max) => net::Sink::Keep { bytes_max },
        Sink::Digest(bytes_max) => net::Sink::Digest { bytes_max },
    };
    loop {
        let kept = connections.iter().position(|connection| connection.to == to).map(|at| connections.swap_remove(at));
        let is_kept = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            // Boxed: it is large, and over when the session has still far to go.
            None => Box::pin(open(network, lane, &to)).await?,
        };
        if is_kept && !connection.conn.is_open() {
            connection.closing = Closing::ByPeer;
            continue;
        }
        progress.sent = network.clock.now();
        progress.reached = Reached::Sent;
        match connection.conn.send(outgoing.clone(), sink, request.wait_max, &network.clock).await {
            Ok(answer) => {
                progress.sent = answer.sent;
                progress.first_byte = Some(answer.first_byte);
                progress.bytes_out = answer.bytes_out;
                progress.bytes_in = answer.bytes_in;
                let (body, digested) = match answer.body {
                    net::Body::Kept(bytes) => (bytes, 0),
                    net::Body::Digested { bytes, .. } => (Bytes::new(), bytes),
                };
                connections.push(connection);
                return Ok(Answer { status: answer.status.as_u16(), headers: answer.headers, body, digested });
            }
            Err(failed) => {
                connection.closing = Closing::ByPeer;
                if is_kept && failed.reached == net::Reached::NotSent && !matches!(failed.why, net::SendError::Timeout)
                {
                    continue;
                }
                return Err(failure(*failed, request, progress));
            }
        }
    }
}

fn failure(failed: Failed, request: &Request, progress: &mut Progress) -> Failure {
    progress.sent = failed.sent;
    progress.first_byte = failed.first_byte;
    progress.bytes_out = failed.bytes_out;
    progress.bytes_in = failed.bytes_in;
    progress.reached = match failed.reached {
        net::Reached::NotSent => Reached::Nothing,
        net::Reached::Sent => Reached::Sent,
        net::Reached::Head(_) => Reached::Head,
    };
    Failure {
        blame: failed.why.blame(),
        kind: failed.why.kind(),
        reached: progress.reached,
        text: format!("{}: {}", request.url, failed.why).into(),
    }
}

fn outgoing(network: &Network, lane: LaneIx, request: &Request, target: PathAndQuery) -> Result<Outgoing, Failure> {
    let mut headers = HeaderMap::with_capacity(request.headers.len() + request.varying.len() + 1);
    for (name, value) in request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| ours("bad_header", e.to_string()))?;
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in &request.varying {
        let value = HeaderValue::from_str(value).map_err(|e| ours("bad_header", e.to_string()))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let body = match &request.body {
        Body::Empty => Bytes::new(),
        Body::Bytes(bytes) => bytes.clone(),
    };
    let began = network.clock.now();
    let (body, by) =
        signing::sign(&network.keys, lane, request, body, &mut headers).map_err(|why| ours(why.kind, why.text))?;
    if let Some(by) = by {
        network.mailbox.put(Letter::Signed { lane, took: network.clock.now().since(began), by });
    }
    let method = match request.method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Put => http::Method::PUT,
        Method::Post => http::Method::POST,
    };
    Ok(Outgoing { method, target, headers, body })
}

/// Opens a connection for requests.
async fn open(network: &Rc<Network>, lane: LaneIx, to: &To) -> Result<Connection, Failure> {
    let alpn = match network.http {
        Http::Auto => Alpn::Either,
        Http::H1 => Alpn::Http1,
        Http::H2 => Alpn::Http2,
    };
    let Dialled { stream, http2 } = dial::open(network, lane, to, alpn).await?;
    let Place { tls, host, port } = &*to.place;
    let conn = match Origin::new(*tls, host, *port) {
        Ok(origin) => {
            Conn::open(stream, http2, origin, &network.limits).await.map_err(|error| dial::refused(to, &error))
        }
        Err(error) => Err(ours("bad_host", error.to_string())),
    };
    match conn {
        Ok(conn) => Ok(Connection { network: Rc::clone(network), lane, to: to.clone(), conn, closing: Closing::ByUs }),
        Err(failure) => {
            network.mailbox.put(Letter::Closed { lane, closing: Closing::ByPeer });
            Err(failure)
        }
    }
}

/// Opens the connection that a request needs, as its session would, and lets go of it.
pub(crate) async fn knock(network: &Rc<Network>, lane: LaneIx, request: &Request) -> Result<(), Failure> {
    let to = To::new(&*destination(network, &request.url)?, request.identity.as_ref());
    open(network, lane, &to).await.map(drop)
}

fn ours(kind: &'static str, text: String) -> Failure {
    Failure { blame: Blame::Generator, kind, reached: Reached::Nothing, text: text.into() }
}
