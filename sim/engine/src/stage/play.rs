//! The plan, led through its steps.

use super::Stage;
use crate::admin::{AdminError, Naming, begun};
use crate::board::Board;
use crate::inbox::ToShard;
use crate::link::News;
use crate::run::{Finished, Look, RunError};
use crate::steps::{Change, Steps};
use droves_facts::{Dice, Dur, LaneIx, Mono, PhaseIx};
use droves_net::clock::Clock;
use droves_scenario::plan::{Action, Plan};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Sessions that are open when the last phase ends get this long.
const DRAIN_MAX: Dur = Dur::secs(5);
/// How often shards that are late are looked after.
const GATHER_STEP: Duration = Duration::from_millis(100);

impl Stage {
    pub(crate) async fn play(
        mut self,
        mut stop: watch::Receiver<bool>,
        look: &mut dyn FnMut(Look),
    ) -> Result<Finished, RunError> {
        let plan = Arc::clone(&self.setup.plan);
        let mut board =
            Board::new(self.roster.devices(), self.is_restart, plan.bounds.lag_max, self.setup.calibration.clone());
        let (mut interrupted, mut aborted_by) = (self.gather(&mut board, &mut stop).await?, None);
        let mut steps = Steps::new(Arc::clone(&plan), self.clock.now());
        // Names differ from run to run, whatever the seed: a server may have those of another run already.
        let mut naming = Naming::new(Dice::new(plan.seed.wrapping_add(self.began_us.cast_unsigned())));
        while !interrupted && !self.players.is_short() && !steps.is_over() {
            let now = self.clock.now();
            for change in steps.advance(now, &board.reached()) {
                self.change(change);
            }
            for (phase, due) in steps.due(now) {
                self.administer(phase, &due, &mut naming)?;
            }
            if now >= board.look_at {
                look(board.look(&plan, &steps, self.practice.as_ref(), now));
                let judged = self.setup.thresholds.judge(&board.folds, &board.verdicts(), now, false);
                if let Some(judgement) = judged.into_iter().find(|judgement| judgement.aborts) {
                    aborted_by = Some(format!("{}: {} ({})", judgement.metric, judgement.expression, judgement.said));
                    break;
                }
            }
            let next = steps.next().unwrap_or(Mono::NEVER).min(board.look_at);
            let wait = Duration::from_micros(next.0.saturating_sub(self.clock.now().0));
            tokio::select! {
                biased;
                changed = stop.changed() => {
                    if changed.is_err() || *stop.borrow() {
                        interrupted = true;
                        break;
                    }
                }
                news = self.news.recv() => self.take(news, &mut board)?,
                () = tokio::time::sleep(wait) => {}
            }
            self.players.all_work()?;
        }
        for change in steps.break_off(self.clock.now()) {
            self.change(change);
        }
        if !interrupted && !self.players.is_short() {
            self.drain(&mut board, &plan, &steps, look).await?;
        }
        self.finish(board, steps, interrupted, aborted_by).await
    }

