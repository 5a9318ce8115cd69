//! One listener for everybody whom we play and everything that we show: TLS or plain, HTTP/1.1 and HTTP/2 or any
//! other protocol over the bytes.
//!
//! A connection is a local task of the listener's own set: when the future returned by [`Listener::serve`] is dropped,
//! every connection is gone (a server that is killed); when `stop` resolves, connections are asked to end (HTTP/2:
//! GOAWAY, RFC 9113 section 6.8; HTTP/1.1: after the request under way) and get a bounded time for it.

mod body;
mod counters;
mod serve;

pub use body::{BodyError, read_body};
pub use counters::{Counters, Counts};
pub use serve::LocalExec;

use crate::connect::files_exhausted;
use crate::stream::Stream;
use crate::tls::ServerTls;
use droves_facts::Dur;
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

/// What a listener allows, with defaults for a server on loopback that meets a whole fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether other processes listen at the same address (`SO_REUSEPORT`, socket(7)): the system deals the connections
    /// out among them. Linux does so evenly.
    pub shared: bool,
    /// Connections that wait to be accepted; the system may cap it (`net.core.somaxconn`).
    pub backlog: i32,
    /// Connections open at once; one more is closed at once and counted.
    pub connections_max: usize,
    /// A TLS handshake.
    pub handshake_wait_max: Dur,
    /// From a connection's beginning, or from an answer's end, to the end of the next request's head (HTTP/1.1 only:
    /// slow clients and idle ones alike).
    pub head_wait_max: Dur,
    /// A request's head.
    pub head_bytes_max: usize,
    /// HTTP/2: streams of one connection at once.
    pub streams_max: u32,
    /// HTTP/2: a ping after this time of silence; none without it.
    pub ping_interval: Option<Dur>,
    /// HTTP/2: the wait for a ping's answer.
    pub ping_wait_max: Dur,
    /// Plain listeners only (TLS has ALPN): whether a client may begin HTTP/2 without being asked (RFC 9113 section
    /// 3.3), as gRPC does.
    pub plain_http2: bool,
    /// From `stop` to the end of the last connection.
    pub drain_wait_max: Dur,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            shared: false,
            backlog: 4_096,
            connections_max: 100_000,
            handshake_wait_max: Dur::secs(20),
            head_wait_max: Dur::secs(600),
            head_bytes_max: 64 << 10,
            streams_max: 1_000,
            ping_interval: None,
            ping_wait_max: Dur::secs(20),
            plain_http2: true,
            drain_wait_max: Dur::secs(5),
        }
    }
}

/// Who is at the other end of a connection: handed to the service with each.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Number of the connection, from 0.
    pub number: u64,
    /// Their address.
    pub address: SocketAddr,
    /// Ours.
    pub local: SocketAddr,
    /// Their certificates in DER, leaf first; empty if none was asked for or shown.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Whether HTTP/2 is.
    pub http2: bool,
    /// Whether the handshake resumed an earlier session.
    pub resumed: bool,
}

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {why}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub why: io::Error,
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    tcp: std::net::TcpListener,
    address: SocketAddr,
    tls: Option<ServerTls>,
    settings: Settings,
    counters: Arc<Counters>,
}

impl Listener {
    /// Binds, with TLS or without. Port 0 lets the system choose; [`Listener::address`] tells.
    pub fn bind(address: SocketAddr, tls: Option<ServerTls>, settings: Settings) -> Result<Self, BindError> {
        let bound = || -> io::Result<std::net::TcpListener> {
            let socket = bound_to(address, settings.shared)?;
            socket.listen(settings.backlog)?;
            Ok(socket.into())
        };
        let tcp = bound().map_err(|why| BindError { address, why })?;
        let address = tcp.local_addr().map_err(|why| BindError { address, why })?;
        Ok(Listener { tcp, address, tls, settings, counters: Arc::default() })
    }

    /// Binds to loopback.
    pub fn loopback(port: u16, tls: Option<ServerTls>, settings: Settings) -> Result<Self, BindError> {
        Listener::bind(SocketAddr::from(([127, 0, 0, 1], port)), tls, settings)
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts; readable from any thread, also after its end.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Accepts until `stop`, and gives each connection's bytes to `handler`, which should end soon after its
    /// [`Stopping`] says so.
    pub async fn each<H, F>(self, stop: impl Future<Output = ()>, handler: H)
    where
        H: Fn(Stream, Arc<Peer>, Stopping) -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        let tcp = match TcpListener::from_std(self.tcp) {
            Ok(tcp) => tcp,
            Err(error) => {
                tracing::error!(address = %self.address, %error, "listener is not usable");
                return;
            }
        };
        let tasks = LocalSet::new();
        let (stopper, stopping) = watch::channel(false);
        let room = Rc::new(Room {
            settings: self.settings,
            acceptor: self.tls.map(|tls| TlsAcceptor::from(tls.0)),
            counters: self.counters,
            open: Cell::new(0),
            handler,
        });
        let drain_wait_max = room.settings.drain_wait_max;
        tasks
            .run_until(async {
                let mut stop = pin!(stop);
                let mut accepting = pin!(accept(&tcp, &room, &stopping));
                tokio::select! {
                    biased;
                    () = &mut stop => {}
                    () = &mut accepting => {}
                }
            })
            .await;
        drop(tcp);
        // The receivers are in the tasks; without one nobody needs to be told.
        let _told: bool = stopper.send(true).is_ok();
        drop(stopping);
        let drained = tasks.run_until(stopper.closed());
        if tokio::time::timeout(drain_wait_max.std(), drained).await.is_err() {
            tracing::debug!(address = %self.address, "connections cut off at the end of the drain time");
        }
    }
}

