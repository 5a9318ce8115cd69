//! An identity with its private key in one file (PKCS#12, RFC 7292), as `com.apple.security.pkcs12` payloads carry it.
//!
//! DER and BER; PBES2, and what keychains and Windows still write: 3DES and RC2 of 40 bits, with or without a MAC.

use crate::cms::{self, CmsError};
use crate::keys::{Key, KeyError};
use crate::x509::{self, CertificateError};
use droves_facts::Limits;
use p12_keystore::Pkcs12Archive;

/// A file that is larger than this is none. It also bounds how many bags there can be; each may ask for a million rounds
/// of key derivation, or a GiB of memory for scrypt, which are the library's bounds: a hostile file can take
/// minutes of a helper thread. Its device stops waiting at its own deadline, and the end of a run does not wait for it.
pub const FILE_BYTES_MAX: usize = 32 << 10;

/// Why there is no identity in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs12Error {
    /// Larger than [`FILE_BYTES_MAX`].
    #[error("PKCS#12 file of {0} bytes: too large")]
    TooLarge(usize),
    /// Neither DER nor BER.
    #[error("PKCS#12 file: {0}")]
    Encoding(#[from] CmsError),
    /// Not a PKCS#12 file, protected in a way that is not known, or by another password.
    #[error("PKCS#12 file that does not open by its password: {0}")]
    Closed(String),
    /// A key of a kind that can't be had.
    #[error("PKCS#12 file: {0}")]
    Key(#[from] KeyError),
    /// A certificate in it that does not read.
    #[error("PKCS#12 file: {0}")]
    Certificate(#[from] CertificateError),
    /// No private key, or none whose certificate is there.
    #[error("PKCS#12 file without a private key and its certificate")]
    NoIdentity,
}

/// The first private key whose certificate is in the file too, and that certificate, DER. Takes as long as the file's
/// rounds of key derivation: milliseconds for what tools write, a second and more for what wants to be slow.
pub fn open(file: &[u8], password: &str, limits: &Limits) -> Result<(Key, Vec<u8>), Pkcs12Error> {
    if file.len() > FILE_BYTES_MAX {
        return Err(Pkcs12Error::TooLarge(file.len()));
    }
    let der = cms::der(file, limits)?;
    let archive = Pkcs12Archive::from_pkcs12(&der, password).map_err(|error| Pkcs12Error::Closed(error.to_string()))?;
    for bag in archive.keys.iter().take(limits.certificates_max) {
        let key = Key::from_pkcs8(bag.key.as_der())?;
        for bag in archive.certs.iter().take(limits.certificates_max) {
            let certificate = x509::parse(bag.cert.as_der())?;
            let public = certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
            if public == key.public_bytes() {
                return Ok((key, bag.cert.as_der().to_vec()));
            }
        }
    }
    Err(Pkcs12Error::NoIdentity)
}

/// What a fuzzer drives: a file opens to a key with its certificate, or does not.
pub fn target(bytes: &[u8]) {
    if let Ok((key, certificate)) = open(bytes, "secret", &Limits::default()) {
        assert_eq!(x509::public_key(&certificate).as_deref(), Ok(key.spki()), "a certificate of another key");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By `openssl pkcs12 -export` with `-passout pass:secret` (see `tests/openssl.rs`): as it writes them now, and with
    /// `-legacy`.
    const MODERN: &[u8] = include_bytes!("../corpus/pkcs12/modern-p256.p12");
    const LEGACY: &[u8] = include_bytes!("../corpus/pkcs12/legacy-p256.p12");

    #[test]
    fn both_ways_of_protection_open_by_their_password_only() {
        for file in [MODERN, LEGACY] {
            let (key, certificate) = open(file, "secret", &Limits::default()).expect("an identity");
            assert_eq!(x509::public_key(&certificate).as_deref(), Ok(key.spki()));
            let wrong = open(file, "Secret", &Limits::default());
            assert!(matches!(wrong, Err(Pkcs12Error::Closed(_))), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_no_file_of_the_kind_is_refused() {
        let limits = Limits::default();
        assert!(matches!(open(b"", "", &limits), Err(Pkcs12Error::Encoding(_))));
        assert!(matches!(open(b"\x30\x00", "", &limits), Err(Pkcs12Error::Closed(_))));
        let large = vec![0; FILE_BYTES_MAX + 1];
        assert!(matches!(open(&large, "", &limits), Err(Pkcs12Error::TooLarge(_))));
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("pkcs12", target);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn a_file_with_a_wrong_byte_does_no_harm(at in 0..MODERN.len(), byte in any::<u8>(), old in any::<bool>()) {
            let mut file = if old { LEGACY } else { MODERN }.to_vec();
            let at = at % file.len();
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
            target(&file);
        }
    }
}
