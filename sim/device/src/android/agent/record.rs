//! What of a lane sleeps in the arena. The three lanes of a device have one shape of record; what is said to be of one
//! lane stays empty in the others.

use super::todo::Todo;
use crate::at::At;
use crate::machine::RECORD_BYTES_MAX;
use crate::wanted::Wanted;
use droves_facts::DeviceState;
use serde::{Deserialize, Serialize};

/// The record of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// When the lane tries again what failed, or goes on with what it was at when it was folded.
    pub(super) next_at: At,
    /// Main: when the period begins in which the schedule wants the next report.
    pub(super) period_at: At,
    /// Main: when the last configuration came.
    pub(super) config_at: At,
    /// Main: when the next details are due.
    pub(super) detail_at: At,
    /// The device is restarting by command until then. Main: or is off.
    pub(super) offline_until: At,
    /// Link: when the minute began in which openings are counted.
    pub(super) opens_since: At,
    /// Main: enrollments so far.
    pub(super) generation: u32,
    /// Sessions so far.
    pub(super) sessions: u32,
    /// Retries so far: the ordinal of their jitter.
    pub(super) retries: u32,
    /// Main: configurations so far that were another than before.
    pub(super) configs: u32,
    /// Commanded restarts that the lane has been through.
    pub(super) restarts: u32,
    /// Main: what is to be done.
    pub(super) todo: Todo,
    /// Main: minutes between details; 0 for none.
    pub(super) detail_mins: u16,
    /// Transfer: which of the things that are still to be fetched comes next. What has failed is before it.
    pub(super) item: u16,
    /// Transfer: how often the pieces were halved, since they took too long.
    pub(super) halvings: u8,
    /// Link: openings in that minute.
    pub(super) opens: u8,
    /// Failures in a row.
    pub(super) tries: u8,
    /// Main: where the device stands.
    pub(super) stage: Stage,
    /// Main: orders that are not fulfilled yet.
    pub(super) wanted: Wanted,
}

const _: () = assert!(size_of::<Record>() <= RECORD_BYTES_MAX);

/// Where a device stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Never enrolled.
    #[default]
    Unenrolled,
    /// Its enrollment began.
    Enrolling,
    /// Enrolled.
    Enrolled,
    /// Left by its user's will.
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
            Stage::Enrolling => DeviceState::Enrolling,
            Stage::Enrolled => DeviceState::Enrolled,
            Stage::Removed => DeviceState::Removed,
            Stage::Wiped => DeviceState::Wiped,
            Stage::Failed => DeviceState::Failed,
        }
    }
}

/// Version of a record's bytes. Agents count from 0xC1: the first byte tells the kinds of devices apart.
pub(super) const RECORD_VERSION: u8 = 0xC2;
/// Version of the bytes of what is shared.
pub(super) const SHARED_VERSION: u8 = 0xC3;
/// Version of the bytes of what is a lane's own.
pub(super) const OWN_VERSION: u8 = 0xC2;
