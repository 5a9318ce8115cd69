//! Private keys of devices, servers and CAs: RSA of 2048 bits and more, P-256 and P-384. Arithmetic by aws-lc-rs.
//!
//! Promises: a key is parsed once (119 µs for RSA-2048) and its forms for signing, decrypting and TLS are kept;
//! `Debug` shows the kind and never a secret. Apple's default of 1,024 bits for SCEP can't be had: aws-lc-rs refuses
//! private keys under 2,048 bits, and SHA-1 in a new signature ([`KeyError`] names both).

use crate::digest::Digest;
use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey};
use aws_lc_rs::rsa::{PrivateDecryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm};
use const_oid::db::rfc5912;
use der::asn1::Null;
use der::{Any, Decode};
use droves_facts::KeyFamily;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What can't be done with a key, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The size asked for is none that can be made or loaded.
    #[error("RSA keys of {0} bits can't be had: 2048, 3072, 4096 or 8192")]
    SizeUnsupported(u32),
    /// The bytes are no PKCS#8 of RSA (2,048 to 8,192 bits), P-256 or P-384.
    #[error("not a PKCS#8 private key of RSA-2048 or larger, P-256 or P-384")]
    NotPkcs8,
    /// A public key of another kind, or of a size that the operation refuses.
    #[error("public key of an unsupported kind or size")]
    PublicKeyUnsupported,
    /// The key has no such signature.
    #[error("no signature with {1:?} by a key of kind {0:?}")]
    DigestUnsupported(KeyKind, Digest),
    /// Only RSA keys decrypt.
    #[error("a key of kind {0:?} can't decrypt")]
    NotForDecryption(KeyKind),
    /// The ciphertext was not made for this key.
    #[error("decryption failed")]
    DecryptionFailed,
    /// The signature is not by this key over these bytes.
    #[error("signature does not verify")]
    SignatureInvalid,
    /// aws-lc refused without a reason that it would tell.
    #[error("cryptographic library failed at {0}")]
    Library(&'static str),
}

/// Kind and size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// RSA with its modulus in bits.
    Rsa(u32),
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
}

impl KeyKind {
    /// What a signature by it costs, roughly.
    pub fn family(self) -> KeyFamily {
        match self {
            // P-384 costs several times what P-256 does: it is counted where it is not made out too light.
            KeyKind::Rsa(_) | KeyKind::P384 => KeyFamily::Rsa,
            KeyKind::P256 => KeyFamily::P256,
        }
    }
}

/// A private key with its public half.
pub struct Key {
    pair: Pair,
    kind: KeyKind,
    public: Vec<u8>,
    spki: Vec<u8>,
    decrypting: OnceLock<Pkcs1PrivateDecryptingKey>,
    tls: OnceLock<Arc<dyn rustls::sign::SigningKey>>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
}

