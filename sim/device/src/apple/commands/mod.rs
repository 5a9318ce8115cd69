//! Commands: which there are, how long they take, who refuses them, what is answered.
//!
//! One table row a command (Apple's *Commands and queries*, schema of October 2024). A row names the right that the
//! server needs, the platforms and channels that know the command, its modelled time (our estimate: median and 95th
//! percentile) and the function that does it.

mod apps;
mod certificates;
mod control;
mod device_information;
mod profiles;
mod security;
mod settings;
mod updates;

use super::hardware::Hardware;
use super::lane::Lane;
use super::messages;
use super::shared::rights;
use crate::Ctx;
use bytes::Bytes;
use droves_facts::{CommandStatus, Dur, Limits, Platform};
use droves_wire::apple::command;
use droves_wire::apple::result::{self, ErrorItem};
use droves_wire::plist::{Dict, Writer};
use messages::Place;

pub(super) use apps::settle;
pub(super) use profiles::read as read_profile;

/// A command as it came.
#[derive(Debug)]
pub(super) struct Command {
    /// Its name on the wire: any string.
    pub(super) uuid: String,
    /// `RequestType`.
    request: String,
    /// The `Command` dictionary.
    body: Dict,
}

/// An answer of the server that is no command.
#[derive(Debug)]
pub(super) struct NoCommand {
    /// Its name, as far as it has one.
    pub(super) uuid: Option<String>,
    /// Why it is none.
    pub(super) text: String,
}

impl Command {
    /// Reads `{CommandUUID, Command: {RequestType, ..}}`.
    pub(super) fn read(body: &[u8], limits: &Limits) -> Result<Command, NoCommand> {
        let no_command = |uuid: Option<String>, text: String| NoCommand { uuid, text };
        let offered = command::parse(body, limits).map_err(|error| no_command(error.uuid, error.why.to_string()))?;
        let offered = offered.ok_or_else(|| no_command(None, "nothing at all".into()))?;
        let uuid = offered.uuid.to_string();
        let body = offered.command(limits).map_err(|error| no_command(Some(uuid.clone()), error.to_string()))?;
        Ok(Command { uuid, request: offered.request_type.to_string(), body })
    }
}

/// A command done.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) status: CommandStatus,
    pub(super) body: Bytes,
    pub(super) then: Then,
}

/// What happens once the result is told.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing beside.
    Nothing,
    /// The device erases itself.
    Erase,
    /// The device leaves the server.
    Leave,
    /// The device restarts, or is off for this long.
    Offline(Dur),
    /// The profile that was to be installed is the enrollment's own: a new identity comes first, the result after.
    Renew(Box<Bytes>),
}

/// Why a command is answered with `Error`: the chain's first item.
#[derive(Debug)]
pub(super) struct Refusal {
    code: i64,
    domain: &'static str,
    text: String,
}

impl Refusal {
    fn new(code: i64, domain: &'static str, text: impl Into<String>) -> Self {
        Refusal { code, domain, text: text.into() }
    }
    /// A key that the command must have.
    fn missing(key: &str) -> Self {
        Refusal::new(12_002, MDM, format!("The required key \u{201c}{key}\u{201d} is missing."))
    }
    /// A request that the device does not know.
    fn unknown(request: &str) -> Self {
        let text = result::unknown_request_type(request);
        Refusal::new(ErrorItem::unknown(&text).code, MDM, text)
    }
    fn write(&self, w: &mut Writer<'_>) {
        let item = ErrorItem { code: self.code, domain: self.domain, description: &self.text };
        ErrorItem::write_chain(&[item], w.key("ErrorChain"));
    }
}

/// The domain of most errors.
const MDM: &str = "MCMDMErrorDomain";

/// What a command is done with.
struct Scene<'a, 'b> {
    lane: &'a mut Lane,
    ctx: &'a Ctx<'b>,
    hardware: Hardware<'b>,
}

/// Does a command, and writes into the result what it adds to it.
type Run = fn(&Dict, &mut Scene<'_, '_>, &mut Writer<'_>) -> Result<Then, Refusal>;

/// Who knows a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    All,
    Mobile,
    Mac,
}

