//! The enrollment's messages in their recorded shapes, faults in every casing, round trips, and hostile bytes.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::ca::Authority;
use crate::keys::tests::rsa;
use crate::windows::csr::{self, Spelling};
use crate::windows::discovery::{self, AuthPolicy};
use crate::windows::issue::{self, Token};
use crate::windows::policy::{self, Policy, SHA1_RSA, Validity};
use crate::windows::xml::tests::{every_prefix_is_bound, fits};
use droves_facts::Wall;
use proptest::prelude::*;

const DEVICE: &str = "5AD0B1C2E3F4A5968778695A4B3C2D1E";
const MESSAGE: &str = "urn:uuid:748132ec-a575-4329-b01b-6171a9cf8478";

fn limits() -> Limits {
    Limits::default()
}

fn header<'a>(to: &'a str, credential: Option<Credential<'a>>) -> RequestHeader<'a> {
    RequestHeader { message_id: MESSAGE.into(), to: to.into(), credential }
}

fn password() -> Credential<'static> {
    Credential::Password { user: "demo@mdmwindow.test".into(), password: "demo".into() }
}

fn answer_header() -> AnswerHeader<'static> {
    AnswerHeader {
        relates_to: MESSAGE.into(),
        activity: Some("8c6060c4-3d78-4d73-ae17-e8bce88426ee".into()),
        timestamp: Some(("2026-01-05T08:00:00.000Z".into(), "2026-01-05T08:05:00.000Z".into())),
    }
}

fn discovery() -> discovery::Request<'static> {
    discovery::Request {
        header: header("https://EnterpriseEnrollment.mdmwindow.test:443/EnrollmentServer/Discovery.svc", None),
        email: "demo@mdmwindow.test".into(),
        version: "4.0".into(),
        device_type: discovery::PC.into(),
        application_version: "10.0.19043.2364".into(),
        os_edition: 72,
        policies: vec![AuthPolicy::OnPremise, AuthPolicy::Federated],
    }
}

fn enrollment(token: Token) -> issue::Request<'static> {
    let context = [
        ("UXInitiated", "true"),
        ("HWDevID", "3B3ED6D0EA88CBFCF37D36F90F22FE61172348C0162FC3840D6703149870CE76"),
        ("Locale", "en-US"),
        ("TargetedUserLoggedIn", "true"),
        ("OSEdition", "72"),
        ("DeviceName", "DESKTOP-28FGAI6"),
        ("MAC", "00-0C-29-51-60-9D"),
        ("MAC", "1A-77-20-52-41-53"),
        ("MAC", "1A-77-20-52-41-53"),
        ("MAC", "00-0C-29-51-60-A7"),
        ("MAC", "18-14-20-52-41-53"),
        ("MAC", "00-0C-29-51-60-93"),
        ("DeviceID", DEVICE),
        ("EnrollmentType", "Full"),
        ("DeviceType", "CIMClient_Windows"),
        ("OSVersion", "10.0.19043.2364"),
        ("ApplicationVersion", "10.0.19043.2364"),
        ("NotInOobe", "false"),
    ];
    issue::Request {
        header: header("https://mdmwindow.test/EnrollmentServer/Enrollment.svc", Some(password())),
        renews: false,
        token,
        context: context.map(|(name, value)| (name.into(), value.into())).to_vec(),
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    every_prefix_is_bound(&out);
    String::from_utf8(out).unwrap()
}

/// What a Windows 10 (19043.2364) sent, with names of the same lengths: 1,042, 1,495 and 4,295 bytes.
#[test]
fn requests_have_the_recorded_sizes() {
    let request = discovery();
    let wire = text(|out| request.write(out));
    assert_eq!(wire.len(), 1_042);
    assert!(wire.starts_with("<s:Envelope xmlns:a=\"http://www.w3.org/2005/08/addressing\" xmlns:s="));
    assert_eq!(discovery::Request::read(wire.as_bytes(), &limits()), Ok(request));
    fits("discover", &wire);

    let to = "https://mdmwindow.test/EnrollmentServer/Policy.svc";
    let request = policy::Request { header: header(to, Some(password())) };
    let wire = text(|out| request.write(out));
    assert_eq!(wire.len(), 1_495);
    assert_eq!(policy::Request::read(wire.as_bytes(), &limits()), Ok(request));
    fits("policies", &wire);

    let request_of_old = include_bytes!("../../../testdata/windows/csr.old.der");
    let request = enrollment(Token::Pkcs10(request_of_old.to_vec()));
    let wire = text(|out| request.write(out));
    assert_eq!(wire.len(), 4_295);
    assert_eq!(issue::Request::read(wire.as_bytes(), &limits()), Ok(request.clone()));
    fits("rst", &wire);
    assert_eq!((request.context("DeviceID"), request.context("IMEI")), (Some(DEVICE), None));
}

