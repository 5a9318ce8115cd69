//! Cryptographic Message Syntax (RFC 5652), as far as Apple's devices speak it: signed data (attached, detached, bare
//! certificates) and data enveloped for an RSA key. Types and their DER by the crate `cms`, arithmetic by aws-lc-rs.

mod ber;
mod enveloped;
mod signed;

pub use enveloped::{Cipher, open, seal};
pub use signed::{Attribute, Signed, Signer, Signing, certificates, degenerate, sign, verify};

use crate::keys::KeyError;
use crate::x509::CertificateError;
use cms::content_info::ContentInfo;
use der::Decode;
use der::asn1::ObjectIdentifier;
use droves_facts::Limits;

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// More bytes than the limit.
    #[error("message of {0} bytes: too large")]
    TooLarge(usize),
    /// Nested deeper than the limit.
    #[error("nested too deep")]
    TooDeep,
    /// More values, or more certificates, than the limit.
    #[error("too many values")]
    TooMany,
    /// It ends in the middle.
    #[error("ends in the middle")]
    Cut,
    /// Not what the standard says.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Another content type than what is wanted here.
    #[error("content type is {0}")]
    ContentType(String),
    /// There is no content, and none was given beside it.
    #[error("has no content")]
    NoContent,
    /// Nobody has signed it.
    #[error("is not signed")]
    NotSigned,
    /// The signer's certificate is not in it.
    #[error("does not hold its signer's certificate")]
    NoSignerCertificate,
    /// The digest in the signed attributes is not that of the content.
    #[error("message digest does not match the content")]
    DigestMismatch,
    /// An attribute that must be there once is missing, or there more than once.
    #[error("signed attribute {0} must have exactly one value")]
    Attribute(String),
    /// An algorithm that is not known here.
    #[error("unknown algorithm {0}")]
    AlgorithmUnknown(String),
    /// Not enveloped for this key.
    #[error("not enveloped for this key")]
    NotForUs,
    /// The content does not decrypt.
    #[error("content does not decrypt")]
    DecryptionFailed,
    /// A key can't do what is wanted, or a signature is bad.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate in it is bad.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl From<der::Error> for CmsError {
    fn from(error: der::Error) -> Self {
        CmsError::Malformed(error.to_string())
    }
}

/// The content of a signed message whose signature holds: what a signed `.mobileconfig` is about. Whether the signer
/// is to be trusted is another question.
pub fn signed_content(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, CmsError> {
    verify(bytes, None, limits)?.content.ok_or(CmsError::NoContent)
}

/// A message in DER as Apple's encoder streams it: BER, with indefinite lengths and its content in pieces.
pub fn streamed(der: &[u8], limits: &Limits) -> Result<Vec<u8>, CmsError> {
    ber::to_streamed(der, limits)
}

/// A message in DER, however its writer encoded it.
pub(crate) fn der(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, CmsError> {
    if bytes.len() > limits.body_bytes_max {
        return Err(CmsError::TooLarge(bytes.len()));
    }
    ber::to_der(bytes, limits)
}

/// For fuzzing: everything that reads messages from outside.
pub fn target(bytes: &[u8]) {
    let limits = Limits::default();
    drop(verify(bytes, None, &limits));
    drop(verify(bytes, Some(b"words"), &limits));
    drop(certificates(bytes, &limits));
    drop(enveloped::parse(bytes, &limits));
}

/// The content of a `ContentInfo` of this type, DER.
fn content(bytes: &[u8], wanted: ObjectIdentifier, limits: &Limits) -> Result<Vec<u8>, CmsError> {
    use der::Encode;
    let der = der(bytes, limits)?;
    let info = ContentInfo::from_der(&der)?;
    if info.content_type != wanted {
        return Err(CmsError::ContentType(info.content_type.to_string()));
    }
    Ok(info.content.to_der()?)
}
