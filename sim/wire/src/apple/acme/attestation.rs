//! What Apple's attestation servers say of a key in a device's hardware: a chain of certificates in the form of WebAuthn's
//! `apple` statement, without its authenticator data. The root is ours, not Apple's: a server believes it if it is told
//! to.

use crate::ca::{self, Authority, AuthorityError};
use crate::digest;
use droves_facts::{Dur, Wall};
use minicbor::Encoder;
use rcgen::{CustomExtension, KeyUsagePurpose};

/// OIDs of the leaf's extensions (Apple, `DevicePropertiesAttestation`). Each value is the raw text or digest, without a
/// tag of its own, as step-ca compares it.
pub mod hardware_oids {
    /// Serial number.
    pub const SERIAL_NUMBER: &[u64] = &[1, 2, 840, 113_635, 100, 8, 9, 1];
    /// UDID.
    pub const UDID: &[u64] = &[1, 2, 840, 113_635, 100, 8, 9, 2];
    /// Version of the operating system.
    pub const OS_VERSION: &[u64] = &[1, 2, 840, 113_635, 100, 8, 10, 1];
    /// SHA-256 of the challenge's token.
    pub const FRESHNESS: &[u64] = &[1, 2, 840, 113_635, 100, 8, 11, 1];
}

/// As long as a cached attestation of Apple's is good.
const LASTS: Dur = Dur::secs(7 * 86_400);

/// Of which device a key is, and for which challenge.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Subject {
    /// Serial number.
    pub serial_number: String,
    /// UDID.
    pub udid: String,
    /// Version of the operating system.
    pub os_version: String,
    /// The challenge's token.
    pub token: String,
}

/// Why there is no attestation.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// The certificate can't be issued.
    #[error("attestation: {0}")]
    Authority(#[from] AuthorityError),
    /// The statement can't be written.
    #[error("attestation: CBOR: {0}")]
    Cbor(String),
}

/// Who attests.
#[derive(Debug)]
pub struct Attester {
    authority: Authority,
}

impl Attester {
    /// An authority that attests, below a root that servers are told to trust.
    pub fn under(root: &Authority, now: Wall) -> Result<Self, AuthorityError> {
        Ok(Attester { authority: root.intermediate("Droves attestation authority", now)? })
    }

    /// The attestation object for a key (`SubjectPublicKeyInfo`, DER), CBOR.
    pub fn attest(&self, subject: &Subject, spki: &[u8], now: Wall) -> Result<Vec<u8>, AttestationError> {
        // Apple's name the leaf by a digest, too.
        let mut params = ca::named(&hex::encode(digest::sha256(spki)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions = vec![
            extension(hardware_oids::SERIAL_NUMBER, subject.serial_number.as_bytes()),
            extension(hardware_oids::UDID, subject.udid.as_bytes()),
            extension(hardware_oids::OS_VERSION, subject.os_version.as_bytes()),
            extension(hardware_oids::FRESHNESS, &digest::sha256(subject.token.as_bytes())),
        ];
        ca::lasting(&mut params, now, LASTS);
        params.serial_number = Some(ca::serial(&[spki, subject.token.as_bytes()].concat(), now));
        let leaf = self.authority.sign(&params, spki)?;
        statement(&[&leaf, self.authority.certificate()]).map_err(|error| AttestationError::Cbor(error.to_string()))
    }
}

fn extension(oid: &[u64], value: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(oid, value.to_vec())
}

/// `{"fmt": "apple", "attStmt": {"x5c": [leaf, intermediate]}}`.
fn statement(chain: &[&[u8]]) -> Result<Vec<u8>, minicbor::encode::Error<std::convert::Infallible>> {
    let mut cbor = Encoder::new(Vec::new());
    cbor.map(2)?.str("fmt")?.str("apple")?.str("attStmt")?.map(1)?.str("x5c")?.array(chain.len() as u64)?;
    for certificate in chain {
        cbor.bytes(certificate)?;
    }
    Ok(cbor.into_writer())
}
