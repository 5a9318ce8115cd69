//! Discovery (MS-MDE2, 3.1): where a device enrolls, and how its user proves who they are.
//!
//! The request goes to [`PATH`] at the domain's `enterpriseenrollment` host, by GET first (no body either way, to see
//! whether somebody is there), then by POST with this message. Later URLs come from the answer and nowhere else.

use super::soap::{self, AnswerHeader, Outside, RequestHeader, SoapError};
use super::xml::{Attributes, Broken, Reader, XmlError};
use droves_facts::Limits;
use std::borrow::Cow;

/// Where discovery is, at whatever host.
pub const PATH: &str = "/EnrollmentServer/Discovery.svc";

/// `Discover`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request<'a> {
    /// Message id and URL. Discovery has no credential: one is neither written nor read.
    pub header: RequestHeader<'a>,
    /// `EmailAddress`: the user principal name; empty if an agent enrolls.
    pub email: Cow<'a, str>,
    /// `RequestVersion`: `4.0` of Windows 10, up to `9.0`.
    pub version: Cow<'a, str>,
    /// `DeviceType`: [`PC`].
    pub device_type: Cow<'a, str>,
    /// `ApplicationVersion`: the build, such as `10.0.19043.2364`.
    pub application_version: Cow<'a, str>,
    /// `OSEdition`: 4 Enterprise, 48 Pro, 72 Enterprise Evaluation, 101 Home, 121 Education.
    pub os_edition: u32,
    /// `AuthPolicies`: what the client can do.
    pub policies: Vec<AuthPolicy>,
}

/// `DeviceType` of a PC.
pub const PC: &str = "CIMClient_Windows";

/// How the user proves who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AuthPolicy {
    /// Name and password, in the messages.
    #[default]
    OnPremise,
    /// A web page, which gives a token.
    Federated,
    /// The TLS certificate of an enrollment that the device has.
    Certificate,
}

impl AuthPolicy {
    fn name(self) -> &'static str {
        match self {
            AuthPolicy::OnPremise => "OnPremise",
            AuthPolicy::Federated => "Federated",
            AuthPolicy::Certificate => "Certificate",
        }
    }

    fn read(xml: &mut Reader<'_>) -> Result<Self, XmlError> {
        let word = xml.word()?;
        let all = [AuthPolicy::OnPremise, AuthPolicy::Federated, AuthPolicy::Certificate];
        let known = all.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(&word));
        known.ok_or_else(|| xml.error(Broken::Value("AuthPolicy")))
    }
}

/// `DiscoverResult`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer<'a> {
    /// Which request it answers.
    pub header: AnswerHeader<'a>,
    /// `AuthPolicy`.
    pub policy: AuthPolicy,
    /// `EnrollmentVersion`: at most what was asked for.
    pub version: Option<Cow<'a, str>>,
    /// `EnrollmentPolicyServiceUrl`; without it the device asks for no policy.
    pub policy_url: Option<Cow<'a, str>>,
    /// `EnrollmentServiceUrl`.
    pub enrollment_url: Cow<'a, str>,
    /// `AuthenticationServiceUrl`: the web page, of a federated enrollment.
    pub authentication_url: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let header = RequestHeader { credential: None, ..self.header.clone() };
        header.write(out, &Outside { namespaces: soap::BARE, action: ACTION, body: &[] }, |w| {
            w.element("Discover", NAMESPACE, |w| {
                w.element("request", &[("xmlns:i", soap::XSI)], |w| {
                    w.text("EmailAddress", &self.email);
                    w.text("RequestVersion", &self.version);
                    w.text("DeviceType", &self.device_type);
                    w.text("ApplicationVersion", &self.application_version);
                    w.number("OSEdition", self.os_edition.into());
                    w.element("AuthPolicies", &[], |w| {
                        self.policies.iter().for_each(|policy| w.text("AuthPolicy", policy.name()));
                    });
                });
            });
        });
    }

    /// Reads it.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, SoapError> {
        let mut opened = soap::open(bytes, limits, "Discover")?;
        let xml = &mut opened.xml;
        xml.expect("request")?;
        let mut request = Request::default();
        while let Some(child) = xml.child()? {
            match child.name() {
                "EmailAddress" => request.email = xml.word()?,
                "RequestVersion" => request.version = xml.word()?,
                "DeviceType" => request.device_type = xml.word()?,
                "ApplicationVersion" => request.application_version = xml.word()?,
                "OSEdition" => request.os_edition = xml.number("OSEdition")?,
                "AuthPolicies" => {
                    while xml.child()?.is_some() {
                        request.policies.push(AuthPolicy::read(xml)?);
                    }
                }
                _ => xml.skip()?,
            }
        }
        xml.skip()?;
        opened.finish()?;
        let header = RequestHeader { credential: None, ..opened.request };
        Ok(Request { header, ..request })
    }
}

