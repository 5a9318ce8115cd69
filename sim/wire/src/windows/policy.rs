//! The enrollment policy (MS-XCEP, as MS-MDE2 3.2 cuts it down): which key and which digest the server wants.
//!
//! Windows forgives much here: an answer that can't be read costs nothing, and [`Policy::default`] takes its place.

use super::soap::{self, AnswerHeader, Outside, RequestHeader, SoapError};
use super::xml::{Attributes, Reader, Writer, XmlError};
use droves_facts::Limits;
use std::borrow::Cow;

/// `GetPolicies`: asks for all that there is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request<'a> {
    /// Message id, URL and credential.
    pub header: RequestHeader<'a>,
}

/// `GetPoliciesResponse`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer<'a> {
    /// Which request it answers.
    pub header: AnswerHeader<'a>,
    /// The first policy.
    pub policy: Policy<'a>,
}

/// What a policy says of the certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy<'a> {
    /// `policySchema`: 3.
    pub schema: u32,
    /// `minimalKeyLength`: bits of an RSA key, 2048 if nothing is said.
    pub key_bits_min: u32,
    /// `certificateValidity`, if it is said.
    pub validity: Option<Validity>,
    /// The OID that `hashAlgorithmOIDReference` points to; SHA-1 if nothing is said.
    pub hash_oid: Option<Cow<'a, str>>,
}

impl Default for Policy<'_> {
    fn default() -> Self {
        Policy { schema: 3, key_bits_min: 2048, validity: None, hash_oid: None }
    }
}

/// `certificateValidity`, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Validity {
    /// `validityPeriodSeconds`: how long the certificate lasts.
    pub lasts_secs: u64,
    /// `renewalPeriodSeconds`: how long before its end it may be renewed.
    pub renewal_secs: u64,
}

/// What the field was seen to use as a hash: SHA-1 with RSA in OIW's spelling.
pub const SHA1_RSA: &str = "1.3.14.3.2.29";

impl<'a> Request<'a> {
    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.header.write(out, &Outside { namespaces: soap::SECURED, action: ACTION, body: soap::SCHEMA }, |w| {
            w.element("GetPolicies", NAMESPACE, |w| {
                w.element("client", &[], |w| {
                    w.empty("lastUpdate", NIL);
                    w.empty("preferredLanguage", NIL);
                });
                w.empty("requestFilter", NIL);
            });
        });
    }

    /// Reads it.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, SoapError> {
        let mut opened = soap::open(bytes, limits, "GetPolicies")?;
        opened.xml.skip()?;
        opened.finish()?;
        Ok(Request { header: opened.request })
    }
}

impl<'a> Answer<'a> {
    /// Writes it. MS-XCEP wants every element, of which most may be nil.
    pub fn write(&self, out: &mut Vec<u8>) {
        let nil = |w: &mut Writer<'_>, names: &[&str]| names.iter().for_each(|name| w.empty(name, NIL));
        self.header.write(out, &Outside { namespaces: soap::ANSWER, action: ANSWER_ACTION, body: soap::SCHEMA }, |w| {
            w.element("GetPoliciesResponse", NAMESPACE, |w| {
                w.element("response", &[], |w| {
                    w.text("policyID", "");
                    nil(w, &["policyFriendlyName", "nextUpdateHours", "policiesNotChanged"]);
                    w.element("policies", &[], |w| {
                        w.element("policy", &[], |w| {
                            w.text("policyOIDReference", HASH_REFERENCE);
                            nil(w, &["cAs"]);
                            self.policy.write(w);
                        });
                    });
                });
                nil(w, &["cAs"]);
                w.element("oIDs", &[], |w| {
                    if let Some(oid) = &self.policy.hash_oid {
                        w.element("oID", &[], |w| {
                            w.text("value", oid);
                            w.text("group", "1");
                            w.text("oIDReferenceID", HASH_REFERENCE);
                            w.text("defaultName", "szOID_OIWSEC_sha1RSASign");
                        });
                    }
                });
            });
        });
    }

