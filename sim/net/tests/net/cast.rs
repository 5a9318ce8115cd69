//! Who plays in the tests: an authority, devices with certificates, and a server that shows what it saw.

use bytes::Bytes;
use droves_facts::{Dur, Limits};
use droves_net::clock::RunClock;
use droves_net::connect::{ConnectError, Dialler, Sources, server_name};
use droves_net::http::{Answer, Conn, Failed, Origin, Outgoing, Sink};
use droves_net::listen::{Counters, Listener, Peer, Settings, read_body};
use droves_net::tls::{
    Alpn, AskClient, ClientTls, ClientTlsSettings, Roots, ServerTls, ServerTlsSettings, TicketOwner, Trust, Versions,
    certified_key, signing_key,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;

/// An authority that issues what a test needs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "tests' authority");
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Authority { issuer: Issuer::new(params, key), certificate: der, pem }
    }

    pub(crate) fn issue(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    pub(crate) fn device(&self, name: &str) -> Arc<CertifiedKey> {
        let (certificate, key) = self.issue(name);
        certified_key(vec![certificate], signing_key(&key).unwrap())
    }

    pub(crate) fn roots(&self) -> Roots {
        Trust::only(vec![self.certificate.clone()]).load().unwrap()
    }

    pub(crate) fn server(&self, settings: &ServerTlsSettings) -> ServerTls {
        let (certificate, key) = self.issue("localhost");
        ServerTls::new(vec![certificate], &key, settings).unwrap()
    }

    pub(crate) fn client(&self, versions: Versions) -> ClientTls {
        let settings = ClientTlsSettings { versions, ..ClientTlsSettings::default() };
        ClientTls::new(&self.roots(), settings).unwrap()
    }
}

pub(crate) fn asking(alpn: Alpn, versions: Versions, resumption: bool) -> ServerTlsSettings {
    ServerTlsSettings { ask: AskClient::Any, alpn, versions, resumption }
}

/// What the server knows of a request, told back as text; some paths misbehave.
async fn answer(peer: Arc<Peer>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let text = |text: String| Ok(Response::new(Full::new(Bytes::from(text))));
    match parts.uri.path() {
        "/who" => text(peer.chain.first().map(hex_of).unwrap_or_default()),
        "/from" => text(peer.address.ip().to_string()),
        "/host" => {
            let host = parts.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or_default();
            text(format!("{:?} {host} {}", parts.version, parts.uri.authority().map_or("", |a| a.as_str())))
        }
        "/zeros" => {
            let n: usize = parts.uri.query().unwrap_or("0").parse().unwrap_or_default();
            Ok(Response::new(Full::new(Bytes::from(vec![0; n]))))
        }
        "/never" => pending().await,
        _ => match read_body(body, 100_000, Dur::secs(5)).await {
            Ok(body) => Ok(Response::new(Full::new(body))),
            Err(_) => {
                let mut refused = Response::new(Full::new(Bytes::new()));
                *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                Ok(refused)
            }
        },
    }
}

pub(crate) fn hex_of(der: &CertificateDer<'_>) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A bound server that plays [`answer`], its address and its counters.
pub(crate) fn server(
    tls: Option<ServerTls>,
    settings: Settings,
) -> (impl Future<Output = ()>, SocketAddr, Arc<Counters>) {
    let listener = Listener::loopback(0, tls, settings).unwrap();
    let (address, counters) = (listener.address(), listener.counters());
    let serving = listener.serve(pending(), |peer| service_fn(move |request| answer(peer.clone(), request)));
    (serving, address, counters)
}

/// Runs a test on a current-thread runtime while `serving` serves.
pub(crate) fn run<T>(serving: impl Future<Output = ()>, test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            () = serving => panic!("the server ended"),
            result = tokio::time::timeout(std::time::Duration::from_secs(60), test) => result.expect("a test of under a minute"),
        }
    })
}

/// One device's way to the server.
pub(crate) struct Caller<'a> {
    pub(crate) tls: Option<&'a ClientTls>,
    pub(crate) identity: Option<&'a Arc<CertifiedKey>>,
    pub(crate) owner: Option<TicketOwner>,
    pub(crate) alpn: Alpn,
}

impl Caller<'_> {
    pub(crate) async fn open(&self, address: SocketAddr) -> Result<(Conn, droves_facts::Opening), ConnectError> {
        let limits = Limits::default();
        let dialler = Dialler::new(&limits, Sources::system());
        let tls =
            self.tls.map(|tls| (tls.config(self.identity, self.owner, self.alpn), server_name("localhost").unwrap()));
        let origin = Origin::new(self.tls.is_some(), "localhost", address.port()).unwrap();
        let http2 = tls.is_none() && self.alpn == Alpn::Http2;
        let (stream, opening) = dialler.dial(address, tls, &RunClock::start()).await?;
        Ok((Conn::open(stream, opening.http2 || http2, origin, &limits).await?, opening))
    }
}

pub(crate) fn get(target: &str) -> Outgoing {
    Outgoing { method: Method::GET, target: target.parse().unwrap(), headers: HeaderMap::new(), body: Bytes::new() }
}

pub(crate) fn put(target: &str, body: impl Into<Bytes>) -> Outgoing {
    Outgoing { method: Method::PUT, target: target.parse().unwrap(), headers: HeaderMap::new(), body: body.into() }
}

pub(crate) const KEEP: Sink = Sink::Keep { bytes_max: 1 << 20 };

pub(crate) async fn send(conn: &mut Conn, outgoing: Outgoing) -> Result<Answer, Box<Failed>> {
    conn.send(outgoing, KEEP, Dur::secs(60), &RunClock::start()).await
}

pub(crate) async fn text(conn: &mut Conn, target: &str) -> String {
    let answer = send(conn, get(target)).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    String::from_utf8(answer.body.kept().to_vec()).unwrap()
}
