//! What a CA says of itself: GetCACaps and GetCACert.

use super::ScepError;
use crate::cms::{self, Cipher, CmsError};
use crate::digest::{self, Digest};
use crate::x509;
use der::Encode;
use droves_facts::Limits;
use serde::{Deserialize, Serialize};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;

/// More text than this is no list of capabilities: all that there are have 200 bytes.
const CAPABILITIES_BYTES_MAX: usize = 4 << 10;

/// What a CA can (RFC 8894, 3.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// `POSTPKIOperation`.
    pub post: bool,
    /// `Renewal`.
    pub renewal: bool,
    /// `AES`.
    pub aes: bool,
    /// `DES3`.
    pub des3: bool,
    /// `SHA-1`.
    pub sha1: bool,
    /// `SHA-256`.
    pub sha256: bool,
    /// `SHA-512`.
    pub sha512: bool,
}

impl Capabilities {
    /// Reads a list, one word a line. `SCEPStandard` stands for AES, POST and SHA-256.
    pub fn read(body: &[u8]) -> Result<Self, ScepError> {
        if body.len() > CAPABILITIES_BYTES_MAX {
            return Err(ScepError::NotCapabilities);
        }
        let text = std::str::from_utf8(body).map_err(|_| ScepError::NotCapabilities)?;
        let mut caps = Capabilities::default();
        for word in text.lines().map(str::trim) {
            match word.to_ascii_lowercase().as_str() {
                "postpkioperation" => caps.post = true,
                "renewal" => caps.renewal = true,
                "aes" => caps.aes = true,
                "des3" => caps.des3 = true,
                "sha-1" => caps.sha1 = true,
                "sha-256" => caps.sha256 = true,
                "sha-512" => caps.sha512 = true,
                "scepstandard" => (caps.aes, caps.post, caps.sha256) = (true, true, true),
                _ => {}
            }
        }
        if !(caps.sha1 || caps.sha256 || caps.sha512) {
            return Err(ScepError::NoSha);
        }
        if !(caps.aes || caps.des3) {
            return Err(ScepError::NoCipher);
        }
        Ok(caps)
    }

    /// The cipher that a device takes.
    pub(super) fn cipher(self) -> Cipher {
        if self.aes { Cipher::Aes128 } else { Cipher::Des3 }
    }

    /// The digest that a device takes: the strongest listed. (SHA-1 can't be signed with here; a CA that lists nothing
    /// better gets SHA-256.)
    pub(super) fn digest(self) -> Digest {
        if self.sha512 { Digest::Sha512 } else { Digest::Sha256 }
    }
}

/// Whom a request is encrypted for, and who may sign the reply.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CaCertificates {
    /// The CA itself, or its registration authority, DER.
    pub(super) recipient: Vec<u8>,
    /// The name of the CA that issues, DER.
    pub(super) issuer: Vec<u8>,
    /// All certificates, DER.
    all: Vec<Vec<u8>>,
}

impl CaCertificates {
    /// Reads GetCACert's answer: one certificate, or a chain with registration authorities in CMS. `fingerprint` is
    /// the profile's `CAFingerprint`: MD5, SHA-1 or SHA-256 by its length.
    pub fn read(body: &[u8], fingerprint: Option<&[u8]>, limits: &Limits) -> Result<Self, ScepError> {
        let all = match x509::parse(body) {
            Ok(_) => vec![body.to_vec()],
            Err(_) => cms::certificates(body, limits).map_err(ScepError::NotCertificates)?,
        };
        if let Some(wanted) = fingerprint {
            let is_wanted = |der: &Vec<u8>| match wanted.len() {
                16 => digest::md5(der) == wanted,
                20 => digest::sha1(der) == wanted,
                _ => digest::sha256(der) == wanted,
            };
            if !all.iter().any(is_wanted) {
                return Err(ScepError::FingerprintMismatch);
            }
        }
        let parsed = all.iter().map(|der| x509::parse(der)).collect::<Result<Vec<_>, _>>()?;
        // A registration authority that may encipher keys comes first, then the CA.
        let ra = parsed.iter().position(|c| !x509::is_authority(c) && is_rsa(c) && may_encipher(c));
        let ca = parsed.iter().position(|c| x509::is_authority(c) && is_issuing(c, &parsed));
        let at = ra.or(ca.filter(|&at| is_rsa(&parsed[at]))).or_else(|| parsed.iter().position(is_rsa));
        let at = at.ok_or(ScepError::NoRecipient)?;
        let issuer = parsed[ca.unwrap_or(at)].tbs_certificate().subject().to_der().map_err(CmsError::from)?;
        Ok(CaCertificates { recipient: all[at].clone(), issuer, all })
    }

    /// Whether replies may be signed by this certificate: it is one of these. Having been issued by the CA is not
    /// enough, since every device's has.
    pub(super) fn hold(&self, certificate: &[u8]) -> bool {
        self.all.iter().any(|known| known == certificate)
    }
}

fn is_rsa(certificate: &Certificate) -> bool {
    let key: &SubjectPublicKeyInfoOwned = certificate.tbs_certificate().subject_public_key_info();
    key.algorithm.oid == const_oid::db::rfc5912::RSA_ENCRYPTION
}

fn may_encipher(certificate: &Certificate) -> bool {
    x509::key_usage(certificate).is_none_or(|usage| usage.key_encipherment())
}

/// In a chain the issuing CA is the one that has issued none of the others that are CAs.
fn is_issuing(certificate: &Certificate, all: &[Certificate]) -> bool {
    let subject = certificate.tbs_certificate().subject();
    let der = certificate.to_der().unwrap_or_default();
    !all.iter().any(|other| {
        x509::is_authority(other)
            && other.tbs_certificate().issuer() == subject
            && other.to_der().unwrap_or_default() != der
    })
}
