//! Configuration profiles: the enrollment profile that a device goes by, and any other that it installs.
//!
//! The rules are those of Apple's payloads (schema `mdm/profiles`: `TopLevel`, `CommonPayloadKeys`, `com.apple.mdm`,
//! `com.apple.security.scep`, ..). What a device shows to its user and does not tell the server is a variant of
//! [`ProfileError`]. A signed profile is CMS over the plist; whether its signer is trusted is no question here, since
//! devices install profiles of unknown signers too.

mod acme;
mod installed;
mod mdm;
mod rights;
mod scep;

pub use acme::{Acme, AcmeKey};
pub use installed::{InstalledProfile, ListedPayload};
pub use mdm::{EnrollmentMode, Mdm, UpdateRefused};
pub use rights::{AccessRights, RightsError};
pub use scep::{AltNames, Scep, substitute, substituted};

use crate::cms::{self, CmsError};
use crate::plist::{self, Dict, PlistError, Value, Writer};
use droves_facts::Limits;
use std::borrow::Cow;

/// `Content-Type` of a profile, signed or not.
pub const CONTENT_TYPE: &str = "application/x-apple-aspen-config";

/// A profile that enrolls a device.
#[derive(Clone, PartialEq, Debug)]
pub struct EnrollmentProfile {
    /// What the profile is called.
    pub heading: Heading,
    /// Whether it came signed.
    pub signed: bool,
    /// The server, and what it may do.
    pub mdm: Mdm,
    /// Where the device gets its identity.
    pub identity: Identity,
    /// Certificates that the device is to trust or to know.
    pub anchors: Vec<Anchor>,
    /// Payload types of whatever else is in it.
    pub others: Vec<String>,
}

/// The keys that every payload has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heading {
    /// `PayloadIdentifier`.
    pub identifier: String,
    /// `PayloadUUID`.
    pub uuid: String,
    /// `PayloadDisplayName`.
    pub display_name: Option<String>,
    /// `PayloadOrganization`.
    pub organization: Option<String>,
    /// `PayloadDescription`.
    pub description: Option<String>,
    /// `PayloadVersion`.
    pub version: i64,
}

/// Where a device gets its identity.
#[derive(Clone, PartialEq, Debug)]
pub enum Identity {
    /// From a SCEP server.
    Scep(Heading, Scep),
    /// From an ACME server.
    Acme(Heading, Acme),
    /// It is in the profile, with its key.
    Pkcs12 {
        /// The payload's heading.
        heading: Heading,
        /// The PKCS#12 file.
        content: Vec<u8>,
        /// `Password`; without one the user is asked.
        password: Option<String>,
    },
}

/// A certificate of the profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// The payload's heading.
    pub heading: Heading,
    /// In which form, and whether it is to be trusted.
    pub kind: AnchorKind,
    /// The file.
    pub content: Vec<u8>,
}

/// The payloads that hold a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnchorKind {
    /// `com.apple.security.root`: DER, trusted.
    Root,
    /// `com.apple.security.pkcs1`: DER.
    Pkcs1,
    /// `com.apple.security.pem`: PEM.
    Pem,
}

