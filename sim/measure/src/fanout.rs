//! The hops of a push: asked → queued → pushed → woken → connected → delivered → answered → notified → accepted. Of
//! `pushed`, the part is told apart that a server has waited for a quota.
//!
//! A command's hops belong to the phase in which it was queued. A hop that is missing, or that came before the one
//! before it (a device delivered its command before the slow call that queued it was answered), is no sample, and is
//! counted as such.

use crate::histogram::Times;
use crate::phases::PerPhase;
use droves_facts::{Dur, Mono, PhaseIx};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From which moment to which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hop {
    /// From the administrator's call begun to the server's answer.
    Queued,
    /// From queued to the push service having the push.
    Pushed,
    /// Of that, the time in which the quota was used up by which the server calls whoever manages its devices. Of commands
    /// that go by such calls only.
    Quota,
    /// From pushed to the lane woken.
    Woken,
    /// From there to the connection standing.
    Connected,
    /// From there to the command's bytes on the device.
    Delivered,
    /// From there to the device having done it.
    Answered,
    /// From there to the server being told so, by whoever manages the device. Where the device tells the server itself there is
    /// no such hop.
    Notified,
    /// From there to the server having taken the answer.
    Accepted,
    /// From the administrator's call begun to the server having taken the answer.
    Total,
}

/// Every hop with its name in thresholds and results, in order.
pub const HOPS: [(Hop, &str); 10] = [
    (Hop::Queued, "queued"),
    (Hop::Pushed, "pushed"),
    (Hop::Quota, "quota"),
    (Hop::Woken, "woken"),
    (Hop::Connected, "connected"),
    (Hop::Delivered, "delivered"),
    (Hop::Answered, "answered"),
    (Hop::Notified, "notified"),
    (Hop::Accepted, "accepted"),
    (Hop::Total, "total"),
];

/// The fold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fanout {
    phases: PerPhase<Phase>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Phase {
    hops: [Times; HOPS.len()],
    /// Commands that came to the end of this hop, with or without a sample.
    reached: [u64; HOPS.len()],
    missing: [u64; HOPS.len()],
    /// When the first command was asked for.
    began: Option<Mono>,
    /// How many were accepted in each step of the run.
    accepted: BTreeMap<u64, u64>,
}

/// Moments of acceptance are kept in steps of 100 ms.
const STEP_US: u64 = 100_000;

impl Fanout {
    /// A command has come to the end of a hop that began at `from`, if that is known.
    pub(crate) fn reached(&mut self, phase: PhaseIx, hop: Hop, from: Option<Mono>, to: Mono) {
        let at = self.phases.at(phase);
        at.reached[hop as usize] += 1;
        match hop {
            Hop::Queued => at.began = [at.began, from].into_iter().flatten().min(),
            Hop::Total => *at.accepted.entry(to.0.div_ceil(STEP_US)).or_default() += 1,
            _ => {}
        }
        match from.filter(|&from| from <= to) {
            Some(from) => at.hops[hop as usize].record(to.since(from)),
            None => at.missing[hop as usize] += 1,
        }
    }

    /// A command has waited so long for a quota.
    pub(crate) fn waited(&mut self, phase: PhaseIx, waited: Dur) {
        let at = self.phases.at(phase);
        at.reached[Hop::Quota as usize] += 1;
        at.hops[Hop::Quota as usize].record(waited);
    }

    /// How long a hop took, in one phase or in all.
    pub fn times(&self, phase: Option<PhaseIx>, hop: Hop) -> Times {
        let mut all = Times::default();
        self.phases.chosen(phase).for_each(|phase| all.merge(phase.hops[hop as usize].clone()));
        all
    }

    /// How many commands have come to the end of a hop.
    pub fn count(&self, phase: Option<PhaseIx>, hop: Hop) -> u64 {
        self.phases.chosen(phase).map(|phase| phase.reached[hop as usize]).sum()
    }

    /// How many of them are no samples: the moment before it is not known, or came after it.
    pub fn missing(&self, phase: Option<PhaseIx>, hop: Hop) -> u64 {
        self.phases.chosen(phase).map(|phase| phase.missing[hop as usize]).sum()
    }

    /// How long it took, from the first command asked for, until this share of the commands that were queued in a phase
    /// was accepted, to 100 ms; none if that did not happen.
    pub fn makespan(&self, phase: PhaseIx, share: f64) -> Option<Dur> {
        let of_phase = self.phases.chosen(Some(phase)).next()?;
        let queued = of_phase.reached[Hop::Queued as usize];
        let wanted = (share * queued as f64 - 1e-6).ceil().max(1.0) as u64;
        let mut so_far = 0;
        let step = of_phase.accepted.iter().find_map(|(&step, &count)| {
            so_far += count;
            (so_far >= wanted).then_some(step)
        });
        Some(Mono(step? * STEP_US).since(of_phase.began?))
    }

    pub(crate) fn merge(&mut self, other: Fanout) {
        self.phases.merge(other.phases, |mine, theirs| {
            mine.began = [mine.began, theirs.began].into_iter().flatten().min();
            for (step, count) in theirs.accepted {
                *mine.accepted.entry(step).or_default() += count;
            }
            for (mine, theirs) in mine.hops.iter_mut().zip(theirs.hops) {
                mine.merge(theirs);
            }
            for (mine, theirs) in mine.reached.iter_mut().zip(theirs.reached) {
                *mine += theirs;
            }
            for (mine, theirs) in mine.missing.iter_mut().zip(theirs.missing) {
                *mine += theirs;
            }
        });
    }
}
