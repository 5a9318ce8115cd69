//! What a lane *has*, and usually has in common with others: the server's settings, profiles, managed apps.
//!
//! Nothing of one device alone is in it (no secret, no time), so that a fleet that was given the same things shares
//! one value.

use droves_wire::apple::declarative::Declaration;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The shared part of an Apple lane. Cheap to clone: the pieces are behind [`Arc`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Shared {
    /// Where the server is and what it may do; `None` while not enrolled.
    pub(super) mdm: Option<Arc<MdmSettings>>,
    /// Installed profiles in the order of their installation; the enrollment's own comes first on the device channel.
    pub(super) profiles: Vec<Arc<Profile>>,
    /// Apps that the server has installed.
    pub(super) apps: Vec<Arc<App>>,
    /// Declarations, in the server's order.
    pub(super) declarations: Vec<Arc<Declaration>>,
}

/// What the `com.apple.mdm` payload says (Apple, *MDM*).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct MdmSettings {
    /// Commands go here.
    pub(super) server_url: Arc<str>,
    /// Check-ins go here.
    pub(super) check_in_url: Arc<str>,
    /// Topic of the push certificate.
    pub(super) topic: Arc<str>,
    /// What the server may do, a sum of the bits in [`rights`].
    pub(super) rights: u32,
    /// Every message carries `Mdm-Signature`.
    pub(super) sign_message: bool,
    /// Whether leaving is told.
    pub(super) check_out_when_removed: bool,
    /// User channels are wanted.
    pub(super) per_user_connections: bool,
    /// Bootstrap tokens are taken.
    pub(super) bootstrap_token: bool,
    /// `PayloadIdentifier` of the profile that holds the payload: removing it is unenrolling.
    pub(super) profile_identifier: Arc<str>,
}

/// The bits of `AccessRights`.
pub(super) mod rights {
    pub(in crate::apple) const INSPECT_PROFILES: u32 = 1;
    pub(in crate::apple) const CHANGE_PROFILES: u32 = 2;
    pub(in crate::apple) const LOCK: u32 = 4;
    pub(in crate::apple) const ERASE: u32 = 8;
    pub(in crate::apple) const DEVICE_INFO: u32 = 16;
    pub(in crate::apple) const NETWORK_INFO: u32 = 32;
    pub(in crate::apple) const INSPECT_PROVISIONING: u32 = 64;
    pub(in crate::apple) const INSPECT_APPS: u32 = 256;
    pub(in crate::apple) const RESTRICTIONS: u32 = 512;
    pub(in crate::apple) const SECURITY: u32 = 1024;
    pub(in crate::apple) const SETTINGS: u32 = 2048;
    pub(in crate::apple) const MANAGE_APPS: u32 = 4096;
}

/// An installed profile, as far as `ProfileList` and `CertificateList` show it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) identifier: Box<str>,
    pub(super) uuid: Box<str>,
    pub(super) name: Option<Box<str>>,
    pub(super) description: Option<Box<str>>,
    pub(super) organization: Option<Box<str>>,
    pub(super) version: i64,
    pub(super) removal_disallowed: bool,
    pub(super) has_removal_passcode: bool,
    /// Who signed it, certificates in DER.
    pub(super) signers: Vec<Box<[u8]>>,
    pub(super) payloads: Vec<Payload>,
    /// Certificates that its payloads brought, in DER.
    pub(super) certificates: Vec<Box<[u8]>>,
}

/// One payload of an installed profile.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) kind: Box<str>,
    pub(super) identifier: Box<str>,
    pub(super) uuid: Box<str>,
    pub(super) version: i64,
    pub(super) name: Option<Box<str>>,
    pub(super) description: Option<Box<str>>,
    pub(super) organization: Option<Box<str>>,
}

/// A managed app.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct App {
    pub(super) identifier: Box<str>,
    /// 1 remove with the enrollment, 4 no backup.
    pub(super) management_flags: i64,
    pub(super) has_configuration: bool,
}

impl Shared {
    /// Puts a profile in the place of the one with the same identifier, or at the end. False if there is no room.
    pub(super) fn install(&mut self, profile: Profile, profiles_max: usize) -> bool {
        let same = self.profiles.iter().position(|installed| installed.identifier == profile.identifier);
        match same {
            Some(at) => self.profiles[at] = Arc::new(profile),
            None if self.profiles.len() < profiles_max => self.profiles.push(Arc::new(profile)),
            None => return false,
        }
        true
    }

    /// Takes a profile away; whether it was there.
    pub(super) fn remove(&mut self, identifier: &str) -> bool {
        let before = self.profiles.len();
        self.profiles.retain(|profile| &*profile.identifier != identifier);
        self.profiles.len() < before
    }

    /// The managed app with this identifier.
    pub(super) fn app(&self, identifier: &str) -> Option<&Arc<App>> {
        self.apps.iter().find(|app| &*app.identifier == identifier)
    }
}
