//! The other end of a bench: a process of its own, so that its cost is not the generator's. It takes everything that a
//! device says, and has so many commands for each connection as its standard input says last.

use bytes::Bytes;
use droves_net::listen::{Listener, Settings};
use droves_net::tls::{self, Alpn, AskClient, ServerTls, ServerTlsSettings, Trust};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::cell::Cell;
use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Commands for each connection.
static COMMANDS: AtomicU32 = AtomicU32::new(0);
/// Seconds before each answer after the first of a connection.
static STALL_S: AtomicU32 = AtomicU32::new(0);

const COMMAND: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict><key>Command</key><dict>\
<key>RequestType</key><string>DeviceInformation</string><key>Queries</key><array><string>UDID</string></array></dict>\
<key>CommandUUID</key><string>NUMBER</string></dict></plist>";

/// The process.
pub(crate) struct Sink {
    child: Child,
    orders: ChildStdin,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Sink {
    /// Starts this program once more, as a sink, with the certificate, the key and the devices' CA of a folder.
    pub(crate) fn start(dir: &Path) -> Sink {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--sink")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Sink { child, orders, port: line.trim().parse().unwrap() }
    }

    /// So many commands for each connection, and so long a wait before each answer but the first.
    pub(crate) fn order(&mut self, commands: u32, stall_s: u32) {
        writeln!(self.orders, "{commands} {stall_s}").unwrap();
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

/// What the process does.
pub(crate) fn serve(dir: &Path) {
    std::thread::spawn(|| {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            COMMANDS.store(numbers[0], Relaxed);
            STALL_S.store(numbers[1], Relaxed);
        }
    });
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let identity = read("server.pem");
    let trust = Trust::only(tls::certificates_of_pem(&read("ca.pem")).unwrap()).load().unwrap();
    let settings =
        ServerTlsSettings { ask: AskClient::IssuedBy(trust), alpn: Alpn::Http1, ..ServerTlsSettings::default() };
    let chain = tls::certificates_of_pem(&identity).unwrap();
    let tls = ServerTls::new(chain, &tls::key_of_pem(&identity).unwrap(), &settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = Listener::loopback(0, Some(tls), Settings::default()).unwrap();
        println!("{}", listener.address().port());
        let service = |_peer: Arc<_>| {
            let asked = std::rc::Rc::new(Cell::new(0));
            service_fn(move |request| answer(request, std::rc::Rc::clone(&asked)))
        };
        listener.serve(std::future::pending(), service).await;
    });
}

async fn answer(
    request: Request<Incoming>,
    asked: std::rc::Rc<Cell<u32>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    drop(request.into_body().collect().await);
    let number = asked.replace(asked.get() + 1);
    if number > 0 {
        tokio::time::sleep(Duration::from_secs(u64::from(STALL_S.load(Relaxed)))).await;
    }
    let body =
        if number < COMMANDS.load(Relaxed) { COMMAND.replace("NUMBER", &number.to_string()) } else { String::new() };
    Ok(Response::new(Full::new(Bytes::from(body))))
}
