//! Documents as servers write them, round trips, and hostile bytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::windows::Broken;
use proptest::prelude::*;

fn read(text: &str) -> Document {
    Document::read(text.as_bytes(), &Limits::default()).unwrap()
}

fn written(document: &Document) -> String {
    let mut out = Vec::new();
    document.write(&mut out);
    assert_eq!(Document::read(&out, &Limits::default()).as_ref(), Ok(document));
    String::from_utf8(out).unwrap()
}

fn setting(path: &[&str], name: &str, value: &str, datatype: &str) -> Setting {
    Setting {
        path: path.iter().map(|&part| part.into()).collect(),
        name: name.to_owned(),
        value: Some(value.to_owned()),
        datatype: Some(datatype.to_owned()),
    }
}

/// The shape that servers write: two stores, the account with both secrets, the client's settings and its poll.
fn typical() -> Document {
    let certificate =
        |store, place, der: &[u8]| Certificate { store, place, thumbprint: "D9A8".into(), der: der.to_vec() };
    let auth = |level, name: Option<&str>| Auth {
        level: Some(level),
        kind: Some("DIGEST".into()),
        name: name.map(str::to_owned),
        secret: Some("s3cret".into()),
        nonce: Some("Tm9uY2U=".into()),
    };
    let provider = ["DMClient", "Provider", "MS DM Server"];
    let poll = ["DMClient", "Provider", "MS DM Server", "Poll"];
    Document {
        certificates: vec![
            certificate(Store::Root, Place::System, b"root"),
            certificate(Store::My, Place::User, b"mine"),
        ],
        renewal: Some(Renewal { automatic: true, period_days: Some(60), retry_days: Some(4) }),
        account: Some(Account {
            provider: "MS DM Server".into(),
            name: Some("a & b".into()),
            address: "https://s/m?a=1&b=2".into(),
            tries: Some(6),
            backoff_ms: Some(30_000),
            backoff_ms_max: Some(120_000),
            compatible_retries_disabled: true,
            encoding: Some("application/vnd.syncml.dm+xml".into()),
            certificate_search: Some("Subject=CN%3d5AD0&Stores=My%5CUser".into()),
            role: Some("4294967295".into()),
            auths: vec![auth(Level::Server, None), auth(Level::Device, Some("5AD0"))],
            ..Account::default()
        }),
        settings: vec![
            setting(&provider, "EntDeviceName", "PC", "string"),
            setting(&poll, "NumberOfFirstRetries", "5", "integer"),
            setting(&poll, "IntervalForFirstSetOfRetries", "3", "integer"),
            setting(&poll, "NumberOfRemainingScheduledRetries", "0", "integer"),
            setting(&poll, "IntervalForRemainingScheduledRetries", "480", "integer"),
            setting(&poll, "PollOnLogin", "true", "boolean"),
            setting(&provider, "EntDMID", "7", "string"),
        ],
    }
}

#[test]
fn a_document_is_written_as_servers_do() {
    let wire = written(&typical());
    let check = |part: &str| assert!(wire.contains(part), "{part}\n{wire}");
    check(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><wap-provisioningdoc version=\"1.1\"><characteristic type=\"CertificateStore\">\
        <characteristic type=\"Root\"><characteristic type=\"System\"><characteristic type=\"D9A8\"><parm name=\"EncodedCertificate\" \
        value=\"cm9vdA==\"/></characteristic></characteristic></characteristic></characteristic>",
    );
    check("<characteristic type=\"PrivateKeyContainer\"/></characteristic><characteristic type=\"WSTEP\">");
    check(
        "<characteristic type=\"APPLICATION\"><parm name=\"APPID\" value=\"w7\"/><parm name=\"PROVIDER-ID\" value=\"MS DM Server\"/>\
        <parm name=\"NAME\" value=\"a &amp; b\"/><parm name=\"ADDR\" value=\"https://s/m?a=1&amp;b=2\"/>",
    );
    check("<parm name=\"BACKCOMPATRETRYDISABLED\"/>");
    check("<characteristic type=\"Poll\"><parm name=\"NumberOfFirstRetries\" value=\"5\" datatype=\"integer\"/>");
    check("<parm name=\"PollOnLogin\" value=\"true\" datatype=\"boolean\"/></characteristic><parm name=\"EntDMID\"");
}

