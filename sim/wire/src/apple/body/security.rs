//! What `SecurityInfo` holds.

use crate::plist::{Node, Writer};

/// `SecurityInfo`, by platform.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SecurityInfo<'a> {
    /// Of an iPhone or iPad.
    Ios(IosSecurity),
    /// Of a Mac.
    Macos(MacSecurity<'a>),
}

impl SecurityInfo<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        match self {
            SecurityInfo::Ios(info) => info.write(w),
            SecurityInfo::Macos(info) => info.write(w),
        }
    }
}

/// `SecurityInfo` of an iPhone or iPad.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct IosSecurity {
    /// 1 block, 2 file, 3 both.
    pub hardware_encryption_caps: i64,
    pub passcode_present: bool,
    pub passcode_compliant: bool,
    pub passcode_compliant_with_profiles: bool,
    pub passcode_lock_grace_period_s: i64,
    pub passcode_lock_grace_period_enforced_s: i64,
    pub auto_lock_time_s: i64,
    pub is_user_enrollment: bool,
}

impl IosSecurity {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.key("AutoLockTime").integer(self.auto_lock_time_s);
        w.key("HardwareEncryptionCaps").integer(self.hardware_encryption_caps);
        w.key("ManagementStatus").dict(|w| w.key("IsUserEnrollment").bool(self.is_user_enrollment));
        w.key("PasscodeCompliant").bool(self.passcode_compliant);
        w.key("PasscodeCompliantWithProfiles").bool(self.passcode_compliant_with_profiles);
        w.key("PasscodeLockGracePeriod").integer(self.passcode_lock_grace_period_s);
        w.key("PasscodeLockGracePeriodEnforced").integer(self.passcode_lock_grace_period_enforced_s);
        w.key("PasscodePresent").bool(self.passcode_present);
    }
}

/// `SecurityInfo` of a Mac.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct MacSecurity<'a> {
    pub fde_enabled: bool,
    pub fde_has_personal_recovery_key: bool,
    pub fde_has_institutional_recovery_key: bool,
    pub fde_personal_recovery_key_cms: Option<&'a [u8]>,
    pub fde_personal_recovery_key_device_key: Option<&'a str>,
    pub system_integrity_protection_enabled: bool,
    pub firewall_enabled: bool,
    pub stealth_mode: bool,
    pub remote_desktop_enabled: bool,
    pub is_recovery_lock_enabled: bool,
    pub enrolled_via_dep: bool,
    pub user_approved_enrollment: bool,
    pub is_user_enrollment: bool,
    pub is_activation_lock_manageable: bool,
    pub bootstrap_token_required: bool,
}

impl MacSecurity<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.key("AuthenticatedRootVolumeEnabled").bool(true);
        w.key("BootstrapTokenAllowedForAuthentication").string("allowed");
        w.key("BootstrapTokenRequiredForKernelExtensionApproval").bool(self.bootstrap_token_required);
        w.key("BootstrapTokenRequiredForSoftwareUpdate").bool(self.bootstrap_token_required);
        w.key("FDE_Enabled").bool(self.fde_enabled);
        w.key("FDE_HasInstitutionalRecoveryKey").bool(self.fde_has_institutional_recovery_key);
        w.key("FDE_HasPersonalRecoveryKey").bool(self.fde_has_personal_recovery_key);
        w.maybe("FDE_PersonalRecoveryKeyCMS", self.fde_personal_recovery_key_cms.map(Node::Data));
        w.maybe("FDE_PersonalRecoveryKeyDeviceKey", self.fde_personal_recovery_key_device_key.map(Node::String));
        w.key("FirewallSettings").dict(|w| {
            w.key("Applications").array(|_| {});
            w.key("BlockAllIncoming").bool(false);
            w.key("FirewallEnabled").bool(self.firewall_enabled);
            w.key("StealthMode").bool(self.stealth_mode);
        });
        w.key("IsRecoveryLockEnabled").bool(self.is_recovery_lock_enabled);
        w.key("ManagementStatus").dict(|w| {
            w.key("EnrolledViaDEP").bool(self.enrolled_via_dep);
            w.key("IsActivationLockManageable").bool(self.is_activation_lock_manageable);
            w.key("IsUserEnrollment").bool(self.is_user_enrollment);
            w.key("UserApprovedEnrollment").bool(self.user_approved_enrollment);
        });
        w.key("RemoteDesktopEnabled").bool(self.remote_desktop_enabled);
        w.key("SecureBoot").dict(|w| {
            w.key("ExternalBootLevel").string("allowed");
            w.key("SecureBootLevel").string("full");
        });
        w.key("SystemIntegrityProtectionEnabled").bool(self.system_integrity_protection_enabled);
    }
}
