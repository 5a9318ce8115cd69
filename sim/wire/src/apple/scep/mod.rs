//! SCEP (RFC 8894) as Apple's devices speak it: PKCSReq also for renewals, CertPoll, one RSA key for all.
//!
//! [`build`] and [`open`] are the client's side, [`server`] is a CA's.

mod ca;
mod client;
mod message;
pub mod server;
#[cfg(test)]
mod tests;

pub use ca::{CaCertificates, Capabilities};
pub use client::{Issue, Pending, Poll, Reply, Request, build, get_query, open};
pub use message::FailInfo;

use crate::cms::CmsError;
use crate::keys::KeyError;
use crate::x509::CertificateError;

/// What is wrong with a SCEP server's answer, or with what is to be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScepError {
    /// The list of capabilities has no SHA; iOS has refused that since version 10.
    #[error("the CA lists no SHA among its capabilities")]
    NoSha,
    /// Neither AES nor 3DES.
    #[error("the CA lists neither AES nor DES3 among its capabilities")]
    NoCipher,
    /// Not text, or far too long.
    #[error("the CA's capabilities are no list of words")]
    NotCapabilities,
    /// No certificate in GetCACert's answer.
    #[error("GetCACert gave neither a certificate nor certificates in CMS: {0}")]
    NotCertificates(CmsError),
    /// Nobody to encrypt for.
    #[error("GetCACert gave no certificate that a request can be encrypted for")]
    NoRecipient,
    /// The payload names another certificate.
    #[error("no certificate of GetCACert has the fingerprint that is asked for")]
    FingerprintMismatch,
    /// CMS of a message is bad.
    #[error("{0}")]
    Cms(#[from] CmsError),
    /// A certificate is bad.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// A key can't do what is wanted.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// Not the message that was waited for.
    #[error("message type {0} where {1} was expected")]
    MessageType(String, &'static str),
    /// Signed by somebody who is neither the CA nor its registration authority.
    #[error("the reply is not signed by the CA")]
    StrangeSigner,
    /// It answers another request.
    #[error("the reply's {0} is not that of the request")]
    Mismatch(&'static str),
    /// An odd `pkiStatus`.
    #[error("pkiStatus {0} is none of 0, 2 and 3")]
    Status(String),
    /// The reply certifies other keys only.
    #[error("the reply holds no certificate for the device's key")]
    NoCertificateForKey,
    /// The temporary certificate could not be made.
    #[error("temporary certificate: {0}")]
    Temporary(String),
}

/// For fuzzing: every parser of bytes from a CA or a device.
pub fn target(bytes: &[u8]) {
    let limits = droves_facts::Limits::default();
    drop(Capabilities::read(bytes));
    drop(CaCertificates::read(bytes, None, &limits));
    drop(message::read(bytes, &limits));
    drop(server::csr(bytes));
}
