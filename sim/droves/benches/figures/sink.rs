//! The other end of a bench: a process of its own, so that its cost is not the generator's. It takes everything that a
//! device says, and has so many commands for each connection as its standard input says last.

use crate::certifier;
use droves_emulators::sink::alone::{self, Orders};
use droves_net::listen::{Listener, Settings};
use droves_net::tls::{self, Alpn, AskClient, ServerTls, ServerTlsSettings, Versions};
use droves_wire::ca::Authority;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The process.
pub(crate) struct Sink {
    child: Child,
    orders: ChildStdin,
    /// Where it listens.
    pub(crate) port: u16,
    /// Where it is an ACME server.
    pub(crate) certifier: u16,
}

impl Sink {
    /// Starts this program once more, as a sink, with the certificate and the key of a folder; it gives out tickets, or makes
    /// every handshake a full one. Who has a certificate shows it.
    pub(crate) fn start(dir: &Path, tickets: bool) -> Sink {
        Sink::speaking(dir, tickets, Versions::Both)
    }

    /// The same with one version of TLS only.
    pub(crate) fn speaking(dir: &Path, tickets: bool, versions: Versions) -> Sink {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(FLAG)
            .arg(dir)
            .args([tickets.to_string(), (versions == Versions::Tls12).to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Vec<u16> = line.split_whitespace().map(|port| port.parse().unwrap()).collect();
        Sink { child, orders, port: ports[0], certifier: ports[1] }
    }

    /// So many commands for each connection, and so long a wait before each answer but the first.
    pub(crate) fn order(&self, commands: u32, stall_s: u32) {
        writeln!(&self.orders, "{commands} {stall_s}").unwrap();
        // It is read at once; nothing depends on the moment.
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What such a process is known by: a folder follows, whether it gives out tickets, and whether it speaks TLS 1.2 only.
pub(crate) const FLAG: &str = "--sink";

/// What the process does.
pub(crate) fn serve(dir: &Path, tickets: bool, old: bool) {
    let orders = Arc::new(Orders::default());
    let told = Arc::clone(&orders);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            told.commands.store(numbers[0], Relaxed);
            told.stall_s.store(numbers[1], Relaxed);
        }
    });
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let identity = read("server.pem");
    let authority = Authority::from_pem(&text("ca.pem"), &text("ca.key")).unwrap();
    let versions = if old { Versions::Tls12 } else { Versions::Both };
    let settings = ServerTlsSettings { ask: AskClient::Any, alpn: Alpn::Http1, versions, resumption: tickets };
    let chain = tls::certificates_of_pem(&identity).unwrap();
    let tls = ServerTls::new(chain, &tls::key_of_pem(&identity).unwrap(), &settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let [listener, certifies] =
            [tls.clone(), tls].map(|tls| Listener::loopback(0, Some(tls), Settings::default()).unwrap());
        println!("{} {}", listener.address().port(), certifies.address().port());
        tokio::join!(alone::serve(listener, orders, std::future::pending()), certifier::serve(certifies, authority));
    });
}