impl Key {
    /// A new RSA key of 2048, 3072, 4096 or 8192 bits. Slow: 70 ms for 2048 in the mean, three times that in the worst
    /// case.
    pub fn generate_rsa(bits: u32) -> Result<Self, KeyError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            other => return Err(KeyError::SizeUnsupported(other)),
        };
        Key::rsa(RsaKeyPair::generate(size).map_err(|_| KeyError::Library("RSA key generation"))?)
    }

    /// A new P-256 key from the operating system's randomness.
    pub fn generate_p256() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING);
        Key::ecdsa(KeyKind::P256, pair.map_err(|_| KeyError::Library("P-256 key generation"))?)
    }

    /// A new P-384 key from the operating system's randomness.
    pub fn generate_p384() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_ASN1_SIGNING);
        Key::ecdsa(KeyKind::P384, pair.map_err(|_| KeyError::Library("P-384 key generation"))?)
    }

    /// The P-256 key of a seed: always the same one, so it need not be stored.
    pub fn p256_from_seed(seed: [u8; 32]) -> Result<Self, KeyError> {
        Key::ecdsa(KeyKind::P256, p256_of_seed(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, seed)?)
    }

    /// A key from PKCS#8 (RFC 5958), as [`Key::to_pkcs8`] writes it.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Key::rsa(pair);
        }
        for (kind, algorithm) in [
            (KeyKind::P256, &signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            (KeyKind::P384, &signature::ECDSA_P384_SHA384_ASN1_SIGNING),
        ] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, der) {
                return Key::ecdsa(kind, pair);
            }
        }
        Err(KeyError::NotPkcs8)
    }

    /// The secret as PKCS#8, for the store.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::Rsa(pair) => pair.as_der().map(|der| der.as_ref().to_vec()),
            Pair::Ecdsa(pair) => pair.to_pkcs8v1().map(|doc| doc.as_ref().to_vec()),
        }
        .map_err(|_| KeyError::Library("PKCS#8 encoding"))
    }

    /// Kind and size.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// What stands in the BIT STRING of [`Key::spki`]: `RSAPublicKey` in DER, or the uncompressed point.
    pub fn public_bytes(&self) -> &[u8] {
        &self.public
    }

    /// The digest that the key signs with where nobody asks for another: SHA-256, for P-384 SHA-384.
    pub fn digest(&self) -> Digest {
        match self.kind {
            KeyKind::Rsa(_) | KeyKind::P256 => Digest::Sha256,
            KeyKind::P384 => Digest::Sha384,
        }
    }

    /// A signature over `message`: PKCS#1 v1.5 with SHA-256, SHA-384 or SHA-512, or ECDSA with [`Key::digest`] in ASN.1
    /// form.
    pub fn sign(&self, digest: Digest, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding = match digest {
                    Digest::Sha1 => return Err(KeyError::DigestUnsupported(self.kind, digest)),
                    Digest::Sha256 => &signature::RSA_PKCS1_SHA256,
                    Digest::Sha384 => &signature::RSA_PKCS1_SHA384,
                    Digest::Sha512 => &signature::RSA_PKCS1_SHA512,
                };
                let mut out = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(encoding, &SystemRandom::new(), message, &mut out);
                signed.map_err(|_| KeyError::Library("RSA signature"))?;
                Ok(out)
            }
            Pair::Ecdsa(pair) => {
                if digest != self.digest() {
                    return Err(KeyError::DigestUnsupported(self.kind, digest));
                }
                let signed = pair.sign(&SystemRandom::new(), message);
                Ok(signed.map_err(|_| KeyError::Library("ECDSA signature"))?.as_ref().to_vec())
            }
        }
    }

    /// Opens an RSA PKCS#1 v1.5 key transport.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let key = self.decrypting()?;
        let mut out = vec![0; key.min_output_size()];
        let length = key.decrypt(ciphertext, &mut out).map_err(|_| KeyError::DecryptionFailed)?.len();
        out.truncate(length);
        Ok(out)
    }

    /// The key for rustls, loaded at the first call and shared from then on.
    pub fn tls(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, KeyError> {
        if let Some(key) = self.tls.get() {
            return Ok(Arc::clone(key));
        }
        let loaded = rustls::crypto::aws_lc_rs::sign::any_supported_type(&self.private_key_der()?)
            .map_err(|_| KeyError::Library("TLS signing key"))?;
        Ok(Arc::clone(self.tls.get_or_init(|| loaded)))
    }

    /// The secret in the form that rustls's configuration takes.
    pub fn private_key_der(&self) -> Result<PrivateKeyDer<'static>, KeyError> {
        Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.to_pkcs8()?)))
    }

    /// The algorithm of a CSR's or certificate's signature by this key.
    pub(crate) fn signature_identifier(&self, digest: Digest) -> Result<AlgorithmIdentifierOwned, KeyError> {
        let unsupported = || KeyError::DigestUnsupported(self.kind, digest);
        let (oid, parameters) = match (self.kind, digest) {
            (KeyKind::Rsa(_), Digest::Sha256) => (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, true),
            (KeyKind::Rsa(_), Digest::Sha384) => (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, true),
            (KeyKind::Rsa(_), Digest::Sha512) => (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, true),
            (KeyKind::P256, Digest::Sha256) => (rfc5912::ECDSA_WITH_SHA_256, false),
            (KeyKind::P384, Digest::Sha384) => (rfc5912::ECDSA_WITH_SHA_384, false),
            _ => return Err(unsupported()),
        };
        let null = Any::encode_from(&Null).map_err(|_| unsupported())?;
        Ok(AlgorithmIdentifierOwned { oid, parameters: parameters.then_some(null) })
    }

    fn decrypting(&self) -> Result<&Pkcs1PrivateDecryptingKey, KeyError> {
        if let Some(key) = self.decrypting.get() {
            return Ok(key);
        }
        if !matches!(self.kind, KeyKind::Rsa(_)) {
            return Err(KeyError::NotForDecryption(self.kind));
        }
        let loaded = PrivateDecryptingKey::from_pkcs8(&self.to_pkcs8()?).map_err(|_| KeyError::NotPkcs8)?;
        let loaded = Pkcs1PrivateDecryptingKey::new(loaded).map_err(|_| KeyError::Library("RSA decrypting key"))?;
        Ok(self.decrypting.get_or_init(|| loaded))
    }

    fn rsa(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let bits = u32::try_from(pair.public_modulus_len() * 8).unwrap_or(u32::MAX);
        let spki = pair.public_key().as_der().map_err(|_| KeyError::Library("RSA public key"))?.as_ref().to_vec();
        Key::new(KeyKind::Rsa(bits), pair.public_key().as_ref().to_vec(), spki, Pair::Rsa(Box::new(pair)))
    }

    fn ecdsa(kind: KeyKind, pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let spki = pair.public_key().as_der().map_err(|_| KeyError::Library("ECDSA public key"))?.as_ref().to_vec();
        Key::new(kind, pair.public_key().as_ref().to_vec(), spki, Pair::Ecdsa(Box::new(pair)))
    }

    fn new(kind: KeyKind, public: Vec<u8>, spki: Vec<u8>, pair: Pair) -> Result<Self, KeyError> {
        Ok(Key { pair, kind, public, spki, decrypting: OnceLock::new(), tls: OnceLock::new() })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.kind)
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.kind {
            KeyKind::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        }
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, msg: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Key::sign(self, self.digest(), msg).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// The P-256 pair of a seed. The scalar is SHA-256 of the seed and a counter, drawn again in the one case of 2^32 in
/// which it is not in `1..n`.
pub(crate) fn p256_of_seed(
    algorithm: &'static signature::EcdsaSigningAlgorithm,
    seed: [u8; 32],
) -> Result<EcdsaKeyPair, KeyError> {
    for counter in 0_u8..8 {
        let scalar = crate::digest::sha256(&[b"droves p256".as_slice(), &seed, &[counter]].concat());
        let Ok(private) = agreement::PrivateKey::from_private_key(&ECDH_P256, &scalar) else { continue };
        let Ok(public) = private.compute_public_key() else { continue };
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &scalar, public.as_ref());
        return pair.map_err(|_| KeyError::Library("P-256 key of a seed"));
    }
    Err(KeyError::Library("P-256 key of a seed"))
}

