//! Commands as a server builds them (schema `mdm/commands`, request keys). Keys stand sorted.

use crate::plist::{self, Node, Writer};

/// A command for the server to build. Keys that are not given are not written.
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(missing_docs, reason = "Apple's commands and keys of these names")]
pub enum Request<'a> {
    DeviceInformation {
        queries: &'a [&'a str],
        attestation_nonce: Option<&'a [u8]>,
    },
    SecurityInfo,
    InstalledApplicationList {
        identifiers: &'a [&'a str],
        items: &'a [&'a str],
        managed_only: bool,
    },
    ManagedApplicationList {
        identifiers: &'a [&'a str],
    },
    ProfileList {
        managed_only: bool,
    },
    CertificateList {
        managed_only: bool,
    },
    InstallProfile {
        payload: &'a [u8],
    },
    RemoveProfile {
        identifier: &'a str,
    },
    InstallApplication(App<'a>),
    RemoveApplication {
        identifier: &'a str,
    },
    DeviceLock {
        pin: Option<&'a str>,
        message: Option<&'a str>,
        phone_number: Option<&'a str>,
    },
    EraseDevice {
        pin: Option<&'a str>,
        return_to_service: Option<ReturnToService<'a>>,
    },
    RestartDevice,
    ShutDownDevice,
    ClearPasscode {
        unlock_token: &'a [u8],
    },
    AvailableOSUpdates,
    ScheduleOSUpdate {
        updates: &'a [Update<'a>],
    },
    OSUpdateStatus,
    Settings {
        items: &'a [Setting<'a>],
    },
    DeclarativeManagement {
        data: Option<&'a [u8]>,
    },
    UserList,
    DeviceConfigured,
    /// Any other, with its keys as they are.
    Other {
        request_type: &'a str,
        pairs: &'a [(&'a str, Node<'a>)],
    },
}

/// What `InstallApplication` is to install.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct App<'a> {
    /// Where it comes from.
    pub source: AppSource<'a>,
    /// `ManagementFlags`: 1 remove with the enrollment, 4 no backup.
    pub management_flags: i64,
    /// `PurchaseMethod` 1: by a volume licence.
    pub licensed: bool,
}

/// Where an app comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppSource<'a> {
    /// `iTunesStoreID`.
    Store(i64),
    /// `Identifier`: a bundle that the store knows.
    Bundle(&'a str),
    /// `ManifestURL`: of one's own.
    Manifest(&'a str),
}

/// What a device does after it is erased (iOS 17 and later).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReturnToService<'a> {
    /// The enrollment profile that it installs.
    pub mdm_profile: Option<&'a [u8]>,
    /// The Wi-Fi profile by which it gets there.
    pub wifi_profile: Option<&'a [u8]>,
}

/// An update to be installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update<'a> {
    /// `ProductKey`, as `AvailableOSUpdates` names it.
    pub product_key: Option<&'a str>,
    /// `ProductVersion`, in its place.
    pub product_version: Option<&'a str>,
    /// `InstallAction`: `Default`, `DownloadOnly`, `InstallASAP`, ..
    pub action: &'a str,
}

/// One item of `Settings`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Setting<'a> {
    /// `Item`: `DeviceName`, `OrganizationInfo`, ..
    pub item: &'a str,
    /// The item's own keys.
    pub pairs: &'a [(&'a str, Node<'a>)],
}

impl Request<'_> {
    /// `RequestType`.
    pub fn request_type(&self) -> &str {
        match self {
            Request::DeviceInformation { .. } => "DeviceInformation",
            Request::SecurityInfo => "SecurityInfo",
            Request::InstalledApplicationList { .. } => "InstalledApplicationList",
            Request::ManagedApplicationList { .. } => "ManagedApplicationList",
            Request::ProfileList { .. } => "ProfileList",
            Request::CertificateList { .. } => "CertificateList",
            Request::InstallProfile { .. } => "InstallProfile",
            Request::RemoveProfile { .. } => "RemoveProfile",
            Request::InstallApplication(_) => "InstallApplication",
            Request::RemoveApplication { .. } => "RemoveApplication",
            Request::DeviceLock { .. } => "DeviceLock",
            Request::EraseDevice { .. } => "EraseDevice",
            Request::RestartDevice => "RestartDevice",
            Request::ShutDownDevice => "ShutDownDevice",
            Request::ClearPasscode { .. } => "ClearPasscode",
            Request::AvailableOSUpdates => "AvailableOSUpdates",
            Request::ScheduleOSUpdate { .. } => "ScheduleOSUpdate",
            Request::OSUpdateStatus => "OSUpdateStatus",
            Request::Settings { .. } => "Settings",
            Request::DeclarativeManagement { .. } => "DeclarativeManagement",
            Request::UserList => "UserList",
            Request::DeviceConfigured => "DeviceConfigured",
            Request::Other { request_type, .. } => request_type,
        }
    }
}

/// Writes a command message.
pub fn write(out: &mut Vec<u8>, uuid: &str, request: &Request<'_>) {
    plist::write(out, |w| {
        w.dict(|w| {
            w.key("Command").dict(|w| {
                keys(w, request);
                w.key("RequestType").string(request.request_type());
            });
            w.key("CommandUUID").string(uuid);
        });
    });
}

