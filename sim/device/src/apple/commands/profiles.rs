//! Profiles: installed, listed, removed.

use super::{Dict, Refusal, Scene, Then, Writer};
use crate::apple::enroll;
use crate::apple::shared::{Payload, Profile};
use bytes::Bytes;
use droves_facts::Limits;
use droves_wire::apple::profile::{InstalledProfile, ListedPayload};
use droves_wire::cms;
use droves_wire::plist::{self, Value};
use std::sync::Arc;

/// `InstallProfile`. The enrollment's own profile brings a new identity first.
pub(super) fn install(body: &Dict, scene: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    let data = body.data("Payload").ok_or_else(|| Refusal::missing("Payload"))?;
    let invalid = |text: String| Refusal::new(1_000, "MCProfileErrorDomain", format!("Invalid profile: {text}"));
    let Brought { profile, user_scope } = read(data, scene.ctx.limits).map_err(invalid)?;
    let has_mdm = profile.payloads.iter().any(|payload| &*payload.kind == "com.apple.mdm");
    let lane = &mut *scene.lane;
    if has_mdm {
        let own = lane.shared.mdm.as_ref().is_some_and(|mdm| enroll::is_own(mdm, &profile.identifier));
        if own && scene.ctx.channel == 0 {
            return Ok(Then::Renew(Box::new(Bytes::copy_from_slice(data))));
        }
        return Err(Refusal::new(4_000, "MCInstallationErrorDomain", "The device is enrolled already."));
    }
    if user_scope && scene.ctx.channel == 0 && scene.hardware.is_mac() {
        return Err(Refusal::new(-319, "ConfigProfilePluginDomain", "A user profile can't go to the device channel."));
    }
    if Arc::make_mut(&mut lane.shared).install(profile, scene.ctx.limits.profiles_max) {
        Ok(Then::Nothing)
    } else {
        Err(Refusal::new(4_001, "MCInstallationErrorDomain", "There is no room for another profile."))
    }
}

/// `RemoveProfile`. Removing the enrollment's own profile is leaving.
pub(super) fn remove(body: &Dict, scene: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    let identifier = body.str("Identifier").ok_or_else(|| Refusal::missing("Identifier"))?;
    let lane = &mut *scene.lane;
    if scene.ctx.channel == 0 && lane.shared.mdm.as_ref().is_some_and(|mdm| enroll::is_own(mdm, identifier)) {
        return Ok(Then::Leave);
    }
    if lane.shared.profiles.iter().any(|profile| &*profile.identifier == identifier) {
        Arc::make_mut(&mut lane.shared).remove(identifier);
        return Ok(Then::Nothing);
    }
    let text = format!("The profile \u{201c}{identifier}\u{201d} is not installed.");
    Err(Refusal::new(12_075, super::MDM, text))
}

/// `ProfileList`.
pub(super) fn list(_: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    let mac = scene.hardware.is_mac();
    w.key("ProfileList").array(|w| scene.lane.shared.profiles.iter().for_each(|profile| write(profile, mac, w)));
    Ok(Then::Nothing)
}

/// `ProvisioningProfileList`: a fleet of store apps has none.
pub(super) fn provisioning(_: &Dict, _: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    w.key("ProvisioningProfileList").array(|_| ());
    Ok(Then::Nothing)
}

fn write(profile: &Profile, mac: bool, w: &mut Writer<'_>) {
    w.dict(|w| {
        w.key("HasRemovalPasscode").bool(profile.has_removal_passcode);
        w.key("IsEncrypted").bool(false);
        if !mac {
            w.key("IsManaged").bool(true);
        }
        w.key("PayloadContent").array(|w| {
            for payload in &profile.payloads {
                w.dict(|w| {
                    text(w, "PayloadDescription", payload.description.as_deref());
                    text(w, "PayloadDisplayName", payload.name.as_deref());
                    w.key("PayloadIdentifier").string(&payload.identifier);
                    text(w, "PayloadOrganization", payload.organization.as_deref());
                    w.key("PayloadType").string(&payload.kind);
                    w.key("PayloadUUID").string(&payload.uuid);
                    w.key("PayloadVersion").integer(payload.version);
                });
            }
        });
        text(w, "PayloadDescription", profile.description.as_deref());
        text(w, "PayloadDisplayName", profile.name.as_deref());
        w.key("PayloadIdentifier").string(&profile.identifier);
        text(w, "PayloadOrganization", profile.organization.as_deref());
        w.key("PayloadRemovalDisallowed").bool(profile.removal_disallowed);
        w.key("PayloadUUID").string(&profile.uuid);
        w.key("PayloadVersion").integer(profile.version);
        if !profile.signers.is_empty() {
            w.key("SignerCertificates").array(|w| profile.signers.iter().for_each(|signer| w.data(signer)));
        }
    });
}

