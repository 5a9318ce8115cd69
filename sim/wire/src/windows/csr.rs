//! The certificate request of a Windows enrollment, as Windows makes it and no standard allows: a subject of a GUID, `!`
//! and the device's id, in older builds as a `PrintableString`, which has no `!`, with a NUL at its end.
//!
//! The older build signs it with SHA-1, which aws-lc-rs does not make: ours is signed with SHA-256 in either spelling, and
//! four bytes longer for that. Both digests are verified.

use crate::cms::CmsError;
use crate::digest::Digest;
use crate::keys::{self, Key};
use crate::x509;
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc2985, rfc4519, rfc5280};
use der::asn1::{Any, BitString, OctetString, SetOfVec};
use der::{Decode, Encode, Tag};
use serde::{Deserialize, Serialize};
use x509_cert::attr::{Attribute, AttributeTypeAndValue, Attributes};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};

/// How a build writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Spelling {
    /// Windows 10 21H1: `PrintableString` with a NUL, no key usage.
    Printable,
    /// Newer: `UTF8String`, and the usage `clientAuth`.
    #[default]
    Utf8,
}

/// What a request says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Csr {
    /// The subject's common name, whatever its bytes are, without a NUL at its end. Servers put a subject of their own in
    /// its place.
    pub common_name: Vec<u8>,
    /// The device's id: 32 hexadecimal digits, if the request has it.
    pub device_id: Option<String>,
    /// The key to be certified: `SubjectPublicKeyInfo`, DER.
    pub spki: Vec<u8>,
}

/// The request for a key, DER. Of `guid`, upper case, the first 30 characters are used; `device_id` is 32 hexadecimal
/// digits.
pub fn write(guid: &str, device_id: &str, key: &Key, spelling: Spelling) -> Result<Vec<u8>, CmsError> {
    let nul = |text: &str| [text.as_bytes(), b"\0"].concat();
    let name = format!("{}!{device_id}", guid.get(..GUID_CHARS).unwrap_or(guid));
    let value = match spelling {
        Spelling::Printable => Any::new(Tag::PrintableString, nul(&name))?,
        Spelling::Utf8 => Any::new(Tag::Utf8String, name.as_bytes())?,
    };
    let mut extensions =
        vec![Extension { extn_id: DEVICE_ID, critical: false, extn_value: OctetString::new(nul(device_id))? }];
    if spelling == Spelling::Utf8 {
        let usage = OctetString::new(ExtendedKeyUsage(vec![rfc5280::ID_KP_CLIENT_AUTH]).to_der()?)?;
        extensions.push(Extension { extn_id: rfc5280::ID_CE_EXT_KEY_USAGE, critical: false, extn_value: usage });
    }
    let mut attributes: Attributes = SetOfVec::new();
    let values = SetOfVec::try_from([Any::encode_from(&ExtensionReq(extensions))?])?;
    attributes.insert(Attribute { oid: rfc2985::PKCS_9_AT_EXTENSION_REQUEST, values })?;
    let public_key = keys::public_key_info(key.spki())?;
    let info = CertReqInfo { version: Version::V1, subject: subject(value)?, public_key, attributes };
    let digest = Digest::Sha256;
    let signature = BitString::from_bytes(&key.sign(digest, &info.to_der()?)?)?;
    Ok(CertReq { info, algorithm: key.signature_identifier(digest)?, signature }.to_der()?)
}

/// Reads a request and checks that whoever made it has the key.
pub fn read(der: &[u8]) -> Result<Csr, CmsError> {
    let CertReq { info, .. } = x509::request(der)?;
    let common_name = info.subject.iter().find(|pair| pair.oid == rfc4519::CN);
    let common_name = common_name.map_or(&[][..], |pair| pair.value.value());
    Ok(Csr {
        common_name: without_nul(common_name).to_vec(),
        device_id: device_id(&info)?,
        spki: info.public_key.to_der()?,
    })
}

/// For fuzzing: a request from outside.
pub fn target(bytes: &[u8]) {
    drop(read(bytes));
}

