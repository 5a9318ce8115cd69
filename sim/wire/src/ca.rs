//! A certificate authority of our own: for the practice server, for played push services, for attestations and for
//! tests. RSA of 2,048 bits where it serves SCEP, which on Apple's devices knows nothing else. Certificates by `rcgen`.

use crate::digest;
use crate::keys::{self, Key, KeyError};
use crate::x509::{self, CertificateError};
use droves_facts::{Dur, Wall};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use std::time::Duration;

/// Clocks differ: certificates are good from a little earlier than now, as scepserver makes them.
const BACKDATED: Dur = Dur::secs(600);
const AUTHORITY_LASTS: Dur = Dur::secs(10 * 365 * 86_400);
/// As scepserver's default.
const IDENTITY_LASTS: Dur = Dur::secs(365 * 86_400);
/// Apple's clients refuse server certificates that last longer than 825 days.
const SERVER_LASTS: Dur = Dur::secs(397 * 86_400);

/// Why an authority can't be made, or can't issue.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key can't be made or loaded.
    #[error("authority's key: {0}")]
    Key(#[from] KeyError),
    /// The certificate is bad.
    #[error("authority's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// `rcgen` refuses.
    #[error("certificate can't be issued: {0}")]
    Issue(#[from] rcgen::Error),
    /// Not PEM of a certificate and a key.
    #[error("not PEM of a certificate and a PKCS#8 key")]
    Pem,
}

/// A CA with its key.
#[derive(Debug)]
pub struct Authority {
    key: Key,
    certificate: Vec<u8>,
}

/// Whom a certificate is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject<'a> {
    /// A server at these names and addresses.
    Server(&'a [&'a str]),
    /// Whoever pushes for this topic: an APNs certificate for MDM has it as its user id.
    Push(&'a str),
}

/// A certificate with its own new key, P-256.
#[derive(Debug)]
pub struct Issued {
    /// DER.
    pub certificate: Vec<u8>,
    /// The key.
    pub key: Key,
}

impl Authority {
    /// A new one. Makes an RSA key: 70 ms on average.
    pub fn create(name: &str, now: Wall) -> Result<Self, AuthorityError> {
        // It opens SCEP's envelopes with the same key, as scepserver does.
        let more = [KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        Authority::with_key(Key::generate_rsa(2_048)?, name, &more, now)
    }

    /// A new one that does nothing but certify. Makes a P-384 key.
    pub fn create_p384(name: &str, now: Wall) -> Result<Self, AuthorityError> {
        Authority::with_key(Key::generate_p384()?, name, &[], now)
    }

    fn with_key(key: Key, name: &str, more: &[KeyUsagePurpose], now: Wall) -> Result<Self, AuthorityError> {
        let mut params = certifying(name, BasicConstraints::Unconstrained, now);
        params.key_usages.extend_from_slice(more);
        params.serial_number = Some(serial(key.spki(), now));
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Authority { key, certificate })
    }

    /// An authority below this one, which certifies no further ones. Makes a P-384 key.
    pub fn intermediate(&self, name: &str, now: Wall) -> Result<Authority, AuthorityError> {
        let key = Key::generate_p384()?;
        let mut params = certifying(name, BasicConstraints::Constrained(0), now);
        params.serial_number = Some(serial(key.spki(), now));
        let certificate = self.sign(&params, key.spki())?;
        Ok(Authority { key, certificate })
    }

