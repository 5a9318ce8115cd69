//! What is read of certificates (RFC 5280): validity, public key, names, key usage.

use crate::cms::CmsError;
use crate::digest::Digest;
use crate::keys::{self, KeyError};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use der::{Decode, Encode, Reader, SliceReader};
use droves_facts::Wall;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::request::CertReq;

/// A certificate that is larger than this is none: RSA-8192 with every extension that the field knows has 4 KB.
pub const CERTIFICATE_BYTES_MAX: usize = 16 << 10;

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Larger than [`CERTIFICATE_BYTES_MAX`].
    #[error("certificate of {0} bytes: too large")]
    TooLarge(usize),
    /// Not DER of a certificate.
    #[error("not a certificate: {0}")]
    Malformed(String),
    /// The signature is not by the issuer.
    #[error("certificate is not signed by its issuer: {0}")]
    Signature(#[from] KeyError),
    /// Signed in a way that is not known here.
    #[error("certificate is signed with an unknown algorithm")]
    AlgorithmUnknown,
}

pub(crate) fn parse(der: &[u8]) -> Result<Certificate, CertificateError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::TooLarge(der.len()));
    }
    Certificate::from_der(der).map_err(|error| CertificateError::Malformed(error.to_string()))
}

/// From when until when the certificate is good.
pub fn validity(der: &[u8]) -> Result<(Wall, Wall), CertificateError> {
    let certificate = parse(der)?;
    let validity = certificate.tbs_certificate().validity();
    let wall =
        |time: x509_cert::time::Time| Wall(i64::try_from(time.to_unix_duration().as_micros()).unwrap_or(i64::MAX));
    Ok((wall(validity.not_before), wall(validity.not_after)))
}

/// The certificate's `SubjectPublicKeyInfo`, DER.
pub fn public_key(der: &[u8]) -> Result<Vec<u8>, CertificateError> {
    spki(&parse(der)?)
}

/// The subject's first user id (`UID`), where an APNs certificate for MDM has its topic.
pub fn user_id(der: &[u8]) -> Result<Option<String>, CertificateError> {
    Ok(name_part(&parse(der)?, rfc4519::UID))
}

/// The subject's first common name.
pub fn common_name(der: &[u8]) -> Result<Option<String>, CertificateError> {
    Ok(name_part(&parse(der)?, rfc4519::CN))
}

/// Whether `der` is signed by the key of `issuer`.
pub fn verify(der: &[u8], issuer: &[u8]) -> Result<(), CertificateError> {
    let (certificate, issuer) = (parse(der)?, parse(issuer)?);
    let digest =
        Digest::from_signature_oid(certificate.signature_algorithm().oid).ok_or(CertificateError::AlgorithmUnknown)?;
    let key = issuer.tbs_certificate().subject_public_key_info();
    Ok(keys::verify(key, digest, signed_part(der).map_err(malformed)?, certificate.signature().raw_bytes())?)
}

/// Reads a certificate request (PKCS#10) and checks that whoever made it has the key. What its names are made of is not
/// looked at: Windows puts characters into a `PrintableString` that it does not have.
pub(crate) fn request(der: &[u8]) -> Result<CertReq, CmsError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(CmsError::TooLarge(der.len()));
    }
    let request = CertReq::from_der(der)?;
    let digest = Digest::from_signature_oid(request.algorithm.oid)
        .ok_or_else(|| CmsError::AlgorithmUnknown(request.algorithm.oid.to_string()))?;
    keys::verify(&request.info.public_key, digest, signed_part(der)?, request.signature.raw_bytes())?;
    Ok(request)
}

/// The first element of a signed thing (certificate, request), as the bytes that were signed: encoded anew they might be
/// others, where the issuer has spelt out a default.
pub(crate) fn signed_part(der: &[u8]) -> Result<&[u8], der::Error> {
    SliceReader::new(der)?.sequence(|fields| {
        let signed = fields.tlv_bytes()?;
        fields.drain(fields.remaining_len())?;
        Ok(signed)
    })
}

fn name_part(certificate: &Certificate, wanted: ObjectIdentifier) -> Option<String> {
    let found = certificate.tbs_certificate().subject().iter().find(|pair| pair.oid == wanted);
    found.and_then(|pair| std::str::from_utf8(pair.value.value()).ok().map(str::to_owned))
}

pub(crate) fn spki(certificate: &Certificate) -> Result<Vec<u8>, CertificateError> {
    certificate.tbs_certificate().subject_public_key_info().to_der().map_err(malformed)
}

/// Whether it may sign certificates: basic constraints say so, or there are none at all (an X.509 v1 root).
pub(crate) fn is_authority(certificate: &Certificate) -> bool {
    match certificate.tbs_certificate().get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        _ => certificate.tbs_certificate().extensions().is_none(),
    }
}

/// What its key may be used for; none where it doesn't say.
pub(crate) fn key_usage(certificate: &Certificate) -> Option<KeyUsage> {
    certificate.tbs_certificate().get_extension::<KeyUsage>().ok().flatten().map(|(_, usage)| usage)
}

fn malformed(error: der::Error) -> CertificateError {
    CertificateError::Malformed(error.to_string())
}
