//! Servers that misbehave, and what is said of each: whose fault, which word, how far it came.

use crate::cast::{Authority, Caller, asking, get, put, run, send, server, text};
use bytes::Bytes;
use droves_facts::{Blame, Dur, Limits};
use droves_net::clock::RunClock;
use droves_net::connect::{Dialler, Sources, resolve, server_name};
use droves_net::http::{Body, Conn, Failed, Origin, Reached, Sink};
use droves_net::listen::Settings;
use droves_net::tls::{Alpn, Versions};
use http::StatusCode;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a scripted server does after it has read a request and said its piece.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Reset,
    Hold,
    Flood,
}

async fn scripted(listener: TcpListener, says: &'static [u8], then: Then) {
    let (mut tcp, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
        let mut buf = [0; 1_024];
        let n = tcp.read(&mut buf).await.unwrap();
        seen.extend_from_slice(&buf[..n]);
    }
    tcp.write_all(says).await.unwrap();
    match then {
        Then::Close => drop(tcp),
        Then::Reset => tcp.set_zero_linger().unwrap(),
        Then::Hold => std::future::pending().await,
        Then::Flood => while tcp.write_all(&[b'x'; 4_096]).await.is_ok() {},
    }
}

async fn plain_conn(address: SocketAddr) -> Conn {
    Caller { tls: None, identity: None, owner: None, alpn: Alpn::Http1 }.open(address).await.unwrap().0
}

fn failed(says: &'static [u8], then: Then, sink: Sink, wait_max: Dur) -> Box<Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let local = tokio::task::LocalSet::new();
        let playing = local.spawn_local(scripted(listener, says, then));
        let failed = local
            .run_until(async {
                let mut conn = plain_conn(address).await;
                let failed = conn.send(get("/"), sink, wait_max, &RunClock::start()).await.unwrap_err();
                assert!(!conn.is_open(), "a failed connection is of no further use");
                let again = conn.send(get("/"), sink, wait_max, &RunClock::start()).await.unwrap_err();
                assert_eq!((again.why.kind(), again.reached), ("already_closed", Reached::NotSent));
                failed
            })
            .await;
        playing.abort();
        failed
    })
}

#[test]
fn what_a_server_does_wrong_has_a_word() {
    let check = |says, then, sink, kind, blame, reached| {
        let failed = failed(says, then, sink, if kind == "timeout" { Dur::secs(2) } else { Dur::secs(60) });
        assert_eq!((failed.why.kind(), failed.why.blame(), failed.reached), (kind, blame, reached), "{}", failed.why);
        assert_eq!(failed.first_byte.is_some(), matches!(reached, Reached::Head(_)));
        assert!(failed.bytes_out > 0 && failed.sent <= failed.ended);
    };
    let (ok, keep) = (Reached::Head(StatusCode::OK), Sink::Keep { bytes_max: 100 });
    let digest = Sink::Digest { bytes_max: 100_000 };
    check(b"", Then::Close, keep, "closed", Blame::Server, Reached::Sent);
    check(b"", Then::Reset, keep, "reset", Blame::Network, Reached::Sent);
    check(b"", Then::Hold, keep, "timeout", Blame::Server, Reached::Sent);
    check(b"HTTP/1.1 200 OK\r\nContent-", Then::Close, keep, "closed", Blame::Server, Reached::Sent);
    check(b"SSH-2.0-OpenSSH_9.2\r\n", Then::Hold, keep, "http_malformed", Blame::Server, Reached::Sent);
    check(b"HTTP/1.1 200 OK\r\nX: ", Then::Flood, keep, "head_too_long", Blame::Server, Reached::Sent);
    let short: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf";
    check(short, Then::Close, keep, "body_cut", Blame::Server, ok);
    check(short, Then::Reset, keep, "reset", Blame::Network, ok);
    check(short, Then::Hold, keep, "timeout", Blame::Server, ok);
    let long: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    check(long, Then::Hold, keep, "body_too_long", Blame::Server, ok);
    check(long, Then::Hold, digest, "body_too_long", Blame::Server, ok);
    let endless: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    check(endless, Then::Flood, keep, "body_too_long", Blame::Server, ok);
    check(endless, Then::Flood, digest, "body_too_long", Blame::Server, ok);
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n";
    check(chunked, Then::Flood, keep, "body_too_long", Blame::Server, ok);
    check(chunked, Then::Close, keep, "body_cut", Blame::Server, ok);
}

