//! `DeviceInformation`: what the server asks of the device, key by key.
//!
//! A key that the server has no right to, or that the hardware does not have, is left out without an error; so is one
//! that nobody knows.

use super::{Dict, Refusal, Scene, Then, Writer};
use crate::apple::messages;
use crate::apple::shared::rights::{DEVICE_INFO, MANAGE_APPS, NETWORK_INFO};
use droves_facts::Purpose;

/// `DeviceInformation`.
pub(super) fn run(body: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    let asked: Vec<&str> = match body.array("Queries") {
        Some(queries) => queries.iter().filter_map(|query| query.as_str()).take(QUERIES_MAX).collect(),
        None => DEFAULT.to_vec(),
    };
    let given = scene.lane.shared.mdm.as_ref().map_or(0, |settings| settings.rights);
    w.key("QueryResponses").dict(|w| {
        for query in asked {
            if given & right_for(query) == right_for(query) {
                answer(query, scene, w);
            }
        }
    });
    Ok(Then::Nothing)
}

/// There are about a hundred keys.
const QUERIES_MAX: usize = 512;

/// What is told without being asked for.
const DEFAULT: [&str; 14] = [
    "AvailableDeviceCapacity",
    "BluetoothMAC",
    "BuildVersion",
    "DeviceCapacity",
    "DeviceName",
    "IMEI",
    "IsSupervised",
    "Model",
    "ModelName",
    "OSVersion",
    "ProductName",
    "SerialNumber",
    "UDID",
    "WiFiMAC",
];

/// The right that a key needs.
fn right_for(query: &str) -> u32 {
    match query {
        "UDID"
        | "ProvisioningUDID"
        | "OrganizationInfo"
        | "MDMOptions"
        | "AwaitingConfiguration"
        | "LastCloudBackupDate" => 0,
        "iTunesStoreAccountIsActive" | "iTunesStoreAccountHash" => MANAGE_APPS,
        "ICCID"
        | "BluetoothMAC"
        | "WiFiMAC"
        | "EthernetMAC"
        | "CurrentCarrierNetwork"
        | "SIMCarrierNetwork"
        | "SubscriberCarrierNetwork"
        | "CarrierSettingsVersion"
        | "PhoneNumber"
        | "DataRoamingEnabled"
        | "VoiceRoamingEnabled"
        | "PersonalHotspotEnabled"
        | "IsNetworkTethered"
        | "IsRoaming"
        | "SubscriberMCC"
        | "SubscriberMNC"
        | "CurrentMCC"
        | "CurrentMNC"
        | "ServiceSubscriptions" => NETWORK_INFO,
        _ => DEVICE_INFO,
    }
}

/// Writes one key, if the device has it.
fn answer(query: &str, scene: &Scene<'_, '_>, w: &mut Writer<'_>) {
    let hardware = &scene.hardware;
    let mac = hardware.is_mac();
    let text = |w: &mut Writer<'_>, value: &str| w.key(query).string(value);
    match query {
        "UDID" => text(w, &hardware.udid()),
        "ProvisioningUDID" if mac => text(w, &hardware.udid()),
        "DeviceName" => text(w, &hardware.name()),
        "OSVersion" => text(w, hardware.os_version()),
        "BuildVersion" | "SupplementalBuildVersion" => text(w, &hardware.build()),
        "ModelName" => text(w, hardware.family()),
        "Model" => text(w, hardware.model_number().split('/').next().unwrap_or_default()),
        "ModelNumber" => text(w, hardware.model_number()),
        "ProductName" => text(w, hardware.product()),
        "SoftwareUpdateDeviceID" => text(w, hardware.product()),
        "SerialNumber" => text(w, &hardware.serial()),
        "DeviceCapacity" => w.key(query).real(capacity(scene)),
        "AvailableDeviceCapacity" => w.key(query).real(free(scene)),
        "BatteryLevel" => w.key(query).real(battery(scene)),
        "HasBattery" if mac => w.key(query).bool(hardware.has_battery()),
        "IsAppleSilicon" if mac => w.key(query).bool(true),
        "SupportsiOSAppInstalls" if mac => w.key(query).bool(true),
        "SystemIntegrityProtectionEnabled" if mac => w.key(query).bool(true),
        "SupportsLOMDevice" if mac => w.key(query).bool(!hardware.has_battery()),
        "PINRequiredForEraseDevice" | "PINRequiredForDeviceLock" if mac => w.key(query).bool(false),
        "IsActivationLockSupported" if mac => w.key(query).bool(true),
        "IsSupervised" | "IsDeviceLocatorServiceEnabled" | "IsActivationLockEnabled" => w.key(query).bool(false),
        "IsMultiUser" | "IsDoNotDisturbInEffect" | "IsCloudBackupEnabled" | "IsMDMLostModeEnabled" if !mac => {
            w.key(query).bool(false);
        }
        "AwaitingConfiguration" => w.key(query).bool(false),
        "DiagnosticSubmissionEnabled" | "AppAnalyticsEnabled" if !mac => w.key(query).bool(false),
        "iTunesStoreAccountIsActive" => w.key(query).bool(true),
        "iTunesStoreAccountHash" => text(w, ACCOUNT_HASH),
        "EASDeviceIdentifier" if !mac => text(w, &hardware.udid().replace('-', "")),
        "TimeZone" => text(w, "Europe/Berlin"),
        "LocalHostName" | "HostName" if mac => text(w, &hardware.host_name()),
        "MDMOptions" => w.key(query).dict(|w| {
            if mac {
                w.key("BootstrapTokenAllowed").bool(scene.lane.shared.mdm.as_ref().is_some_and(|s| s.bootstrap_token));
            } else {
                w.key("ActivationLockAllowedWhileSupervised").bool(false);
            }
        }),
        "OrganizationInfo" => w.key(query).dict(|_| ()),
        "PushToken" if mac => w.key(query).data(&scene.ctx.tokens.token(scene.ctx.lane, scene.lane.record.token)),
        "ActiveManagedUsers" if mac => w.key(query).array(|w| {
            for channel in 1..=scene.ctx.character.users {
                w.string(&messages::user(channel, scene.ctx).0);
            }
        }),
        "AutoSetupAdminAccounts" if mac => w.key(query).array(|_| ()),
        "OSUpdateSettings" if mac => w.key(query).dict(|w| {
            w.key("AutoCheckEnabled").bool(true);
            w.key("AutomaticAppInstallationEnabled").bool(false);
            w.key("AutomaticOSInstallationEnabled").bool(false);
            w.key("AutomaticSecurityUpdatesEnabled").bool(true);
            w.key("BackgroundDownloadEnabled").bool(true);
            w.key("CatalogURL").string("");
            w.key("IsDefaultCatalog").bool(true);
            w.key("PerformPeriodicCheck").bool(true);
            w.key("PreviousScanDate").date(scene.ctx.clocks.wall);
            w.key("PreviousScanResult").integer(0);
        }),
        "WiFiMAC" => text(w, &hardware.mac(0)),
        "BluetoothMAC" => text(w, &hardware.mac(1)),
        "EthernetMAC" if mac => text(w, &hardware.mac(2)),
        _ if hardware.is_cellular() => cellular(query, scene, w),
        _ => {}
    }
}

