//! Every combination of TLS version and HTTP version, against our own listener.

use crate::cast::{Authority, Caller, asking, get, hex_of, put, run, send, server, text};
use droves_net::Stream;
use droves_net::connect::ConnectError;
use droves_net::http::Reached;
use droves_net::listen::Settings;
use droves_net::tls::{Alpn, AskClient, ClientTls, ClientTlsSettings, ServerTlsSettings, Trust, TrustError, Versions};
use http::StatusCode;

fn check(versions: Versions, server_alpn: Alpn, client_alpn: Alpn, http2: bool) {
    let authority = Authority::new();
    let tls = authority.client(versions);
    let device = authority.device("device-1");
    let (serving, address, counters) =
        server(Some(authority.server(&asking(server_alpn, versions, false))), Settings::default());
    run(serving, async {
        let caller = Caller { tls: Some(&tls), identity: Some(&device), owner: None, alpn: client_alpn };
        let (mut conn, opening) = caller.open(address).await.unwrap();
        assert_eq!(opening.http2, http2);
        assert!(!opening.resumed);
        assert!(opening.tls.is_some());
        assert_eq!(text(&mut conn, "/who").await, hex_of(&device.cert[0]));
        for size in [0, 1, 1_000, 90_000] {
            let sent = vec![7_u8; size];
            let answer = send(&mut conn, put("/echo", sent.clone())).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.body.kept(), &sent[..], "{size} bytes");
            assert!(answer.bytes_out > size as u64);
            assert!(answer.sent <= answer.first_byte && answer.first_byte <= answer.ended);
        }
        let host = text(&mut conn, "/host").await;
        let authority = format!("localhost:{}", address.port());
        assert_eq!(host, if http2 { format!("HTTP/2.0  {authority}") } else { format!("HTTP/1.1 {authority} ") });
        assert!(conn.is_open());
    });
    let counts = counters.counts();
    assert_eq!((counts.accepted, counts.greeted, counts.handshake_failed), (1, 1, 0));
}

#[test]
fn tls_1_3_http_1() {
    check(Versions::Tls13, Alpn::Http1, Alpn::Either, false);
}

#[test]
fn tls_1_3_http_2() {
    check(Versions::Tls13, Alpn::Either, Alpn::Either, true);
}

#[test]
fn tls_1_2_http_1() {
    check(Versions::Tls12, Alpn::Either, Alpn::Http1, false);
}

#[test]
fn tls_1_2_http_2() {
    check(Versions::Tls12, Alpn::Http2, Alpn::Http2, true);
}

#[test]
fn a_server_without_alpn_gets_http_1() {
    check(Versions::Both, Alpn::None, Alpn::Either, false);
}

#[test]
fn plain_speaks_both() {
    let (serving, address, counters) = server(None, Settings::default());
    run(serving, async {
        for alpn in [Alpn::Http1, Alpn::Http2] {
            let (mut conn, opening) =
                Caller { tls: None, identity: None, owner: None, alpn }.open(address).await.unwrap();
            assert_eq!(opening.tls, None);
            assert_eq!(conn.is_http2(), alpn == Alpn::Http2);
            assert_eq!(text(&mut conn, "/from").await, "127.0.0.1");
            assert_eq!(send(&mut conn, put("/echo", "x")).await.unwrap().body.kept(), b"x");
        }
    });
    assert_eq!(counters.counts().greeted, 2);
}

#[test]
fn a_client_that_shows_nothing_is_seen_as_nobody() {
    let authority = Authority::new();
    let tls = authority.client(Versions::Both);
    let (serving, address, _) =
        server(Some(authority.server(&asking(Alpn::Either, Versions::Both, false))), Settings::default());
    run(serving, async {
        let caller = Caller { tls: Some(&tls), identity: None, owner: None, alpn: Alpn::Http1 };
        let (mut conn, _) = caller.open(address).await.unwrap();
        assert_eq!(text(&mut conn, "/who").await, "");
    });
}

/// In TLS 1.3 the server judges a client's certificate after the client's handshake is over, so that the alert meets
/// the first request; in 1.2 it meets the handshake.
#[test]
fn a_certificate_of_another_authority_is_refused_with_an_alert() {
    let (ours, other) = (Authority::new(), Authority::new());
    let stranger = other.device("stranger");
    let settings = ServerTlsSettings { ask: AskClient::IssuedBy(ours.roots()), ..ServerTlsSettings::default() };
    let (serving, address, counters) = server(Some(ours.server(&settings)), Settings::default());
    run(serving, async {
        let (old, new) = (ours.client(Versions::Tls12), ours.client(Versions::Tls13));
        let open = |tls| Caller { tls: Some(tls), identity: Some(&stranger), owner: None, alpn: Alpn::Http1 };
        let refused = open(&old).open(address).await.unwrap_err();
        assert_eq!((refused.kind(), matches!(refused, ConnectError::TlsAlert(_))), ("tls_alert", true));
        let (mut conn, _) = open(&new).open(address).await.unwrap();
        let failed = send(&mut conn, get("/who")).await.unwrap_err();
        assert_eq!(failed.why.kind(), "tls_alert", "{:?}", failed.why);
        assert_ne!(failed.reached, Reached::Head(StatusCode::OK));
        assert!(!conn.is_open());
        let own = ours.device("own");
        let (mut conn, _) = Caller { tls: Some(&new), identity: Some(&own), owner: None, alpn: Alpn::Http1 }
            .open(address)
            .await
            .unwrap();
        assert_eq!(text(&mut conn, "/who").await, hex_of(&own.cert[0]));
    });
    assert_eq!(counters.counts().handshake_failed, 2);
}