/// Why a device does not enroll by a profile.
#[derive(thiserror::Error, Clone, PartialEq, Debug)]
pub enum ProfileError {
    /// No property list.
    #[error("profile that is no property list")]
    Plist(#[from] PlistError),
    /// The envelope of a signed profile is bad.
    #[error("signature: {0}")]
    Envelope(#[from] CmsError),
    /// Not a dictionary.
    #[error("profile that is not a dictionary")]
    NotADictionary,
    /// Another kind of profile, as the profile service of the first phase sends.
    #[error("profile of PayloadType {0:?}, not Configuration")]
    NotAConfiguration(String),
    /// For one device only, and its key is in hardware.
    #[error("profile that is encrypted")]
    Encrypted,
    /// A key that must be there.
    #[error("{payload} without {key}")]
    Missing {
        /// The payload's type.
        payload: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value of another type, or out of its range.
    #[error("{payload} with a {key} that is not allowed")]
    Value {
        /// The payload's type.
        payload: &'static str,
        /// The key.
        key: &'static str,
    },
    /// Nothing to enroll with.
    #[error("profile without a com.apple.mdm payload")]
    NoMdm,
    /// Two servers.
    #[error("profile with more than one com.apple.mdm payload")]
    TwoMdm,
    /// A topic that Apple does not hand out to MDM servers.
    #[error("topic {0:?} that does not begin with com.apple.mgmt.")]
    Topic(String),
    /// A URL without TLS.
    #[error("{0} that does not begin with https://")]
    NotHttps(&'static str),
    /// Rights that don't go together.
    #[error("AccessRights with {0}")]
    Rights(#[from] RightsError),
    /// Rights in a user enrollment, which has fixed ones.
    #[error("AccessRights in a user enrollment")]
    RightsInUserEnrollment,
    /// `IdentityCertificateUUID` names no payload.
    #[error("IdentityCertificateUUID that names no payload of the profile")]
    NoIdentity,
    /// It names one that is no identity.
    #[error("IdentityCertificateUUID that names a payload of type {0:?}")]
    NotAnIdentity(String),
}

/// What the person who runs the fleet allows beyond what a device does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allowances {
    /// `ServerURL`, `CheckInURL` and ACME's `DirectoryURL` may be plain http: a server without TLS before it.
    pub http: bool,
}

impl EnrollmentProfile {
    /// Reads a profile, signed or not, as a device does that is to enroll by it.
    pub fn parse(bytes: &[u8], allow: Allowances, limits: &Limits) -> Result<Self, ProfileError> {
        let (root, signed) = read(bytes, limits)?;
        let profile = Payload::of(&root, CONFIGURATION);
        let payloads: Vec<&Dict> =
            profile.array("PayloadContent")?.unwrap_or_default().iter().filter_map(Value::as_dict).collect();
        let mut servers = payloads.iter().filter(|payload| kind(payload) == mdm::TYPE);
        let server = servers.next().ok_or(ProfileError::NoMdm)?;
        if servers.next().is_some() {
            return Err(ProfileError::TwoMdm);
        }
        let mdm = Mdm::read(server, allow)?;
        let wanted = mdm.identity_certificate_uuid.as_str();
        let is_wanted =
            |payload: &Dict| payload.str("PayloadUUID").is_some_and(|uuid| uuid.eq_ignore_ascii_case(wanted));
        let identity = payloads.iter().find(|payload| is_wanted(payload)).ok_or(ProfileError::NoIdentity)?;
        let identity = Identity::read(identity, allow)?;
        let (mut anchors, mut others) = (Vec::new(), Vec::new());
        for payload in payloads.iter().filter(|payload| kind(payload) != mdm::TYPE && !is_wanted(payload)) {
            match AnchorKind::of(kind(payload)) {
                Some(kind) => anchors.push(Anchor::read(payload, kind)?),
                None => others.push(kind(payload).to_owned()),
            }
        }
        Ok(EnrollmentProfile { heading: profile.heading()?, signed, mdm, identity, anchors, others })
    }

    /// Writes the profile, unsigned. Payloads of other types are not written: only their types are known.
    pub fn write(&self, out: &mut Vec<u8>) {
        plist::write(out, |w| {
            w.dict(|w| {
                w.key("PayloadContent").array(|w| {
                    self.anchors.iter().for_each(|anchor| w.dict(|w| anchor.write(w)));
                    w.dict(|w| self.identity.write(w));
                    w.dict(|w| self.mdm.write(w));
                });
                self.heading.write(w, "Configuration");
            });
        });
    }
}

/// What a fuzzer drives: an enrollment profile that was read is written, read and written to the same bytes.
pub fn target(bytes: &[u8]) {
    let (allow, limits) = (Allowances { http: true }, Limits::default());
    if let Ok(listed) = InstalledProfile::parse(bytes, &limits) {
        assert!(listed.payloads.len() <= limits.plist_values_max);
    }
    let Ok(profile) = EnrollmentProfile::parse(bytes, allow, &limits) else { return };
    let mut out = Vec::new();
    profile.write(&mut out);
    let mut twice = Vec::new();
    match EnrollmentProfile::parse(&out, allow, &Limits { body_bytes_max: usize::MAX, ..limits }) {
        Ok(again) => again.write(&mut twice),
        // Two UUIDs that differ in nothing but characters that XML can't carry are one when they are written.
        Err(_) if out.windows(3).any(|c| c == "\u{fffd}".as_bytes()) => return,
        Err(error) => panic!("our own writing is not readable: {error}"),
    }
    assert_eq!(out, twice);
}

/// The profile's dictionary, and whether it came signed: DER and BER begin with the tag of a SEQUENCE, a property list
/// never does.
fn read(bytes: &[u8], limits: &Limits) -> Result<(Dict, bool), ProfileError> {
    let signed = bytes.first() == Some(&0x30);
    let content = if signed { Cow::Owned(cms::signed_content(bytes, limits)?) } else { Cow::Borrowed(bytes) };
    let Value::Dict(dict) = plist::read(&content, limits)? else { return Err(ProfileError::NotADictionary) };
    let kind = kind(&dict);
    if kind != "Configuration" {
        return Err(ProfileError::NotAConfiguration(kind.chars().take(64).collect()));
    }
    if dict.bool("IsEncrypted") == Some(true) || dict.get("EncryptedPayloadContent").is_some() {
        return Err(ProfileError::Encrypted);
    }
    Ok((dict, signed))
}

fn kind(payload: &Dict) -> &str {
    payload.str("PayloadType").unwrap_or_default()
}

impl Heading {
    /// A heading of version 1 with no more than its names.
    pub fn named(identifier: impl Into<String>, uuid: impl Into<String>) -> Self {
        Heading { identifier: identifier.into(), uuid: uuid.into(), version: 1, ..Heading::default() }
    }

    fn write(&self, w: &mut Writer<'_>, kind: &str) {
        let text = |text: &Option<String>| text.clone();
        for (key, value) in [
            ("PayloadDescription", text(&self.description)),
            ("PayloadDisplayName", text(&self.display_name)),
            ("PayloadIdentifier", Some(self.identifier.clone())),
            ("PayloadOrganization", text(&self.organization)),
            ("PayloadType", Some(kind.to_owned())),
            ("PayloadUUID", Some(self.uuid.clone())),
        ] {
            if let Some(value) = value {
                w.key(key).string(&value);
            }
        }
        w.key("PayloadVersion").integer(self.version);
    }
}

impl Identity {
    fn read(dict: &Dict, allow: Allowances) -> Result<Self, ProfileError> {
        match kind(dict) {
            acme::TYPE => {
                let payload = Payload::of(dict, acme::TYPE);
                Ok(Identity::Acme(payload.heading()?, Acme::read(&payload, allow)?))
            }
            scep::TYPE => {
                let payload = Payload::of(dict, scep::TYPE);
                Ok(Identity::Scep(payload.heading()?, Scep::read(&payload)?))
            }
            PKCS12 => {
                let payload = Payload::of(dict, PKCS12);
                Ok(Identity::Pkcs12 {
                    heading: payload.heading()?,
                    content: payload.need("PayloadContent", payload.data("PayloadContent")?)?.to_vec(),
                    password: payload.str("Password")?.map(str::to_owned),
                })
            }
            other => Err(ProfileError::NotAnIdentity(other.chars().take(64).collect())),
        }
    }

    /// The payload's heading.
    pub fn heading(&self) -> &Heading {
        match self {
            Identity::Scep(heading, _) | Identity::Acme(heading, _) | Identity::Pkcs12 { heading, .. } => heading,
        }
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Identity::Scep(heading, scep) => {
                w.key("PayloadContent").dict(|w| scep.write(w));
                heading.write(w, scep::TYPE);
            }
            Identity::Acme(heading, acme) => {
                acme.write(w);
                heading.write(w, acme::TYPE);
            }
            Identity::Pkcs12 { heading, content, password } => {
                if let Some(password) = password {
                    w.key("Password").string(password);
                }
                w.key("PayloadContent").data(content);
                heading.write(w, PKCS12);
            }
        }
    }
}

impl Anchor {
    fn read(dict: &Dict, kind: AnchorKind) -> Result<Self, ProfileError> {
        let payload = Payload::of(dict, kind.name());
        let content = payload.need("PayloadContent", payload.data("PayloadContent")?)?.to_vec();
        Ok(Anchor { heading: payload.heading()?, kind, content })
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.key("PayloadContent").data(&self.content);
        self.heading.write(w, self.kind.name());
    }
}

impl AnchorKind {
    fn of(kind: &str) -> Option<Self> {
        [AnchorKind::Root, AnchorKind::Pkcs1, AnchorKind::Pem].into_iter().find(|known| known.name() == kind)
    }

    /// `PayloadType`.
    pub fn name(self) -> &'static str {
        match self {
            AnchorKind::Root => "com.apple.security.root",
            AnchorKind::Pkcs1 => "com.apple.security.pkcs1",
            AnchorKind::Pem => "com.apple.security.pem",
        }
    }
}

/// A payload whose keys are read: a value of another type than the key's is an error that names both.
#[derive(Clone, Copy)]
struct Payload<'a> {
    dict: &'a Dict,
    name: &'static str,
}

impl<'a> Payload<'a> {
    fn of(dict: &'a Dict, name: &'static str) -> Self {
        Payload { dict, name }
    }

