//! Requests and answers as the brain takes and gives them.

use super::agents::{Held, Span};
use bytes::Bytes;
use droves_facts::Dur;

/// A request as the brain takes it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query, as it came.
    pub query: &'a str,
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Range`.
    pub range: Option<&'a [u8]>,
    /// What says whose it is.
    pub proof: Proof<'a>,
    /// The body.
    pub body: &'a [u8],
}

/// What a request has to say whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof<'a> {
    /// Nothing.
    Nothing,
    /// `Mdm-Signature`, `MS-Signature`, or `X-Request-Signature`.
    Signature(&'a [u8]),
    /// A certificate, DER, that TLS has proved, or that whoever stands in front of the server vouches for, as a proxy does
    /// that ends TLS.
    Vouched(&'a [u8]),
}

/// An answer, and how it is given.
#[derive(Clone, PartialEq, Debug)]
pub struct Outgoing {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Headers beside.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// What follows the body, as it is read.
    pub file: Option<Box<Span>>,
    /// It is no answer yet: that comes later.
    pub held: Option<Held>,
    /// It is held back so long.
    pub after: Dur,
    /// The connection is closed in its place.
    pub hangs_up: bool,
    /// It is sent in chunks, without saying how long it is.
    pub is_chunked: bool,
}

impl Outgoing {
    /// An answer with a body of this kind, at once.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Outgoing {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
            file: None,
            held: None,
            after: Dur::ZERO,
            hangs_up: false,
            is_chunked: false,
        }
    }

    pub(super) fn text(status: u16, body: impl Into<String>) -> Self {
        Outgoing::new(status, "text/plain; charset=utf-8", body.into())
    }

    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        Outgoing::new(status, "application/json", value.to_string())
    }
}

/// A push that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wake {
    /// By APNs.
    Apple {
        /// The token, hexadecimal.
        token: String,
        /// The magic.
        magic: String,
    },
    /// By WNS.
    Windows {
        /// The URL of the channel.
        channel: String,
    },
    /// By FCM.
    Android {
        /// The registration token.
        token: String,
    },
}

/// A query's parameter, percent-decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(percent_decoded)
}

/// RFC 3986, 2.1. `+` stays as it is: Apple's clients mean it.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|pair| hex::decode(pair).ok()) {
            Some(decoded) => {
                out.extend(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