#[test]
fn answers_come_back_as_they_were_written() {
    let answer = discovery::Answer {
        header: AnswerHeader { timestamp: None, ..answer_header() },
        policy: AuthPolicy::Federated,
        version: Some("4.0".into()),
        policy_url: Some("https://s/p?a=1&b=2".into()),
        enrollment_url: "https://s/e".into(),
        authentication_url: Some("https://s/a".into()),
    };
    let wire = text(|out| answer.write(out));
    assert_eq!(discovery::Answer::read(wire.as_bytes(), &limits()), Ok(answer));
    fits("discover-response", &wire);

    let validity = Some(Validity { lasts_secs: 31_536_000, renewal_secs: 15_552_000 });
    let policy = Policy { schema: 3, key_bits_min: 4096, validity, hash_oid: Some(SHA1_RSA.into()) };
    let answer = policy::Answer { header: AnswerHeader { timestamp: None, ..answer_header() }, policy };
    let wire = text(|out| answer.write(out));
    assert_eq!(policy::Answer::read(wire.as_bytes(), &limits()), Ok(answer));
    fits("policies-response", &wire);

    let answer = issue::Answer { header: answer_header(), document: b"<wap-provisioningdoc/>".to_vec() };
    let wire = text(|out| answer.write(out));
    assert_eq!(issue::Answer::read(wire.as_bytes(), &limits()), Ok(answer));
}

/// Other prefixes, a declaration, indentation, base64 in lines: what servers were seen to send.
#[test]
fn answers_of_other_servers_are_read() {
    let answer = "<?xml version=\"1.0\"?>\n<soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\">\n\
        <soap:Body><RequestSecurityTokenResponseCollection><RequestSecurityTokenResponse><RequestedSecurityToken>\
        <wsse:BinarySecurityToken wsse:ValueType=\"x\">\n PHdhcC1w\n cm92aXNpb25pbmdkb2MvPg\n</wsse:BinarySecurityToken>\
        </RequestedSecurityToken></RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection></soap:Body>\
        </soap:Envelope>";
    let answer = issue::Answer::read(answer.as_bytes(), &limits()).unwrap();
    assert_eq!(answer.document, b"<wap-provisioningdoc/>");
    assert_eq!(answer.header, AnswerHeader::default());

    // A blank is missing in a recorded server's policy, and Windows enrolled all the same: the default takes its place.
    let bad = "<s:Envelope><s:Body><GetPoliciesResponse><response><policies><policy><attributes><privateKeyAttributes>\
        <algorithmOIDReferencexsi:nil=\"true\"/></privateKeyAttributes></attributes></policy></policies></response>\
        </GetPoliciesResponse></s:Body></s:Envelope>";
    assert!(matches!(policy::Answer::read(bad.as_bytes(), &limits()), Err(SoapError::Xml(_))));
    let bare = "<s:Envelope><s:Body><GetPoliciesResponse><response><policies><policy/></policies></response><oIDs/>\
        </GetPoliciesResponse></s:Body></s:Envelope>";
    assert_eq!(policy::Answer::read(bare.as_bytes(), &limits()).unwrap().policy, Policy::default());
}

#[test]
fn answers_that_lead_nowhere_are_none() {
    let check = |result: &str, missing: &'static str| {
        let wire = format!(
            "<s:Envelope><s:Body><DiscoverResponse><DiscoverResult>{result}</DiscoverResult>\
             </DiscoverResponse></s:Body></s:Envelope>"
        );
        let error = discovery::Answer::read(wire.as_bytes(), &limits()).unwrap_err();
        assert!(
            matches!(error, SoapError::Xml(XmlError { broken: Broken::Missing(name), .. }) if name == missing),
            "{error}"
        );
    };
    check("<AuthPolicy>OnPremise</AuthPolicy>", "EnrollmentServiceUrl");
    check(
        "<AuthPolicy>Federated</AuthPolicy><EnrollmentServiceUrl>https://s</EnrollmentServiceUrl>",
        "AuthenticationServiceUrl",
    );
    let page = discovery::Answer::read(b"<html><p>502</p></html>", &limits());
    assert!(matches!(page, Err(SoapError::Xml(_))), "{page:?}");
}

