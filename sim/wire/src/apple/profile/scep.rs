//! The payload `com.apple.security.scep`: where the device's identity comes from, and what it is to say of itself.

use super::mdm::{flag, strings, text};
use super::{Payload, ProfileError};
use crate::apple::identity::Hardware;
use crate::plist::{Value, Writer};
use droves_facts::Dur;
use std::borrow::Cow;

/// `PayloadContent` of the payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scep {
    /// `URL`; http is usual, since the messages protect themselves.
    pub url: String,
    /// `Name`: the `message` of GetCACaps and GetCACert; empty if there is none.
    pub name: String,
    /// `Subject`: relative names in order, each of pairs of a type (`CN`, `O`, `1.2.5.3`) and a value, which may hold
    /// variables.
    pub subject: Vec<Vec<(String, String)>>,
    /// `Challenge`.
    pub challenge: Option<String>,
    /// `Keysize`: 1024, 2048 or 4096; 1024 by default.
    pub key_bits: u16,
    /// `Key Usage`: 1 sign, 4 encrypt; 0, the default, is any.
    pub key_usage: u8,
    /// `CAFingerprint`: MD5, SHA-1 or SHA-256 of the CA's certificate by its length.
    pub ca_fingerprint: Option<Vec<u8>>,
    /// `Retries` after PENDING; 3 by default.
    pub retries: u32,
    /// `RetryDelay`: 10 s by default. The first retry is made at once.
    pub retry_delay: Dur,
    /// `SubjectAltName`.
    pub alt_names: AltNames,
    /// `KeyIsExtractable`; true by default.
    pub key_is_extractable: bool,
    /// `AllowAllAppsAccess`.
    pub allow_all_apps_access: bool,
}

/// `SubjectAltName`: each key holds one text or several.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct AltNames {
    /// `rfc822Name`: mail addresses.
    pub rfc822_names: Vec<String>,
    /// `dNSName`.
    pub dns_names: Vec<String>,
    /// `uniformResourceIdentifier`.
    pub uris: Vec<String>,
    /// `ntPrincipalName`.
    pub nt_principal_names: Vec<String>,
}

impl Scep {
    /// The subject of this device: variables filled in; without a subject its name is the payload's identifier.
    pub fn subject_of(&self, hardware: &Hardware<'_>, payload_identifier: &str) -> Vec<Vec<(String, String)>> {
        if self.subject.iter().all(Vec::is_empty) {
            return vec![vec![("CN".to_owned(), payload_identifier.to_owned())]];
        }
        substituted(&self.subject, hardware)
    }

    pub(super) fn read(payload: &Payload<'_>) -> Result<Self, ProfileError> {
        let content = payload.typed("PayloadContent", Value::as_dict)?;
        let content = Payload::of(payload.need("PayloadContent", content)?, TYPE);
        let key_bits = content.integer("Keysize")?.unwrap_or(1_024);
        if content.str("Key Type")?.is_some_and(|kind| !kind.eq_ignore_ascii_case("RSA")) {
            return Err(content.wrong("Key Type"));
        }
        let number = |key, default: u32| {
            u32::try_from(content.integer(key)?.unwrap_or(i64::from(default))).map_err(|_| content.wrong(key))
        };
        let fingerprint = content.data("CAFingerprint")?.filter(|digest| !digest.is_empty());
        if fingerprint.is_some_and(|digest| !matches!(digest.len(), 16 | 20 | 32)) {
            return Err(content.wrong("CAFingerprint"));
        }
        Ok(Scep {
            url: content.need("URL", content.str("URL")?.filter(|url| !url.is_empty()))?.to_owned(),
            name: content.str("Name")?.unwrap_or_default().to_owned(),
            subject: subject(&content)?,
            challenge: content.str("Challenge")?.map(str::to_owned),
            key_bits: match key_bits {
                1_024 => 1_024,
                2_048 => 2_048,
                4_096 => 4_096,
                _ => return Err(content.wrong("Keysize")),
            },
            key_usage: u8::try_from(content.integer("Key Usage")?.unwrap_or(0))
                .map_err(|_| content.wrong("Key Usage"))?,
            ca_fingerprint: fingerprint.map(<[u8]>::to_vec),
            retries: number("Retries", 3)?,
            retry_delay: Dur::secs(u64::from(number("RetryDelay", 10)?)),
            alt_names: AltNames::read(&content)?,
            key_is_extractable: content.typed("KeyIsExtractable", Value::as_bool)?.unwrap_or(true),
            allow_all_apps_access: content.bool("AllowAllAppsAccess")?,
        })
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        flag(w, "AllowAllAppsAccess", self.allow_all_apps_access);
        if let Some(digest) = &self.ca_fingerprint {
            w.key("CAFingerprint").data(digest);
        }
        text(w, "Challenge", self.challenge.as_deref());
        w.key("Key Type").string("RSA");
        w.key("Key Usage").integer(i64::from(self.key_usage));
        if !self.key_is_extractable {
            w.key("KeyIsExtractable").bool(false);
        }
        w.key("Keysize").integer(i64::from(self.key_bits));
        text(w, "Name", Some(self.name.as_str()).filter(|name| !name.is_empty()));
        w.key("Retries").integer(i64::from(self.retries));
        w.key("RetryDelay").unsigned(self.retry_delay.0 / 1_000_000);
        if !self.subject.is_empty() {
            write_subject(w, &self.subject);
        }
        self.alt_names.write_key(w);
        w.key("URL").string(&self.url);
    }
}

