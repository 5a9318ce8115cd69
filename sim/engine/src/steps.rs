//! The plan's steps in time: which phase begins, which ends and why, and what the administrator has to do. Pure.

use crate::inbox::Reached;
use crate::run::PhaseLook;
use droves_facts::{LaneIx, Mono, PhaseIx};
use droves_scenario::plan::{Action, Condition, Phase, Plan};
use droves_shard::Due;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happens to a phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// It begins.
    Begins(PhaseIx),
    /// It is over.
    Ends(PhaseIx),
}

/// When a phase was, and whether what it waited for came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Which phase.
    pub phase: PhaseIx,
    /// When it began.
    pub start: Mono,
    /// When it ended; none while it runs.
    pub end: Option<Mono>,
    /// Whether it ran into its `within`.
    pub in_vain: bool,
}

/// A run through the plan.
#[derive(Debug)]
pub(crate) struct Steps {
    plan: Arc<Plan>,
    step: usize,
    waiting: Vec<(Mono, PhaseIx)>,
    running: Vec<Running>,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Running {
    phase: PhaseIx,
    start: Mono,
    /// How many reach the condition.
    needed: u64,
    /// What the administrator has to do in it.
    admin: Option<Due>,
}

impl Steps {
    pub(crate) fn new(plan: Arc<Plan>, now: Mono) -> Self {
        let mut steps = Steps { plan, step: 0, waiting: Vec::new(), running: Vec::new(), spans: Vec::new() };
        steps.enter(now);
        steps
    }

    /// Whether every phase has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty() && self.step >= self.plan.steps.len()
    }

    /// When each phase that has begun was.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// When something is due by the clock alone.
    pub(crate) fn next(&self) -> Option<Mono> {
        let starts = self.waiting.iter().map(|&(at, _)| at);
        let ends = self.running.iter().filter_map(|r| Some(r.start + self.phase(r.phase)?.until.limit()?));
        let calls = self.running.iter().filter_map(|r| r.admin.as_ref()?.next());
        starts.chain(ends).chain(calls).min()
    }

    /// What the administrator has to do by now.
    pub(crate) fn due(&mut self, now: Mono) -> Vec<(PhaseIx, Vec<(Mono, LaneIx)>)> {
        let mut due = Vec::new();
        for running in &mut self.running {
            let Some(admin) = running.admin.as_mut() else { continue };
            let arrivals: Vec<_> = std::iter::from_fn(|| admin.pop(now)).collect();
            if !arrivals.is_empty() {
                due.push((running.phase, arrivals));
            }
        }
        due
    }

    /// Goes on as far as the time, and what was reached, allow.
    pub(crate) fn advance(&mut self, now: Mono, reached: &BTreeMap<PhaseIx, Reached>) -> Vec<Change> {
        let mut changes = Vec::new();
        loop {
            let before = changes.len();
            self.begin(now, &mut changes);
            self.end(now, reached, &mut changes);
            if self.waiting.is_empty() && self.running.is_empty() && self.step < self.plan.steps.len() {
                self.step += 1;
                self.enter(now);
            } else if changes.len() == before {
                return changes;
            }
        }
    }

    /// The phases that run, for people.
    pub(crate) fn looks(&self, plan: &Plan, reached: &BTreeMap<PhaseIx, Reached>, now: Mono) -> Vec<PhaseLook> {
        let look = |running: &Running| {
            let phase = plan.phases.get(running.phase.ix())?;
            let has = reached.get(&running.phase).copied().unwrap_or_default();
            let has = phase.until.condition.map(|condition| match condition {
                Condition::Enrolled(_) => has.enrolled,
                Condition::Accepted(_) => has.accepted,
                Condition::Done(_) => has.done,
            });
            Some(PhaseLook {
                name: phase.name.clone(),
                since: now.since(running.start),
                left: phase.until.limit().map(|limit| (running.start + limit).since(now)),
                reached: has.map(|has| (has, running.needed)),
            })
        };
        self.running.iter().filter_map(look).collect()
    }

    /// Phases that have not begun.
    pub(crate) fn to_come(&self) -> usize {
        let later = self.plan.steps.get(self.step + 1..).unwrap_or_default();
        self.waiting.len() + later.iter().map(Vec::len).sum::<usize>()
    }

    /// Ends whatever runs: the run is broken off.
    pub(crate) fn break_off(&mut self, now: Mono) -> Vec<Change> {
        self.step = self.plan.steps.len();
        self.skip(now)
    }

    /// Ends the step that runs.
    pub(crate) fn skip(&mut self, now: Mono) -> Vec<Change> {
        self.waiting.clear();
        for span in self.spans.iter_mut().filter(|span| span.end.is_none()) {
            span.end = Some(now);
        }
        self.running.drain(..).map(|running| Change::Ends(running.phase)).collect()
    }

    fn phase(&self, phase: PhaseIx) -> Option<&Phase> {
        self.plan.phases.get(phase.ix())
    }

    fn enter(&mut self, now: Mono) {
        let Some(step) = self.plan.steps.get(self.step) else { return };
        let after = |phase: &PhaseIx| self.plan.phases.get(phase.ix()).map(|p| (now + p.after, *phase));
        self.waiting = step.iter().filter_map(after).collect();
    }

    fn begin(&mut self, now: Mono, changes: &mut Vec<Change>) {
        let due: Vec<_> = self.waiting.extract_if(.., |&mut (at, _)| at <= now).collect();
        for (_, ix) in due {
            let Some(phase) = self.phase(ix) else { continue };
            let devices = phase.schedule().map_or(0, |schedule| u64::from(schedule.who.devices()));
            let needed = match phase.until.condition {
                Some(condition @ Condition::Enrolled(_)) => condition.needed(devices),
                Some(condition) => condition.needed(phase.planned()),
                None => u64::MAX,
            };
            let admin = match &phase.action {
                Action::Command { schedule, .. } | Action::Push(schedule) => Some(Due::new(schedule, now)),
                _ => None,
            };
            self.running.push(Running { phase: ix, start: now, needed, admin });
            self.spans.push(Span { phase: ix, start: now, end: None, in_vain: false });
            changes.push(Change::Begins(ix));
        }
    }

    fn end(&mut self, now: Mono, reached: &BTreeMap<PhaseIx, Reached>, changes: &mut Vec<Change>) {
        let plan = Arc::clone(&self.plan);
        let mut over = Vec::new();
        self.running.retain(|running| {
            let Some(phase) = plan.phases.get(running.phase.ix()) else { return false };
            let so_far = reached.get(&running.phase).copied();
            let holds = phase.until.condition.zip(so_far).is_some_and(|(condition, reached)| {
                let has = match condition {
                    Condition::Enrolled(_) => reached.enrolled,
                    Condition::Accepted(_) => reached.accepted,
                    Condition::Done(_) => reached.done,
                };
                has >= running.needed
            });
            let passed = |limit: Option<droves_facts::Dur>| limit.is_some_and(|limit| running.start + limit <= now);
            let in_vain = !holds && !passed(phase.until.length) && passed(phase.until.within);
            let is_over = holds || in_vain || passed(phase.until.length);
            if is_over {
                over.push((running.phase, in_vain));
            }
            !is_over
        });
        for (phase, in_vain) in over {
            for span in self.spans.iter_mut().filter(|span| span.phase == phase && span.end.is_none()) {
                (span.end, span.in_vain) = (Some(now), in_vain);
            }
            changes.push(Change::Ends(phase));
        }
    }
}
