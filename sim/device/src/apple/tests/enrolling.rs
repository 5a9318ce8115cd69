//! Enrolling, step by step, and what each answer means there.

use super::*;
use droves_wire::cms::{self, Signing};
use droves_wire::digest::Digest;

#[test]
fn a_device_enrolls_and_comes_back_soon() {
    let mut rig = Rig::new(ios());
    let action = rig.order(Order::Enroll);
    assert_eq!(rig.operations(), IN);
    assert!(rig.world.identity.is_some());
    for key in ["DeviceName", "Model", "ModelName"] {
        assert_eq!(rig.message(3).get(key), None, "iOS does not tell it");
    }
    for key in ["OSVersion", "BuildVersion", "ProductName", "SerialNumber", "IMEI", "MEID", "UDID"] {
        assert!(rig.message(3).get(key).is_some(), "{key}");
    }
    let state = |fact: &Fact| if let Fact::Device { from, to } = fact { Some((*from, *to)) } else { None };
    let states: Vec<_> = rig.facts.iter().filter_map(state).collect();
    use DeviceState::{Enrolled, Enrolling, Unenrolled};
    assert_eq!(states, [(Unenrolled, Enrolling), (Enrolling, Enrolled)]);
    assert!(rig.wait(&action) <= Dur::secs(10));
    let again = rig.time(&action);
    assert_eq!(rig.operations().last(), Some(&"apple.idle"));
    assert!(rig.wait(&again) > Dur::secs(86_400) && again.hear.has(Reasons::PUSH | Reasons::ORDER), "{again:?}");
}

#[test]
fn a_mac_tells_its_name_and_its_bootstrap_token() {
    let mdm = MDM.replace("</array>", "<string>com.apple.mdm.bootstraptoken</string></array>");
    let subject = "<key>Subject</key><array><array><array><string>CN</string><string>%SerialNumber%</string></array>\
                   </array></array>";
    let mut rig = Rig::with(Character { users: 1, ..mac() }, &enrollment_with(subject, &mdm));
    rig.order(Order::Enroll);
    assert_eq!(rig.operations()[5..], ["apple.set_bootstrap_token"]);
    assert!(rig.message(3).get("DeviceName").is_some() && rig.message(3).get("ModelName").is_some());
    assert!(rig.message(4).get("UnlockToken").is_none(), "only iOS has one");
    let serial = rig.message(3).get("SerialNumber").and_then(|serial| serial.as_str().map(str::to_owned)).unwrap();
    assert_eq!(rig.ca_asked[0].1, format!("CN={serial}"));
    assert_eq!(rig.orders, [(1, Order::Enroll)]);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
}

/// Authenticate answered with anything but 200: the profile's installation fails, and the identity is discarded.
#[test]
fn authenticate_is_taken_with_200_only() {
    let refusals = [status(204), status(401), unrecognized(), status(403), status(404), status(410), status(500)];
    for reply in refusals.into_iter().chain([timeout(), Reply::Moves(301, "https://mdm.test/elsewhere")]) {
        let mut rig = Rig::new(ios());
        // What follows a redirect is a GET, and no Authenticate: no server takes it for one.
        rig.script = [reply.clone(), status(405)].into();
        let action = rig.order(Order::Enroll);
        assert!(matches!(action.what, What::End(Why::GaveUp)), "{reply:?}");
        assert_eq!(rig.world.identity, None, "{reply:?}");
        assert!(matches!(rig.ended[..], [(Operation::Enroll, Outcome::Failed { .. })]), "{reply:?}");
        assert!(!rig.operations().contains(&"apple.token_update"), "{reply:?}");
        // Ordered once more it enrolls.
        rig.forget();
        rig.script.clear();
        rig.order(Order::Enroll);
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    }
}

