//! The enrollment profile: what of it a device goes by. Its rules are `wire`'s.

use crate::apple::commands::read_profile;
use crate::apple::exchange::Trouble;
use crate::apple::hardware::Hardware;
use crate::apple::lane::Lane;
use crate::apple::shared::{MdmSettings, Profile};
use crate::{Ctx, Enrolls, ProfileSource};
use bytes::Bytes;
use droves_facts::{Blame, Limits, Platform};
use droves_wire::apple::identity;
use droves_wire::apple::profile::{
    Acme, Allowances, EnrollmentMode, EnrollmentProfile, Heading, Identity, Scep, substitute, substituted,
};
use std::sync::Arc;

/// What a device does with its profile.
#[derive(Debug)]
pub(in crate::apple) struct Plan {
    pub(in crate::apple) terms: Terms,
    pub(in crate::apple) source: Source,
}

/// What it enrolls to.
#[derive(Debug)]
pub(in crate::apple) struct Terms {
    pub(in crate::apple) settings: MdmSettings,
    pub(in crate::apple) profile: Profile,
}

/// Where it gets its identity.
#[derive(Debug)]
pub(in crate::apple) enum Source {
    /// The SCEP payload, its subject's variables filled in.
    Scep(Box<Scep>),
    /// The ACME payload, its variables filled in.
    Acme(Box<Acme>),
    /// A PKCS#12 file, and its password.
    Pkcs12(Bytes, Arc<str>),
}

/// Reads an enrollment profile.
pub(in crate::apple) fn plan(bytes: &[u8], lane: &Lane, ctx: &Ctx<'_>) -> Result<Plan, Trouble> {
    let broken = |text: &str| Trouble::new(blame(lane, ctx), "profile", text.to_owned());
    let Read { settings, profile, identity } =
        read(bytes, ctx.character.allow_http, ctx.limits).map_err(|text| broken(&text))?;
    let source = match identity {
        Identity::Scep(heading, scep) => Source::Scep(Box::new(filled(scep, &heading, ctx))),
        Identity::Acme(_, acme) => Source::Acme(Box::new(named(acme, ctx))),
        Identity::Pkcs12 { content, password: Some(password), .. } => Source::Pkcs12(content.into(), password.into()),
        Identity::Pkcs12 { .. } => {
            return Err(broken(
                "enrollment profile: com.apple.security.pkcs12 without a Password: nobody is here to ask",
            ));
        }
    };
    Ok(Plan { terms: Terms { settings, profile }, source })
}

/// What is in an enrollment profile, the same for every device.
pub(in crate::apple) struct Read {
    pub(in crate::apple) settings: MdmSettings,
    pub(in crate::apple) profile: Profile,
    identity: Identity,
}

/// Reads it without acting on it.
pub(in crate::apple) fn read(bytes: &[u8], allow_http: bool, limits: &Limits) -> Result<Read, String> {
    let broken = |text: &str| format!("enrollment profile: {text}");
    let allowances = Allowances { http: allow_http };
    let parsed = EnrollmentProfile::parse(bytes, allowances, limits).map_err(|error| broken(&error.to_string()))?;
    let profile = read_profile(bytes, limits).map_err(|text| broken(&text))?.profile;
    let mdm = &parsed.mdm;
    if mdm.enrollment_mode == Some(EnrollmentMode::User) {
        return Err(broken("account-driven user enrollment is not simulated"));
    }
    let check_in_url = mdm.check_in_url.as_deref().unwrap_or(&mdm.server_url);
    let settings = MdmSettings {
        server_url: mdm.server_url.as_str().into(),
        check_in_url: check_in_url.into(),
        topic: mdm.topic.as_str().into(),
        rights: u32::from(mdm.rights().bits()),
        sign_message: mdm.sign_message,
        check_out_when_removed: mdm.check_out_when_removed,
        per_user_connections: mdm.per_user_connections(),
        bootstrap_token: mdm.bootstrap_token(),
        profile_identifier: profile.identifier.as_ref().into(),
    };
    Ok(Read { settings, profile, identity: parsed.identity })
}

/// A profile from a file is the scenario's; one from a URL, or by a command, the server's.
pub(super) fn blame(lane: &Lane, ctx: &Ctx<'_>) -> Blame {
    let is_installed = lane.own.renewal.as_ref().is_some_and(|renewal| renewal.answers.is_some());
    match ctx.character.enrolls {
        Enrolls::Profile(ProfileSource::Bytes(_)) if !is_installed => Blame::Scenario,
        _ => Blame::Server,
    }
}

/// The payload as the device acts on it: its own name in the subject, polls within bounds.
fn filled(mut scep: Scep, heading: &Heading, ctx: &Ctx<'_>) -> Scep {
    // iOS takes the variables as they are.
    if ctx.character.platform == Platform::Macos || scep.subject.iter().all(Vec::is_empty) {
        scep.subject = with_names(ctx, |names| scep.subject_of(names, &heading.identifier));
    }
    scep.challenge = scep.challenge.filter(|challenge| !challenge.is_empty());
    scep.retries = scep.retries.min(ctx.limits.scep_polls_max);
    scep.retry_delay = scep.retry_delay.max(droves_facts::Dur::secs(1));
    scep
}

/// The payload with the device's names where its variables stand. Apple knows none in it: a server writes each device a
/// profile of its own. Where all devices have one profile, this is what the server would have done.
fn named(mut acme: Acme, ctx: &Ctx<'_>) -> Acme {
    with_names(ctx, |names| {
        acme.client_identifier = substitute(&acme.client_identifier, names).into_owned();
        acme.subject = substituted(&acme.subject, names);
    });
    acme
}

/// What the device is called, for as long as `name` wants to know.
fn with_names<T>(ctx: &Ctx<'_>, name: impl FnOnce(&identity::Hardware<'_>) -> T) -> T {
    let hardware = Hardware::of(ctx);
    let (udid, serial, device_name) = (hardware.udid(), hardware.serial(), hardware.name());
    let (host, mac) = (hardware.host_name(), hardware.mac(0));
    name(&identity::Hardware {
        udid: &udid,
        serial_number: &serial,
        device_name: &device_name,
        host_name: Some(&host),
        local_host_name: Some(&host),
        mac_address: Some(&mac),
        ..identity::Hardware::default()
    })
}
