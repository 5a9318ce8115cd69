//! `Mdm-Signature`: what an Apple device puts beside a body where the profile says `SignMessage` (Apple, *MDM
//! Protocol Reference*): a detached CMS signature by its identity, in base64.

use crate::cms::{self, CmsError, Signing};
use crate::keys::Key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::{Limits, Wall};

/// The header's name.
pub const HEADER: &str = "Mdm-Signature";
/// A header that is longer holds more than one certificate of any size, and is none.
pub const HEADER_BYTES_MAX: usize = 32 << 10;

/// What is wrong with a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Longer than [`HEADER_BYTES_MAX`].
    #[error("Mdm-Signature of {0} bytes: too large")]
    TooLarge(usize),
    /// Not base64.
    #[error("Mdm-Signature is not base64")]
    NotBase64,
    /// The message in it is bad, or signs something else.
    #[error("Mdm-Signature: {0}")]
    Cms(#[from] CmsError),
}

/// The header's value for these exact bytes of a body. iOS states the signing time, macOS does not. The
/// digest is the key's own.
pub fn sign(body: &[u8], key: &Key, certificate: &[u8], time: Option<Wall>) -> Result<String, SignatureError> {
    let digest = key.digest();
    let signing = Signing { key, certificate, digest, time, attributes: &[], others: &[], detached: true };
    Ok(STANDARD.encode(cms::sign(body, &signing)?))
}

/// The certificate whose key has signed these bytes, DER. Who issued it is the caller's question.
pub fn verify(header: &[u8], body: &[u8], limits: &Limits) -> Result<Vec<u8>, SignatureError> {
    if header.len() > HEADER_BYTES_MAX {
        return Err(SignatureError::TooLarge(header.len()));
    }
    let message = STANDARD.decode(header).map_err(|_| SignatureError::NotBase64)?;
    let signed = cms::verify(&message, Some(body), limits)?;
    let signer = signed.signers.into_iter().next().ok_or(CmsError::NotSigned)?;
    Ok(signer.certificate)
}

/// For fuzzing: a header from outside.
pub fn target(bytes: &[u8]) {
    drop(verify(bytes, b"words", &Limits::default()));
}
