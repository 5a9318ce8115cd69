//! Faults on the wire, and the front door.

use crate::cast::{Authority, Caller, asking, get, put, run, send, server, text};
use bytes::Bytes;
use droves_facts::{Dice, Dur, Purpose};
use droves_net::faults::{ByteStream, Capture, Cut, CutAt, FaultProxy, How, Late, Narrow, Side, Tape};
use droves_net::http::{Conn, Reached};
use droves_net::listen::{Listener, Settings};
use droves_net::proxy::Door;
use droves_net::tls::{Alpn, Versions};
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::time::Instant;

fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

#[test]
fn latency_delays_and_never_reorders() {
    paused(async {
        let (mut near, far) = duplex(1 << 20);
        let mut dice = Dice::new(7).draw(0, Purpose::Fault, 0);
        let mut far = Late::new(far, move || Dur::ms(50 + dice.below(100)));
        let began = Instant::now();
        for n in 0..20_u8 {
            near.write_all(&[n]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut got = [0; 20];
        far.read_exact(&mut got).await.unwrap();
        assert!(got.is_sorted(), "{got:?}");
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(50) && took <= Duration::from_millis(151), "{took:?}");
        // The end comes after what was under way.
        near.write_all(b"last").await.unwrap();
        drop(near);
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last");
    });
}

#[test]
fn a_narrow_pipe_takes_its_time_each_way() {
    paused(async {
        let (near, mut far) = duplex(1 << 20);
        let mut near = Narrow::new(near, 10_000);
        let began = Instant::now();
        near.write_all(&[0; 20_000]).await.unwrap();
        let wrote = began.elapsed();
        far.write_all(&[0; 20_000]).await.unwrap();
        let began = Instant::now();
        near.read_exact(&mut [0; 20_000]).await.unwrap();
        for took in [wrote, began.elapsed()] {
            // The last slice is free, and a slice passes in 10 ms.
            assert!((1_950..=2_300).contains(&took.as_millis()), "{took:?}");
        }
    });
}

#[test]
fn a_cut_is_where_and_how_it_was_ordered() {
    paused(async {
        for how in [How::Reset, How::End, How::Stall] {
            let (near, mut far) = duplex(1 << 20);
            let at = CutAt { read_bytes: Some(5), ..CutAt::default() };
            let mut near = Cut::new(near, at, how);
            far.write_all(b"hello, world").await.unwrap();
            near.read_exact(&mut [0; 5]).await.unwrap();
            let next = tokio::time::timeout(Duration::from_secs(3_600), near.read_u8()).await;
            let kind = next.map(|read| read.unwrap_err().kind()).ok();
            let expected = match how {
                How::Reset => Some(std::io::ErrorKind::ConnectionReset),
                How::End => Some(std::io::ErrorKind::UnexpectedEof),
                How::Stall => None,
            };
            assert_eq!(kind, expected);

            let (near, mut far) = duplex(1 << 20);
            let at = CutAt { written_bytes: Some(5), ..CutAt::default() };
            let mut near = Cut::new(near, at, how);
            let written = tokio::time::timeout(Duration::from_secs(3_600), near.write_all(b"hello, world")).await;
            assert_eq!(written.is_err(), how == How::Stall);
            assert!(!matches!(written, Ok(Ok(()))));
            drop(near);
            let mut got = Vec::new();
            far.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, b"hello");
        }
        // By the clock.
        let (near, _far) = duplex(64);
        let mut near = Cut::new(near, CutAt { after: Some(Dur::secs(3)), ..CutAt::default() }, How::Reset);
        let began = Instant::now();
        assert_eq!(near.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(began.elapsed().as_secs(), 3);
    });
}

#[test]
fn a_capture_holds_what_went_by_up_to_its_limit() {
    paused(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        let tape = Tape::create(&path, 10).unwrap();
        let (near, mut far) = duplex(64);
        let mut near = Capture::new(near, tape.clone());
        near.write_all(b"ping").await.unwrap();
        far.write_all(b"pong").await.unwrap();
        near.read_exact(&mut [0; 4]).await.unwrap();
        near.write_all(b"too much").await.unwrap();
        assert_eq!(tape.finish().unwrap(), 8);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "> 0us 4\nping\n< 0us 4\npong\n");
    });
}

/// A listener in front of `target` with these faults.
fn through(
    target: SocketAddr,
    wrap: impl Fn(u64, Side, Box<dyn ByteStream>) -> Box<dyn ByteStream> + 'static,
) -> (impl Future<Output = ()>, SocketAddr) {
    let listener = Listener::loopback(0, None, Settings { plain_http2: false, ..Settings::default() }).unwrap();
    let address = listener.address();
    (FaultProxy::new(target, wrap).serve(listener, pending()), address)
}

async fn both(a: impl Future<Output = ()>, b: impl Future<Output = ()>) {
    tokio::join!(a, b);
}

