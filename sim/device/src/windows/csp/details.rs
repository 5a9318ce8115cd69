//! What a PC says of itself: DevInfo, DevDetail, DeviceStatus, DeviceManageability. All of it is a function of the
//! device and the clock, but the name, which a server may change.

use super::{Node, Place, Scene, Tree};
use crate::windows::hardware::Hardware;
use droves_facts::Purpose;
use droves_wire::plist::date;
use droves_wire::windows::syncml::Format::{Bool, Chr, Int};
use droves_wire::windows::values;

/// What the first message of each session says too.
pub(super) static DEV_INFO: &[Node] = &[
    Node::read("DevId", Chr, |_, _, scene| Some(scene.device_id.to_owned())),
    Node::read("Man", Chr, |_, _, scene| Some(pc(scene).maker().to_owned())),
    Node::read("Mod", Chr, |_, _, scene| Some(pc(scene).product().to_owned())),
    Node::fixed("DmV", Chr, "1.3"),
    Node::read("Lang", Chr, |_, _, scene| Some(pc(scene).locale().to_owned())),
];

pub(super) static DEV_DETAIL: &[Node] = &[
    Node::fixed("URI/MaxDepth", Int, "0"),
    Node::fixed("URI/MaxTotLen", Int, "0"),
    Node::fixed("URI/MaxSegLen", Int, "0"),
    Node::read("DevTyp", Chr, |_, _, scene| Some(pc(scene).product().to_owned())),
    Node::read("OEM", Chr, |_, _, scene| Some(pc(scene).maker().to_owned())),
    Node::read("FwV", Chr, |_, _, scene| Some(pc(scene).firmware())),
    Node::read("SwV", Chr, |_, _, scene| Some(pc(scene).os_version().to_owned())),
    Node::read("HwV", Chr, |_, _, scene| Some(format!("{} {}", pc(scene).maker(), pc(scene).firmware()))),
    Node::fixed("LrgObj", Bool, "true"),
    Node::read("Ext/Microsoft/MobileID", Chr, |_, _, _| None),
    Node::read("Ext/Microsoft/LocalTime", Chr, |_, _, scene| Some(date::format(scene.ctx.clocks.wall))),
    Node::read("Ext/Microsoft/OSPlatform", Chr, |_, _, scene| Some(pc(scene).os_name().to_owned())),
    // 9 is x64.
    Node::fixed("Ext/Microsoft/ProcessorType", Int, "9"),
    Node::fixed("Ext/Microsoft/ProcessorArchitecture", Int, "9"),
    Node::read("Ext/Microsoft/RadioSwV", Chr, |_, _, _| None),
    Node::fixed("Ext/Microsoft/Resolution", Chr, "1920x1080"),
    Node::fixed("Ext/Microsoft/CommercializationOperator", Chr, ""),
    Node::read("Ext/Microsoft/DNSComputerName", Chr, |tree, place, scene| Some(name(tree, place, scene))),
    Node::computed("Ext/Microsoft/DeviceName", Chr, |tree, place, scene| Some(name(tree, place, scene)))
        .own()
        .runs(super::system::rename),
    Node::read("Ext/Microsoft/TotalStorage", Int, |_, _, scene| Some(pc(scene).disk_mb().to_string())),
    Node::read("Ext/Microsoft/TotalRAM", Int, |_, _, scene| Some(pc(scene).memory_mb().to_string())),
    Node::read("Ext/Microsoft/SMBIOSSerialNumber", Chr, |_, _, scene| Some(pc(scene).serial())),
    Node::read("Ext/Microsoft/SMBIOSVersion", Chr, |_, _, scene| Some(pc(scene).firmware())),
    Node::read("Ext/WLANMACAddress", Chr, |_, _, scene| pc(scene).wlan_mac()),
    Node::read("Ext/VoLTEServiceSetting", Bool, |_, _, _| None),
    Node::read("Ext/WlanIPv4Address", Chr, |_, _, scene| pc(scene).wlan_mac().map(|_| address(scene))),
    Node::fixed("Ext/WlanDnsSuffix", Chr, "corp.example"),
    Node::fixed("Ext/WlanSubnetMask", Chr, "255.255.240.0"),
    Node::read("Ext/DeviceHardwareData", Chr, |_, _, scene| {
        Some(pc(scene).hardware_hash(&mut scene.ctx.device_dice(Purpose::Contents, 0)))
    })
    .slow(),
];