#[test]
fn an_untrusted_server_is_refused_with_the_reason() {
    let (ours, other) = (Authority::new(), Authority::new());
    let tls = ours.client(Versions::Both);
    let (serving, address, _) = server(Some(other.server(&ServerTlsSettings::default())), Settings::default());
    run(serving, async {
        let caller = Caller { tls: Some(&tls), identity: None, owner: None, alpn: Alpn::Http1 };
        let refused = caller.open(address).await.unwrap_err();
        assert_eq!(refused.kind(), "tls_certificate", "{refused}");
    });
}

#[test]
fn versions_that_do_not_meet_are_an_alert() {
    let authority = Authority::new();
    let settings = ServerTlsSettings { versions: Versions::Tls12, ..ServerTlsSettings::default() };
    let (serving, address, _) = server(Some(authority.server(&settings)), Settings::default());
    run(serving, async {
        let new = authority.client(Versions::Tls13);
        let caller = Caller { tls: Some(&new), identity: None, owner: None, alpn: Alpn::Http1 };
        assert_eq!(caller.open(address).await.unwrap_err().kind(), "tls_alert");
    });
}

/// The stream's own view of what was agreed on.
#[test]
fn a_stream_tells_what_it_speaks() {
    let authority = Authority::new();
    let tls = authority.client(Versions::Tls12);
    let (serving, address, _) = server(Some(authority.server(&ServerTlsSettings::default())), Settings::default());
    run(serving, async {
        let limits = droves_facts::Limits::default();
        let dialler = droves_net::connect::Dialler::new(&limits, droves_net::connect::Sources::system());
        let name = droves_net::connect::server_name("localhost").unwrap();
        let config = tls.config(None, None, Alpn::Http2);
        let clock = droves_net::clock::RunClock::start();
        let (stream, opening) = dialler.dial(address, Some((config, name)), &clock).await.unwrap();
        assert!(matches!(stream, Stream::Tls(_)) && opening.http2);
        assert!(stream.agreed().unwrap().starts_with("TLSv1_2 "));
        assert_eq!(stream.peer_chain().len(), 1);
    });
}

#[test]
fn authorities_come_from_pem_files_too() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("ca.pem"), folder.path().join("not.pem"));
    std::fs::write(&good, &authority.pem).unwrap();
    std::fs::write(&bad, "hello").unwrap();
    let said = |trust: Result<Trust, TrustError>| trust.unwrap_err().to_string();
    assert!(said(Trust::default().and_file(&bad)).contains("not.pem: bad PEM"));
    assert!(said(Trust::default().and_file(&folder.path().join("none"))).contains("can't be read"));
    assert!(Trust::default().load().unwrap_err().to_string().contains("nobody is trusted"));
    assert!(Trust::system().load().is_ok());
    let roots = Trust::default().and_file(&good).unwrap().load().unwrap();
    let tls = ClientTls::new(&roots, ClientTlsSettings::default()).unwrap();
    let (serving, address, _) = server(Some(authority.server(&ServerTlsSettings::default())), Settings::default());
    run(serving, async {
        let caller = Caller { tls: Some(&tls), identity: None, owner: None, alpn: Alpn::Http1 };
        assert!(caller.open(address).await.is_ok());
    });
}

/// The variable must be there before the process is, so the test runs another of this binary's in a child.
#[test]
fn secrets_are_logged_for_wireshark_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("keys");
    let ran = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "round_trips::tls_1_3_http_1", "round_trips::tls_1_2_http_1"])
        .env("SSLKEYLOGFILE", &log)
        .output()
        .unwrap();
    assert!(ran.status.success());
    let log = std::fs::read_to_string(&log).unwrap();
    // Both sides of one handshake in 1.3, both of one in 1.2, in one file and no line torn.
    let lines = |label: &str| log.lines().filter(|line| line.split(' ').next() == Some(label)).count();
    assert_eq!(lines("CLIENT_TRAFFIC_SECRET_0"), 2);
    assert_eq!(lines("CLIENT_RANDOM"), 2);
    assert!(log.lines().all(|line| line.starts_with('#') || line.split(' ').count() == 3), "{log}");
}
