//! Enrolling with an identity by ACME, step by step, and what each answer means there.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use droves_wire::apple::acme;
use droves_wire::keys::KeyKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What an ACME server answers: as step-ca does, or by a script for a path.
#[derive(Debug, Default)]
pub(super) struct AcmeServer {
    /// Path and payload of each message.
    asked: Vec<(String, Value)>,
    script: BTreeMap<&'static str, VecDeque<(u16, Value)>>,
    /// Nonces so far; the last one is the one that counts.
    nonces: u32,
    names_no_nonce: bool,
    retry_after: Option<&'static str>,
    spki: Vec<u8>,
    /// What was to be attested, and the kinds of the keys that were made.
    pub(super) attested: Vec<acme::Subject>,
    pub(super) kinds: Vec<KeyKind>,
}

pub(super) const ACME: &str = "http://acme.test";

impl AcmeServer {
    pub(super) fn answer(&mut self, request: &Request, body: &[u8], wall: Wall) -> (u16, Bytes, HeaderMap) {
        let path = request.url.strip_prefix(ACME).unwrap().to_owned();
        if let Some(sign) = &request.sign {
            let Sign::Account(account) = sign else { panic!("{sign:?}") };
            assert_eq!(*account.nonce, format!("nonce{}", self.nonces), "{path}");
            assert_eq!(account.kid.is_some(), path != "/account", "{path}");
            self.asked.push((path.clone(), serde_json::from_slice(body).unwrap_or_default()));
        } else {
            assert_eq!(request.method, if path == "/nonce" { Method::Head } else { Method::Get });
        }
        let scripted = self.script.get_mut(path.as_str()).and_then(VecDeque::pop_front);
        let (status, answer) = scripted.unwrap_or_else(|| self.usual(&path, body));
        self.nonces += 1;
        let mut headers = HeaderMap::new();
        if path != "/directory" && !self.names_no_nonce {
            headers.insert("replay-nonce", HeaderValue::from_str(&format!("nonce{}", self.nonces)).unwrap());
        }
        let location = match path.as_str() {
            "/account" => Some("http://acme.test/account/1"),
            "/new-order" => Some("http://acme.test/order"),
            _ => None,
        };
        if let Some(location) = location {
            headers.insert("location", HeaderValue::from_static(location));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert("retry-after", HeaderValue::from_static(seconds));
        }
        let answer = match answer {
            Value::String(what) if what == "certificate" => {
                let certificate = authority().issue_identity("x", &self.spki, u64::from(self.nonces), wall).unwrap();
                let text = base64::engine::general_purpose::STANDARD.encode(certificate);
                format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
            }
            Value::Null => String::new(),
            other => other.to_string(),
        };
        (status, answer.into(), headers)
    }

    fn usual(&mut self, path: &str, body: &[u8]) -> (u16, Value) {
        match path {
            "/directory" => {
                let at = |path: &str| format!("{ACME}{path}");
                (200, json!({ "newNonce": at("/nonce"), "newAccount": at("/account"), "newOrder": at("/new-order") }))
            }
            "/nonce" => (200, Value::Null),
            "/account" => (201, json!({ "status": "valid" })),
            "/new-order" => (201, order("pending")),
            "/authorization" => (200, authorization("pending", "pending")),
            "/challenge" => (200, challenge("valid")),
            "/order" => (200, order("ready")),
            "/finalize" => {
                let body: Value = serde_json::from_slice(body).unwrap();
                let csr = URL_SAFE_NO_PAD.decode(body["csr"].as_str().unwrap()).unwrap();
                self.spki = server::csr(&csr).unwrap().spki;
                (200, order("valid"))
            }
            "/certificate" => (200, "certificate".into()),
            other => panic!("{other}"),
        }
    }

    fn paths(&self) -> Vec<&str> {
        self.asked.iter().map(|(path, _)| path.as_str()).collect()
    }
}

fn order(status: &str) -> Value {
    let mut order = json!({
        "status": status, "authorizations": [format!("{ACME}/authorization")], "finalize": format!("{ACME}/finalize"),
    });
    if status == "valid" {
        order["certificate"] = format!("{ACME}/certificate").into();
    }
    order
}

