//! The device's side: PKCSReq, CertPoll, and what comes back.

use super::ScepError;
use super::ca::{CaCertificates, Capabilities};
use super::message::{self, FailInfo};
use crate::apple::csr::{self, Wanted};
use crate::apple::profile::AltNames;
use crate::cms::{self, CmsError, Signing};
use crate::digest;
use crate::keys::Key;
use crate::x509;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::asn1::Any;
use der::{Encode, Tag};
use droves_facts::{Dur, Limits, Wall};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is asked of a CA.
#[derive(Clone, Debug, Serialize)]
pub enum Request {
    /// A certificate, the first or a new one.
    Issue(Issue),
    /// Whether a pending one is ready.
    Poll(Poll),
}

/// A certificate that is wanted.
#[derive(Clone, Debug, Serialize)]
pub struct Issue {
    /// What the CA can.
    pub caps: Capabilities,
    /// The CA.
    pub ca: Arc<CaCertificates>,
    /// Relative names in order, each of pairs of a type and a value.
    pub subject: Vec<Vec<(String, String)>>,
    /// The challenge password.
    pub challenge: Option<String>,
    /// Apple's bits: 1 sign, 4 encrypt; 0 is any.
    pub key_usage: u8,
    /// Further names.
    pub alt_names: AltNames,
    /// A number of this message alone.
    pub nonce: [u8; 16],
    /// The name in the temporary certificate of a first request.
    pub signer_name: String,
    /// Whether the message is streamed as Apple's encoder does it (BER), or DER.
    pub streamed: bool,
}

/// A question about a pending certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Poll {
    /// What the request left behind.
    pub pending: Pending,
    /// A number of this message alone.
    pub nonce: [u8; 16],
}

/// What a request leaves behind: enough to read its reply, and to poll.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pending {
    caps: Capabilities,
    ca: Arc<CaCertificates>,
    subject: Vec<u8>,
    transaction: String,
    nonce: [u8; 16],
    /// The certificate that signed, DER.
    signer: Vec<u8>,
    streamed: bool,
}

impl Pending {
    /// What a request leaves behind that is not built, because nobody is there to read it: for a shell in virtual time.
    pub fn unbuilt(request: &Request) -> Self {
        match request {
            Request::Issue(issue) => Pending {
                caps: issue.caps,
                ca: Arc::clone(&issue.ca),
                subject: Vec::new(),
                transaction: String::new(),
                nonce: issue.nonce,
                signer: Vec::new(),
                streamed: issue.streamed,
            },
            Request::Poll(poll) => poll.pending.clone(),
        }
    }
}

/// What a CA replies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It has issued.
    Issued {
        /// The certificate for the device's key, DER.
        certificate: Vec<u8>,
    },
    /// It will decide later.
    Pending,
    /// It refuses.
    Failed {
        /// Why.
        reason: FailInfo,
    },
}

/// The message for a request, and what is needed to read its answer. `signer` is the old identity (key and
/// certificate) of a renewal; a first request is signed with a temporary certificate over `key` itself.
pub fn build(
    request: &Request,
    key: &Key,
    signer: Option<(&Key, &[u8])>,
    now: Wall,
) -> Result<(Vec<u8>, Pending), ScepError> {
    match request {
        Request::Issue(issue) => {
            let subject = csr::name(&issue.subject)?;
            let wanted = Wanted {
                subject: &subject,
                challenge: issue.challenge.as_deref(),
                key_usage: Some(issue.key_usage),
                extended_key_usages: &[],
                alt_names: &issue.alt_names,
            };
            let csr = csr::write(&wanted, key, issue.caps.digest())?;
            let certificate = match signer {
                Some((_, certificate)) => certificate.to_vec(),
                None => temporary(&issue.signer_name, key, now)?,
            };
            let pending = Pending {
                caps: issue.caps,
                ca: Arc::clone(&issue.ca),
                subject: subject.to_der().map_err(CmsError::from)?,
                transaction: hex::encode_upper(digest::sha1(key.public_bytes())),
                nonce: issue.nonce,
                signer: certificate,
                streamed: issue.streamed,
            };
            Ok((pending.message(message::PKCS_REQ, &csr, signer.map_or(key, |(key, _)| key))?, pending))
        }
        Request::Poll(poll) => {
            let pending = Pending { nonce: poll.nonce, ..poll.pending.clone() };
            let content = pending.issuer_and_subject()?;
            Ok((pending.message(message::CERT_POLL, &content, signer.map_or(key, |(key, _)| key))?, pending))
        }
    }
}

