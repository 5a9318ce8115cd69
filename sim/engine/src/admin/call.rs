//! One call of the server's API on the wire.

use super::{AdminError, line};
use base64::Engine;
use bytes::Bytes;
use droves_facts::{Blame, Limits, Mono, RequestTiming};
use droves_net::Stream;
use droves_net::authorise;
use droves_net::clock::{Clock, RunClock};
use droves_net::connect::{self, Dialler, Sources};
use droves_net::http::{Body, Conn, Origin, Outgoing, Reached, SendError, Sink};
use droves_net::tls::{Alpn, ClientTls};
use droves_scenario::server::{self, Auth};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use minijinja::{Environment, UndefinedBehavior};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

/// Steps that a template may take: 500 ids are joined in a few thousand.
const FUEL: u64 = 1_000_000;
/// An answer's body that is read: 500 ids with their errors have 100 KB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Where the API is, and who calls.
pub(super) struct Api {
    tls: bool,
    host: String,
    port: u16,
    prefix: String,
    auth: Option<(HeaderName, HeaderValue)>,
    authorised: Vec<String>,
    client: ClientTls,
    dialler: Dialler,
    address: RefCell<Option<SocketAddr>>,
    idle: RefCell<Vec<Conn<Stream>>>,
    limits: Arc<Limits>,
}

/// A good answer.
pub(super) struct Answered {
    pub(super) json: serde_json::Value,
    pub(super) timing: RequestTiming,
    pub(super) bytes_out: u32,
    pub(super) bytes_in: u32,
}

/// A call that came to nothing.
pub(super) struct Failed {
    pub(super) blame: Blame,
    pub(super) kind: &'static str,
    pub(super) text: String,
    /// The server may have done what was asked all the same.
    pub(super) is_unknown: bool,
    pub(super) status: Option<u16>,
    pub(super) timing: RequestTiming,
}

/// Fills a template in.
pub(super) fn render(template: &str, names: &minijinja::Value) -> Result<String, AdminError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.render_str(template, names).map_err(|error| AdminError::Template(format!("{error:#}")))
}

