//! From discovery to the account, and what a server can do to prevent it.

use super::*;
use crate::Discovery;
use droves_wire::windows::discovery::AuthPolicy;
use droves_wire::windows::soap::{Credential, TokenKind};

const WHOLE: [&str; 4] = ["windows.discovery", "windows.policy", "windows.issue", "windows.first_message"];

impl Rig {
    fn with(change: impl FnOnce(&mut Discovery)) -> Self {
        let mut character = windows();
        let Enrolls::Discovery(discovery) = &mut character.enrolls else { panic!() };
        change(Arc::make_mut(discovery));
        Rig::new(character)
    }

    /// Orders an enrollment that fails for good, for this reason.
    fn fails(&mut self, kind: &str) {
        let action = self.order(Order::Enroll);
        assert!(matches!(action.what, What::End(crate::Why::GaveUp)), "{kind}: {action:?}");
        assert!(
            matches!(self.ended[..], [(Operation::Enroll, Outcome::Failed { kind: why, .. })] if why == kind),
            "{:?}",
            self.ended
        );
        assert_eq!(self.complaints(), [kind]);
        assert_eq!(Windows::state(&self.machine.record()), DeviceState::Failed);
        assert_eq!(self.world.identity, None);
    }

    fn read<'a, T>(&'a self, n: usize, read: impl FnOnce(&'a [u8], &droves_facts::Limits) -> T) -> T {
        read(&self.asked[n].body, &self.world.limits)
    }
}

fn fault(kind: FaultKind) -> Reply {
    let mut out = Vec::new();
    Fault::of(kind, "not now").write(&mut out, &AnswerHeader::default());
    Reply::Says(200, out.into())
}

