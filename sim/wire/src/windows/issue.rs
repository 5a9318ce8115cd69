//! The certificate (MS-WSTEP, as MS-MDE2 3.3 and 3.4 use it): asked for with a PKCS#10, renewed with a PKCS#7 around
//! one. The answer carries the [provisioning document](super::provisioning).

use super::csr::{self, Csr};
use super::soap::{self, AnswerHeader, BASE64_BINARY, Outside, RequestHeader, SoapError};
use super::xml::{Attributes, Broken};
use crate::cms::{self, CmsError, Signing};
use crate::keys::Key;
use crate::lenient;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::Limits;
use std::borrow::Cow;

/// `RequestSecurityToken`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// Message id, URL and credential.
    pub header: RequestHeader<'a>,
    /// Whether a certificate is renewed (`RequestType` Renew), over TLS by the old one.
    pub renews: bool,
    /// What is to be certified.
    pub token: Token,
    /// `AdditionalContext`: names and values in order. `MAC` and `IMEI` come once an adapter.
    pub context: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// The request inside of the request, DER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// A certificate request.
    Pkcs10(Vec<u8>),
    /// One that is signed by the certificate to be renewed.
    Pkcs7(Vec<u8>),
}

/// What was asked for, its signatures checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The certificate request.
    pub csr: Csr,
    /// Of a renewal by PKCS#7: the certificate that signed it, DER. Who issued it is the caller's question.
    pub signer: Option<Vec<u8>>,
}

/// `RequestSecurityTokenResponse`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer<'a> {
    /// Which request it answers.
    pub header: AnswerHeader<'a>,
    /// The provisioning document.
    pub document: Vec<u8>,
}

/// The token of a renewal: a certificate request for a new key, signed with the old one. DER.
pub fn renewal(csr: &[u8], key: &Key, certificate: &[u8]) -> Result<Vec<u8>, CmsError> {
    let digest = key.digest();
    cms::sign(csr, &Signing { key, certificate, digest, time: None, attributes: &[], others: &[], detached: false })
}

impl Token {
    /// Opens it, and checks that whoever made it has the keys.
    pub fn open(&self, limits: &Limits) -> Result<Wanted, CmsError> {
        match self {
            Token::Pkcs10(der) => Ok(Wanted { csr: csr::read(der)?, signer: None }),
            Token::Pkcs7(der) => {
                let signed = cms::verify(der, None, limits)?;
                let csr = csr::read(&signed.content.ok_or(CmsError::NoContent)?)?;
                let signer = signed.signers.into_iter().next().ok_or(CmsError::NotSigned)?;
                Ok(Wanted { csr, signer: Some(signer.certificate) })
            }
        }
    }

    fn der(&self) -> &[u8] {
        match self {
            Token::Pkcs10(der) | Token::Pkcs7(der) => der,
        }
    }

    fn value_type(&self) -> &'static str {
        match self {
            Token::Pkcs10(_) => "http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS10",
            Token::Pkcs7(_) => "http://schemas.microsoft.com/windows/pki/2009/01/enrollment#PKCS7",
        }
    }

    /// The kind is told by its end: Microsoft's own example of a renewal has it on another URI.
    fn read(value_type: &str, text: &str) -> Result<Self, SoapError> {
        let mut der = lenient::base64(text).ok_or(SoapError::Base64("certificate request"))?;
        // A renewal that the user asks for is encoded twice; DER does not begin with a letter.
        if der.first().is_some_and(u8::is_ascii_alphabetic) {
            der = lenient::base64(der).ok_or(SoapError::Base64("certificate request"))?;
        }
        Ok(if value_type.ends_with("#PKCS7") { Token::Pkcs7(der) } else { Token::Pkcs10(der) })
    }
}

impl<'a> Request<'a> {
    /// The first value of this name in the context.
    pub fn context(&self, name: &str) -> Option<&str> {
        self.context.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.header.write(out, &Outside { namespaces: soap::SECURED, action: ACTION, body: &[] }, |w| {
            w.element("wst:RequestSecurityToken", &[], |w| {
                w.text("wst:TokenType", TOKEN_TYPE);
                w.text("wst:RequestType", if self.renews { RENEW } else { ISSUE });
                let attributes = [("ValueType", self.token.value_type()), ("EncodingType", BASE64_BINARY)];
                w.text_with("wsse:BinarySecurityToken", &attributes, &STANDARD.encode(self.token.der()));
                w.element("ac:AdditionalContext", CONTEXT, |w| {
                    for (name, value) in &self.context {
                        w.element("ac:ContextItem", &[("Name", name)], |w| w.text("ac:Value", value));
                    }
                });
            });
        });
    }

