//! Whoever calls somebody by a URL, as Pub/Sub does its push endpoints and an EMM Google: connections are opened as they are
//! needed, and rest until they are needed again.

use droves_facts::{Blame, Dur, Limits, Word};
use droves_net::Stream;
use droves_net::authorise;
use droves_net::clock::RunClock;
use droves_net::connect::{self, ConnectError, Dialler, Sources};
use droves_net::http::{Answer, Conn, Origin, Outgoing, Reached, Sink};
use droves_net::tls::{Alpn, ClientTls};
use http::Uri;
use std::cell::RefCell;
use std::collections::HashMap;

/// Calls by HTTP/1.1, with or without TLS.
pub(crate) struct Client {
    tls: ClientTls,
    dialler: Dialler,
    authorised: Vec<String>,
    clock: RunClock,
    limits: Limits,
    /// Connections that rest, by scheme, host and port.
    resting: RefCell<HashMap<String, Vec<Conn<Stream>>>>,
}

/// Why there was no answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) blame: Blame,
    pub(crate) kind: Word,
    pub(crate) text: String,
}

impl Failed {
    /// It is the fault of whoever is called.
    pub(crate) fn server(kind: Word, text: impl Into<String>) -> Self {
        Failed { blame: Blame::Server, kind, text: text.into() }
    }
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        Failed { blame: error.blame(), kind: error.kind(), text: error.to_string() }
    }
}

impl Client {
    /// Whoever is neither near nor among the authorised is not called.
    pub(crate) fn new(tls: ClientTls, authorised: Vec<String>, clock: RunClock, limits: Limits) -> Self {
        let dialler = Dialler::new(&limits, Sources::system());
        Client { tls, dialler, authorised, clock, limits, resting: RefCell::default() }
    }

    /// Sends a request, made when there is a connection for it, to the host of a URL, and keeps so much of the answer. An error is what went wrong.
    pub(crate) async fn send(
        &self,
        uri: &Uri,
        outgoing: impl Fn() -> Outgoing,
        bytes_max: usize,
        wait_max: Dur,
    ) -> Result<Answer, Failed> {
        let origin =
            format!("{}://{}", uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", |of| of.as_str()));
        loop {
            let rested = self.rested(&origin);
            let is_rested = rested.is_some();
            let mut conn = match rested {
                Some(conn) => conn,
                None => self.open(uri).await?,
            };
            match conn.send(outgoing(), Sink::Keep { bytes_max }, wait_max, &self.clock).await {
                Ok(answer) => {
                    self.resting.borrow_mut().entry(origin).or_default().push(conn);
                    return Ok(answer);
                }
                // Whoever is called may end a connection that rests at any time.
                Err(failed) if is_rested && failed.reached == Reached::NotSent => {}
                Err(failed) => {
                    let (blame, kind) = (failed.why.blame(), failed.why.kind());
                    return Err(Failed { blame, kind, text: failed.why.to_string() });
                }
            }
        }
    }

    /// A connection that is still open.
    fn rested(&self, origin: &str) -> Option<Conn<Stream>> {
        let mut resting = self.resting.borrow_mut();
        let of = resting.get_mut(origin)?;
        std::iter::from_fn(|| of.pop()).find_map(|mut conn| conn.is_open().then_some(conn))
    }

    async fn open(&self, uri: &Uri) -> Result<Conn<Stream>, Failed> {
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let found = connect::resolve(host, port, self.limits.connect_wait_max).await?;
        let refused = |why: String| Failed { blame: Blame::Scenario, kind: "not_authorised", text: why };
        authorise::check(host, &found, &self.authorised).map_err(|error| refused(error.to_string()))?;
        let address = found.first().copied().ok_or(ConnectError::Timeout)?;
        let tls =
            if is_tls { Some((self.tls.config(None, None, Alpn::Http1), connect::server_name(host)?)) } else { None };
        let (stream, _) = self.dialler.dial(address, tls, &self.clock).await?;
        let origin = Origin::new(is_tls, host, port).map_err(|_| ConnectError::Timeout)?;
        Ok(Conn::open(stream, false, origin, &self.limits).await?)
    }
}
