//! Senders by push services that want a token for who sends and a POST for each message, as servers have them: the practice
//! server's. What a service wants to hear is its [`Service`].

mod account;
mod fcm;
mod wns;

pub use account::{Account, AccountError};
pub use fcm::Messages;
pub use wns::{Package, Raw};

use crate::line;
use bytes::Bytes;
use droves_facts::{Dur, Limits, Mono};
use droves_net::Stream;
use droves_net::clock::{Clock, RunClock};
use droves_net::connect::{self, ConnectError, Dialler, Sources};
use droves_net::http::{Body, Conn, Origin, Outgoing};
use droves_net::tls::{self, Alpn, ClientTls, ClientTlsSettings, TlsError, Trust};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use std::cell::RefCell;
use std::fmt::Debug;
use std::net::SocketAddr;

/// Before its end by so much a token is asked for anew, as servers do.
const EARLY: Dur = Dur::secs(300);
/// A token or a verdict is never longer.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// What a push service wants to hear.
pub trait Service: Debug {
    /// Where tokens are asked for.
    const TOKEN_PATH: &'static str;
    /// What is wrong with an address that is none, in one word.
    const NO_ADDRESS: &'static str;

    /// The form by which a token is asked for; none if nobody can sign it.
    fn grant(&self) -> Option<String>;

    /// A token as it is granted, and how long it is good; none if it is no token.
    fn granted(&self, answer: &[u8]) -> Option<(String, Dur)>;

    /// The URL for a message to this address; none if that is no address.
    fn place(&self, to: &str) -> Option<Uri>;

    /// The message: its headers, but for who sends it, and its body.
    fn message(&self, to: &str) -> (HeaderMap, Bytes);
}

/// Who sends by a push service.
#[derive(Debug)]
pub struct Sender<S> {
    to: SocketAddr,
    client: ClientTls,
    service: S,
    /// The bearer's token, and until when it is good.
    token: RefCell<Option<(String, Mono)>>,
    clock: RunClock,
    limits: Limits,
}

impl<S: Service> Sender<S> {
    /// A sender to the push service at this address, whose authority is trusted: addresses elsewhere are not sent to.
    ///
    /// # Errors
    /// The authority is none.
    pub fn new(to: SocketAddr, ca_pem: &[u8], service: S, clock: RunClock, limits: Limits) -> Result<Self, TlsError> {
        let roots = Trust::only(tls::certificates_of_pem(ca_pem)?).load()?;
        let client = ClientTls::new(&roots, ClientTlsSettings::default())?;
        Ok(Sender { to, client, service, token: RefCell::new(None), clock, limits })
    }

    /// Sends a message to an address, on the connection that is kept, or on a new one. What became of it: the push service's
    /// status, or what went wrong in one word.
    pub async fn push(&self, conn: &mut Option<Conn<Stream>>, to: &str) -> String {
        let Some(uri) = self.service.place(to).filter(|uri| uri.host().is_some()) else {
            return S::NO_ADDRESS.to_owned();
        };
        for _ in 0..2 {
            let token = match self.token(conn, &uri).await {
                Ok(token) => token,
                Err(why) => return why,
            };
            let (mut headers, body) = self.service.message(to);
            let Ok(bearer) = HeaderValue::try_from(format!("Bearer {token}")) else { return "bad_token".to_owned() };
            headers.insert(header::AUTHORIZATION, bearer);
            match self.post(conn, &uri, uri.path_and_query().map_or("/", |path| path.as_str()), headers, body).await {
                // It may have been taken back; asked for anew, it is refused for good.
                Ok((401, _)) if self.token.take().is_some_and(|(used, _)| used == token) => {}
                Ok((status, _)) => return status.to_string(),
                Err(why) => return why,
            }
        }
        "401".to_owned()
    }

    async fn token(&self, conn: &mut Option<Conn<Stream>>, uri: &Uri) -> Result<String, String> {
        let now = self.clock.now();
        if let Some((token, until)) = &*self.token.borrow()
            && now < *until
        {
            return Ok(token.clone());
        }
        let form = self.service.grant().ok_or_else(|| "bad_key".to_owned())?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let (status, body) = self.post(conn, uri, S::TOKEN_PATH, headers, form.into()).await?;
        if status != 200 {
            return Err(format!("token_{status}"));
        }
        let (token, lasts) = self.service.granted(&body).ok_or_else(|| "bad_token".to_owned())?;
        let lasts = Dur(lasts.0.saturating_sub(EARLY.0));
        *self.token.borrow_mut() = Some((token.clone(), now + lasts));
        Ok(token)
    }

    async fn post(
        &self,
        conn: &mut Option<Conn<Stream>>,
        uri: &Uri,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(u16, Bytes), String> {
        let target = path.parse().map_err(|_| S::NO_ADDRESS.to_owned())?;
        let outgoing = Outgoing { method: Method::POST, target, headers, body };
        let answer = line::send(conn, &outgoing, ANSWER_BYTES_MAX, &self.clock, || self.open(uri)).await?;
        let body = match answer.body {
            Body::Kept(bytes) => bytes,
            Body::Digested { .. } => Bytes::new(),
        };
        Ok((answer.status.as_u16(), body))
    }

    async fn open(&self, uri: &Uri) -> Result<Conn<Stream>, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let config = self.client.config(None, None, Alpn::Http1);
        let name = connect::server_name(host.trim_matches(['[', ']']))?;
        let dialler = Dialler::new(&self.limits, Sources::system());
        let (stream, _) = dialler.dial(self.to, Some((config, name)), &self.clock).await?;
        let origin = Origin::new(true, host, uri.port_u16().unwrap_or(443)).map_err(|_| ConnectError::Timeout)?;
        Conn::open(stream, false, origin, &self.limits).await
    }
}
