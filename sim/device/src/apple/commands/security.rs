//! `SecurityInfo` and `Restrictions`.

use super::{Dict, Refusal, Scene, Then, Writer};
use crate::uuids::drawn_uuid;
use droves_facts::Purpose;

/// `SecurityInfo`.
pub(super) fn run(_: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    let mac = scene.hardware.is_mac();
    // Nine of ten devices have a passcode; as many Macs have FileVault on.
    let safe = !(scene.hardware.flavour >> 24).is_multiple_of(10);
    w.key("SecurityInfo").dict(|w| if mac { of_a_mac(scene, safe, w) } else { of_a_phone(safe, w) });
    Ok(Then::Nothing)
}

fn of_a_phone(safe: bool, w: &mut Writer<'_>) {
    w.key("AutoLockTime").integer(2);
    w.key("HardwareEncryptionCaps").integer(3);
    management(w);
    w.key("PasscodeCompliant").bool(true);
    w.key("PasscodeCompliantWithProfiles").bool(true);
    w.key("PasscodeLockGracePeriod").integer(0);
    w.key("PasscodeLockGracePeriodEnforced").integer(if safe { 0 } else { 14_400 });
    w.key("PasscodePresent").bool(safe);
}

fn of_a_mac(scene: &Scene<'_, '_>, safe: bool, w: &mut Writer<'_>) {
    let settings = scene.lane.shared.mdm.as_ref();
    let bootstrap = settings.is_some_and(|settings| settings.bootstrap_token);
    w.key("AuthenticatedRootVolumeEnabled").bool(true);
    w.key("BootstrapTokenAllowedForAuthentication").string(if bootstrap { "allowed" } else { "disallowed" });
    w.key("BootstrapTokenRequiredForKernelExtensionApproval").bool(true);
    w.key("BootstrapTokenRequiredForSoftwareUpdate").bool(true);
    w.key("FDE_Enabled").bool(safe);
    w.key("FDE_HasInstitutionalRecoveryKey").bool(false);
    w.key("FDE_HasPersonalRecoveryKey").bool(safe);
    if safe {
        let mut dice = scene.ctx.device_dice(Purpose::Contents, RECOVERY_KEY);
        // What a recovery key encrypted for an escrow certificate takes up; nobody can open it.
        let cms: Vec<u8> = (0..44).flat_map(|_| dice.bytes::<16>()).collect();
        w.key("FDE_PersonalRecoveryKeyCMS").data(&cms);
        w.key("FDE_PersonalRecoveryKeyDeviceKey").string(&drawn_uuid(&mut dice));
    }
    w.key("FirewallSettings").dict(|w| {
        w.key("Applications").array(|w| {
            for (name, id) in FIREWALL {
                w.dict(|w| {
                    w.key("Allowed").bool(true);
                    w.key("BundleID").string(id);
                    w.key("Name").string(name);
                });
            }
        });
        w.key("BlockAllIncoming").bool(false);
        w.key("FirewallEnabled").bool(safe);
        w.key("LoggingEnabled").bool(true);
        w.key("LoggingOption").string("throttled");
        w.key("StealthMode").bool(false);
    });
    w.key("IsRecoveryLockEnabled").bool(false);
    management(w);
    w.key("RemoteDesktopEnabled").bool(false);
    w.key("SecureBoot").dict(|w| {
        w.key("ExternalBootLevel").string("allowed");
        w.key("ReducedSecurity").dict(|w| {
            w.key("AllowsAnyAppleSignedOS").bool(false);
            w.key("AllowsMDM").bool(false);
            w.key("AllowsUserKextApproval").bool(false);
        });
        w.key("SecureBootLevel").string("full");
    });
    w.key("SystemIntegrityProtectionEnabled").bool(true);
}

fn management(w: &mut Writer<'_>) {
    w.key("ManagementStatus").dict(|w| {
        w.key("EnrolledViaDEP").bool(false);
        w.key("IsActivationLockManageable").bool(false);
        w.key("IsUserEnrollment").bool(false);
        w.key("UserApprovedEnrollment").bool(true);
    });
}

/// `Restrictions`: what is in force, by system defaults and profiles together.
pub(super) fn restrictions(_: &Dict, _: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    w.key("GlobalRestrictions").dict(|w| {
        w.key("intersection").dict(|_| ());
        w.key("restrictedBool").dict(|w| {
            for name in
                ["allowActivityContinuation", "allowAirDrop", "allowCamera", "allowCloudBackup", "forceEncryptedBackup"]
            {
                w.key(name).dict(|w| w.key("value").bool(name.starts_with("allow")));
            }
        });
        w.key("restrictedValue").dict(|w| {
            w.key("maxGracePeriod").dict(|w| w.key("value").integer(14_400));
            w.key("maxInactivity").dict(|w| w.key("value").integer(300));
        });
        w.key("union").dict(|_| ());
    });
    Ok(Then::Nothing)
}

const FIREWALL: [(&str, &str); 3] = [
    ("Remote Login", "com.apple.sshd-keygen-wrapper"),
    ("Slack", "com.tinyspeck.slackmacgap"),
    ("Zoom", "us.zoom.xos"),
];

/// Place in the numbering of what a device holds.
const RECOVERY_KEY: u64 = 7 << 40;
