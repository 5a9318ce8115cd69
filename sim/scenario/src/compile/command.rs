//! Commands: what each needs, and its payload.

use super::Checks;
use crate::language;
use crate::plan::Command;
use crate::problem::{Problem, nearest};
use crate::yaml::At;

/// What a request can't do without.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    Payload,
    Key(&'static str),
}

/// Apple's requests (developer.apple.com, "Device Management", commands and queries), and what each can't do without.
const REQUESTS: &[(&str, Needs)] = &[
    ("ActivationLockBypassCode", Needs::Nothing),
    ("AvailableOSUpdates", Needs::Nothing),
    ("CertificateList", Needs::Nothing),
    ("ClearPasscode", Needs::Nothing),
    ("ClearRestrictionsPassword", Needs::Nothing),
    ("DeclarativeManagement", Needs::Nothing),
    ("DeviceConfigured", Needs::Nothing),
    ("DeviceInformation", Needs::Nothing),
    ("DeviceLocation", Needs::Nothing),
    ("DeviceLock", Needs::Nothing),
    ("DisableLostMode", Needs::Nothing),
    ("EnableLostMode", Needs::Nothing),
    ("EraseDevice", Needs::Nothing),
    ("InstallApplication", Needs::Nothing),
    ("InstallEnterpriseApplication", Needs::Nothing),
    ("InstallProfile", Needs::Payload),
    ("InstalledApplicationList", Needs::Nothing),
    ("ManagedApplicationList", Needs::Nothing),
    ("OSUpdateStatus", Needs::Nothing),
    ("PlayLostModeSound", Needs::Nothing),
    ("ProfileList", Needs::Nothing),
    ("ProvisioningProfileList", Needs::Nothing),
    ("RemoveApplication", Needs::Key("Identifier")),
    ("RemoveProfile", Needs::Key("Identifier")),
    ("RestartDevice", Needs::Nothing),
    ("Restrictions", Needs::Nothing),
    ("RotateFileVaultKey", Needs::Nothing),
    ("ScheduleOSUpdate", Needs::Key("Updates")),
    ("SecurityInfo", Needs::Nothing),
    ("SetFirmwarePassword", Needs::Key("NewPassword")),
    ("Settings", Needs::Key("Settings")),
    ("ShutDownDevice", Needs::Nothing),
    ("UserList", Needs::Nothing),
];

/// The command, and whether a push is asked for.
pub(super) fn command(written: &At<language::Command>, checks: &mut Checks<'_>) -> Option<(Command, bool)> {
    let request = &written.request;
    let needs = REQUESTS.iter().find(|(name, _)| *name == request.value).map(|(_, needs)| *needs);
    if needs.is_none() {
        let problem = Problem::warning(format!("`{}` is no request that we know", request.value), request.place);
        let near = nearest(&request.value, REQUESTS.iter().map(|(name, _)| *name));
        checks.push(match near {
            Some(near) => problem.labelled(format!("did you mean `{near}`?")),
            None => problem.labelled("devices will answer with an error"),
        });
    }
    match (needs, &written.payload) {
        (Some(Needs::Payload), None) => {
            let problem = Problem::new(format!("`{}` installs nothing", request.value), request.place);
            checks.absent(written.place, problem.cured("name a file: `payload: payloads/wifi.mobileconfig`"));
        }
        (Some(Needs::Nothing | Needs::Key(_)), Some(payload)) => {
            let problem = Problem::new(format!("`{}` takes no payload", request.value), payload.place);
            checks.push(problem.cured("leave it out, or ask for `InstallProfile`"));
        }
        _ => {}
    }
    if let Some(Needs::Key(key)) = needs.filter(|n| matches!(n, Needs::Key(key) if !written.with.contains_key(*key))) {
        let problem = Problem::new(format!("`{}` needs `{key}`", request.value), request.place);
        checks.absent(written.place, problem.cured(format!("add `with: {{ {key}: .. }}`")));
    }
    if let Some(repeat) = &written.repeat {
        checks.above_zero(repeat, "1 or more, or leave it out");
    }
    let payload = match &written.payload {
        None => None,
        Some(path) => Some(payload(path, checks)?),
    };
    let with = written.with.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
    let deadline = written.deadline.as_ref().map(|deadline| deadline.0);
    let push = written.push.as_ref().is_some_and(|push| push.value);
    Some((Command { request: request.value.clone(), payload, with, deadline }, push))
}

/// A profile: an XML or binary plist, or one within a CMS signature (DER).
fn payload(path: &At<String>, checks: &mut Checks<'_>) -> Option<crate::plan::Payload> {
    let payload = checks.files.read(path, "payload", &mut checks.problems)?;
    let text = payload.bytes.trim_ascii_start();
    let begins = |with: &[u8]| text.starts_with(with);
    if !(begins(b"<?xml") || begins(b"<plist") || begins(b"<!DOCTYPE") || begins(b"bplist00") || begins(&[0x30])) {
        let problem = Problem::new(format!("`{}` is no profile", path.value), path.place);
        checks.push(problem.labelled("neither a plist nor a signed one"));
        return None;
    }
    Some(payload)
}
