//! A CA's side, for the practice server: requests opened, replies made.

use super::ScepError;
use super::message::{self, FailInfo, Message};
use crate::ca::Authority;
use crate::cms::{self, Cipher, CmsError, Signing};
use crate::digest::Digest;
use crate::keys;
use const_oid::db::{rfc2985, rfc4519};
use der::{Decode, Encode};
use droves_facts::Limits;
use x509_cert::request::CertReq;

/// What the practice CA can, as GetCACaps says it.
pub const CAPABILITIES: &str = "Renewal\nSHA-1\nSHA-256\nSHA-512\nAES\nDES3\nSCEPStandard\nPOSTPKIOperation\n";

/// A PKCS#10 request is never longer.
const CSR_BYTES_MAX: usize = 16 << 10;

/// A request that a device has sent, its signature and its CSR's checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// What it wants.
    pub what: Wanted,
    /// `transactionID`.
    pub transaction: String,
    /// `senderNonce`.
    pub nonce: Vec<u8>,
    /// The certificate that signed it, DER: temporary, or the old identity of a renewal.
    pub signer: Vec<u8>,
}

/// What a request wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// A certificate (message types 19 and 17).
    Issue(Csr),
    /// Whether a pending one is ready (20).
    Poll,
}

/// What a certificate request says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Csr {
    /// The subject's common name; empty if it has none.
    pub common_name: String,
    /// The challenge password.
    pub challenge: Option<String>,
    /// The key to be certified: `SubjectPublicKeyInfo`, DER.
    pub spki: Vec<u8>,
}

/// What a CA answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict<'a> {
    /// This certificate, DER.
    Issued(&'a [u8]),
    /// Not yet.
    Pending,
    /// No.
    Failed(&'a FailInfo),
}

/// Opens a request of a device.
pub fn open(bytes: &[u8], authority: &Authority, limits: &Limits) -> Result<Received, ScepError> {
    let Message { kind, transaction, sender_nonce, signer, content } = message::read(bytes, limits)?;
    let nonce = sender_nonce.ok_or_else(|| CmsError::Attribute(message::SENDER_NONCE.to_string()))?;
    let opened = cms::open(&content.ok_or(CmsError::NoContent)?, authority.key(), limits)?;
    let what = match kind.as_str() {
        message::PKCS_REQ | message::RENEWAL_REQ => Wanted::Issue(csr(&opened)?),
        message::CERT_POLL => Wanted::Poll,
        _ => return Err(ScepError::MessageType(kind, "19, 17 or 20")),
    };
    Ok(Received { what, transaction, nonce, signer: signer.certificate })
}

/// The reply to a request. `nonce` is the CA's own.
pub fn reply(
    received: &Received,
    verdict: Verdict<'_>,
    authority: &Authority,
    nonce: [u8; 16],
) -> Result<Vec<u8>, ScepError> {
    let mut attributes = vec![
        message::printable(message::MESSAGE_TYPE, message::CERT_REP)?,
        message::printable(message::TRANSACTION_ID, &received.transaction)?,
        message::octets(message::RECIPIENT_NONCE, &received.nonce)?,
        message::octets(message::SENDER_NONCE, &nonce)?,
    ];
    let content = match verdict {
        Verdict::Issued(certificate) => {
            attributes.push(message::printable(message::PKI_STATUS, "0")?);
            cms::seal(&cms::degenerate(&[certificate])?, &received.signer, Cipher::Aes128)?
        }
        Verdict::Pending => {
            attributes.push(message::printable(message::PKI_STATUS, "3")?);
            Vec::new()
        }
        Verdict::Failed(reason) => {
            attributes.push(message::printable(message::PKI_STATUS, "2")?);
            attributes.push(message::printable(message::FAIL_INFO, reason.number())?);
            Vec::new()
        }
    };
    let signing = Signing {
        key: authority.key(),
        certificate: authority.certificate(),
        digest: Digest::Sha256,
        time: None,
        attributes: &attributes,
        others: &[],
        detached: false,
    };
    Ok(cms::sign(&content, &signing)?)
}

/// Reads a certificate request and checks that whoever made it has the key.
pub fn csr(bytes: &[u8]) -> Result<Csr, ScepError> {
    if bytes.len() > CSR_BYTES_MAX {
        return Err(CmsError::TooLarge(bytes.len()).into());
    }
    let request = CertReq::from_der(bytes).map_err(CmsError::from)?;
    let digest = Digest::from_signature_oid(request.algorithm.oid)
        .ok_or_else(|| CmsError::AlgorithmUnknown(request.algorithm.oid.to_string()))?;
    let info = &request.info;
    let signed = info.to_der().map_err(CmsError::from)?;
    keys::verify(&info.public_key, digest, &signed, request.signature.raw_bytes())?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let common_name = info.subject.iter().find(|pair| pair.oid == rfc4519::CN);
    let challenge = info.attributes.iter().find(|a| a.oid == rfc2985::PKCS_9_AT_CHALLENGE_PASSWORD);
    Ok(Csr {
        common_name: common_name.and_then(|pair| text(pair.value.value())).unwrap_or_default(),
        challenge: challenge.and_then(|a| a.values.iter().next()).and_then(|value| text(value.value())),
        spki: info.public_key.to_der().map_err(CmsError::from)?,
    })
}