#[test]
fn a_device_finds_what_it_needs() {
    let document = typical();
    let account = document.account.as_ref().unwrap();
    let auth = account.device_auth().unwrap();
    assert_eq!((auth.name.as_deref(), &*auth.nonce_bytes()), (Some("5AD0"), &b"Nonce"[..]));
    let poll = document.poll("ms dm server").unwrap();
    let set = |count, every_minutes| PollSet { count, every_minutes };
    assert_eq!((poll.first, poll.second, poll.remaining), (set(5, 3), set(0, 0), set(0, 480)));
    assert_eq!((poll.on_login, poll.on_first_login_of_any), (true, false));
    assert_eq!(document.poll("other"), None);
    let (path, first) = document.client_settings("MS DM Server").next().unwrap();
    assert_eq!((path.len(), &*first.name), (0, "EntDeviceName"));
}

#[test]
fn a_schedule_changes_by_numbers_only() {
    let mut poll = Poll::default();
    assert_eq!(poll.first, PollSet { count: 10, every_minutes: 15 });
    assert!(poll.set("intervalforfirstsetofretries", " 1 ") && poll.set("AllUsersPollOnFirstLogin", "1"));
    let before = poll;
    for (name, value) in [("NumberOfFirstRetries", "-1"), ("PollOnLogin", "yes"), ("Other", "1")] {
        assert!(!poll.set(name, value), "{name}");
    }
    assert_eq!(poll, before);
    assert_eq!((poll.first.every_minutes, poll.on_first_login_of_any), (1, true));
}

/// Cases of store names, stores apart, the mobile form of the address, levels mixed up, whatever else a server sets.
#[test]
fn documents_of_other_servers_are_read() {
    let document = read(
        "\n<wap-provisioningdoc version=\"1.1\">\n <characteristic type=\"CertificateStore\"><characteristic type=\"MY\">\
         <characteristic type=\"SYSTEM\"><characteristic type=\"AB\"><parm name=\"EncodedCertificate\" value=\" bWlu&#10; ZQ\"/>\
         <characteristic type=\"PrivateKeyContainer\"/></characteristic></characteristic>\
         <characteristic type=\"WSTEP\"><characteristic type=\"Renew\"><parm name=\"ROBOSupport\" value=\"TRUE\"/>\
         </characteristic></characteristic></characteristic></characteristic>\
         <characteristic type=\"CertificateStore\"><characteristic type=\"ROOT\"><characteristic type=\"System\">\
         <characteristic type=\"CD\"><parm name=\"EncodedCertificate\" value=\"cm9vdA==\"/></characteristic></characteristic>\
         </characteristic><characteristic type=\"TrustedPeople\"><characteristic type=\"System\"/></characteristic></characteristic>\
         <characteristic type=\"APPLICATION\"><parm name=\"APPID\" value=\"w7\"/><characteristic type=\"APPADDR\">\
         <parm name=\"ADDR\" value=\"https://m\"/><characteristic type=\"PORT\"><parm name=\"PORTNBR\" value=\"8443\"/></characteristic>\
         </characteristic><parm name=\"USEHWDEVID\"/>\
         <characteristic type=\"APPAUTH\"><parm name=\"AAUTHLEVEL\" value=\"CLIENT\"/><parm name=\"AAUTHNAME\" value=\"n\"/>\
         <parm name=\"AAUTHSECRET\" value=\"s\"/><parm name=\"AAUTHDATA\" value=\"nonce\"/></characteristic>\
         <characteristic type=\"APPAUTH\"><parm name=\"AAUTHLEVEL\" value=\"APPSRV\"/></characteristic></characteristic>\
         <characteristic type=\"Registry\"><characteristic type=\"HKLM\\A\"><parm name=\"b\" value=\"1\" datatype=\"integer\"/>\
         </characteristic></characteristic></wap-provisioningdoc>",
    );
    let stored: Vec<_> = document.certificates.iter().map(|c| (c.store, c.place, &*c.thumbprint, &*c.der)).collect();
    assert_eq!(stored, [(Store::My, Place::System, "AB", &b"mine"[..]), (Store::Root, Place::System, "CD", b"root")]);
    assert_eq!(document.renewal, Some(Renewal { automatic: true, ..Renewal::default() }));
    let account = document.account.as_ref().unwrap();
    assert_eq!((&*account.address, account.port, account.by_hardware_id), ("https://m", Some(8443), true));
    let auth = account.device_auth().unwrap();
    assert_eq!((auth.secret.as_deref(), &*auth.nonce_bytes()), (Some("s"), &b"nonce"[..]));
    assert_eq!(document.settings, [setting(&["Registry", "HKLM\\A"], "b", "1", "integer")]);
    written(&document);
}

