//! What results hold beside their status: what the device model supplies, under Apple's keys (schema `mdm/commands`,
//! response keys), sorted as Apple's writer sorts them.

use super::result::ErrorItem;
use crate::plist::{Node, Writer};
use droves_facts::Wall;

/// What a result holds beside its status.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Body<'a> {
    /// Nothing.
    None,
    /// `DeviceInformation`: an answer a query that the device knows.
    QueryResponses(&'a [(&'a str, Node<'a>)]),
    /// `SecurityInfo`.
    SecurityInfo(&'a SecurityInfo<'a>),
    /// `ProfileList`.
    ProfileList(&'a [ProfileItem<'a>]),
    /// `InstalledApplicationList`.
    InstalledApplicationList(&'a [AppItem<'a>]),
    /// `ManagedApplicationList`.
    ManagedApplicationList(&'a [ManagedApp<'a>]),
    /// `CertificateList`.
    CertificateList(&'a [CertificateItem<'a>]),
    /// `InstallApplication`.
    Installing {
        /// `Identifier`.
        identifier: &'a str,
        /// `State`: `Queued`, `Prompting`, `Installing`, ..
        state: &'a str,
        /// `RejectionReason`, of a refusal.
        rejection_reason: Option<&'a str>,
    },
    /// `DeviceLock` with a message: `MessageResult`.
    MessageResult(&'a str),
    /// `Settings`: an outcome an item, in the command's order.
    Settings(&'a [SettingResult<'a>]),
    /// `AvailableOSUpdates`.
    AvailableOSUpdates(&'a [OsUpdate<'a>]),
    /// `ScheduleOSUpdate`.
    UpdateResults(&'a [UpdateResult<'a>]),
    /// `OSUpdateStatus`.
    OsUpdateStatus(&'a [UpdateStatus<'a>]),
    /// `UserList`.
    Users(&'a [UserItem<'a>]),
    /// Any other, with its keys as they are.
    Other(&'a [(&'a str, Node<'a>)]),
}

/// `SecurityInfo`, by platform.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SecurityInfo<'a> {
    /// Of an iPhone or iPad.
    Ios(IosSecurity),
    /// Of a Mac.
    Macos(MacSecurity<'a>),
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

/// One profile of a `ProfileList`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct ProfileItem<'a> {
    pub identifier: &'a str,
    pub uuid: &'a str,
    pub version: i64,
    pub display_name: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub description: Option<&'a str>,
    pub removal_disallowed: bool,
    pub has_removal_passcode: bool,
    pub is_encrypted: bool,
    /// iOS only.
    pub is_managed: Option<bool>,
    /// DER.
    pub signer_certificates: &'a [&'a [u8]],
    pub payloads: &'a [PayloadItem<'a>],
}

/// One payload of a listed profile.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct PayloadItem<'a> {
    pub kind: &'a str,
    pub version: i64,
    pub identifier: &'a str,
    pub uuid: &'a str,
    pub display_name: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub description: Option<&'a str>,
}

/// One app of an `InstalledApplicationList`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct AppItem<'a> {
    pub identifier: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub short_version: &'a str,
    pub bundle_size: i64,
    pub installing: bool,
    pub has_update_available: bool,
    pub external_version_identifier: Option<i64>,
    /// What only iOS tells.
    pub ios: Option<IosApp>,
}

/// What iOS tells of an app beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct IosApp {
    pub dynamic_size: i64,
    pub is_validated: bool,
    pub app_store_vendable: bool,
    pub device_based_vpp: bool,
    pub beta_app: bool,
    pub ad_hoc_code_signed: bool,
    pub is_app_clip: bool,
}

/// One app of a `ManagedApplicationList`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct ManagedApp<'a> {
    pub identifier: &'a str,
    /// `Managed`, `Queued`, `Installing`, `UserRejected`, ..
    pub status: &'a str,
    pub management_flags: i64,
    pub has_configuration: bool,
    pub has_feedback: bool,
    pub is_validated: Option<bool>,
    pub external_version_identifier: Option<i64>,
}