fn text(w: &mut Writer<'_>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        w.key(key).string(value);
    }
}

/// A profile that was brought.
#[derive(Debug)]
pub(in crate::apple) struct Brought {
    /// As it will be listed.
    pub(in crate::apple) profile: Profile,
    /// `PayloadScope` is `User`: it is none of the device channel's.
    user_scope: bool,
}

/// Reads a profile, signed or not. The error says in words what is wrong with it.
pub(in crate::apple) fn read(bytes: &[u8], limits: &Limits) -> Result<Brought, String> {
    let signed = bytes.first() == Some(&0x30);
    let opened = if signed { Some(cms::verify(bytes, None, limits).map_err(|error| error.to_string())?) } else { None };
    let content = opened.as_ref().map_or(Some(bytes), |opened| opened.content.as_deref()).ok_or("an empty envelope")?;
    let InstalledProfile { heading, removal_disallowed, has_removal_passcode, payloads, .. } =
        InstalledProfile::parse(content, limits).map_err(|error| error.to_string())?;
    // What wire does not list of a profile: the certificates that it brings, and whom it is for.
    let value = plist::read(content, limits).map_err(|error| error.to_string())?;
    let contents = value.get("PayloadContent").and_then(Value::as_array).unwrap_or_default();
    let profile = Profile {
        identifier: short(&heading.identifier),
        uuid: short(&heading.uuid),
        name: heading.display_name.as_deref().map(short),
        description: heading.description.as_deref().map(short),
        organization: heading.organization.as_deref().map(short),
        version: heading.version,
        removal_disallowed,
        has_removal_passcode,
        signers: opened.iter().flat_map(|opened| &opened.signers).map(|s| s.certificate.clone().into()).collect(),
        payloads: payloads.iter().take(PAYLOADS_MAX).map(payload).collect(),
        certificates: contents.iter().filter_map(Value::as_dict).filter_map(certificate).take(PAYLOADS_MAX).collect(),
    };
    Ok(Brought { profile, user_scope: value.get("PayloadScope").and_then(Value::as_str) == Some("User") })
}

fn payload(ListedPayload { kind, heading }: &ListedPayload) -> Payload {
    Payload {
        kind: short(kind),
        identifier: short(&heading.identifier),
        uuid: short(&heading.uuid),
        version: heading.version,
        name: heading.display_name.as_deref().map(short),
        description: heading.description.as_deref().map(short),
        organization: heading.organization.as_deref().map(short),
    }
}

/// The certificate that a payload brings. (DER; the payloads for PEM text bring what looks like it.)
fn certificate(payload: &Dict) -> Option<Box<[u8]>> {
    let kind = payload.str("PayloadType")?;
    let der =
        payload.data("PayloadContent").filter(|der| der.first() == Some(&0x30) && der.len() <= CERTIFICATE_MAX)?;
    matches!(kind, "com.apple.security.root" | "com.apple.security.pkcs1" | "com.apple.security.pem")
        .then(|| der.into())
}

fn short(text: &str) -> Box<str> {
    text.chars().take(TEXT_MAX).collect::<String>().into()
}

/// More than any of Apple's profiles has.
const PAYLOADS_MAX: usize = 256;
/// Names are cut to this many characters.
const TEXT_MAX: usize = 1_000;
/// A larger certificate is not kept.
const CERTIFICATE_MAX: usize = 16 << 10;
