//! A sender of raw notifications by WNS, as any Windows MDM server has one: the practice server's.

use crate::line;
use bytes::Bytes;
use droves_facts::{Dur, Limits, Mono};
use droves_net::Stream;
use droves_net::clock::{Clock, RunClock};
use droves_net::connect::{self, ConnectError, Dialler, Sources};
use droves_net::http::{Body, Conn, Origin, Outgoing};
use droves_net::tls::{self, Alpn, ClientTls, ClientTlsSettings, TlsError, Trust};
use droves_wire::windows::wns::{self, Token, TokenRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::cell::RefCell;
use std::net::SocketAddr;

/// Where tokens are asked for, whoever plays the service.
const TOKEN_PATH: &str = "/accesstoken.srf";
/// Before its end by so much a token is asked for anew, as servers do.
const EARLY: Dur = Dur::secs(300);

/// Whom a sender is to the push service.
#[derive(Clone, Debug)]
pub struct Package {
    /// The package's SID: `ms-app://S-1-15-2-..`.
    pub sid: String,
    /// Its secret.
    pub secret: String,
}

/// Who notifies the channels of one package.
#[derive(Debug)]
pub struct Sender {
    to: SocketAddr,
    client: ClientTls,
    package: Package,
    /// The bearer's token, and until when it is good.
    token: RefCell<Option<(String, Mono)>>,
    clock: RunClock,
    limits: Limits,
}

impl Sender {
    /// A sender to the push service at this address, whose authority is trusted: channels elsewhere are not notified.
    ///
    /// # Errors
    /// The authority is none.
    pub fn new(
        to: SocketAddr,
        ca_pem: &[u8],
        package: Package,
        clock: RunClock,
        limits: Limits,
    ) -> Result<Self, TlsError> {
        let roots = Trust::only(tls::certificates_of_pem(ca_pem)?).load()?;
        let client = ClientTls::new(&roots, ClientTlsSettings::default())?;
        Ok(Sender { to, client, package, token: RefCell::new(None), clock, limits })
    }

    /// Notifies a channel, on the connection that is kept, or on a new one. What became of it: the push service's status,
    /// or what went wrong in one word.
    pub async fn push(&self, conn: &mut Option<Conn<Stream>>, channel: &str) -> String {
        let Some(uri) = channel.parse::<Uri>().ok().filter(|uri| uri.host().is_some()) else {
            return "bad_channel".to_owned();
        };
        for _ in 0..2 {
            let token = match self.token(conn, &uri).await {
                Ok(token) => token,
                Err(why) => return why,
            };
            let mut headers = HeaderMap::new();
            let Ok(bearer) = HeaderValue::try_from(format!("Bearer {token}")) else { return "bad_token".to_owned() };
            headers.insert(header::AUTHORIZATION, bearer);
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(wns::RAW_CONTENT_TYPE));
            for (name, value) in [(wns::TYPE, wns::RAW), (wns::CACHE_POLICY, "cache")] {
                if let Ok(name) = HeaderName::try_from(name) {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            match self.post(conn, &uri, uri.path_and_query().map_or("/", |path| path.as_str()), headers, "1").await {
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
        let form = TokenRequest {
            client_id: self.package.sid.as_str().into(),
            client_secret: self.package.secret.as_str().into(),
            scope: wns::SCOPE.into(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let (status, body) = self.post(conn, uri, TOKEN_PATH, headers, &form.write()).await?;
        if status != 200 {
            return Err(format!("token_{status}"));
        }
        let token = Token::read(&body).map_err(|_| "bad_token".to_owned())?;
        let lasts = Dur::secs(token.expires_in.saturating_sub(EARLY.std().as_secs()));
        *self.token.borrow_mut() = Some((token.access_token.to_string(), now + lasts));
        Ok(token.access_token.into_owned())
    }

    async fn post(
        &self,
        conn: &mut Option<Conn<Stream>>,
        uri: &Uri,
        path: &str,
        headers: HeaderMap,
        body: &str,
    ) -> Result<(u16, Bytes), String> {
        let target = path.parse().map_err(|_| "bad_channel".to_owned())?;
        let outgoing =
            Outgoing { method: Method::POST, target, headers, body: Bytes::copy_from_slice(body.as_bytes()) };
        let answer = line::send(conn, &outgoing, wns::ANSWER_BYTES_MAX, &self.clock, || self.open(uri)).await?;
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