pub(super) static STATUS: &[Node] = &[
    // 1: on.
    Node::fixed("SecureBootState", Int, "1"),
    Node::fixed("DomainName", Chr, ""),
    Node::read("CellularIdentities", Chr, |_, _, _| None),
    Node::read("NetworkIdentifiers/*/IPAddressV4", Chr, |_, _, _| None),
    Node::fixed("Compliance/EncryptionCompliance", Int, "0"),
    Node::read("TPM/SpecificationVersion", Chr, |_, _, scene| {
        Some(if pc(scene).has_tpm() { "2.0, 0, 1.59" } else { "Not available" }.to_owned())
    }),
    Node::read("TPM/ManufacturerId", Chr, |_, _, scene| pc(scene).has_tpm().then(|| "1229346816".to_owned())),
    Node::read("OS/Edition", Int, |_, _, scene| Some(pc(scene).edition().to_string())),
    // 1: an S mode was never on.
    Node::fixed("OS/Mode", Int, "1"),
    // 0: no fault.
    Node::fixed("Antivirus/SignatureStatus", Int, "1"),
    Node::fixed("Antivirus/Status", Int, "0"),
    Node::fixed("Antispyware/SignatureStatus", Int, "1"),
    Node::fixed("Antispyware/Status", Int, "0"),
    Node::fixed("Firewall/Status", Int, "0"),
    Node::fixed("UAC/Status", Int, "0"),
    // 1: a battery, 2: the mains.
    Node::read("Battery/Status", Int, |_, _, scene| Some(u8::from(pc(scene).is_portable()).to_string())),
    Node::read("Battery/EstimatedChargeRemaining", Int, |_, _, scene| {
        pc(scene).is_portable().then(|| hourly(scene).below(101).to_string())
    }),
    Node::read("Battery/EstimatedRuntime", Int, |_, _, scene| {
        pc(scene).is_portable().then(|| (hourly(scene).below(480) + 5).to_string())
    }),
    Node::fixed("DeviceGuard/VirtualizationBasedSecurityHwReq", Int, "0"),
    Node::fixed("DeviceGuard/VirtualizationBasedSecurityStatus", Int, "0"),
    Node::fixed("DeviceGuard/LsaCfgCredGuardStatus", Int, "0"),
    Node::fixed("DeviceGuard/HypervisorEnforcedCodeIntegrityStatus", Int, "0"),
    Node::fixed("CertAttestation/MDMClientCertAttestation", Chr, ""),
];

pub(super) static MANAGEABILITY: &[Node] = &[
    Node::read("Capabilities/CSPVersions", Chr, |_, _, _| Some(versions())).slow(),
    Node::read("Provider/@/ConfigInfo", Chr, |_, _, _| Some(String::new())),
    Node::fixed("Provider/@/EnrollmentInfo", Chr, ""),
];

/// The hardware of the device.
pub(super) fn pc<'a>(scene: &Scene<'a>) -> Hardware<'a> {
    Hardware::of(scene.ctx)
}

/// The name of the device, which may have been changed.
pub(super) fn name(tree: &Tree, _: &Place<'_>, scene: &Scene<'_>) -> String {
    tree.at(super::system::NAME).map_or_else(|| pc(scene).name(), |leaf| leaf.value.to_string())
}

/// An address in a large private network.
fn address(scene: &Scene<'_>) -> String {
    let mut dice = scene.ctx.device_dice(Purpose::Contents, 1);
    format!("10.{}.{}.{}", dice.below(64), dice.below(256), 1 + dice.below(254))
}

/// Dice for what changes from hour to hour.
fn hourly(scene: &Scene<'_>) -> droves_facts::Philox {
    let hour = u64::try_from(scene.ctx.clocks.wall.secs() / 3_600).unwrap_or_default();
    scene.ctx.device_dice(Purpose::Contents, 1 << 32 | hour)
}

/// Which providers the system has, about 12 KB.
fn versions() -> String {
    let named: Vec<_> = (0..CSPS)
        .map(|n| {
            let name = CSP_NAMES.get(n % CSP_NAMES.len()).copied().unwrap_or_default();
            let part = if n < CSP_NAMES.len() { String::new() } else { format!("/Part{}", n / CSP_NAMES.len()) };
            (format!("./Device/Vendor/MSFT/{name}{part}"), format!("{}.{}", 1 + n % 5, n * 7 % 10))
        })
        .collect();
    values::csp_versions(named.iter().map(|(node, version)| (&**node, &**version)))
}

/// How many there are in all.
const CSPS: usize = 178;

/// Providers of Windows 11, a part of them.
const CSP_NAMES: [&str; 40] = [
    "AccountManagement",
    "Accounts",
    "ActiveSync",
    "ApplicationControl",
    "AppLocker",
    "AssignedAccess",
    "BitLocker",
    "CertificateStore",
    "ClientCertificateInstall",
    "CloudDesktop",
    "DeclaredConfiguration",
    "Defender",
    "DeviceLock",
    "DeviceManageability",
    "DevicePreparation",
    "DeviceStatus",
    "DiagnosticLog",
    "DMClient",
    "DynamicManagement",
    "EMAIL2",
    "EnrollmentStatusTracking",
    "EnterpriseDesktopAppManagement",
    "EnterpriseModernAppManagement",
    "eUICCs",
    "Firewall",
    "HealthAttestation",
    "LanguagePackManagement",
    "LAPS",
    "NetworkProxy",
    "NodeCache",
    "Office",
    "PassportForWork",
    "Personalization",
    "Policy",
    "PrinterProvisioning",
    "Reboot",
    "RemoteWipe",
    "RootCATrustedCertificates",
    "Update",
    "WiFi",
];
