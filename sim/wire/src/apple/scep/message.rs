//! A SCEP message (RFC 8894, 3): signed, with attributes of its own, around something enveloped.

use super::ScepError;
use crate::cms::{self, Attribute, CmsError, Signed, Signer};
use const_oid::ObjectIdentifier;
use der::Tag;
use der::asn1::Any;
use droves_facts::Limits;
use std::fmt;

pub(super) const MESSAGE_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.2");
pub(super) const PKI_STATUS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.3");
pub(super) const FAIL_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.4");
pub(super) const SENDER_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.5");
pub(super) const RECIPIENT_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.6");
pub(super) const TRANSACTION_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.7");

/// Message types (RFC 8894, 3.2.1.2).
pub(super) const CERT_REP: &str = "3";
pub(super) const RENEWAL_REQ: &str = "17";
pub(super) const PKCS_REQ: &str = "19";
pub(super) const CERT_POLL: &str = "20";

/// Why a CA refuses (RFC 8894, 3.2.1.4).
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum FailInfo {
    /// 0: algorithm not supported.
    BadAlg,
    /// 1: integrity check failed.
    BadMessageCheck,
    /// 2: not permitted; also a wrong challenge.
    BadRequest,
    /// 3: signing time too far from the CA's.
    BadTime,
    /// 4: no certificate by that name.
    BadCertId,
    /// Something else, as it was sent.
    Other(String),
}

impl FailInfo {
    pub(super) fn read(text: &str) -> Self {
        match text {
            "0" => FailInfo::BadAlg,
            "1" => FailInfo::BadMessageCheck,
            "2" => FailInfo::BadRequest,
            "3" => FailInfo::BadTime,
            "4" => FailInfo::BadCertId,
            other => FailInfo::Other(other.chars().take(20).collect()),
        }
    }

    pub(super) fn number(&self) -> &str {
        match self {
            FailInfo::BadAlg => "0",
            FailInfo::BadMessageCheck => "1",
            FailInfo::BadRequest => "2",
            FailInfo::BadTime => "3",
            FailInfo::BadCertId => "4",
            FailInfo::Other(text) => text,
        }
    }
}

impl fmt::Display for FailInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailInfo::BadAlg => "badAlg",
            FailInfo::BadMessageCheck => "badMessageCheck",
            FailInfo::BadRequest => "badRequest",
            FailInfo::BadTime => "badTime",
            FailInfo::BadCertId => "badCertId",
            FailInfo::Other(text) => return write!(f, "failInfo {text}"),
        })
    }
}

/// A message whose signature holds, read but for what is enveloped in it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: String,
    pub(super) transaction: String,
    pub(super) sender_nonce: Option<Vec<u8>>,
    pub(super) signer: Signer,
    /// The enveloped part; none in a refusal.
    pub(super) content: Option<Vec<u8>>,
}

impl Message {
    pub(super) fn text(&self, oid: ObjectIdentifier) -> Result<String, ScepError> {
        text(&self.signer, oid)
    }
}

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Message, ScepError> {
    // A refusal may leave its content out; its signature is then over nothing.
    let signed = match cms::verify(bytes, None, limits) {
        Err(CmsError::NoContent) => cms::verify(bytes, Some(b""), limits)?,
        other => other?,
    };
    let Signed { content, signers, .. } = signed;
    let signer = signers.into_iter().next().ok_or(CmsError::NotSigned)?;
    Ok(Message {
        kind: text(&signer, MESSAGE_TYPE)?,
        transaction: text(&signer, TRANSACTION_ID)?,
        sender_nonce: signer.attribute_bytes(SENDER_NONCE).ok().map(<[u8]>::to_vec),
        signer,
        content: content.filter(|content| !content.is_empty()),
    })
}

fn text(signer: &Signer, oid: ObjectIdentifier) -> Result<String, ScepError> {
    let bytes = signer.attribute_bytes(oid)?;
    let text = std::str::from_utf8(bytes).map_err(|_| CmsError::Attribute(oid.to_string()))?;
    Ok(text.to_owned())
}

pub(super) fn printable(oid: ObjectIdentifier, text: &str) -> Result<Attribute, CmsError> {
    Ok(Attribute { oid, value: Any::new(Tag::PrintableString, text.as_bytes())? })
}

pub(super) fn octets(oid: ObjectIdentifier, bytes: &[u8]) -> Result<Attribute, CmsError> {
    Ok(Attribute { oid, value: Any::new(Tag::OctetString, bytes)? })
}