    fn heading(&self) -> Result<Heading, ProfileError> {
        let owned = |key| Ok::<_, ProfileError>(self.str(key)?.map(str::to_owned));
        Ok(Heading {
            identifier: self.need("PayloadIdentifier", self.str("PayloadIdentifier")?)?.to_owned(),
            uuid: self.need("PayloadUUID", self.str("PayloadUUID")?)?.to_owned(),
            display_name: owned("PayloadDisplayName")?,
            organization: owned("PayloadOrganization")?,
            description: owned("PayloadDescription")?,
            version: self.integer("PayloadVersion")?.unwrap_or(1),
        })
    }

    fn need<T>(&self, key: &'static str, value: Option<T>) -> Result<T, ProfileError> {
        value.ok_or(ProfileError::Missing { payload: self.name, key })
    }

    fn wrong(&self, key: &'static str) -> ProfileError {
        ProfileError::Value { payload: self.name, key }
    }

    fn typed<T>(&self, key: &'static str, typed: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, ProfileError> {
        self.dict.get(key).map(|value| typed(value).ok_or_else(|| self.wrong(key))).transpose()
    }

    fn str(&self, key: &'static str) -> Result<Option<&'a str>, ProfileError> {
        self.typed(key, Value::as_str)
    }

    fn integer(&self, key: &'static str) -> Result<Option<i64>, ProfileError> {
        self.typed(key, Value::as_i64)
    }

    fn bool(&self, key: &'static str) -> Result<bool, ProfileError> {
        Ok(self.typed(key, Value::as_bool)?.unwrap_or(false))
    }

    fn data(&self, key: &'static str) -> Result<Option<&'a [u8]>, ProfileError> {
        self.typed(key, Value::as_data)
    }

    fn array(&self, key: &'static str) -> Result<Option<&'a [Value]>, ProfileError> {
        self.typed(key, Value::as_array)
    }

    fn strings(&self, key: &'static str) -> Result<Vec<String>, ProfileError> {
        let values = self.array(key)?.unwrap_or_default().iter();
        values.map(|value| value.as_str().map(str::to_owned).ok_or_else(|| self.wrong(key))).collect()
    }
}

const CONFIGURATION: &str = "Configuration";
const PKCS12: &str = "com.apple.security.pkcs12";

#[cfg(test)]
mod tests;
