//! What `InstalledApplicationList` and `ManagedApplicationList` hold.

use crate::plist::{Node, Writer};

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

impl AppItem<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
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

impl ManagedApp<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.maybe("ExternalVersionIdentifier", self.external_version_identifier.map(Node::Integer));
        w.key("HasConfiguration").bool(self.has_configuration);
        w.key("HasFeedback").bool(self.has_feedback);
        w.maybe("IsValidated", self.is_validated.map(Node::Bool));
        w.key("ManagementFlags").integer(self.management_flags);
        w.key("Status").string(self.status);
    }
}
