//! What results hold beside their status: what the device model supplies, under Apple's keys (schema `mdm/commands`,
//! response keys), sorted as Apple's writer sorts them.

mod apps;
mod profiles;
mod security;
mod updates;

pub use apps::{AppItem, IosApp, ManagedApp};
pub use profiles::{CertificateItem, PayloadItem, ProfileItem};
pub use security::{IosSecurity, MacSecurity, SecurityInfo};
pub use updates::{OsUpdate, UpdateResult, UpdateStatus};

use super::result::ErrorItem;
use crate::plist::{Node, Writer};

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