/// Whether `signature` is one over `message` by the key of `spki`. RSA of 1,024 bits passes: real servers still have it.
pub fn verify(
    spki: &SubjectPublicKeyInfoOwned,
    digest: Digest,
    message: &[u8],
    signature: &[u8],
) -> Result<(), KeyError> {
    let algorithm: &'static dyn VerificationAlgorithm = match (spki.algorithm.oid, digest) {
        (rfc5912::RSA_ENCRYPTION, Digest::Sha1) => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (rfc5912::RSA_ENCRYPTION, Digest::Sha256) => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (rfc5912::RSA_ENCRYPTION, Digest::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (rfc5912::RSA_ENCRYPTION, Digest::Sha512) => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (rfc5912::ID_EC_PUBLIC_KEY, _) => ecdsa(spki, digest)?,
        _ => return Err(KeyError::PublicKeyUnsupported),
    };
    let key = UnparsedPublicKey::new(algorithm, spki.subject_public_key.raw_bytes());
    key.verify(message, signature).map_err(|_| KeyError::SignatureInvalid)
}

/// RSA PKCS#1 v1.5 key transport to the key of `spki` (DER).
pub fn encrypt(spki: &[u8], secret: &[u8]) -> Result<Vec<u8>, KeyError> {
    let key = PublicEncryptingKey::from_der(spki).map_err(|_| KeyError::PublicKeyUnsupported)?;
    let key = Pkcs1PublicEncryptingKey::new(key).map_err(|_| KeyError::PublicKeyUnsupported)?;
    let mut out = vec![0; key.ciphertext_size()];
    let length = key.encrypt(secret, &mut out).map_err(|_| KeyError::Library("RSA encryption"))?.len();
    out.truncate(length);
    Ok(out)
}