/// Keys that only a device with a modem has.
fn cellular(query: &str, scene: &Scene<'_, '_>, w: &mut Writer<'_>) {
    let hardware = &scene.hardware;
    match query {
        "IMEI" => w.key(query).string(&hardware.imei().unwrap_or_default()),
        "MEID" => w.key(query).string(&hardware.meid().unwrap_or_default()),
        "ModemFirmwareVersion" => w.key(query).string("2.20.03"),
        "CellularTechnology" => w.key(query).integer(3),
        "ICCID" => w.key(query).string(&format!(
            "8949 0200 {:04} {:04} {:03}",
            hardware.flavour % 9_973,
            hardware.flavour % 9_967,
            hardware.flavour % 997
        )),
        "CurrentCarrierNetwork" | "SIMCarrierNetwork" | "SubscriberCarrierNetwork" => w.key(query).string("Telekom.de"),
        "CarrierSettingsVersion" => w.key(query).string("60.0"),
        "PhoneNumber" => w.key(query).string(&format!("+49151{:08}", hardware.flavour % 100_000_000)),
        "SubscriberMCC" | "CurrentMCC" => w.key(query).string("262"),
        "SubscriberMNC" | "CurrentMNC" => w.key(query).string("01"),
        "DataRoamingEnabled" | "VoiceRoamingEnabled" | "PersonalHotspotEnabled" | "IsNetworkTethered" | "IsRoaming" => {
            w.key(query).bool(false);
        }
        "ServiceSubscriptions" => w.key(query).array(|w| {
            w.dict(|w| {
                w.key("CarrierSettingsVersion").string("60.0");
                w.key("CurrentCarrierNetwork").string("Telekom.de");
                w.key("CurrentMCC").string("262");
                w.key("CurrentMNC").string("01");
                w.key("EID").string(&format!("89049032{:024}", hardware.flavour));
                w.key("IMEI").string(&hardware.imei().unwrap_or_default());
                w.key("IsDataPreferred").bool(true);
                w.key("IsRoaming").bool(false);
                w.key("IsVoicePreferred").bool(true);
                w.key("Label").string("Primary");
                w.key("LabelID").string(&messages::magic(0, scene.ctx));
                w.key("Slot").string("CTSubscriptionSlotOne");
            });
        }),
        _ => {}
    }
}

/// In GB, as the system counts it: less than what the box says.
fn capacity(scene: &Scene<'_, '_>) -> f64 {
    let boxes: [f64; 4] =
        if scene.hardware.is_mac() { [256.0, 512.0, 512.0, 1_024.0] } else { [64.0, 128.0, 128.0, 256.0] };
    boxes.get((scene.hardware.flavour & 3) as usize).copied().unwrap_or(128.0) * 0.931_322_574_615_478_5
}

fn free(scene: &Scene<'_, '_>) -> f64 {
    capacity(scene) * (0.15 + (scene.hardware.flavour >> 16 & 0xFFFF) as f64 / 65_536.0 * 0.6)
}

/// Hundredths in single precision, as devices send it; -1 without a battery.
fn battery(scene: &Scene<'_, '_>) -> f64 {
    if !scene.hardware.has_battery() {
        return -1.0;
    }
    let ordinal = BATTERY | u64::from(scene.lane.record.sessions);
    let percent = 5 + scene.ctx.device_dice(Purpose::Contents, ordinal).below(96);
    f64::from(percent as f32 / 100.0)
}

/// Place in the numbering of what a device holds.
const BATTERY: u64 = 6 << 40;
const ACCOUNT_HASH: &str = "q5m1yUZaiUIGJXLpbvKkbYO8h7c=";