impl Api {
    pub(super) fn new(
        base: &str,
        auth: &Auth,
        authorised: &[String],
        client: ClientTls,
        limits: Arc<Limits>,
    ) -> Result<Self, AdminError> {
        let bad = |why: &str| AdminError::Url { url: base.to_owned(), why: why.to_owned() };
        let uri: Uri = base.parse().map_err(|_| bad("not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("neither http nor https")),
        };
        let host = uri.host().ok_or_else(|| bad("no host"))?.trim_matches(['[', ']']).to_owned();
        let secret = |name: HeaderName, value: String| {
            let mut value = HeaderValue::try_from(value).map_err(|_| bad("a secret that no header can carry"))?;
            value.set_sensitive(true);
            Ok::<_, AdminError>(Some((name, value)))
        };
        let auth = match auth {
            Auth::None => None,
            Auth::Basic { user, password } => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.0));
                secret(header::AUTHORIZATION, format!("Basic {pair}"))?
            }
            Auth::Bearer(token) => secret(header::AUTHORIZATION, format!("Bearer {}", token.0))?,
            Auth::Header { name, value } => {
                let name = HeaderName::try_from(name.as_str()).map_err(|_| bad("a header's name that is none"))?;
                secret(name, value.0.clone())?
            }
        };
        Ok(Api {
            tls,
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            host,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            auth,
            authorised: authorised.to_vec(),
            client,
            dialler: Dialler::new(&limits, Sources::system()),
            address: RefCell::new(None),
            idle: RefCell::new(Vec::new()),
            limits,
        })
    }

    /// A call, its templates filled in.
    pub(super) fn request(&self, call: &server::Call, names: &minijinja::Value) -> Result<Outgoing, AdminError> {
        let path = format!("{}{}", self.prefix, render(&call.path, names)?);
        let target: PathAndQuery =
            path.parse().map_err(|error| AdminError::Url { url: path.clone(), why: format!("{error}") })?;
        let body = call.body.as_ref().map(|body| render(body, names)).transpose()?.unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("droves/", env!("CARGO_PKG_VERSION"))));
        if let Some(kind) = call.content_type.as_ref().and_then(|kind| HeaderValue::try_from(kind).ok()) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if let Some((name, value)) = &self.auth {
            headers.insert(name.clone(), value.clone());
        }
        let method = match call.method {
            server::Method::Get => Method::GET,
            server::Method::Put => Method::PUT,
            server::Method::Post => Method::POST,
        };
        Ok(Outgoing { method, target, headers, body: Bytes::from(body) })
    }

    /// Sends it. A connection that rested may have been closed by the server meanwhile: if no byte was taken, the call
    /// goes out on a new one.
    pub(super) async fn send(
        &self,
        request: Outgoing,
        call: &server::Call,
        clock: &RunClock,
        limits: &Limits,
    ) -> Result<Answered, Failed> {
        let started = clock.now();
        let timing = |sent: Mono, first_byte: Option<Mono>, ended: Mono| RequestTiming {
            due: started,
            started,
            sent,
            first_byte,
            ended,
        };
        let sink = Sink::Keep { bytes_max: ANSWER_BYTES_MAX };
        loop {
            let idle = self.idle.borrow_mut().pop();
            let is_kept = idle.is_some();
            let mut conn = match idle {
                Some(conn) => conn,
                None => self.open(clock).await.map_err(|(blame, kind, text)| {
                    let now = clock.now();
                    let timing = timing(now, None, now);
                    Failed { blame, kind, text, is_unknown: false, status: None, timing }
                })?,
            };
            if is_kept && !conn.is_open() {
                continue;
            }
            match conn.send(request.clone(), sink, limits.request_wait_max, clock).await {
                Ok(answer) => {
                    self.idle.borrow_mut().push(conn);
                    let timing = timing(answer.sent, Some(answer.first_byte), answer.ended);
                    let Body::Kept(body) = answer.body else { continue };
                    let status = answer.status.as_u16();
                    if !call.accepted_status.contains(&status) {
                        return Err(self.refused(status, &body, timing));
                    }
                    return Ok(Answered {
                        json: serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null),
                        timing,
                        bytes_out: u32::try_from(answer.bytes_out).unwrap_or(u32::MAX),
                        bytes_in: u32::try_from(answer.bytes_in).unwrap_or(u32::MAX),
                    });
                }
                Err(failed) => {
                    let is_sent = failed.reached != Reached::NotSent;
                    if is_kept && !is_sent && !matches!(failed.why, SendError::Timeout) {
                        continue;
                    }
                    return Err(Failed {
                        blame: failed.why.blame(),
                        kind: failed.why.kind(),
                        text: failed.why.to_string(),
                        is_unknown: is_sent,
                        status: None,
                        timing: timing(failed.sent, failed.first_byte, failed.ended),
                    });
                }
            }
        }
    }

    fn refused(&self, status: u16, body: &[u8], timing: RequestTiming) -> Failed {
        let said = line(&String::from_utf8_lossy(body));
        let cure = if matches!(status, 401 | 403) {
            "; check the secret that the server profile names under `needs`"
        } else {
            ""
        };
        Failed {
            blame: if matches!(status, 401 | 403) { Blame::Scenario } else { Blame::Server },
            kind: droves_device::status_kind(status),
            text: format!("the server answered {status}: {said}{cure}"),
            is_unknown: status >= 500,
            status: Some(status),
            timing,
        }
    }

    async fn open(&self, clock: &RunClock) -> Result<Conn<Stream>, (Blame, &'static str, String)> {
        let network = |error: connect::ConnectError| (error.blame(), error.kind(), error.to_string());
        let known = *self.address.borrow();
        let address = match known {
            Some(address) => address,
            None => {
                let found =
                    connect::resolve(&self.host, self.port, self.limits.connect_wait_max).await.map_err(network)?;
                authorise::check(&self.host, &found, &self.authorised)
                    .map_err(|error| (Blame::Scenario, "not_authorised", error.to_string()))?;
                let none = || (Blame::Network, "no_address", format!("{} has no address", self.host));
                let address = *found.first().ok_or_else(none)?;
                *self.address.borrow_mut() = Some(address);
                address
            }
        };
        let tls = match self.tls {
            true => {
                Some((self.client.config(None, None, Alpn::Either), connect::server_name(&self.host).map_err(network)?))
            }
            false => None,
        };
        let (stream, opening) = self.dialler.dial(address, tls, clock).await.map_err(network)?;
        let origin = Origin::new(self.tls, &self.host, self.port)
            .map_err(|error| (Blame::Scenario, "bad_host", error.to_string()))?;
        Conn::open(stream, opening.http2, origin, &self.limits).await.map_err(network)
    }
}
