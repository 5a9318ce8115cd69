//! Why an exchange failed, whose fault it was, and how far it had come.

use crate::trouble::{self, Trouble};
use ::http::StatusCode;
use droves_facts::{Blame, Mono};
use h2::Reason;
use rustls::AlertDescription;

/// An exchange that failed. The connection is of no further use.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub why: SendError,
    /// How far it had come.
    pub reached: Reached,
    /// Bytes of head and body that the stream had taken.
    pub bytes_out: u64,
    /// Bytes that had been read, head included.
    pub bytes_in: u64,
    /// When the request could be written.
    pub sent: Mono,
    /// When the head of the answer had come, if it had.
    pub first_byte: Option<Mono>,
    /// When it failed.
    pub ended: Mono,
}

/// How far an exchange had come when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reached {
    /// No byte was taken: the server can't know of it.
    NotSent,
    /// Some of it was taken: the server may have acted on it.
    Sent,
    /// The head of the answer had come.
    Head(StatusCode),
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The connection was closed before the request could be written.
    #[error("the connection was closed before the request was sent")]
    AlreadyClosed,
    /// No whole answer in time.
    #[error("no whole answer in time")]
    Timeout,
    /// The connection broke.
    #[error("connection reset")]
    Reset,
    /// The server closed the connection without an answer.
    #[error("connection closed without an answer")]
    Closed,
    /// The server closed the connection in the middle of the body.
    #[error("connection closed in the middle of the body")]
    BodyCut,
    /// The body is longer than what is kept.
    #[error("the answer's body is longer than {bytes_max} bytes")]
    BodyTooLong {
        /// The limit.
        bytes_max: u64,
    },
    /// The head is longer than allowed.
    #[error("the answer's head is too long")]
    HeadTooLong,
    /// The answer is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Malformed(hyper::Error),
    /// The server ended the connection by a TLS alert (in TLS 1.3 it judges our certificate after the handshake).
    #[error("the server ended the connection by a TLS alert: {0:?}")]
    TlsAlert(AlertDescription),
    /// The server broke the rules of TLS.
    #[error("TLS: {0}")]
    TlsProtocol(rustls::Error),
    /// The server reset the HTTP/2 stream.
    #[error("the server reset the stream: {0}")]
    StreamReset(Reason),
    /// The server ended the HTTP/2 connection.
    #[error("the server ended the connection: {0}")]
    GoAway(Reason),
    /// The request can't be written as HTTP.
    #[error("the request is not HTTP: {0}")]
    BadRequest(http::Error),
    /// Something else.
    #[error("{0}")]
    Other(hyper::Error),
}

impl SendError {
    /// Whose fault it was.
    pub fn blame(&self) -> Blame {
        match self {
            SendError::AlreadyClosed | SendError::Reset => Blame::Network,
            SendError::BadRequest(_) => Blame::Scenario,
            SendError::Other(_) => Blame::Generator,
            _ => Blame::Server,
        }
    }

    /// What happened, in one word of a fixed set.
    pub fn kind(&self) -> &'static str {
        match self {
            SendError::AlreadyClosed => "already_closed",
            SendError::Timeout => "timeout",
            SendError::Reset => "reset",
            SendError::Closed => "closed",
            SendError::BodyCut => "body_cut",
            SendError::BodyTooLong { .. } => "body_too_long",
            SendError::HeadTooLong => "head_too_long",
            SendError::Malformed(_) => "http_malformed",
            SendError::TlsAlert(_) => "tls_alert",
            SendError::TlsProtocol(_) => "tls_protocol",
            SendError::StreamReset(_) => "stream_reset",
            SendError::GoAway(_) => "go_away",
            SendError::BadRequest(_) => "bad_request",
            SendError::Other(_) => "http_error",
        }
    }

    /// `in_body`: whether the head had come already.
    pub(super) fn of_hyper(error: hyper::Error, in_body: bool) -> Self {
        let closed = || if in_body { SendError::BodyCut } else { SendError::Closed };
        match trouble::bottom(&error) {
            Trouble::Reset => return SendError::Reset,
            Trouble::Ended => return closed(),
            Trouble::Alert(alert) => return SendError::TlsAlert(alert),
            Trouble::Certificate(why) => return SendError::TlsProtocol(rustls::Error::InvalidCertificate(why)),
            Trouble::Tls(why) => return SendError::TlsProtocol(why),
            Trouble::StreamReset(reason) => return SendError::StreamReset(reason),
            Trouble::GoAway(reason) => return SendError::GoAway(reason),
            Trouble::Other => {}
        }
        if error.is_parse_too_large() {
            SendError::HeadTooLong
        } else if error.is_parse() {
            SendError::Malformed(error)
        } else if error.is_incomplete_message() {
            closed()
        } else if error.is_canceled() || error.is_closed() {
            SendError::AlreadyClosed
        } else {
            SendError::Other(error)
        }
    }
}