fn authorization(status: &str, challenge_status: &str) -> Value {
    let other = json!({ "type": "http-01", "status": "pending", "token": "x", "url": format!("{ACME}/http") });
    json!({ "status": status, "challenges": [other, challenge(challenge_status)] })
}

fn challenge(status: &str) -> Value {
    let mut challenge =
        json!({ "type": "device-attest-01", "status": status, "token": "t0ken", "url": format!("{ACME}/challenge") });
    if status == "invalid" {
        challenge["error"] = problem("badAttestationStatement", "x5c is not valid");
    }
    challenge
}

fn problem(kind: &str, detail: &str) -> Value {
    json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail })
}

fn acme_enrollment(key: (&str, u32), attest: bool) -> String {
    let attest = if attest { "<key>Attest</key><true/>" } else { "" };
    let (kind, bits) = key;
    let bound = if kind == "RSA" { "false" } else { "true" };
    let identity = format!(
        "<key>DirectoryURL</key><string>{ACME}/directory</string><key>ClientIdentifier</key>\
         <string>%SerialNumber%</string><key>KeyType</key><string>{kind}</string><key>KeySize</key>\
         <integer>{bits}</integer><key>HardwareBound</key><{bound}/>{attest}<key>Subject</key><array><array><array>\
         <string>CN</string><string>%SerialNumber%</string></array></array></array>"
    );
    profile_of(&payload("com.apple.security.acme", "A", &identity), MDM)
}

fn rig() -> Rig {
    Rig::with(ios(), &acme_enrollment(("ECSECPrimeRandom", 384), true))
}

/// Enrolls, and gives the words of the failure with its kind.
fn refused(mut rig: Rig) -> (Rig, &'static str, String) {
    assert!(matches!(rig.order(Order::Enroll).what, What::End(Why::GaveUp)), "{:?}", rig.facts);
    let [(Operation::Enroll, Outcome::Failed { blame, kind })] = rig.ended[..] else { panic!("{:?}", rig.ended) };
    let text = rig.facts.iter().find_map(|fact| match fact {
        Fact::Complaint { text, .. } => Some(text.to_string()),
        _ => None,
    });
    assert_eq!(blame, Blame::Server, "{text:?}");
    assert_eq!(rig.world.identity, None);
    (rig, kind, text.unwrap())
}

#[test]
fn a_device_is_attested_and_certified() {
    let mut rig = rig();
    rig.order(Order::Enroll);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)], "{:?}", rig.facts);
    let steps =
        ["directory", "nonce", "account", "order", "authorization", "challenge", "poll", "finalize", "certificate"];
    let steps: Vec<String> = steps.iter().map(|step| format!("apple.acme.{step}")).collect();
    assert_eq!(rig.operations()[..9], steps);
    assert_eq!(rig.operations()[9..], ["apple.authenticate", "apple.token_update"]);
    let serial = rig.message(9).get("SerialNumber").and_then(|serial| serial.as_str().map(str::to_owned)).unwrap();
    let udid = rig.message(9).get("UDID").and_then(|udid| udid.as_str().map(str::to_owned)).unwrap();
    let identifier = json!({ "type": "permanent-identifier", "value": serial });
    assert_eq!(rig.acme.asked[1].1, json!({ "identifiers": [identifier] }));
    let subject = acme::Subject { serial_number: serial, udid, os_version: "18.1".into(), token: "t0ken".to_owned() };
    assert_eq!((&rig.acme.attested[..], &rig.acme.kinds[..]), (&[subject][..], &[KeyKind::P384][..]));
    assert_eq!(rig.acme.asked[3].1, json!({ "attObj": URL_SAFE_NO_PAD.encode("attestation") }));
    assert_eq!(rig.machine.record().renew_at, None, "nothing renews it by itself");
}

#[test]
fn a_renewal_is_another_order_with_another_key() {
    let mut rig = rig().enroll();
    let old = rig.world.identity.clone().unwrap();
    rig.acme.asked.clear();
    rig.order(Order::Renew);
    assert_eq!(rig.ended, [(Operation::Renew, Outcome::Succeeded)], "{:?}", rig.facts);
    let new = rig.world.identity.clone().unwrap();
    assert!(new.key != old.key && new.certificate != old.certificate);
    assert_eq!(rig.acme.paths()[..2], ["/account", "/new-order"]);
}

