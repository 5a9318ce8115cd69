//! Policy: settings by area and name, their results, and the ADMX files that bring areas of their own.

use super::{Call, Effect, Node, Place, Scene, Tree, details};
use droves_wire::windows::syncml::Format::Chr;
use std::borrow::Cow;

pub(super) static NODES: &[Node] = &[
    Node::free("Config/*/*").implicit().runs(set),
    Node::read("Result/*/*", Chr, result),
    Node::kept("ConfigOperations/ADMXInstall/*/*/*", Chr).runs(ingest),
    Node::free("ConfigOperations/ADMXInstall/*/Properties/**"),
];

/// Whether a policy is taken: 404 for an area that there is not, 405 for one that is not for this edition or this
/// scope, 500 for a value that is not one for it.
fn set(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    let Some(area) = call.place.names.iter().rev().nth(1) else { return 404 };
    let rule = match AREAS.iter().find(|known| known.name.eq_ignore_ascii_case(area)) {
        Some(known) => known.rule,
        None if starts_with(area, "ADMX_") => Rule::Template,
        None => match area.split_once('~') {
            Some((app, _)) if tree.written_below(&install(call.place, app).key).next().is_some() => Rule::Template,
            // The files may have come with the image: nobody knows what they take.
            Some(_) => Rule::Any,
            None => return 404,
        },
    };
    let is_pro = details::pc(scene).edition() != ENTERPRISE;
    match rule {
        Rule::Enterprise if is_pro => return 405,
        Rule::Machine if call.place.user => return 405,
        _ => {}
    }
    // An interior node has no value.
    let is_refused = rule == Rule::Template && !call.data.is_empty() && !is_enabled_or_disabled(call.data);
    if is_refused { 500 } else { 200 }
}

/// The value that counts: there is one server, so it is what was set.
fn result(tree: &Tree, place: &Place<'_>, _: &Scene<'_>) -> Option<String> {
    let mut names = place.names.clone();
    *names.get_mut(3)? = Cow::Borrowed("Config");
    tree.text(&Place::of(place.user, names)).map(|value| value.to_string())
}

/// An ADMX file; what is none is refused.
fn ingest(_: &mut Tree, call: &Call<'_>, _: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    if call.data.contains("<policyDefinitions") { 200 } else { 500 }
}

/// Where the files of an app are.
fn install<'p>(policy: &'p Place<'_>, app: &'p str) -> Place<'p> {
    let names = ["Vendor", "MSFT", "Policy", "ConfigOperations", "ADMXInstall", app];
    Place::of(policy.user, names.into_iter().map(Cow::Borrowed).collect())
}

/// What templates take: `<enabled/>` with data after it, or `<disabled/>`.
pub(super) fn is_enabled_or_disabled(text: &str) -> bool {
    let text = text.trim_ascii_start();
    starts_with(text, "<enabled") || starts_with(text, "<disabled")
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(start))
}

/// `OSEdition` of Enterprise.
const ENTERPRISE: u32 = 4;

/// An area of the Policy CSP.
struct Area {
    name: &'static str,
    rule: Rule,
}

/// Who is refused in an area.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Nobody.
    Any,
    /// The user's scope.
    Machine,
    /// Editions below Enterprise.
    Enterprise,
    /// Values that are not those of an administrative template.
    Template,
}

const fn any(name: &'static str) -> Area {
    Area { name, rule: Rule::Any }
}
const fn machine(name: &'static str) -> Area {
    Area { name, rule: Rule::Machine }
}
const fn enterprise(name: &'static str) -> Area {
    Area { name, rule: Rule::Enterprise }
}
const fn template(name: &'static str) -> Area {
    Area { name, rule: Rule::Template }
}

/// Areas of Windows 11; those of its templates begin with `ADMX_` and are taken as they come.
static AREAS: &[Area] = &[
    any("AboveLock"),
    any("Accounts"),
    template("ActiveXControls"),
    any("ApplicationDefaults"),
    any("ApplicationManagement"),
    template("AppRuntime"),
    enterprise("AppVirtualization"),
    template("AttachmentManager"),
    machine("Audit"),
    any("Authentication"),
    template("Autoplay"),
    machine("BitLocker"),
    machine("BITS"),
    any("Bluetooth"),
    any("Browser"),
    any("Camera"),
    any("Cellular"),
    template("CloudDesktop"),
    any("Connectivity"),
    machine("ControlPolicyConflict"),
    template("CredentialProviders"),
    template("CredentialsDelegation"),
    template("CredentialsUI"),
    machine("Cryptography"),
    machine("DataProtection"),
    template("DataUsage"),
    machine("Defender"),
    machine("DeliveryOptimization"),
    template("Desktop"),
    template("DesktopAppInstaller"),
    enterprise("DeviceGuard"),
    machine("DeviceHealthMonitoring"),
    template("DeviceInstallation"),
    machine("DeviceLock"),
    any("Display"),
    machine("DmaGuard"),
    any("Eap"),
    any("Education"),
    any("EnterpriseCloudPrint"),
    template("ErrorReporting"),
    template("EventLogService"),
    any("Experience"),
    machine("ExploitGuard"),
    machine("FederatedAuthentication"),
    template("FileExplorer"),
    any("FileSystem"),
    any("Games"),
    any("Handwriting"),
    machine("HumanPresence"),
    template("InternetExplorer"),
    template("Kerberos"),
    any("KioskBrowser"),
    machine("LanmanWorkstation"),
    any("Licensing"),
    machine("LocalPoliciesSecurityOptions"),
    machine("LocalUsersAndGroups"),
    machine("LockDown"),
    machine("LocalSecurityAuthority"),
    any("Maps"),
    machine("MemoryDump"),
    any("Messaging"),
    any("MixedReality"),
    template("MSSecurityGuide"),
    template("MSSLegacy"),
    any("Multitasking"),
    machine("NetworkIsolation"),
    machine("NetworkListManager"),
    any("NewsAndInterests"),
    any("Notifications"),
    template("Power"),
    template("Printers"),
    any("Privacy"),
    template("RemoteAssistance"),
    template("RemoteDesktop"),
    template("RemoteDesktopServices"),
    template("RemoteManagement"),
    template("RemoteProcedureCall"),
    template("RemoteShell"),
    machine("RestrictedGroups"),
    any("Search"),
    machine("Security"),
    template("ServiceControlManager"),
    any("Settings"),
    any("SettingsSync"),
    any("SmartScreen"),
    any("Speech"),
    any("Start"),
    machine("Stickers"),
    template("Storage"),
    machine("Sudo"),
    machine("System"),
    machine("SystemServices"),
    any("TaskManager"),
    machine("TaskScheduler"),
    machine("TenantRestrictions"),
    any("TextInput"),
    any("TimeLanguageSettings"),
    machine("Troubleshooting"),
    machine("Update"),
    machine("UserRights"),
    machine("VirtualizationBasedTechnology"),
    machine("WebThreatDefense"),
    any("Wifi"),
    any("WindowsAI"),
    template("WindowsAutopilot"),
    template("WindowsConnectionManager"),
    any("WindowsDefenderSecurityCenter"),
    any("WindowsInkWorkspace"),
    template("WindowsLogon"),
    template("WindowsPowerShell"),
    any("WindowsSandbox"),
    any("WirelessDisplay"),
];
