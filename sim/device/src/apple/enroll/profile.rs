//! The enrollment profile: what of it a device goes by.
//!
//! Rules after Apple's *MDM* and *SCEP* payloads: exactly one `com.apple.mdm`, https, a topic with Apple's prefix,
//! rights that make sense, and an identity payload to which `IdentityCertificateUUID` points.

use crate::apple::commands::installed_profile;
use crate::apple::exchange::{Trouble, is_allowed};
use crate::apple::shared::{MdmSettings, Profile, rights};
use crate::{Ctx, ProfileSource};
use droves_facts::{Blame, Dur, Platform};
use droves_wire::apple::profile::AltNames;
use droves_wire::plist::{Dict, Value};
use std::sync::Arc;

/// What a device does with its profile.
#[derive(Debug)]
pub(in crate::apple) struct Plan {
    pub(in crate::apple) settings: MdmSettings,
    pub(in crate::apple) profile: Profile,
    pub(in crate::apple) scep: Scep,
}

/// The SCEP payload (`com.apple.security.scep`, `PayloadContent`).
#[derive(Debug)]
pub(in crate::apple) struct Scep {
    pub(in crate::apple) url: Arc<str>,
    /// `Name`: the `message` of GetCACaps and GetCACert.
    pub(in crate::apple) name: String,
    pub(in crate::apple) challenge: Option<String>,
    /// Relative names in order, each one or more pairs of a type and a value, with variables filled in.
    pub(in crate::apple) subject: Vec<Vec<(String, String)>>,
    pub(in crate::apple) key_bits: u16,
    /// 1 sign, 4 encrypt.
    pub(in crate::apple) key_usage: u8,
    /// MD5, SHA-1 or SHA-256 of the CA's certificate, by length.
    pub(in crate::apple) fingerprint: Option<Vec<u8>>,
    pub(in crate::apple) alt_names: AltNames,
    pub(in crate::apple) retries: u32,
    pub(in crate::apple) retry_delay: Dur,
}

/// Reads an enrollment profile.
pub(in crate::apple) fn plan(bytes: &[u8], ctx: &Ctx<'_>) -> Result<Plan, Trouble> {
    let broken = |text: &str| Trouble::new(blame(ctx), "profile", format!("enrollment profile: {text}"));
    let (profile, value) = installed_profile(bytes, ctx.limits).map_err(|text| broken(&text))?;
    let payloads = value.get("PayloadContent").and_then(Value::as_array).unwrap_or_default();
    let of_kind = |kind: &'static str| {
        payloads.iter().filter_map(Value::as_dict).filter(move |payload| payload.str("PayloadType") == Some(kind))
    };
    let mut all = of_kind("com.apple.mdm");
    let mdm = all.next().ok_or_else(|| broken("no com.apple.mdm payload"))?;
    if all.next().is_some() {
        return Err(broken("two com.apple.mdm payloads"));
    }
    let settings = settings(mdm, &profile, ctx).map_err(|text| broken(&text))?;
    let identity = mdm.str("IdentityCertificateUUID").ok_or_else(|| broken("no IdentityCertificateUUID"))?;
    let identity = payloads
        .iter()
        .filter_map(Value::as_dict)
        .find(|payload| payload.str("PayloadUUID").is_some_and(|uuid| uuid.eq_ignore_ascii_case(identity)))
        .ok_or_else(|| broken("IdentityCertificateUUID points to no payload"))?;
    match identity.str("PayloadType").unwrap_or_default() {
        "com.apple.security.scep" => {}
        kind => return Err(broken(&format!("identities by {kind} are not simulated, only by SCEP"))),
    }
    let content = identity.dict("PayloadContent").ok_or_else(|| broken("a SCEP payload without PayloadContent"))?;
    let identifier = identity.str("PayloadIdentifier").unwrap_or_default();
    let scep = scep(content, identifier, ctx).map_err(|text| broken(&text))?;
    Ok(Plan { settings, profile, scep })
}

/// A profile from a file is the scenario's, one from a URL the server's.
fn blame(ctx: &Ctx<'_>) -> Blame {
    match ctx.character.profile {
        ProfileSource::Bytes(_) => Blame::Scenario,
        ProfileSource::Url(_) => Blame::Server,
    }
}

