//! Resumption is per identity, and a remembered chain can't be fooled.

use crate::cast::{Authority, Caller, asking, hex_of, run, server, text};
use droves_facts::{Dur, Limits};
use droves_net::clock::RunClock;
use droves_net::connect::{Dialler, Sources, server_name};
use droves_net::listen::Settings;
use droves_net::tls::{Alpn, ClientTls, ClientTlsSettings, ServerTls, ServerTlsSettings, TicketOwner, Versions};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// Two devices in turn, three rounds each: the first handshake of each is whole, the rest are resumed, and the server
/// sees each device's own certificate every time.
fn check(versions: Versions) {
    let authority = Authority::new();
    let tls = authority.client(versions);
    let devices = [authority.device("device-1"), authority.device("device-2")];
    let (serving, address, counters) =
        server(Some(authority.server(&asking(Alpn::Http1, versions, true))), Settings::default());
    run(serving, async {
        for round in 0..3 {
            for (n, device) in devices.iter().enumerate() {
                let owner = Some(TicketOwner(n as u64));
                let caller = Caller { tls: Some(&tls), identity: Some(device), owner, alpn: Alpn::Http1 };
                let (mut conn, opening) = caller.open(address).await.unwrap();
                assert_eq!(opening.resumed, round > 0, "device {n}, round {round}");
                assert_eq!(text(&mut conn, "/who").await, hex_of(&device.cert[0]), "device {n}, round {round}");
            }
        }
    });
    let counts = counters.counts();
    assert_eq!((counts.greeted, counts.resumed), (6, 4));
}

#[test]
fn identities_never_cross_in_tls_1_3() {
    check(Versions::Tls13);
}

#[test]
fn identities_never_cross_in_tls_1_2() {
    check(Versions::Tls12);
}

#[test]
fn a_renewed_certificate_resumes_nothing_of_the_old_one() {
    let authority = Authority::new();
    let tls = authority.client(Versions::Tls13);
    let (old, new) = (authority.device("device-1"), authority.device("device-1"));
    let (serving, address, _) =
        server(Some(authority.server(&asking(Alpn::Http1, Versions::Both, true))), Settings::default());
    run(serving, async {
        let seen = |device: Arc<CertifiedKey>, owner: Option<u64>| {
            let tls = &tls;
            async move {
                let owner = owner.map(TicketOwner);
                let caller = Caller { tls: Some(tls), identity: Some(&device), owner, alpn: Alpn::Http1 };
                let (mut conn, opening) = caller.open(address).await.unwrap();
                assert_eq!(text(&mut conn, "/who").await, hex_of(&device.cert[0]));
                opening.resumed
            }
        };
        assert!(!seen(old.clone(), Some(1)).await);
        assert!(seen(old.clone(), Some(1)).await);
        assert!(!seen(new.clone(), Some(1)).await);
        assert!(seen(new.clone(), Some(1)).await);
        // The same certificate loaded again is the same identity.
        let again = Arc::new(CertifiedKey::new(new.cert.clone(), new.key.clone()));
        assert!(seen(again, Some(1)).await);
        // Without an owner nothing is kept.
        assert!(!seen(old.clone(), None).await);
        assert!(!seen(old, None).await);
    });
}

#[test]
fn tickets_are_bounded_and_the_first_owner_goes_first() {
    let authority = Authority::new();
    let settings = ClientTlsSettings { ticket_owners_max: 2, ..ClientTlsSettings::default() };
    let tls = ClientTls::new(&authority.roots(), settings).unwrap();
    let device = authority.device("device");
    let (serving, address, _) =
        server(Some(authority.server(&asking(Alpn::Http1, Versions::Both, true))), Settings::default());
    run(serving, async {
        let mut resumed = Vec::new();
        for owner in [1, 2, 2, 3, 1, 3] {
            let owner = Some(TicketOwner(owner));
            let caller = Caller { tls: Some(&tls), identity: Some(&device), owner, alpn: Alpn::Http1 };
            let (mut conn, opening) = caller.open(address).await.unwrap();
            text(&mut conn, "/who").await;
            resumed.push(opening.resumed);
        }
        assert_eq!(resumed, [false, false, true, false, false, true]);
    });
}

/// What the memory answers for a chain and a name, told by its counts (verified, recalled).
struct Memory<'a> {
    tls: &'a ClientTls,
}

impl Memory<'_> {
    async fn dial(&self, address: std::net::SocketAddr, name: &str) -> Result<(u64, u64), &'static str> {
        let dialler = Dialler::new(&Limits::default(), Sources::system());
        let config = self.tls.config(None, None, Alpn::Http1);
        let clock = RunClock::start();
        match dialler.dial(address, Some((config, server_name(name).unwrap())), &clock).await {
            Ok(_) => Ok(self.tls.chains().counts()),
            Err(error) => Err(error.kind()),
        }
    }
}

