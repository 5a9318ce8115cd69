//! What the administrator has to do at a moment, before anybody calls anything: the same in real and in virtual time.

use super::Command;
use droves_facts::{ArrivalFate, Dice, Dur, Fact, LaneIx, Mono, Operation, PhaseIx, What};
use droves_scenario::plan;

/// The arrivals of a phase that are begun now.
pub(crate) fn begun(
    due: &[(Mono, LaneIx)],
    now: Mono,
    phase: PhaseIx,
    lag_max: Dur,
) -> impl Iterator<Item = Fact> + use<'_> {
    due.iter().map(move |&(due, lane)| {
        let fate = if now.since(due) > lag_max { ArrivalFate::Late } else { ArrivalFate::OnTime };
        Fact { at: now, phase, lane, what: What::Arrival { operation: Operation::AdminQueue, due, fate } }
    })
}

/// The names of a run's commands.
#[derive(Debug)]
pub(crate) struct Naming {
    dice: Dice,
    commands: u64,
}

impl Naming {
    pub(crate) fn new(dice: Dice) -> Self {
        Naming { dice, commands: 0 }
    }

    /// A command for these lanes: each call has names of its own, since a server that has a name already refuses it for
    /// everybody.
    pub(crate) fn calls<T: Clone>(
        &mut self,
        command: &plan::Command,
        phase: PhaseIx,
        lanes: &[T],
        batch_max: usize,
    ) -> Vec<(Command, Vec<T>)> {
        let call = |lanes: &[T]| {
            let named = Command::new(command, self.dice, phase, self.commands);
            self.commands += u64::from(command.parts());
            (named, lanes.to_vec())
        };
        lanes.chunks(batch_max.max(1)).map(call).collect()
    }
}
