//! What the practice server knows of a run, counted by itself.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Counts, from nothing but what was received and answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Truth {
    /// Requests by path and status.
    pub requests: BTreeMap<(String, u16), u64>,
    /// Commands by request type and what became of them.
    pub commands: BTreeMap<(String, &'static str), u64>,
    /// Check-in messages that were taken, by type.
    pub checkins: BTreeMap<&'static str, u64>,
    /// Certificates issued.
    pub issued: u64,
    /// Pushes by what became of them: asked, then the push service's status or `failed`.
    pub pushes: BTreeMap<String, u64>,
    /// Faults that struck, by kind.
    pub struck: BTreeMap<&'static str, u64>,
}

impl Truth {
    pub(super) fn command(&mut self, request: &str, what: &'static str) {
        *self.commands.entry((request.to_owned(), what)).or_default() += 1;
    }

    pub(super) fn push(&mut self, what: &str) {
        *self.pushes.entry(what.to_owned()).or_default() += 1;
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
        json!({
            "enrolled": { "devices": devices, "users": users },
            "pending": pending,
            "issued": self.issued,
            "checkins": self.checkins,
            "requests": requests,
            "commands": commands,
            "pushes": self.pushes,
            "faults": self.struck,
        })
    }
}