struct Row {
    request: &'static str,
    right: u32,
    on: On,
    /// Whether user channels know it too.
    users: bool,
    /// Median and 95th percentile on iOS and iPadOS, in milliseconds.
    mobile_ms: (u64, u64),
    /// The same on macOS.
    mac_ms: (u64, u64),
    /// Where its keys stand among those that every result has.
    place: Place,
    run: Run,
}

const fn row(request: &'static str, right: u32, on: On, users: bool, ms: (u64, u64), run: Run) -> Row {
    Row { request, right, on, users, mobile_ms: ms, mac_ms: ms, place: Place::Middle, run }
}

const fn first(mut row: Row) -> Row {
    row.place = Place::First;
    row
}

const fn last(mut row: Row) -> Row {
    row.place = Place::Last;
    row
}

const fn slow_on_mac(mut row: Row, mac_ms: (u64, u64)) -> Row {
    row.mac_ms = mac_ms;
    row
}

static ROWS: [Row; 26] = [
    row("DeviceInformation", 0, On::All, true, (200, 1_500), device_information::run),
    row("SecurityInfo", rights::SECURITY, On::All, false, (300, 2_000), security::run),
    slow_on_mac(
        row("InstalledApplicationList", rights::INSPECT_APPS, On::All, true, (500, 4_000), apps::installed_list),
        (3_000, 30_000),
    ),
    row("ManagedApplicationList", rights::MANAGE_APPS, On::All, true, (200, 1_000), apps::managed_list),
    row("InstallApplication", rights::MANAGE_APPS, On::All, true, (300, 2_000), apps::install),
    row("InstallEnterpriseApplication", rights::MANAGE_APPS, On::Mac, false, (300, 2_000), apps::install_enterprise),
    row("RemoveApplication", rights::MANAGE_APPS, On::All, false, (300, 2_000), apps::remove),
    row("ProfileList", rights::INSPECT_PROFILES, On::All, true, (200, 2_000), profiles::list),
    row("InstallProfile", rights::CHANGE_PROFILES, On::All, true, (500, 5_000), profiles::install),
    row("RemoveProfile", rights::CHANGE_PROFILES, On::All, true, (500, 3_000), profiles::remove),
    row("ProvisioningProfileList", rights::INSPECT_PROVISIONING, On::All, false, (200, 1_000), profiles::provisioning),
    first(row("CertificateList", rights::INSPECT_PROFILES, On::All, true, (300, 2_000), certificates::list)),
    row("Restrictions", rights::RESTRICTIONS, On::Mobile, false, (200, 1_000), security::restrictions),
    row("DeviceLock", rights::LOCK, On::All, false, (300, 900), control::lock),
    row("ClearPasscode", rights::LOCK, On::Mobile, false, (500, 1_500), control::clear_passcode),
    row("EraseDevice", rights::ERASE, On::All, false, (1_000, 3_000), control::erase),
    row("RestartDevice", rights::LOCK, On::All, false, (1_000, 3_000), control::restart),
    row("ShutDownDevice", rights::LOCK, On::All, false, (1_000, 3_000), control::restart),
    row("DeclarativeManagement", 0, On::All, true, (50, 150), control::declarative),
    row("DeviceConfigured", 0, On::All, false, (100, 500), control::acknowledged),
    last(row("UserList", 0, On::All, false, (300, 1_000), control::users)),
    row("Settings", rights::SETTINGS, On::All, true, (300, 900), settings::run),
    first(row("AvailableOSUpdates", rights::MANAGE_APPS, On::All, false, (12_000, 60_000), updates::available)),
    row("ScheduleOSUpdateScan", 0, On::Mac, false, (1_000, 3_000), updates::scan),
    last(row("ScheduleOSUpdate", rights::MANAGE_APPS, On::All, false, (1_000, 3_000), updates::schedule)),
    row("OSUpdateStatus", rights::MANAGE_APPS, On::All, false, (200, 600), updates::status),
];

