//! All folds of a run together.

use crate::Fold;
use crate::complaints::Complaints;
use crate::counts::Counts;
use crate::fanout::Fanout;
use crate::histogram::Times;
use crate::ledger::Ledger;
use crate::series::Series;
use droves_facts::{Dur, Fact};
use serde::{Deserialize, Serialize};

/// What a shard folds its facts into, and what the coordinator merges.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Folds {
    /// What is counted.
    pub counts: Counts,
    /// How long operations took.
    pub series: Series,
    /// How pushes fanned out.
    pub fanout: Fanout,
    /// What became of each command.
    pub ledger: Ledger,
    /// How long one turn of a shard took: nothing else moves in it meanwhile.
    pub slices: Times,
    /// Timers of the shard that fired.
    pub timers: u64,
}

impl Folds {
    /// Folds of a run: whether its fleet was enrolled in an earlier one, and whether it queues commands.
    pub fn of_run(is_restart: bool, queues: bool) -> Self {
        let ledger = if is_restart { Ledger::after_restart() } else { Ledger::default() };
        Folds { ledger: if queues { ledger } else { ledger.of_others() }, ..Folds::default() }
    }

    /// Takes the length of one turn of a shard.
    pub fn slice(&mut self, slice: Dur) {
        self.slices.record(slice);
    }

    /// Gives over everything but the ledger, whose open commands stay with whoever folds the lane.
    pub fn take_delta(&mut self) -> Folds {
        let ledger = std::mem::take(&mut self.ledger);
        let delta = std::mem::take(self);
        self.ledger = ledger;
        delta
    }

    /// Failures in words.
    pub fn complaints(&self) -> &Complaints {
        &self.counts.complaints
    }
}

impl Fold for Folds {
    fn apply(&mut self, fact: &Fact) {
        self.counts.apply(fact);
        self.series.apply(fact);
        self.ledger.apply(fact, &mut self.fanout);
    }

    fn merge(&mut self, other: Folds) {
        self.counts.merge(other.counts);
        self.series.merge(other.series);
        self.fanout.merge(other.fanout);
        self.ledger.merge(other.ledger);
        self.slices.merge(other.slices);
        self.timers += other.timers;
    }
}