/// Microsoft's example and Fleet's server write all of it in lower case; others don't, and HTTP says 200 or 500.
#[test]
fn faults_are_read_in_every_case() {
    let check = |fault: &str, kind: Option<FaultKind>, reason: &str| {
        let wire = format!("<s:Envelope><s:Body>{fault}</s:Body></s:Envelope>");
        let Err(SoapError::Fault(fault)) = discovery::Answer::read(wire.as_bytes(), &limits()) else {
            panic!("{wire}")
        };
        assert_eq!((fault.kind(), &*fault.reason), (kind, reason), "{fault:?}");
        let Err(SoapError::Fault(same)) = issue::Answer::read(wire.as_bytes(), &limits()) else { panic!("{wire}") };
        assert_eq!(same, fault);
    };
    let upper = |subcode: &str, detail: &str| {
        format!(
            "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>\
         <s:Reason><s:Text xml:lang=\"en-US\">no</s:Text></s:Reason>{detail}</s:Fault>"
        )
    };
    check(&upper("s:MessageFormat", ""), Some(FaultKind::MessageFormat), "no");
    check(&upper("a:InternalServiceFault", ""), Some(FaultKind::InternalServiceFault), "no");
    check(&upper("s:authorization", "<s:Detail>words</s:Detail>"), Some(FaultKind::Authorization), "no");
    check(&upper("s:Odd", ""), None, "no");
    check(
        &upper(
            "s:Authorization",
            "<s:Detail><DeviceEnrollmentServiceError><ErrorType>devicecapreached</ErrorType>\
            <Message>5</Message></DeviceEnrollmentServiceError></s:Detail>",
        ),
        Some(FaultKind::DeviceCapReached),
        "no",
    );
    check(
        "<s:fault><s:code><s:value>s:receiver</s:value><s:subcode><s:value>s:notsupported</s:value></s:subcode></s:code>\
         <s:reason><s:text>no</s:text></s:reason></s:fault>",
        Some(FaultKind::NotSupported),
        "no",
    );
    check(
        "<s:Fault><s:Code><s:Value>EnrollmentServer</s:Value></s:Code></s:Fault>",
        Some(FaultKind::EnrollmentServer),
        "",
    );
}

#[test]
fn faults_come_back_as_they_were_written() {
    for kind in FaultKind::all() {
        let detailed =
            Fault { error_type: Some(kind.name().to_owned()), trace: Some("t<1>".into()), ..Fault::of(kind, "a & b") };
        for fault in [Fault::of(kind, ""), detailed] {
            let wire = text(|out| fault.write(out, &answer_header()));
            assert_eq!(policy::Answer::read(wire.as_bytes(), &limits()), Err(SoapError::Fault(fault.clone())));
            assert_eq!(fault.kind(), Some(kind));
        }
        assert_eq!(kind.hresult() >> 8, 0x80_1800);
    }
    assert_eq!(FaultKind::InMaintenance.hresult(), 0x8018_0017);
    assert_eq!(FaultKind::all().filter(|kind| kind.is_passing()).count(), 3);
}

/// An enrollment that TLS answers for carries no credential.
#[test]
fn a_request_may_go_without_a_credential() {
    let bare = issue::Request { header: header("https://s/e", None), ..enrollment(Token::Pkcs10(vec![0x30, 0])) };
    let wire = text(|out| bare.write(out));
    assert!(!wire.contains("Security>"));
    assert_eq!(issue::Request::read(wire.as_bytes(), &limits()), Ok(bare));
    let bare = policy::Request { header: header("https://s/p", None) };
    let wire = text(|out| bare.write(out));
    assert_eq!(policy::Request::read(wire.as_bytes(), &limits()), Ok(bare));
}

/// A token comes in either alphabet of base64.
#[test]
fn a_federated_request_carries_its_token() {
    let token = Credential::token(TokenKind::Jwt, b"\xfb\xff.jwt");
    let request = policy::Request { header: header("https://s/p", Some(token.clone())) };
    let wire = text(|out| request.write(out));
    assert!(wire.contains(
        "<wsse:BinarySecurityToken ValueType=\"urn:ietf:params:oauth:token-type:jwt\" EncodingType=\"http://docs.oasis-open\
         .org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary\">+/8uand0</wsse:BinarySecurityToken>"
    ));
    assert_eq!(policy::Request::read(wire.as_bytes(), &limits()), Ok(request));
    assert_eq!(token.token_bytes().unwrap(), b"\xfb\xff.jwt");
    let wire = wire.replace("+/8uand0", "\n-_8uand0\n").replace(" ValueType", " wsse:ValueType");
    let read = policy::Request::read(wire.as_bytes(), &limits()).unwrap().header.credential.unwrap();
    assert_eq!(read.token_bytes().unwrap(), b"\xfb\xff.jwt");
    assert!(matches!(read, Credential::Token { kind: TokenKind::Jwt, .. }));
}

