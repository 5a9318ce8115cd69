//! The resources of RFC 8555, 7.1, as far as a device looks at them, and what it posts. Fields that are not known are
//! passed over.

use super::{AcmeError, JSON_BYTES_MAX};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Where a server's resources are.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields of RFC 8555, 7.1.1")]
pub struct Directory {
    pub new_nonce: String,
    pub new_account: String,
    pub new_order: String,
}

/// Where an order, an authorization or a challenge stands (RFC 8555, 7.1.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of RFC 8555, 7.1.6")]
pub enum Status {
    Pending,
    Processing,
    Ready,
    Valid,
    Invalid,
    Deactivated,
    Expired,
    Revoked,
}

/// An order for a certificate.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Order {
    /// Where it stands.
    pub status: Status,
    /// What the device must show, by URL; one each identifier.
    pub authorizations: Vec<String>,
    /// Where the certificate is asked for.
    pub finalize: String,
    /// Where it is, once the order is valid.
    pub certificate: Option<String>,
    /// Why it is invalid.
    pub error: Option<Problem>,
}

/// What the device must show, and how it may do so.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Authorization {
    /// Where it stands.
    pub status: Status,
    /// Any one of these will do.
    pub challenges: Vec<Challenge>,
}

/// One way to show it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Challenge {
    /// `device-attest-01`, ..
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the answer goes.
    pub url: String,
    /// Where it stands.
    pub status: Status,
    /// What the attestation must be fresh by.
    pub token: Option<String>,
    /// Why it is invalid.
    pub error: Option<Problem>,
}

/// What went wrong, in the server's words (RFC 7807).
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Problem {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    subproblems: Vec<Subproblem>,
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
struct Subproblem {
    #[serde(default)]
    detail: String,
}

impl Directory {
    /// Reads it.
    pub fn read(bytes: &[u8]) -> Result<Self, AcmeError> {
        read("directory", bytes)
    }
}

impl Order {
    /// Reads it.
    pub fn read(bytes: &[u8]) -> Result<Self, AcmeError> {
        read("order", bytes)
    }
}

impl Authorization {
    /// Reads it.
    pub fn read(bytes: &[u8]) -> Result<Self, AcmeError> {
        read("authorization", bytes)
    }

    /// The challenge of this type.
    pub fn challenge(&self, kind: &str) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.kind == kind)
    }
}

impl Challenge {
    /// Reads it.
    pub fn read(bytes: &[u8]) -> Result<Self, AcmeError> {
        read("challenge", bytes)
    }
}

impl Problem {
    /// Reads it; none where the server says something else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        read("problem", bytes).ok().filter(|problem: &Problem| !problem.kind.is_empty() || !problem.detail.is_empty())
    }

    /// Whether it is of this type of RFC 8555, 6.7.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.strip_prefix(URN) == Some(kind)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.kind.strip_prefix(URN).unwrap_or(&self.kind), &self.detail]
            .into_iter()
            .chain(self.subproblems.iter().take(1).map(|sub| sub.detail.as_str()));
        let mut before = "";
        for part in parts.filter(|part| !part.is_empty()) {
            let part: String = part.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
            write!(f, "{before}{part}")?;
            before = ": ";
        }
        Ok(())
    }
}

/// Whether a `Replay-Nonce` is one: base64url (RFC 8555, 6.5.1).
pub fn is_nonce(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=NONCE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_known)
}

/// Body of newAccount: nobody is asked for his mail address.
pub fn new_account() -> Vec<u8> {
    serde_json::json!({ "termsOfServiceAgreed": true }).to_string().into_bytes()
}

/// Body of newOrder, for the payload's `ClientIdentifier`.
pub fn new_order(client_identifier: &str) -> Vec<u8> {
    let identifier = serde_json::json!({ "type": "permanent-identifier", "value": client_identifier });
    serde_json::json!({ "identifiers": [identifier] }).to_string().into_bytes()
}

/// Body of the answer to a challenge. Without an attestation it is the empty object, which says no more than that the
/// device is ready (RFC 8555, 7.5.1); what Apple's devices send then is not published.
pub fn answer(attestation: Option<&[u8]>) -> Vec<u8> {
    let answer = match attestation {
        Some(attestation) => serde_json::json!({ "attObj": URL_SAFE_NO_PAD.encode(attestation) }),
        None => serde_json::json!({}),
    };
    answer.to_string().into_bytes()
}

/// Body of finalize: the certificate request, DER.
pub fn finalize(csr: &[u8]) -> Vec<u8> {
    serde_json::json!({ "csr": URL_SAFE_NO_PAD.encode(csr) }).to_string().into_bytes()
}

fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, AcmeError> {
    if bytes.len() > JSON_BYTES_MAX {
        return Err(AcmeError::TooLarge(what, bytes.len()));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| AcmeError::Json(what, error.to_string().chars().take(WORDS_MAX).collect()))
}

const URN: &str = "urn:ietf:params:acme:error:";
/// Longer words of a server are cut.
const WORDS_MAX: usize = 300;
/// step-ca's has 43 characters.
const NONCE_BYTES_MAX: usize = 1 << 10;
