//! What of a lane sleeps in the arena: where it stands, how often it did what, and when it wakes next.
//!
//! UDID, serial number, push token and magic are not here: they are drawn from (device, generation) when they are
//! needed.

use crate::machine::RECORD_BYTES_MAX;
use crate::wanted::Wanted;
use droves_facts::{DeviceState, Wall};
use serde::{Deserialize, Serialize};

/// The record of an Apple lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// When the lane wakes by itself for the sake of `reason`, if it does; it wakes for the certificate and for the
    /// end of being offline besides.
    pub(super) next_at: Option<Wall>,
    /// The device is switched off, or restarting, until then.
    pub(super) offline_until: Option<Wall>,
    /// When the identity is to be renewed.
    pub(super) renew_at: Option<Wall>,
    /// Enrollments so far: the present one's number, from 1.
    pub(super) generation: u32,
    /// Push tokens so far.
    pub(super) token: u32,
    /// Sessions of the command loop so far.
    pub(super) sessions: u32,
    /// Commands of this enrollment so far.
    pub(super) commands: u32,
    /// Retries so far: the ordinal of their jitter.
    pub(super) retries: u32,
    /// Failures in a row.
    pub(super) tries: u8,
    /// Where it stands.
    pub(super) stage: Stage,
    /// Orders that are not fulfilled yet.
    pub(super) wanted: Wanted,
    /// Whether the enrollment is under way once more, for a new identity.
    pub(super) renewing: bool,
    /// Whether the next waking is to try something again that failed, which a push cuts short.
    pub(super) retrying: bool,
}

const _: () = assert!(size_of::<Record>() <= RECORD_BYTES_MAX);

/// Where a lane stands, as far as it may sleep there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Never enrolled.
    #[default]
    Unenrolled,
    /// Its enrollment began: profile, key and identity come next. It starts over if it is put to sleep here.
    Starting,
    /// It has a new identity on disk that the server does not know yet: Authenticate comes next.
    HasIdentity,
    /// Authenticate was accepted: the push token comes next.
    Authenticated,
    /// The push token is on disk: TokenUpdate comes next.
    Registered,
    /// Enrolled.
    Enrolled,
    /// Unenrolled, by either side.
    Removed,
    /// Erased.
    Wiped,
    /// Gave up enrolling.
    Failed,
}

impl Stage {
    /// The same in the fleet's words.
    pub(super) fn state(self, renewing: bool) -> DeviceState {
        match self {
            Stage::Unenrolled => DeviceState::Unenrolled,
            Stage::HasIdentity | Stage::Authenticated | Stage::Registered if renewing => DeviceState::Enrolled,
            Stage::Starting | Stage::HasIdentity | Stage::Authenticated | Stage::Registered => DeviceState::Enrolling,
            Stage::Enrolled => DeviceState::Enrolled,
            Stage::Removed => DeviceState::Removed,
            Stage::Wiped => DeviceState::Wiped,
            Stage::Failed => DeviceState::Failed,
        }
    }

    /// Whether the lane is over in this stage: nothing but an order to enroll is of use to it.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Stage::Unenrolled | Stage::Removed | Stage::Wiped | Stage::Failed)
    }
}

/// Version of a record's bytes.
pub(super) const RECORD_VERSION: u8 = 1;
/// Version of the bytes of what is shared.
pub(super) const SHARED_VERSION: u8 = 3;
/// Version of the bytes of what is a lane's own.
pub(super) const OWN_VERSION: u8 = 3;