fn settings(mdm: &Dict, profile: &Profile, ctx: &Ctx<'_>) -> Result<MdmSettings, String> {
    let server_url = mdm.str("ServerURL").ok_or("no ServerURL")?;
    let check_in_url = mdm.str("CheckInURL").unwrap_or(server_url);
    for url in [server_url, check_in_url] {
        if !is_allowed(url, ctx) {
            return Err("ServerURL and CheckInURL must be https".into());
        }
    }
    let topic = mdm.str("Topic").ok_or("no Topic")?;
    if !topic.starts_with("com.apple.mgmt.") {
        return Err("Topic does not begin with com.apple.mgmt.".into());
    }
    if mdm.str("EnrollmentMode") == Some("BYOD") {
        return Err("account-driven user enrollment is not simulated".into());
    }
    let rights = mdm.i64("AccessRights").and_then(|rights| u32::try_from(rights).ok()).unwrap_or(0);
    let has = |right: u32| rights & right != 0;
    if rights == 0 || rights > 8_191 {
        return Err("AccessRights is not in 1..=8191".into());
    }
    if has(rights::CHANGE_PROFILES) && !has(rights::INSPECT_PROFILES) {
        return Err("AccessRights has 2 without 1".into());
    }
    if has(rights::CHANGE_PROVISIONING) && !has(rights::INSPECT_PROVISIONING) {
        return Err("AccessRights has 128 without 64".into());
    }
    let capabilities = mdm.array("ServerCapabilities").unwrap_or_default();
    let can = |capability: &str| capabilities.iter().any(|known| known.as_str() == Some(capability));
    Ok(MdmSettings {
        server_url: server_url.into(),
        check_in_url: check_in_url.into(),
        topic: topic.into(),
        rights,
        sign_message: mdm.bool("SignMessage").unwrap_or(false),
        check_out_when_removed: mdm.bool("CheckOutWhenRemoved").unwrap_or(false),
        per_user_connections: can("com.apple.mdm.per-user-connections"),
        bootstrap_token: can("com.apple.mdm.bootstraptoken"),
        profile_identifier: profile.identifier.as_ref().into(),
    })
}

fn scep(content: &Dict, identifier: &str, ctx: &Ctx<'_>) -> Result<Scep, String> {
    let url = content.str("URL").ok_or("the SCEP payload has no URL")?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err("the SCEP payload's URL is neither http nor https".into());
    }
    if content.str("Key Type").is_some_and(|kind| !kind.eq_ignore_ascii_case("RSA")) {
        return Err("SCEP on Apple devices is for RSA keys only".into());
    }
    let number = |key: &str| content.i64(key).and_then(|n| u32::try_from(n).ok());
    Ok(Scep {
        url: url.into(),
        name: content.str("Name").unwrap_or_default().to_owned(),
        challenge: content.str("Challenge").filter(|challenge| !challenge.is_empty()).map(str::to_owned),
        subject: subject(content, identifier, ctx),
        // Apple's default, 1024, is less than any library makes today.
        key_bits: number("Keysize").and_then(|bits| u16::try_from(bits).ok()).unwrap_or(1_024).max(2_048),
        key_usage: number("Key Usage").and_then(|usage| u8::try_from(usage).ok()).unwrap_or(0),
        fingerprint: content.data("CAFingerprint").map(<[u8]>::to_vec),
        alt_names: alt_names(content),
        retries: number("Retries").unwrap_or(3).min(ctx.limits.scep_polls_max),
        retry_delay: Dur::secs(u64::from(number("RetryDelay").unwrap_or(10)).clamp(1, 86_400)),
    })
}

/// `[[["O","X"]],[["CN","%SerialNumber%"]]]`; without one the payload's identifier is the common name.
fn subject(content: &Dict, identifier: &str, ctx: &Ctx<'_>) -> Vec<Vec<(String, String)>> {
    let pair = |pair: &Value| {
        let pair = pair.as_array()?;
        Some((pair.first()?.as_str()?.to_owned(), fill(pair.get(1)?.as_str()?, ctx)))
    };
    let given: Vec<Vec<(String, String)>> = content
        .array("Subject")
        .unwrap_or_default()
        .iter()
        .map(|name| name.as_array().unwrap_or_default().iter().filter_map(pair).collect::<Vec<_>>())
        .filter(|name| !name.is_empty())
        .take(SUBJECT_NAMES_MAX)
        .collect();
    if given.is_empty() { vec![vec![("CN".into(), identifier.into())]] } else { given }
}

/// `SubjectAltName`: each key holds one text or several.
fn alt_names(content: &Dict) -> AltNames {
    let texts = |key: &str| -> Vec<String> {
        let names = content.dict("SubjectAltName").and_then(|names| names.get(key));
        let one = names.and_then(Value::as_str).into_iter();
        let many = names.and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str);
        one.chain(many).take(SUBJECT_NAMES_MAX).map(str::to_owned).collect()
    };
    AltNames {
        rfc822_names: texts("rfc822Name"),
        dns_names: texts("dNSName"),
        uris: texts("uniformResourceIdentifier"),
        nt_principal_names: texts("ntPrincipalName"),
    }
}

/// The variables that macOS replaces. iOS takes them as they are.
fn fill(value: &str, ctx: &Ctx<'_>) -> String {
    if ctx.character.platform != Platform::Macos || !value.contains('%') {
        return value.to_owned();
    }
    let hardware = crate::apple::hardware::Hardware::of(ctx);
    value
        .replace("%SerialNumber%", &hardware.serial())
        .replace("%HardwareUUID%", &hardware.udid())
        .replace("%ComputerName%", &hardware.name())
        .replace("%LocalHostName%", &hardware.host_name())
        .replace("%HostName%", &hardware.host_name())
        .replace("%MACAddress%", &hardware.mac(0))
}

const SUBJECT_NAMES_MAX: usize = 32;