/// An address that is kept for listeners of other processes ([`Settings::shared`]): nobody is accepted here.
#[derive(Debug)]
pub struct Kept {
    /// Where, with the real port.
    pub address: SocketAddr,
    _socket: Socket,
}

impl Kept {
    /// Takes the address. Port 0 lets the system choose. An address that somebody else keeps in this way is taken.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bound = || -> io::Result<(Socket, Option<SocketAddr>)> {
            // The system would share it with anybody of the same user: only who does not ask for that is told.
            drop(bound_to(address, false)?);
            let socket = bound_to(address, true)?;
            let real = socket.local_addr()?.as_socket();
            Ok((socket, real))
        };
        let (socket, real) = bound().map_err(|why| BindError { address, why })?;
        Ok(Kept { address: real.unwrap_or(address), _socket: socket })
    }
}

fn bound_to(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Tells a connection that its listener is to end.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Resolves when the listener is to end.
    pub async fn wait(&mut self) {
        // An error means that the listener is gone, which says the same.
        let _gone: bool = self.0.wait_for(|&stop| stop).await.is_err();
    }
}

/// What the connections of a listener share.
struct Room<H> {
    settings: Settings,
    acceptor: Option<TlsAcceptor>,
    counters: Arc<Counters>,
    open: Cell<usize>,
    handler: H,
}

async fn accept<H, F>(tcp: &TcpListener, room: &Rc<Room<H>>, stopping: &watch::Receiver<bool>)
where
    H: Fn(Stream, Arc<Peer>, Stopping) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let mut pause = PAUSE_MIN;
    loop {
        match tcp.accept().await {
            Ok((stream, address)) => {
                pause = PAUSE_MIN;
                let number = room.counters.accepted();
                if room.open.get() >= room.settings.connections_max {
                    room.counters.turned_away();
                    continue;
                }
                let open = Open::new(room.clone());
                let stopping = Stopping(stopping.clone());
                tokio::task::spawn_local(async move { open.0.meet(stream, address, number, stopping).await });
            }
            Err(error) => {
                room.counters.accept_failed();
                // A client that has gone already is no reason to wait; a lack of files passes when some are closed.
                if files_exhausted(&error) || error.kind() == io::ErrorKind::OutOfMemory {
                    tracing::warn!(%error, "accept failed, waiting");
                    tokio::time::sleep(pause.std()).await;
                    pause = pause.times(2).min(PAUSE_MAX);
                } else {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl<H, F> Room<H>
where
    H: Fn(Stream, Arc<Peer>, Stopping) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    async fn meet(&self, tcp: TcpStream, address: SocketAddr, number: u64, mut stopping: Stopping) {
        let (Ok(()), Ok(local)) = (tcp.set_nodelay(true), tcp.local_addr()) else {
            self.counters.handshake_failed();
            return;
        };
        let greeted = tokio::select! {
            biased;
            greeted = tokio::time::timeout(self.settings.handshake_wait_max.std(), self.greet(tcp)) => greeted,
            () = stopping.wait() => return,
        };
        let Ok(Ok((stream, http2))) = greeted else {
            self.counters.handshake_failed();
            return;
        };
        let peer = Arc::new(Peer {
            number,
            address,
            local,
            chain: stream.peer_chain().to_vec(),
            tls: self.acceptor.is_some(),
            http2,
            resumed: stream.resumed(),
        });
        self.counters.greeted(peer.resumed);
        (self.handler)(stream, peer, stopping).await;
    }

    async fn greet(&self, tcp: TcpStream) -> io::Result<(Stream, bool)> {
        match &self.acceptor {
            Some(acceptor) => {
                let stream = Stream::Tls(Box::new(acceptor.accept(tcp).await?.into()));
                let http2 = stream.chose_http2();
                Ok((stream, http2))
            }
            None => {
                let http2 = self.settings.plain_http2 && begins_http2(&tcp).await?;
                Ok((Stream::Plain(tcp), http2))
            }
        }
    }
}

/// Whether the first bytes are those of the HTTP/2 preface: no HTTP/1.1 method begins with `PRI`.
async fn begins_http2(tcp: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; PREFACE.len()];
    loop {
        let n = tcp.peek(&mut seen).await?;
        let seen = seen.get(..n).unwrap_or_default();
        if n == 0 || !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if n == PREFACE.len() {
            return Ok(true);
        }
        // A first segment of one or two bytes: nearly never. The wait is bounded by the caller.
        tokio::time::sleep(PAUSE_MIN.std()).await;
    }
}

/// Counts a connection as open while it lives.
struct Open<H>(Rc<Room<H>>);

impl<H> Open<H> {
    fn new(room: Rc<Room<H>>) -> Self {
        room.open.set(room.open.get() + 1);
        room.counters.opened();
        Open(room)
    }
}

impl<H> Drop for Open<H> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.counters.closed();
    }
}

const PREFACE: &[u8; 3] = b"PRI";
const PAUSE_MIN: Dur = Dur::ms(5);
const PAUSE_MAX: Dur = Dur::secs(1);
