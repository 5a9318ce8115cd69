//! What a request and a session cost over our connection, against hyper's client alone: CPU of the client's thread, as
//! ratios from one run, alternating so that a noisy neighbour hits both (TARGETS: request at most 1.5, session at most
//! 1.10). `cargo bench -p droves-net --bench connection`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench: it stops on the first surprise and prints")]
#![expect(clippy::disallowed_methods, reason = "hyper alone is measured without our bounds")]

use bytes::Bytes;
use droves_facts::{Dur, Limits};
use droves_net::clock::RunClock;
use droves_net::connect::{Dialler, Sources, server_name};
use droves_net::http::{Conn, Origin, Outgoing, Sink};
use droves_net::listen::{Listener, Settings, read_body};
use droves_net::tls::{
    Alpn, AskClient, ClientTls, ClientTlsSettings, ServerTls, ServerTlsSettings, Trust, Versions, certified_key,
    signing_key,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::sys::resource::{UsageWho, getrusage};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;

const ROUNDS: usize = 7;
const REQUESTS: usize = 4_000;
const SESSIONS: usize = 300;
const REQUESTS_A_SESSION: usize = 3;

struct Scene {
    address: SocketAddr,
    ours: ClientTls,
    bare: Arc<rustls::ClientConfig>,
    device: Arc<CertifiedKey>,
}

fn main() {
    let scene = scene();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    let (mut requests, mut sessions) = (Vec::new(), Vec::new());
    local.block_on(&runtime, async {
        for round in 0..=ROUNDS {
            let ours = timed(ours_requests(&scene, REQUESTS)).await / REQUESTS as f64;
            let bare = timed(bare_requests(&scene, REQUESTS)).await / REQUESTS as f64;
            let our_sessions = timed(async {
                for _ in 0..SESSIONS {
                    ours_requests(&scene, REQUESTS_A_SESSION).await;
                }
            });
            let our_session = our_sessions.await / SESSIONS as f64;
            let bare_sessions = timed(async {
                for _ in 0..SESSIONS {
                    bare_requests(&scene, REQUESTS_A_SESSION).await;
                }
            });
            let bare_session = bare_sessions.await / SESSIONS as f64;
            // The first round warms up.
            if round > 0 {
                requests.push((ours, bare));
                sessions.push((our_session, bare_session));
            }
        }
    });
    tell("keep-alive request", &mut requests);
    tell("session of 3 requests", &mut sessions);
}

fn tell(what: &str, rounds: &mut [(f64, f64)]) {
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (ours, bare) = rounds[rounds.len() / 2];
    println!(
        "{what}: ours {ours:.1} us, hyper alone {bare:.1} us, ratio {:.3} (median of {})",
        ours / bare,
        rounds.len()
    );
}

/// CPU time of this thread, in microseconds.
async fn timed(work: impl Future<Output = ()>) -> f64 {
    let spent = || {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
        let (user, system) = (usage.user_time(), usage.system_time());
        (user.tv_sec() + system.tv_sec()) as f64 * 1e6 + (user.tv_usec() + system.tv_usec()) as f64
    };
    let before = spent();
    work.await;
    spent() - before
}

async fn ours_requests(scene: &Scene, requests: usize) {
    let (limits, clock) = (Limits::default(), RunClock::start());
    let dialler = Dialler::new(&limits, Sources::system());
    let config = scene.ours.config(Some(&scene.device), None, Alpn::Http1);
    let (stream, _) =
        dialler.dial(scene.address, Some((config, server_name("localhost").unwrap())), &clock).await.unwrap();
    let origin = Origin::new(true, "localhost", scene.address.port()).unwrap();
    let mut conn = Conn::open(stream, false, origin, &limits).await.unwrap();
    for _ in 0..requests {
        let outgoing =
            Outgoing { method: Method::PUT, target: "/mdm".parse().unwrap(), headers: headers(), body: body() };
        let answer = conn.send(outgoing, Sink::Keep { bytes_max: 1 << 20 }, Dur::secs(60), &clock).await.unwrap();
        assert_eq!(answer.body.bytes(), 74);
    }
}

/// As the simplest client would: a task for the connection, no times, no limits.
async fn bare_requests(scene: &Scene, requests: usize) {
    let tcp = TcpStream::connect(scene.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let tls = TlsConnector::from(scene.bare.clone()).connect(server_name("localhost").unwrap(), tcp).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(tls)).await.unwrap();
    let driving = tokio::task::spawn_local(connection);
    let host = HeaderValue::try_from(format!("localhost:{}", scene.address.port())).unwrap();
    for _ in 0..requests {
        let mut request = Request::new(Full::new(body()));
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = "/mdm".parse().unwrap();
        *request.headers_mut() = headers();
        request.headers_mut().insert("host", host.clone());
        sender.ready().await.unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 74);
    }
    drop(sender);
    driving.await.unwrap().unwrap();
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/x-apple-aspen-mdm; charset=UTF-8"));
    headers.insert("user-agent", HeaderValue::from_static("MDM/1.0"));
    headers
}

fn body() -> Bytes {
    Bytes::from_static(&[b'x'; 400])
}

fn scene() -> Scene {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let issue = |name: &str| -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    };
    let (server, server_key) = issue("localhost");
    let (device, device_key) = issue("device");
    let settings =
        ServerTlsSettings { ask: AskClient::Any, alpn: Alpn::Http1, versions: Versions::Tls13, resumption: false };
    let tls = ServerTls::new(vec![server], &server_key, &settings).unwrap();
    let listener = Listener::loopback(0, Some(tls), Settings::default()).unwrap();
    let address = listener.address();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(listener.serve(std::future::pending(), |_| service_fn(answer)));
    });
    let roots = Trust::only(vec![authority.clone()]).load().unwrap();
    let ours = ClientTls::new(&roots, ClientTlsSettings::default()).unwrap();
    let mut store = rustls::RootCertStore::empty();
    store.add(authority).unwrap();
    let mut bare = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_client_auth_cert(vec![device.clone()], device_key.clone_key())
        .unwrap();
    bare.resumption = rustls::client::Resumption::disabled();
    let device = certified_key(vec![device], signing_key(&device_key).unwrap());
    Scene { address, ours, bare: Arc::new(bare), device }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let read = read_body(request.into_body(), 1 << 20, Dur::secs(60)).await;
    assert_eq!(read.unwrap().len(), 400);
    Ok(Response::new(Full::new(Bytes::from_static(&[b'y'; 74]))))
}
