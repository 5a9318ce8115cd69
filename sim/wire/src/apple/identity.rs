//! Who speaks in a message, and what is known of the device that does.

use crate::plist::{Dict, Node};

/// The one who speaks: a device, or a user of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Who<'a> {
    /// The enrollment.
    pub id: EnrollmentId<'a>,
    /// The user, on a user channel.
    pub user: Option<User<'a>>,
}

/// How an enrollment is named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EnrollmentId<'a> {
    /// By its hardware (`UDID`).
    Udid(&'a str),
    /// By a name of its own (`EnrollmentID`): user enrollment, which hides the hardware.
    Enrollment(&'a str),
}

/// A user of a Mac or of a shared iPad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User<'a> {
    /// `UserID`; `EnrollmentUserID` in a user enrollment. On a shared iPad always [`SHARED_IPAD_USER`].
    pub id: &'a str,
    /// `UserShortName`; on a shared iPad the Managed Apple Account.
    pub short_name: Option<&'a str>,
    /// `UserLongName`; macOS only.
    pub long_name: Option<&'a str>,
    /// `NotOnConsole`: the user is not the one who sits before the Mac; macOS only.
    pub not_on_console: Option<bool>,
}

/// The `UserID` of every user of a shared iPad.
pub const SHARED_IPAD_USER: &str = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF";

/// A message names nobody.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
#[error("neither UDID nor EnrollmentID")]
pub struct Anonymous;

impl<'a> Who<'a> {
    /// The device channel of a device.
    pub fn device(udid: &'a str) -> Self {
        Who { id: EnrollmentId::Udid(udid), user: None }
    }

    /// Whoever a message names.
    pub fn of(message: &'a Dict) -> Result<Self, Anonymous> {
        let id = match (message.str("UDID"), message.str("EnrollmentID")) {
            (Some(udid), _) => EnrollmentId::Udid(udid),
            (None, Some(id)) => EnrollmentId::Enrollment(id),
            (None, None) => return Err(Anonymous),
        };
        let user = message.str("UserID").or_else(|| message.str("EnrollmentUserID")).map(|id| User {
            id,
            short_name: message.str("UserShortName"),
            long_name: message.str("UserLongName"),
            not_on_console: message.bool("NotOnConsole"),
        });
        Ok(Who { id, user })
    }

    /// The keys that say so.
    pub(super) fn push_to(&self, pairs: &mut Pairs<'a>) {
        let user_key = match self.id {
            EnrollmentId::Udid(udid) => {
                pairs.text("UDID", udid);
                "UserID"
            }
            EnrollmentId::Enrollment(id) => {
                pairs.text("EnrollmentID", id);
                "EnrollmentUserID"
            }
        };
        if let Some(user) = self.user {
            pairs.text(user_key, user.id);
            pairs.maybe("UserShortName", user.short_name.map(Node::String));
            pairs.maybe("UserLongName", user.long_name.map(Node::String));
            pairs.maybe("NotOnConsole", user.not_on_console.map(Node::Bool));
        }
    }
}

/// What a device may say of its hardware and system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the keys of Authenticate and DeviceInformation with these names")]
pub struct Hardware<'a> {
    pub udid: &'a str,
    pub serial_number: &'a str,
    pub device_name: &'a str,
    pub model: &'a str,
    pub model_name: &'a str,
    pub product_name: &'a str,
    pub os_version: &'a str,
    pub build_version: &'a str,
    pub imei: Option<&'a str>,
    pub meid: Option<&'a str>,
    /// Macs: `HostName`.
    pub host_name: Option<&'a str>,
    /// Macs: `LocalHostName`.
    pub local_host_name: Option<&'a str>,
    /// The first network interface's address, `aa:bb:cc:dd:ee:ff`.
    pub mac_address: Option<&'a str>,
}

/// The pairs of a message in the making.
#[derive(Default)]
pub(super) struct Pairs<'a>(Vec<(&'a str, Node<'a>)>);

impl<'a> Pairs<'a> {
    pub(super) fn put(&mut self, key: &'a str, node: Node<'a>) {
        self.0.push((key, node));
    }
    pub(super) fn text(&mut self, key: &'a str, text: &'a str) {
        self.put(key, Node::String(text));
    }
    pub(super) fn maybe(&mut self, key: &'a str, node: Option<Node<'a>>) {
        if let Some(node) = node {
            self.put(key, node);
        }
    }
    /// Sorted by key, as Apple's writer does.
    pub(super) fn sorted(mut self) -> Vec<(&'a str, Node<'a>)> {
        self.0.sort_by_key(|&(key, _)| key);
        self.0
    }
}
