//! Protection: BitLocker, Defender, LAPS, Windows Hello for Business.

use super::{Call, Effect, Node, Place, Scene, Tree, details, policy};
use crate::windows::tree::{Leaf, Task, Work};
use droves_facts::{Dur, Purpose, Wall};
use droves_wire::plist::date;
use droves_wire::windows::syncml::Format::{self, Bool, Chr, Int};

pub(super) static BITLOCKER: &[Node] = &[
    Node::setting("RequireDeviceEncryption", Int, "0").runs(encrypt),
    Node::setting("RequireStorageCardEncryption", Int, "0"),
    Node::setting("AllowWarningForOtherDiskEncryption", Int, "1"),
    Node::setting("AllowStandardUserEncryption", Int, "0"),
    Node::setting("AllowSuspensionOfBitLockerProtection", Int, "1"),
    Node::setting("ConfigureRecoveryPasswordRotation", Int, "0"),
    Node::kept("EncryptionMethodByDriveType", Chr).implicit().runs(template),
    Node::kept("IdentificationField", Chr).implicit().runs(template),
    Node::kept("SystemDrivesEncryptionType", Chr).implicit().runs(template),
    Node::kept("SystemDrivesRequireStartupAuthentication", Chr).implicit().runs(template),
    Node::kept("SystemDrivesMinimumPINLength", Chr).implicit().runs(template),
    Node::kept("SystemDrivesRecoveryOptions", Chr).implicit().runs(template),
    Node::kept("SystemDrivesRecoveryMessage", Chr).implicit().runs(template),
    Node::kept("FixedDrivesRecoveryOptions", Chr).implicit().runs(template),
    Node::kept("FixedDrivesRequireEncryption", Chr).implicit().runs(template),
    Node::kept("FixedDrivesEncryptionType", Chr).implicit().runs(template),
    Node::kept("RemovableDrivesRequireEncryption", Chr).implicit().runs(template),
    Node::read("Status/DeviceEncryptionStatus", Int, encryption),
    Node::fixed("Status/RemovableDrivesEncryptionStatus", Int, "0"),
    // 0 done, 1 under way, 2 never asked for.
    Node::read("Status/RotateRecoveryPasswordsStatus", Int, |tree, _, scene| {
        let status = tree.task(Work::RotateRecovery, "").map_or(2, |task| u8::from(task.is_open(scene)));
        Some(status.to_string())
    }),
    Node::shown("Status/RotateRecoveryPasswordsRequestID", Chr).own(),
    Node::exec("RotateRecoveryPasswords", rotate),
];

pub(super) static DEFENDER: &[Node] = &[
    Node::fixed("Health/DefenderEnabled", Bool, "true"),
    Node::fixed("Health/RtpEnabled", Bool, "true"),
    Node::fixed("Health/NisEnabled", Bool, "true"),
    Node::fixed("Health/TamperProtectionEnabled", Bool, "true"),
    Node::fixed("Health/RebootRequired", Bool, "false"),
    Node::fixed("Health/FullScanRequired", Bool, "false"),
    Node::read("Health/IsVirtualMachine", Bool, |_, _, scene| {
        let product = details::pc(scene).product();
        Some((product.starts_with("Virtual Machine") || product.starts_with("VMware")).to_string())
    }),
    Node::fixed("Health/ComputerState", Int, "0"),
    Node::fixed("Health/ProductStatus", Int, "524288"),
    Node::fixed("Health/DefenderVersion", Chr, "4.18.25110.6"),
    Node::fixed("Health/EngineVersion", Chr, "1.1.25110.1"),
    Node::read("Health/SignatureVersion", Chr, |tree, _, scene| Some(version(signatures(tree, scene)))),
    Node::read("Health/SignatureOutOfDate", Bool, |tree, _, scene| {
        let age = scene.ctx.clocks.wall.since(signatures(tree, scene));
        Some((age > DAY.times(7)).to_string())
    }),
    Node::read("Health/QuickScanOverdue", Bool, |_, _, _| Some("false".to_owned())),
    Node::read("Health/FullScanOverdue", Bool, |tree, _, scene| {
        Some(last(Work::FullScan, tree, scene).is_none().to_string())
    }),
    Node::read("Health/QuickScanTime", Chr, |tree, _, scene| {
        let daily = last_daily(scene, 12);
        Some(date::format(last(Work::QuickScan, tree, scene).map_or(daily, |at| at.max(daily))))
    }),
    Node::read("Health/QuickScanSigVersion", Chr, |tree, _, scene| Some(version(signatures(tree, scene)))),
    Node::read("Health/FullScanTime", Chr, |tree, _, scene| {
        Some(last(Work::FullScan, tree, scene).map(date::format).unwrap_or_default())
    }),
    Node::read("Health/FullScanSigVersion", Chr, |tree, _, scene| {
        Some(last(Work::FullScan, tree, scene).map(version).unwrap_or_default())
    }),
    Node::fixed("Detections", Format::Node, ""),
    Node::free("Configuration/*").implicit(),
    Node::exec("Scan", scan),
    Node::exec("OfflineScan", |_, _, _, effects| {
        effects.push(Effect::Reboot);
        202
    }),
    Node::exec("UpdateSignature", |tree, _, scene, _| begin(Work::Signatures, UPDATING, tree, scene)),
    Node::exec("RollbackEngine", |_, _, _, _| 202),
    Node::exec("RollbackPlatform", |_, _, _, _| 202),
];

