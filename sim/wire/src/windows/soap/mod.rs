//! The envelope of the enrollment's messages: SOAP 1.2 with WS-Addressing and WS-Security.
//!
//! A fault comes as an error, whatever the HTTP status: most servers send it with 200.

mod fault;
mod security;

#[cfg(test)]
mod tests;

pub use fault::{Fault, FaultKind};
pub use security::{Credential, TokenKind};

pub(super) use security::{BASE64_BINARY, SECEXT};

use super::xml::{Attributes, Broken, Reader, Writer, XmlError};
use crate::cms::CmsError;
use droves_facts::Limits;
use std::borrow::Cow;

/// `Content-Type` of both directions; a server may add parameters.
pub const CONTENT_TYPE: &str = "application/soap+xml; charset=utf-8";
/// `User-Agent` of the enrollment client.
pub const USER_AGENT: &str = "ENROLLClient";

/// Why an enrollment's message can't be used.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum SoapError {
    /// Not the XML that it must be.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The server refuses.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Something in it is not the base64 that it must be.
    #[error("{0} is not base64")]
    Base64(&'static str),
    /// A certificate request or its signature is bad.
    #[error(transparent)]
    Cms(#[from] CmsError),
}

/// What a request's header says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RequestHeader<'a> {
    /// `a:MessageID`: `urn:uuid:` and a UUID.
    pub message_id: Cow<'a, str>,
    /// `a:To`: the URL that is called.
    pub to: Cow<'a, str>,
    /// `wsse:Security`.
    pub credential: Option<Credential<'a>>,
}

/// What an answer's header says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AnswerHeader<'a> {
    /// `a:RelatesTo`: the request's `a:MessageID`.
    pub relates_to: Cow<'a, str>,
    /// `ActivityId`: a UUID of the server's, by which its log is searched.
    pub activity: Option<Cow<'a, str>>,
    /// `u:Timestamp`: from when until when the answer is good, as `2026-01-05T08:00:00.000Z`. Windows does not look at
    /// it.
    pub timestamp: Option<(Cow<'a, str>, Cow<'a, str>)>,
}

const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIAGNOSTICS: &str = "http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics";
pub(super) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XSD: &str = "http://www.w3.org/2001/XMLSchema";

/// Declarations of the requests for policy and certificate.
pub(super) const SECURED: Attributes<'_> = &[
    ("xmlns:s", SOAP),
    ("xmlns:a", ADDRESSING),
    ("xmlns:u", UTILITY),
    ("xmlns:wsse", SECEXT),
    ("xmlns:wst", "http://docs.oasis-open.org/ws-sx/ws-trust/200512"),
    ("xmlns:ac", "http://schemas.xmlsoap.org/ws/2006/12/authorization"),
];
/// Declarations of discovery, in Windows' order.
pub(super) const BARE: Attributes<'_> = &[("xmlns:a", ADDRESSING), ("xmlns:s", SOAP)];
/// Declarations of an answer.
pub(super) const ANSWER: Attributes<'_> = &[("xmlns:s", SOAP), ("xmlns:a", ADDRESSING), ("xmlns:u", UTILITY)];
/// Declarations of a body that says `xsi:nil`.
pub(super) const SCHEMA: Attributes<'_> = &[("xmlns:xsi", XSI), ("xmlns:xsd", XSD)];
const MUST: (&str, &str) = ("s:mustUnderstand", "1");

/// What stands around a body.
pub(super) struct Outside<'a> {
    /// Attributes of `s:Envelope`.
    pub(super) namespaces: Attributes<'a>,
    pub(super) action: &'a str,
    /// Attributes of `s:Body`.
    pub(super) body: Attributes<'a>,
}

impl RequestHeader<'_> {
    /// Writes a request.
    pub(super) fn write(&self, out: &mut Vec<u8>, outside: &Outside<'_>, body: impl FnOnce(&mut Writer<'_>)) {
        Writer { out }.element("s:Envelope", outside.namespaces, |w| {
            w.element("s:Header", &[], |w| {
                w.text_with("a:Action", &[MUST], outside.action);
                w.text("a:MessageID", &self.message_id);
                w.element("a:ReplyTo", &[], |w| w.text("a:Address", ANONYMOUS));
                w.text_with("a:To", &[MUST], &self.to);
                if let Some(credential) = &self.credential {
                    w.element("wsse:Security", &[MUST], |w| credential.write(w));
                }
            });
            w.element("s:Body", outside.body, body);
        });
    }
}