#[test]
fn bodies_are_kept_or_digested() {
    let (serving, address, _) = server(None, Settings::default());
    run(serving, async {
        let mut conn = plain_conn(address).await;
        for (n, kept) in [(0, true), (1_000_000, true), (1 << 20, true), ((1 << 20) + 1, false)] {
            let answer = send(&mut conn, get(&format!("/zeros?{n}"))).await;
            assert_eq!(answer.is_ok(), kept, "{n}");
            if let Ok(answer) = answer {
                assert_eq!(answer.body, Body::Kept(Bytes::from(vec![0; n])));
            }
        }
        let mut conn = plain_conn(address).await;
        let sink = Sink::Digest { bytes_max: 10 << 20 };
        let answer = conn.send(get("/zeros?10485760"), sink, Dur::secs(60), &RunClock::start()).await.unwrap();
        // `head -c 10485760 /dev/zero | sha256sum`
        let hex = "e5b844cc57f57094ea4585e235f36c78c1cd222262bb89d53c94dcb4d6b3e55d";
        let Body::Digested { bytes, sha256 } = answer.body else { panic!("digested") };
        assert_eq!(bytes, 10_485_760);
        assert_eq!(sha256.iter().map(|b| format!("{b:02x}")).collect::<String>(), hex);
        assert!(answer.bytes_in > bytes);
    });
}

#[test]
fn a_slow_server_times_out_in_both_protocols() {
    let authority = Authority::new();
    let tls = authority.client(Versions::Both);
    let (serving, address, _) =
        server(Some(authority.server(&asking(Alpn::Either, Versions::Both, false))), Settings::default());
    run(serving, async {
        for alpn in [Alpn::Http1, Alpn::Http2] {
            let (mut conn, _) =
                Caller { tls: Some(&tls), identity: None, owner: None, alpn }.open(address).await.unwrap();
            text(&mut conn, "/from").await;
            let failed = conn
                .send(get("/never"), Sink::Keep { bytes_max: 10 }, Dur::secs(2), &RunClock::start())
                .await
                .unwrap_err();
            assert_eq!((failed.why.kind(), failed.reached), ("timeout", Reached::Sent), "{alpn:?}");
            assert!(!conn.is_open());
        }
    });
}

#[test]
fn a_closed_idle_connection_is_noticed() {
    let settings = Settings { head_wait_max: Dur::ms(1_500), ..Settings::default() };
    let (serving, address, counters) = server(None, settings);
    run(serving, async {
        let mut conn = plain_conn(address).await;
        text(&mut conn, "/from").await;
        assert!(conn.is_open());
        conn.until_closed().await;
        assert!(!conn.is_open());
        let failed = send(&mut conn, get("/from")).await.unwrap_err();
        assert_eq!((failed.why.kind(), failed.reached), ("already_closed", Reached::NotSent));
        // Found out by the request itself, too.
        let mut conn = plain_conn(address).await;
        text(&mut conn, "/from").await;
        while counters.counts().open > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The server has closed it, maybe in this very turn of the runtime: what came by the wire is known in the next.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let failed = send(&mut conn, put("/echo", "x")).await.unwrap_err();
        assert_eq!((failed.why.kind(), failed.reached, failed.bytes_out), ("already_closed", Reached::NotSent, 0));
    });
}

