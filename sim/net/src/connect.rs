//! From an address to a stream that HTTP can be spoken on: TCP connect from a chosen source, then TLS.
//!
//! Each part is timed by the clock that was handed in and bounded by [`Limits`]; every failure has a culprit and one
//! word of a fixed set.

use crate::clock::Clock;
use crate::stream::Stream;
use crate::trouble::{self, Trouble};
use droves_facts::{Blame, Dur, Limits, Opening};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Opens connections of one shard.
#[derive(Debug)]
pub struct Dialler {
    /// Where they come from.
    pub sources: Sources,
    /// A TCP connect.
    pub connect_wait_max: Dur,
    /// A TLS handshake.
    pub tls_wait_max: Dur,
}

impl Dialler {
    /// A dialler with the run's bounds.
    pub fn new(limits: &Limits, sources: Sources) -> Self {
        Dialler { sources, connect_wait_max: limits.connect_wait_max, tls_wait_max: limits.tls_wait_max }
    }

    /// Connects, and shakes hands if `tls` says with whom and how.
    pub async fn dial(
        &self,
        address: SocketAddr,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        clock: &dyn Clock,
    ) -> Result<(Stream, Opening), ConnectError> {
        let started = clock.now();
        let tcp = tokio::time::timeout(self.connect_wait_max.std(), self.tcp(address))
            .await
            .map_err(|_elapsed| ConnectError::Timeout)?
            .map_err(ConnectError::of_tcp)?;
        let connected = clock.now();
        let connect = connected.since(started);
        let Some((config, name)) = tls else {
            return Ok((Stream::Plain(tcp), Opening { connect, tls: None, resumed: false, http2: false, shown: None }));
        };
        let stream = tokio::time::timeout(self.tls_wait_max.std(), TlsConnector::from(config).connect(name, tcp))
            .await
            .map_err(|_elapsed| ConnectError::TlsTimeout)?
            .map_err(|error| ConnectError::of_tls(&error))?;
        let stream = Stream::Tls(Box::new(stream.into()));
        let opening = Opening {
            connect,
            tls: Some(clock.now().since(connected)),
            resumed: stream.resumed(),
            http2: stream.chose_http2(),
            // Whoever picked the identity knows it.
            shown: None,
        };
        Ok((stream, opening))
    }

    async fn tcp(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match self.sources.next_for(address) {
            None if address.is_ipv4() => TcpSocket::new_v4()?,
            None => TcpSocket::new_v6()?,
            Some(source) => {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
                socket.set_nonblocking(true)?;
                port_when_connected(&socket)?;
                socket.bind(&SocketAddr::from((source, 0)).into())?;
                TcpSocket::from_std_stream(socket.into())
            }
        };
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }
}

/// Without it, `bind` takes a port that is free to all targets; with it, `connect` takes one that is free to this one.
#[cfg(target_os = "linux")]
fn port_when_connected(socket: &Socket) -> io::Result<()> {
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true).map_err(Into::into)
}

#[cfg(not(target_os = "linux"))]
fn port_when_connected(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

/// Source addresses. One address has about 28,000 ports towards one target; on loopback there are 16 million
/// addresses, so connections to it are spread over some of 127.0.0.0/8, in turn. Other targets get the system's choice.
#[derive(Debug)]
pub struct Sources {
    count: u32,
    next: Cell<u32>,
}

impl Sources {
    /// The system's choice for every target.
    pub fn system() -> Self {
        Sources { count: 0, next: Cell::new(0) }
    }

    /// `count` addresses from 127.0.0.2 on towards loopback (at most 2^23), where the system has all of 127.0.0.0/8:
    /// Linux does, others have 127.0.0.1 alone and get the system's choice.
    pub fn spread(count: u32) -> Self {
        let count = if cfg!(target_os = "linux") { count.min(1 << 23) } else { 0 };
        Sources { count, next: Cell::new(0) }
    }

    fn next_for(&self, target: SocketAddr) -> Option<Ipv4Addr> {
        match target.ip() {
            IpAddr::V4(ip) if ip.is_loopback() && self.count > 0 => {
                let n = self.next.get();
                self.next.set((n + 1) % self.count);
                Some(Ipv4Addr::from(FIRST_SOURCE + n))
            }
            _ => None,
        }
    }
}

/// Looks a name up, bounded; an address is itself.
pub async fn resolve(host: &str, port: u16, wait_max: Dur) -> Result<Vec<SocketAddr>, ConnectError> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let unknown = |why: String| ConnectError::UnknownHost { host: host.to_owned(), why };
    let found = tokio::time::timeout(wait_max.std(), tokio::net::lookup_host((bare, port)))
        .await
        .map_err(|_elapsed| unknown("no answer in time".to_owned()))?
        .map_err(|error| unknown(error.to_string()))?;
    let found: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if found.is_empty() { Err(unknown("no address".to_owned())) } else { Ok(found) }
}

