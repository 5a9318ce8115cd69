//! A connection's bytes: plain TCP, or TLS over it.

use rustls::CommonState;
use rustls::pki_types::CertificateDer;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// Plain TCP, or TLS over it.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS; boxed, since its state is a kilobyte and moves often before it rests.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The TCP socket below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Whether ALPN chose HTTP/2.
    pub fn chose_http2(&self) -> bool {
        self.tls_state().and_then(CommonState::alpn_protocol) == Some(b"h2")
    }

    /// Whether the handshake resumed an earlier session.
    pub fn resumed(&self) -> bool {
        self.tls_state().and_then(CommonState::handshake_kind) == Some(rustls::HandshakeKind::Resumed)
    }

    /// The peer's certificates as sent, leaf first; none without TLS, or from a client that showed none.
    pub fn peer_chain(&self) -> &[CertificateDer<'static>] {
        self.tls_state().and_then(CommonState::peer_certificates).unwrap_or_default()
    }

    /// The TLS version and suite that were agreed on, for people.
    pub fn agreed(&self) -> Option<String> {
        let state = self.tls_state()?;
        Some(format!("{:?} {:?}", state.protocol_version()?, state.negotiated_cipher_suite()?.suite()))
    }

    fn tls_state(&self) -> Option<&CommonState> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => Some(match &**tls {
                TlsStream::Client(client) => client.get_ref().1,
                TlsStream::Server(server) => server.get_ref().1,
            }),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Stream::Tls(s) => Pin::new(&mut **s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Stream::Tls(s) => Pin::new(&mut **s).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_flush(cx),
            Stream::Tls(s) => Pin::new(&mut **s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Tls(s) => Pin::new(&mut **s).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Stream::Tls(s) => Pin::new(&mut **s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(s) => s.is_write_vectored(),
            Stream::Tls(s) => s.is_write_vectored(),
        }
    }
}