/// One certificate of a `CertificateList`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct CertificateItem<'a> {
    pub common_name: &'a str,
    pub is_identity: bool,
    /// DER.
    pub data: &'a [u8],
}

/// What became of one item of a `Settings` command.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SettingResult<'a> {
    /// `Item`.
    pub item: &'a str,
    /// `Identifier`, where the item names an app.
    pub identifier: Option<&'a str>,
    /// Why it failed; none for `Acknowledged`.
    pub errors: &'a [ErrorItem<'a>],
}

/// One update of `AvailableOSUpdates`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct OsUpdate<'a> {
    pub product_key: &'a str,
    pub human_readable_name: &'a str,
    /// iOS only.
    pub product_name: Option<&'a str>,
    pub version: &'a str,
    pub build: &'a str,
    pub download_size: i64,
    /// iOS only.
    pub install_size: Option<i64>,
    pub is_critical: bool,
    pub restart_required: bool,
    pub allows_install_later: bool,
    pub is_security_response: bool,
    /// macOS only.
    pub is_major: Option<bool>,
    /// macOS only.
    pub requires_bootstrap_token: Option<bool>,
    /// macOS only.
    pub deferred_until: Option<Wall>,
}

/// What became of one update of a `ScheduleOSUpdate`.
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct UpdateResult<'a> {
    pub product_key: &'a str,
    /// `InstallASAP`, `Error`, ..
    pub install_action: &'a str,
    /// `Idle`, `Downloading`, `Installing`, ..
    pub status: &'a str,
    pub errors: &'a [ErrorItem<'a>],
}

/// How far an update is.
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub struct UpdateStatus<'a> {
    pub product_key: &'a str,
    pub is_downloaded: bool,
    /// 0..=1.
    pub download_percent_complete: f64,
    /// `Idle`, `Downloading`, `Installing`.
    pub status: &'a str,
}

/// One user of a `UserList`.
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(missing_docs, reason = "Apple's keys of these names")]
pub enum UserItem<'a> {
    Macos {
        user_name: &'a str,
        full_name: &'a str,
        uid: i64,
        user_guid: &'a str,
        is_logged_in: bool,
        mobile_account: bool,
        has_secure_token: bool,
    },
    SharedIpad {
        user_name: &'a str,
        is_logged_in: bool,
        has_data_to_sync: bool,
        data_quota_bytes: i64,
        data_used_bytes: i64,
    },
}

/// The value of a key at the top of a result.
pub(super) enum Part<'a> {
    Node(Node<'a>),
    Errors(&'a [ErrorItem<'a>]),
    Body(Body<'a>),
}

impl Part<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        match self {
            Part::Node(node) => w.node(*node),
            Part::Errors(chain) => ErrorItem::write_chain(chain, w),
            Part::Body(body) => body.write(w),
        }
    }
}

impl<'a> Body<'a> {
    /// The keys at the top of a result.
    pub(super) fn push_to(&self, parts: &mut Vec<(&'a str, Part<'a>)>) {
        let key = match *self {
            Body::None => return,
            Body::Installing { identifier, state, rejection_reason } => {
                parts.push(("Identifier", Part::Node(Node::String(identifier))));
                parts.push(("State", Part::Node(Node::String(state))));
                parts.extend(rejection_reason.map(|reason| ("RejectionReason", Part::Node(Node::String(reason)))));
                return;
            }
            Body::Other(pairs) => {
                parts.extend(pairs.iter().map(|&(key, node)| (key, Part::Node(node))));
                return;
            }
            Body::MessageResult(text) => {
                parts.push(("MessageResult", Part::Node(Node::String(text))));
                return;
            }
            Body::QueryResponses(_) => "QueryResponses",
            Body::SecurityInfo(_) => "SecurityInfo",
            Body::ProfileList(_) => "ProfileList",
            Body::InstalledApplicationList(_) => "InstalledApplicationList",
            Body::ManagedApplicationList(_) => "ManagedApplicationList",
            Body::CertificateList(_) => "CertificateList",
            Body::Settings(_) => "Settings",
            Body::AvailableOSUpdates(_) => "AvailableOSUpdates",
            Body::UpdateResults(_) => "UpdateResults",
            Body::OsUpdateStatus(_) => "OSUpdateStatus",
            Body::Users(_) => "Users",
        };
        parts.push((key, Part::Body(*self)));
    }

