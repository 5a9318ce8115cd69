//! What the coordinator knows of all shards, and what it tells whoever watches.

use crate::health::Health;
use crate::inbox::{Reached, Report};
use crate::run::{Look, Nearness};
use crate::steps::Steps;
use crate::tape::Taped;
use droves_emulators::practice::Practice;
use droves_facts::{DeviceState, Dur, Mono, PhaseIx, Unit};
use droves_measure::{Calibration, Fold, Folds, Hop, Own, Progress, Recent, Second, Verdicts, Work};
use droves_scenario::plan::Plan;
use std::collections::BTreeMap;

/// How often somebody who watches is told.
const LOOK_EVERY: Dur = Dur::ms(250);

/// What the coordinator knows of all shards.
pub(crate) struct Board {
    pub(crate) folds: Folds,
    pub(crate) recent: Recent,
    pub(crate) latest: BTreeMap<usize, Latest>,
    pub(crate) devices: u32,
    pub(crate) lag_max: Dur,
    pub(crate) look_at: Mono,
    files_at: Mono,
    pub(crate) health: Health,
    /// What each worker process costs.
    processes: BTreeMap<usize, Health>,
    pub(crate) fds_max: u64,
    pub(crate) seconds: Vec<Second>,
    calibration: Option<Calibration>,
    nearness: Nearness,
    /// The most sessions that were open at once.
    pub(crate) sessions_open_max: u64,
    /// The same in one shard.
    pub(crate) shard_open_max: u64,
    /// What was lost of the fleet on disk, in sentences.
    pub(crate) dropped: Vec<String>,
    /// What is on the tape.
    pub(crate) taped: Taped,
}

/// The latest report of a shard, but for what was folded.
#[derive(Default)]
pub(crate) struct Latest {
    pub(crate) reached: BTreeMap<PhaseIx, Reached>,
    pub(crate) live: usize,
    pub(crate) unfinished: u64,
    pub(crate) sessions_open: u64,
    pub(crate) held: u64,
}

impl Board {
    pub(crate) fn new(devices: u32, is_restart: bool, lag_max: Dur, calibration: Option<Calibration>) -> Self {
        Board {
            folds: Folds::of_run(is_restart, true),
            recent: Recent::default(),
            latest: BTreeMap::new(),
            devices,
            lag_max,
            look_at: Mono::ZERO,
            files_at: Mono::ZERO,
            health: Health::default(),
            processes: BTreeMap::new(),
            fds_max: 0,
            seconds: Vec::new(),
            calibration,
            nearness: Nearness::default(),
            sessions_open_max: 0,
            shard_open_max: 0,
            dropped: Vec::new(),
            taped: Taped::default(),
        }
    }

    pub(crate) fn take(&mut self, report: Report, now: Mono) {
        let Report { shard, folds, reached, live, unfinished, sessions_open, held, mut dropped, taped, .. } = report;
        self.taped = self.taped.and(taped);
        self.dropped.append(&mut dropped);
        self.recent.take(&folds, now);
        self.second(&folds, now);
        self.folds.merge(folds);
        self.shard_open_max = self.shard_open_max.max(sessions_open);
        self.latest.insert(shard, Latest { reached, live, unfinished, sessions_open, held });
        self.sessions_open_max = self.sessions_open_max.max(self.sessions_open());
    }

    /// What a worker process costs now.
    pub(crate) fn cost(&mut self, process: usize, health: Health) {
        self.fds_max = self.fds_max.max(health.fds);
        self.processes.insert(process, health);
    }

    /// What all processes cost, given what this one does.
    pub(crate) fn costs(&self, here: Health) -> Health {
        self.processes.values().fold(here, |all, &process| all.and(process))
    }

    fn second(&mut self, delta: &Folds, now: Mono) {
        let second = now.0 / 1_000_000;
        if self.seconds.last().is_none_or(|last| last.second < second) {
            self.nearer();
            self.seconds.push(Second { second, ..Second::default() });
        }
        let live = self.live() as u64;
        let enrolled = self.folds.counts.devices_moved(DeviceState::Enrolled);
        let Some(last) = self.seconds.last_mut() else { return };
        let tries = delta.counts.tries_of(None, Unit::Request);
        last.requests += tries.ended();
        last.failed += tries.failed_in_all();
        last.sessions += delta.counts.sessions_started;
        last.live = live;
        last.enrolled = u64::try_from(enrolled).unwrap_or(0);
        last.accepted += delta.fanout.count(None, Hop::Accepted);
        let lag = delta.series.own(None, Own::Lag).quantile_us(0.99);
        last.lag_p99_us = last.lag_p99_us.max(lag);
        last.work += Work::of(delta);
    }

    /// A second is whole: how near it came.
    fn nearer(&mut self) {
        if let (Some(calibration), Some(last)) = (&self.calibration, self.seconds.last()) {
            let now = calibration.cpu_s(&last.work) / calibration.machine.cores;
            self.nearness = Nearness { now, busiest: self.nearness.busiest.max(now) };
        }
    }

    pub(crate) fn sessions_open(&self) -> u64 {
        self.latest.values().map(|latest| latest.sessions_open).sum()
    }

    pub(crate) fn live(&self) -> usize {
        self.latest.values().map(|latest| latest.live).sum()
    }

    pub(crate) fn verdicts(&self) -> Verdicts {
        self.folds.ledger.so_far()
    }

    pub(crate) fn reached(&self) -> BTreeMap<PhaseIx, Reached> {
        let mut all: BTreeMap<PhaseIx, Reached> = BTreeMap::new();
        for (phase, reached) in self.latest.values().flat_map(|latest| &latest.reached) {
            let sum = all.entry(*phase).or_default();
            *sum = sum.and(*reached);
        }
        all
    }

    pub(crate) fn look(&mut self, plan: &Plan, steps: &Steps, practice: Option<&Practice>, now: Mono) -> Look {
        self.look_at = now + LOOK_EVERY;
        let health = Health::look_with(if self.files_are_due(now) { 0 } else { self.health.fds });
        self.fds_max = self.fds_max.max(health.fds);
        self.health = health;
        let health = self.costs(health);
        let reached = self.reached();
        Look {
            progress: Progress::of(&self.folds, &self.recent, u64::from(self.devices), self.live() as u64, now),
            phases: steps.looks(plan, &reached, now),
            to_come: steps.to_come(),
            health,
            practice_cpu_s: practice.map(Practice::cpu_s),
            lag_us_max: self.lag_max.0,
            nearness: self.calibration.as_ref().map(|_| self.nearness),
        }
    }

    /// Files are counted one by one: once a second is enough.
    fn files_are_due(&mut self, now: Mono) -> bool {
        let is_due = now >= self.files_at;
        if is_due {
            self.files_at = now + Dur::secs(1);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_counted_once_a_second() {
        let mut board = Board::new(1, false, Dur::secs(1), None);
        let due: Vec<bool> = (0..9).map(|n| board.files_are_due(Mono::ZERO + Dur::ms(250 * n))).collect();
        assert_eq!(due, [true, false, false, false, true, false, false, false, true]);
    }
}
