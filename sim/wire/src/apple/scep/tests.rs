//! A device and a CA of ours against each other; what others make of the messages is in `tests/openssl.rs`.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::server::{self, Verdict, Wanted};
use super::*;
use crate::apple::profile::AltNames;
use crate::ca::Authority;
use crate::cms::{self, CmsError};
use crate::digest;
use crate::keys::Key;
use crate::keys::tests::rsa;
use crate::x509;
use droves_facts::{Limits, Wall};
use proptest::prelude::*;
use std::sync::{Arc, OnceLock};

const NOW: Wall = Wall(1_760_000_000_000_000);
const SCEPSERVER_CAPS: &[u8] = b"Renewal\nSHA-1\nSHA-256\nAES\nDES3\nSCEPStandard\nPOSTPKIOperation";

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::create("Test CA", NOW).unwrap())
}

fn ca() -> Arc<CaCertificates> {
    Arc::new(CaCertificates::read(authority().certificate(), None, &Limits::default()).unwrap())
}

fn issue(caps: &[u8], streamed: bool) -> Request {
    Request::Issue(Issue {
        caps: Capabilities::read(caps).unwrap(),
        ca: ca(),
        subject: vec![vec![("O".into(), "Droves".into())], vec![("CN".into(), "C02XYZ".into())]],
        challenge: Some("secret".into()),
        key_usage: 5,
        alt_names: AltNames { dns_names: vec!["mac.test".into()], ..AltNames::default() },
        nonce: [7; 16],
        signer_name: "temporary".into(),
        streamed,
    })
}

fn wanted(received: &server::Received) -> &server::Csr {
    match &received.what {
        Wanted::Issue(csr) => csr,
        Wanted::Poll => panic!("a poll"),
    }
}

fn enroll(key: &Key, signer: Option<(&Key, &[u8])>, caps: &[u8], streamed: bool) -> Vec<u8> {
    let limits = Limits::default();
    let (body, pending) = build(&issue(caps, streamed), key, signer, NOW).unwrap();
    let received = server::open(&body, authority(), &limits).unwrap();
    let csr = wanted(&received);
    assert_eq!((csr.common_name.as_str(), csr.challenge.as_deref()), ("C02XYZ", Some("secret")));
    assert_eq!(received.transaction, hex::encode_upper(digest::sha1(key.public_bytes())));
    let certificate = authority().issue_identity("C02XYZ", &csr.spki, 1, NOW).unwrap();
    let reply = server::reply(&received, Verdict::Issued(&certificate), authority(), [9; 16]).unwrap();
    let opened = open(&reply, &pending, key, signer.map(|(key, _)| key), &limits).unwrap();
    assert_eq!(opened, Reply::Issued { certificate: certificate.clone() });
    certificate
}

#[test]
fn a_device_gets_its_certificate_and_renews_it() {
    for (caps, streamed) in [(SCEPSERVER_CAPS, true), (SCEPSERVER_CAPS, false), (b"SHA-1\nDES3\n", true)] {
        let first = enroll(rsa(0), None, caps, streamed);
        let second = enroll(rsa(1), Some((rsa(0), &first)), caps, streamed);
        assert_ne!(first, second);
    }
}

#[test]
fn refusals_and_pending_have_names() {
    let limits = Limits::default();
    let (body, pending) = build(&issue(SCEPSERVER_CAPS, true), rsa(0), None, NOW).unwrap();
    let received = server::open(&body, authority(), &limits).unwrap();
    let refusal = server::reply(&received, Verdict::Failed(&FailInfo::BadRequest), authority(), [1; 16]).unwrap();
    let refused = open(&refusal, &pending, rsa(0), None, &limits).unwrap();
    assert_eq!(refused, Reply::Failed { reason: FailInfo::BadRequest });
    let wait = server::reply(&received, Verdict::Pending, authority(), [1; 16]).unwrap();
    assert_eq!(open(&wait, &pending, rsa(0), None, &limits).unwrap(), Reply::Pending);
    let poll = Request::Poll(Poll { pending: pending.clone(), nonce: [8; 16] });
    let (body, polling) = build(&poll, rsa(0), None, NOW).unwrap();
    let received = server::open(&body, authority(), &limits).unwrap();
    assert_eq!((&received.what, received.nonce.as_slice()), (&Wanted::Poll, &[8_u8; 16][..]));
    assert_eq!(open(&wait, &polling, rsa(0), None, &limits), Err(ScepError::Mismatch("recipientNonce")));
}

