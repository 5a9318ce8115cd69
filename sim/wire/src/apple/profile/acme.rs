//! The payload `com.apple.security.acme`: an ACME server (RFC 8555) that certifies a key which the device makes, and
//! which it may have Apple attest to (`device-attest-01`).

use super::mdm::{flag, is_https, strings, text};
use super::scep::{AltNames, subject, write_subject};
use super::{Allowances, Payload, ProfileError};
use crate::plist::{Value, Writer};

/// The payload's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acme {
    /// `DirectoryURL`; https.
    pub directory_url: String,
    /// `ClientIdentifier`: the `permanent-identifier` of the order. A server that goes by attestation wants the serial
    /// number or the UDID, others a code that they gave out.
    pub client_identifier: String,
    /// `KeyType` and `KeySize`.
    pub key: AcmeKey,
    /// `HardwareBound`: the key is made in the Secure Enclave, and stays there.
    pub hardware_bound: bool,
    /// `Attest`; false by default.
    pub attest: bool,
    /// `Subject`: relative names in order, each of pairs of a type and a value.
    pub subject: Vec<Vec<(String, String)>>,
    /// `SubjectAltName`.
    pub alt_names: AltNames,
    /// `UsageFlags`: 1 sign, 4 encrypt; 0 where it does not say.
    pub key_usage: u8,
    /// `ExtendedKeyUsage`: dotted OIDs.
    pub extended_key_usages: Vec<String>,
    /// `KeyIsExtractable`; true by default.
    pub key_is_extractable: bool,
    /// `AllowAllAppsAccess`.
    pub allow_all_apps_access: bool,
}

/// The kind of key that the payload asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcmeKey {
    /// `RSA`: 1,024 to 4,096 bits.
    Rsa(u16),
    /// `ECSECPrimeRandom`: P-192, P-256, P-384 or P-521, by its bits.
    Ec(u16),
}

impl Acme {
    pub(super) fn read(payload: &Payload<'_>, allow: Allowances) -> Result<Self, ProfileError> {
        let need = |key| payload.need(key, payload.str(key)?.filter(|text| !text.is_empty())).map(str::to_owned);
        let wants = |key| payload.need(key, payload.typed(key, Value::as_bool)?);
        let acme = Acme {
            directory_url: need("DirectoryURL")?,
            client_identifier: need("ClientIdentifier")?,
            key: AcmeKey::read(payload)?,
            hardware_bound: wants("HardwareBound")?,
            attest: payload.bool("Attest")?,
            subject: payload.need("Subject", payload.array("Subject")?).and_then(|_| subject(payload))?,
            alt_names: AltNames::read(payload)?,
            key_usage: u8::try_from(payload.integer("UsageFlags")?.unwrap_or(0))
                .map_err(|_| payload.wrong("UsageFlags"))?,
            extended_key_usages: payload.strings("ExtendedKeyUsage")?,
            key_is_extractable: payload.typed("KeyIsExtractable", Value::as_bool)?.unwrap_or(true),
            allow_all_apps_access: payload.bool("AllowAllAppsAccess")?,
        };
        if !is_https(&acme.directory_url, allow) {
            return Err(ProfileError::NotHttps("DirectoryURL"));
        }
        // The Secure Enclave knows two curves, and Apple attests to no key outside it.
        if acme.hardware_bound && !matches!(acme.key, AcmeKey::Ec(256 | 384)) {
            return Err(payload.wrong("HardwareBound"));
        }
        if acme.attest && !acme.hardware_bound {
            return Err(payload.wrong("Attest"));
        }
        Ok(acme)
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        flag(w, "AllowAllAppsAccess", self.allow_all_apps_access);
        flag(w, "Attest", self.attest);
        text(w, "ClientIdentifier", Some(&self.client_identifier));
        text(w, "DirectoryURL", Some(&self.directory_url));
        strings(w, "ExtendedKeyUsage", &self.extended_key_usages);
        w.key("HardwareBound").bool(self.hardware_bound);
        if !self.key_is_extractable {
            w.key("KeyIsExtractable").bool(false);
        }
        let (kind, bits) = match self.key {
            AcmeKey::Rsa(bits) => ("RSA", bits),
            AcmeKey::Ec(bits) => ("ECSECPrimeRandom", bits),
        };
        w.key("KeySize").integer(i64::from(bits));
        w.key("KeyType").string(kind);
        write_subject(w, &self.subject);
        self.alt_names.write_key(w);
        if self.key_usage != 0 {
            w.key("UsageFlags").integer(i64::from(self.key_usage));
        }
    }
}

impl AcmeKey {
    fn read(payload: &Payload<'_>) -> Result<Self, ProfileError> {
        let kind = payload.need("KeyType", payload.str("KeyType")?)?;
        let bits = payload.need("KeySize", payload.integer("KeySize")?)?;
        let bits = u16::try_from(bits).map_err(|_| payload.wrong("KeySize"))?;
        match (kind, bits) {
            ("RSA", 1_024..=4_096) if bits % 8 == 0 => Ok(AcmeKey::Rsa(bits)),
            ("ECSECPrimeRandom", 192 | 256 | 384 | 521) => Ok(AcmeKey::Ec(bits)),
            ("RSA" | "ECSECPrimeRandom", _) => Err(payload.wrong("KeySize")),
            _ => Err(payload.wrong("KeyType")),
        }
    }
}

pub(super) const TYPE: &str = "com.apple.security.acme";
