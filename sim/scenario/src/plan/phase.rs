//! What happens, and until when.

use super::{Command, Schedule};
use droves_facts::{Dur, PhaseIx};

/// Something that happens.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Its place among the phases.
    pub ix: PhaseIx,
    /// Its name, unique in the plan.
    pub name: String,
    /// How long after its step's start it begins.
    pub after: Dur,
    /// What.
    pub action: Action,
    /// When it is over.
    pub until: Until,
}

impl Phase {
    /// Whom it drives and when; none for [`Action::Wait`].
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.action {
            Action::Enroll(s) | Action::CheckIn(s) | Action::Push(s) | Action::Unenroll(s) | Action::Renew(s) => {
                Some(s)
            }
            Action::Command { schedule, .. } => Some(schedule),
            Action::Wait => None,
        }
    }

    /// How many arrivals, or commands where it queues any, its condition is a share of.
    pub fn planned(&self) -> u64 {
        let arrivals = self.schedule().map_or(0, Schedule::planned);
        match &self.action {
            Action::Command { command, .. } => arrivals * u64::from(command.parts()),
            _ => arrivals,
        }
    }
}

/// What a phase does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Devices enroll. The selection is of device channels; a device's user channels follow it by themselves.
    Enroll(Schedule),
    /// Lanes connect by themselves and ask for commands.
    CheckIn(Schedule),
    /// The administrator queues a command.
    Command {
        /// For whom, and when. Arrivals that are due together go into common calls, as the profile allows.
        schedule: Schedule,
        /// What.
        command: Command,
        /// Whether a push is asked for, through the server's own API, once the command is queued.
        push: bool,
    },
    /// The administrator asks the server to push.
    Push(Schedule),
    /// Devices leave (a CheckOut where the profile asks for one). The selection is of device channels.
    Unenroll(Schedule),
    /// Devices renew their identity. The selection is of device channels.
    Renew(Schedule),
    /// Nothing new is begun.
    Wait,
}

/// When a phase is over: at `length`, or once the condition holds, or, in vain, at `within`. At least one of `length`
/// and `within` is there, so that every run ends.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Until {
    /// It lasts this long, and arrivals are due only before it.
    pub length: Option<Dur>,
    /// It ends as soon as this holds.
    pub condition: Option<Condition>,
    /// If the condition does not hold by then, the phase ends as failed, and the run goes on.
    pub within: Option<Dur>,
}

impl Until {
    /// The longest that the phase can last.
    pub fn limit(self) -> Option<Dur> {
        match (self.length, self.within) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// What ends a phase. A share is of what the phase is about, 0..=1; reached means at least that share, rounded up to
/// whole ones.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Condition {
    /// This share of the chosen devices is enrolled.
    Enrolled(f64),
    /// This share of the planned commands has an accepted answer.
    Accepted(f64),
    /// This share of the planned arrivals has its outcome: an operation ended (well or not), a command accepted,
    /// refused or unreachable.
    Done(f64),
}

impl Condition {
    /// How many of `total` make it hold.
    pub fn needed(self, total: u64) -> u64 {
        let (Condition::Enrolled(share) | Condition::Accepted(share) | Condition::Done(share)) = self;
        // A share such as 0.999 is not a binary number: what is a whole number but for rounding is that number.
        ((share * total as f64 - 1e-6).ceil() as u64).min(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_round_up_but_not_past_a_whole_number() {
        assert_eq!(Condition::Accepted(0.999).needed(1_000), 999);
        assert_eq!(Condition::Accepted(0.999).needed(1_001), 1_000);
        assert_eq!(Condition::Enrolled(1.0).needed(7), 7);
        assert_eq!(Condition::Done(0.0).needed(7), 0);
    }
}