    /// From PEM texts as [`Authority::certificate_pem`] and [`Authority::key_pem`] write them.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        use rustls::pki_types::PrivatePkcs8KeyDer;
        use rustls::pki_types::pem::PemObject;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| AuthorityError::Pem)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).map_err(|_| AuthorityError::Pem)?;
        let key = Key::from_pkcs8(key.secret_pkcs8_der())?;
        x509::parse(&certificate)?;
        Ok(Authority { key, certificate: certificate.to_vec() })
    }

    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// The secret key, PEM. Whoever writes it to a file makes that readable by its owner only.
    pub fn key_pem(&self) -> Result<String, AuthorityError> {
        Ok(pem("PRIVATE KEY", &self.key.to_pkcs8()?))
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// A device's identity over a public key (`SubjectPublicKeyInfo`, DER) that the device has shown to have.
    pub fn issue_identity(&self, name: &str, spki: &[u8], ordinal: u64, now: Wall) -> Result<Vec<u8>, AuthorityError> {
        let mut params = named(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        lasting(&mut params, now, IDENTITY_LASTS);
        let seed = [spki, &ordinal.to_be_bytes()].concat();
        params.serial_number = Some(serial(&seed, now));
        self.sign(&params, spki)
    }

    /// A registration authority (RFC 8894, 2.1.2): it opens SCEP's requests and signs the replies with a key of its own,
    /// and certifies nothing. Makes an RSA key.
    pub fn registration(&self, name: &str, now: Wall) -> Result<Authority, AuthorityError> {
        let key = Key::generate_rsa(2_048)?;
        let mut params = named(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        lasting(&mut params, now, AUTHORITY_LASTS);
        params.serial_number = Some(serial(key.spki(), now));
        let certificate = self.sign(&params, key.spki())?;
        Ok(Authority { key, certificate })
    }

    /// A certificate and a key for a server or a provider of pushes.
    pub fn issue(&self, subject: &Subject<'_>, now: Wall) -> Result<Issued, AuthorityError> {
        let key = Key::generate_p256()?;
        let mut params = match subject {
            Subject::Server(names) => {
                let mut params = named(names.first().copied().unwrap_or("localhost"));
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                params.subject_alt_names = names.iter().map(|name| san(name)).collect::<Result<_, _>>()?;
                params
            }
            Subject::Push(topic) => {
                let mut params = named(&format!("APSP:{topic}"));
                params.distinguished_name.push(DnType::CustomDnType(vec![0, 9, 2342, 19200300, 100, 1, 1]), *topic);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params
            }
        };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        lasting(&mut params, now, SERVER_LASTS);
        params.serial_number = Some(serial(key.spki(), now));
        let certificate = self.sign(&params, key.spki())?;
        Ok(Issued { certificate, key })
    }

    pub(crate) fn sign(&self, params: &CertificateParams, spki: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        keys::public_key_info(spki)?;
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(self.certificate.as_slice()), &self.key)?;
        let public = SubjectPublicKeyInfo::from_der(spki)?;
        Ok(params.signed_by(&public, &issuer)?.der().to_vec())
    }
}

impl Issued {
    /// Certificate and secret key in one PEM text, the form in which servers take push certificates.
    pub fn pem(&self) -> Result<String, KeyError> {
        Ok(pem("CERTIFICATE", &self.certificate) + &pem("PRIVATE KEY", &self.key.to_pkcs8()?))
    }
}

fn certifying(name: &str, constraints: BasicConstraints, now: Wall) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasting(&mut params, now, AUTHORITY_LASTS);
    params
}

pub(crate) fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Good from a little before `now`, for so long.
pub(crate) fn lasting(params: &mut CertificateParams, now: Wall, lasts: Dur) {
    let time =
        |wall: Wall| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(wall.secs()).unwrap_or(0));
    (params.not_before, params.not_after) = (time(now - BACKDATED), time(now + lasts));
}

/// A number that no other certificate of this authority has.
pub(crate) fn serial(seed: &[u8], now: Wall) -> SerialNumber {
    let digest = digest::sha256(&[seed, &now.0.to_be_bytes()].concat());
    let mut number = digest[..16].to_vec();
    // Positive, and of full length.
    number[0] = number[0] & 0x7F | 0x40;
    SerialNumber::from(number)
}

fn san(name: &str) -> Result<SanType, AuthorityError> {
    Ok(match name.parse::<IpAddr>() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) => SanType::DnsName(name.try_into()?),
    })
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + &format!("-----END {label}-----\n")
}