#[test]
fn a_chain_is_verified_once_and_not_for_another_name() {
    let authority = Authority::new();
    let tls = authority.client(Versions::Both);
    let (serving, address, _) = server(Some(authority.server(&ServerTlsSettings::default())), Settings::default());
    run(serving, async {
        let memory = Memory { tls: &tls };
        assert_eq!(memory.dial(address, "localhost").await, Ok((1, 0)));
        assert_eq!(memory.dial(address, "localhost").await, Ok((1, 1)));
        assert_eq!(memory.dial(address, "other.test").await, Err("tls_certificate"));
        assert_eq!(memory.dial(address, "localhost").await, Ok((1, 2)));
    });
}

#[test]
fn another_chain_for_the_same_name_is_not_recalled() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let tls = authority.client(Versions::Both);
    let (serving, address, _) = server(Some(authority.server(&ServerTlsSettings::default())), Settings::default());
    let (also_serving, second, _) = server(Some(authority.server(&ServerTlsSettings::default())), Settings::default());
    let (strangely_serving, third, _) =
        server(Some(stranger.server(&ServerTlsSettings::default())), Settings::default());
    let all = async {
        tokio::join!(serving, also_serving, strangely_serving);
    };
    run(all, async {
        let memory = Memory { tls: &tls };
        assert_eq!(memory.dial(address, "localhost").await, Ok((1, 0)));
        assert_eq!(memory.dial(second, "localhost").await, Ok((2, 0)));
        assert_eq!(memory.dial(third, "localhost").await, Err("tls_certificate"));
        assert_eq!(memory.dial(third, "localhost").await, Err("tls_certificate"));
        assert_eq!(memory.dial(second, "localhost").await, Ok((2, 1)));
    });
}

/// A server that shows the remembered chain without its key: the chain is recalled, the signature is not believed.
#[test]
fn a_remembered_chain_does_not_prove_the_key() {
    let authority = Authority::new();
    for versions in [Versions::Tls12, Versions::Tls13] {
        let tls = authority.client(versions);
        let (certificate, key) = authority.issue("localhost");
        let (_, wrong_key) = authority.issue("localhost");
        let settings = ServerTlsSettings { alpn: Alpn::Http1, ..ServerTlsSettings::default() };
        let honest = ServerTls::new(vec![certificate.clone()], &key, &settings).unwrap();
        assert!(
            ServerTls::new(vec![certificate.clone()], &wrong_key, &settings).is_err(),
            "a pair that is none is refused"
        );
        let (serving, address, _) = server(Some(honest), Settings::default());
        let thief = thief(certificate, &wrong_key);
        run(serving, async {
            let memory = Memory { tls: &tls };
            assert_eq!(memory.dial(address, "localhost").await, Ok((1, 0)));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let at = listener.local_addr().unwrap();
            let stealing = async {
                let (tcp, _) = listener.accept().await.unwrap();
                thief.accept(tcp).await.is_ok()
            };
            let (dialled, stolen) = tokio::join!(memory.dial(at, "localhost"), stealing);
            assert_eq!(dialled, Err("tls_certificate"), "{versions:?}");
            assert!(!stolen);
            assert_eq!(tls.chains().counts(), (1, 1), "the chain was recalled, and that did not help");
        });
    }
}

fn thief(
    certificate: rustls::pki_types::CertificateDer<'static>,
    wrong_key: &rustls::pki_types::PrivateKeyDer<'_>,
) -> tokio_rustls::TlsAcceptor {
    let identity = CertifiedKey::new(vec![certificate], droves_net::tls::signing_key(wrong_key).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity)));
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

#[test]
fn without_memory_each_chain_is_verified() {
    let authority = Authority::new();
    let settings = ClientTlsSettings { chain_memory_max: Dur::ZERO, ..ClientTlsSettings::default() };
    let tls = ClientTls::new(&authority.roots(), settings).unwrap();
    let (serving, address, _) = server(Some(authority.server(&ServerTlsSettings::default())), Settings::default());
    run(serving, async {
        let memory = Memory { tls: &tls };
        assert_eq!(memory.dial(address, "localhost").await, Ok((1, 0)));
        assert_eq!(memory.dial(address, "localhost").await, Ok((2, 0)));
    });
}

/// A server behind a proxy often asks for no certificate: then nothing is signed in the handshake.
#[test]
fn a_client_knows_whether_its_certificate_was_asked_for() {
    let authority = Authority::new();
    let device = authority.device("device");
    for versions in [Versions::Tls12, Versions::Tls13] {
        for asks in [true, false] {
            let tls = authority.client(versions);
            let settings = if asks { asking(Alpn::Http1, versions, false) } else { ServerTlsSettings::default() };
            let (serving, address, _) = server(Some(authority.server(&settings)), Settings::default());
            let shown = run(serving, async {
                let (config, shown) = tls.watched(Some(&device), None, Alpn::Http1);
                assert!(!shown.is(), "before the handshake");
                let (_, nobody) = tls.watched(None, None, Alpn::Http1);
                assert!(!nobody.is());
                let to = Some((config, server_name("localhost").unwrap()));
                let dialler = Dialler::new(&Limits::default(), Sources::system());
                dialler.dial(address, to, &RunClock::start()).await.unwrap();
                shown
            });
            assert_eq!(shown.is(), asks, "{versions:?}");
        }
    }
}