#[test]
fn what_hardware_can_not_attest_is_not_attested() {
    let old = Character { model: "iPad7,11".into(), platform: Platform::Ipados, ..ios() };
    let profile = |attest| acme_enrollment(("ECSECPrimeRandom", 256), attest);
    let rigs = [
        (Rig::with(old, &profile(true)), KeyKind::P256),
        (Rig::with(ios(), &profile(false)), KeyKind::P256),
        (Rig::with(ios(), &acme_enrollment(("RSA", 2_048), false)), KeyKind::Rsa(2_048)),
    ];
    for (mut rig, kind) in rigs {
        rig.order(Order::Enroll);
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)], "{:?}", rig.facts);
        assert!(rig.acme.attested.is_empty());
        assert_eq!((&rig.acme.asked[3].1, &rig.acme.kinds[..]), (&json!({}), &[kind][..]));
    }
}

#[test]
fn a_curve_that_is_not_there_is_named() {
    let profile =
        acme_enrollment(("ECSECPrimeRandom", 521), false).replace("<true/><key>Subject", "<false/><key>Subject");
    let mut rig = Rig::with(ios(), &profile);
    rig.order(Order::Enroll);
    assert!(matches!(rig.ended[..], [(_, Outcome::Failed { blame: Blame::Scenario, kind: "profile" })]));
    assert!(rig.asked.is_empty(), "{:?}", rig.operations());
}

#[test]
fn a_refused_nonce_is_replaced_but_not_for_ever() {
    let bad = || (400, problem("badNonce", "no such nonce"));
    let mut good = rig();
    for path in ["/account", "/challenge", "/certificate"] {
        good.acme.script.insert(path, [bad(), bad()].into());
    }
    good.order(Order::Enroll);
    assert_eq!(good.ended, [(Operation::Enroll, Outcome::Succeeded)], "{:?}", good.facts);
    assert_eq!(good.acme.paths().iter().filter(|path| **path == "/challenge").count(), 3);
    assert_eq!(good.acme.attested.len(), 1);
    let mut never = rig();
    never.acme.script.insert("/new-order", vec![bad(); 99].into());
    let (never, kind, text) = refused(never);
    assert_eq!((kind, never.acme.paths().len()), ("status_400", 1 + 1 + 5));
    assert!(text.contains("badNonce: no such nonce"), "{text}");
    let mut silent = rig();
    silent.acme.names_no_nonce = true;
    assert_eq!(refused(silent).1, "acme_nonce");
}

/// step-ca leaves authorization and order pending then: who looked at them only would wait for ever.
#[test]
fn a_refused_attestation_is_the_end_with_its_reason() {
    let mut at_once = rig();
    at_once.acme.script.insert("/challenge", [(200, challenge("invalid"))].into());
    let (at_once, kind, text) = refused(at_once);
    assert_eq!((kind, at_once.acme.paths().last()), ("acme_challenge", Some(&"/challenge")));
    assert!(text.contains("badAttestationStatement: x5c is not valid"), "{text}");
    assert!(text.contains("droves certs --attestation"), "{text}");
    let mut later = rig();
    later.acme.script.insert("/challenge", [(200, challenge("processing"))].into());
    let seen = [authorization("pending", "pending"), authorization("pending", "invalid")];
    later.acme.script.insert("/authorization", seen.map(|seen| (200, seen)).into());
    assert_eq!(refused(later).1, "acme_challenge");
}