/// The second connection is reset after 1,000 bytes of answers; the first and third are whole.
#[test]
fn a_fault_proxy_breaks_the_connection_that_it_was_told_to() {
    let authority = Authority::new();
    let tls = authority.client(Versions::Both);
    let (serving, target, _) =
        server(Some(authority.server(&asking(Alpn::Either, Versions::Both, false))), Settings::default());
    let (proxying, address) = through(target, |number, side, stream| match (number, side) {
        (1, Side::Far) => Box::new(Cut::new(stream, CutAt { read_bytes: Some(5_000), ..CutAt::default() }, How::Reset)),
        _ => Box::new(Late::new(stream, || Dur::ms(2))),
    });
    run(both(serving, proxying), async {
        for (number, whole) in [(0, true), (1, false), (2, true)] {
            let caller = Caller { tls: Some(&tls), identity: None, owner: None, alpn: Alpn::Http1 };
            let (mut conn, _) = caller.open(address).await.unwrap();
            match send(&mut conn, get("/zeros?100000")).await {
                Ok(answer) => assert!(whole && answer.body.bytes() == 100_000, "{number}"),
                Err(failed) => {
                    assert!(!whole, "{number}: {}", failed.why);
                    assert_eq!(failed.why.kind(), "reset");
                    // A reset may overtake the head that was sent before it.
                    assert_ne!(failed.reached, Reached::NotSent);
                }
            }
        }
    });
}

/// A stalled route looks like a slow server: that is why the word is `timeout`.
#[test]
fn a_stalled_route_times_out() {
    let (serving, target, _) = server(None, Settings::default());
    let (proxying, address) = through(target, |_, side, stream| match side {
        Side::Near => Box::new(Cut::new(stream, CutAt { read_bytes: Some(20), ..CutAt::default() }, How::Stall)),
        Side::Far => stream,
    });
    run(both(serving, proxying), async {
        let caller = Caller { tls: None, identity: None, owner: None, alpn: Alpn::Http1 };
        let (mut conn, _) = caller.open(address).await.unwrap();
        let clock = droves_net::clock::RunClock::start();
        let failed = conn.send(put("/echo", "x"), crate::cast::KEEP, Dur::ms(100), &clock).await.unwrap_err();
        assert_eq!((failed.why.kind(), failed.reached), ("timeout", Reached::Sent));
    });
}

async fn asked_of_the_door(address: SocketAddr, request: &str) -> (TcpStream, String) {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    let status = String::from_utf8(head.get(9..12).unwrap().to_vec()).unwrap();
    (tcp, status)
}

#[test]
fn the_door_leads_where_it_was_told_and_nowhere_else() {
    let (serving, target, _) = server(None, Settings::default());
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let listener = Listener::loopback(0, None, Settings { plain_http2: false, ..Settings::default() }).unwrap();
    let address = listener.address();
    let door = Door::default().leading("api.push.apple.com", 443, target).leading("gone.test", 443, nobody);
    let counters = door.counters();
    let opening = door.serve(listener, pending());
    run(both(serving, opening), async {
        let check = |request: String, status: &'static str| async move {
            let (tcp, said) = asked_of_the_door(address, &request).await;
            assert_eq!(said, status, "{request}");
            tcp
        };
        let connect = |target: &str| format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        check(connect("api.push.apple.com:2197"), "403").await;
        check(connect("api.sandbox.push.apple.com:443"), "403").await;
        check(connect(&target.to_string()), "403").await;
        check(connect("gone.test:443"), "502").await;
        check("GET http://localhost/ HTTP/1.1\r\n\r\n".to_owned(), "405").await;
        check(format!("CONNECT a:1 HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(10_000)), "431").await;
        let tunnel = check(connect("API.push.apple.com:443"), "200").await;
        let origin = droves_net::http::Origin::new(false, "localhost", target.port()).unwrap();
        let mut conn = Conn::open(tunnel, false, origin, &droves_facts::Limits::default()).await.unwrap();
        let clock = droves_net::clock::RunClock::start();
        let answer = conn.send(put("/echo", Bytes::from(vec![1; 50_000])), crate::cast::KEEP, Dur::secs(20), &clock);
        assert_eq!(answer.await.unwrap().body.bytes(), 50_000);
    });
    assert_eq!(counters.counts(), (1, 5, 1));
}

/// A session's exchanges through every wrapper at once come out whole.
#[test]
fn wrappers_stack() {
    let (serving, target, _) = server(None, Settings::default());
    let tape = Rc::new(Tape::onto(std::io::sink(), 1 << 20));
    let on_tape = tape.clone();
    let (proxying, address) = through(target, move |_, _, stream| {
        let stream = Narrow::new(Late::new(stream, || Dur::ms(1)), 50 << 20);
        Box::new(Capture::new(Cut::new(stream, CutAt::default(), How::Reset), Tape::clone(&on_tape)))
    });
    run(both(serving, proxying), async {
        let caller = Caller { tls: None, identity: None, owner: None, alpn: Alpn::Http1 };
        let (mut conn, _) = caller.open(address).await.unwrap();
        for size in [0, 1, 50_000] {
            let answer = send(&mut conn, put("/echo", vec![9; size])).await.unwrap();
            assert_eq!(answer.body.kept(), &vec![9; size][..]);
        }
        assert_eq!(text(&mut conn, "/from").await, "127.0.0.1");
    });
    assert_eq!(tape.finish().unwrap(), 0);
}
