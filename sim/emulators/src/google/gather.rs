//! Several events of a device in one message. Google documents that they are often batched (*Set up Pub/Sub notifications*)
//! and that a message holds one resource, as it is after the update: so a device that reports again before its report
//! has gone out is told of once, as it is by then.

use super::management::Notification;
use droves_facts::{Dur, Wall};
use std::collections::{BTreeMap, BTreeSet};

/// Status reports that wait for more to come, by device.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    lasts: Dur,
    waiting: BTreeMap<String, Notification>,
    /// When each goes out.
    ends: BTreeSet<(Wall, String)>,
}

impl Gathering {
    /// From now on reports wait so long; not at all for 0.
    pub(crate) fn set(&mut self, lasts: Dur) {
        self.lasts = lasts;
    }

    /// Takes a notification that is to wait, or gives it back.
    pub(crate) fn take(&mut self, now: Wall, notification: Notification) -> Option<Notification> {
        let Some(device) = notification.report_of.clone().filter(|_| self.lasts > Dur::ZERO) else {
            return Some(notification);
        };
        if self.waiting.insert(device.clone(), notification).is_none() {
            self.ends.insert((now + self.lasts, device));
        }
        None
    }

    /// Those that have waited long enough.
    pub(crate) fn due(&mut self, now: Wall) -> Vec<Notification> {
        let mut due = Vec::new();
        while self.ends.first().is_some_and(|(end, _)| *end <= now) {
            let ended = self.ends.pop_first();
            due.extend(ended.and_then(|(_, device)| self.waiting.remove(&device)));
        }
        due
    }

    /// When the next has.
    pub(crate) fn next(&self) -> Option<Wall> {
        self.ends.first().map(|(end, _)| *end)
    }
}
