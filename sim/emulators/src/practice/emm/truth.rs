//! What the EMM counts of itself.

use super::Emm;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Calls to Google by name and status; 0 where no answer came.
    calls: BTreeMap<(&'static str, u16), u64>,
    /// Pushes by type and what became of them.
    notifications: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) enrolled: u64,
    pub(super) unenrolled: u64,
    pub(super) sweeps: u64,
    /// Found by a list.
    pub(super) gone_silently: u64,
    /// Commands that had ended without a notification.
    pub(super) found_done: u64,
    pub(super) policies_refused: u64,
}

impl Counts {
    pub(super) fn call(&mut self, name: &'static str, status: u16) {
        *self.calls.entry((name, status)).or_default() += 1;
    }

    pub(super) fn notification(&mut self, kind: &'static str, what: &'static str) {
        *self.notifications.entry((kind, what)).or_default() += 1;
    }
}

impl Emm {
    /// As `GET /_truth` tells it.
    pub(in super::super) fn truth(&self) -> Value {
        let counts = &self.counts;
        json!({
            "ready": self.start.is_ready,
            "trouble": self.start.trouble,
            "enterprise": self.start.enterprise,
            "calls": nested(counts.calls.iter().map(|((name, status), count)| (*name, status.to_string(), *count))),
            "notifications":
                nested(counts.notifications.iter().map(|((kind, what), count)| (*kind, (*what).to_owned(), *count))),
            "enrolled": counts.enrolled,
            "unenrolled": counts.unenrolled,
            "sweeps": counts.sweeps,
            "gone_silently": counts.gone_silently,
            "found_done": counts.found_done,
            "policies_refused": counts.policies_refused,
            "queue": self.queue(),
        })
    }

    /// What is to be said to Google, and how it waited for the quota.
    pub(super) fn queue(&self) -> Value {
        json!({
            "waiting": self.line.waiting(),
            "waiting_max": self.line.waiting_max,
            "out": self.line.flying(),
            "quota_waits": self.line.waits,
            "quota_waited_us": self.line.waited.0,
        })
    }
}

/// Counts by two names, as an object of objects.
fn nested(rows: impl Iterator<Item = (&'static str, String, u64)>) -> Value {
    let mut all = Map::new();
    for (one, other, count) in rows {
        let inner = all.entry(one).or_insert_with(|| json!({}));
        inner[other] = count.into();
    }
    all.into()
}
