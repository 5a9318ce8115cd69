//! EnvelopedData (RFC 5652, 6) for one RSA key, by PKCS#1 v1.5 key transport, as SCEP has it.

use super::CmsError;
use super::signed::issuer_and_serial;
use crate::keys::{self, Key};
use crate::x509;
use aws_lc_rs::cipher::{
    self, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::enveloped_data::{
    EncryptedContentInfo, EnvelopedData, KeyTransRecipientInfo, RecipientIdentifier, RecipientInfo, RecipientInfos,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{Any, Null, OctetString, SetOfVec};
use der::{Decode, Encode, Tag};
use droves_facts::Limits;
use spki::AlgorithmIdentifierOwned;

/// `des-EDE3-CBC` (RFC 8018, B.2.2).
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
/// `desCBC` (RFC 8018, B.2.1).
const DES_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.7");

/// How content is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cipher {
    /// AES-128-CBC.
    Aes128,
    /// AES-256-CBC.
    Aes256,
    /// 3DES-CBC, for SCEP servers that know nothing better.
    Des3,
    /// DES-CBC: the default of Go's PKCS#7, in which scepserver replies and scepclient asks. Devices never ask in it.
    Des,
}

/// Envelopes content for the RSA key of `recipient` (a certificate, DER). The result is a `ContentInfo`, DER.
pub fn seal(content: &[u8], recipient: &[u8], cipher: Cipher) -> Result<Vec<u8>, CmsError> {
    let certificate = x509::parse(recipient)?;
    let mut key = vec![0; cipher.key_bytes()];
    rand::fill(&mut key).map_err(|_| CmsError::Malformed("no randomness".into()))?;
    let (encrypted, iv) = cipher.encrypt(&key, content)?;
    let algorithm = AlgorithmIdentifierOwned { oid: cipher.oid(), parameters: Some(Any::new(Tag::OctetString, iv)?) };
    let transport =
        AlgorithmIdentifierOwned { oid: rfc5912::RSA_ENCRYPTION, parameters: Some(Any::encode_from(&Null)?) };
    let recipient = RecipientInfo::Ktri(KeyTransRecipientInfo {
        version: CmsVersion::V0,
        rid: RecipientIdentifier::IssuerAndSerialNumber(issuer_and_serial(&certificate)),
        key_enc_alg: transport,
        enc_key: OctetString::new(keys::encrypt(&x509::spki(&certificate)?, &key)?)?,
    });
    let data = EnvelopedData {
        version: CmsVersion::V0,
        originator_info: None,
        recip_infos: RecipientInfos(SetOfVec::try_from([recipient])?),
        encrypted_content: EncryptedContentInfo {
            content_type: rfc5911::ID_DATA,
            content_enc_alg: algorithm,
            encrypted_content: Some(OctetString::new(encrypted)?),
        },
        unprotected_attrs: None,
    };
    let content = Any::from_der(&data.to_der()?)?;
    Ok(ContentInfo { content_type: rfc5911::ID_ENVELOPED_DATA, content }.to_der()?)
}

/// Opens what was enveloped for this key, DER or BER.
pub fn open(bytes: &[u8], key: &Key, limits: &Limits) -> Result<Vec<u8>, CmsError> {
    let data = parse(bytes, limits)?;
    let info = &data.encrypted_content;
    let cipher = Cipher::of(info.content_enc_alg.oid)
        .ok_or_else(|| CmsError::AlgorithmUnknown(info.content_enc_alg.oid.to_string()))?;
    let parameters = info.content_enc_alg.parameters.as_ref().ok_or(CmsError::DecryptionFailed)?;
    let iv = parameters.decode_as::<OctetString>()?;
    let encrypted = info.encrypted_content.as_ref().ok_or(CmsError::NoContent)?;
    // A key transport for another key does not decrypt, or to another length.
    let secret = data.recip_infos.0.iter().find_map(|recipient| match recipient {
        RecipientInfo::Ktri(info) => {
            key.decrypt(info.enc_key.as_bytes()).ok().filter(|secret| secret.len() == cipher.key_bytes())
        }
        _ => None,
    });
    cipher.decrypt(&secret.ok_or(CmsError::NotForUs)?, iv.as_bytes(), encrypted.as_bytes())
}

pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<EnvelopedData, CmsError> {
    let data = EnvelopedData::from_der(&super::content(bytes, rfc5911::ID_ENVELOPED_DATA, limits)?)?;
    if data.recip_infos.0.len() > limits.certificates_max {
        return Err(CmsError::TooMany);
    }
    Ok(data)
}

impl Cipher {
    fn of(oid: ObjectIdentifier) -> Option<Self> {
        [Cipher::Aes128, Cipher::Aes256, Cipher::Des3, Cipher::Des].into_iter().find(|cipher| cipher.oid() == oid)
    }

    fn oid(self) -> ObjectIdentifier {
        match self {
            Cipher::Aes128 => rfc5911::ID_AES_128_CBC,
            Cipher::Aes256 => rfc5911::ID_AES_256_CBC,
            Cipher::Des3 => DES_EDE3_CBC,
            Cipher::Des => DES_CBC,
        }
    }

    fn key_bytes(self) -> usize {
        match self {
            Cipher::Aes128 => 16,
            Cipher::Aes256 => 32,
            Cipher::Des3 => 24,
            Cipher::Des => 8,
        }
    }

    #[expect(deprecated, reason = "SCEP servers of the field still list 3DES only, or reply in DES")]
    fn unbound(self, key: &[u8]) -> Result<UnboundCipherKey, CmsError> {
        let algorithm = match self {
            Cipher::Aes128 => &cipher::AES_128,
            Cipher::Aes256 => &cipher::AES_256,
            Cipher::Des3 => &cipher::DES_EDE3_FOR_LEGACY_USE_ONLY,
            Cipher::Des => &cipher::DES_FOR_LEGACY_USE_ONLY,
        };
        UnboundCipherKey::new(algorithm, key).map_err(|_| CmsError::DecryptionFailed)
    }

    /// The ciphertext, and its initialisation vector.
    fn encrypt(self, key: &[u8], content: &[u8]) -> Result<(Vec<u8>, Vec<u8>), CmsError> {
        let failed = |_| CmsError::Malformed("encryption failed".into());
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(self.unbound(key)?).map_err(failed)?;
        let mut in_out = content.to_vec();
        let iv = match key.encrypt(&mut in_out).map_err(failed)? {
            DecryptionContext::Iv128(iv) => iv.as_ref().to_vec(),
            DecryptionContext::Iv64(iv) => iv.as_ref().to_vec(),
            _ => return Err(CmsError::Malformed("encryption without a vector".into())),
        };
        Ok((in_out, iv))
    }

    fn decrypt(self, key: &[u8], iv: &[u8], encrypted: &[u8]) -> Result<Vec<u8>, CmsError> {
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(self.unbound(key)?).map_err(|_| CmsError::DecryptionFailed)?;
        let context = match self {
            Cipher::Aes128 | Cipher::Aes256 => FixedLength::<16>::try_from(iv).map(DecryptionContext::Iv128),
            Cipher::Des3 | Cipher::Des => FixedLength::<8>::try_from(iv).map(DecryptionContext::Iv64),
        };
        // aws-lc-rs looks for the padding's length in the last byte, and panics if there is none.
        if encrypted.is_empty() {
            return Err(CmsError::DecryptionFailed);
        }
        let mut in_out = encrypted.to_vec();
        let plain = key.decrypt(&mut in_out, context.map_err(|_| CmsError::DecryptionFailed)?);
        Ok(plain.map_err(|_| CmsError::DecryptionFailed)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The key is whatever the sender has chosen, weak ones for DES too.
        #[test]
        fn any_ciphertext_is_refused_or_opened(
            cipher in prop::sample::select(vec![Cipher::Aes128, Cipher::Aes256, Cipher::Des3, Cipher::Des]),
            key in prop::collection::vec(any::<u8>(), 0..33),
            iv in prop::collection::vec(any::<u8>(), 0..20),
            encrypted in prop::collection::vec(any::<u8>(), 0..5),
            blocks in 0_usize..4,
        ) {
            drop(cipher.decrypt(&key, &iv, &encrypted));
            let (key, iv) = (vec![7; cipher.key_bytes()], vec![7; if cipher.key_bytes() % 16 == 0 { 16 } else { 8 }]);
            drop(cipher.decrypt(&key, &iv, &vec![7; blocks * 16]));
        }
    }

    #[test]
    fn an_empty_ciphertext_is_refused() {
        assert_eq!(Cipher::Aes128.decrypt(&[7; 16], &[7; 16], b""), Err(CmsError::DecryptionFailed));
    }
}
