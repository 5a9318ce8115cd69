//! What a lane *has*, and usually has in common with others: whose it is, and what its policy comes to on a device like it.

use droves_wire::android::adp::Detail;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The shared part of a device that Google manages. Cheap to clone: the pieces are behind [`Arc`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Shared {
    /// `enterprises/{id}`; empty while not enrolled.
    pub(super) enterprise: Arc<str>,
    /// The policy. Its version is not here: many versions are alike.
    pub(super) policy: Arc<Applied>,
}

/// What a policy comes to on devices of one kind.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Applied {
    /// What of its settings is not so, and never will be.
    pub(super) never: Box<[Detail]>,
    /// What of its settings is not so until the user acts.
    pub(super) until_acted: Box<[Detail]>,
    /// The applications that are to be installed, in the policy's order.
    pub(super) apps: Box<[Wanted]>,
}

/// An application that is to be installed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// `com.android.chrome`.
    pub(super) package: Box<str>,
    /// The least version code that will do.
    pub(super) least: u32,
    /// The package as a number: the ordinal of what is drawn about it.
    pub(super) number: u64,
}
