//! What a device has to tell its server or to ask of it, and has not got to yet.

use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Task {
    /// Its sisters are to be told that the device has enrolled.
    TellEnrolled,
    /// Its sisters are to be told what has changed.
    Tell,
    /// Get the configuration.
    Config,
    /// Confirm that the device will be erased.
    ConfirmReset,
    /// Confirm that it will restart.
    ConfirmReboot,
    /// Confirm that its password was set.
    ConfirmPassword,
    /// Ask what is to be logged.
    LogRules,
    /// Ask whether details are wanted.
    DetailSettings,
    /// Bring the log.
    Logs,
    /// Bring details.
    Details,
    /// Bring where the device is.
    Locations,
    /// Have FCM give it a registration token.
    Register,
    /// Become what the configuration says: all that had to be fetched is there.
    Apply,
    /// Report that the device is what the configuration says.
    ReportApplied,
    /// Report how it is.
    Report,
}

impl Task {
    /// In the order in which they are done.
    const ALL: [Task; 15] = [
        Task::TellEnrolled,
        Task::Tell,
        Task::Config,
        Task::Register,
        Task::ConfirmReset,
        Task::ConfirmReboot,
        Task::ConfirmPassword,
        Task::LogRules,
        Task::DetailSettings,
        Task::Logs,
        Task::Details,
        Task::Locations,
        Task::Apply,
        Task::ReportApplied,
        Task::Report,
    ];
}

/// A set of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Todo(u16);

impl Todo {
    pub(super) fn add(&mut self, task: Task) {
        self.0 |= 1 << task as u16;
    }
    pub(super) fn extend(&mut self, tasks: &[Task]) {
        tasks.iter().for_each(|task| self.add(*task));
    }
    pub(super) fn has(self, task: Task) -> bool {
        self.0 & 1 << task as u16 != 0
    }
    /// Takes it out of the set; whether it was in it.
    pub(super) fn take(&mut self, task: Task) -> bool {
        let had = self.has(task);
        self.0 &= !(1 << task as u16);
        had
    }
    /// The first that is to be done.
    pub(super) fn first(self) -> Option<Task> {
        Task::ALL.into_iter().find(|task| self.has(*task))
    }
}