#[test]
fn what_fails_while_connecting_has_a_word() {
    run(std::future::pending(), async {
        let dialler = Dialler::new(&Limits::default(), Sources::system());
        let clock = RunClock::start();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = dialler.dial(gone, None, &clock).await.unwrap_err();
        assert_eq!((error.kind(), error.blame()), ("connect_refused", Blame::Network));

        let authority = Authority::new();
        let tls = authority.client(Versions::Both);
        let how = || Some((tls.config(None, None, Alpn::Http1), server_name("localhost").unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { tls_wait_max: Dur::ms(200), ..Limits::default() };
        let impatient = Dialler::new(&limits, Sources::system());
        let error = impatient.dial(address, how(), &clock).await.unwrap_err();
        assert_eq!((error.kind(), error.blame()), ("tls_timeout", Blame::Server));
        drop(listener.accept().await.unwrap());

        let closing = async { drop(listener.accept().await.unwrap()) };
        let (error, ()) = tokio::join!(dialler.dial(address, how(), &clock), closing);
        // Which of the two is a race of our ClientHello with the close.
        assert!(["tls_closed", "reset"].contains(&error.unwrap_err().kind()));

        let babbling = async {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            dialled = dialler.dial(address, how(), &clock) => dialled.unwrap_err(),
            () = babbling => unreachable!(),
        };
        assert_eq!(error.kind(), "tls_protocol");

        let error = resolve("no-such-host.invalid", 1, Dur::secs(5)).await.unwrap_err();
        assert_eq!((error.kind(), error.blame()), ("unknown_host", Blame::Scenario));
        assert_eq!(resolve("[::1]", 7, Dur::secs(5)).await.unwrap(), ["[::1]:7".parse().unwrap()]);
    });
}

/// A full backlog drops SYNs (Linux).
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_does_not_accept_times_out() {
    run(std::future::pending(), async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let limits = Limits { connect_wait_max: Dur::ms(200), ..Limits::default() };
        let dialler = Dialler::new(&limits, Sources::system());
        let mut held = Vec::new();
        let error = loop {
            match dialler.dial(address, None, &RunClock::start()).await {
                Ok(connected) => held.push(connected),
                Err(error) => break error,
            }
            assert!(held.len() < 10, "a backlog of 0 takes no ten connections");
        };
        assert_eq!((error.kind(), error.blame()), ("connect_timeout", Blame::Network));
    });
}

/// An HTTP/2 server in bytes (RFC 9113): its SETTINGS, and after the client's request these frames.
async fn in_frames(listener: TcpListener, frames: &'static [u8], hold: bool) {
    let (mut tcp, _) = listener.accept().await.unwrap();
    tcp.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    // Preface and SETTINGS, then HEADERS of stream 1 with END_STREAM and END_HEADERS.
    let mut seen = Vec::new();
    while !seen.windows(6).any(|w| w == [1, 5, 0, 0, 0, 1]) {
        let mut buf = [0; 1_024];
        let n = tcp.read(&mut buf).await.unwrap();
        seen.extend_from_slice(&buf[..n]);
    }
    tcp.write_all(frames).await.unwrap();
    if !hold {
        // Our end only: a whole close would meet the client's acknowledgements with a reset.
        tcp.shutdown().await.unwrap();
    }
    std::future::pending().await
}

#[test]
fn http_2_endings_are_told_apart() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let check = |frames, hold, kind| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let asking = async {
                let limits = Limits::default();
                let stream = TcpStream::connect(address).await.unwrap();
                let origin = Origin::new(false, "localhost", address.port()).unwrap();
                let mut conn = Conn::open(stream, true, origin, &limits).await.unwrap();
                let sink = Sink::Keep { bytes_max: 10 };
                conn.send(get("/"), sink, Dur::secs(10), &RunClock::start()).await.unwrap_err()
            };
            let failed = tokio::select! {
                failed = asking => failed,
                () = in_frames(listener, frames, hold) => unreachable!(),
            };
            assert_eq!((failed.why.kind(), failed.reached), (kind, Reached::Sent), "{}", failed.why);
        });
    };
    // RST_STREAM of stream 1 with REFUSED_STREAM.
    check(&[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7], true, "stream_reset");
    // GOAWAY with ENHANCE_YOUR_CALM; no stream was processed.
    check(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11], true, "go_away");
    // GOAWAY without an error, stream 1 would still be answered; then the end.
    check(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], false, "closed");
    check(&[], false, "closed");
}
