//! Profiles read, written and refused.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::apple::identity::Hardware;
use droves_facts::Dur;
use proptest::prelude::*;

const SAMPLE: &str = include_str!("../../../testdata/apple/enroll.mobileconfig");

fn parse(text: &str) -> Result<EnrollmentProfile, ProfileError> {
    EnrollmentProfile::parse(text.as_bytes(), Allowances::default(), &Limits::default())
}

#[test]
fn a_profile_is_read() {
    let profile = parse(SAMPLE).unwrap();
    assert_eq!(profile.heading.identifier, "com.example.mdm.enroll");
    assert!(!profile.signed);
    let mdm = &profile.mdm;
    assert_eq!(mdm.topic, "com.apple.mgmt.External.b8f2a7d0-9c1e-4f6b-8a53-0d2e7c4b9f16");
    assert_eq!(mdm.server_url, "https://mdm.example.com/mdm?token=a&b=c");
    assert_eq!(mdm.check_in_url(), "https://mdm.example.com/checkin");
    assert!(mdm.sign_message && mdm.check_out_when_removed && mdm.per_user_connections() && mdm.bootstrap_token());
    assert!(!mdm.token());
    assert_eq!(mdm.rights(), AccessRights::ALL);
    let Identity::Scep(heading, scep) = &profile.identity else { panic!("{:?}", profile.identity) };
    assert_eq!(heading.uuid, "CB90E976-AD44-4B69-8108-8095E6260978");
    assert_eq!((scep.url.as_str(), scep.name.as_str()), ("http://scep.example.com/scep", "example"));
    assert_eq!((scep.key_bits, scep.key_usage, scep.retries, scep.retry_delay), (2_048, 5, 3, Dur::secs(10)));
    assert_eq!(scep.challenge.as_deref(), Some("secret"));
    assert_eq!(scep.alt_names.dns_names, ["a.example.com", "b.example.com"]);
    assert_eq!(scep.alt_names.rfc822_names, ["device@example.com"]);
    assert_eq!(profile.anchors.len(), 1);
    assert_eq!(
        (profile.anchors[0].kind, profile.anchors[0].content.as_slice()),
        (AnchorKind::Root, &b"not a certificate"[..])
    );
    assert_eq!(profile.others, ["com.apple.wifi.managed"]);
    let hardware = Hardware { serial_number: "F2LX1234YZ", ..Hardware::default() };
    let pair = |kind: &str, value: &str| vec![(kind.to_owned(), value.to_owned())];
    assert_eq!(scep.subject_of(&hardware, "x"), [pair("O", "Example"), pair("CN", "F2LX1234YZ (%Unknown%)")]);
    let bare = Scep { subject: vec![], ..scep.clone() };
    assert_eq!(bare.subject_of(&hardware, "com.example.scep"), [pair("CN", "com.example.scep")]);
}

