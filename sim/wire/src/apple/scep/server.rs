//! A CA's side, for the practice server: requests opened, replies made.

use super::ScepError;
use super::message::{self, FailInfo, Message};
use crate::apple::csr::NT_PRINCIPAL_NAME;
use crate::apple::profile::AltNames;
use crate::ca::Authority;
use crate::cms::{self, Cipher, CmsError, Signing};
use crate::digest::Digest;
use crate::x509;
use const_oid::db::{rfc2985, rfc4519, rfc5280};
use der::{Decode, Encode};
use droves_facts::Limits;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq};

/// What the practice CA can, as GetCACaps says it.
pub const CAPABILITIES: &str = "Renewal\nSHA-1\nSHA-256\nSHA-512\nAES\nDES3\nSCEPStandard\nPOSTPKIOperation\n";

/// `Content-Type` of a message in either direction.
pub const MESSAGE_TYPE: &str = "application/x-pki-message";

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
    /// The whole subject as RFC 4514 spells it, the last name first.
    pub subject: String,
    /// Further names.
    pub alt_names: AltNames,
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

/// GetCACert's answer and its `Content-Type`: one certificate, or with a registration authority both in CMS.
pub fn certificates(
    authority: &Authority,
    registration: Option<&Authority>,
) -> Result<(&'static str, Vec<u8>), ScepError> {
    Ok(match registration {
        None => ("application/x-x509-ca-cert", authority.certificate().to_vec()),
        Some(ra) => {
            let both = [authority.certificate(), ra.certificate()];
            ("application/x-x509-ca-ra-cert", cms::degenerate(&both)?)
        }
    })
}

/// Opens a request of a device. `authority` is whom it was encrypted for: the CA, or its registration authority.
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

/// The reply to a request, signed by whoever has opened it. `nonce` is the CA's own.
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
    let CertReq { info, .. } = x509::request(bytes)?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let common_name = info.subject.iter().find(|pair| pair.oid == rfc4519::CN);
    let challenge = info.attributes.iter().find(|a| a.oid == rfc2985::PKCS_9_AT_CHALLENGE_PASSWORD);
    Ok(Csr {
        subject: info.subject.to_string(),
        alt_names: alt_names(&info)?,
        common_name: common_name.and_then(|pair| text(pair.value.value())).unwrap_or_default(),
        challenge: challenge.and_then(|a| a.values.iter().next()).and_then(|value| text(value.value())),
        spki: info.public_key.to_der().map_err(CmsError::from)?,
    })
}

/// The further names that the request wants certified. Kinds that the profile can't ask for are passed over.
fn alt_names(info: &CertReqInfo) -> Result<AltNames, CmsError> {
    let mut names = AltNames::default();
    let wanted = info.attributes.iter().filter(|a| a.oid == rfc2985::PKCS_9_AT_EXTENSION_REQUEST);
    for value in wanted.flat_map(|a| a.values.iter()) {
        let ExtensionReq(extensions) = value.decode_as()?;
        for extension in extensions.iter().filter(|e| e.extn_id == rfc5280::ID_CE_SUBJECT_ALT_NAME) {
            for name in SubjectAltName::from_der(extension.extn_value.as_bytes())?.0 {
                match name {
                    GeneralName::Rfc822Name(name) => names.rfc822_names.push(name.to_string()),
                    GeneralName::DnsName(name) => names.dns_names.push(name.to_string()),
                    GeneralName::UniformResourceIdentifier(uri) => names.uris.push(uri.to_string()),
                    GeneralName::OtherName(other) if other.type_id == NT_PRINCIPAL_NAME => {
                        names.nt_principal_names.push(String::from_utf8_lossy(other.value.value()).into_owned());
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(names)
}
