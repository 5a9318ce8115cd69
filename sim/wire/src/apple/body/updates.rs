//! What commands about updates of the operating system hold.

use crate::apple::result::ErrorItem;
use crate::plist::{Node, Writer};
use droves_facts::Wall;

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

impl OsUpdate<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
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

impl UpdateResult<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        if !self.errors.is_empty() {
            ErrorItem::write_chain(self.errors, w.key("ErrorChain"));
        }
        w.key("InstallAction").string(self.install_action);
        w.key("ProductKey").string(self.product_key);
        w.key("Status").string(self.status);
    }
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

impl UpdateStatus<'_> {
    pub(super) fn write(&self, w: &mut Writer<'_>) {
        w.key("DownloadPercentComplete").real(self.download_percent_complete);
        w.key("IsDownloaded").bool(self.is_downloaded);
        w.key("ProductKey").string(self.product_key);
        w.key("Status").string(self.status);
    }
}
