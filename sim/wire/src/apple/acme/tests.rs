//! What a device says, read by others' readers; and what a server says. That a real server takes it all is shown in
//! `tests/suites`.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ca::Authority;
use crate::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use droves_facts::Wall;
use proptest::prelude::*;
use serde_json::Value;
use x509_cert::Certificate;

const NOW: Wall = Wall(1_760_000_000_000_000);
/// Answers of step-ca 0.30.2 on loopback, as they came.
const DIRECTORY: &[u8] = include_bytes!("../../../testdata/acme/directory.step-ca-0.30.2.json");
const ORDER: &[u8] = include_bytes!("../../../testdata/acme/order.step-ca-0.30.2.json");
const AUTHORIZATION: &[u8] = include_bytes!("../../../testdata/acme/authorization.step-ca-0.30.2.json");
const REFUSED: &[u8] = include_bytes!("../../../testdata/acme/challenge-refused.step-ca-0.30.2.json");
const ISSUED: &[u8] = include_bytes!("../../../testdata/acme/order-valid.step-ca-0.30.2.json");
const CERTIFICATE: &[u8] = include_bytes!("../../../testdata/acme/certificate.step-ca-0.30.2.pem");
const BAD_NONCE: &[u8] = include_bytes!("../../../testdata/acme/bad-nonce.step-ca-0.30.2.json");

fn bytes(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn a_message_is_signed_by_the_key_that_it_names() {
    let key = AccountKey::from_seed([7; 32]).unwrap();
    let check = |kid: Option<&str>| {
        let protected = Protected { url: "https://ca.test/new", nonce: "n0nce", kid };
        let jws: Value = serde_json::from_slice(&key.sign(&protected, b"{}").unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&bytes(&jws["protected"])).unwrap();
        assert_eq!((&header["url"], &header["nonce"]), (&"https://ca.test/new".into(), &"n0nce".into()));
        assert_eq!(header["alg"], "ES256");
        assert_eq!(bytes(&jws["payload"]), b"{}");
        let signed = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
        (header, signed, bytes(&jws["signature"]))
    };
    let (first, signed, signature) = check(None);
    let point = [vec![4], bytes(&first["jwk"]["x"]), bytes(&first["jwk"]["y"])].concat();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point);
    public.verify(signed.as_bytes(), &signature).unwrap();
    assert_eq!((&first["jwk"]["crv"], &first["jwk"]["kty"], first.get("kid")), (&"P-256".into(), &"EC".into(), None));
    let (later, signed, signature) = check(Some("https://ca.test/account/1"));
    public.verify(signed.as_bytes(), &signature).unwrap();
    assert_eq!((&later["kid"], later.get("jwk")), (&"https://ca.test/account/1".into(), None));
}

#[test]
fn an_attestation_says_whose_key_it_is_and_is_of_this_challenge() {
    let root = Authority::create_p384("Root", NOW).unwrap();
    let attester = Attester::under(&root, NOW).unwrap();
    let subject = Subject {
        serial_number: "F2LX1234YZ".into(),
        udid: "00008110-000A1B2C3D4E801E".into(),
        os_version: "18.1".into(),
        token: "token".into(),
    };
    for key in [Key::generate_p256().unwrap(), Key::generate_p384().unwrap()] {
        let object = attester.attest(&subject, key.spki(), NOW).unwrap();
        let mut cbor = minicbor::Decoder::new(&object);
        assert_eq!(cbor.map().unwrap(), Some(2));
        assert_eq!((cbor.str().unwrap(), cbor.str().unwrap()), ("fmt", "apple"));
        assert_eq!((cbor.str().unwrap(), cbor.map().unwrap()), ("attStmt", Some(1)));
        assert_eq!((cbor.str().unwrap(), cbor.array().unwrap()), ("x5c", Some(2)));
        let (leaf, intermediate) = (cbor.bytes().unwrap(), cbor.bytes().unwrap());
        assert_eq!(cbor.position(), object.len());
        x509::verify(leaf, intermediate).unwrap();
        x509::verify(intermediate, root.certificate()).unwrap();
        assert_eq!(x509::public_key(leaf).unwrap(), key.spki());
        let certificate: Certificate = x509::parse(leaf).unwrap();
        let value = |oid: &[u64]| {
            let oid = oid.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            let mut all = certificate.tbs_certificate().extensions().unwrap().iter();
            all.find(|found| found.extn_id.to_string() == oid).unwrap().extn_value.as_bytes().to_vec()
        };
        assert_eq!(value(hardware_oids::SERIAL_NUMBER), b"F2LX1234YZ");
        assert_eq!(value(hardware_oids::UDID), b"00008110-000A1B2C3D4E801E");
        assert_eq!(value(hardware_oids::FRESHNESS), digest::sha256(b"token"));
    }
}