#[test]
fn polls_have_an_end_and_their_delay_is_the_servers() {
    let mut patient = rig();
    patient.acme.retry_after = Some("7");
    patient.acme.script.insert("/challenge", [(200, challenge("processing"))].into());
    let seen =
        [authorization("pending", "pending"), authorization("pending", "processing"), authorization("valid", "valid")];
    patient.acme.script.insert("/authorization", seen.map(|seen| (200, seen)).into());
    patient.acme.script.insert("/order", ["pending", "ready", "processing", "valid"].map(|s| (200, order(s))).into());
    patient.acme.script.insert("/finalize", [(200, order("processing"))].into());
    patient.acme.spki = key(KeyIx(0)).spki().to_vec();
    let begun = patient.world.clocks.now;
    patient.order(Order::Enroll);
    assert_eq!(patient.ended, [(Operation::Enroll, Outcome::Succeeded)], "{:?}", patient.facts);
    // Twice for the challenge, once for the order, twice for the certificate.
    assert_eq!(patient.world.clocks.now.since(begun), Dur::secs(5 * 7));
    for (path, pending) in [("/order", order("pending")), ("/finalize", order("processing"))] {
        let mut never = rig();
        never.acme.script.insert(path, [(200, pending.clone())].into());
        never.acme.script.entry("/order").or_default().extend(vec![(200, pending); 99]);
        if path == "/finalize" {
            never.acme.script.get_mut("/order").unwrap().push_front((200, order("ready")));
        }
        let polls = never.world.limits.acme_polls_max;
        let (never, kind, text) = refused(never);
        assert_eq!(kind, "acme_pending", "{text}");
        assert!(never.acme.paths().len() as u32 <= polls + 7);
    }
}

#[test]
fn what_a_server_refuses_is_told_in_its_words() {
    let check = |path: &'static str, status: u16, answer: Value, kind: &str, words: &str| {
        let mut rig = rig();
        rig.acme.script.insert(path, [(status, answer)].into());
        let (_, said, text) = refused(rig);
        assert_eq!(said, kind, "{path}: {text}");
        assert!(text.contains(words), "{path}: {text}");
    };
    check("/directory", 404, Value::Null, "status_404", "404");
    check("/directory", 200, json!({ "newNonce": "x" }), "acme_answer", "directory");
    let elsewhere = json!({ "newNonce": "ftp://x/", "newAccount": "http://a/", "newOrder": "http://a/" });
    check("/directory", 200, elsewhere, "acme_answer", "https");
    check("/account", 403, problem("externalAccountRequired", "who are you?"), "status_403", "who are you?");
    check("/account", 401, problem("unauthorized", "no"), "status_401", "unauthorized: no");
    check("/new-order", 400, problem("rejectedIdentifier", "not this one"), "status_400", "rejectedIdentifier");
    check(
        "/new-order",
        201,
        json!({ "status": "pending", "authorizations": [], "finalize": "" }),
        "acme_answer",
        "auth",
    );
    check(
        "/authorization",
        200,
        json!({ "status": "pending", "challenges": [] }),
        "acme_challenge",
        "device-attest-01",
    );
    check("/authorization", 200, authorization("expired", "pending"), "acme_challenge", "expired");
    check("/order", 200, order("invalid"), "acme_order", "without a reason");
    check(
        "/finalize",
        403,
        problem("unauthorized", "csr does not match the attested key"),
        "status_403",
        "attested key",
    );
    check("/certificate", 200, json!({}), "acme_certificate", "PEM");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, ..Default::default() })]

    /// The device ends its enrollment, well or not, within its bounds.
    #[test]
    fn no_acme_server_can_break_a_device(
        choices in proptest::collection::vec((0_usize..8, 0_usize..12, 0_usize..4), 0..40),
    ) {
        let paths = ["/directory", "/nonce", "/account", "/new-order", "/authorization", "/challenge", "/order", "/finalize"];
        let answers = [
            Value::Null, json!({}), order("pending"), order("processing"), order("ready"), order("valid"),
            authorization("pending", "pending"), authorization("valid", "pending"), authorization("pending", "invalid"),
            challenge("processing"), problem("badNonce", "x"), json!([[{ "status": 7 }]]),
        ];
        let mut rig = rig();
        rig.acme.spki = key(KeyIx(0)).spki().to_vec();
        for (path, answer, status) in choices {
            let status = [200, 200, 400, 503][status];
            rig.acme.script.entry(paths[path]).or_default().push_back((status, answers[answer].clone()));
        }
        rig.order(Order::Enroll);
        proptest::prop_assert!(matches!(rig.ended[..], [(Operation::Enroll, _)]));
    }
}
