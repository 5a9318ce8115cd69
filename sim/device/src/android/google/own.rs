//! What is a lane's own beyond its record: applications that are still to come, and those that are gone and not reported
//! so. A device that has all that its policy wants has nothing here.

use super::record::OWN_VERSION;
use crate::kept::{own_from_bytes, own_to_bytes};
use droves_wire::android::adp::App;
use serde::{Deserialize, Serialize};

/// The own part of a lane.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Own {
    /// Applications that are to come, the one that is on its way first.
    pub(super) pending: Vec<Pending>,
    /// Applications that were removed since the last report.
    pub(super) removed: Vec<App>,
}

/// An application that is to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Its place in the policy.
    pub(super) app: u16,
    /// The network has failed it before.
    pub(super) again: bool,
}

impl Own {
    pub(super) fn encode(&self) -> Option<Box<[u8]>> {
        own_to_bytes(OWN_VERSION, self)
    }
    pub(super) fn decode(bytes: Option<&[u8]>) -> Self {
        own_from_bytes(OWN_VERSION, bytes)
    }
}
