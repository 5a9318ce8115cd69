//! Devices that are no more: what Google knew last of the latest of them, for reports that it should not make any more.

use super::super::lanes::{About, Ends};
use super::{Device, Enterprise, Management, Notification};
use droves_facts::{Philox, Wall};
use std::collections::VecDeque;

/// The latest that have left, as they were.
#[derive(Debug, Default)]
pub(super) struct Gone(VecDeque<Device>);

/// How many are kept of an enterprise.
const GONE_MAX: usize = 32;

/// Which of them a report is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ghost {
    /// Any: it says once more that it is gone.
    Forgotten,
    /// One that is enrolled under another name now: its last report.
    Stale,
}

impl Gone {
    pub(super) fn keep(&mut self, device: Device) {
        if self.0.len() == GONE_MAX {
            self.0.pop_front();
        }
        self.0.push_back(device);
    }
}

impl Management {
    /// A report of a device that is no more; none if there was none, or the enterprise does not hear of reports.
    pub(crate) fn ghost(&self, now: Wall, enterprise: &str, ghost: Ghost, rng: &mut Philox) -> Option<Notification> {
        let enterprise = self.enterprises.get(enterprise)?;
        let fits = |device: &&Device| ghost == Ghost::Forgotten || enterprise.is_known_anew(device);
        let devices: Vec<&Device> = enterprise.gone.0.iter().filter(fits).collect();
        let drawn = usize::try_from(rng.below(devices.len().max(1) as u64)).ok()?;
        let device = devices.get(drawn)?;
        let mut still = enterprise.still(device);
        if ghost == Ghost::Forgotten {
            still.end(now);
        }
        let mut told = Vec::new();
        let about = About { lane: device.lane, ends: Ends::Nothing };
        enterprise.tell("STATUS_REPORT", about, || still, &mut told);
        told.pop()
    }
}

impl Enterprise {
    /// Whether a device has another name by now.
    fn is_known_anew(&self, device: &Device) -> bool {
        self.names_by_serial.get(device.serial()).and_then(|names| names.last()) != Some(&device.name)
    }
}
