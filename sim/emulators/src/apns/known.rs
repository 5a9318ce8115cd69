//! What a provider's certificate says of itself.

use super::request::Provider;
use der::Decode;
use der::asn1::ObjectIdentifier;
use droves_facts::Wall;
use rustls::pki_types::CertificateDer;

/// The provider behind a connection, as its certificate has it.
pub(crate) fn provider(chain: &[CertificateDer<'_>]) -> KnownProvider {
    let Some(leaf) = chain.first() else { return KnownProvider::Nobody };
    let Ok(certificate) = x509_cert::Certificate::from_der(leaf) else { return KnownProvider::Unreadable };
    let certificate = certificate.tbs_certificate();
    let secs = |time: x509_cert::time::Time| {
        Wall::from_secs(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
    };
    let validity = certificate.validity();
    KnownProvider::Certified {
        topic: uid(certificate.subject()),
        from: secs(validity.not_before),
        until: secs(validity.not_after),
    }
}

/// [`Provider`], kept with the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KnownProvider {
    Nobody,
    Unreadable,
    Certified { topic: Option<Box<str>>, from: Wall, until: Wall },
}

impl KnownProvider {
    pub(crate) fn borrowed(&self) -> Provider<'_> {
        match self {
            KnownProvider::Nobody => Provider::Nobody,
            KnownProvider::Unreadable => Provider::Unreadable,
            KnownProvider::Certified { topic, from, until } => {
                Provider::Certified { topic: topic.as_deref(), from: *from, until: *until }
            }
        }
    }
}

/// The UID of a subject (RFC 4519, 2.39), in whichever string type.
fn uid(subject: &x509_cert::name::Name) -> Option<Box<str>> {
    let uid = subject.iter().find(|attribute| attribute.oid == UID_OID)?;
    std::str::from_utf8(uid.value.value()).ok().map(Into::into)
}

const UID_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1");

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    #[test]
    fn a_certificate_says_its_topic_and_its_time() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let uid = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
        params.distinguished_name.push(DnType::CommonName, "APSP:1");
        let check = |params: &CertificateParams, expected: Option<&str>| {
            let der = params.self_signed(&key).unwrap().der().clone();
            let KnownProvider::Certified { topic, from, until } = provider(&[der]) else { panic!("not read") };
            assert_eq!(topic.as_deref(), expected);
            assert!(from < until);
        };
        check(&params, None);
        params.distinguished_name.push(uid, "com.apple.mgmt.External.1");
        check(&params, Some("com.apple.mgmt.External.1"));
        assert_eq!(provider(&[]), KnownProvider::Nobody);
        assert_eq!(provider(&[b"junk".as_slice().into()]), KnownProvider::Unreadable);
    }
}
