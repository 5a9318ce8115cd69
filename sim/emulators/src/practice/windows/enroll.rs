//! Enrollment: discovery, the login page, policies, and certificates, new or renewed.

use super::document;
use super::proof::{self, Account};
use super::{Device, Login, Place, Windows};
use crate::practice::exchange::{Incoming, Outgoing, parameter};
use crate::practice::house::House;
use droves_facts::{Dur, Wall};
use droves_wire::windows::discovery::{self, AuthPolicy};
use droves_wire::windows::issue::{self, Token};
use droves_wire::windows::policy::{self, Policy, SHA1_RSA, Validity};
use droves_wire::windows::provisioning;
use droves_wire::windows::soap::{self, AnswerHeader, Credential, Fault, FaultKind, RequestHeader, SoapError};
use droves_wire::{digest, plist, x509};
use std::borrow::Cow;

/// The newest `EnrollmentVersion` that is spoken here.
const VERSION_MAX: f32 = 5.0;
/// Tokens that the login page has granted and that nobody has used yet.
const TOKENS_MAX: usize = 1_000_000;
const YEAR_SECS: u64 = 365 * 86_400;
const DAY_SECS: u64 = 86_400;
/// How long an answer says to be good.
const TIMESTAMP_LASTS: Dur = Dur::secs(300);