#[test]
fn what_a_device_shows_its_user_is_named() {
    let check = |from: &str, to: &str, expected: ProfileError| {
        assert!(SAMPLE.contains(from), "{from}");
        assert_eq!(parse(&SAMPLE.replace(from, to)), Err(expected), "{from} -> {to}");
    };
    let mdm = "com.apple.mdm";
    let rights = |bits: &str| format!("<integer>{bits}</integer>");
    check("com.apple.mdm<", "com.example<", ProfileError::NoMdm);
    check("com.apple.wifi.managed", mdm, ProfileError::TwoMdm);
    check(
        "com.apple.mgmt.External",
        "com.example",
        ProfileError::Topic("com.example.b8f2a7d0-9c1e-4f6b-8a53-0d2e7c4b9f16".into()),
    );
    check("https://mdm.example.com/mdm", "http://mdm.example.com/mdm", ProfileError::NotHttps("ServerURL"));
    check("https://mdm.example.com/checkin", "ftp://x", ProfileError::NotHttps("CheckInURL"));
    check(">Topic<", ">Tropic<", ProfileError::Missing { payload: mdm, key: "Topic" });
    check(">AccessRights<", ">Rights<", ProfileError::Missing { payload: mdm, key: "AccessRights" });
    check(&rights("8191"), &rights("0"), RightsError::None.into());
    check(&rights("8191"), &rights("2"), RightsError::ProfilesUnseen.into());
    check(&rights("8191"), &rights("129"), RightsError::ProvisioningUnseen.into());
    check(&rights("8191"), &rights("8192"), RightsError::Unknown.into());
    check(&rights("8191"), &rights("-1"), RightsError::Unknown.into());
    check(&rights("8191"), "<string>8191</string>", ProfileError::Value { payload: mdm, key: "AccessRights" });
    let mode = |mode: &str| format!("<key>EnrollmentMode</key><string>{mode}</string><key>SignMessage</key>");
    check("<key>SignMessage</key>", &mode("BYOD"), ProfileError::RightsInUserEnrollment);
    check(
        "<key>SignMessage</key>",
        &mode("ADDE"),
        ProfileError::Missing { payload: mdm, key: "AssignedManagedAppleID" },
    );
    check("<key>SignMessage</key>", &mode("X"), ProfileError::Value { payload: mdm, key: "EnrollmentMode" });
    check(
        "<string>CB90E976-AD44-4B69-8108-8095E6260978</string><!-- identity -->",
        "<string>1</string>",
        ProfileError::NoIdentity,
    );
    check("com.apple.security.scep<", "com.apple.vpn<", ProfileError::NotAnIdentity("com.apple.vpn".into()));
    let scep = "com.apple.security.scep";
    check("<integer>2048</integer>", "<integer>512</integer>", ProfileError::Value { payload: scep, key: "Keysize" });
    check("<string>RSA</string>", "<string>EC</string>", ProfileError::Value { payload: scep, key: "Key Type" });
    check(">URL<", ">Url<", ProfileError::Missing { payload: scep, key: "URL" });
    check(
        "<string>Configuration</string>",
        "<string>Profile Service</string>",
        ProfileError::NotAConfiguration("Profile Service".into()),
    );
    check(
        "<key>PayloadContent</key><!-- top -->",
        "<key>IsEncrypted</key><true/><key>PayloadContent</key>",
        ProfileError::Encrypted,
    );
    assert_eq!(parse("<plist><array/></plist>"), Err(ProfileError::NotADictionary));
    assert!(matches!(parse("hello"), Err(ProfileError::Plist(_))));
    assert!(matches!(parse("\u{30}\u{0}"), Err(ProfileError::Envelope(_))));
    let http = SAMPLE.replace("https://", "http://");
    assert!(EnrollmentProfile::parse(http.as_bytes(), Allowances { http: true }, &Limits::default()).is_ok());
}

/// Apple's sample of the payload (schema `mdm/profiles/com.apple.security.acme`), its values made up.
const ACME: &str = include_str!("../../../testdata/apple/enroll-acme.mobileconfig");

#[test]
fn an_identity_by_acme_is_read() {
    let Identity::Acme(heading, acme) = parse(ACME).unwrap().identity else { panic!("no ACME") };
    assert_eq!(heading.uuid, "CB90E976-AD44-4B69-8108-8095E6260978");
    assert_eq!(acme.directory_url, "https://ca.example.com/acme/devices/directory");
    assert_eq!((acme.client_identifier.as_str(), acme.key), ("%SerialNumber%", AcmeKey::Ec(384)));
    assert!(acme.hardware_bound && acme.attest && acme.key_is_extractable);
    assert_eq!(acme.subject, [vec![("CN".to_owned(), "%SerialNumber%".to_owned())]]);
    assert_eq!((acme.key_usage, acme.extended_key_usages.len()), (1, 1));
    assert_eq!(acme.alt_names.uris, ["urn:example:device"]);
}

#[test]
fn a_key_that_no_hardware_has_is_refused() {
    let check = |from: &str, to: &str, expected: ProfileError| {
        assert!(ACME.contains(from), "{from}");
        assert_eq!(parse(&ACME.replace(from, to)), Err(expected), "{from} -> {to}");
    };
    let payload = "com.apple.security.acme";
    let value = |key| ProfileError::Value { payload, key };
    let bound = "<key>HardwareBound</key>\n\t\t\t<true/>";
    check("https://ca", "http://ca", ProfileError::NotHttps("DirectoryURL"));
    check(bound, &bound.replace("true", "false"), value("Attest"));
    check(bound, "", ProfileError::Missing { payload, key: "HardwareBound" });
    check("<integer>384</integer>", "<integer>521</integer>", value("HardwareBound"));
    check("<integer>384</integer>", "<integer>512</integer>", value("KeySize"));
    check("ECSECPrimeRandom", "RSA", value("KeySize"));
    check("ECSECPrimeRandom", "EC", value("KeyType"));
    check(">Subject<", ">Object<", ProfileError::Missing { payload, key: "Subject" });
    check(">ClientIdentifier<", ">Client<", ProfileError::Missing { payload, key: "ClientIdentifier" });
}