impl<'a> Answer<'a> {
    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.header.write(out, &Outside { namespaces: soap::ANSWER, action: ANSWER_ACTION, body: &[] }, |w| {
            w.element("DiscoverResponse", NAMESPACE, |w| {
                w.element("DiscoverResult", &[], |w| {
                    w.text("AuthPolicy", self.policy.name());
                    w.maybe("EnrollmentVersion", self.version.as_deref());
                    w.maybe("EnrollmentPolicyServiceUrl", self.policy_url.as_deref());
                    w.text("EnrollmentServiceUrl", &self.enrollment_url);
                    w.maybe("AuthenticationServiceUrl", self.authentication_url.as_deref());
                });
            });
        });
    }

    /// Reads it. Without an `EnrollmentServiceUrl`, or federated without an `AuthenticationServiceUrl`, it is none.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, SoapError> {
        let mut opened = soap::open(bytes, limits, "DiscoverResponse")?;
        let xml = &mut opened.xml;
        xml.expect("DiscoverResult")?;
        let mut answer = Answer::default();
        while let Some(child) = xml.child()? {
            match child.name() {
                "AuthPolicy" => answer.policy = AuthPolicy::read(xml)?,
                "EnrollmentVersion" => answer.version = Some(xml.word()?),
                "EnrollmentPolicyServiceUrl" => answer.policy_url = Some(xml.word()?).filter(|url| !url.is_empty()),
                "EnrollmentServiceUrl" => answer.enrollment_url = xml.word()?,
                "AuthenticationServiceUrl" => {
                    answer.authentication_url = Some(xml.word()?).filter(|url| !url.is_empty());
                }
                _ => xml.skip()?,
            }
        }
        let federated = answer.policy == AuthPolicy::Federated;
        for (missing, name) in [
            (answer.enrollment_url.is_empty(), "EnrollmentServiceUrl"),
            (federated && answer.authentication_url.is_none(), "AuthenticationServiceUrl"),
        ] {
            if missing {
                return Err(xml.error(Broken::Missing(name)).into());
            }
        }
        xml.skip()?;
        opened.finish()?;
        Ok(Answer { header: opened.answer, ..answer })
    }
}

/// See [`soap::target`].
pub(super) fn target(bytes: &[u8], limits: &Limits) {
    let wide = Limits { body_bytes_max: usize::MAX, xml_elements_max: usize::MAX, ..limits.clone() };
    let mut out = Vec::new();
    if let Ok(request) = Request::read(bytes, limits) {
        request.write(&mut out);
        assert_eq!(Request::read(&out, &wide).as_ref(), Ok(&request));
    } else if let Ok(answer) = Answer::read(bytes, limits) {
        answer.write(&mut out);
        assert_eq!(Answer::read(&out, &wide).as_ref(), Ok(&answer));
    }
}

const ACTION: &str = "http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/Discover";
const ANSWER_ACTION: &str =
    "http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/DiscoverResponse";
const NAMESPACE: Attributes<'_> = &[("xmlns", "http://schemas.microsoft.com/windows/management/2012/01/enrollment")];