/// A new key's request, signed by the old key's certificate; or bare over TLS, as one server wants it.
#[test]
fn a_certificate_is_renewed() {
    let now = Wall(1_767_600_000_000_000);
    let authority = Authority::create_p384("practice", now).unwrap();
    let old = authority.issue_identity(DEVICE, rsa(0).spki(), 1, now).unwrap();
    let csr = csr::write("0F0E2D4C-6B8A-4978-9695-B4C3D2E1F001", DEVICE, rsa(1), Spelling::Utf8).unwrap();
    let signed = issue::renewal(&csr, rsa(0), &old).unwrap();
    let credential = Credential::Password { user: "".into(), password: "".into() };
    let request = issue::Request {
        header: header("https://s/e", Some(credential)),
        renews: true,
        token: Token::Pkcs7(signed),
        context: vec![("DeviceType".into(), discovery::PC.into())],
    };
    let wire = text(|out| request.write(out));
    let read = issue::Request::read(wire.as_bytes(), &limits()).unwrap();
    assert_eq!(read, request);
    let wanted = read.token.open(&limits()).unwrap();
    assert_eq!((&*wanted.csr.spki, wanted.signer.as_deref()), (rsa(1).spki(), Some(&*old)));

    // Encoded twice, as where the user asks for it, and under Microsoft's other name for it.
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let Token::Pkcs7(der) = &request.token else { panic!("made as one") };
    let once = STANDARD.encode(der);
    let twice = wire.replace(&once, &STANDARD.encode(&once));
    let twice = twice.replace("windows/pki/2009/01/enrollment#PKCS7", "oasis-secext-1.0.xsd#PKCS7");
    assert_eq!(issue::Request::read(twice.as_bytes(), &limits()).unwrap().token, request.token);

    let bare = Token::Pkcs10(csr.clone()).open(&limits()).unwrap();
    assert_eq!((bare.csr, bare.signer), (wanted.csr, None));
    let swapped = Token::Pkcs7(csr).open(&limits());
    assert!(swapped.is_err());
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("soap", target);
}

fn any_text() -> impl Strategy<Value = Cow<'static, str>> {
    "[!-~ä😀]{0,16}".prop_map(Cow::Owned)
}

proptest! {
    #[test]
    fn what_is_written_is_read(words in prop::collection::vec(any_text(), 12), der in prop::collection::vec(any::<u8>(), 1..60)) {
        let word = |n: usize| words[n].clone();
        // A first byte of a letter would be base64 once more.
        let der = [&[0x30], &*der].concat();
        let header = RequestHeader {
            message_id: word(0),
            to: word(1),
            credential: Some(Credential::Password { user: word(2), password: word(3) }),
        };
        let context = vec![(word(4), word(5)), (word(4), word(6))];
        let request = issue::Request { header, renews: der.len() % 2 == 0, token: Token::Pkcs7(der.clone()), context };
        let wire = text(|out| request.write(out));
        prop_assert_eq!(issue::Request::read(wire.as_bytes(), &limits()), Ok(request));
        let header = AnswerHeader { relates_to: word(7), activity: Some(word(8)), timestamp: Some((word(9), word(10))) };
        let fault = Fault { subcode: word(11).into_owned(), reason: word(0).into_owned(), error_type: None, trace: None };
        let wire = text(|out| fault.write(out, &header));
        prop_assert_eq!(policy::Answer::read(wire.as_bytes(), &limits()), Err(SoapError::Fault(fault)));
        let answer = issue::Answer { header, document: der };
        let wire = text(|out| answer.write(out));
        prop_assert_eq!(issue::Answer::read(wire.as_bytes(), &limits()), Ok(answer));
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..4_400, flip in 0_usize..4_400) {
        target(&bytes);
        let mut wire = text(|out| enrollment(Token::Pkcs10(vec![0x30, 0])).write(out)).into_bytes();
        if let Some(byte) = wire.get_mut(flip) {
            *byte ^= 1;
        }
        target(&wire);
        wire.truncate(cut);
        target(&wire);
    }
}