#[test]
fn a_registration_authority_lets_a_device_wait_and_then_certifies_it() {
    let limits = Limits::default();
    let ra = authority().registration("Test RA", NOW).unwrap();
    let (kind, body) = server::certificates(authority(), Some(&ra)).unwrap();
    assert_eq!(kind, "application/x-x509-ca-ra-cert");
    let ca = Arc::new(CaCertificates::read(&body, None, &limits).unwrap());
    assert_eq!(ca.recipient, ra.certificate());
    let Request::Issue(issue) = issue(SCEPSERVER_CAPS, true) else { panic!("a poll") };
    let (body, pending) = build(&Request::Issue(Issue { ca, ..issue }), rsa(0), None, NOW).unwrap();
    assert!(server::open(&body, authority(), &limits).is_err(), "not encrypted for the CA itself");
    let asked = server::open(&body, &ra, &limits).unwrap();
    let wait = server::reply(&asked, Verdict::Pending, &ra, [1; 16]).unwrap();
    assert_eq!(open(&wait, &pending, rsa(0), None, &limits).unwrap(), Reply::Pending);

    let poll = Request::Poll(Poll { pending, nonce: [8; 16] });
    let (body, pending) = build(&poll, rsa(0), None, NOW).unwrap();
    let enveloped = message::read(&body, &limits).unwrap().content.unwrap();
    let about = cms::open(&enveloped, ra.key(), &limits).unwrap();
    let parsed = x509::parse(authority().certificate()).unwrap();
    let issuer = der::Encode::to_der(parsed.tbs_certificate().subject()).unwrap();
    assert_eq!(about[2..2 + issuer.len()], issuer, "the CA issues, not the registration authority");
    let polled = server::open(&body, &ra, &limits).unwrap();
    assert_eq!((&polled.what, &polled.transaction), (&Wanted::Poll, &asked.transaction));
    let certificate = authority().issue_identity("C02XYZ", &wanted(&asked).spki, 1, NOW).unwrap();
    let reply = server::reply(&polled, Verdict::Issued(&certificate), &ra, [2; 16]).unwrap();
    assert_eq!(open(&reply, &pending, rsa(0), None, &limits).unwrap(), Reply::Issued { certificate });
}

#[test]
fn a_request_says_everything_that_the_profile_wants() {
    let Request::Issue(issue) = issue(SCEPSERVER_CAPS, false) else { panic!("a poll") };
    let alt_names = AltNames {
        rfc822_names: vec!["who@mac.test".into()],
        dns_names: vec!["mac.test".into(), "mac.local".into()],
        uris: vec!["urn:device:C02XYZ".into()],
        nt_principal_names: vec!["wh\u{f6}@mac.test".into()],
    };
    let asked = Issue { alt_names: alt_names.clone(), challenge: Some("gr\u{fc}n & 1_2".into()), ..issue };
    let (body, _) = build(&Request::Issue(asked), rsa(0), None, NOW).unwrap();
    let received = server::open(&body, authority(), &Limits::default()).unwrap();
    let csr = wanted(&received);
    assert_eq!(csr.alt_names, alt_names);
    assert_eq!(csr.challenge.as_deref(), Some("gr\u{fc}n & 1_2"));
    assert_eq!(csr.subject, "CN=C02XYZ,O=Droves");
    assert_eq!(csr.spki, rsa(0).spki());
}

#[test]
fn a_reply_that_is_not_ours_is_refused() {
    let limits = Limits::default();
    let (body, pending) = build(&issue(SCEPSERVER_CAPS, true), rsa(0), None, NOW).unwrap();
    let received = server::open(&body, authority(), &limits).unwrap();
    let other = Authority::create("Other CA", NOW).unwrap();
    let certificate = other.issue_identity("x", &wanted(&received).spki, 1, NOW).unwrap();
    let strange = server::reply(&received, Verdict::Issued(&certificate), &other, [1; 16]).unwrap();
    assert_eq!(open(&strange, &pending, rsa(0), None, &limits), Err(ScepError::StrangeSigner));
    let certificate = authority().issue_identity("x", rsa(2).spki(), 1, NOW).unwrap();
    let wrong = server::reply(&received, Verdict::Issued(&certificate), authority(), [1; 16]).unwrap();
    assert_eq!(open(&wrong, &pending, rsa(0), None, &limits), Err(ScepError::NoCertificateForKey));
    // Every device's certificate comes from the CA; that makes none of them the CA.
    let device = authority().issue_identity("device", other.key().spki(), 1, NOW).unwrap();
    let (certificate_pem, key_pem) = (crate::ca::pem("CERTIFICATE", &device), other.key_pem().unwrap());
    let device = Authority::from_pem(&certificate_pem, &key_pem).unwrap();
    let forged = server::reply(&received, Verdict::Pending, &device, [1; 16]).unwrap();
    assert_eq!(open(&forged, &pending, rsa(0), None, &limits), Err(ScepError::StrangeSigner));
    let mut cut = wrong;
    let middle = cut.len() / 2;
    cut[middle] ^= 1;
    assert!(open(&cut, &pending, rsa(0), None, &limits).is_err());
}