#[test]
fn an_enrollment_says_what_a_recorded_one_says() {
    let mut rig = Rig::new(windows());
    rig.order(Order::Enroll);
    assert_eq!(rig.operations(), WHOLE);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    assert_eq!(&*rig.asked[1].url, "https://mdm.example.test/policy");
    assert_eq!(&*rig.asked[2].url, "https://mdm.example.test/enroll");
    assert_eq!(&*rig.asked[3].url, "https://mdm.example.test/manage?mode=Maintenance&Platform=WoA");
    let discover = rig.read(0, discovery::Request::read).unwrap();
    assert_eq!((&*discover.email, &*discover.version), ("user7@example.test", "5.0"));
    assert_eq!(
        (&*discover.application_version, &*discover.header.to),
        ("10.0.22631.3447", "https://mdm.example.test/EnrollmentServer/Discovery.svc")
    );
    let policy = rig.read(1, policy::Request::read).unwrap();
    let password = Credential::Password { user: "user7@example.test".into(), password: "secret".into() };
    assert_eq!(policy.header.credential, Some(password.clone()));
    let issue = rig.read(2, issue::Request::read).unwrap();
    assert_eq!(issue.header.credential, Some(password));
    let ids = [&discover.header.message_id, &policy.header.message_id, &issue.header.message_id];
    assert!(ids.iter().all(|id| id.starts_with("urn:uuid:")) && ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    for name in [
        "UXInitiated",
        "HWDevID",
        "Locale",
        "TargetedUserLoggedIn",
        "OSEdition",
        "DeviceName",
        "MAC",
        "DeviceID",
        "EnrollmentType",
        "DeviceType",
        "OSVersion",
        "ApplicationVersion",
        "NotInOobe",
        "RequestVersion",
    ] {
        assert!(issue.context(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
    let asked_for = issue.token.open(&rig.world.limits).unwrap().csr;
    let id = issue.context("DeviceID").unwrap().to_owned();
    assert_eq!(asked_for.device_id.as_deref(), Some(&*id));
    assert_eq!(rig.told(3).header.source.uri, id);
    assert_eq!(rig.device_id(), id);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Device { to: DeviceState::Enrolled, .. })), 1);
}

#[test]
fn an_older_build_speaks_an_older_version() {
    let mut rig = Rig::new(Character { os_version: "10.0.19043.2364".into(), ..windows() });
    rig.order(Order::Enroll);
    assert_eq!(rig.read(0, discovery::Request::read).unwrap().version, "4.0");
    let issue = rig.read(2, issue::Request::read).unwrap();
    assert_eq!(issue.context("RequestVersion"), None);
    assert!(issue.token.open(&rig.world.limits).unwrap().csr.common_name.len() == 63);
}

#[test]
fn a_server_that_has_to_be_found_is_knocked_at_first() {
    let url = "https://enterpriseenrollment.example.test/EnrollmentServer/Discovery.svc";
    let mut rig = Rig::with(|discovery| discovery.url = url.into());
    rig.order(Order::Enroll);
    assert_eq!(rig.operations()[..2], ["windows.discovery", "windows.discovery"]);
    assert!(rig.asked[0].body.is_empty() && !rig.asked[1].body.is_empty());
    let mut rig = Rig::with(|discovery| discovery.url = url.into());
    rig.enrollment.push_back((Operation::WindowsDiscovery, Reply::Says(404, Bytes::new())));
    rig.fails("status_404");
}

#[test]
fn a_federated_user_logs_in_at_the_page() {
    let mut rig = Rig::with(|discovery| discovery.proof = Proof::Login);
    rig.policy = AuthPolicy::Federated;
    let page = "<form><input type=hidden name=\"wresult\" value=\"granted&amp;\"></form>";
    rig.enrollment.extend([
        (Operation::WindowsLogin, Reply::With(302, Bytes::new(), "location", "/next?x=1")),
        (Operation::WindowsLogin, Reply::Says(200, page.into())),
    ]);
    rig.order(Order::Enroll);
    assert_eq!(rig.operations()[..4], ["windows.discovery", "windows.login", "windows.login", "windows.policy"]);
    let expected = "https://login.example.test/page?appru=ms-app%3A%2F%2Fwindows.immersivecontrolpanel\
        &login_hint=user7%40example.test";
    assert_eq!(&*rig.asked[1].url, expected);
    assert_eq!(&*rig.asked[2].url, "https://login.example.test/next?x=1");
    let credential = rig.read(4, issue::Request::read).unwrap().header.credential.unwrap();
    assert_eq!(credential.token_bytes().as_deref(), Some(&b"granted&"[..]));
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);

    let mut rig = Rig::with(|discovery| discovery.proof = Proof::Login);
    rig.policy = AuthPolicy::Federated;
    rig.enrollment.push_back((Operation::WindowsLogin, Reply::Says(200, "<html>who are you?</html>".into())));
    rig.fails("login_page");

    let mut rig = Rig::with(|discovery| discovery.proof = Proof::Login);
    rig.policy = AuthPolicy::Federated;
    let circle = || (Operation::WindowsLogin, Reply::With(302, Bytes::new(), "location", "/page"));
    rig.enrollment.extend((0..7).map(|_| circle()));
    rig.fails("redirects");
}

#[test]
fn a_token_of_the_scenario_is_sent_as_what_it_is() {
    let check = |token: &str, kind| {
        let mut rig = Rig::with(|discovery| discovery.proof = Proof::Token(token.into()));
        rig.policy = AuthPolicy::Federated;
        rig.order(Order::Enroll);
        let credential = rig.read(2, issue::Request::read).unwrap().header.credential.unwrap();
        assert!(matches!(&credential, Credential::Token { kind: is, .. } if *is == kind), "{credential:?}");
        assert_eq!(credential.token_bytes().as_deref(), Some(token.replace('*', "7").as_bytes()));
    };
    check("ticket-*", TokenKind::User);
    check("eyJhbGciOiJSUzI1NiJ9.e30.x", TokenKind::Jwt);
}

#[test]
fn a_proof_that_the_server_does_not_take_is_the_scenarios_fault() {
    let mut rig = Rig::new(windows());
    rig.policy = AuthPolicy::Federated;
    rig.fails("auth_policy");
    let mut rig = Rig::with(|discovery| discovery.proof = Proof::Login);
    rig.fails("auth_policy");
}