/// The name that a server must prove to have: a DNS name or an address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned())
        .map_err(|why| ConnectError::UnknownHost { host: host.to_owned(), why: why.to_string() })
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("host {host} not found: {why}")]
    UnknownHost {
        /// The name.
        host: String,
        /// Why.
        why: String,
    },
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No answer to our SYN in time.
    #[error("no connection in time")]
    Timeout,
    /// No way there.
    #[error("unreachable: {0}")]
    Unreachable(io::Error),
    /// Broken while it was opened.
    #[error("connection reset while it was opened")]
    Reset,
    /// Every port of our source address towards this target is taken.
    #[error("no free source port towards the target: spread over more source addresses or more server ports")]
    NoPorts,
    /// The limit of open files is reached.
    #[error("the limit of open files is reached")]
    TooManyFiles,
    /// The server accepted the connection and then did not finish the handshake in time.
    #[error("no TLS handshake in time")]
    TlsTimeout,
    /// The server refused the handshake.
    #[error("the server refused the TLS handshake: {0:?}")]
    TlsAlert(AlertDescription),
    /// The server's certificate is not acceptable.
    #[error("the server's certificate: {0}")]
    TlsCertificate(CertificateError),
    /// The server closed the connection during the handshake.
    #[error("connection closed during the TLS handshake")]
    TlsClosed,
    /// The server broke the rules of TLS, or shares no version or suite with us.
    #[error("TLS: {0}")]
    TlsProtocol(rustls::Error),
    /// HTTP could not be begun on the connection.
    #[error("HTTP: {0}")]
    Http(hyper::Error),
    /// Something else of the operating system.
    #[error("{0}")]
    Other(io::Error),
}

impl ConnectError {
    /// Whose fault it was.
    pub fn blame(&self) -> Blame {
        match self {
            ConnectError::UnknownHost { .. } => Blame::Scenario,
            ConnectError::Refused | ConnectError::Timeout | ConnectError::Unreachable(_) | ConnectError::Reset => {
                Blame::Network
            }
            ConnectError::NoPorts | ConnectError::TooManyFiles | ConnectError::Other(_) => Blame::Generator,
            ConnectError::TlsTimeout
            | ConnectError::TlsAlert(_)
            | ConnectError::TlsCertificate(_)
            | ConnectError::TlsClosed
            | ConnectError::TlsProtocol(_)
            | ConnectError::Http(_) => Blame::Server,
        }
    }

    /// What happened, in one word of a fixed set.
    pub fn kind(&self) -> &'static str {
        match self {
            ConnectError::UnknownHost { .. } => "unknown_host",
            ConnectError::Refused => "connect_refused",
            ConnectError::Timeout => "connect_timeout",
            ConnectError::Unreachable(_) => "unreachable",
            ConnectError::Reset => "reset",
            ConnectError::NoPorts => "no_ports",
            ConnectError::TooManyFiles => "too_many_files",
            ConnectError::TlsTimeout => "tls_timeout",
            ConnectError::TlsAlert(_) => "tls_alert",
            ConnectError::TlsCertificate(_) => "tls_certificate",
            ConnectError::TlsClosed => "tls_closed",
            ConnectError::TlsProtocol(_) => "tls_protocol",
            ConnectError::Http(_) => "http_protocol",
            ConnectError::Other(_) => "connect_error",
        }
    }

    fn of_tcp(error: io::Error) -> Self {
        if files_exhausted(&error) {
            return ConnectError::TooManyFiles;
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => ConnectError::Refused,
            ErrorKind::TimedOut => ConnectError::Timeout,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => ConnectError::Reset,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                ConnectError::Unreachable(error)
            }
            ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => ConnectError::NoPorts,
            _ => ConnectError::Other(error),
        }
    }

    fn of_tls(error: &io::Error) -> Self {
        match trouble::of_io(error) {
            Trouble::Reset => ConnectError::Reset,
            Trouble::Ended => ConnectError::TlsClosed,
            Trouble::Alert(alert) => ConnectError::TlsAlert(alert),
            Trouble::Certificate(why) => ConnectError::TlsCertificate(why),
            Trouble::Tls(why) => ConnectError::TlsProtocol(why),
            Trouble::StreamReset(_) | Trouble::GoAway(_) | Trouble::Other => {
                ConnectError::Other(io::Error::new(error.kind(), error.to_string()))
            }
        }
    }
}

/// Of the process (`EMFILE`) or of the machine (`ENFILE`).
pub(crate) fn files_exhausted(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|n| n == nix::errno::Errno::EMFILE as i32 || n == nix::errno::Errno::ENFILE as i32)
}

/// 127.0.0.2.
const FIRST_SOURCE: u32 = 0x7f00_0002;
/// More than a round-robin name has.
const ADDRESSES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_v4_is_spread_in_turn_and_nothing_else_is() {
        let sources = Sources::spread(3);
        let next = |target: &str| sources.next_for(target.parse().ok()?).map(|ip| ip.to_string());
        assert_eq!(next("127.0.0.1:1").as_deref(), Some("127.0.0.2"));
        assert_eq!(next("10.0.0.1:1"), None);
        assert_eq!(next("[::1]:1"), None);
        assert_eq!(next("127.0.0.1:1").as_deref(), Some("127.0.0.3"));
        assert_eq!(next("127.9.0.1:1").as_deref(), Some("127.0.0.4"));
        assert_eq!(next("127.0.0.1:1").as_deref(), Some("127.0.0.2"));
        assert_eq!(Sources::system().next_for(([127, 0, 0, 1], 1).into()), None);
    }
}
