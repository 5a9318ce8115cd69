//! SignedData (RFC 5652, 5): made by one signer, read from any.

use super::CmsError;
use crate::digest::Digest;
use crate::keys::{self, Key, KeyKind};
use crate::x509;
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{Any, AnyRef, Null, ObjectIdentifier, OctetString, SetOfVec, UtcTime};
use der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use droves_facts::{Limits, Wall};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::attr;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::time::Time;

/// A signed attribute with one value, DER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// What it says.
    pub oid: ObjectIdentifier,
    /// Its value.
    pub value: Any,
}

/// How to sign.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    /// The key.
    pub key: &'a Key,
    /// Its certificate, DER, which goes along.
    pub certificate: &'a [u8],
    /// The digest.
    pub digest: Digest,
    /// The time to state, if any.
    pub time: Option<Wall>,
    /// Attributes beside content type, digest and time.
    pub attributes: &'a [Attribute],
    /// Certificates that go along beside the signer's, DER.
    pub others: &'a [&'a [u8]],
    /// Whether the content stays out of the message.
    pub detached: bool,
}

/// A signed message whose signatures hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// What was signed, if the message holds it.
    pub content: Option<Vec<u8>>,
    /// Every certificate in it, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Who signed. At least one.
    pub signers: Vec<Signer>,
}

/// One signer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signer {
    /// The certificate whose key made the signature, DER. Nobody has looked at who issued it.
    pub certificate: Vec<u8>,
    /// The signed attributes, each with its values.
    pub attributes: Vec<(ObjectIdentifier, Vec<Any>)>,
}

impl Signer {
    /// The one value of an attribute that must be there once.
    pub fn attribute(&self, oid: ObjectIdentifier) -> Result<&Any, CmsError> {
        let mut values = self.attributes.iter().filter(|(known, _)| *known == oid).flat_map(|(_, values)| values);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(CmsError::Attribute(oid.to_string())),
        }
    }

    /// Its bytes, whatever kind of string it is.
    pub fn attribute_bytes(&self, oid: ObjectIdentifier) -> Result<&[u8], CmsError> {
        Ok(self.attribute(oid)?.value())
    }
}

/// Signs. The result is a `ContentInfo`, DER.
pub fn sign(content: &[u8], signing: &Signing<'_>) -> Result<Vec<u8>, CmsError> {
    let certificate = x509::parse(signing.certificate)?;
    let digest_alg = signing.digest.identifier()?;
    let mut attributes = SetOfVec::new();
    let value = |value: Any| SetOfVec::try_from([value]);
    let content_type = Any::encode_from(&rfc5911::ID_DATA)?;
    attributes.insert(attr::Attribute { oid: rfc5911::ID_CONTENT_TYPE, values: value(content_type)? })?;
    let digest = Any::new(Tag::OctetString, signing.digest.of(content))?;
    attributes.insert(attr::Attribute { oid: rfc5911::ID_MESSAGE_DIGEST, values: value(digest)? })?;
    if let Some(time) = signing.time {
        attributes.insert(attr::Attribute { oid: rfc5911::ID_SIGNING_TIME, values: value(time_of(time)?)? })?;
    }
    for extra in signing.attributes {
        attributes.insert(attr::Attribute { oid: extra.oid, values: value(extra.value.clone())? })?;
    }
    let signature = signing.key.sign(signing.digest, &attributes.to_der()?)?;
    let signature_algorithm = match signing.key.kind() {
        KeyKind::Rsa(_) => {
            AlgorithmIdentifierOwned { oid: rfc5912::RSA_ENCRYPTION, parameters: Some(Any::encode_from(&Null)?) }
        }
        KeyKind::P256 | KeyKind::P384 => signing.key.signature_identifier(signing.digest)?,
    };
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(issuer_and_serial(&certificate)),
        digest_alg: digest_alg.clone(),
        signed_attrs: Some(attributes),
        signature_algorithm,
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    let mut certificates = vec![certificate];
    for other in signing.others {
        certificates.push(x509::parse(other)?);
    }
    let econtent = if signing.detached { None } else { Some(Any::new(Tag::OctetString, content)?) };
    wrap(&SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from([digest_alg])?,
        encap_content_info: EncapsulatedContentInfo { econtent_type: rfc5911::ID_DATA, econtent },
        certificates: Some(set_of(certificates)?),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from([signer])?),
    })
}

/// Certificates and nothing else (RFC 8894, 3.4), as a `ContentInfo`, DER.
pub fn degenerate(certificates: &[&[u8]]) -> Result<Vec<u8>, CmsError> {
    let certificates = certificates.iter().map(|der| x509::parse(der)).collect::<Result<Vec<_>, _>>()?;
    wrap(&SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::new(),
        encap_content_info: EncapsulatedContentInfo { econtent_type: rfc5911::ID_DATA, econtent: None },
        certificates: Some(set_of(certificates)?),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::new()),
    })
}

