//! Arrivals that come due in a phase that runs.

use droves_device::Order;
use droves_facts::{LaneIx, Mono, Operation, PhaseIx};
use droves_scenario::plan::{Action, Arrival, Plan, Schedule, Stream};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

/// A schedule since its phase began: its arrivals in the order of their due times.
pub struct Due {
    start: Mono,
    source: Source,
}

enum Source {
    /// A common stream, and the arrival that comes next.
    Stream { stream: Box<Stream<'static>>, next: Option<Arrival> },
    /// Each lane by itself: its next due time, and which of its own that is.
    Each { schedule: Box<Schedule>, next: BinaryHeap<Reverse<(Mono, LaneIx, u64)>> },
}

impl Due {
    /// A schedule whose phase began at `start`.
    pub fn new(schedule: &Schedule, start: Mono) -> Self {
        let source = if schedule.is_per_lane() {
            let first = |lane| Some(Reverse((start + schedule.due(lane, 0)?, lane, 0)));
            let next = schedule.who.iter().filter_map(first).collect();
            Source::Each { schedule: Box::new(schedule.clone()), next }
        } else {
            let mut stream = Box::new(schedule.clone().into_stream());
            let next = stream.next();
            Source::Stream { stream, next }
        };
        Due { start, source }
    }

    /// When the next arrival is due.
    pub fn next(&self) -> Option<Mono> {
        match &self.source {
            Source::Stream { next, .. } => next.map(|arrival| self.start + arrival.due),
            Source::Each { next, .. } => next.peek().map(|Reverse((due, _, _))| *due),
        }
    }

    /// The next arrival that is due by now.
    pub fn pop(&mut self, now: Mono) -> Option<(Mono, LaneIx)> {
        let due = self.next().filter(|&due| due <= now)?;
        match &mut self.source {
            Source::Stream { stream, next } => {
                let lane = next.as_ref()?.lane;
                *next = stream.next();
                Some((due, lane))
            }
            Source::Each { schedule, next } => {
                let Reverse((_, lane, k)) = next.pop()?;
                if let Some(later) = schedule.due(lane, k + 1) {
                    next.push(Reverse((self.start + later, lane, k + 1)));
                }
                Some((due, lane))
            }
        }
    }
}

impl fmt::Debug for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Due(next at {:?})", self.next())
    }
}

/// A phase in which devices do something, running.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) phase: PhaseIx,
    pub(crate) operation: Operation,
    pub(crate) order: Order,
    /// Whether its devices are woken by pushes that it asks for.
    pub(crate) pushes: bool,
    due: Option<Due>,
}

impl Running {
    pub(crate) fn new(plan: &Plan, phase: PhaseIx, start: Mono) -> Self {
        let action = plan.phases.get(phase.ix()).map(|p| &p.action);
        let (operation, order, schedule) = match action {
            Some(Action::Enroll(s)) => (Operation::Enroll, Order::Enroll, Some(s)),
            Some(Action::CheckIn(s)) => (Operation::CheckIn, Order::CheckIn, Some(s)),
            Some(Action::Unenroll(s)) => (Operation::Unenroll, Order::Unenroll, Some(s)),
            Some(Action::Renew(s)) => (Operation::Renew, Order::Renew, Some(s)),
            // What the administrator does is not the devices'.
            Some(Action::Command { .. } | Action::Push(_) | Action::Wait) | None => {
                (Operation::CheckIn, Order::CheckIn, None)
            }
        };
        let pushes = matches!(action, Some(Action::Command { push: true, .. } | Action::Push(_)));
        Running { phase, operation, order, pushes, due: schedule.map(|schedule| Due::new(schedule, start)) }
    }

    pub(crate) fn next(&self) -> Option<Mono> {
        self.due.as_ref().and_then(Due::next)
    }

    pub(crate) fn pop(&mut self, now: Mono) -> Option<(Mono, LaneIx)> {
        self.due.as_mut().and_then(|due| due.pop(now))
    }
}
