//! Commands: whose they are, what each of Apple's needs, and its payload.

use super::phases::World;
use super::{Checks, nodes};
use crate::language::{self, Plain};
use crate::plan::{Asks, Command, Managed, Order, Place, Request, Selection, Value};
use crate::problem::{Problem, nearest};
use crate::yaml::At;
use droves_facts::{Family, Platform};
use std::collections::BTreeMap;

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

/// The command, and whether a push is asked for. `who` is whom it is for, if that is known.
pub(super) fn command(
    written: &At<language::Command>,
    who: Option<&Selection>,
    world: &World<'_>,
    checks: &mut Checks<'_>,
) -> Option<(Command, bool)> {
    if let Some(repeat) = &written.repeat {
        checks.above_zero(repeat, "1 or more, or leave it out");
    }
    let (word, place) = one_word(written, checks)?;
    let kinds = || who.into_iter().flat_map(Selection::parts).map(|(population, _)| &world.kinds[population.ix()]);
    let for_apple = kinds().all(|(platform, _)| platform.family() == Family::Apple);
    let asks = match word {
        "request" => match android(written, checks) {
            Some(order) => Some(Asks::Order(order)),
            None => request(written, for_apple, checks).map(Asks::Request),
        },
        "policy" => written.policy.as_ref().map(|policy| Asks::Policy(plain(policy))),
        "configuration" => written.configuration.as_ref().map(|of| Asks::Configuration(plain(of))),
        "message" => written.message.as_ref().map(|kind| Asks::Message(order(kind, written))),
        _ => nodes::nodes(written, world.dice, checks).map(Asks::Nodes),
    };
    let command = Command { asks: asks?, deadline: written.deadline.as_ref().map(|deadline| deadline.0) };
    for (population, _) in who.into_iter().flat_map(Selection::parts) {
        let kind = world.kinds[population.ix()];
        if !command.suits(kind.0, kind.1) {
            checks.push(unsuited(&command, word, &world.names[population.ix()], kind, place));
        }
    }
    let push = written.push.as_ref().is_some_and(|push| push.value);
    Some((command, push))
}

/// What is said of a command that is for devices which know no such thing.
fn unsuited(
    command: &Command,
    word: &str,
    name: &str,
    (platform, android): (Platform, Option<Managed>),
    place: Place,
) -> Problem {
    let title = match &command.asks {
        Asks::Request(request) if android.is_some() => format!("`{}` says nothing to `{name}`", request.name),
        _ => format!("`{word}` says nothing to `{name}`"),
    };
    let problem = Problem::new(title, place);
    let (is, words) = match (platform.family(), android) {
        (Family::Apple, _) => (format!("their platform is `{platform}`"), "`request`"),
        (Family::Windows, _) => (format!("their platform is `{platform}`"), "`nodes` or `profiles`"),
        (Family::Android, Some(Managed::Agent)) => {
            ("they have an agent of the server's".to_owned(), "`configuration` or `message`")
        }
        (Family::Android, _) => {
            if let Asks::Request(request) = &command.asks
                && needs(&request.name).is_none()
                && let Some(near) = nearest(&request.name, ORDERS.iter().copied())
            {
                return problem.labelled(format!("did you mean `{near}`?"));
            }
            ("Google manages them".to_owned(), "`policy`, or `request: LOCK`")
        }
    };
    let cure = format!("ask them for {words} in a phase of their own, and leave `{name}` out of this one");
    problem.labelled(is).cured(cure)
}