#[test]
fn a_chain_must_begin_with_the_devices_certificate() {
    let (root, key) = (Authority::create_p384("Root", NOW).unwrap(), Key::generate_p256().unwrap());
    let leaf = root.issue_identity("x", key.spki(), 1, NOW).unwrap();
    let chain = ca_pem(&leaf) + &root.certificate_pem();
    let limits = Limits::default();
    assert_eq!(issued(chain.as_bytes(), key.spki(), &limits).unwrap(), leaf);
    let check = |chain: String, expected: AcmeError| {
        assert_eq!(issued(chain.as_bytes(), key.spki(), &limits), Err(expected));
    };
    check(root.certificate_pem() + &ca_pem(&leaf), AcmeError::NoCertificateForKey);
    check(String::new(), AcmeError::NotPem);
    check("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n".into(), AcmeError::NotPem);
}

fn ca_pem(der: &[u8]) -> String {
    crate::ca::pem("CERTIFICATE", der)
}

#[test]
fn a_request_names_what_the_payload_wants() {
    let request = Request {
        subject: vec![vec![("CN".into(), "F2LX1234YZ".into())]],
        key_usage: 0,
        extended_key_usages: vec!["1.3.6.1.5.5.7.3.2".into()],
        alt_names: AltNames { uris: vec!["urn:x".into()], ..AltNames::default() },
    };
    for key in [Key::generate_p256().unwrap(), Key::generate_p384().unwrap()] {
        let read = crate::apple::scep::server::csr(&request.csr(&key).unwrap()).unwrap();
        assert_eq!((read.common_name.as_str(), read.spki.as_slice()), ("F2LX1234YZ", key.spki()));
        assert_eq!(read.alt_names, request.alt_names);
    }
    let odd = Request { extended_key_usages: vec!["x".into()], ..request };
    assert!(odd.csr(&Key::generate_p256().unwrap()).is_err());
}

#[test]
fn a_real_servers_answers_are_read() {
    assert!(Directory::read(DIRECTORY).unwrap().new_order.ends_with("/acme/devices/new-order"));
    let order = Order::read(ORDER).unwrap();
    assert_eq!((order.status, order.authorizations.len(), order.certificate), (Status::Pending, 1, None));
    let authorization = Authorization::read(AUTHORIZATION).unwrap();
    let challenge = authorization.challenge(DEVICE_ATTEST).unwrap();
    assert_eq!((challenge.status, challenge.token.as_ref().map(String::len)), (Status::Pending, Some(32)));
    let refused = Challenge::read(REFUSED).unwrap();
    assert_eq!(refused.status, Status::Invalid);
    let said = refused.error.unwrap().to_string();
    assert!(said.starts_with("badAttestationStatement: ") && said.contains("x5c is not valid"), "{said}");
    let issued = Order::read(ISSUED).unwrap();
    assert_eq!((issued.status, issued.certificate.is_some()), (Status::Valid, true));
    let leaf = CertificateDer::pem_slice_iter(CERTIFICATE).next().unwrap().unwrap();
    let spki = x509::public_key(&leaf).unwrap();
    assert_eq!(super::issued(CERTIFICATE, &spki, &Limits::default()).unwrap(), leaf.as_ref());
    assert!(Problem::read(BAD_NONCE).unwrap().is("badNonce"));
}

#[test]
fn what_is_no_answer_has_a_name() {
    assert!(matches!(Order::read(b"{}"), Err(AcmeError::Json("order", _))));
    assert!(matches!(Order::read(&[b' '; JSON_BYTES_MAX + 1]), Err(AcmeError::TooLarge("order", _))));
    assert_eq!(Problem::read(b"{}"), None);
    assert_eq!(Problem::read(b"<html>"), None);
    assert!(is_nonce("aZ0-_") && !is_nonce("") && !is_nonce("a b") && !is_nonce(&"a".repeat(2_000)));
}

#[test]
fn what_is_posted_is_what_the_rfc_says() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(text(new_account()), r#"{"termsOfServiceAgreed":true}"#);
    assert_eq!(text(new_order("a\"b")), r#"{"identifiers":[{"type":"permanent-identifier","value":"a\"b"}]}"#);
    assert_eq!(text(answer(Some(&[0xFB, 0xFF]))), r#"{"attObj":"-_8"}"#);
    assert_eq!(text(answer(None)), "{}");
    assert_eq!(text(finalize(&[1, 2])), r#"{"csr":"AQI"}"#);
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("acme", target);
}

proptest! {
    #[test]
    fn no_damage_does_harm(which in 0_usize..7, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = [DIRECTORY, ORDER, AUTHORIZATION, REFUSED, ISSUED, CERTIFICATE, BAD_NONCE][which].to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        target(&bytes);
        target(&bytes[..at]);
    }
}