#[test]
fn a_token_update_is_tried_again_until_it_is_taken() {
    for reply in [status(400), status(403), status(404), status(500), status(503), timeout()] {
        let mut rig = Rig::new(ios());
        rig.script = [ok(), reply.clone(), reply.clone()].into();
        let first = rig.order(Order::Enroll);
        assert!((4..=6).contains(&(rig.wait(&first).0 / 1_000_000)), "{reply:?}");
        assert!(rig.ended.is_empty(), "{reply:?}");
        let second = rig.time(&first);
        assert!((12..=18).contains(&(rig.wait(&second).0 / 1_000_000)), "{reply:?}");
        rig.time(&second);
        assert_eq!(rig.operations()[4..], ["apple.token_update"; 3], "{reply:?}");
        assert_eq!(rig.asked[4].body, rig.asked[6].body, "{reply:?}");
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)], "{reply:?}");
    }
    for reply in [status(401), unrecognized()] {
        let mut rig = Rig::new(ios());
        rig.script = [ok(), reply.clone()].into();
        let action = rig.order(Order::Enroll);
        assert!(matches!(action.what, What::End(Why::Removed)), "{reply:?}");
        assert_eq!(rig.operations()[5..], ["apple.check_out"], "{reply:?}");
        assert!(matches!(rig.ended[..], [(Operation::Enroll, Outcome::Failed { .. })]), "{reply:?}");
    }
}

#[test]
fn a_push_service_that_fails_is_asked_again() {
    let mut rig = Rig::new(ios());
    let mut action = rig.order_until(Order::Enroll, |request| matches!(request.peer, Peer::PushService { .. }));
    action = rig.rest(action, |rig| rig.answer(503, Bytes::new(), HeaderMap::new()));
    assert!((4..=6).contains(&(rig.wait(&action).0 / 1_000_000)));
    rig.time(&action);
    assert_eq!(rig.operations(), IN);
}

#[test]
fn a_redirect_is_followed_and_forgotten() {
    // 307 and 308 keep method and body.
    for code in [307, 308] {
        let mut rig = Rig::enrolled(ios());
        rig.pushed([Reply::Moves(code, "/other?x=1"), bare("1", "SecurityInfo"), ok()]);
        let urls: Vec<&str> = rig.asked.iter().map(|asked| &*asked.url).collect();
        assert_eq!(urls, ["https://mdm.test/mdm", "https://mdm.test/other?x=1", "https://mdm.test/mdm"]);
        assert_eq!((rig.asked[0].method, &rig.asked[0].body), (rig.asked[1].method, &rig.asked[1].body));
    }
    // After any other the device asks with GET.
    let mut rig = Rig::enrolled(ios());
    rig.pushed([Reply::Moves(302, "https://mdm.test/login"), ok()]);
    assert_eq!((rig.asked[1].method, rig.asked[1].body.len()), (Method::Get, 0));
    // For ever, to nowhere, or away from https it is not followed.
    for (to, asked) in [("/mdm", 11), ("ftp://mdm.test/", 1), ("", 1), ("http://mdm.test/mdm", 1)] {
        let mut rig = Rig::enrolled(ios());
        rig.world.character.allow_http = false;
        let action = rig.pushed(vec![Reply::Moves(307, to); 20]);
        assert_eq!(rig.asked.len(), asked, "{to}");
        assert!(!action.until.is_never(), "{to}");
    }
}

#[test]
fn a_pending_certificate_is_polled_for_as_long_as_the_profile_says() {
    let profile =
        enrollment_with("<key>Retries</key><integer>3</integer><key>RetryDelay</key><integer>20</integer>", MDM);
    let mut rig = Rig::with(ios(), &profile);
    rig.ca_pending = 3;
    let begun = rig.world.clocks.now;
    rig.order(Order::Enroll);
    assert_eq!(rig.operations()[2..6], ["apple.scep.issue", "apple.scep.poll", "apple.scep.poll", "apple.scep.poll"]);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    // The first poll is at once.
    assert_eq!(rig.world.clocks.now.since(begun).0 / 1_000_000, 40);
    let mut rig = Rig::with(ios(), &profile);
    rig.ca_pending = 4;
    assert!(matches!(rig.order(Order::Enroll).what, What::End(Why::GaveUp)));
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Failed { blame: Blame::Server, kind: "scep_pending" })]);
}