pub(super) fn write_subject(w: &mut Writer<'_>, subject: &[Vec<(String, String)>]) {
    let pair = |w: &mut Writer<'_>, (kind, value): &(String, String)| {
        w.array(|w| {
            w.string(kind);
            w.string(value);
        });
    };
    w.key("Subject").array(|w| subject.iter().for_each(|name| w.array(|w| name.iter().for_each(|p| pair(w, p)))));
}

impl AltNames {
    pub(super) fn read(content: &Payload<'_>) -> Result<Self, ProfileError> {
        let Some(dict) = content.typed("SubjectAltName", Value::as_dict)? else { return Ok(AltNames::default()) };
        let names = |key| match dict.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(name)) => Ok(vec![name.clone()]),
            Some(Value::Array(names)) => {
                let owned = names.iter().map(|name| name.as_str().map(str::to_owned));
                owned.collect::<Option<_>>().ok_or_else(|| content.wrong("SubjectAltName"))
            }
            Some(_) => Err(content.wrong("SubjectAltName")),
        };
        Ok(AltNames {
            rfc822_names: names("rfc822Name")?,
            dns_names: names("dNSName")?,
            uris: names("uniformResourceIdentifier")?,
            nt_principal_names: names("ntPrincipalName")?,
        })
    }

    pub(super) fn write_key(&self, w: &mut Writer<'_>) {
        if *self == AltNames::default() {
            return;
        }
        w.key("SubjectAltName").dict(|w| {
            strings(w, "dNSName", &self.dns_names);
            strings(w, "ntPrincipalName", &self.nt_principal_names);
            strings(w, "rfc822Name", &self.rfc822_names);
            strings(w, "uniformResourceIdentifier", &self.uris);
        });
    }
}

/// `[[["O", "Example"]], [["CN", "%SerialNumber%"]]]`.
pub(super) fn subject(content: &Payload<'_>) -> Result<Vec<Vec<(String, String)>>, ProfileError> {
    let wrong = || content.wrong("Subject");
    let pair = |pair: &Value| match pair.as_array() {
        Some([Value::String(kind), Value::String(value)]) => Ok((kind.clone(), value.clone())),
        _ => Err(wrong()),
    };
    let name = |name: &Value| name.as_array().ok_or_else(wrong)?.iter().map(pair).collect();
    content.array("Subject")?.unwrap_or_default().iter().map(name).collect()
}

/// A subject with its variables filled in.
pub fn substituted(subject: &[Vec<(String, String)>], hardware: &Hardware<'_>) -> Vec<Vec<(String, String)>> {
    let filled = |(kind, value): &(String, String)| (kind.clone(), substitute(value, hardware).into_owned());
    subject.iter().map(|name| name.iter().map(filled).collect()).collect()
}

/// Fills in the variables that macOS knows; what it does not know, or the device does not have, stays as it is.
pub fn substitute<'t>(text: &'t str, hardware: &Hardware<'_>) -> Cow<'t, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let variable = after.split_once('%').and_then(|(name, after)| Some((value_of(name, hardware)?, after)));
        out.push_str(before);
        match variable {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(rest);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn value_of<'h>(variable: &str, hardware: &Hardware<'h>) -> Option<&'h str> {
    match variable {
        "ComputerName" => Some(hardware.device_name),
        "HardwareUUID" => Some(hardware.udid),
        "SerialNumber" => Some(hardware.serial_number),
        "HostName" => hardware.host_name,
        "LocalHostName" => hardware.local_host_name,
        "MACAddress" => hardware.mac_address,
        _ => None,
    }
}

pub(super) const TYPE: &str = "com.apple.security.scep";
