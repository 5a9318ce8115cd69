//! What of a lane sleeps in the arena: where it stands, how often it did what, and when it wakes next.

pub(super) use crate::at::At;

use crate::machine::RECORD_BYTES_MAX;
use crate::wanted::Wanted;
use droves_facts::DeviceState;
use serde::{Deserialize, Serialize};

/// The record of a device that Google manages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// The last part of its name, 16 hexadecimal digits there; 0 without a name.
    pub(super) id: u64,
    /// Version of the policy that it has applied; 0 for none.
    pub(super) applied: i64,
    /// When it enrolls, or asks Google what is new.
    pub(super) ask_at: At,
    /// When the next status report is due.
    pub(super) report_at: At,
    /// When the application that is on its way is there.
    pub(super) install_at: At,
    /// When the user does what the policy asks of users.
    pub(super) act_at: At,
    /// The device restarts, until then.
    pub(super) away_until: At,
    /// Enrollments so far.
    pub(super) generation: u32,
    /// Sessions so far.
    pub(super) sessions: u32,
    /// Status reports so far, or what has led to one.
    pub(super) reports: u32,
    /// Commands so far.
    pub(super) commands: u32,
    /// Applications that were on their way so far.
    pub(super) installs: u32,
    /// Retries so far: the ordinal of their jitter.
    pub(super) retries: u32,
    /// Restarts so far.
    pub(super) boots: u32,
    /// Failures in a row.
    pub(super) tries: u8,
    /// Where it stands.
    pub(super) stage: Stage,
    /// Orders that are not fulfilled yet.
    pub(super) wanted: Wanted,
    /// Whether it is in lost mode.
    pub(super) is_lost: bool,
    /// Whether the user has done what the policy asks of users.
    pub(super) has_acted: bool,
}

const _: () = assert!(size_of::<Record>() <= RECORD_BYTES_MAX);

impl Record {
    /// The last part of the device's name.
    pub(super) fn id(&self) -> Option<String> {
        (self.id != 0).then(|| format!("{:016x}", self.id))
    }

    /// Takes the id out of a name, if it is one that can be told again.
    pub(super) fn read_id(id: &str) -> Option<u64> {
        let number = u64::from_str_radix(id, 16).ok().filter(|number| *number != 0)?;
        (format!("{number:016x}") == id).then_some(number)
    }
}

/// Where a lane stands, as far as it may sleep there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Never enrolled.
    #[default]
    Unenrolled,
    /// On its way to Google: the agent is fetched, the work profile made. It starts over if it is put to sleep here.
    Provisioning,
    /// It has a name at Google, which goes to the disk: then Google may hear it.
    Named,
    /// Enrolled, and its first report is to come.
    Settling,
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
    pub(super) fn state(self) -> DeviceState {
        match self {
            Stage::Unenrolled => DeviceState::Unenrolled,
            Stage::Provisioning | Stage::Named => DeviceState::Enrolling,
            Stage::Settling | Stage::Enrolled => DeviceState::Enrolled,
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

/// Version of a record's bytes. These devices count from 0xA1: the first byte tells the kinds of devices apart.
pub(super) const RECORD_VERSION: u8 = 0xA1;
/// Version of the bytes of what is shared.
pub(super) const SHARED_VERSION: u8 = 0xA1;
/// Version of the bytes of what is a lane's own.
pub(super) const OWN_VERSION: u8 = 0xA1;
