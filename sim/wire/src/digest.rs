//! Digests as plain functions (FIPS 180-4, RFC 1321). Arithmetic by aws-lc-rs; MD5, which it lacks, by `md-5`: MD5 is
//! met in fingerprints and in old authentication only, never in a signature.

use aws_lc_rs::digest;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::asn1::Null;
use der::{Any, Error};
use spki::AlgorithmIdentifierOwned;

/// A digest that may stand in a signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// 20 bytes; verified, never made: aws-lc-rs signs no SHA-1.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm(), bytes).as_ref().to_vec()
    }

    /// The digest's name in CMS.
    pub fn oid(self) -> ObjectIdentifier {
        match self {
            Digest::Sha1 => rfc5912::ID_SHA_1,
            Digest::Sha256 => rfc5912::ID_SHA_256,
            Digest::Sha384 => rfc5912::ID_SHA_384,
            Digest::Sha512 => rfc5912::ID_SHA_512,
        }
    }

    /// The digest of that name.
    pub fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        [Digest::Sha1, Digest::Sha256, Digest::Sha384, Digest::Sha512].into_iter().find(|d| d.oid() == oid)
    }

    /// The digest inside a signature's algorithm (`sha256WithRSAEncryption`, `ecdsa-with-SHA256`, ..); `None` where
    /// the algorithm doesn't say (`rsaEncryption`) or is unknown.
    pub fn from_signature_oid(oid: ObjectIdentifier) -> Option<Self> {
        Some(match oid {
            rfc5912::SHA_1_WITH_RSA_ENCRYPTION | OIW_SHA_1_WITH_RSA => Digest::Sha1,
            rfc5912::SHA_256_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_256 => Digest::Sha256,
            rfc5912::SHA_384_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_384 => Digest::Sha384,
            rfc5912::SHA_512_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_512 => Digest::Sha512,
            _ => return None,
        })
    }

    /// As an `AlgorithmIdentifier` with the NULL that PKCS#7 readers of all ages take.
    pub(crate) fn identifier(self) -> Result<AlgorithmIdentifierOwned, Error> {
        Ok(AlgorithmIdentifierOwned { oid: self.oid(), parameters: Some(Any::encode_from(&Null)?) })
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Digest::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Digest::Sha256 => &digest::SHA256,
            Digest::Sha384 => &digest::SHA384,
            Digest::Sha512 => &digest::SHA512,
        }
    }
}

/// The older name of SHA-1 with RSA (OIW), which Windows 10 writes.
const OIW_SHA_1_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.29");

/// MD5 of `bytes`.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest as _;
    md5::Md5::digest(bytes).into()
}

/// SHA-1 of `bytes`.
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    fixed(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    fixed(&digest::SHA256, bytes)
}

fn fixed<const N: usize>(algorithm: &'static digest::Algorithm, bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(digest::digest(algorithm, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321 A.5 and FIPS 180-4's examples for "abc".
    #[test]
    fn digests_give_the_published_answers() {
        assert_eq!(hex::encode(md5(b"abc")), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex::encode(sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex::encode(sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for d in [Digest::Sha1, Digest::Sha256, Digest::Sha384, Digest::Sha512] {
            assert_eq!(Digest::from_oid(d.oid()), Some(d));
        }
    }
}