/// Reads a signed message, DER or BER, and checks every signature in it. `detached` is what was signed, if the message
/// does not hold it.
pub fn verify(bytes: &[u8], detached: Option<&[u8]>, limits: &Limits) -> Result<Signed, CmsError> {
    let der = super::content(bytes, rfc5911::ID_SIGNED_DATA, limits)?;
    let parts = Parts::read(&der, limits)?;
    let content = parts.content()?;
    let signed = content.or(detached).ok_or(CmsError::NoContent)?;
    if parts.signers.is_empty() {
        return Err(CmsError::NotSigned);
    }
    let signers = parts.signers.iter().map(|info| parts.signer(info, signed)).collect::<Result<_, _>>()?;
    Ok(Signed { content: content.map(<[u8]>::to_vec), certificates: parts.owned_certificates(), signers })
}

/// The certificates of a message, signed or not, DER.
pub fn certificates(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>, CmsError> {
    let der = super::content(bytes, rfc5911::ID_SIGNED_DATA, limits)?;
    Ok(Parts::read(&der, limits)?.owned_certificates())
}

pub(super) fn issuer_and_serial(certificate: &Certificate) -> IssuerAndSerialNumber {
    let tbs = certificate.tbs_certificate();
    IssuerAndSerialNumber { issuer: tbs.issuer().clone(), serial_number: tbs.serial_number().clone() }
}

fn wrap(data: &SignedData) -> Result<Vec<u8>, CmsError> {
    let content = Any::from_der(&data.to_der()?)?;
    Ok(ContentInfo { content_type: rfc5911::ID_SIGNED_DATA, content }.to_der()?)
}

fn set_of(certificates: Vec<Certificate>) -> Result<CertificateSet, CmsError> {
    let choices: Vec<_> = certificates.into_iter().map(CertificateChoices::Certificate).collect();
    Ok(CertificateSet(SetOfVec::try_from(choices)?))
}

fn time_of(wall: Wall) -> Result<Any, CmsError> {
    let since = std::time::Duration::from_secs(u64::try_from(wall.secs()).unwrap_or(0));
    // UTCTime up to 2049 (RFC 5652, 11.3).
    let time = Time::from(UtcTime::from_unix_duration(since)?);
    Ok(Any::encode_from(&time)?)
}

/// `SignedData` (RFC 5652, 5.1) as it stands in the message. Certificates and signed attributes are kept as the bytes that
/// they came as: what was signed is these bytes, not what an encoder would make of them (a default that is spelt out, a
/// set that is not sorted).
struct Parts<'a> {
    info: EncapsulatedContentInfo,
    certificates: Vec<&'a [u8]>,
    signers: Vec<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn read(der: &'a [u8], limits: &Limits) -> Result<Self, CmsError> {
        SliceReader::new(der)?.sequence(|data| {
            CmsVersion::decode(data)?;
            data.tlv_bytes()?; // digestAlgorithms: each signer says its own
            let mut parts =
                Parts { info: EncapsulatedContentInfo::decode(data)?, certificates: Vec::new(), signers: Vec::new() };
            while !data.is_finished() {
                let field = data.tlv_bytes()?;
                match AnyRef::from_der(field)?.tag() {
                    tag if tag == context(0) => parts.certificates = elements(field, limits)?,
                    Tag::Set => parts.signers = elements(field, limits)?,
                    _ => {} // revocation lists
                }
            }
            // Not X.509 but a relic (RFC 5652, 10.2.2): tagged otherwise.
            parts.certificates.retain(|der| AnyRef::from_der(der).is_ok_and(|any| any.tag() == Tag::Sequence));
            Ok(parts)
        })
    }

    fn content(&self) -> Result<Option<&[u8]>, CmsError> {
        let Some(content) = &self.info.econtent else { return Ok(None) };
        if content.tag() != Tag::OctetString {
            return Err(CmsError::Malformed(format!("content is no string but {}", content.tag())));
        }
        Ok(Some(content.value()))
    }

    fn owned_certificates(&self) -> Vec<Vec<u8>> {
        self.certificates.iter().map(|der| der.to_vec()).collect()
    }

    /// A signer whose signature over `content` holds.
    fn signer(&self, info: &[u8], content: &[u8]) -> Result<Signer, CmsError> {
        let typed = SignerInfo::from_der(info)?;
        let found = self.certificates.iter().find_map(|der| {
            let certificate = x509::parse(der).ok()?;
            is_of(&typed.sid, &certificate).then_some((der.to_vec(), certificate))
        });
        let (certificate, parsed) = found.ok_or(CmsError::NoSignerCertificate)?;
        let digest = Digest::from_oid(typed.digest_alg.oid)
            .ok_or_else(|| CmsError::AlgorithmUnknown(typed.digest_alg.oid.to_string()))?;
        let attributes = typed.signed_attrs.iter().flat_map(SetOfVec::iter);
        let attributes = attributes.map(|attribute| (attribute.oid, attribute.values.iter().cloned().collect()));
        let signer = Signer { certificate, attributes: attributes.collect() };
        let key = parsed.tbs_certificate().subject_public_key_info();
        let Some(message) = signed_attributes(info)? else {
            keys::verify(key, digest, content, typed.signature.as_bytes())?;
            return Ok(signer);
        };
        if signer.attribute_bytes(rfc5911::ID_MESSAGE_DIGEST)? != digest.of(content) {
            return Err(CmsError::DigestMismatch);
        }
        let said = AnyRef::from(signer.attribute(rfc5911::ID_CONTENT_TYPE)?).decode_as::<ObjectIdentifier>()?;
        if said != self.info.econtent_type {
            return Err(CmsError::ContentType(said.to_string()));
        }
        keys::verify(key, digest, &message, typed.signature.as_bytes())?;
        Ok(signer)
    }
}

