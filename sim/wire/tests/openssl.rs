//! The program `openssl` reads what we sign, request and envelope, and we read what it makes.
#![expect(clippy::unwrap_used, reason = "tests")]

use droves_facts::{Limits, Wall};
use droves_wire::apple::profile::AltNames;
use droves_wire::apple::scep::{self, CaCertificates, Capabilities, Issue, Request};
use droves_wire::apple::signature;
use droves_wire::ca::Authority;
use droves_wire::cms::{self, Cipher, CmsError};
use droves_wire::keys::Key;
use droves_wire::pkcs12::{self, Pkcs12Error};
use droves_wire::windows::csr::{self, Spelling};
use droves_wire::windows::issue::{self, Token};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn now() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Wall(since.as_micros() as i64)
}

/// Whether there is an `openssl` to test with. CI must have one.
fn is_there() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok_and(|out| out.status.success());
    assert!(there || std::env::var_os("CI").is_none(), "CI without openssl");
    if let (false, Some(list)) = (there, std::env::var_os("DROVES_LEFT_OUT")) {
        use std::io::Write;
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(list, "wire against openssl\topenssl is not installed").unwrap();
    }
    there
}

fn openssl(dir: &Path, args: &str) -> Vec<u8> {
    let out = Command::new("openssl").current_dir(dir).args(args.split(' ')).output().unwrap();
    assert!(out.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

struct Stage {
    dir: tempfile::TempDir,
    authority: Authority,
    key: Key,
    identity: Vec<u8>,
}

impl Stage {
    /// A CA and an identity, all in PEM files.
    fn set() -> Option<Self> {
        if !is_there() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create("Test CA", now()).unwrap();
        let key = Key::generate_rsa(2_048).unwrap();
        let identity = authority.issue_identity("device", key.spki(), 1, now()).unwrap();
        let stage = Stage { dir, authority, key, identity };
        stage.write("ca.pem", stage.authority.certificate_pem().as_bytes());
        stage.write("ca.key", stage.authority.key_pem().unwrap().as_bytes());
        stage.write("id.der", &stage.identity);
        stage.write("id.key.der", &stage.key.to_pkcs8().unwrap());
        stage.run("x509 -inform DER -in id.der -out id.pem");
        stage.run("pkey -inform DER -in id.key.der -out id.key");
        Some(stage)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(name)).unwrap()
    }

    fn run(&self, args: &str) -> Vec<u8> {
        openssl(self.dir.path(), args)
    }
}

#[test]
fn openssl_verifies_the_chain_and_the_mdm_signature() {
    let Some(stage) = Stage::set() else { return };
    stage.run("verify -CAfile ca.pem -purpose sslclient id.pem");
    let ecdsa = [Key::generate_p256().unwrap(), Key::generate_p384().unwrap()];
    let certified = |key: &Key| stage.authority.issue_identity("device", key.spki(), 2, now()).unwrap();
    let identities = ecdsa.each_ref().map(certified);
    let (rsa, identity) = (&stage.key, &stage.identity);
    let signers = [
        (rsa, identity, None),
        (rsa, identity, Some(now())),
        (&ecdsa[0], &identities[0], None),
        (&ecdsa[1], &identities[1], None),
    ];
    for (key, identity, time) in signers {
        let header = signature::sign(b"<plist/>", key, identity, time).unwrap();
        use base64::Engine;
        stage.write("sig.der", &base64::engine::general_purpose::STANDARD.decode(header).unwrap());
        stage.write("body", b"<plist/>");
        let args = "cms -verify -binary -inform DER -in sig.der -content body -CAfile ca.pem -purpose any -out out";
        stage.run(args);
        assert_eq!(stage.read("out"), b"<plist/>");
    }
}

#[test]
fn we_verify_what_openssl_signs_der_and_streamed() {
    let Some(stage) = Stage::set() else { return };
    let limits = Limits::default();
    stage.write("body", &b"<plist>words</plist>\n".repeat(500));
    for how in ["", " -stream -indef"] {
        stage.run(&format!(
            "cms -sign -binary -nodetach -signer id.pem -inkey id.key -certfile ca.pem -in body -outform DER -out signed{how}"
        ));
        let signed = cms::verify(&stage.read("signed"), None, &limits).unwrap();
        assert_eq!(signed.content.as_deref(), Some(&stage.read("body")[..]));
        assert_eq!(signed.signers[0].certificate, stage.identity);
        assert_eq!(signed.certificates.len(), 2);
    }
    stage.run("cms -sign -binary -signer id.pem -inkey id.key -in body -outform DER -out detached");
    let detached = stage.read("detached");
    assert!(cms::verify(&detached, Some(&stage.read("body")), &limits).is_ok());
    assert_eq!(cms::verify(&detached, Some(b"other"), &limits), Err(CmsError::DigestMismatch));
    assert_eq!(cms::verify(&detached, None, &limits), Err(CmsError::NoContent));
}

#[test]
fn envelopes_open_on_both_sides() {
    let Some(stage) = Stage::set() else { return };
    let limits = Limits::default();
    for (cipher, name) in [(Cipher::Aes128, "-aes128"), (Cipher::Aes256, "-aes256"), (Cipher::Des3, "-des3")] {
        let sealed = cms::seal(b"words", &stage.identity, cipher).unwrap();
        for (n, message) in [sealed.clone(), cms::streamed(&sealed, &limits).unwrap()].iter().enumerate() {
            stage.write("sealed", message);
            let opened = stage.run("cms -decrypt -inform DER -in sealed -recip id.pem -inkey id.key");
            assert_eq!(opened, b"words", "{name} {n}");
            assert_eq!(cms::open(message, &stage.key, &limits).unwrap(), b"words");
        }
        stage.write("body", b"more words");
        for how in ["", " -stream -indef"] {
            stage.run(&format!("cms -encrypt -binary {name} -in body -outform DER -out theirs{how} id.pem"));
            assert_eq!(cms::open(&stage.read("theirs"), &stage.key, &limits).unwrap(), b"more words", "{name}{how}");
        }
    }
    // openssl has DES in a provider that not every machine installs; `scep_peers` has another's DES.
    let sealed = cms::seal(b"words", &stage.identity, Cipher::Des).unwrap();
    assert_eq!(cms::open(&sealed, &stage.key, &limits).unwrap(), b"words");
    let other = Key::generate_rsa(2_048).unwrap();
    let sealed = cms::seal(b"words", &stage.identity, Cipher::Aes128).unwrap();
    assert!(cms::open(&sealed, &other, &limits).is_err());
}

#[test]
fn openssl_opens_a_scep_request_down_to_its_csr() {
    let Some(stage) = Stage::set() else { return };
    let limits = Limits::default();
    let issue = Issue {
        caps: Capabilities::read(b"SHA-256\nAES\n").unwrap(),
        ca: Arc::new(CaCertificates::read(stage.authority.certificate(), None, &limits).unwrap()),
        subject: vec![vec![("O".into(), "Droves".into())], vec![("CN".into(), "C02XYZ".into())]],
        challenge: Some("secret".into()),
        key_usage: 5,
        alt_names: AltNames {
            dns_names: vec!["mac.test".into()],
            nt_principal_names: vec!["who@mac.test".into()],
            ..AltNames::default()
        },
        nonce: [7; 16],
        signer_name: "temporary".into(),
        streamed: true,
    };
    for streamed in [true, false] {
        let request = Request::Issue(Issue { streamed, ..issue.clone() });
        let (message, _) = scep::build(&request, &stage.key, None, now()).unwrap();
        stage.write("request", &message);
        stage.run("cms -verify -binary -inform DER -in request -noverify -out enveloped");
        stage.run("cms -decrypt -binary -inform DER -in enveloped -recip ca.pem -inkey ca.key -out csr");
        let text = String::from_utf8(stage.run("req -inform DER -in csr -noout -text -verify")).unwrap();
        for wanted in [
            "C02XYZ",
            "challengePassword",
            "secret",
            "Digital Signature, Key Encipherment",
            "DNS:mac.test",
            "who@mac.test",
        ] {
            assert!(text.contains(wanted), "no {wanted} in\n{text}");
        }
    }
}

#[test]
fn openssl_reads_bare_certificates_and_we_read_its() {
    let Some(stage) = Stage::set() else { return };
    stage.write("bare", &cms::degenerate(&[stage.authority.certificate(), &stage.identity]).unwrap());
    let text = String::from_utf8(stage.run("pkcs7 -inform DER -in bare -print_certs -noout")).unwrap();
    assert!(text.contains("Test CA") && text.contains("device"), "{text}");
    stage.run("crl2pkcs7 -nocrl -certfile ca.pem -certfile id.pem -outform DER -out theirs");
    assert_eq!(cms::certificates(&stage.read("theirs"), &Limits::default()).unwrap().len(), 2);
}

#[test]
fn an_identity_that_openssl_packed_is_unpacked() {
    let Some(stage) = Stage::set() else { return };
    let limits = Limits::default();
    let export = "pkcs12 -export -inkey id.key -in id.pem -certfile ca.pem -passout pass:secret -out id.p12";
    let ways =
        ["", "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1", "-nomac", "-keypbe NONE -certpbe NONE"];
    for way in ways {
        stage.run(format!("{export} {way}").trim_end());
        let (key, certificate) = pkcs12::open(&stage.read("id.p12"), "secret", &limits).unwrap();
        assert_eq!((key.spki(), &certificate), (stage.key.spki(), &stage.identity), "{way}");
        if way != "-nomac" {
            let wrong = pkcs12::open(&stage.read("id.p12"), "other", &limits);
            assert!(matches!(wrong, Err(Pkcs12Error::Closed(_))), "{way}: {wrong:?}");
        }
    }
    stage.run("pkcs12 -export -nokeys -in id.pem -passout pass:secret -out id.p12");
    assert_eq!(pkcs12::open(&stage.read("id.p12"), "secret", &limits).unwrap_err(), Pkcs12Error::NoIdentity);
}

#[test]
fn openssl_takes_a_windows_request_and_its_renewal() {
    let Some(stage) = Stage::set() else { return };
    let (guid, device) = ("0F0E2D4C-6B8A-4978-9695-B4C3D2E1F001", "5AD0B1C2E3F4A5968778695A4B3C2D1E");
    let new = Key::generate_rsa(2_048).unwrap();
    for (spelling, name) in [(Spelling::Printable, "\\00"), (Spelling::Utf8, "")] {
        let csr = csr::write(guid, device, &new, spelling).unwrap();
        stage.write("csr.der", &csr);
        let said = stage.run("req -inform DER -in csr.der -verify -noout -subject -nameopt oneline");
        let said = String::from_utf8(said).unwrap();
        let subject = format!("CN = 0F0E2D4C-6B8A-4978-9695-B4C3D2!{device}{name}");
        assert!(said.trim_end().ends_with(&subject), "{said}");
        stage.write("renewal.der", &issue::renewal(&csr, &stage.key, &stage.identity).unwrap());
        stage.run("cms -verify -binary -inform DER -in renewal.der -CAfile ca.pem -purpose any -out out");
        assert_eq!(stage.read("out"), csr);
    }
    // The other way round: a request and a renewal that openssl made.
    stage.run("req -new -key id.key -subj /CN=other -outform DER -out theirs.der");
    stage.run(
        "cms -sign -binary -nodetach -signer id.pem -inkey id.key -in theirs.der -outform DER -out theirs-renewal.der",
    );
    let token = Token::Pkcs7(stage.read("theirs-renewal.der"));
    let wanted = token.open(&Limits::default()).unwrap();
    assert_eq!((&*wanted.csr.common_name, wanted.csr.device_id), (&b"other"[..], None));
    assert_eq!(wanted.signer.as_ref(), Some(&stage.identity));
}
