//! Sessions of our devices beside sessions of the bare client: full and resumed, one request more, and what of a session is
//! neither TLS nor the kernel.

use crate::bare::{Bare, Shown};
use crate::fleet::{self, Run};
use crate::harness::{Ground, Row, begins, medians};
use crate::peers;
use crate::sink::Sink;
use droves_facts::Unit;
use droves_net::tls::{
    Alpn, ClientTls, ClientTlsSettings, Trust, Versions, certificates_of_pem, certified_key, key_of_pem, signing_key,
};
use droves_scenario::plan::Plan;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests of a session as devices have it, and of one in which the further ones show.
const SHORT: u32 = 3;
const LONG: u32 = 23;

/// With certificates of both kinds.
pub(crate) fn full(ground: &Ground) -> Vec<Row> {
    [(true, "P-256", 1.10, 0.18), (false, "RSA", 1.15, 0.12)]
        .into_iter()
        .flat_map(|(p256, kind, to_bare, to_whole)| {
            begins(&format!("sessions with {kind} identities"));
            let figures = Full::measure(ground, p256);
            let share = (figures.user - tls_us(ground, p256)) / figures.short * 100.0;
            let each = f64::from(LONG - SHORT);
            let further = ((figures.long - figures.short) / each, (figures.bare_long - figures.bare) / each);
            let mut rows = vec![
                Row::new(
                    &format!("a session of 3 requests, {kind}, to the bare client"),
                    "us",
                    (figures.short, figures.bare),
                    to_bare,
                ),
                Row::new(
                    &format!("of such a session, {kind}, neither TLS nor the kernel, to all of it"),
                    "%",
                    (share, 100.0),
                    to_whole,
                ),
            ];
            if p256 {
                rows.push(Row::new("a request more on an open connection, to the bare client", "us", further, 1.5));
                rows.extend(peers::requests(ground).into_iter().map(|(name, theirs, target)| {
                    let name = format!("a request more on an open connection, to one of {name}");
                    Row::new(&name, "us", (further.0, theirs), target)
                }));
            }
            rows
        })
        .collect()
}

/// Microseconds of a session: ours of 3 requests, what of it is not the kernel's, ours of 23, and the bare client's.
struct Full {
    short: f64,
    user: f64,
    long: f64,
    bare: f64,
    bare_long: f64,
}

impl Full {
    fn measure(ground: &Ground, p256: bool) -> Full {
        let Ground { scale, camp, sink } = ground;
        let rate = scale.devices / scale.seconds;
        let ours = Ours::with(ground, p256);
        let bare = Bare::new(sink.port, &camp.shown(p256));
        let [short, user, long, bare, bare_long] = medians(scale.rounds, || {
            let idle = ours.idle();
            let (short, user) = ours.session(&idle, SHORT);
            let bare_short = bare.session_us(rate, scale.seconds, SHORT);
            let (long, _) = ours.session(&idle, LONG);
            [short, user, long, bare_short, bare.session_us(rate, scale.seconds, LONG)]
        });
        sink.order(0, 0);
        Full { short, user, long, bare, bare_long }
    }
}

/// What a session of ours with a P-256 identity costs, in microseconds: at which rate a core is full.
pub(crate) fn session_us(ground: &Ground) -> f64 {
    let ours = Ours::with(ground, true);
    ours.session(&ours.idle(), SHORT).0
}

/// A minted fleet that checks in at a rate, and the same fleet that does not.
struct Ours<'a> {
    sink: &'a Sink,
    quiet: Arc<Plan>,
    steady: Arc<Plan>,
    folder: PathBuf,
}

impl Ours<'_> {
    fn with(ground: &Ground, p256: bool) -> Ours<'_> {
        let Ground { scale, camp, sink } = ground;
        let (half, seconds) = (scale.devices / 2, scale.seconds);
        let rate = scale.devices / seconds;
        let quiet = camp.plan(sink, half, half, &format!("  - wait: {seconds}s\n"));
        let steady = format!("  - check_in: {{ who: all, arrivals: {{ rate: {rate}/s }} }}\n    for: {seconds}s\n");
        let steady = camp.plan(sink, half, half, &steady);
        Ours { sink, folder: camp.mint(&quiet, p256), quiet, steady }
    }

    fn idle(&self) -> Run {
        fleet::run(&self.quiet, Some(&self.folder), |_| ())
    }

    /// Microseconds of a session of so many requests beyond a run without any: all, and what is not the kernel's.
    fn session(&self, idle: &Run, requests: u32) -> (f64, f64) {
        self.sink.order(requests - 1, 0);
        let run = fleet::run(&self.steady, Some(&self.folder), |_| ());
        let counts = &run.finished.folds.counts;
        let sessions = counts.sessions_started as f64;
        let made = counts.tries_of(None, Unit::Request).succeeded as f64 / sessions;
        assert!((made / f64::from(requests) - 1.0).abs() < 0.05, "{made} requests a session, not {requests}");
        let each = |ours: f64, idle: f64| (ours - idle) * 1e6 / sessions;
        let all = each(run.cpu_s, idle.cpu_s);
        (all, all - each(run.system_s, idle.system_s))
    }
}

