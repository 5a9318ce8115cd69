//! The end of a run: everybody's last words, and what the server believes.

use super::Stage;
use crate::admin::Admin;
use crate::board::Board;
use crate::google::Google;
use crate::health::Health;
use crate::inbox::ToShard;
use crate::link::News;
use crate::part;
use crate::run::{Finished, RunError};
use crate::steps::Steps;
use droves_emulators::practice::Practice;
use droves_facts::{DeviceIx, Fact, Mono, PhaseIx, What};
use droves_measure::{Fold, Folds};
use droves_net::clock::Clock;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

/// A worker process that says nothing for so long after it was told to stop is lost.
const LAST_MAX: Duration = Duration::from_secs(60);
/// Enrollments that the server is asked about at the end.
const BELIEFS_MAX: usize = 2_000;

impl Stage {
    /// Everything is ended in order, and told of.
    pub(super) async fn finish(
        mut self,
        mut board: Board,
        steps: Steps,
        interrupted: bool,
        aborted_by: Option<String>,
    ) -> Result<Finished, RunError> {
        let length = self.clock.now().since(Mono::ZERO);
        self.shards.all(|| ToShard::Stop);
        let (mut enrolled, mut over) = (Vec::new(), BTreeSet::new());
        while (0..self.shards.count()).any(|shard| !over.contains(&shard) && !self.players.is_lost(shard)) {
            let Ok(news) = tokio::time::timeout(LAST_MAX, self.news.recv()).await else { break };
            match news {
                Some(News::Report(mut report)) => {
                    if report.is_last {
                        over.insert(report.shard);
                    }
                    enrolled.append(&mut report.enrolled);
                    self.take(Some(News::Report(report)), &mut board)?;
                }
                // A process ends after the last reports of its shards.
                Some(News::Lost(process)) if self.players.is_done(process, &over) => {}
                None => break,
                news => self.take(news, &mut board)?,
            }
        }
        if !interrupted
            && !self.players.is_short()
            && let Some(admin) = self.admin.take()
        {
            self.ask_beliefs(&admin, &enrolled, &mut board.folds).await?;
        }
        let ended = self.players.end(&over)?;
        // What they cost in all is the last that they told.
        while let Ok(news) = self.news.try_recv() {
            if let News::Health(process, health) = news {
                board.cost(process, health);
            }
        }
        let health = board.costs(Health::look());
        let room = part::room(&self.setup.plan, self.shards.count());
        let practice_cpu_s = self.practice.as_ref().map(Practice::cpu_s);
        let practice_truth = self.practice.as_ref().map(Practice::truth);
        let push = self.push.tallies();
        let google = self.google.as_ref().map(Google::summary);
        if let Some(practice) = self.practice.take() {
            practice.stop();
        }
        self.push.stop();
        Ok(Finished {
            spans: steps.spans().to_vec(),
            length,
            began_us: self.began_us,
            unfinished: board.latest.values().map(|latest| latest.unfinished).sum(),
            sessions_open: board.sessions_open(),
            sessions_open_max: board.sessions_open_max,
            is_full: board.shard_open_max >= room as u64,
            held: board.latest.values().map(|latest| latest.held).sum(),
            health,
            steal_s: health.steal_s - self.steal_before_s,
            fds_max: board.fds_max.max(health.fds),
            practice_cpu_s,
            seconds: board.seconds,
            taped: board.taped,
            push,
            google,
            practice_truth,
            interrupted,
            aborted_by,
            lost: ended.lost,
            pipes_held_up: ended.held_up,
            dropped: [ended.dropped, board.dropped].concat(),
            directory: self.directory,
            thresholds: self.setup.thresholds,
            folds: board.folds,
        })
    }

    /// What the server believes of the enrollments, against what the devices hold.
    async fn ask_beliefs(&self, admin: &Rc<Admin>, enrolled: &[DeviceIx], folds: &mut Folds) -> Result<(), RunError> {
        let devices = self.roster.devices() as usize;
        let step = devices.div_ceil(BELIEFS_MAX).max(1);
        let lanes = (0..devices)
            .step_by(step)
            .filter_map(|device| {
                let device = DeviceIx(device as u32);
                let lane = self.roster.lane(device, 0)?;
                Some(((lane, self.directory.enrollment(lane)), enrolled.contains(&device)))
            })
            .collect();
        for (lane, truth) in admin.believes(lanes).await? {
            folds.apply(&Fact { at: self.clock.now(), phase: PhaseIx(0), lane, what: What::Believes(truth) });
        }
        Ok(())
    }
}