    /// Waits until every shard has its devices: before, the push service knows none of those that were enrolled before.
    /// Whether somebody breaks it off meanwhile.
    async fn gather(&mut self, board: &mut Board, stop: &mut watch::Receiver<bool>) -> Result<bool, RunError> {
        while board.latest.len() < self.shards.count() && !self.players.is_short() {
            tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() || *stop.borrow() { return Ok(true) },
                news = self.news.recv() => self.take(news, board)?,
                () = tokio::time::sleep(GATHER_STEP) => {}
            }
            self.players.all_work()?;
        }
        Ok(false)
    }

    /// Takes what shards and their processes tell.
    pub(super) fn take(&mut self, news: Option<News>, board: &mut Board) -> Result<(), RunError> {
        match news {
            Some(News::Report(report)) => board.take(*report, self.clock.now()),
            Some(News::Health(process, health)) => board.cost(process, health),
            Some(News::Refused(why)) => return Err(RunError::Refused(why)),
            Some(News::Lost(process)) => {
                self.players.lose(process);
                board.folds.ledger.incomplete();
            }
            // The push service has these before the coordinator would.
            Some(News::Register { .. } | News::Ask { .. } | News::Withdraw(..)) => {}
            None => return Err(RunError::Worker(0)),
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Begins(phase) => self.shards.all(|| ToShard::PhaseBegins(phase)),
            Change::Ends(phase) => self.shards.all(|| ToShard::PhaseEnds(phase)),
        }
        match change {
            Change::Begins(phase) => {
                self.push_faults.phase_begins(phase, self.clock.now(), &self.push);
                self.google_faults.phase_begins(phase, self.clock.now());
            }
            Change::Ends(phase) => {
                self.push_faults.phase_ends(phase, &self.push);
                self.google_faults.phase_ends(phase);
            }
        }
        if let Some(practice) = &self.practice {
            match change {
                Change::Begins(phase) => practice.phase_begins(phase),
                Change::Ends(phase) => practice.phase_ends(phase),
            }
        }
    }

    /// Does what the administrator has to do: the arrivals that are due together go into common calls.
    fn administer(&self, phase: PhaseIx, due: &[(Mono, LaneIx)], naming: &mut Naming) -> Result<(), RunError> {
        let plan = &self.setup.plan;
        let Some(planned) = plan.phases.get(phase.ix()) else { return Ok(()) };
        begun(due, self.clock.now(), phase, plan.bounds.lag_max).for_each(|fact| self.shards.fact(fact));
        let admin = self
            .admin
            .clone()
            .ok_or_else(|| AdminError::NoCall { server: plan.target.profile.name.clone(), call: "queue_command" })?;
        let lanes: Vec<_> = due.iter().map(|&(_, lane)| (lane, self.directory.enrollment(lane))).collect();
        match &planned.action {
            Action::Command { command, push, .. } => {
                let ready = naming.calls(command, phase, &lanes, admin.queue_batch_max(command.queueing()));
                for name in ready.iter().flat_map(|(command, _)| &command.names) {
                    self.directory.queued(&name.text);
                    self.shards.all(|| ToShard::Command(phase, name.key));
                }
                let (deadline, push) = (command.deadline, *push);
                tokio::task::spawn_local(async move {
                    let result = match admin.queue(ready, deadline, phase).await {
                        Ok(taken) if push && !taken.is_empty() => admin.push(taken, phase).await,
                        Ok(_) => Ok(()),
                        Err(error) => Err(error),
                    };
                    if let Err(error) = result {
                        tracing::error!(%error, "administrator");
                    }
                });
            }
            Action::Push(_) => {
                tokio::task::spawn_local(async move {
                    if let Err(error) = admin.push(lanes, phase).await {
                        tracing::error!(%error, "administrator");
                    }
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets open sessions come to their end.
    async fn drain(
        &mut self,
        board: &mut Board,
        plan: &Plan,
        steps: &Steps,
        look: &mut dyn FnMut(Look),
    ) -> Result<(), RunError> {
        let until = self.clock.now() + DRAIN_MAX;
        // A report that was under way when the last phase ended says nothing of what came after.
        let mut fresh = 0;
        while self.clock.now() < until && (board.live() > 0 || fresh < 2 * self.shards.count()) {
            let wait = Duration::from_micros(until.0.saturating_sub(self.clock.now().0));
            let Ok(news) = tokio::time::timeout(wait, self.news.recv()).await else { return Ok(()) };
            fresh += usize::from(matches!(news, Some(News::Report(_))));
            self.take(news, board)?;
            if self.players.is_short() {
                return Ok(());
            }
            if self.clock.now() >= board.look_at {
                look(board.look(plan, steps, self.practice.as_ref(), self.clock.now()));
            }
        }
        Ok(())
    }
}
