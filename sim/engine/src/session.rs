//! A lane's session on the network: one task, its connections, one request at a time.
//!
//! One connection per origin and identity is kept while the session lasts. A request is never sent twice; one that
//! found its kept connection closed before a byte was taken goes out on a new one.

use crate::faults::LaneFaults;
use crate::keys::KeyRing;
use crate::signing;
use droves_device::{Body, Failure, Identity, Method, Reached, Request, Sink};
use droves_facts::{Blame, Closing, Dur, KeyFamily, LaneIx, Limits, Mono, Opening};
use droves_net::authorise;
use droves_net::clock::{Clock, RunClock};
use droves_net::connect::{self, ConnectError, Dialler};
use droves_net::faults::{ByteStream, Cut, CutAt, How, Late, Narrow};
use droves_net::http::{self as net, Conn, Failed, Origin, Outgoing};
use droves_net::tls::{Alpn, ClientTls, TicketOwner, certified_key};
use droves_scenario::plan::{FaultKind, Http, Resumption};
use droves_shard::{Answer, Exchange, Ticket};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
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
struct Link {
    network: Rc<Network>,
    lane: LaneIx,
    to: To,
    conn: Conn<Box<dyn ByteStream>>,
    closing: Closing,
}

/// Whom a connection is to, and as whom.
#[derive(Clone, PartialEq)]
struct To {
    place: Rc<Place>,
    identity: Option<Arc<Identity>>,
}

/// An origin.
#[derive(PartialEq, Debug)]
struct Place {
    tls: bool,
    host: String,
    port: u16,
}

/// What a URL says. A fleet asks a few of them again and again.
#[derive(Debug)]
pub(crate) struct Destination {
    place: Rc<Place>,
    target: PathAndQuery,
}

/// URLs that are remembered. A server may name another one to each device.
const DESTINATIONS_MAX: usize = 256;

impl Drop for Link {
    fn drop(&mut self) {
        self.network.mailbox.put(Letter::Closed { lane: self.lane, closing: self.closing });
    }
}