/// Why somebody is refused, and in which words.
type Refusal = (FaultKind, Cow<'static, str>);

impl Windows {
    pub(super) fn discover(&self, house: &mut House, request: &Incoming<'_>) -> Outgoing {
        let asked = match discovery::Request::read(request.body, &house.limits) {
            Ok(asked) => asked,
            Err(error) => return unread(house, request.body, &error),
        };
        let version = match asked.version.parse::<f32>() {
            Ok(version) if (1.0..10.0).contains(&version) => version.min(VERSION_MAX),
            _ => return refused(house, request.body, FaultKind::NotSupported, "no such version"),
        };
        let (policy, page) = match self.settings.login {
            Login::Password(_) => (AuthPolicy::OnPremise, None),
            Login::Page => (AuthPolicy::Federated, Some(Place::Login.url(&self.url))),
        };
        if !asked.policies.contains(&policy) {
            return refused(house, request.body, FaultKind::NotSupported, "the device can't prove who its user is");
        }
        let answer = discovery::Answer {
            header: header(&asked.header, None),
            policy,
            version: Some(format!("{version:.1}").into()),
            policy_url: Some(Place::Policy.url(&self.url).into()),
            enrollment_url: Place::Enrollment.url(&self.url).into(),
            authentication_url: page.map(Cow::Owned),
        };
        envelope(|out| answer.write(out))
    }

    /// A page with a form that a browser would post to the application that opened it; it asks nobody for a password.
    pub(super) fn login(&mut self, house: &mut House, request: &Incoming<'_>) -> Outgoing {
        let to = parameter(request.query, "appru").unwrap_or_default();
        // What stands in the page is as it was asked for: nothing that would have to be escaped.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/".contains(c);
        if to.is_empty() || !to.chars().all(is_plain) {
            return Outgoing::text(400, "no appru that a form could be posted to");
        }
        if self.tokens.len() >= TOKENS_MAX {
            return Outgoing::text(503, "too many tokens that nobody has used");
        }
        let token = hex::encode(house.fresh());
        let page = format!(
            "<!DOCTYPE html>\n<html><head><title>Droves practice server</title></head>\
             <body onload=\"document.forms[0].submit()\"><form method=\"post\" action=\"{to}\">\
             <input type=\"hidden\" name=\"wresult\" value=\"{token}\"><input type=\"submit\" value=\"Enroll\">\
             </form></body></html>\n"
        );
        self.tokens.insert(token, parameter(request.query, "login_hint").unwrap_or_default());
        house.truth.windows("login.granted");
        Outgoing::new(200, "text/html; charset=utf-8", page)
    }

    pub(super) fn policies(&self, house: &mut House, request: &Incoming<'_>) -> Outgoing {
        let asked = match policy::Request::read(request.body, &house.limits) {
            Ok(asked) => asked,
            Err(error) => return unread(house, request.body, &error),
        };
        if let Err((kind, why)) = self.user(asked.header.credential.as_ref()) {
            return refused(house, request.body, kind, &why);
        }
        let answer = policy::Answer {
            header: header(&asked.header, None),
            policy: Policy {
                validity: Some(Validity {
                    lasts_secs: YEAR_SECS,
                    renewal_secs: u64::from(self.settings.renewal_days) * DAY_SECS,
                }),
                hash_oid: Some(SHA1_RSA.into()),
                ..Policy::default()
            },
        };
        envelope(|out| answer.write(out))
    }

    /// A certificate, new or in place of one.
    pub(super) fn enroll(&mut self, house: &mut House, wall: Wall, request: &Incoming<'_>) -> Outgoing {
        let asked = match issue::Request::read(request.body, &house.limits) {
            Ok(asked) => asked,
            Err(error) => return unread(house, request.body, &error),
        };
        let document =
            if asked.renews { self.renew(house, wall, request, &asked) } else { self.issue(house, wall, &asked) };
        match document {
            Ok(document) => {
                let mut bytes = Vec::new();
                document.write(&mut bytes);
                let answer = issue::Answer { header: header(&asked.header, Some(wall)), document: bytes };
                envelope(|out| answer.write(out))
            }
            Err((kind, why)) => refused(house, request.body, kind, &why),
        }
    }

    fn issue(
        &mut self,
        house: &mut House,
        wall: Wall,
        asked: &issue::Request<'_>,
    ) -> Result<provisioning::Document, Refusal> {
        let user = self.user(asked.header.credential.as_ref())?;
        let of_context = |name: &'static str, digits: usize| {
            let value = asked.context(name).unwrap_or_default();
            let is_hex = value.len() == digits && value.bytes().all(|b| b.is_ascii_hexdigit());
            let why = format!("{name} of other than {digits} hexadecimal digits");
            is_hex.then(|| value.to_owned()).ok_or((FaultKind::InvalidEnrollmentData, Cow::Owned(why)))
        };
        let (id, hardware) = (of_context("DeviceID", 32)?, of_context("HWDevID", 64)?);
        let place = match asked.context("EnrollmentType") {
            Some("Full") => provisioning::Place::User,
            Some("Device") => provisioning::Place::System,
            _ => return Err((FaultKind::InvalidEnrollmentData, "EnrollmentType is neither Full nor Device".into())),
        };
        let Token::Pkcs10(_) = &asked.token else {
            return Err((FaultKind::CertificateRequest, "only a renewal has a PKCS#7".into()));
        };
        let csr = asked.token.open(&house.limits).map_err(bad_request)?.csr;
        if csr.device_id.as_ref().is_some_and(|named| *named != id) {
            return Err((FaultKind::CertificateRequest, "the request names another device".into()));
        }
        let certificate = house.certify(&id, &csr.spki, wall).map_err(bad_request)?;
        // A token is good for one certificate.
        self.tokens.remove(&user.token);
        // Whoever has the same hardware is the same device to a server, a copy of its disk included.
        if let Some(before) = self.hardware.insert(hardware.clone(), id.clone())
            && before != id
        {
            house.truth.windows("evicted");
            self.leave(house, &before);
        }
        let account = Account::new(&id, house);
        let authority = house.authority.certificate().to_vec();
        let document = self.document(place, [&authority, &certificate], &id, &user.name, &account);
        let enrollment =
            house.enrollment(&id).map_err(|_| (FaultKind::DeviceCapReached, "the practice server is full".into()))?;
        enrollment.clear();
        enrollment.enrolled = true;
        enrollment.channel = None;
        enrollment.certificate = Some(digest::sha256(&certificate));
        self.devices.insert(id, Device { hardware, place, account, pfn: None, session: None });
        house.truth.windows("enrolled");
        Ok(document)
    }

    /// By TLS with the certificate that is to be replaced; what it has signed must be signed by that one too.
    fn renew(
        &mut self,
        house: &mut House,
        wall: Wall,
        request: &Incoming<'_>,
        asked: &issue::Request<'_>,
    ) -> Result<provisioning::Document, Refusal> {
        let unknown = || (FaultKind::Authentication, Cow::Borrowed("no certificate of an enrolled device"));
        let shown = proof::shown(request, house).ok_or_else(unknown)?;
        let wanted = asked.token.open(&house.limits).map_err(bad_request)?;
        if wanted.signer.is_some_and(|signer| signer != shown) {
            return Err((FaultKind::CertificateRequest, "signed by another certificate than the one shown".into()));
        }
        // The name is the one that the certificate was given here, not one that somebody asked for.
        let id = x509::common_name(&shown).ok().flatten().ok_or_else(unknown)?;
        let device = self.devices.get_mut(&id).ok_or_else(unknown)?;
        let shown = digest::sha256(&shown);
        let enrolled = house.enrollments.get(&id).filter(|of| of.enrolled).and_then(|of| of.certificate);
        if !device.account.has_shown(shown, enrolled) {
            return Err(unknown());
        }
        let certificate = house.certify(&id, &wanted.csr.spki, wall).map_err(bad_request)?;
        device.account.previous = Some(shown);
        if let Some(enrollment) = house.enrollments.get_mut(&id) {
            enrollment.certificate = Some(digest::sha256(&certificate));
        }
        house.truth.windows("renewed");
        Ok(document::of_renewal(device.place, &certificate))
    }

    /// Who the user is.
    fn user(&self, credential: Option<&Credential<'_>>) -> Result<User, Refusal> {
        match (credential, &self.settings.login) {
            (Some(Credential::Password { user, password }), Login::Password(wanted)) => {
                let is_right = digest::sha256(password.as_bytes()) == digest::sha256(wanted.as_bytes());
                let user = User { name: user.to_string(), token: String::new() };
                is_right.then_some(user).ok_or((FaultKind::Authentication, "the password is wrong".into()))
            }
            (Some(Credential::Password { .. }), Login::Page) => {
                Err((FaultKind::InvalidSecurity, "a token is wanted, and no password".into()))
            }
            (Some(token @ Credential::Token { .. }), _) => {
                let token = token.token_bytes().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
                let name = self.tokens.get(&token).cloned();
                let unknown = (FaultKind::Authentication, "the token is used, or not of here".into());
                name.map(|name| User { name, token }).ok_or(unknown)
            }
            (None, _) => Err((FaultKind::InvalidSecurity, "nothing says who the user is".into())),
        }
    }
}

