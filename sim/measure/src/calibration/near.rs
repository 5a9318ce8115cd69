//! How near a run came to what its machine can offer: the work that it did, at what the calibration says that it costs.

use super::{Calibration, OFFERS, Offer, OfferInfo};
use crate::counts::Counts;
use crate::folds::Folds;
use droves_facts::{KeyFamily, Operation, PushFate, Unit};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// How much of each kind of work was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work([u64; OFFERS.len()]);

impl Work {
    /// What folds say that was done. A resumed handshake counts as one without a certificate: it signs nothing.
    pub fn of(folds: &Folds) -> Self {
        let Folds { counts, timers, .. } = folds;
        let Counts { connections, pushes, .. } = counts;
        let mut work = Work::default();
        let shown = |family| connections.shown[family as usize];
        work.0[Offer::Connect as usize] = connections.opened - connections.tls;
        work.0[Offer::HandshakeP256 as usize] = shown(KeyFamily::P256);
        work.0[Offer::HandshakeRsa as usize] = shown(KeyFamily::Rsa);
        work.0[Offer::Handshake as usize] = connections.tls - connections.shown.iter().sum::<u64>();
        work.0[Offer::Request as usize] = counts.tries_of(None, Unit::Request).ended();
        work.0[Offer::SignP256 as usize] = counts.signed[KeyFamily::P256 as usize];
        work.0[Offer::SignRsa as usize] = counts.signed[KeyFamily::Rsa as usize];
        let issued = |operation| counts.tries(None, operation).succeeded;
        work.0[Offer::Scep as usize] = issued(Operation::AppleScepIssue) + issued(Operation::WindowsScepIssue);
        work.0[Offer::Push as usize] = pushes.fate(PushFate::Received);
        work.0[Offer::Timer as usize] = *timers;
        work
    }

    /// How many of this.
    pub fn count(&self, offer: Offer) -> u64 {
        self.0[offer as usize]
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// How near a run came to what its machine can offer. Shares are of 1; the parts' shares add up to `of_offered`.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Near {
    /// When the machine was calibrated, UTC.
    pub calibrated: String,
    /// Processors that the process may use.
    pub cores: f64,
    /// Processor time that the run's work costs by the calibration, in seconds. Devices, ledger and dashboard are not
    /// in it, nor what keys cost that were made.
    pub priced_cpu_s: f64,
    /// That of the processor time that the machine had (cores × the run's length): how near the run came.
    pub of_offered: f64,
    /// The same in the busiest second.
    pub busiest_of_offered: f64,
    /// Which second that was; null if nothing was done.
    pub busiest_second: Option<u64>,
    /// Of the processor time that the run used. The rest is the devices, the measuring, and what is not priced.
    pub of_used: f64,
    /// What the run used of the processor time that the machine had.
    pub used_of_offered: f64,
    /// Each kind of work that was done.
    pub parts: BTreeMap<String, Part>,
}

/// One kind of work.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Part {
    /// How often it was done.
    pub count: u64,
    /// In a core-second of the run.
    pub per_core_s: f64,
    /// What a core-second offers if it does nothing else.
    pub offered_per_core_s: f64,
    /// The one of the other.
    pub share: f64,
}

impl Near {
    /// How near one second of the run came.
    pub fn in_second(&self, work: &Work) -> f64 {
        let part = |(row, part): (&OfferInfo, &Part)| work.count(row.offer) as f64 / part.offered_per_core_s;
        OFFERS.iter().filter_map(|row| Some((row, self.parts.get(row.name)?))).map(part).sum::<f64>() / self.cores
    }

    /// Of a run of this length that used so much processor time; `seconds` are those in which something was done.
    pub fn of(
        calibration: &Calibration,
        work: &Work,
        seconds: impl IntoIterator<Item = (u64, Work)>,
        length_s: f64,
        used_cpu_s: f64,
    ) -> Self {
        let cores = calibration.machine.cores;
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let core_s = cores * length_s;
        let priced_cpu_s = calibration.cpu_s(work);
        let busiest = seconds
            .into_iter()
            .map(|(second, work)| (second, calibration.cpu_s(&work)))
            .filter(|(_, cpu_s)| *cpu_s > 0.0)
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        let part = |offer: Offer| {
            let count = work.count(offer);
            let us = calibration.us(offer);
            let part = Part {
                count,
                per_core_s: share(count as f64, core_s),
                offered_per_core_s: share(1e6, us),
                share: share(count as f64 * us / 1e6, core_s),
            };
            (count > 0).then(|| (offer.name().to_owned(), part))
        };
        Near {
            calibrated: calibration.measured.clone(),
            cores,
            priced_cpu_s,
            of_offered: share(priced_cpu_s, core_s),
            busiest_of_offered: busiest.map_or(0.0, |(_, cpu_s)| share(cpu_s, cores)),
            busiest_second: busiest.map(|(second, _)| second),
            of_used: share(priced_cpu_s, used_cpu_s),
            used_of_offered: share(used_cpu_s, core_s),
            parts: OFFERS.iter().filter_map(|row| part(row.offer)).collect(),
        }
    }
}