/// The signed attributes of a `SignerInfo` as what is signed: the same bytes, tagged as the SET that they are
/// (RFC 5652, 5.4).
fn signed_attributes(info: &[u8]) -> Result<Option<Vec<u8>>, CmsError> {
    SliceReader::new(info)?.sequence(|info| {
        let mut found = None;
        while !info.is_finished() {
            let field = AnyRef::decode(info)?;
            if field.tag() == context(0) && found.is_none() {
                found = Some(AnyRef::new(Tag::Set, field.value())?.to_der()?);
            }
        }
        Ok(found)
    })
}

/// The elements of a set, undecoded.
fn elements<'a>(set: &'a [u8], limits: &Limits) -> Result<Vec<&'a [u8]>, CmsError> {
    let mut reader = SliceReader::new(AnyRef::from_der(set)?.value())?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        if elements.len() == limits.certificates_max {
            return Err(CmsError::TooMany);
        }
        elements.push(reader.tlv_bytes()?);
    }
    Ok(elements)
}

const fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

fn is_of(sid: &SignerIdentifier, certificate: &Certificate) -> bool {
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(wanted) => *wanted == issuer_and_serial(certificate),
        SignerIdentifier::SubjectKeyIdentifier(wanted) => {
            let has = certificate.tbs_certificate().get_extension::<SubjectKeyIdentifier>();
            matches!(has, Ok(Some((_, has))) if has == *wanted)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::ca::Authority;
    use crate::keys::tests::rsa;

    fn replace(message: &mut [u8], old: &[u8], new: &[u8]) {
        let at = message.windows(old.len()).position(|window| window == old).unwrap();
        message[at..at + old.len()].copy_from_slice(new);
    }

    /// Some encoders sign their attributes in the order in which they think of them.
    #[test]
    fn attributes_that_are_not_sorted_verify_as_they_stand() {
        let limits = Limits::default();
        let now = Wall(1_760_000_000_000_000);
        let certificate = Authority::create("x", now).unwrap().issue_identity("x", rsa(0).spki(), 1, now).unwrap();
        let (key, digest) = (rsa(0), Digest::Sha256);
        let signing = Signing {
            key,
            certificate: &certificate,
            digest,
            time: None,
            attributes: &[],
            others: &[],
            detached: false,
        };
        let mut message = sign(b"words", &signing).unwrap();
        let der = super::super::content(&message, rfc5911::ID_SIGNED_DATA, &limits).unwrap();
        let info = Parts::read(&der, &limits).unwrap().signers[0].to_vec();
        let sorted = signed_attributes(&info).unwrap().unwrap();
        let [first, second] = elements(&sorted, &limits).unwrap()[..] else { panic!("not two attributes") };
        let turned = [second, first].concat();
        let header = &sorted[..sorted.len() - turned.len()];
        let signature = key.sign(digest, &[header, &turned].concat()).unwrap();
        replace(&mut message, &[first, second].concat(), &turned);
        let old = SignerInfo::from_der(&info).unwrap().signature;
        replace(&mut message, old.as_bytes(), &signature);
        assert_eq!(verify(&message, None, &limits).unwrap().content.unwrap(), b"words");
    }

    #[test]
    fn more_certificates_than_the_limit_are_refused() {
        let now = Wall(1_760_000_000_000_000);
        let authority = Authority::create("x", now).unwrap();
        let many: Vec<_> = (0..3).map(|n| authority.issue_identity("x", rsa(0).spki(), n, now).unwrap()).collect();
        let bare = degenerate(&many.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let limits = |certificates_max| Limits { certificates_max, ..Limits::default() };
        assert_eq!(certificates(&bare, &limits(2)), Err(CmsError::TooMany));
        let mut read = certificates(&bare, &limits(3)).unwrap();
        read.sort();
        let mut many = many;
        many.sort();
        assert_eq!(read, many);
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("cms", crate::cms::target);
    }
}