#[test]
fn a_ca_without_post_is_asked_by_get() {
    let mut rig = Rig::new(ios());
    rig.capabilities = "SHA-256\nAES\n";
    rig.order(Order::Enroll);
    assert_eq!((rig.asked[2].method, rig.asked[2].body.len()), (Method::Get, 0));
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
}

#[test]
fn what_a_ca_says_wrong_fails_the_enrollment_in_words() {
    let html = || Reply::Says(200, Bytes::from_static(b"<html>hello</html>"));
    let caps = || Reply::Says(200, Bytes::from_static(server::CAPABILITIES.as_bytes()));
    let ca = || Reply::Says(200, Bytes::copy_from_slice(authority().certificate()));
    let scripts: [Vec<Reply>; 8] = [
        vec![status(404)],
        vec![html()],
        vec![timeout()],
        vec![Reply::Says(200, Bytes::from_static(b"POSTPKIOperation\nDES3\n"))],
        vec![caps(), html()],
        vec![caps(), ok()],
        vec![caps(), ca(), html()],
        vec![caps(), ca(), status(500)],
    ];
    for script in scripts {
        let mut rig = Rig::new(ios());
        rig.ca_script = script.clone().into();
        let action = rig.order(Order::Enroll);
        assert!(matches!(action.what, What::End(Why::GaveUp)), "{script:?}");
        assert!(matches!(rig.ended[..], [(Operation::Enroll, Outcome::Failed { .. })]), "{script:?}");
        assert!(rig.count(|fact| matches!(fact, Fact::Complaint { .. })) > 0, "{script:?}");
        assert_eq!(rig.asked.len(), script.len());
    }
}

#[test]
fn a_profile_comes_from_its_link_signed_or_not() {
    let link = || Enrolls::Profile(ProfileSource::Url("https://mdm.test/enroll".into()));
    let whole = authority().issue_identity("Signer", key(KeyIx(0)).spki(), 5, Wall::VIRTUAL_START).unwrap();
    let signing = Signing {
        key: key(KeyIx(0)),
        certificate: &whole,
        digest: Digest::Sha256,
        time: None,
        attributes: &[],
        others: &[],
        detached: false,
    };
    let signed = cms::sign(enrollment().as_bytes(), &signing).unwrap();
    for (bytes, signers) in [(enrollment().into_bytes(), 0), (signed, 1)] {
        let mut rig = Rig::new(Character { enrolls: link(), ..ios() });
        rig.world.character.enrolls = link();
        rig.script = [Reply::Says(200, bytes.into())].into();
        rig.order(Order::Enroll);
        assert_eq!((rig.operations()[0], rig.asked[0].method), ("apple.profile", Method::Get));
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
        rig.pushed([bare("1", "ProfileList")]);
        let message = rig.message(1);
        let listed = message.get("ProfileList").and_then(|list| list.as_array()).unwrap();
        let certificates = listed[0].get("SignerCertificates").and_then(|list| list.as_array()).unwrap_or_default();
        assert_eq!(certificates.len(), signers);
    }
    let mut rig = Rig::new(ios());
    rig.world.character.enrolls = link();
    rig.script = [status(404)].into();
    rig.order(Order::Enroll);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Failed { blame: Blame::Server, kind: "status_404" })]);
}