/// Reads the reply to a request: that it answers it, that the CA has signed it, and that the certificate is for the
/// device's key. `signer` is the key of a renewal's old identity, for which the reply is encrypted.
pub fn open(
    reply: &[u8],
    pending: &Pending,
    key: &Key,
    signer: Option<&Key>,
    limits: &Limits,
) -> Result<Reply, ScepError> {
    let message = message::read(reply, limits)?;
    if message.kind != message::CERT_REP {
        return Err(ScepError::MessageType(message.kind, "3 (CertRep)"));
    }
    if !pending.ca.hold(&message.signer.certificate) {
        return Err(ScepError::StrangeSigner);
    }
    if message.transaction != pending.transaction {
        return Err(ScepError::Mismatch("transactionID"));
    }
    if message.signer.attribute_bytes(message::RECIPIENT_NONCE)? != pending.nonce {
        return Err(ScepError::Mismatch("recipientNonce"));
    }
    match message.text(message::PKI_STATUS)?.as_str() {
        "0" => {
            let content = message.content.ok_or(CmsError::NoContent)?;
            let opened = cms::open(&content, signer.unwrap_or(key), limits)?;
            let issued = cms::certificates(&opened, limits)?;
            let is_ours = |der: &Vec<u8>| x509::public_key(der).is_ok_and(|spki| spki == key.spki());
            let certificate = issued.into_iter().find(is_ours).ok_or(ScepError::NoCertificateForKey)?;
            Ok(Reply::Issued { certificate })
        }
        "2" => {
            let reason = message.text(message::FAIL_INFO).unwrap_or_else(|_| "without a reason".to_owned());
            Ok(Reply::Failed { reason: FailInfo::read(&reason) })
        }
        "3" => Ok(Reply::Pending),
        other => Err(ScepError::Status(other.chars().take(20).collect())),
    }
}

/// The query of a PKIOperation by GET. Of the base64 only `=` is escaped, as macOS was seen to do it.
pub fn get_query(message: &[u8]) -> String {
    format!("operation=PKIOperation&message={}", STANDARD.encode(message).replace('=', "%3D"))
}

impl Pending {
    fn message(&self, kind: &str, content: &[u8], key: &Key) -> Result<Vec<u8>, ScepError> {
        let limits = Limits::default();
        let streamed = |der: Vec<u8>| if self.streamed { cms::streamed(&der, &limits) } else { Ok(der) };
        let enveloped = streamed(cms::seal(content, &self.ca.recipient, self.caps.cipher())?)?;
        let attributes = [
            message::printable(message::MESSAGE_TYPE, kind)?,
            message::printable(message::TRANSACTION_ID, &self.transaction)?,
            message::octets(message::SENDER_NONCE, &self.nonce)?,
        ];
        let signing = Signing {
            key,
            certificate: &self.signer,
            digest: self.caps.digest(),
            time: None,
            attributes: &attributes,
            others: &[],
            detached: false,
        };
        Ok(streamed(cms::sign(&enveloped, &signing)?)?)
    }

    /// `IssuerAndSubject` (RFC 8894, 3.3.3): who is to issue, and for whom.
    fn issuer_and_subject(&self) -> Result<Vec<u8>, ScepError> {
        let both = [self.ca.issuer.as_slice(), &self.subject].concat();
        let sequence = Any::new(Tag::Sequence, both).and_then(|sequence| sequence.to_der());
        Ok(sequence.map_err(CmsError::from)?)
    }
}

/// A certificate over the device's own key, only to sign one request (RFC 8894, 2.3).
fn temporary(name: &str, key: &Key, now: Wall) -> Result<Vec<u8>, ScepError> {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyEncipherment];
    crate::ca::lasting(&mut params, now, Dur::secs(24 * 3_600));
    params.serial_number = Some(crate::ca::serial(name.as_bytes(), now));
    let certificate = params.self_signed(key).map_err(|error| ScepError::Temporary(error.to_string()))?;
    Ok(certificate.der().to_vec())
}
