//! The floor of a session: hyper over rustls with a client certificate, and nothing else. It sends what a device sends
//! and reads the answers; it knows no device, measures nothing and keeps nothing.

use crate::harness::{cpu_s, resident};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;

/// The bytes of a device's `Idle`, about.
const BODY: [u8; 400] = [b'x'; 400];

/// A client with one certificate.
#[derive(Clone)]
pub(crate) struct Bare {
    connector: TlsConnector,
    port: u16,
}

/// What a bare client is made of.
#[derive(Clone)]
pub(crate) struct Shown {
    /// Whom it trusts, its own certificate and key.
    pub(crate) authority: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Arc<PrivateKeyDer<'static>>,
}

impl Bare {
    /// To a sink at this port of 127.0.0.1. Every handshake is a full one.
    pub(crate) fn new(port: u16, shown: &Shown) -> Bare {
        Bare::with(port, shown, rustls::DEFAULT_VERSIONS, Resumption::disabled())
    }

    /// The same with one version of TLS, and with tickets.
    pub(crate) fn resuming(port: u16, shown: &Shown, version: &'static SupportedProtocolVersion) -> Bare {
        Bare::with(port, shown, &[version], Resumption::in_memory_sessions(64))
    }

    fn with(port: u16, shown: &Shown, versions: &[&'static SupportedProtocolVersion], resumption: Resumption) -> Bare {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(shown.authority.clone())).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![CertificateDer::from(shown.certificate.clone())], shown.key.clone_key())
            .unwrap();
        config.resumption = resumption;
        Bare { connector: TlsConnector::from(Arc::new(config)), port }
    }

    /// Processor time of one session of so many requests, in microseconds, at this rate.
    pub(crate) fn session_us(&self, rate: u32, seconds: u32, requests: u32) -> f64 {
        let before = cpu_s();
        let sessions = rate * seconds;
        self.in_runtime(async |bare: Bare| {
            let began = Instant::now();
            let mut tasks = Vec::new();
            for n in 0..sessions {
                let due = began + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
                tokio::time::sleep_until(due.into()).await;
                let bare = bare.clone();
                tasks.push(tokio::task::spawn_local(async move { bare.session(requests).await }));
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
        (cpu_s() - before) * 1e6 / f64::from(sessions)
    }

    /// Resident memory of one open session, in bytes: `few` are held first, then `many` more.
    pub(crate) fn open_session_bytes(&self, few: u32, many: u32) -> f64 {
        self.in_runtime(async |bare: Bare| {
            let open = Rc::new(Cell::new(0));
            let mut looks = Vec::new();
            for count in [few, many] {
                let all = open.get() + count;
                for n in 0..count {
                    let (bare, open) = (bare.clone(), Rc::clone(&open));
                    tokio::task::spawn_local(async move {
                        let mut sender = bare.connect().await;
                        send(&mut sender).await;
                        open.set(open.get() + 1);
                        send(&mut sender).await;
                    });
                    if n % 50 == 49 {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
                while open.get() < all {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                looks.push(resident().0);
            }
            (looks[1] - looks[0]) / f64::from(many)
        })
    }

    fn in_runtime<T>(&self, what: impl AsyncFnOnce(Bare) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, what(self.clone()))
    }

    async fn session(&self, requests: u32) {
        let mut sender = self.connect().await;
        for _ in 0..requests {
            send(&mut sender).await;
        }
    }

    async fn connect(&self) -> hyper::client::conn::http1::SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = self.connector.connect(name, stream).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::task::spawn_local(async move { drop(connection.await) });
        sender
    }
}

async fn send(sender: &mut hyper::client::conn::http1::SendRequest<Full<Bytes>>) {
    let request = Request::put("/mdm").header(header::HOST, "127.0.0.1").body(Full::new(Bytes::from_static(&BODY)));
    sender.ready().await.unwrap();
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    drop(answer.into_body().collect().await.unwrap());
}
