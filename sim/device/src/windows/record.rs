//! What of a lane sleeps in the arena: where it stands, how often it did what, and when it wakes next.
//!
//! DeviceID, HWDevID and the channel's URL are not here: they are drawn from (device, generation) when they are needed.

pub(super) use crate::at::At;
use crate::machine::RECORD_BYTES_MAX;
use crate::wanted::Wanted;
use droves_facts::DeviceState;
use serde::{Deserialize, Serialize};

/// The record of a Windows lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// When the lane tries again what failed, or starts a session that something asked for.
    pub(super) next_at: At,
    /// When the schedule wants the next session.
    pub(super) poll_at: At,
    /// When something of the lane's own wants one: work that is done by then, the channel's renewal, a login.
    pub(super) chore_at: At,
    /// When the identity is to be renewed, or its renewal tried again.
    pub(super) renew_at: At,
    /// When the push service is asked again for a channel that it has not given.
    pub(super) channel_at: At,
    /// The PC is off, or restarting, until then.
    pub(super) offline_until: At,
    /// When the server was last heard: after too long a time without it a device may have to leave.
    pub(super) heard_at: At,
    /// Enrollments so far: the present one's number, from 1.
    pub(super) generation: u32,
    /// Channels at the push service so far.
    pub(super) token: u32,
    /// Sessions so far.
    pub(super) sessions: u32,
    /// Sessions of the present schedule so far.
    pub(super) polls: u32,
    /// Messages of enrollments so far: the ordinal of their ids.
    pub(super) messages: u32,
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
    /// What the next session is for.
    pub(super) reason: Reason,
    /// Whether `next_at` is for trying again something that failed, which a push cuts short.
    pub(super) retrying: bool,
    /// Whether the server wants the certificate renewed now.
    pub(super) renewal_wanted: bool,
}

const _: () = assert!(size_of::<Record>() <= RECORD_BYTES_MAX);

/// Where a lane stands, as far as it may sleep there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Never enrolled.
    #[default]
    Unenrolled,
    /// Its enrollment began. It starts over if it is put to sleep here.
    Starting,
    /// It has an identity and an account, and they go to the disk: then the server may see them.
    HasIdentity,
    /// Enrolled.
    Enrolled,
    /// It leaves: a last session tells the server.
    Leaving,
    /// Unenrolled, by either side.
    Removed,
    /// Erased.
    Wiped,
    /// Gave up enrolling.
    Failed,
}

impl Stage {
    /// The same in the fleet's words.
    pub(super) fn state(self) -> DeviceState {
        match self {
            Stage::Unenrolled => DeviceState::Unenrolled,
            Stage::Starting | Stage::HasIdentity => DeviceState::Enrolling,
            Stage::Enrolled | Stage::Leaving => DeviceState::Enrolled,
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

/// What a session is for, as far as its first message says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Reason {
    /// The device asks by itself: alert 1201.
    #[default]
    Client,
    /// The server has pushed: alert 1200.
    Server,
}

/// Version of a record's bytes. Windows counts from 0x81: the first byte tells the families apart.
pub(super) const RECORD_VERSION: u8 = 0x81;
/// Version of the bytes of what is shared.
pub(super) const SHARED_VERSION: u8 = 0x81;
/// Version of the bytes of what is a lane's own.
pub(super) const OWN_VERSION: u8 = 0x81;
