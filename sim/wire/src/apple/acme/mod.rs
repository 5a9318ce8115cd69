//! ACME (RFC 8555) with `device-attest-01` (draft-ietf-acme-device-attest), as Apple's devices speak it.
//!
//! [`messages`](Order) are what server and device say, [`AccountKey`] signs what the device says, [`Attester`] plays
//! Apple's attestation servers.

mod attestation;
mod jws;
mod messages;
#[cfg(test)]
mod tests;

pub use attestation::{AttestationError, Attester, Subject, hardware_oids};
pub use jws::{AccountKey, Protected};
pub use messages::{
    Authorization, Challenge, Directory, Order, Problem, Status, answer, finalize, is_nonce, new_account, new_order,
};

use super::csr;
use super::profile::AltNames;
use crate::cms::CmsError;
use crate::keys::Key;
use crate::x509::{self, CertificateError};
use droves_facts::Limits;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// `Content-Type` of what a device posts.
pub const CONTENT_TYPE: &str = "application/jose+json";
/// The challenge that a device can answer.
pub const DEVICE_ATTEST: &str = "device-attest-01";
/// An answer that is larger is none: an order of step-ca has half a KB.
pub const JSON_BYTES_MAX: usize = 64 << 10;

/// What is wrong with an ACME server's answer, or with what is to be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcmeError {
    /// Larger than [`JSON_BYTES_MAX`].
    #[error("{0} of {1} bytes: too large")]
    TooLarge(&'static str, usize),
    /// Not the JSON that RFC 8555 says.
    #[error("{0} that does not read: {1}")]
    Json(&'static str, String),
    /// Not PEM of certificates.
    #[error("the certificate is no PEM chain")]
    NotPem,
    /// A certificate of the chain does not read.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// The chain begins with a certificate for another key.
    #[error("the chain does not begin with a certificate for the device's key")]
    NoCertificateForKey,
}

/// What is asked of the CA at the end.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Request {
    /// Relative names in order, each of pairs of a type and a value.
    pub subject: Vec<Vec<(String, String)>>,
    /// Apple's bits: 1 sign, 4 encrypt; 0 asks for nothing.
    pub key_usage: u8,
    /// Dotted OIDs.
    pub extended_key_usages: Vec<String>,
    /// Further names.
    pub alt_names: AltNames,
}

impl Request {
    /// The request to certify this key, DER.
    pub fn csr(&self, key: &Key) -> Result<Vec<u8>, CmsError> {
        let wanted = csr::Wanted {
            subject: &csr::name(&self.subject)?,
            challenge: None,
            key_usage: Some(self.key_usage).filter(|&bits| bits != 0),
            extended_key_usages: &self.extended_key_usages,
            alt_names: &self.alt_names,
        };
        csr::write(&wanted, key, key.digest())
    }
}

/// The certificate for the key of `spki` in the chain that a CA hands out (`application/pem-certificate-chain`), DER: it
/// is the first one (RFC 8555, 7.4.2). Whether the others lead anywhere is a question of whoever is shown it.
pub fn issued(chain: &[u8], spki: &[u8], limits: &Limits) -> Result<Vec<u8>, AcmeError> {
    let mut leaf = None;
    for certificate in CertificateDer::pem_slice_iter(chain).take(limits.certificates_max) {
        let certificate = certificate.map_err(|_| AcmeError::NotPem)?;
        x509::parse(&certificate)?;
        leaf.get_or_insert(certificate);
    }
    let leaf = leaf.ok_or(AcmeError::NotPem)?;
    if x509::public_key(&leaf)? != spki {
        return Err(AcmeError::NoCertificateForKey);
    }
    Ok(leaf.to_vec())
}

/// What a fuzzer drives: every parser of bytes from an ACME server. What is read of them has bounds, and can be said.
pub fn target(bytes: &[u8]) {
    drop(Directory::read(bytes));
    drop(Order::read(bytes));
    drop(Authorization::read(bytes));
    drop(Challenge::read(bytes));
    if let Some(problem) = Problem::read(bytes) {
        let said = problem.to_string();
        assert!(said.chars().count() <= 1_000 && !said.contains(char::is_control), "{said}");
    }
    drop(issued(bytes, &[], &Limits::default()));
}
