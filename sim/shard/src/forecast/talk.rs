//! Lanes that talk in virtual time: their connections, and the request that each has under way.
//!
//! As the real shell does it: one connection per origin and identity is kept while the session lasts, and a request is
//! never sent twice.

use super::model::Served;
use super::{Forecast, Line, Parcel, World};
use crate::{Answer, Exchange, Input, Ticket};
use bytes::Bytes;
use droves_device::{Body, Clocks, Failure, Identity, Machine, Method, Peer, Reached, Request, Sign};
use droves_facts::{Blame, Closing, Dur, KeyFamily, LaneIx, Mono, Opening, Purpose, What};
use http::HeaderMap;
use std::collections::HashMap;
use std::sync::Arc;

/// What an `Mdm-Signature` header takes with a certificate of a usual size: a CMS message of 1.2 KB in base64. The
/// virtual shell does not sign.
pub const SIGNATURE_BYTES: u64 = 1_650;
/// What a message to an ACME server has around its payload (measured: 441 bytes without one).
const JWS_BYTES: usize = 440;
/// How long a connect waits for an answer that does not come.
const CONNECT_WAIT: Dur = Dur::secs(20);

/// Lanes that talk. Looked up by lane only: its order reaches nothing.
pub(super) type Talks = HashMap<LaneIx, Talk>;

/// A lane that talks.
#[derive(Debug, Default)]
pub(super) struct Talk {
    links: Vec<Link>,
    /// The request that is under way, and how far it has come.
    waits: Option<(Ticket, Reached)>,
    /// When that began, was sent, and how many bytes it has.
    began: (Mono, Mono, u32),
}

/// A connection that stands. The last in the list is the one in use.
#[derive(Debug)]
struct Link {
    to: To,
    line: Line,
}

/// Origin and identity.
#[derive(Clone, Debug)]
pub(super) struct To {
    url: Arc<str>,
    origin: usize,
    identity: Option<Arc<Identity>>,
}

impl To {
    fn of(request: &Request) -> Self {
        let origin = origin(&request.url);
        let identity = request.identity.clone().filter(|_| request.url.starts_with("https:"));
        To { url: Arc::clone(&request.url), origin, identity }
    }

    fn is_tls(&self) -> bool {
        self.url.starts_with("https:")
    }
}

impl PartialEq for To {
    fn eq(&self, other: &To) -> bool {
        let same = match (&self.identity, &other.identity) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        same && self.url[..self.origin] == other.url[..other.origin]
    }
}

/// Where the path of a URL begins.
fn origin(url: &str) -> usize {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url.len(), |at| host + at)
}

/// A request on its way to the server.
#[derive(Debug)]
pub(super) struct Flight {
    lane: LaneIx,
    ticket: Ticket,
    request: Box<Request>,
    line: Line,
    /// The connection that it opened.
    opening: Option<Opening>,
}

impl<M: Machine, W: World> Forecast<M, W> {
    pub(super) fn request(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, request: Box<Request>) {
        let now = clocks.now;
        let played = match (request.peer, &request.body) {
            (Peer::Server, _) => None,
            (Peer::PushService { generation }, _) => {
                let is_taken = self.world.registers(clocks, lane, generation, &request.url);
                Some((if is_taken { 200 } else { 503 }, Bytes::new()))
            }
            (Peer::Google, Body::Bytes(ask)) => Some(self.world.google(clocks, lane, ask)),
            (Peer::Google, Body::Empty) => Some((400, Bytes::new())),
        };
        if let Some((status, body)) = played {
            let exchange =
                Exchange { started: now, sent: now, first_byte: Some(now), ended: now, bytes_out: 0, bytes_in: 0 };
            let answer = Answer { status, headers: HeaderMap::new(), body, digested: 0 };
            return self.comes(Dur::ZERO, Parcel::Ends { lane, ticket, exchange, result: Ok(answer) });
        }
        let to = To::of(&request);
        let bytes = request_bytes(&request);
        if let Some(by) = signer(&request) {
            self.shard.state(clocks, lane, What::Signed { took: Dur::ZERO, by });
        }
        let talk = self.talks.entry(lane).or_default();
        talk.began = (now, now, bytes);
        if let Some(at) = talk.links.iter().position(|link| link.to == to) {
            let link = talk.links.remove(at);
            let line = link.line;
            talk.links.push(link);
            talk.waits = Some((ticket, Reached::Sent));
            let after = self.network.one_way(u64::from(bytes), line.bytes_per_s, line.latency);
            return self.comes(after, Parcel::Arrives(Flight { lane, ticket, request, line, opening: None }));
        }
        talk.waits = Some((ticket, Reached::Nothing));
        let is_lost = self.loses_connect();
        let line = self.world.line(clocks, lane);
        let round_trip = self.network.round_trip + line.latency;
        if is_lost || line.refused || self.desk.is_out(now) {
            let (after, kind) =
                if is_lost { (CONNECT_WAIT, "connect_timeout") } else { (round_trip, "connect_refused") };
            let text = format!("{}: {}", &to.url[..to.origin], kind.replace('_', " ")).into();
            let failure = Failure { blame: Blame::Network, kind, reached: Reached::Nothing, text };
            let exchange = self.exchange(lane, now + after, None, 0);
            return self.comes(after, Parcel::Ends { lane, ticket, exchange, result: Err(failure) });
        }
        // TCP's handshake is one round trip, and so is that of TLS 1.3.
        let tls = to.is_tls().then_some(round_trip);
        // A server that has messages signed is taken not to ask for certificates, as behind a proxy that ends TLS.
        let asked = tls.is_some() && request.identity.is_some() && request.sign.is_none();
        let shown = asked.then_some(KeyFamily::Rsa);
        let opening = Opening { connect: round_trip, tls, resumed: false, http2: false, shown };
        let after = round_trip + tls.unwrap_or_default();
        self.comes(after, Parcel::Stands(Flight { lane, ticket, request, line, opening: Some(opening) }));
    }