    /// Reads it.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, SoapError> {
        let mut opened = soap::open(bytes, limits, "RequestSecurityToken")?;
        let xml = &mut opened.xml;
        let (mut renews, mut token, mut context) = (false, None, Vec::new());
        while let Some(child) = xml.child()? {
            match child.name() {
                "RequestType" => renews = xml.word()?.ends_with("/Renew"),
                "BinarySecurityToken" => {
                    let value_type = child.attribute("ValueType").unwrap_or_default();
                    token = Some(Token::read(&value_type, &xml.word()?)?);
                }
                "AdditionalContext" => {
                    while let Some(child) = xml.child()? {
                        let name = child.attribute("Name").unwrap_or_default();
                        let [value] = xml.find(["Value"])?;
                        context.push((Cow::Owned(name), value.unwrap_or_default()));
                    }
                }
                _ => xml.skip()?,
            }
        }
        let token = token.ok_or_else(|| xml.error(Broken::Missing("BinarySecurityToken")))?;
        opened.finish()?;
        Ok(Request { header: opened.request, renews, token, context })
    }
}

impl<'a> Answer<'a> {
    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.header.write(out, &Outside { namespaces: soap::ANSWER, action: ANSWER_ACTION, body: &[] }, |w| {
            w.element("RequestSecurityTokenResponseCollection", &[("xmlns", TRUST)], |w| {
                w.element("RequestSecurityTokenResponse", &[], |w| {
                    w.text("TokenType", TOKEN_TYPE);
                    w.text_with("DispositionMessage", ENROLLMENT, "");
                    w.element("RequestedSecurityToken", &[], |w| {
                        let attributes =
                            [("xmlns", soap::SECEXT), ("ValueType", DOCUMENT), ("EncodingType", BASE64_BINARY)];
                        w.text_with("BinarySecurityToken", &attributes, &STANDARD.encode(&self.document));
                    });
                    w.text_with("RequestID", ENROLLMENT, "0");
                });
            });
        });
    }

    /// Reads it.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, SoapError> {
        let mut opened = soap::open(bytes, limits, "RequestSecurityTokenResponseCollection")?;
        let [document] = opened.xml.find(["BinarySecurityToken"])?;
        let document = document.ok_or_else(|| opened.xml.error(Broken::Missing("BinarySecurityToken")))?;
        opened.finish()?;
        let document = lenient::base64(&*document).ok_or(SoapError::Base64("provisioning document"))?;
        Ok(Answer { header: opened.answer, document })
    }
}

/// See [`soap::target`].
pub(super) fn target(bytes: &[u8], limits: &Limits) {
    let wide = Limits { body_bytes_max: usize::MAX, xml_elements_max: usize::MAX, ..limits.clone() };
    let mut out = Vec::new();
    if let Ok(request) = Request::read(bytes, limits) {
        drop(request.token.open(limits));
        request.write(&mut out);
        // What was encoded twice is opened to its end, unless the inside is encoded once more.
        if !request.token.der().first().is_some_and(u8::is_ascii_alphabetic) {
            assert_eq!(Request::read(&out, &wide).as_ref(), Ok(&request));
        }
    } else if let Ok(answer) = Answer::read(bytes, limits) {
        answer.write(&mut out);
        assert_eq!(Answer::read(&out, &wide).as_ref(), Ok(&answer));
    }
}

const ACTION: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RST/wstep";
const ANSWER_ACTION: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RSTRC/wstep";
const TOKEN_TYPE: &str = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken";
const DOCUMENT: &str =
    "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc";
const TRUST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const ISSUE: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue";
const RENEW: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Renew";
const CONTEXT: Attributes<'_> = &[("xmlns", "http://schemas.xmlsoap.org/ws/2006/12/authorization")];
const ENROLLMENT: Attributes<'_> = &[("xmlns", "http://schemas.microsoft.com/windows/pki/2009/01/enrollment")];