#[test]
fn a_registration_authority_is_found_in_a_chain() {
    let limits = Limits::default();
    let ra = authority().issue_identity("RA", rsa(2).spki(), 5, NOW).unwrap();
    let chain = cms::degenerate(&[authority().certificate(), &ra]).unwrap();
    let found = CaCertificates::read(&chain, None, &limits).unwrap();
    assert_eq!(found.recipient, ra);
    let one = CaCertificates::read(authority().certificate(), None, &limits).unwrap();
    assert_eq!(one.recipient, authority().certificate());
    for fingerprint in [
        digest::md5(authority().certificate()).to_vec(),
        digest::sha1(authority().certificate()).to_vec(),
        digest::sha256(authority().certificate()).to_vec(),
    ] {
        assert!(CaCertificates::read(&chain, Some(&fingerprint), &limits).is_ok());
        let wrong = vec![0; fingerprint.len()];
        let refused = CaCertificates::read(&chain, Some(&wrong), &limits);
        assert_eq!(refused, Err(ScepError::FingerprintMismatch));
    }
}

#[test]
fn capabilities_without_sha_or_cipher_are_refused() {
    assert_eq!(Capabilities::read(b"AES\nPOSTPKIOperation\n"), Err(ScepError::NoSha));
    assert_eq!(Capabilities::read(b"SHA-256\n"), Err(ScepError::NoCipher));
    assert_eq!(Capabilities::read(b"<html>\xff"), Err(ScepError::NotCapabilities));
    let all = Capabilities::read(SCEPSERVER_CAPS).unwrap();
    assert!(all.post && all.renewal && all.aes && all.des3 && all.sha1 && all.sha256 && !all.sha512);
}

#[test]
fn the_query_escapes_as_macos_does() {
    assert_eq!(get_query(&[0xFB, 0xFF]), "operation=PKIOperation&message=+/8%3D");
}

#[test]
fn a_signature_holds_for_these_bytes_only() {
    use crate::apple::signature::{self, SignatureError};
    let limits = Limits::default();
    let certificate = authority().issue_identity("x", rsa(0).spki(), 1, NOW).unwrap();
    for time in [None, Some(NOW)] {
        let header = signature::sign(b"body", rsa(0), &certificate, time).unwrap();
        assert_eq!(signature::verify(header.as_bytes(), b"body", &limits).unwrap(), certificate);
        let other = signature::verify(header.as_bytes(), b"bodY", &limits);
        assert_eq!(other, Err(SignatureError::Cms(CmsError::DigestMismatch)));
    }
    assert_eq!(signature::verify(b"%%%", b"", &limits), Err(SignatureError::NotBase64));
}

fn of_micromdm(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/testdata/scep/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn messages_of_micromdm_are_read() {
    let limits = Limits::default();
    let caps = Capabilities::read(&of_micromdm("GetCACaps.scepserver-2.3.0.txt")).unwrap();
    assert!(caps.post && caps.renewal && caps.aes && caps.des3 && caps.sha256 && !caps.sha512);
    let ca = CaCertificates::read(&of_micromdm("GetCACert.scepserver-2.3.0.der"), None, &limits).unwrap();
    let read = |name| message::read(&of_micromdm(name), &limits).unwrap();
    let request = read("PKCSReq.scepclient-2.3.0.der");
    assert_eq!((request.kind.as_str(), request.content.is_some()), (message::PKCS_REQ, true));
    for (name, status) in [("CertRep.scepserver-2.3.0.der", "0"), ("CertRep-refusal.scepserver-2.3.0.der", "2")] {
        let reply = read(name);
        assert_eq!(reply.kind, message::CERT_REP);
        assert_eq!(reply.text(message::PKI_STATUS).unwrap(), status);
        assert_eq!(reply.content.is_some(), status == "0");
        assert!(ca.hold(&reply.signer.certificate));
    }
    let refusal = read("CertRep-refusal.scepserver-2.3.0.der");
    assert_eq!(refusal.transaction, request.transaction);
    assert_eq!(refusal.signer.attribute_bytes(message::RECIPIENT_NONCE).unwrap(), request.sender_nonce.unwrap());
    assert_eq!(FailInfo::read(&refusal.text(message::FAIL_INFO).unwrap()), FailInfo::BadRequest);
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("scep", target);
    crate::corpus::drive("signature", crate::apple::signature::target);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        target(&bytes);
        cms::target(&bytes);
        crate::apple::signature::target(&bytes);
    }

    /// A real message with a byte changed, or cut, is refused or says the same; it never panics.
    #[test]
    fn a_damaged_message_is_refused(at in any::<prop::sample::Index>(), flip in 1_u8.., cut: bool, of_others: bool) {
        static MESSAGES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
        let [ours, theirs] = MESSAGES.get_or_init(|| {
            let ours = build(&issue(SCEPSERVER_CAPS, true), rsa(0), None, NOW).unwrap().0;
            [ours, of_micromdm("CertRep.scepserver-2.3.0.der")]
        });
        let mut bytes = if of_others { theirs } else { ours }.clone();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        target(&bytes);
    }
}