/// The row of a command, if this device knows it on this channel.
fn known(request: &str, ctx: &Ctx<'_>) -> Option<&'static Row> {
    let mac = ctx.character.platform == Platform::Macos;
    ROWS.iter().find(|row| {
        row.request == request
            && (ctx.channel == 0 || row.users)
            && match row.on {
                On::All => true,
                On::Mobile => !mac,
                On::Mac => mac,
            }
    })
}

/// Whether the device answers `NotNow`, as Apple says who does when: a locked iPhone to all but a few; a Mac in Power
/// Nap to all but others; a user channel whose keychain is locked to what changes profiles.
pub(super) fn is_refused(command: &Command, ctx: &Ctx<'_>) -> bool {
    if ctx.locked_until().is_none() {
        return false;
    }
    let request = command.request.as_str();
    if ctx.channel > 0 {
        return matches!(request, "InstallProfile" | "RemoveProfile");
    }
    let never: &[&str] = if ctx.character.platform == Platform::Macos { &NEVER_MAC } else { &NEVER_MOBILE };
    !never.contains(&request)
}

/// iOS never says `NotNow` to these.
const NEVER_MOBILE: [&str; 8] = [
    "DeviceInformation",
    "ProfileList",
    "DeviceLock",
    "EraseDevice",
    "ClearPasscode",
    "ProvisioningProfileList",
    "InstalledApplicationList",
    "Restrictions",
];

/// A Mac in Power Nap never says `NotNow` to these.
const NEVER_MAC: [&str; 9] = [
    "DeleteUser",
    "DeviceLock",
    "EraseDevice",
    "RestartDevice",
    "ShutDownDevice",
    "UserList",
    "ActivationLockBypassCode",
    "ClearActivationLockBypassCode",
    "UnlockUserAccount",
];

/// How long the device takes.
pub(super) fn delay(command: &Command, refused: bool, lane: &Lane, ctx: &Ctx<'_>) -> Dur {
    let mac = ctx.character.platform == Platform::Macos;
    let (p50, p95) = match known(&command.request, ctx) {
        Some(row) if !refused => {
            if mac {
                row.mac_ms
            } else {
                row.mobile_ms
            }
        }
        _ => (20, 60),
    };
    ctx.command_delay((Dur::ms(p50), Dur::ms(p95)), u64::from(lane.record.commands))
}

/// The answer of a device that can't now.
pub(super) fn not_now(command: &Command, ctx: &Ctx<'_>) -> Done {
    let body = messages::result(&command.uuid, CommandStatus::NotNow, ctx, Place::Middle, |_| ());
    Done { status: CommandStatus::NotNow, body, then: Then::Nothing }
}

/// Does a command.
pub(super) fn execute(command: &Command, lane: &mut Lane, ctx: &Ctx<'_>) -> Done {
    settle(lane, ctx);
    let refuse = |refusal: &Refusal| {
        let body = messages::result(&command.uuid, CommandStatus::Error, ctx, Place::Middle, |w| refusal.write(w));
        Done { status: CommandStatus::Error, body, then: Then::Nothing }
    };
    let Some(row) = known(&command.request, ctx) else {
        return refuse(&Refusal::unknown(&command.request));
    };
    let given = lane.shared.mdm.as_ref().map_or(0, |settings| settings.rights);
    if given & row.right != row.right {
        let text = format!("The server has no right to send \u{201c}{}\u{201d}.", command.request);
        return refuse(&Refusal::new(12_008, MDM, text));
    }
    let mut scene = Scene { lane, ctx, hardware: Hardware::of(ctx) };
    let mut done = Ok(Then::Nothing);
    let fill = |w: &mut Writer<'_>| done = (row.run)(&command.body, &mut scene, w);
    let body = messages::result(&command.uuid, CommandStatus::Acknowledged, ctx, row.place, fill);
    match done {
        Ok(then) => Done { status: CommandStatus::Acknowledged, body, then },
        Err(refusal) => refuse(&refusal),
    }
}

/// The result of an `InstallProfile` that brought a new identity: it came, or the error says why not.
pub(super) fn renewed(uuid: &str, error: Option<&str>, ctx: &Ctx<'_>) -> Done {
    let (status, then) =
        (if error.is_some() { CommandStatus::Error } else { CommandStatus::Acknowledged }, Then::Nothing);
    let body = messages::result(uuid, status, ctx, Place::Middle, |w| {
        if let Some(text) = error {
            Refusal::new(4_001, "MCInstallationErrorDomain", text).write(w);
        }
    });
    Done { status, body, then }
}