fn device_id(info: &CertReqInfo) -> Result<Option<String>, CmsError> {
    let wanted = info.attributes.iter().filter(|a| a.oid == rfc2985::PKCS_9_AT_EXTENSION_REQUEST);
    for value in wanted.flat_map(|a| a.values.iter()) {
        let ExtensionReq(extensions) = value.decode_as()?;
        if let Some(extension) = extensions.iter().find(|e| e.extn_id == DEVICE_ID) {
            let id = without_nul(extension.extn_value.as_bytes());
            return Ok(std::str::from_utf8(id).ok().map(str::to_owned));
        }
    }
    Ok(None)
}

fn subject(common_name: Any) -> Result<Name, CmsError> {
    let mut rdn = RelativeDistinguishedName::default();
    rdn.insert(AttributeTypeAndValue { oid: rfc4519::CN, value: common_name })?;
    let mut sequence = RdnSequence::default();
    sequence.push(rdn);
    Ok(Name::from_der(&sequence.to_der()?)?)
}

fn without_nul(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\0").unwrap_or(bytes)
}

/// Where Windows puts the device's id: the string's bytes as they are, not as a string of ASN.1.
const DEVICE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.66.1.0");
/// What fits, with `!` and an id, into the 64 characters of a common name with its NUL.
const GUID_CHARS: usize = 30;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::keys::tests::rsa;
    use proptest::prelude::*;

    const GUID: &str = "0F0E2D4C-6B8A-4978-9695-B4C3D2E1F001";
    const DEVICE: &str = "5AD0B1C2E3F4A5968778695A4B3C2D1E";

    fn check(spelling: Spelling, name: &[u8], length: usize) {
        let der = write(GUID, DEVICE, rsa(0), spelling).unwrap();
        assert_eq!(der.len(), length, "{spelling:?}");
        assert!(der.windows(name.len()).any(|window| window == name), "{spelling:?}");
        let csr = read(&der).unwrap();
        assert_eq!(csr.common_name, format!("0F0E2D4C-6B8A-4978-9695-B4C3D2!{DEVICE}").as_bytes());
        assert_eq!(csr.device_id.as_deref(), Some(DEVICE));
        assert_eq!(csr.spki, rsa(0).spki());
        let mut other = der.clone();
        let at = other.windows(4).position(|window| window == b"5AD0").unwrap();
        other[at] = b'6';
        assert!(matches!(read(&other), Err(CmsError::Key(_))), "another's name under the same signature");
    }

    /// A recorded one has 722 bytes with SHA-1, whose name is four bytes shorter.
    #[test]
    fn both_spellings_have_the_recorded_shape() {
        check(
            Spelling::Printable,
            b"\x13\x400F0E2D4C-6B8A-4978-9695-B4C3D2!5AD0B1C2E3F4A5968778695A4B3C2D1E\0",
            722 + 4,
        );
        check(Spelling::Utf8, b"\x0c\x3f0F0E2D4C-6B8A-4978-9695-B4C3D2!5AD0B1C2E3F4A5968778695A4B3C2D1E", 746);
    }

    /// One of the older shape, by another's code: an illegal string, SHA-1, the older name of the algorithm.
    #[test]
    fn a_request_of_the_older_shape_is_read() {
        let csr = read(include_bytes!("../../testdata/windows/csr.old.der")).unwrap();
        assert_eq!(csr.device_id.as_deref(), Some("5AD0B1C2E3F4A5968778695A4B3C2D1E"));
        assert_eq!(csr.common_name, b"BA405A5D-B1C7-4737-81C8-8F379A!5AD0B1C2E3F4A5968778695A4B3C2D1E");
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("csr", target);
    }

    proptest! {
        /// Only the name of the algorithm is not signed.
        #[test]
        fn no_byte_changes_what_a_request_says(at in 0_usize..722, value in any::<u8>(), cut in 0_usize..722) {
            let mut der = include_bytes!("../../testdata/windows/csr.old.der").to_vec();
            let genuine = read(&der);
            der[at] = value;
            let changed = read(&der);
            prop_assert!(changed.is_err() || changed == genuine);
            der.truncate(cut);
            prop_assert!(read(&der).is_err());
        }
    }
}