#[test]
fn a_profile_that_enrolls_nobody_is_refused_in_words() {
    let good = enrollment();
    let profiles = [
        "<plist version=\"1.0\"><dict/></plist>".to_owned(),
        "no plist".to_owned(),
        good.replace("com.apple.mgmt.External.x", "org.example.topic"),
        good.replace("https://mdm.test/mdm", "ftp://mdm.test/mdm"),
        good.replace("<integer>8191</integer>", "<integer>2</integer>"),
        good.replace("com.apple.security.scep", "com.apple.security.none"),
    ];
    for profile in profiles {
        let mut rig = Rig::with(ios(), &profile);
        assert!(matches!(rig.order(Order::Enroll).what, What::End(Why::GaveUp)), "{profile}");
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Failed { blame: Blame::Scenario, kind: "profile" })]);
        assert!(rig.asked.is_empty());
    }
    // Plain http is for servers on loopback, and only where the scenario allows it.
    let mut rig = Rig::with(ios(), &good.replace("https://mdm.test/mdm", "http://mdm.test/mdm"));
    rig.world.character.allow_http = false;
    assert!(matches!(rig.order(Order::Enroll).what, What::End(Why::GaveUp)));
}

fn given(password: &str) -> String {
    let identity = format!("{password}<key>PayloadContent</key><data>ZmlsZQ==</data>");
    profile_of(&payload("com.apple.security.pkcs12", "A", &identity), MDM)
}

#[test]
fn an_identity_in_the_profile_is_unpacked_and_never_renewed_by_itself() {
    let mut rig = Rig::with(ios(), &given("<key>Password</key><string>secret</string>"));
    let action = rig.order(Order::Enroll);
    assert_eq!(rig.operations(), ["apple.authenticate", "apple.token_update"]);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    let certificate = rig.world.identity.as_ref().unwrap().certificate.clone();
    assert_eq!(droves_wire::x509::common_name(&certificate).unwrap().as_deref(), Some("given"));
    let again = rig.time(&action);
    assert!(rig.wait(&again) > Dur::secs(10 * 365 * 86_400), "{again:?}");
}

#[test]
fn an_identity_in_the_profile_that_does_not_open_ends_the_enrollment() {
    for password in ["<key>Password</key><string>wrong</string>", ""] {
        let mut rig = Rig::with(ios(), &given(password));
        let action = rig.order(Order::Enroll);
        assert!(matches!(action.what, What::End(Why::GaveUp)), "{password}");
        assert!(rig.operations().is_empty() && rig.world.identity.is_none(), "{password}");
        assert!(matches!(rig.ended[..], [(Operation::Enroll, Outcome::Failed { .. })]), "{password}");
    }
}

/// The server installs the enrollment's profile again, with another file.
#[test]
fn an_identity_in_the_profile_is_renewed_by_a_new_profile() {
    let profile = given("<key>Password</key><string>secret</string>");
    let mut rig = Rig::with(ios(), &profile);
    rig.order(Order::Enroll);
    let before = rig.world.identity.clone().unwrap();
    rig.forget();
    rig.pushed([command("1", &Wanted::InstallProfile { payload: profile.as_bytes() }), ok(), ok(), ok()]);
    assert_eq!(rig.operations()[..3], ["apple.idle", "apple.authenticate", "apple.token_update"]);
    assert_ne!(rig.world.identity.clone().unwrap().key, before.key);
    assert_eq!(rig.operations()[3..], ["apple.command"], "the result, by the new identity");
}

/// The scenario gave the first profile; what the server installs later is the server's.
#[test]
fn a_bad_profile_by_a_command_is_the_servers_fault() {
    let bad = given("<key>Password</key><string>wrong</string>");
    for (installed, kind) in [(bad.as_str(), "pkcs12"), (&given(""), "profile")] {
        let mut rig = Rig::with(ios(), &given("<key>Password</key><string>secret</string>"));
        rig.order(Order::Enroll);
        rig.forget();
        rig.pushed([command("1", &Wanted::InstallProfile { payload: installed.as_bytes() }), ok(), ok()]);
        let complaint =
            |fact: &Fact| if let Fact::Complaint { blame, kind, .. } = fact { Some((*blame, *kind)) } else { None };
        let complaints: Vec<_> = rig.facts.iter().filter_map(complaint).collect();
        assert_eq!(complaints, [(Blame::Server, kind)]);
    }
}