#[test]
fn broken_documents_are_named() {
    let check = |inside: &str, expected: Broken| {
        let text = format!("<wap-provisioningdoc>{inside}</wap-provisioningdoc>");
        let error = Document::read(text.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error.broken, expected, "{text}");
    };
    let inside = |types: &[&str], parm: &str| {
        let open: String = types.iter().map(|kind| format!("<characteristic type=\"{kind}\">")).collect();
        format!("{open}{parm}{}", "</characteristic>".repeat(types.len()))
    };
    let stored =
        inside(&["CertificateStore", "Root", "System", "A"], "<parm name=\"EncodedCertificate\" value=\"!\"/>");
    check(&stored, Broken::Value("EncodedCertificate"));
    let renew = inside(&["CertificateStore", "My", "WSTEP", "Renew"], "<parm name=\"RenewPeriod\" value=\"soon\"/>");
    check(&renew, Broken::Value("RenewPeriod"));
    check(&inside(&["APPLICATION"], "<parm name=\"CONNRETRYFREQ\"/>"), Broken::Value("CONNRETRYFREQ"));
    check(&inside(&["APPLICATION"], "text"), Broken::StrayText);
    check(&"<characteristic type=\"a\">".repeat(100_000), Broken::TooDeep { depth_max: 32 });
    check("<?xml version=\"1.0\"?>", Broken::Declaration);
    let error = Document::read(b"<html/>", &Limits::default()).unwrap_err().broken;
    assert_eq!(error, Broken::Element { wanted: "wap-provisioningdoc", found: "html".into() });
}

/// A long name around many parameters would be kept once for each, a thousand times the document.
#[test]
fn settings_share_their_path() {
    let (name, parms) = ("n".repeat(100_000), "<parm name=\"a\"/>".repeat(ELEMENTS_MAX - 2));
    let around = |parms: &str| {
        format!("<wap-provisioningdoc><characteristic type=\"{name}\">{parms}</characteristic></wap-provisioningdoc>")
    };
    let document = read(&around(&parms));
    let [first, .., last] = &document.settings[..] else { panic!("no settings") };
    assert!(Arc::ptr_eq(&first.path[0], &last.path[0]));
    let more = around(&format!("{parms}<parm/>"));
    let error = Document::read(more.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.broken, Broken::TooManyElements { elements_max: ELEMENTS_MAX });
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("provisioning", target);
}

fn any_setting() -> impl Strategy<Value = Setting> {
    // Few names, so that neighbours share a part of their path.
    let path = prop::collection::vec("[ab<]{1,2}".prop_map(Arc::from), 1..4);
    let value = prop::option::of("[ -~\t\nä😀]{0,12}");
    (path, "[a-z\"]{0,4}", value, prop::option::of("[a-z]{1,8}")).prop_map(|(path, name, value, datatype)| Setting {
        path,
        name,
        value,
        datatype,
    })
}

fn any_certificate() -> impl Strategy<Value = Certificate> {
    let store = prop_oneof![Just(Store::Root), Just(Store::Ca), Just(Store::My)];
    let place = prop_oneof![Just(Place::System), Just(Place::User)];
    (store, place, "[A-F0-9]{40}", prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(store, place, thumbprint, der)| Certificate { store, place, thumbprint, der })
}

fn any_renewal() -> impl Strategy<Value = Renewal> {
    (any::<bool>(), any::<Option<u32>>(), any::<Option<u32>>())
        .prop_map(|(automatic, period_days, retry_days)| Renewal { automatic, period_days, retry_days })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        certificates in prop::collection::vec(any_certificate(), 0..5),
        renewal in prop::option::of(any_renewal()),
        provider in "[ -~]{0,10}",
        numbers in any::<(Option<u16>, Option<u32>, Option<u64>, Option<u64>, bool, bool)>(),
        settings in prop::collection::vec(any_setting(), 0..8),
        has_account in any::<bool>(),
    ) {
        let (port, tries, backoff_ms, backoff_ms_max, compatible_retries_disabled, by_hardware_id) = numbers;
        let account = Account {
            provider, port, tries, backoff_ms, backoff_ms_max, compatible_retries_disabled, by_hardware_id,
            ..typical().account.unwrap()
        };
        written(&Document { certificates, renewal, account: has_account.then_some(account), settings });
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..3_000, flip in 0_usize..3_000) {
        target(&bytes);
        let mut wire = written(&typical()).into_bytes();
        if let Some(byte) = wire.get_mut(flip) {
            *byte ^= 1;
        }
        target(&wire);
        wire.truncate(cut);
        target(&wire);
    }
}