#[test]
fn a_signed_profile_is_read_through_its_envelope() {
    use crate::cms::{self, Signing};
    use crate::digest::Digest;
    use crate::keys::tests::rsa;
    let authority = crate::ca::Authority::create("Test CA", droves_facts::Wall(1_760_000_000_000_000)).unwrap();
    let now = droves_facts::Wall(1_760_000_000_000_000);
    let certificate = authority.issue_identity("signer", rsa(0).spki(), 1, now).unwrap();
    let signing = Signing {
        key: rsa(0),
        certificate: &certificate,
        digest: Digest::Sha256,
        time: Some(now),
        attributes: &[],
        others: &[],
        detached: false,
    };
    let signed = cms::sign(SAMPLE.as_bytes(), &signing).unwrap();
    let streamed = cms::streamed(&signed, &Limits::default()).unwrap();
    let plain = parse(SAMPLE).unwrap();
    for bytes in [signed, streamed] {
        let read = EnrollmentProfile::parse(&bytes, Allowances::default(), &Limits::default()).unwrap();
        assert_eq!(read, EnrollmentProfile { signed: true, ..plain.clone() });
        assert!(InstalledProfile::parse(&bytes, &Limits::default()).is_ok());
    }
}

#[test]
fn a_profile_is_listed_as_devices_do() {
    let listed = InstalledProfile::parse(SAMPLE.as_bytes(), &Limits::default()).unwrap();
    assert!(listed.updates_mdm() && listed.removal_disallowed && !listed.has_removal_passcode && !listed.signed);
    assert_eq!(listed.heading.display_name.as_deref(), Some("Example & Co"));
    let kinds: Vec<&str> = listed.payloads.iter().map(|payload| payload.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["com.apple.security.root", "com.apple.security.scep", "com.apple.wifi.managed", "com.apple.mdm"]
    );
    assert_eq!(listed.payloads[2].heading.identifier, "com.example.mdm.enroll.wifi");
}

#[test]
fn an_update_may_only_take_away() {
    let installed = parse(SAMPLE).unwrap().mdm;
    let check = |change: fn(&mut Mdm), expected: Result<(), UpdateRefused>| {
        let mut update = installed.clone();
        change(&mut update);
        assert_eq!(installed.takes(&update), expected);
    };
    check(|_| {}, Ok(()));
    check(|mdm| mdm.sign_message = false, Ok(()));
    check(|mdm| mdm.access_rights = Some(AccessRights::LOCK), Ok(()));
    check(|mdm| mdm.server_url.push_str("&x=y"), Err(UpdateRefused::Changed("ServerURL")));
    check(|mdm| mdm.check_in_url = None, Err(UpdateRefused::Changed("CheckInURL")));
    check(|mdm| mdm.topic.push('x'), Err(UpdateRefused::Changed("Topic")));
    check(|mdm| mdm.server_capabilities.clear(), Err(UpdateRefused::UserConnections));
    let fewer = Mdm { access_rights: Some(AccessRights::LOCK), ..installed.clone() };
    assert_eq!(fewer.takes(&installed), Err(UpdateRefused::MoreRights));
}

#[test]
fn variables_are_filled_in_once() {
    let hardware = Hardware {
        serial_number: "%HardwareUUID%",
        udid: "U",
        device_name: "Ada's Mac",
        mac_address: Some("aa:bb:cc:dd:ee:ff"),
        ..Hardware::default()
    };
    let check = |text: &str, expected: &str| assert_eq!(substitute(text, &hardware), expected);
    check("", "");
    check("plain", "plain");
    check("%SerialNumber%", "%HardwareUUID%");
    check("a %ComputerName% b %MACAddress%", "a Ada's Mac b aa:bb:cc:dd:ee:ff");
    check("100% %HardwareUUID% 5%", "100% U 5%");
    check("%HostName%%HardwareUUID%", "%HostName%U");
    check("%%", "%%");
}