impl AnswerHeader<'_> {
    /// Writes an answer, or a fault.
    pub(super) fn write(&self, out: &mut Vec<u8>, outside: &Outside<'_>, body: impl FnOnce(&mut Writer<'_>)) {
        Writer { out }.element("s:Envelope", outside.namespaces, |w| {
            w.element("s:Header", &[], |w| {
                w.text_with("a:Action", &[MUST], outside.action);
                if let Some(activity) = &self.activity {
                    w.text_with("ActivityId", &[("CorrelationId", activity), ("xmlns", DIAGNOSTICS)], activity);
                }
                w.text("a:RelatesTo", &self.relates_to);
                if let Some((created, expires)) = &self.timestamp {
                    w.element("o:Security", &[MUST, ("xmlns:o", SECEXT)], |w| {
                        w.element("u:Timestamp", &[("u:Id", "_0")], |w| {
                            w.text("u:Created", created);
                            w.text("u:Expires", expires);
                        });
                    });
                }
            });
            w.element("s:Body", outside.body, body);
        });
    }
}

/// Reads an envelope up to its body's element, which must have this name or be a fault. What the header of either
/// direction says is found; `finish` reads the rest.
pub(super) fn open<'a>(bytes: &'a [u8], limits: &Limits, wanted: &'static str) -> Result<Opened<'a>, SoapError> {
    let mut xml = Reader::new(bytes, limits)?;
    xml.root("Envelope")?;
    let mut read = Header::default();
    loop {
        let child = xml.child()?.ok_or_else(|| xml.error(Broken::Missing("Body")))?;
        match &*child.folded() {
            "header" => read = header(&mut xml)?,
            "body" => break,
            _ => xml.skip()?,
        }
    }
    let body = xml.child()?.ok_or_else(|| xml.error(Broken::Missing(wanted)))?;
    if body.folded() == "fault" {
        return Err(fault::read(&mut xml)?.into());
    }
    if body.name() != wanted {
        return Err(xml.error(Broken::Element { wanted, found: body.name().chars().take(40).collect() }).into());
    }
    let Header { message_id, to, credential, relates_to, activity, timestamp } = read;
    Ok(Opened {
        request: RequestHeader { message_id, to, credential },
        answer: AnswerHeader { relates_to, activity, timestamp },
        xml,
    })
}

/// Which request it is (`a:MessageID`), whatever its body is: for the refusal of one that can't be read.
pub fn message_id(bytes: &[u8], limits: &Limits) -> Option<String> {
    let mut xml = Reader::new(bytes, limits).ok()?;
    xml.root("Envelope").ok()?;
    while let Some(child) = xml.child().ok()? {
        match &*child.folded() {
            "header" => return Some(header(&mut xml).ok()?.message_id.into_owned()),
            _ => xml.skip().ok()?,
        }
    }
    None
}

/// An envelope whose body's element is open.
pub(super) struct Opened<'a> {
    pub(super) request: RequestHeader<'a>,
    pub(super) answer: AnswerHeader<'a>,
    pub(super) xml: Reader<'a>,
}

impl Opened<'_> {
    /// After the end of the body's element: that of the envelope.
    pub(super) fn finish(&mut self) -> Result<(), XmlError> {
        self.xml.skip()?;
        self.xml.skip()?;
        self.xml.finish()
    }
}

#[derive(Default)]
struct Header<'a> {
    message_id: Cow<'a, str>,
    to: Cow<'a, str>,
    credential: Option<Credential<'a>>,
    relates_to: Cow<'a, str>,
    activity: Option<Cow<'a, str>>,
    timestamp: Option<(Cow<'a, str>, Cow<'a, str>)>,
}

fn header<'a>(xml: &mut Reader<'a>) -> Result<Header<'a>, XmlError> {
    let mut header = Header::default();
    while let Some(child) = xml.child()? {
        match child.name() {
            "MessageID" => header.message_id = xml.word()?,
            "To" => header.to = xml.word()?,
            "RelatesTo" => header.relates_to = xml.word()?,
            "ActivityId" => header.activity = Some(xml.word()?),
            "Security" => security::read(xml, &mut header.credential, &mut header.timestamp)?,
            _ => xml.skip()?,
        }
    }
    Ok(header)
}

/// What a fuzzer drives: everything that reads an envelope. What could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    let limits = Limits { body_bytes_max: 1 << 20, ..Limits::default() };
    super::discovery::target(bytes, &limits);
    super::policy::target(bytes, &limits);
    super::issue::target(bytes, &limits);
}
