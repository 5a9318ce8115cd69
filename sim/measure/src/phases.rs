//! One value a phase, made when the phase is first heard of.

use droves_facts::PhaseIx;
use serde::{Deserialize, Serialize};

/// More phases than this share the last place: a plan has tens.
const PHASES_MAX: usize = 1_024;

/// A value of every phase so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PerPhase<T> {
    values: Vec<T>,
}

impl<T: Default> PerPhase<T> {
    /// The value of a phase, made if need be.
    pub(crate) fn at(&mut self, phase: PhaseIx) -> &mut T {
        let ix = phase.ix().min(PHASES_MAX - 1);
        if ix >= self.values.len() {
            self.values.resize_with(ix + 1, T::default);
        }
        &mut self.values[ix]
    }

    /// The value of one phase, or of each that has been heard of.
    pub(crate) fn chosen(&self, phase: Option<PhaseIx>) -> impl Iterator<Item = &T> {
        let range = match phase {
            Some(ix) => ix.ix().min(self.values.len())..(ix.ix() + 1).min(self.values.len()),
            None => 0..self.values.len(),
        };
        self.values[range].iter()
    }

    /// How many phases have been heard of.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Merges phase by phase.
    pub(crate) fn merge(&mut self, other: Self, mut join: impl FnMut(&mut T, T)) {
        for (ix, theirs) in other.values.into_iter().enumerate() {
            join(self.at(PhaseIx(ix as u32)), theirs);
        }
    }
}