    fn write(&self, w: &mut Writer<'_>) {
        match *self {
            Body::QueryResponses(answers) => {
                let mut sorted = answers.to_vec();
                sorted.sort_by_key(|&(key, _)| key);
                w.node(Node::Dict(&sorted));
            }
            Body::SecurityInfo(info) => w.dict(|w| info.write(w)),
            Body::ProfileList(list) => each(w, list, ProfileItem::write),
            Body::InstalledApplicationList(list) => each(w, list, AppItem::write),
            Body::ManagedApplicationList(list) => w.dict(|w| {
                for app in list {
                    w.key(app.identifier).dict(|w| app.write(w));
                }
            }),
            Body::CertificateList(list) => each(w, list, CertificateItem::write),
            Body::Settings(list) => each(w, list, SettingResult::write),
            Body::AvailableOSUpdates(list) => each(w, list, OsUpdate::write),
            Body::UpdateResults(list) => each(w, list, UpdateResult::write),
            Body::OsUpdateStatus(list) => each(w, list, UpdateStatus::write),
            Body::Users(list) => each(w, list, UserItem::write),
            // Their keys stand at the top, and are written there.
            Body::None | Body::Installing { .. } | Body::MessageResult(_) | Body::Other(_) => {}
        }
    }
}

fn each<T>(w: &mut Writer<'_>, list: &[T], write: impl Fn(&T, &mut Writer<'_>)) {
    w.array(|w| list.iter().for_each(|item| w.dict(|w| write(item, w))));
}

impl SecurityInfo<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        match self {
            SecurityInfo::Ios(info) => info.write(w),
            SecurityInfo::Macos(info) => info.write(w),
        }
    }
}

impl IosSecurity {
    fn write(&self, w: &mut Writer<'_>) {
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

impl MacSecurity<'_> {
    fn write(&self, w: &mut Writer<'_>) {
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

impl ProfileItem<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.key("HasRemovalPasscode").bool(self.has_removal_passcode);
        w.key("IsEncrypted").bool(self.is_encrypted);
        w.maybe("IsManaged", self.is_managed.map(Node::Bool));
        each(w.key("PayloadContent"), self.payloads, PayloadItem::write);
        w.maybe("PayloadDescription", self.description.map(Node::String));
        w.maybe("PayloadDisplayName", self.display_name.map(Node::String));
        w.key("PayloadIdentifier").string(self.identifier);
        w.maybe("PayloadOrganization", self.organization.map(Node::String));
        w.key("PayloadRemovalDisallowed").bool(self.removal_disallowed);
        w.key("PayloadUUID").string(self.uuid);
        w.key("PayloadVersion").integer(self.version);
        if !self.signer_certificates.is_empty() {
            w.key("SignerCertificates").array(|w| self.signer_certificates.iter().for_each(|der| w.data(der)));
        }
    }
}

impl PayloadItem<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.maybe("PayloadDescription", self.description.map(Node::String));
        w.maybe("PayloadDisplayName", self.display_name.map(Node::String));
        w.key("PayloadIdentifier").string(self.identifier);
        w.maybe("PayloadOrganization", self.organization.map(Node::String));
        w.key("PayloadType").string(self.kind);
        w.key("PayloadUUID").string(self.uuid);
        w.key("PayloadVersion").integer(self.version);
    }
}

impl AppItem<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        let ios = |w: &mut Writer<'_>, key: &str, flag: fn(&IosApp) -> bool| {
            w.maybe(key, self.ios.as_ref().map(|app| Node::Bool(flag(app))));
        };
        ios(w, "AdHocCodeSigned", |app| app.ad_hoc_code_signed);
        ios(w, "AppStoreVendable", |app| app.app_store_vendable);
        ios(w, "BetaApp", |app| app.beta_app);
        w.key("BundleSize").integer(self.bundle_size);
        ios(w, "DeviceBasedVPP", |app| app.device_based_vpp);
        for key in ["DownloadCancelled", "DownloadFailed", "DownloadPaused", "DownloadWaiting"] {
            w.key(key).bool(false);
        }
        w.maybe("DynamicSize", self.ios.map(|app| Node::Integer(app.dynamic_size)));
        w.maybe("ExternalVersionIdentifier", self.external_version_identifier.map(Node::Integer));
        w.key("HasUpdateAvailable").bool(self.has_update_available);
        w.key("Identifier").string(self.identifier);
        w.key("Installing").bool(self.installing);
        ios(w, "IsAppClip", |app| app.is_app_clip);
        ios(w, "IsValidated", |app| app.is_validated);
        w.key("Name").string(self.name);
        w.key("ShortVersion").string(self.short_version);
        w.key("Version").string(self.version);
    }
}