/// Measured elsewhere: 2,090 bytes with SCEP, unsigned; ours differs by names and by the keys that are left out.
#[test]
fn the_size_is_that_of_a_real_profile() {
    let mut profile = parse(SAMPLE).unwrap();
    profile.anchors.clear();
    profile.mdm.check_in_url = None;
    if let Identity::Scep(_, scep) = &mut profile.identity {
        scep.alt_names = AltNames::default();
    }
    let mut out = Vec::new();
    profile.write(&mut out);
    assert!(out.len().abs_diff(2_090) < 700, "{}", out.len());
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("profile", target);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        texts in prop::collection::vec("\\PC{1,20}", 8),
        rights in prop_oneof![Just(None), Just(Some(8191)), Just(Some(19))],
        flags: [bool; 6],
        key_bits in prop::sample::select(vec![1_024, 2_048, 4_096]),
        content in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let heading = |n: usize| Heading {
            display_name: flags[0].then(|| texts[n].clone()),
            organization: flags[1].then(|| texts[n].clone()),
            ..Heading::named(texts[n].clone(), format!("{n}"))
        };
        let mode = rights.is_none().then_some(EnrollmentMode::User);
        let mdm = Mdm {
            heading: heading(0),
            identity_certificate_uuid: "1".into(),
            topic: format!("com.apple.mgmt.{}", texts[0]),
            server_url: format!("https://{}", texts[1]),
            check_in_url: flags[2].then(|| format!("HTTPS://{}", texts[2])),
            sign_message: flags[3],
            access_rights: rights.map(|bits| AccessRights::new(bits).unwrap()),
            server_capabilities: texts[3..5].to_vec(),
            check_out_when_removed: flags[4],
            enrollment_mode: mode,
            assigned_managed_apple_id: mode.map(|_| texts[5].clone()),
            managed_apple_id: None,
            use_development_apns: flags[5],
            server_url_pins: texts[..usize::from(flags[0])].to_vec(),
            check_in_url_pins: vec![],
            pinning_revocation_check_required: flags[1],
            required_app_id: flags[2].then_some(7),
            prompt_user_for_bootstrap_token: flags[3],
        };
        let scep = Scep {
            url: texts[6].clone(),
            name: texts[7].clone(),
            subject: vec![vec![(texts[0].clone(), texts[1].clone()), (texts[2].clone(), String::new())]],
            challenge: flags[4].then(|| texts[3].clone()),
            key_bits,
            key_usage: 5,
            ca_fingerprint: flags[5].then(|| vec![7; 32]),
            retries: 9,
            retry_delay: Dur::secs(3),
            alt_names: AltNames { dns_names: texts[..usize::from(flags[0])].to_vec(), ..AltNames::default() },
            key_is_extractable: flags[1],
            allow_all_apps_access: flags[2],
        };
        let acme = Acme {
            directory_url: format!("https://{}", texts[0]),
            client_identifier: texts[1].clone(),
            key: if flags[4] { AcmeKey::Ec(384) } else { AcmeKey::Rsa(2_048) },
            hardware_bound: flags[4],
            attest: flags[4] && flags[5],
            subject: scep.subject.clone(),
            alt_names: scep.alt_names.clone(),
            key_usage: u8::from(flags[0]),
            extended_key_usages: texts[..usize::from(flags[1])].to_vec(),
            key_is_extractable: flags[2],
            allow_all_apps_access: flags[0],
        };
        let identity = match (flags[3], flags[1]) {
            (true, true) => Identity::Scep(heading(1), scep),
            (true, false) => Identity::Acme(heading(1), acme),
            (false, _) => {
                Identity::Pkcs12 { heading: heading(1), content: content.clone(), password: flags[4].then(String::new) }
            }
        };
        let anchors = vec![
            Anchor { heading: heading(2), kind: AnchorKind::Pem, content: content.clone() },
            Anchor { heading: heading(3), kind: AnchorKind::Pkcs1, content },
        ];
        let profile = EnrollmentProfile { heading: heading(4), signed: false, mdm, identity, anchors, others: vec![] };
        let mut out = Vec::new();
        profile.write(&mut out);
        prop_assert_eq!(EnrollmentProfile::parse(&out, Allowances::default(), &Limits::default()), Ok(profile));
        target(&out);
    }

    #[test]
    fn no_damage_does_harm(at in 0..SAMPLE.len(), byte in any::<u8>(), cut in 0..SAMPLE.len()) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        target(&bytes);
        target(&bytes[..cut]);
    }
}