    /// Reads it.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, SoapError> {
        let mut opened = soap::open(bytes, limits, "GetPoliciesResponse")?;
        let xml = &mut opened.xml;
        let (mut policy, mut hash_reference, mut oids) = (None, None, Vec::new());
        while let Some(child) = xml.child()? {
            match child.name() {
                "response" if policy.is_none() => {
                    if descend(xml, &["policies", "policy", "attributes"])? {
                        let (first, reference) = attributes(xml)?;
                        (policy, hash_reference) = (Some(first), reference);
                        // The ends of policy, policies and response.
                        (0..3).try_for_each(|_| xml.skip())?;
                    }
                }
                "oIDs" => {
                    while xml.child()?.is_some() {
                        oids.push(xml.find(["oIDReferenceID", "value"])?);
                    }
                }
                _ => xml.skip()?,
            }
        }
        opened.finish()?;
        let mut policy = policy.unwrap_or_default();
        if hash_reference.is_some() {
            let found = oids.into_iter().find(|[reference, _]| *reference == hash_reference);
            policy.hash_oid = found.and_then(|[_, value]| value);
        }
        Ok(Answer { header: opened.answer, policy })
    }
}

impl Policy<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.element("attributes", &[], |w| {
            w.number("policySchema", self.schema.into());
            if let Some(validity) = self.validity {
                w.element("certificateValidity", &[], |w| {
                    w.number("validityPeriodSeconds", validity.lasts_secs);
                    w.number("renewalPeriodSeconds", validity.renewal_secs);
                });
            }
            w.element("permission", &[], |w| {
                w.text("enroll", "true");
                w.text("autoEnroll", "false");
            });
            w.element("privateKeyAttributes", &[], |w| w.number("minimalKeyLength", self.key_bits_min.into()));
            match self.hash_oid {
                Some(_) => w.text("hashAlgorithmOIDReference", HASH_REFERENCE),
                None => w.empty("hashAlgorithmOIDReference", NIL),
            }
        });
    }
}

/// Opens the first child of each of these names, one inside of the other. If one is missing, all that was opened ends.
fn descend(xml: &mut Reader<'_>, path: &[&str]) -> Result<bool, XmlError> {
    let Some((name, deeper)) = path.split_first() else { return Ok(true) };
    while let Some(child) = xml.child()? {
        if child.name() != *name {
            xml.skip()?;
        } else if descend(xml, deeper)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The policy whose `attributes` are open, and what its `hashAlgorithmOIDReference` points to.
fn attributes<'a>(xml: &mut Reader<'a>) -> Result<(Policy<'a>, Option<Cow<'a, str>>), XmlError> {
    let (mut policy, mut hash_reference) = (Policy::default(), None);
    while let Some(child) = xml.child()? {
        match child.name() {
            "policySchema" => policy.schema = xml.number("policySchema")?,
            "certificateValidity" => {
                let mut validity = Validity::default();
                while let Some(child) = xml.child()? {
                    match child.name() {
                        "validityPeriodSeconds" => validity.lasts_secs = xml.number("validityPeriodSeconds")?,
                        "renewalPeriodSeconds" => validity.renewal_secs = xml.number("renewalPeriodSeconds")?,
                        _ => xml.skip()?,
                    }
                }
                policy.validity = Some(validity);
            }
            "privateKeyAttributes" => {
                while let Some(child) = xml.child()? {
                    match child.name() {
                        "minimalKeyLength" => policy.key_bits_min = xml.number("minimalKeyLength")?,
                        _ => xml.skip()?,
                    }
                }
            }
            "hashAlgorithmOIDReference" => hash_reference = Some(xml.word()?).filter(|text| !text.is_empty()),
            _ => xml.skip()?,
        }
    }
    Ok((policy, hash_reference))
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

const ACTION: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPolicies";
const ANSWER_ACTION: &str =
    "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPoliciesResponse";
const NAMESPACE: Attributes<'_> = &[("xmlns", "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy")];
const NIL: Attributes<'_> = &[("xsi:nil", "true")];
/// By which our answers' policy names its hash.
const HASH_REFERENCE: &str = "0";