impl ManagedApp<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.maybe("ExternalVersionIdentifier", self.external_version_identifier.map(Node::Integer));
        w.key("HasConfiguration").bool(self.has_configuration);
        w.key("HasFeedback").bool(self.has_feedback);
        w.maybe("IsValidated", self.is_validated.map(Node::Bool));
        w.key("ManagementFlags").integer(self.management_flags);
        w.key("Status").string(self.status);
    }
}

impl CertificateItem<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.key("CommonName").string(self.common_name);
        w.key("Data").data(self.data);
        w.key("IsIdentity").bool(self.is_identity);
    }
}

impl SettingResult<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        if !self.errors.is_empty() {
            ErrorItem::write_chain(self.errors, w.key("ErrorChain"));
        }
        w.maybe("Identifier", self.identifier.map(Node::String));
        w.key("Item").string(self.item);
        w.key("Status").string(if self.errors.is_empty() { "Acknowledged" } else { "Error" });
    }
}

impl OsUpdate<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.key("AllowsInstallLater").bool(self.allows_install_later);
        w.key("Build").string(self.build);
        w.maybe("DeferredUntil", self.deferred_until.map(Node::Date));
        w.key("DownloadSize").integer(self.download_size);
        w.key("HumanReadableName").string(self.human_readable_name);
        w.maybe("InstallSize", self.install_size.map(Node::Integer));
        w.key("IsCritical").bool(self.is_critical);
        w.maybe("IsMajorOSUpdate", self.is_major.map(Node::Bool));
        w.key("IsSecurityResponse").bool(self.is_security_response);
        w.key("ProductKey").string(self.product_key);
        w.maybe("ProductName", self.product_name.map(Node::String));
        w.maybe("RequiresBootstrapToken", self.requires_bootstrap_token.map(Node::Bool));
        w.key("RestartRequired").bool(self.restart_required);
        w.key("Version").string(self.version);
    }
}

impl UpdateResult<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        if !self.errors.is_empty() {
            ErrorItem::write_chain(self.errors, w.key("ErrorChain"));
        }
        w.key("InstallAction").string(self.install_action);
        w.key("ProductKey").string(self.product_key);
        w.key("Status").string(self.status);
    }
}

impl UpdateStatus<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.key("DownloadPercentComplete").real(self.download_percent_complete);
        w.key("IsDownloaded").bool(self.is_downloaded);
        w.key("ProductKey").string(self.product_key);
        w.key("Status").string(self.status);
    }
}

impl UserItem<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        match *self {
            UserItem::Macos {
                user_name,
                full_name,
                uid,
                user_guid,
                is_logged_in,
                mobile_account,
                has_secure_token,
            } => {
                w.key("FullName").string(full_name);
                w.key("HasSecureToken").bool(has_secure_token);
                w.key("IsLoggedIn").bool(is_logged_in);
                w.key("MobileAccount").bool(mobile_account);
                w.key("UID").integer(uid);
                w.key("UserGUID").string(user_guid);
                w.key("UserName").string(user_name);
            }
            UserItem::SharedIpad { user_name, is_logged_in, has_data_to_sync, data_quota_bytes, data_used_bytes } => {
                w.key("DataQuota").integer(data_quota_bytes);
                w.key("DataUsed").integer(data_used_bytes);
                w.key("HasDataToSync").bool(has_data_to_sync);
                w.key("IsLoggedIn").bool(is_logged_in);
                w.key("UserName").string(user_name);
            }
        }
    }
}