/// The word that says what is asked for, and its place; what does not go with it is told of.
fn one_word(written: &At<language::Command>, checks: &mut Checks<'_>) -> Option<(&'static str, Place)> {
    let words = [
        ("request", written.request.as_ref().map(|word| word.place)),
        ("nodes", written.nodes.as_ref().map(|word| word.place)),
        ("profiles", written.profiles.as_ref().map(|word| word.place)),
        ("policy", written.policy.as_ref().map(|word| word.place)),
        ("configuration", written.configuration.as_ref().map(|word| word.place)),
        ("message", written.message.as_ref().map(|word| word.place)),
    ];
    let mut given = words.into_iter().filter_map(|(word, place)| place.map(|place| (word, place)));
    let Some(first) = given.next() else {
        let problem = Problem::new("this command asks for nothing", written.place);
        let cure = "say `request: SecurityInfo` to Apple devices, `nodes: [ { get: ./DevDetail/SwV } ]` to Windows, \
                    `request: LOCK` to Android";
        checks.absent(written.place, problem.cured(cure));
        return None;
    };
    if let Some((second, place)) = given.next() {
        let problem = Problem::new(format!("this command has `{}` and `{second}`", first.0), place);
        checks.push(problem.cured("give each a phase of its own; `together` lets them run side by side"));
    }
    match (first.0, &written.payload, &written.atomic) {
        ("request" | "policy" | "configuration" | "message", _, Some(atomic)) => {
            let problem = Problem::new(format!("a {} is one thing", first.0), atomic.place);
            checks.push(problem.labelled("`atomic` goes with `nodes` and `profiles`").cured("leave it out"));
        }
        ("nodes" | "profiles" | "policy" | "configuration" | "message", Some(payload), _) => {
            let problem = Problem::new(format!("`{}` takes no payload", first.0), payload.place);
            let problem = problem.labelled("that is Apple's");
            let has_nodes = matches!(first.0, "nodes" | "profiles");
            checks.push(problem.cured(if has_nodes { "write the data at its node" } else { "leave it out" }));
        }
        ("nodes" | "profiles" | "policy" | "configuration", None, _) if !written.with.is_empty() => {
            let problem = Problem::new(format!("`{}` takes no further keys", first.0), written.place);
            checks.push(problem.labelled("`with` goes with `request` and `message`").cured("leave `with` out"));
        }
        _ => {}
    }
    Some(first)
}

/// Types of commands of the Android Management API (developers.google.com/android/management, `Command`).
const ORDERS: &[&str] = &[
    "LOCK",
    "RESET_PASSWORD",
    "REBOOT",
    "RELINQUISH_OWNERSHIP",
    "CLEAR_APP_DATA",
    "START_LOST_MODE",
    "STOP_LOST_MODE",
    "ADD_ESIM",
    "REMOVE_ESIM",
    "REQUEST_DEVICE_INFO",
    "WIPE",
];

/// A command for Android, if the request is one.
fn android(written: &At<language::Command>, checks: &mut Checks<'_>) -> Option<Order> {
    let request = written.request.as_ref().filter(|request| ORDERS.contains(&request.value.as_str()))?;
    if let Some(payload) = &written.payload {
        let problem = Problem::new(format!("`{}` takes no payload", request.value), payload.place);
        checks.push(problem.cured("leave it out; fields of the command go into `with`"));
    }
    Some(order(request, written))
}

fn order(kind: &At<String>, written: &At<language::Command>) -> Order {
    Order { kind: kind.value.clone(), with: plain(&written.with) }
}

fn plain(pairs: &BTreeMap<String, Plain>) -> BTreeMap<String, Value> {
    pairs.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

/// What an Apple request can't do without; none for one that we don't know.
fn needs(request: &str) -> Option<Needs> {
    REQUESTS.iter().find(|(name, _)| *name == request).map(|(_, needs)| *needs)
}

/// An Apple request. Where it is not for Apple's devices alone, an error says so, and one that we don't know is no news.
fn request(written: &At<language::Command>, for_apple: bool, checks: &mut Checks<'_>) -> Option<Request> {
    let request = written.request.as_ref()?;
    let needs = needs(&request.value);
    if needs.is_none() && for_apple {
        let problem = Problem::warning(format!("`{}` is no request that we know", request.value), request.place);
        let near = nearest(&request.value, REQUESTS.iter().map(|(name, _)| *name).chain(ORDERS.iter().copied()));
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
    let payload = match &written.payload {
        None => None,
        Some(path) => Some(payload(path, checks)?),
    };
    Some(Request { name: request.value.clone(), payload, with: plain(&written.with) })
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