#[test]
fn each_fault_is_counted_apart_and_only_what_passes_is_tried_again() {
    let mut kinds = Vec::new();
    for kind in FaultKind::all() {
        let mut rig = Rig::new(windows());
        rig.enrollment.push_back((Operation::WindowsIssue, fault(kind)));
        let action = rig.order(Order::Enroll);
        kinds.extend(rig.complaints());
        if kind.is_passing() {
            assert_eq!(Windows::state(&rig.machine.record()), DeviceState::Enrolling, "{kind:?}");
            rig.time(&action);
            assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)], "{kind:?}");
        } else {
            assert!(matches!(action.what, What::End(_)), "{kind:?}");
        }
    }
    let all = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!((all, kinds.len()), (15, 15), "{kinds:?}");
}

#[test]
fn a_fault_that_does_not_pass_is_not_tried_for_ever() {
    let mut rig = Rig::new(windows());
    rig.enrollment.extend((0..9).map(|_| (Operation::WindowsDiscovery, fault(FaultKind::InMaintenance))));
    let mut action = rig.order(Order::Enroll);
    for _ in 0..4 {
        action = rig.time(&action);
    }
    assert!(matches!(action.what, What::End(crate::Why::GaveUp)), "{action:?}");
    assert_eq!(rig.asked.len(), 5);
}

#[test]
fn what_windows_refuses_is_refused() {
    let mut rig = Rig::new(windows());
    let reply = Reply::With(200, "<s:Envelope/>".into(), "transfer-encoding", "chunked");
    rig.enrollment.push_back((Operation::WindowsDiscovery, reply));
    rig.fails("chunked");

    let mut rig = Rig::new(windows());
    rig.enrollment.push_back((Operation::WindowsIssue, Reply::Says(200, "<html><body>502</body></html>".into())));
    rig.fails("soap_format");

    let mut rig = Rig::new(windows());
    rig.enrollment.push_back((Operation::WindowsIssue, Reply::Says(502, "<html>Bad Gateway</html>".into())));
    rig.fails("status_502");

    let mut rig = Rig::new(windows());
    let strange = authority().issue_identity("x", key(KeyIx(1)).spki(), 1, Wall::VIRTUAL_START).unwrap();
    rig.document.certificates.push(in_store(Store::My, strange));
    rig.fails("certificate");

    let mut rig = Rig::new(windows());
    rig.document.account = None;
    rig.fails("provisioning");

    let mut rig = Rig::with(|discovery| discovery.url = "http://mdm.example.test/".into());
    rig.fails("url");

    let mut rig = Rig::new(windows());
    rig.enrollment.push_back((Operation::WindowsDiscovery, Reply::Fails("timeout")));
    rig.fails("timeout");
}

#[test]
fn a_policy_that_cannot_be_read_costs_nothing() {
    let mut rig = Rig::new(windows());
    let broken = "<s:Envelope xmlns:s=\"x\"><s:Body><GetPoliciesResponse><algorithmOIDReferencexsi:nil=\"true\"/>";
    rig.enrollment.push_back((Operation::WindowsPolicy, Reply::Says(200, broken.into())));
    rig.order(Order::Enroll);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    assert_eq!(rig.complaints(), ["soap_format"]);
    let mut rig = Rig::new(windows());
    rig.enrollment.push_back((Operation::WindowsPolicy, fault(FaultKind::Authentication)));
    rig.fails("fault_authentication");
}

#[test]
fn policy_and_enrollment_are_at_one_host() {
    let mut rig = Rig::new(windows());
    let mut out = Vec::new();
    discovery::Answer {
        policy_url: Some("https://a.example.test/policy".into()),
        enrollment_url: "https://b.example.test/enroll".into(),
        ..discovery::Answer::default()
    }
    .write(&mut out);
    rig.enrollment.push_back((Operation::WindowsDiscovery, Reply::Says(200, out.into())));
    rig.fails("enrollment_hosts");
}

#[test]
fn clones_have_the_hardware_id_of_their_image() {
    let ids = |share: f64| -> std::collections::BTreeSet<String> {
        let of = |n| {
            let mut rig = Rig::new(Character { cloned: share, ..windows() });
            rig.world.device = droves_facts::DeviceIx(n);
            let lane = Lane::default();
            who::Who::of(&lane, &rig.world.ctx()).hardware_id
        };
        (0..200).map(of).collect()
    };
    assert_eq!(ids(0.0).len(), 200);
    assert_eq!(ids(1.0).len(), 1);
    assert!((120..180).contains(&ids(0.25).len()), "{}", ids(0.25).len());
}