async fn talk(network: Rc<Network>, lane: LaneIx, orders: Rc<Orders>) {
    let mut links: Vec<Link> = Vec::new();
    loop {
        let job = tokio::select! {
            biased;
            job = orders.next() => job,
            () = one_closed(&mut links), if !links.is_empty() => continue,
        };
        let Some(Job { ticket, request }) = job else { return };
        let mut progress = Progress::begin(&network.clock);
        let ended = {
            let mut exchange = pin!(exchange(&network, lane, &mut links, &request, &mut progress));
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
async fn one_closed(links: &mut Vec<Link>) {
    let at = poll_fn(|cx| {
        for (at, link) in links.iter_mut().enumerate() {
            if pin!(link.conn.until_closed()).poll(cx).is_ready() {
                return Poll::Ready(at);
            }
        }
        Poll::Pending
    })
    .await;
    let mut link = links.swap_remove(at);
    link.closing = Closing::ByPeer;
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
    links: &mut Vec<Link>,
    request: &Request,
    progress: &mut Progress,
) -> Result<Answer, Failure> {
    let result = attempt(network, lane, links, request, progress).await;
    progress.ended = network.clock.now();
    result
}

async fn attempt(
    network: &Rc<Network>,
    lane: LaneIx,
    links: &mut Vec<Link>,
    request: &Request,
    progress: &mut Progress,
) -> Result<Answer, Failure> {
    let destination = destination(network, request)?;
    let to = To::of(&destination, request);
    let outgoing = outgoing(network, lane, request, destination.target.clone())?;
    let sink = match request.sink {
        Sink::Keep(bytes_max) => net::Sink::Keep { bytes_max },
        Sink::Digest(bytes_max) => net::Sink::Digest { bytes_max },
    };
    loop {
        let kept = links.iter().position(|link| link.to == to).map(|at| links.swap_remove(at));
        let is_kept = kept.is_some();
        let mut link = match kept {
            Some(link) => link,
            // Boxed: it is large, and over when the session has still far to go.
            None => Box::pin(open(network, lane, &to)).await?,
        };
        if is_kept && !link.conn.is_open() {
            link.closing = Closing::ByPeer;
            continue;
        }
        progress.sent = network.clock.now();
        progress.reached = Reached::Sent;
        let wait_max = network.limits.request_wait_max;
        match link.conn.send(outgoing.clone(), sink, wait_max, &network.clock).await {
            Ok(answer) => {
                progress.sent = answer.sent;
                progress.first_byte = Some(answer.first_byte);
                progress.bytes_out = answer.bytes_out;
                progress.bytes_in = answer.bytes_in;
                let body = match answer.body {
                    net::Body::Kept(bytes) => bytes,
                    net::Body::Digested { .. } => bytes::Bytes::new(),
                };
                links.push(link);
                return Ok(Answer { status: answer.status.as_u16(), headers: answer.headers, body });
            }
            Err(failed) => {
                link.closing = Closing::ByPeer;
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

impl To {
    fn of(destination: &Destination, request: &Request) -> Self {
        let place = Rc::clone(&destination.place);
        To { identity: request.identity.clone().filter(|_| place.tls), place }
    }
}

fn destination(network: &Network, request: &Request) -> Result<Rc<Destination>, Failure> {
    let mut known = network.destinations.borrow_mut();
    if let Some(known) = known.get(&request.url) {
        return Ok(Rc::clone(known));
    }
    let read = Rc::new(read(request)?);
    if known.len() >= DESTINATIONS_MAX {
        known.clear();
    }
    known.insert(Arc::clone(&request.url), Rc::clone(&read));
    Ok(read)
}

fn read(request: &Request) -> Result<Destination, Failure> {
    let bad = |why: &str| Failure {
        blame: Blame::Server,
        kind: "bad_url",
        reached: Reached::Nothing,
        text: format!("{}: {why}", request.url).into(),
    };
    let uri: Uri = request.url.parse().map_err(|_| bad("not a URL"))?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(bad("neither http nor https")),
    };
    let host = uri.host().ok_or_else(|| bad("no host"))?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let target = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Ok(Destination { place: Rc::new(Place { tls, host, port }), target })
}

fn ours(kind: &'static str, text: String) -> Failure {
    Failure { blame: Blame::Generator, kind, reached: Reached::Nothing, text: text.into() }
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
        Body::Empty => bytes::Bytes::new(),
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

async fn open(network: &Rc<Network>, lane: LaneIx, to: &To) -> Result<Link, Failure> {
    let result = dial(network, lane, to).await;
    if let Err(failure) = &result {
        network.mailbox.put(Letter::NotOpened { lane, blame: failure.blame, kind: failure.kind });
    }
    result
}

/// Opens the connection that a request needs, as its session would, and lets go of it.
pub(crate) async fn knock(network: &Rc<Network>, lane: LaneIx, request: &Request) -> Result<(), Failure> {
    let to = To::of(&*destination(network, request)?, request);
    open(network, lane, &to).await.map(drop)
}

async fn dial(network: &Rc<Network>, lane: LaneIx, to: &To) -> Result<Link, Failure> {
    let Place { tls, host, port } = &*to.place;
    let refused = |error: ConnectError| Failure {
        blame: error.blame(),
        kind: error.kind(),
        reached: Reached::Nothing,
        text: format!("{host}:{port}: {error}").into(),
    };
    let address = address(network, &to.place).await?;
    let faults = network.faults.strike(lane, network.clock.now());
    if faults.contains(&FaultKind::NetworkRefused) {
        let text = format!("{host}:{port}: refused on order").into();
        return Err(Failure { blame: Blame::Network, kind: "connect_refused", reached: Reached::Nothing, text });
    }
    let mut shows = None;
    let config = if *tls {
        let identity = to.identity.as_ref().map(|identity| certified(network, identity)).transpose()?;
        let (identity, family) = identity.unzip();
        let owner = match network.resumption {
            Resumption::Off => None,
            // An owner is a lane's identity: with or without certificate are two.
            Resumption::PerIdentity => Some(TicketOwner(u64::from(lane.0) << 1 | u64::from(identity.is_some()))),
        };
        let alpn = match network.http {
            Http::Auto => Alpn::Either,
            Http::H1 => Alpn::Http1,
            Http::H2 => Alpn::Http2,
        };
        let name = connect::server_name(host).map_err(refused)?;
        let (config, shown) = network.tls.watched(identity.as_ref(), owner, alpn);
        shows = family.map(|family| (family, shown));
        Some((config, name))
    } else {
        None
    };
    let (stream, mut opening) = network.dialler.dial(address, config, &network.clock).await.map_err(refused)?;
    let http2 = if *tls { opening.http2 } else { network.http == Http::H2 };
    opening.http2 = http2;
    opening.shown = shows.filter(|(_, shown)| shown.is() && !opening.resumed).map(|(family, _)| family);
    let origin = Origin::new(*tls, host, *port).map_err(|error| ours("bad_host", error.to_string()))?;
    network.mailbox.put(Letter::Opened { lane, opening });
    let mut stream: Box<dyn ByteStream> = Box::new(stream);
    for fault in faults {
        stream = match fault {
            FaultKind::NetworkLatency(delay) => {
                let mut draw = network.faults.delays(lane, delay);
                // The connect's own way there and back.
                tokio::time::sleep(draw().std()).await;
                // What is read comes later by both ways.
                Box::new(Late::new(stream, draw))
            }
            FaultKind::NetworkBandwidth(bytes_per_second) => Box::new(Narrow::new(stream, bytes_per_second)),
            FaultKind::NetworkReset => {
                let at = CutAt { after: Some(Dur::us(1)), ..CutAt::default() };
                Box::new(Cut::new(stream, at, How::Reset))
            }
            _ => stream,
        };
    }
    match Conn::open(stream, http2, origin, &network.limits).await {
        Ok(conn) => {
            let (network, to) = (Rc::clone(network), to.clone());
            Ok(Link { network, lane, to, conn, closing: Closing::ByUs })
        }
        Err(error) => {
            network.mailbox.put(Letter::Closed { lane, closing: Closing::ByPeer });
            Err(refused(error))
        }
    }
}

/// The address of a host, looked up once a run, and only if the scenario may talk to it.
async fn address(network: &Network, to: &Place) -> Result<SocketAddr, Failure> {
    let key = (to.host.clone(), to.port);
    if let Some(known) = network.addresses.borrow().get(&key) {
        return Ok(*known);
    }
    let found =
        connect::resolve(&to.host, to.port, network.limits.connect_wait_max).await.map_err(|error| Failure {
            blame: error.blame(),
            kind: error.kind(),
            reached: Reached::Nothing,
            text: format!("{}: {error}", to.host).into(),
        })?;
    authorise::check(&to.host, &found, &network.authorised).map_err(|error| Failure {
        blame: Blame::Scenario,
        kind: "not_authorised",
        reached: Reached::Nothing,
        text: error.to_string().into(),
    })?;
    let address = *found.first().ok_or_else(|| ours("no_address", format!("{} has no address", to.host)))?;
    network.addresses.borrow_mut().insert(key, address);
    Ok(address)
}

fn certified(network: &Network, identity: &Identity) -> Result<(Arc<CertifiedKey>, KeyFamily), Failure> {
    let key = network
        .keys
        .find(identity.key)
        .ok_or_else(|| ours("key_missing", "the identity's key is not in the pool".to_owned()))?;
    let signing = key.tls().map_err(|error| ours("key_unusable", error.to_string()))?;
    let certified = certified_key(vec![CertificateDer::from(identity.certificate.to_vec())], signing);
    Ok((certified, key.kind().family()))
}