fn ecdsa(spki: &SubjectPublicKeyInfoOwned, digest: Digest) -> Result<&'static dyn VerificationAlgorithm, KeyError> {
    let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.decode_as::<der::asn1::ObjectIdentifier>().ok());
    Ok(match (curve, digest) {
        (Some(rfc5912::SECP_256_R_1), Digest::Sha1) => &signature::ECDSA_P256_SHA1_ASN1,
        (Some(rfc5912::SECP_256_R_1), Digest::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (Some(rfc5912::SECP_256_R_1), Digest::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (Some(rfc5912::SECP_256_R_1), Digest::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
        (Some(rfc5912::SECP_384_R_1), Digest::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (Some(rfc5912::SECP_384_R_1), Digest::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (Some(rfc5912::SECP_384_R_1), Digest::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
        _ => return Err(KeyError::PublicKeyUnsupported),
    })
}

/// The public key of a key, typed.
pub(crate) fn public_key_info(spki: &[u8]) -> Result<SubjectPublicKeyInfoOwned, KeyError> {
    SubjectPublicKeyInfoOwned::from_der(spki).map_err(|_| KeyError::PublicKeyUnsupported)
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// RSA keys for the tests of this crate, made once a process.
    pub(crate) fn rsa(n: usize) -> &'static Key {
        static KEYS: [OnceLock<Key>; 3] = [const { OnceLock::new() }; 3];
        KEYS[n].get_or_init(|| Key::generate_rsa(2048).unwrap())
    }

    fn check(key: &Key, digest: Digest) {
        let spki = public_key_info(key.spki()).unwrap();
        let signature = key.sign(digest, b"words").unwrap();
        verify(&spki, digest, b"words", &signature).unwrap();
        assert_eq!(verify(&spki, digest, b"other", &signature), Err(KeyError::SignatureInvalid));
        let again = Key::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(again.spki(), key.spki());
    }

    #[test]
    fn a_key_signs_and_survives_the_store() {
        for digest in [Digest::Sha256, Digest::Sha384, Digest::Sha512] {
            check(rsa(0), digest);
        }
        check(&Key::generate_p256().unwrap(), Digest::Sha256);
        check(&Key::generate_p384().unwrap(), Digest::Sha384);
        check(&Key::p256_from_seed([7; 32]).unwrap(), Digest::Sha256);
    }

    #[test]
    fn a_seed_always_gives_the_same_key() {
        let of = |seed| Key::p256_from_seed([seed; 32]).unwrap().public_bytes().to_vec();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn rsa_carries_a_secret() {
        let sealed = encrypt(rsa(0).spki(), b"0123456789abcdef").unwrap();
        assert_eq!(rsa(0).decrypt(&sealed).unwrap(), b"0123456789abcdef");
        assert!(rsa(1).decrypt(&sealed).is_err());
        let p256 = Key::p256_from_seed([1; 32]).unwrap();
        assert_eq!(p256.decrypt(&sealed), Err(KeyError::NotForDecryption(KeyKind::P256)));
        assert_eq!(encrypt(p256.spki(), b"x"), Err(KeyError::PublicKeyUnsupported));
    }

    #[test]
    fn what_can_not_be_done_has_a_name() {
        assert_eq!(Key::generate_rsa(1024).unwrap_err(), KeyError::SizeUnsupported(1024));
        assert_eq!(rsa(0).sign(Digest::Sha1, b""), Err(KeyError::DigestUnsupported(KeyKind::Rsa(2048), Digest::Sha1)));
        let p384 = Key::generate_p384().unwrap();
        assert_eq!(p384.sign(Digest::Sha256, b""), Err(KeyError::DigestUnsupported(KeyKind::P384, Digest::Sha256)));
        assert_eq!(Key::from_pkcs8(b"0").unwrap_err(), KeyError::NotPkcs8);
    }

    #[test]
    fn debug_shows_no_secret_and_tls_shares_one_key() {
        assert_eq!(format!("{:?}", rsa(0)), "Key(Rsa(2048))");
        assert!(Arc::ptr_eq(&rsa(0).tls().unwrap(), &rsa(0).tls().unwrap()));
        assert!(Key::p256_from_seed([1; 32]).unwrap().tls().is_ok());
    }
}