    /// One more connection is begun: whether nobody hears of it.
    pub(super) fn loses_connect(&mut self) -> bool {
        self.connects += 1;
        self.network.loss > 0.0 && self.dice.draw(0, Purpose::Model, self.connects << 1 | 1).unit() < self.network.loss
    }

    /// A connection stands; if the lane still waits, its request leaves.
    pub(super) fn stands(&mut self, clocks: Clocks, flight: Flight) {
        let Flight { lane, ticket, .. } = flight;
        let Some(talk) = self.talks.get_mut(&lane).filter(|talk| talk.is_waiting(ticket)) else { return };
        talk.waits = Some((ticket, Reached::Sent));
        talk.began.1 = clocks.now;
        talk.links.push(Link { to: To::of(&flight.request), line: flight.line });
        let bytes = u64::from(talk.began.2);
        if let Some(opening) = flight.opening {
            self.shard.connected(clocks, lane, opening);
        }
        let after = self.network.one_way(bytes, flight.line.bytes_per_s, flight.line.latency);
        self.comes(after, Parcel::Arrives(flight));
    }

    /// The server works on what reaches it, also if nobody waits for the answer any more.
    pub(super) fn arrives(&mut self, clocks: Clocks, flight: Flight) {
        let Flight { lane, ticket, request, line, .. } = flight;
        if line.reset || self.desk.is_out(clocks.now) {
            let text = format!("{}: connection reset", request.url).into();
            let failure = Failure { blame: Blame::Network, kind: "reset", reached: Reached::Sent, text };
            return self.answers(clocks, lane, ticket, line, self.now, Err(failure));
        }
        let said = |status| Ok(Answer { status, headers: HeaderMap::new(), body: Bytes::new(), digested: 0 });
        let (done, result) = match self.desk.take(clocks.now) {
            Served::Full => (clocks.now, said(503)),
            Served::Fails(at) => (at, said(500)),
            Served::At(at) => {
                let (held, result) = self.world.answer(clocks, lane, &request);
                (at + held, result)
            }
        };
        self.answers(clocks, lane, ticket, line, done, result);
    }

    /// What the server says goes back.
    fn answers(
        &mut self,
        clocks: Clocks,
        lane: LaneIx,
        ticket: Ticket,
        line: Line,
        done: Mono,
        result: Result<Answer, Failure>,
    ) {
        if !self.talks.get(&lane).is_some_and(|talk| talk.is_waiting(ticket)) {
            return;
        }
        let bytes = result.as_ref().map_or(0, |answer| answer.body.len() as u64 + answer.digested);
        let head = done + self.network.one_way(0, line.bytes_per_s, line.latency);
        let whole = done + self.network.one_way(bytes, line.bytes_per_s, line.latency);
        let first_byte = result.is_ok().then_some(head);
        let exchange = self.exchange(lane, whole, first_byte, u32::try_from(bytes).unwrap_or(u32::MAX));
        self.comes(whole.since(clocks.now), Parcel::Ends { lane, ticket, exchange, result });
    }

    fn exchange(&self, lane: LaneIx, ended: Mono, first_byte: Option<Mono>, bytes_in: u32) -> Exchange {
        let (started, sent, bytes_out) = self.talks.get(&lane).map_or((ended, ended, 0), |talk| talk.began);
        let was_sent = self.talks.get(&lane).is_some_and(|talk| matches!(talk.waits, Some((_, Reached::Sent))));
        Exchange { started, sent, first_byte, ended, bytes_out: if was_sent { bytes_out } else { 0 }, bytes_in }
    }

    pub(super) fn ends(
        &mut self,
        clocks: Clocks,
        lane: LaneIx,
        ticket: Ticket,
        exchange: Exchange,
        result: Result<Answer, Failure>,
    ) {
        if let Some(talk) = self.talks.get_mut(&lane)
            && let Some((waited, reached)) = talk.waits
        {
            // Let go of before it came: it has been told.
            if waited != ticket {
                return;
            }
            talk.waits = None;
            if let Err(failure) = &result {
                let what = if reached == Reached::Nothing {
                    What::ConnectionFailed { blame: failure.blame, kind: failure.kind }
                } else {
                    talk.links.pop();
                    What::ConnectionClosed(Closing::ByPeer)
                };
                self.shard.state(clocks, lane, what);
            }
        }
        let input = match result {
            Ok(answer) => Input::Answered { lane, ticket, exchange, answer },
            Err(failure) => Input::Failed { lane, ticket, exchange, failure },
        };
        self.shard.step(clocks, input);
    }

