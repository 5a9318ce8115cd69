//! What the practice server knows of a run, counted by itself.

use droves_facts::Mono;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Counts, from nothing but what was received and answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Truth {
    /// Requests by path and status.
    pub requests: BTreeMap<(String, u16), u64>,
    /// Commands by request type and what became of them.
    pub commands: BTreeMap<(String, &'static str), u64>,
    /// The same by enrollment. At most [`ROWS_MAX`] of them.
    pub lanes: BTreeMap<String, Fates>,
    /// The same by the command's UUID. At most [`ROWS_MAX`] of them.
    pub uuids: BTreeMap<String, Fates>,
    /// Check-in messages that were taken, by type.
    pub checkins: BTreeMap<&'static str, u64>,
    /// Status reports on declarations.
    pub status_reports: u64,
    /// Certificates issued.
    pub issued: u64,
    /// What happened with Windows devices alone.
    pub windows: BTreeMap<&'static str, u64>,
    /// Statuses that Windows devices gave to commands, by code.
    pub codes: BTreeMap<u16, u64>,
    /// Their alerts by type. At most [`ALERTS_MAX`] of them, then `other`.
    pub alerts: BTreeMap<String, u64>,
    /// What happened with agents on Android alone.
    pub agents: BTreeMap<&'static str, u64>,
    /// Enrollments that were refused, by the fault's name.
    pub refused: BTreeMap<&'static str, u64>,
    /// Pushes by what became of them: asked, then the push service's status or `failed`.
    pub pushes: BTreeMap<String, u64>,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Each fault that struck, in order. At most [`ROWS_MAX`] of them.
    pub struck: Vec<Struck>,
    /// Whether something was left out of what is kept one by one.
    pub is_partial: bool,
}

/// What became of commands, and how often.
pub type Fates = BTreeMap<&'static str, u64>;

/// A fault that struck.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Struck {
    /// Which.
    pub kind: &'static str,
    /// When, on the run's clock.
    pub at: Mono,
    /// Whom, if the server knew by then.
    pub enrollment: Option<String>,
    /// Which command, if it was about one.
    pub command: Option<String>,
}

/// What is kept one by one is bounded: beyond it the sums by kind still hold.
pub const ROWS_MAX: usize = 100_000;
/// Types of alerts that are told apart.
pub const ALERTS_MAX: usize = 100;

impl Truth {
    /// Something became of a command.
    pub(super) fn command(&mut self, enrollment: &str, uuid: &str, request: &str, what: &'static str) {
        *self.commands.entry((request.to_owned(), what)).or_default() += 1;
        for (rows, name) in [(&mut self.lanes, enrollment), (&mut self.uuids, uuid)] {
            if rows.len() < ROWS_MAX || rows.contains_key(name) {
                *rows.entry(name.to_owned()).or_default().entry(what).or_default() += 1;
            } else {
                self.is_partial = true;
            }
        }
    }

    pub(super) fn push(&mut self, what: &str) {
        *self.pushes.entry(what.to_owned()).or_default() += 1;
    }

    /// Something happened with a Windows device.
    pub(super) fn windows(&mut self, what: &'static str) {
        *self.windows.entry(what).or_default() += 1;
    }

    /// Something happened with an agent on Android.
    pub(super) fn agents(&mut self, what: &'static str) {
        *self.agents.entry(what).or_default() += 1;
    }

    pub(super) fn refused(&mut self, fault: &'static str) {
        *self.refused.entry(fault).or_default() += 1;
    }

    pub(super) fn alert(&mut self, kind: &str) {
        let is_new = !self.alerts.contains_key(kind);
        let kind = if is_new && self.alerts.len() >= ALERTS_MAX { "other" } else { kind };
        *self.alerts.entry(kind.to_owned()).or_default() += 1;
    }

    pub(super) fn struck(&mut self, struck: Struck) {
        *self.faults.entry(struck.kind).or_default() += 1;
        if self.struck.len() < ROWS_MAX {
            self.struck.push(struck);
        } else {
            self.is_partial = true;
        }
    }

    /// As `GET /_truth` tells it.
    pub(super) fn json(&self, devices: usize, users: usize, pending: usize) -> Value {
        let mut requests = serde_json::Map::new();
        for ((path, status), count) in &self.requests {
            let of_path = requests.entry(path.clone()).or_insert_with(|| json!({}));
            of_path[status.to_string()] = json!(count);
        }
        let mut commands = serde_json::Map::new();
        for ((request, what), count) in &self.commands {
            let of_request = commands.entry(request.clone()).or_insert_with(|| json!({}));
            of_request[*what] = json!(count);
        }
        let struck = |struck: &Struck| {
            let Struck { kind, at, enrollment, command } = struck;
            json!({ "kind": kind, "at_us": at.0, "enrollment": enrollment, "command": command })
        };
        json!({
            "enrolled": { "devices": devices, "users": users },
            "pending": pending,
            "issued": self.issued,
            "status_reports": self.status_reports,
            "checkins": self.checkins,
            "windows": self.windows,
            "agents": self.agents,
            "codes": self.codes,
            "alerts": self.alerts,
            "refused": self.refused,
            "requests": requests,
            "commands": commands,
            "by_enrollment": self.lanes,
            "by_command": self.uuids,
            "pushes": self.pushes,
            "faults": self.faults,
            "struck": self.struck.iter().map(struck).collect::<Vec<_>>(),
            "is_partial": self.is_partial,
        })
    }
}