/// The client's part of a full handshake and of three exchanges, in memory, with our own settings: the verified chain is
/// remembered. In microseconds; the median, so that a turn that was interrupted does not count.
fn tls_us(ground: &Ground, p256: bool) -> f64 {
    let read = |name: &str| std::fs::read(ground.camp.path().join(name)).unwrap();
    let trust = || Trust::only(certificates_of_pem(&read("ca.pem")).unwrap()).load().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ground.camp.authority.certificate().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let devices = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(devices)
        .with_single_cert(certificates_of_pem(&read("server.pem")).unwrap(), key_of_pem(&read("server.pem")).unwrap())
        .unwrap();
    server.send_tls13_tickets = 0;
    let server = Arc::new(server);
    let Shown { certificate, key, .. } = ground.camp.shown(p256);
    let identity = certified_key(vec![CertificateDer::from(certificate)], signing_key(&key).unwrap());
    let client = ClientTls::new(&trust(), ClientTlsSettings::default()).unwrap();
    let session = || {
        let config = client.config(Some(&identity), None, Alpn::Http1);
        let name = droves_net::connect::server_name("127.0.0.1").unwrap();
        let mut client = Timed { side: ClientConnection::new(config, name).unwrap(), spent: Duration::ZERO };
        let mut server = ServerConnection::new(Arc::clone(&server)).unwrap();
        while client.side.is_handshaking() || server.is_handshaking() {
            client.exchange(&mut server);
        }
        for _ in 0..SHORT {
            client.timed(|side| side.writer().write_all(&[b'x'; 700]).unwrap());
            client.exchange(&mut server);
            server.writer().write_all(&[b'y'; 300]).unwrap();
            client.exchange(&mut server);
            client.timed(|side| drop(side.reader().read(&mut [0; 1_024])));
        }
        client.spent
    };
    let mut spent: Vec<Duration> = (0..ground.scale.samples).map(|_| session()).collect();
    spent.sort_unstable();
    spent[spent.len() / 2].as_secs_f64() * 1e6
}

/// One side of a handshake, and for how long it has worked.
struct Timed {
    side: ClientConnection,
    spent: Duration,
}

impl Timed {
    fn timed(&mut self, work: impl FnOnce(&mut ClientConnection)) {
        let began = Instant::now();
        work(&mut self.side);
        self.spent += began.elapsed();
    }

    /// What either side has to say reaches the other.
    fn exchange(&mut self, server: &mut ServerConnection) {
        let (mut out, mut back) = (Vec::new(), Vec::new());
        self.timed(|side| while side.write_tls(&mut out).is_ok_and(|written| written > 0) {});
        let mut read = out.as_slice();
        while !read.is_empty() {
            server.read_tls(&mut read).unwrap();
            server.process_new_packets().unwrap();
        }
        drop(server.reader().read(&mut [0; 1_024]));
        while server.write_tls(&mut back).is_ok_and(|written| written > 0) {}
        self.timed(|side| {
            let mut read = back.as_slice();
            while !read.is_empty() {
                side.read_tls(&mut read).unwrap();
                side.process_new_packets().unwrap();
            }
        });
    }
}

/// A second session of each device, with the ticket of its first.
pub(crate) fn resumed(ground: &Ground) -> Vec<Row> {
    let versions: [(&str, Versions, &'static SupportedProtocolVersion); 2] =
        [("1.3", Versions::Both, &rustls::version::TLS13), ("1.2", Versions::Tls12, &rustls::version::TLS12)];
    versions
        .into_iter()
        .flat_map(|(name, spoken, version)| {
            begins(&format!("resumed sessions, TLS {name}"));
            let sink = Sink::speaking(ground.camp.path(), true, spoken);
            let (session, offered) = resumed_by(ground, &sink, version);
            [
                Row::new(&format!("a resumed session, TLS {name}, to the bare client"), "us", session, 1.15),
                Row::new(&format!("sessions that could be resumed, TLS {name}, to those that were"), "", offered, 1.02),
            ]
        })
        .collect()
}

fn resumed_by(ground: &Ground, sink: &Sink, version: &'static SupportedProtocolVersion) -> ((f64, f64), (f64, f64)) {
    let Ground { scale, camp, .. } = ground;
    let (rate, seconds) = (scale.devices / scale.seconds, scale.seconds);
    let phase = |name: &str| {
        format!("  - name: {name}\n    check_in: {{ who: all, arrivals: {{ rate: {rate}/s }} }}\n    for: {seconds}s\n")
    };
    let dir = camp.path().join(format!("resumed-{:?}", version.version));
    std::fs::create_dir(&dir).unwrap();
    let fleet = format!("phones: {{ platform: ios, count: {}, {} }}", rate * seconds, fleet::QUICK);
    let plan = |phases: &str| camp.plan_with(&dir, sink.port, "  resumption: per_identity\n", &fleet, phases);
    let (once, twice) =
        (plan(&format!("{}  - wait: {seconds}s\n", phase("first"))), plan(&[phase("first"), phase("second")].concat()));
    let folder = dir.join("fleet");
    camp.mint_in(&folder, &once, true);
    let bare = Bare::resuming(sink.port, &camp.shown(true), version);
    sink.order(SHORT - 1, 0);
    bare.session_us(rate, 1, SHORT);
    let [ours, bare, could, did] = medians(scale.rounds, || {
        let once = fleet::run(&once, Some(&folder), |_| ());
        let twice = fleet::run(&twice, Some(&folder), |_| ());
        let counts = [&once, &twice].map(|run| run.finished.folds.counts.sessions_started as f64);
        let second = counts[1] - counts[0];
        let ours = (twice.cpu_s - once.cpu_s) * 1e6 / second;
        let did = twice.finished.folds.counts.connections.resumed as f64;
        [ours, bare.session_us(rate, seconds, SHORT), second, did]
    });
    ((ours, bare), (could, did))
}
