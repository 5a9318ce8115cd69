//! What an error of a socket, of TLS or of hyper comes down to.

use rustls::AlertDescription;
use std::error::Error;
use std::io::{self, ErrorKind};

/// The cause at the bottom of an error.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Trouble {
    /// The peer, or somebody between, broke the connection.
    Reset,
    /// The stream ended where it should have gone on.
    Ended,
    /// The peer said by a TLS alert what it dislikes.
    Alert(AlertDescription),
    /// We do not accept the peer's certificate.
    Certificate(rustls::CertificateError),
    /// The peer broke the rules of TLS.
    Tls(rustls::Error),
    /// HTTP/2: the peer ended the stream with this code.
    StreamReset(h2::Reason),
    /// HTTP/2: the peer ended the connection with this code.
    GoAway(h2::Reason),
    /// Something else.
    Other,
}

/// Walks down an error's sources to a cause that has a name.
pub(crate) fn bottom(error: &(dyn Error + 'static)) -> Trouble {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return of_io(io);
        }
        if let Some(h2) = error.downcast_ref::<h2::Error>() {
            return of_h2(h2);
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        next = error.source();
    }
    Trouble::Other
}

/// `io::Error` hides the error that it wraps from `source`, so it is asked by hand.
pub(crate) fn of_io(error: &io::Error) -> Trouble {
    if let Some(inner) = error.get_ref() {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        if let Some(h2) = inner.downcast_ref::<h2::Error>() {
            return of_h2(h2);
        }
        // Not the system's EPIPE but h2's word for an end of the connection under an open stream.
        if error.kind() == ErrorKind::BrokenPipe {
            return Trouble::Ended;
        }
    }
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Trouble::Reset,
        ErrorKind::NotConnected => Trouble::Reset,
        ErrorKind::UnexpectedEof => Trouble::Ended,
        _ => Trouble::Other,
    }
}

fn of_h2(error: &h2::Error) -> Trouble {
    if let Some(io) = error.get_io() {
        return of_io(io);
    }
    match error.reason() {
        Some(reason) if error.is_go_away() => Trouble::GoAway(reason),
        Some(reason) => Trouble::StreamReset(reason),
        None => Trouble::Other,
    }
}

fn of_tls(error: &rustls::Error) -> Trouble {
    match error {
        rustls::Error::AlertReceived(alert) => Trouble::Alert(*alert),
        rustls::Error::InvalidCertificate(why) => Trouble::Certificate(why.clone()),
        other => Trouble::Tls(other.clone()),
    }
}
