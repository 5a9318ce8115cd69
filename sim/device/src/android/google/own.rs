//! What is a lane's own beyond its record: applications that are still to come, and those that are gone and not reported
//! so. A device that has all that its policy wants has nothing here.

use super::record::OWN_VERSION;
use crate::kept::{from_bytes, to_bytes};
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
    /// As the arena and the store keep it: nothing, if there is nothing.
    pub(super) fn encode(&self) -> Option<Box<[u8]>> {
        (*self != Own::default()).then(|| to_bytes(OWN_VERSION, self).into_boxed_slice())
    }

    /// Out of those bytes. What can't be read is dropped: the lane then has nothing of its own.
    pub(super) fn decode(bytes: Option<&[u8]>) -> Self {
        bytes.and_then(|bytes| from_bytes("own part", OWN_VERSION, bytes).ok()).unwrap_or_default()
    }
}
