//! What a listener holds out: slow clients, too many, large bodies, its own end; and where clients come from.

use crate::cast::{Caller, put, run, send, server, text};
use bytes::Bytes;
use droves_facts::{Dur, Limits};
use droves_net::clock::RunClock;
use droves_net::connect::{Dialler, Sources};
use droves_net::http::{Conn, Origin, Reached};
use droves_net::listen::{Kept, Listener, Settings};
use droves_net::tls::Alpn;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const PLAIN: Caller<'_> = Caller { tls: None, identity: None, owner: None, alpn: Alpn::Http1 };

#[test]
fn a_body_over_the_limit_is_refused() {
    let (serving, address, _) = server(None, Settings::default());
    run(serving, async {
        let (mut conn, _) = PLAIN.open(address).await.unwrap();
        assert_eq!(send(&mut conn, put("/echo", vec![1; 100_000])).await.unwrap().status, StatusCode::OK);
        // Announced: refused before it is read. A client may see the refusal, or the close while it still writes.
        match send(&mut conn, put("/echo", vec![1; 10_000_000])).await {
            Ok(answer) => assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE),
            Err(failed) => assert_ne!(failed.reached, Reached::NotSent),
        }
        // Not announced: cut off at the limit.
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(b"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n").await.unwrap();
        tcp.write_all(&[b'x'; 0x20000]).await.unwrap();
        let mut status = [0; 12];
        tcp.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 413");
    });
}

#[test]
fn a_client_that_dribbles_its_head_is_cut_off() {
    let settings = Settings { head_wait_max: Dur::ms(400), handshake_wait_max: Dur::ms(400), ..Settings::default() };
    let (serving, address, counters) = server(None, settings);
    run(serving, async {
        // Says nothing at all; says one byte; says half a head.
        for says in [&b""[..], b"P", b"GET / HTTP/1.1\r\nHost"] {
            let mut tcp = TcpStream::connect(address).await.unwrap();
            tcp.write_all(says).await.unwrap();
            let mut rest = Vec::new();
            // With a byte unread the close is a reset.
            let ended = tcp.read_to_end(&mut rest).await;
            assert!(ended.is_ok() || says == b"P", "{ended:?}");
        }
    });
    let counts = counters.counts();
    assert_eq!((counts.accepted, counts.handshake_failed, counts.open), (3, 2, 0));
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let settings = Settings { connections_max: 2, ..Settings::default() };
    let (serving, address, counters) = server(None, settings);
    run(serving, async {
        let (mut first, _) = PLAIN.open(address).await.unwrap();
        let (mut second, _) = PLAIN.open(address).await.unwrap();
        text(&mut first, "/from").await;
        text(&mut second, "/from").await;
        let (mut third, _) = PLAIN.open(address).await.unwrap();
        assert!(send(&mut third, put("/echo", "x")).await.is_err());
        drop(first);
        while counters.counts().open > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (mut fourth, _) = PLAIN.open(address).await.unwrap();
        text(&mut fourth, "/from").await;
    });
    let counts = counters.counts();
    assert_eq!((counts.accepted, counts.turned_away, counts.open_max), (4, 1, 2));
}

#[test]
fn a_port_that_is_taken_is_said() {
    run(std::future::pending(), async {
        let first = Listener::loopback(0, None, Settings::default()).unwrap();
        let error = Listener::bind(first.address(), None, Settings::default()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("can't listen on {}: ", first.address())), "{error}");
    });
}

/// The request under way is answered, idle connections are closed, new ones are refused.
/// Connections would be dealt out between the two: each would miss some.
#[test]
fn an_address_that_is_kept_for_others_is_taken() {
    let kept = Kept::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let shared = Settings { shared: true, ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let _listens = Listener::bind(kept.address, None, shared).unwrap();
    let again = Kept::bind(kept.address).unwrap_err();
    assert!(again.to_string().contains("in use"), "{again}");
}

#[test]
fn a_stopped_listener_finishes_what_it_began() {
    for alpn in [Alpn::Http1, Alpn::Http2] {
        let listener = Listener::loopback(0, None, Settings::default()).unwrap();
        let (address, counters) = (listener.address(), listener.counters());
        let (stop, begun, go_on) = (Notify::new(), std::rc::Rc::new(Notify::new()), std::rc::Rc::new(Notify::new()));
        let (begun_there, go_on_there) = (begun.clone(), go_on.clone());
        let serving = listener.serve(stop.notified(), move |_peer| {
            let (begun, go_on) = (begun_there.clone(), go_on_there.clone());
            service_fn(move |request: Request<Incoming>| {
                let (begun, go_on) = (begun.clone(), go_on.clone());
                async move {
                    if request.uri().path() == "/slow" {
                        begun.notify_one();
                        go_on.notified().await;
                    }
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"done"))))
                }
            })
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let caller = Caller { tls: None, identity: None, owner: None, alpn };
            let test = async {
                let (mut idle, _) = caller.open(address).await.unwrap();
                assert_eq!(text(&mut idle, "/").await, "done");
                let (mut busy, _) = caller.open(address).await.unwrap();
                let asking = text(&mut busy, "/slow");
                let stopping = async {
                    begun.notified().await;
                    stop.notify_one();
                    idle.until_closed().await;
                    assert_eq!(PLAIN.open(address).await.unwrap_err().kind(), "connect_refused");
                    go_on.notify_one();
                };
                let (answer, ()) = tokio::join!(asking, stopping);
                assert_eq!(answer, "done", "{alpn:?}");
                // Dropped only after the answer: the server must not wait for us to let go.
                busy.until_closed().await;
            };
            tokio::join!(serving, test);
        });
        assert_eq!(counters.counts().open, 0);
    }
}

/// Dropping the server is how it is killed: nobody is served any more.
#[test]
fn a_dropped_listener_is_gone_with_its_connections() {
    let (serving, address, counters) = server(None, Settings::default());
    let mut serving = Box::pin(serving);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut conn = tokio::select! {
            () = &mut serving => unreachable!(),
            conn = async {
                let (mut conn, _) = PLAIN.open(address).await.unwrap();
                text(&mut conn, "/from").await;
                conn
            } => conn,
        };
        drop(serving);
        conn.until_closed().await;
        assert_eq!(PLAIN.open(address).await.unwrap_err().kind(), "connect_refused");
    });
    assert_eq!(counters.counts().open, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn sources_are_spread_as_the_server_sees_it() {
    let (serving, address, _) = server(None, Settings::default());
    run(serving, async {
        let limits = Limits::default();
        let dialler = Dialler::new(&limits, Sources::spread(5));
        let mut seen = BTreeSet::new();
        for _ in 0..10 {
            let (stream, opening) = dialler.dial(address, None, &RunClock::start()).await.unwrap();
            assert_eq!((opening.tls, opening.http2), (None, false));
            let origin = Origin::new(false, "localhost", address.port()).unwrap();
            let mut conn = Conn::open(stream, false, origin, &limits).await.unwrap();
            seen.insert(text(&mut conn, "/from").await);
        }
        let seen: Vec<_> = seen.iter().map(String::as_str).collect();
        assert_eq!(seen, ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"]);
    });
}