fn keys(w: &mut Writer<'_>, request: &Request<'_>) {
    match *request {
        Request::DeviceInformation { queries, attestation_nonce } => {
            w.maybe("DeviceAttestationNonce", attestation_nonce.map(Node::Data));
            w.key("Queries").node(Node::Strings(queries));
        }
        Request::InstalledApplicationList { identifiers, items, managed_only } => {
            w.maybe("Identifiers", some(identifiers));
            w.maybe("Items", some(items));
            w.maybe("ManagedAppsOnly", managed_only.then_some(Node::Bool(true)));
        }
        Request::ManagedApplicationList { identifiers } => w.maybe("Identifiers", some(identifiers)),
        Request::ProfileList { managed_only } | Request::CertificateList { managed_only } => {
            w.maybe("ManagedOnly", managed_only.then_some(Node::Bool(true)));
        }
        Request::InstallProfile { payload } => w.key("Payload").data(payload),
        Request::RemoveProfile { identifier } | Request::RemoveApplication { identifier } => {
            w.key("Identifier").string(identifier);
        }
        Request::InstallApplication(app) => app.write(w),
        Request::DeviceLock { pin, message, phone_number } => {
            w.maybe("Message", message.map(Node::String));
            w.maybe("PIN", pin.map(Node::String));
            w.maybe("PhoneNumber", phone_number.map(Node::String));
        }
        Request::EraseDevice { pin, return_to_service } => {
            w.maybe("PIN", pin.map(Node::String));
            if let Some(after) = return_to_service {
                w.key("ReturnToService").dict(|w| after.write(w));
            }
        }
        Request::ClearPasscode { unlock_token } => w.key("UnlockToken").data(unlock_token),
        Request::ScheduleOSUpdate { updates } => w.key("Updates").array(|w| {
            for update in updates {
                w.dict(|w| {
                    w.key("InstallAction").string(update.action);
                    w.maybe("ProductKey", update.product_key.map(Node::String));
                    w.maybe("ProductVersion", update.product_version.map(Node::String));
                });
            }
        }),
        Request::Settings { items } => w.key("Settings").array(|w| {
            for setting in items {
                w.dict(|w| {
                    w.key("Item").string(setting.item);
                    setting.pairs.iter().for_each(|&(key, node)| w.key(key).node(node));
                });
            }
        }),
        Request::DeclarativeManagement { data } => w.maybe("Data", data.map(Node::Data)),
        Request::Other { pairs, .. } => pairs.iter().for_each(|&(key, node)| w.key(key).node(node)),
        Request::SecurityInfo
        | Request::RestartDevice
        | Request::ShutDownDevice
        | Request::AvailableOSUpdates
        | Request::OSUpdateStatus
        | Request::UserList
        | Request::DeviceConfigured => {}
    }
}

impl App<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        if let AppSource::Bundle(identifier) = self.source {
            w.key("Identifier").string(identifier);
        }
        w.key("ManagementFlags").integer(self.management_flags);
        if let AppSource::Manifest(url) = self.source {
            w.key("ManifestURL").string(url);
        }
        w.key("Options").dict(|w| w.key("PurchaseMethod").integer(i64::from(self.licensed)));
        if let AppSource::Store(id) = self.source {
            w.key("iTunesStoreID").integer(id);
        }
    }
}

impl ReturnToService<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.key("Enabled").bool(true);
        w.maybe("MDMProfileData", self.mdm_profile.map(Node::Data));
        w.maybe("WiFiProfileData", self.wifi_profile.map(Node::Data));
    }
}

fn some<'a>(texts: &'a [&'a str]) -> Option<Node<'a>> {
    (!texts.is_empty()).then_some(Node::Strings(texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(uuid: &str, request: &Request<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, uuid, request);
        out
    }

    /// Built sizes of the same commands elsewhere; names in them differ by some tens of bytes, and a key more or less
    /// is about forty.
    #[test]
    fn sizes_are_those_of_real_commands() {
        let check = |request: Request<'_>, expected: usize| {
            let size = written("0001_f2e7b6d4-63b5-4c0e-9a41-5d2b8c7e1f90", &request).len();
            assert!(size.abs_diff(expected) <= 60, "{}: {size}, expected about {expected}", request.request_type());
        };
        let queries = ["BuildVersion", "DeviceName", "ModelName", "OSVersion", "ProductName", "SerialNumber"];
        check(Request::DeviceInformation { queries: &queries, attestation_nonce: None }, 560);
        check(Request::SecurityInfo, 360);
        check(Request::ProfileList { managed_only: false }, 360);
        check(Request::RemoveProfile { identifier: "com.example.profile.wifi" }, 420);
        check(Request::InstallProfile { payload: &[7; 1_500] }, 2_505);
        check(Request::InstallProfile { payload: &[7; 6_000] }, 8_805);
        check(Request::ClearPasscode { unlock_token: &[7; 1_500] }, 2_508);
        check(Request::DeviceLock { pin: None, message: Some("Please return it"), phone_number: None }, 449);
        check(Request::RestartDevice, 380);
    }
}
