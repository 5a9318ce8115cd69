//! The administrator in virtual time: the same commands in the same batches, so many calls open at a time as the profile
//! allows, each a request that the modelled server has to work on.

use super::Side;
use crate::admin::{Command, Naming, begun, kind};
use crate::track::Tracks;
use droves_device::Device;
use droves_facts::{
    Blame, CommandKey, Dice, Dur, Fact, LaneIx, Mono, Operation, Outcome, PhaseIx, RequestTiming, What,
};
use droves_scenario::plan::{Action, Plan};
use droves_scenario::server::{self, CommandName, Queueing};
use droves_shard::forecast::{Forecast, Served};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What the address of an enrollment takes in a call.
const ID_BYTES: usize = 26;

/// The administrator.
pub(super) struct Office {
    plan: Arc<Plan>,
    naming: Naming,
    /// Each kind at its own place.
    queueing: [Counter; Queueing::ALL.len()],
    pushing: Counter,
    /// Calls that are open, by the time of their answer and a number.
    open: BTreeMap<(Mono, u64), Open>,
    calls: u64,
    /// Commands of which some calls are not answered yet.
    orders: BTreeMap<u64, Order>,
    ordered: u64,
    /// How many were queued for a lane of what is known by its order.
    in_order: BTreeMap<(LaneIx, Queueing), u64>,
}

/// Calls of one kind.
struct Counter {
    operation: Operation,
    batch_max: usize,
    in_flight_max: usize,
    in_flight: usize,
    waiting: VecDeque<Call>,
}

/// One call.
struct Call {
    phase: PhaseIx,
    lanes: Vec<LaneIx>,
    /// For a call that queues: what, and of which order it is a part.
    queues: Option<(Arc<Command>, u64)>,
    asked: Mono,
}

/// A call that is open, and whether it will be answered well.
struct Open {
    call: Call,
    started: Mono,
    is_well: bool,
}

/// What is done once all calls that queue a command are answered.
struct Order {
    calls_left: usize,
    taken: Vec<LaneIx>,
    push: bool,
    deadline: Option<Dur>,
}