pub(super) static LAPS: &[Node] = &[
    Node::setting("Policies/BackupDirectory", Int, "0"),
    Node::setting("Policies/PasswordAgeDays", Int, "30"),
    Node::setting("Policies/PasswordLength", Int, "14"),
    Node::setting("Policies/PasswordComplexity", Int, "4"),
    Node::setting("Policies/PassphraseLength", Int, "6"),
    Node::setting("Policies/PasswordExpirationProtectionEnabled", Bool, "true"),
    Node::setting("Policies/AdministratorAccountName", Chr, ""),
    Node::setting("Policies/ADPasswordEncryptionEnabled", Bool, "true"),
    Node::setting("Policies/ADPasswordEncryptionPrincipal", Chr, ""),
    Node::setting("Policies/ADEncryptedPasswordHistorySize", Int, "0"),
    Node::setting("Policies/PostAuthenticationActions", Int, "3"),
    Node::setting("Policies/PostAuthenticationResetDelay", Int, "24"),
    Node::setting("Policies/AutomaticAccountManagementEnabled", Bool, "false"),
    Node::exec("Actions/ResetPassword", |tree, _, scene, _| begin(Work::RotateAdmin, ROTATING, tree, scene)),
    // The HRESULT of the last one; E_PENDING while it is under way.
    Node::read("Actions/ResetPasswordStatus", Int, |tree, _, scene| {
        let is_open = tree.task(Work::RotateAdmin, "").is_some_and(|task| task.is_open(scene));
        Some(if is_open { 0x8000_000A_u32 as i32 } else { 0 }.to_string())
    }),
];

pub(super) static PASSPORT: &[Node] = &[
    Node::free("*/Policies/**").implicit(),
    Node::setting("UseBiometrics", Bool, "true"),
    Node::setting("Biometrics/UseBiometrics", Bool, "true"),
    Node::setting("Biometrics/FacialFeaturesUseEnhancedAntiSpoofing", Bool, "false"),
    Node::setting("SecurityKey/UseSecurityKeyForSignin", Int, "0"),
];

/// Encryption begins when the user agrees, or at once where nobody is to be asked, and takes hours.
fn encrypt(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    match call.data.trim_ascii() {
        "1" if details::pc(scene).has_tpm() && tree.task(Work::Encrypt, "").is_none() => {
            let asks = tree.at(ASKS).is_none_or(|asks| &*asks.value != "0");
            let agrees = if asks { Task::lasts(AGREEING, Work::Encrypt, 0, scene) } else { Dur::ZERO };
            let gigabytes = u64::from(details::pc(scene).disk_mb() / 1_000);
            let encrypts = Task::lasts(
                (PER_GIGABYTE.0.times(gigabytes), PER_GIGABYTE.1.times(gigabytes)),
                Work::Encrypt,
                1,
                scene,
            );
            let from = scene.ctx.clocks.wall;
            let half = from + agrees;
            tree.begin_task(Task {
                work: Work::Encrypt,
                of: "".into(),
                from,
                half,
                until: half + encrypts,
                good: true,
            });
            200
        }
        "0" | "1" => 200,
        _ => 500,
    }
}

/// Bits of what is not as the policy wants it (BitLocker CSP, `DeviceEncryptionStatus`): 0 the user has not agreed, 2 the
/// system's disk is not protected, 15 there is no TPM.
fn encryption(tree: &Tree, _: &Place<'_>, scene: &Scene<'_>) -> Option<String> {
    let is_wanted = tree.at(WANTED).is_some_and(|wanted| wanted.value.trim_ascii() == "1");
    let now = scene.ctx.clocks.wall;
    let bits: u32 = match tree.task(Work::Encrypt, "") {
        _ if !is_wanted => 0,
        Some(task) if now >= task.until => 0,
        Some(task) if now >= task.half => 1 << 2,
        Some(_) => 1 << 2 | 1,
        None => 1 << 15 | 1 << 2,
    };
    Some(bits.to_string())
}

