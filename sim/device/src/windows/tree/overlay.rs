//! What is one device's own in its tree: values that no other device has, work that takes its time.

use super::Alert;
use super::nodes::Nodes;
use droves_facts::Wall;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The own part of a tree; empty for a device that was given nothing but what all have.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(in crate::windows) struct Overlay {
    pub(super) nodes: Nodes,
    pub(super) tasks: Vec<Task>,
    /// What no session has told yet.
    pub(super) alerts: Vec<Alert>,
}

/// Work that takes its time, and what is left of it when it is done. How far it has come is a function of the clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::windows) struct Task {
    /// What.
    pub(in crate::windows) work: Work,
    /// The node that it belongs to, as a key; empty where there is one such task at most.
    pub(in crate::windows) of: Arc<str>,
    /// When it began.
    pub(in crate::windows) from: Wall,
    /// When its first part is done (a download).
    pub(in crate::windows) half: Wall,
    /// When it is done.
    pub(in crate::windows) until: Wall,
    /// Whether it comes to a good end.
    pub(in crate::windows) good: bool,
}

/// Kinds of work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::windows) enum Work {
    /// BitLocker encrypts the system's disk. Done, it stays: the disk is encrypted.
    Encrypt,
    /// BitLocker makes new recovery passwords.
    RotateRecovery,
    /// LAPS makes a new password of the local administrator.
    RotateAdmin,
    /// Defender scans the quick way.
    QuickScan,
    /// Defender scans everything.
    FullScan,
    /// Defender gets new signatures.
    Signatures,
    /// An MSI package is fetched and installed. Ends with an alert.
    Msi,
    /// An app of the store is fetched and installed.
    App,
    /// A declared configuration is applied.
    Declared,
}

impl Overlay {
    /// When the first work ends that is told of by itself.
    pub(super) fn next_due(&self) -> Option<Wall> {
        self.tasks.iter().filter(|task| task.work.is_told()).map(|task| task.until).min()
    }
}

impl Work {
    /// Whether the device begins a session to tell of its end.
    pub(super) fn is_told(self) -> bool {
        matches!(self, Work::Msi)
    }
}