    /// Nobody waits for the answer any more: the connection is closed, and the lane is told at once.
    pub(super) fn cancel(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, kind: &'static str) {
        let exchange = self.exchange(lane, clocks.now, None, 0);
        let Some(talk) = self.talks.get_mut(&lane).filter(|talk| talk.is_waiting(ticket)) else { return };
        let reached = talk.waits.take().map_or(Reached::Nothing, |(_, reached)| reached);
        if reached != Reached::Nothing && talk.links.pop().is_some() {
            self.shard.state(clocks, lane, What::ConnectionClosed(Closing::ByUs));
        }
        let blame = if kind == "timeout" { Blame::Server } else { Blame::Scenario };
        let failure = Failure { blame, kind, reached, text: "no whole answer in time".into() };
        self.comes(Dur::ZERO, Parcel::Ends { lane, ticket, exchange, result: Err(failure) });
    }

    /// The session is over.
    pub(super) fn close(&mut self, clocks: Clocks, lane: LaneIx) {
        for _ in self.talks.remove(&lane).map(|talk| talk.links).unwrap_or_default() {
            self.shard.state(clocks, lane, What::ConnectionClosed(Closing::ByUs));
        }
    }
}

impl Talk {
    pub(super) fn connections(&self) -> u64 {
        self.links.len() as u64
    }

    fn is_waiting(&self, ticket: Ticket) -> bool {
        self.waits.is_some_and(|(waited, _)| waited == ticket)
    }
}

/// By what it is signed, if it is.
fn signer(request: &Request) -> Option<KeyFamily> {
    match (&request.sign, &request.identity) {
        (Some(Sign::Message { .. }), Some(_)) => Some(KeyFamily::Rsa),
        (Some(Sign::Account(_)), _) => Some(KeyFamily::P256),
        _ => None,
    }
}

/// Bytes of a request as HTTP/1.1: head, signature and body.
fn request_bytes(request: &Request) -> u32 {
    let url = &request.url;
    let (path, host) = (url.len() - origin(url), origin(url) - url.find("://").map_or(0, |at| at + 3));
    let method = match request.method {
        Method::Get | Method::Put => 3,
        Method::Head | Method::Post => 4,
    };
    let line = |name: usize, value: usize| name + 2 + value + 2;
    let first = method + 1 + path.max(1) + " HTTP/1.1\r\n".len();
    let fixed: usize = request.headers.iter().map(|(name, value)| line(name.len(), value.len())).sum();
    let varying: usize = request.varying.iter().map(|(name, value)| line(name.len(), value.len())).sum();
    let body = match &request.body {
        Body::Empty => 0,
        Body::Bytes(bytes) => bytes.len(),
    };
    let body = if matches!(request.sign, Some(Sign::Account(_))) { JWS_BYTES + body * 4 / 3 } else { body };
    let length = if body > 0 { line("content-length".len(), body.ilog10() as usize + 1) } else { 0 };
    let head = first + line("host".len(), host) + fixed + varying + length + 2;
    let signature = match (&request.sign, &request.identity) {
        (Some(Sign::Message { header, .. }), Some(_)) => line(header.len(), 0) as u64 + SIGNATURE_BYTES,
        _ => 0,
    };
    u32::try_from(head as u64 + body as u64 + signature).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use droves_device::Sink;
    use droves_facts::Operation;

    #[test]
    fn a_request_has_the_length_that_it_has_on_the_wire() {
        let request = Request {
            operation: Operation::AppleIdle,
            peer: Peer::Server,
            method: Method::Put,
            url: "https://mdm.test/mdm".into(),
            headers: &[("accept", "*/*")],
            varying: vec![("ms-cv", "a.0".into())],
            body: Body::Bytes(Bytes::from_static(b"<plist/>")),
            identity: None,
            sign: None,
            sink: Sink::Keep(1_000),
            wait_max: Dur::secs(60),
            idle_end: None,
        };
        let wire =
            "PUT /mdm HTTP/1.1\r\nhost: mdm.test\r\naccept: */*\r\nms-cv: a.0\r\ncontent-length: 8\r\n\r\n<plist/>";
        assert_eq!(request_bytes(&request) as usize, wire.len());
    }

    #[test]
    fn connections_are_told_apart_by_origin() {
        let check = |url: &str, expected: &str| assert_eq!(&url[..origin(url)], expected);
        check("https://a.test/mdm?x=/", "https://a.test");
        check("http://127.0.0.1:8080", "http://127.0.0.1:8080");
        check("nonsense", "nonsense");
    }
}