/// New recovery passwords, which go where the old ones were kept; only of what is encrypted.
fn rotate(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    if tree.task(Work::Encrypt, "").is_none_or(|task| task.is_open(scene)) {
        return 500;
    }
    let path = "Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsRequestID".into();
    match tree.write(Leaf { path, format: Chr, value: call.data.into() }, true, scene.ctx.limits) {
        Ok(()) => begin(Work::RotateRecovery, ROTATING, tree, scene),
        Err(code) => code,
    }
}

/// 1 is the quick way, 2 is everything.
fn scan(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    match call.data.trim_ascii() {
        "1" => begin(Work::QuickScan, QUICK, tree, scene),
        "2" => begin(Work::FullScan, FULL, tree, scene),
        _ => 500,
    }
}

/// What is under way is not begun again.
fn begin(work: Work, takes: (Dur, Dur), tree: &mut Tree, scene: &Scene<'_>) -> u16 {
    if tree.task(work, "").is_none_or(|task| !task.is_open(scene)) {
        let from = scene.ctx.clocks.wall;
        let until = from + Task::lasts(takes, work, 0, scene);
        tree.begin_task(Task { work, of: "".into(), from, half: from, until, good: true });
    }
    202
}

/// A policy of a template.
fn template(_: &mut Tree, call: &Call<'_>, _: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    if policy::is_enabled_or_disabled(call.data) { 200 } else { 500 }
}

/// When work of this kind was done last, if it was asked for.
fn last(work: Work, tree: &Tree, scene: &Scene<'_>) -> Option<Wall> {
    tree.task(work, "").filter(|task| !task.is_open(scene)).map(|task| task.until)
}

/// When the signatures are from: of this day, but for three devices of a hundred whose updates have stopped until they are
/// asked for.
fn signatures(tree: &Tree, scene: &Scene<'_>) -> Wall {
    let mut dice = scene.ctx.device_dice(Purpose::Contents, 3);
    let daily =
        if dice.below(100) < 3 { last_daily(scene, 6) - DAY.times(10 + dice.below(60)) } else { last_daily(scene, 6) };
    last(Work::Signatures, tree, scene).map_or(daily, |at| at.max(daily))
}

/// The last time that it was this hour of the day, by the device's own quarter of an hour.
fn last_daily(scene: &Scene<'_>, hour: u64) -> Wall {
    let minute = scene.ctx.device_dice(Purpose::Contents, 4).below(60);
    let shift = i64::try_from(hour * 3_600 + minute * 60).unwrap_or_default();
    let today = (scene.ctx.clocks.wall.secs() - shift).div_euclid(86_400) * 86_400;
    Wall::from_secs(today + shift)
}

/// The version of the signatures of that time: a new one every two hours, a new series every forty days.
fn version(of: Wall) -> String {
    let number = of.secs().div_euclid(7_200);
    format!("1.{}.{}.0", number.div_euclid(480) - 70, number.rem_euclid(480))
}

impl Task {
    /// Whether it is under way.
    pub(super) fn is_open(&self, scene: &Scene<'_>) -> bool {
        scene.ctx.clocks.wall < self.until
    }

    /// How long work takes whose times have this median and 95th percentile. One piece of work may have several parts.
    pub(super) fn lasts(takes: (Dur, Dur), work: Work, part: u64, scene: &Scene<'_>) -> Dur {
        // Beside the ordinals of commands.
        scene.ctx.command_delay(takes, scene.commands | (1 + work as u64) << 40 | part << 48)
    }
}

/// Keys of settings that others look at.
const WANTED: &str = "vendor/msft/bitlocker/requiredeviceencryption";
const ASKS: &str = "vendor/msft/bitlocker/allowwarningforotherdiskencryption";

const DAY: Dur = Dur::secs(86_400);
const AGREEING: (Dur, Dur) = (Dur::secs(1_200), Dur::secs(8 * 3_600));
/// 90 minutes for 256 GB.
const PER_GIGABYTE: (Dur, Dur) = (Dur::secs(21), Dur::secs(60));
const ROTATING: (Dur, Dur) = (Dur::secs(20), Dur::secs(180));
const QUICK: (Dur, Dur) = (Dur::secs(240), Dur::secs(1_200));
const FULL: (Dur, Dur) = (Dur::secs(5_400), Dur::secs(5 * 3_600));
const UPDATING: (Dur, Dur) = (Dur::secs(60), Dur::secs(600));