impl Counter {
    fn new(operation: Operation, call: Option<&server::Call>) -> Self {
        let most = |n: Option<u32>| n.map_or(1, |n| n.max(1) as usize);
        Counter {
            operation,
            batch_max: most(call.map(|call| call.batch)),
            in_flight_max: most(call.map(|call| call.in_flight)),
            in_flight: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl Office {
    pub(super) fn new(plan: &Arc<Plan>) -> Self {
        let admin = plan.target.profile.admin.as_ref();
        Office {
            naming: Naming::new(Dice::new(plan.seed)),
            queueing: Queueing::ALL
                .map(|of| Counter::new(Operation::AdminQueue, admin.and_then(|admin| admin.queueing(of)))),
            pushing: Counter::new(Operation::AdminPush, admin.and_then(|admin| admin.push.as_ref())),
            plan: Arc::clone(plan),
            open: BTreeMap::new(),
            calls: 0,
            orders: BTreeMap::new(),
            ordered: 0,
            in_order: BTreeMap::new(),
        }
    }

    /// When the next call is answered.
    pub(super) fn next(&self) -> Option<Mono> {
        self.open.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does what is due in a phase.
    pub(super) fn administer<S: Side>(
        &mut self,
        phase: PhaseIx,
        due: &[(Mono, LaneIx)],
        running: &mut Forecast<Device, S>,
        tracks: &mut Tracks,
    ) {
        let now = running.clocks().now;
        running.facts.extend(begun(due, now, phase, self.plan.bounds.lag_max));
        let lanes: Vec<LaneIx> = due.iter().map(|&(_, lane)| lane).collect();
        let plan = Arc::clone(&self.plan);
        match plan.phases.get(phase.ix()).map(|planned| &planned.action) {
            Some(Action::Command { command, push, .. }) => {
                let queueing = &mut self.queueing[command.queueing() as usize];
                let calls = self.naming.calls(command, phase, &lanes, queueing.batch_max);
                self.ordered += 1;
                let order =
                    Order { calls_left: calls.len(), taken: Vec::new(), push: *push, deadline: command.deadline };
                self.orders.insert(self.ordered, order);
                for (command, lanes) in calls {
                    command.names.iter().for_each(|name| tracks.command(phase, name.key));
                    let queues = Some((Arc::new(command), self.ordered));
                    queueing.waiting.push_back(Call { phase, lanes, queues, asked: now });
                }
            }
            Some(Action::Push(_)) => self.push(phase, &lanes, now),
            _ => {}
        }
        self.call(running);
    }

    /// Takes the answers that are there by now.
    pub(super) fn tick<S: Side>(&mut self, running: &mut Forecast<Device, S>) {
        let now = running.clocks().now;
        while let Some(entry) = self.open.first_entry().filter(|entry| entry.key().0 <= now) {
            let open = entry.remove();
            self.answered(open, now, running);
        }
        self.call(running);
    }

    fn push(&mut self, phase: PhaseIx, lanes: &[LaneIx], now: Mono) {
        let calls = lanes.chunks(self.pushing.batch_max);
        self.pushing.waiting.extend(calls.map(|lanes| Call { phase, lanes: lanes.to_vec(), queues: None, asked: now }));
    }

    /// Makes the calls for which there is room.
    fn call<S: Side>(&mut self, running: &mut Forecast<Device, S>) {
        let now = running.clocks().now;
        for counter in self.queueing.iter_mut().chain([&mut self.pushing]) {
            while counter.in_flight < counter.in_flight_max
                && let Some(call) = counter.waiting.pop_front()
            {
                counter.in_flight += 1;
                let operation = counter.operation;
                say(running, now, call.phase, LaneIx::NOBODY, What::RequestStarted { operation });
                let served = if running.desk.is_out(now) { Served::Full } else { running.desk.take(now) };
                let (at, is_well) = match served {
                    Served::At(at) => (at, true),
                    Served::Fails(at) => (at, false),
                    Served::Full => (now, false),
                };
                self.calls += 1;
                // Never now: what is answered at once would be taken in the same turn for ever.
                let at = at.max(now + Dur(1));
                self.open.insert((at, self.calls), Open { call, started: now, is_well });
            }
        }
    }

    fn answered<S: Side>(&mut self, open: Open, now: Mono, running: &mut Forecast<Device, S>) {
        let Open { call: Call { phase, lanes, queues, asked }, started, is_well } = open;
        let counter = match &queues {
            Some((command, _)) => &mut self.queueing[command.queueing() as usize],
            None => &mut self.pushing,
        };
        counter.in_flight -= 1;
        let operation = counter.operation;
        let timing = RequestTiming { due: started, started, sent: started, first_byte: Some(now), ended: now };
        let failed = Outcome::Failed { blame: Blame::Server, kind: "unavailable" };
        let outcome = if is_well { Outcome::Succeeded } else { failed };
        let body = queues.as_ref().map_or(0, |(command, _)| command.bytes().len());
        let bytes_out = u32::try_from(body + ID_BYTES * lanes.len()).unwrap_or(u32::MAX);
        let what = What::RequestEnded { operation, timing, outcome, bytes_out, bytes_in: 0 };
        say(running, now, phase, LaneIx::NOBODY, what);
        match queues {
            Some((command, order)) => self.queued(phase, &command, order, &lanes, asked, is_well, running),
            None => {
                let clocks = running.clocks();
                for lane in lanes.into_iter().filter(|_| is_well) {
                    let Some(sent) = running.world.push(clocks, lane) else { continue };
                    say(running, now, phase, lane, What::PushAsked);
                    for notification in sent {
                        running.push(notification);
                    }
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one call, taken apart just before")]
    fn queued<S: Side>(
        &mut self,
        phase: PhaseIx,
        command: &Arc<Command>,
        order: u64,
        lanes: &[LaneIx],
        asked: Mono,
        is_well: bool,
        running: &mut Forecast<Device, S>,
    ) {
        let now = running.clocks().now;
        let admin = self.plan.target.profile.admin.as_ref();
        let named = admin.and_then(|admin| admin.queueing(command.queueing())).map(|call| call.command_name.clone());
        let Some(of) = self.orders.get_mut(&order) else { return };
        let taken = if is_well { running.world.queue(running.clocks(), lanes, command) } else { Vec::new() };
        let returned = running.world.returned();
        for &lane in lanes {
            let is_taken = taken.contains(&lane);
            if is_taken {
                of.taken.push(lane);
            }
            let deadline = of.deadline.map_or(Mono::NEVER, |deadline| now + deadline);
            let keys = match &named {
                Some(CommandName::Given) => command.names.iter().map(|name| name.key).collect(),
                Some(CommandName::Returned(_)) => match &returned {
                    Some(name) => vec![CommandKey::of(name.as_bytes())],
                    None => command.names.iter().map(|name| name.key).collect(),
                },
                Some(CommandName::ByOrder) => {
                    let n = self.in_order.entry((lane, command.queueing())).or_default();
                    *n += u64::from(is_taken);
                    vec![CommandKey::by_order(lane, kind(command.queueing()), n.saturating_sub(1))]
                }
                Some(CommandName::Unknown) | None => Vec::new(),
            };
            for command in keys {
                let what = match is_taken {
                    true => What::CommandQueued { command, asked, queued: now, deadline },
                    false => What::CommandRefused { command },
                };
                say(running, now, phase, lane, what);
            }
        }
        of.calls_left -= 1;
        if of.calls_left == 0
            && let Some(done) = self.orders.remove(&order)
            && done.push
        {
            self.push(phase, &done.taken, now);
        }
    }
}

fn say<S>(running: &mut Forecast<Device, S>, at: Mono, phase: PhaseIx, lane: LaneIx, what: What) {
    running.facts.push(Fact { at, phase, lane, what });
}