/// Who enrolls a device.
struct User {
    name: String,
    /// Empty where a password was said.
    token: String,
}

fn bad_request(why: impl std::fmt::Display) -> Refusal {
    (FaultKind::CertificateRequest, why.to_string().into())
}

fn header<'a>(asked: &RequestHeader<'a>, wall: Option<Wall>) -> AnswerHeader<'a> {
    let time = |wall| Cow::Owned(plist::date(wall).replace('Z', ".000Z"));
    AnswerHeader {
        relates_to: asked.message_id.clone(),
        activity: None,
        timestamp: wall.map(|wall| (time(wall), time(wall + TIMESTAMP_LASTS))),
    }
}

fn envelope(write: impl FnOnce(&mut Vec<u8>)) -> Outgoing {
    let mut out = Vec::new();
    write(&mut out);
    Outgoing::new(200, soap::CONTENT_TYPE, out)
}

fn unread(house: &mut House, body: &[u8], error: &SoapError) -> Outgoing {
    refused(house, body, FaultKind::MessageFormat, &error.to_string())
}

/// A fault, with HTTP's 200 as most servers send it.
pub(super) fn refused(house: &mut House, body: &[u8], kind: FaultKind, why: &str) -> Outgoing {
    let relates_to = soap::message_id(body, &house.limits).unwrap_or_default();
    house.truth.refused(kind.name());
    envelope(|out| {
        Fault::of(kind, why).write(out, &AnswerHeader { relates_to: relates_to.into(), ..AnswerHeader::default() })
    })
}
