//! A request to certify a key (PKCS#10, RFC 2986), as SCEP and ACME payloads have a device make it.

use super::profile::AltNames;
use crate::cms::CmsError;
use crate::digest::Digest;
use crate::keys::{self, Key};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc3280, rfc4519, rfc5280};
use der::asn1::{Any, BitString, Ia5String, OctetString, PrintableString, SetOfVec, Utf8StringRef};
use der::flagset::FlagSet;
use der::{Decode, Encode};
use x509_cert::attr::{Attribute, AttributeTypeAndValue, Attributes};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};

/// A name that Microsoft's directory gives a person (`ntPrincipalName`).
pub(super) const NT_PRINCIPAL_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// What the certificate is to say.
pub(crate) struct Wanted<'a> {
    /// Of whom.
    pub(crate) subject: &'a Name,
    /// SCEP's challenge password.
    pub(crate) challenge: Option<&'a str>,
    /// Apple's bits: 1 sign, 4 encrypt; 0 is any. None asks for nothing.
    pub(crate) key_usage: Option<u8>,
    /// Dotted OIDs.
    pub(crate) extended_key_usages: &'a [String],
    /// Further names.
    pub(crate) alt_names: &'a AltNames,
}

/// The request, DER, signed with the key and this digest.
pub(crate) fn write(wanted: &Wanted<'_>, key: &Key, digest: Digest) -> Result<Vec<u8>, CmsError> {
    let mut attributes: Attributes = SetOfVec::new();
    if let Some(challenge) = wanted.challenge {
        let value = match PrintableString::new(challenge) {
            Ok(printable) => Any::encode_from(&printable)?,
            Err(_) => Any::encode_from(&Utf8StringRef::new(challenge)?)?,
        };
        let values = SetOfVec::try_from([value])?;
        attributes.insert(Attribute { oid: const_oid::db::rfc2985::PKCS_9_AT_CHALLENGE_PASSWORD, values })?;
    }
    let extensions = extensions(wanted)?;
    if !extensions.is_empty() {
        let values = SetOfVec::try_from([Any::encode_from(&ExtensionReq(extensions))?])?;
        attributes.insert(Attribute { oid: const_oid::db::rfc2985::PKCS_9_AT_EXTENSION_REQUEST, values })?;
    }
    let public_key = keys::public_key_info(key.spki())?;
    let info = CertReqInfo { version: Version::V1, subject: wanted.subject.clone(), public_key, attributes };
    let signature = key.sign(digest, &info.to_der()?)?;
    let algorithm = key.signature_identifier(digest)?;
    Ok(CertReq { info, algorithm, signature: BitString::from_bytes(&signature)? }.to_der()?)
}

fn extensions(wanted: &Wanted<'_>) -> Result<Vec<Extension>, CmsError> {
    let mut extensions = Vec::new();
    if let Some(bits) = wanted.key_usage {
        let value = OctetString::new(KeyUsage(usages(bits)).to_der()?)?;
        extensions.push(Extension { extn_id: rfc5280::ID_CE_KEY_USAGE, critical: true, extn_value: value });
    }
    if !wanted.extended_key_usages.is_empty() {
        let oid =
            |text: &String| ObjectIdentifier::new(text).map_err(|_| CmsError::Malformed(format!("`{text}` is no OID")));
        let oids = wanted.extended_key_usages.iter().map(oid).collect::<Result<_, _>>()?;
        let value = OctetString::new(ExtendedKeyUsage(oids).to_der()?)?;
        extensions.push(Extension { extn_id: rfc5280::ID_CE_EXT_KEY_USAGE, critical: false, extn_value: value });
    }
    let names = alt_names(wanted.alt_names)?;
    if !names.is_empty() {
        let value = OctetString::new(SubjectAltName(names).to_der()?)?;
        extensions.push(Extension { extn_id: rfc5280::ID_CE_SUBJECT_ALT_NAME, critical: false, extn_value: value });
    }
    Ok(extensions)
}

fn usages(bits: u8) -> FlagSet<KeyUsages> {
    let mut usages = FlagSet::default();
    if bits & 1 != 0 || bits == 0 {
        usages |= KeyUsages::DigitalSignature;
    }
    if bits & 4 != 0 || bits == 0 {
        usages |= KeyUsages::KeyEncipherment;
    }
    usages
}

fn alt_names(wanted: &AltNames) -> Result<Vec<GeneralName>, CmsError> {
    let mut names = Vec::new();
    for name in &wanted.rfc822_names {
        names.push(GeneralName::Rfc822Name(Ia5String::new(name)?));
    }
    for name in &wanted.dns_names {
        names.push(GeneralName::DnsName(Ia5String::new(name)?));
    }
    for uri in &wanted.uris {
        names.push(GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?));
    }
    for name in &wanted.nt_principal_names {
        let value = Any::encode_from(&Utf8StringRef::new(name)?)?;
        names.push(GeneralName::OtherName(OtherName { type_id: NT_PRINCIPAL_NAME, value }));
    }
    Ok(names)
}

/// A name of pairs as the profile has them: a short word or an OID, and text.
pub(crate) fn name(rdns: &[Vec<(String, String)>]) -> Result<Name, CmsError> {
    let mut sequence = RdnSequence::default();
    for rdn in rdns.iter().filter(|rdn| !rdn.is_empty()) {
        let mut set = RelativeDistinguishedName::default();
        for (kind, text) in rdn {
            let oid = attribute_type(kind)?;
            let value = match oid {
                rfc4519::C => Any::encode_from(&PrintableString::new(text)?)?,
                rfc3280::EMAIL_ADDRESS | rfc4519::DC => Any::encode_from(&Ia5String::new(text)?)?,
                _ => Any::encode_from(&Utf8StringRef::new(text)?)?,
            };
            set.insert(AttributeTypeAndValue { oid, value })?;
        }
        sequence.push(set);
    }
    Ok(Name::from_der(&sequence.to_der()?)?)
}

fn attribute_type(kind: &str) -> Result<ObjectIdentifier, CmsError> {
    Ok(match kind.to_ascii_uppercase().as_str() {
        "CN" => rfc4519::CN,
        "O" => rfc4519::O,
        "OU" => rfc4519::OU,
        "C" => rfc4519::C,
        "L" => rfc4519::L,
        "ST" => rfc4519::ST,
        "DC" => rfc4519::DC,
        "UID" => rfc4519::UID,
        "SERIALNUMBER" => rfc4519::SERIAL_NUMBER,
        "E" | "EMAILADDRESS" => rfc3280::EMAIL_ADDRESS,
        other => ObjectIdentifier::new(other).map_err(|_| CmsError::Malformed(format!("`{kind}` in a subject")))?,
    })
}
