//! What goes wrong on purpose on the network and at the push services. What the practice server does wrong is its own.

use crate::pushing::{Given, Pushing};
use crate::run::RunError;
use droves_facts::{Dice, Dur, LaneIx, Mono, PhaseIx, Purpose};
use droves_scenario::plan::{Delay, Fault, FaultKind, Plan, Strikes};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;

/// Whether every fault has somebody who can commit it.
pub(crate) fn check(plan: &Plan) -> Result<(), RunError> {
    let is_servers = |fault: &Fault| matches!(fault.what, FaultKind::Server(_));
    if plan.target.url.is_some() && plan.faults.iter().any(is_servers) {
        return Err(RunError::Fault("only the practice server in this process takes orders: leave `url` out"));
    }
    Ok(())
}

/// When a fault is on, whom it is about, how often it strikes.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: FaultKind,
    pub(crate) strikes: Strikes,
    lanes: Option<Vec<Range<u32>>>,
    pub(crate) during: Option<PhaseIx>,
    after: Dur,
    length: Option<Dur>,
}

impl Row {
    pub(crate) fn of(fault: &Fault, plan: &Plan) -> Self {
        let lanes = |ix: &droves_facts::PopulationIx| plan.populations.get(ix.ix()).map(|p| p.lanes.clone());
        Row {
            what: fault.what,
            strikes: fault.strikes,
            lanes: fault.who.as_ref().map(|who| who.iter().filter_map(lanes).collect()),
            during: fault.during,
            after: fault.after,
            length: fault.length,
        }
    }

    pub(crate) fn window(&self, start: Mono) -> Range<Mono> {
        let from = start + self.after;
        from..self.length.map_or(Mono::NEVER, |length| from + length)
    }
}

/// Faults that strike lanes, as one shard draws them: the network's once for each connection, a modelled server's once
/// for each request.
#[derive(Debug)]
pub(crate) struct LaneFaults {
    rows: Vec<Row>,
    /// Of each row, the occasions on which it could have struck.
    matched: RefCell<Vec<u64>>,
    dice: Dice,
    occasions: Cell<u64>,
    began: RefCell<BTreeMap<PhaseIx, Mono>>,
}

impl LaneFaults {
    /// The network's.
    pub(crate) fn of_network(plan: &Plan) -> Self {
        LaneFaults::of(plan, |what| {
            !matches!(
                what,
                FaultKind::PushAnswer(_) | FaultKind::PushLost | FaultKind::Server(_) | FaultKind::Google(..)
            )
        })
    }

    /// Those of some kinds.
    pub(crate) fn of(plan: &Plan, wanted: impl Fn(&FaultKind) -> bool) -> Self {
        let rows: Vec<Row> = plan.faults.iter().filter(|f| wanted(&f.what)).map(|fault| Row::of(fault, plan)).collect();
        LaneFaults {
            matched: RefCell::new(vec![0; rows.len()]),
            rows,
            dice: plan.dice(),
            occasions: Cell::new(0),
            began: RefCell::default(),
        }
    }

    /// A network that does its best.
    pub(crate) fn none() -> Self {
        LaneFaults {
            rows: Vec::new(),
            matched: RefCell::default(),
            dice: Dice::new(0),
            occasions: Cell::new(0),
            began: RefCell::default(),
        }
    }

    pub(crate) fn phase_begins(&self, phase: PhaseIx, now: Mono) {
        self.began.borrow_mut().insert(phase, now);
    }

    pub(crate) fn phase_ends(&self, phase: PhaseIx) {
        self.began.borrow_mut().remove(&phase);
    }

    /// The faults that strike this lane now: each call is an occasion.
    pub(crate) fn strike(&self, lane: LaneIx, now: Mono) -> Vec<FaultKind> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        self.occasions.set(self.occasions.get() + 1);
        let mut matched = self.matched.borrow_mut();
        let began = self.began.borrow();
        let mut strikes = |(n, row): &(usize, &Row)| {
            let start = row.during.map_or(Some(Mono::ZERO), |phase| began.get(&phase).copied());
            let is_on = start.is_some_and(|start| row.window(start).contains(&now));
            let is_about = row.lanes.as_ref().is_none_or(|lanes| lanes.iter().any(|range| range.contains(&lane.0)));
            if !is_on || !is_about {
                return false;
            }
            matched[*n] += 1;
            match row.strikes {
                Strikes::Share(share) => {
                    let ordinal = (*n as u64) << 48 | self.occasions.get();
                    self.dice.draw(lane.0, Purpose::Fault, ordinal).unit() < share
                }
                // Of the network's the scenario lets none through: connections of several shards have no order.
                Strikes::Nth(nth) => matched[*n] == nth,
            }
        };
        self.rows.iter().enumerate().filter(&mut strikes).map(|(_, row)| row.what).collect()
    }

    /// A way to draw delays for the occasion that was last.
    pub(crate) fn delays(&self, lane: LaneIx, delay: Delay) -> impl FnMut() -> Dur + 'static {
        let (dice, occasion) = (self.dice, self.occasions.get());
        let mut n = 0_u64;
        move || {
            n += 1;
            let mut draw = dice.draw(lane.0, Purpose::Fault, 1 << 63 | occasion << 20 | n & 0xF_FFFF);
            delay_of(delay, &mut draw)
        }
    }
}

pub(crate) fn delay_of(delay: Delay, draw: &mut droves_facts::Philox) -> Dur {
    match delay {
        Delay::Fixed(delay) => delay,
        Delay::Uniform { from, to } => from + (to - from).scaled(draw.unit()),
        Delay::Lognormal { median, sigma } => {
            // Box and Muller's way to a normal draw.
            let (a, b) = ((1.0 - draw.unit()).max(f64::MIN_POSITIVE), draw.unit());
            let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
            median.scaled((sigma * normal).exp())
        }
    }
}

/// The faults of the push services: given to them as orders when their time comes.
#[derive(Debug)]
pub(crate) struct PushFaults {
    rows: Vec<Row>,
    given: BTreeMap<PhaseIx, Vec<Given>>,
}

impl PushFaults {
    /// Gives the orders that hold for the whole run.
    pub(crate) fn new(plan: &Plan, push: &Pushing) -> Self {
        let is_push = |fault: &&Fault| matches!(fault.what, FaultKind::PushAnswer(_) | FaultKind::PushLost);
        let rows: Vec<Row> = plan.faults.iter().filter(is_push).map(|fault| Row::of(fault, plan)).collect();
        for row in rows.iter().filter(|row| row.during.is_none()) {
            give(row, Mono::ZERO, push);
        }
        PushFaults { rows, given: BTreeMap::new() }
    }

    pub(crate) fn phase_begins(&mut self, phase: PhaseIx, now: Mono, push: &Pushing) {
        let orders = self.rows.iter().filter(|row| row.during == Some(phase)).flat_map(|row| give(row, now, push));
        self.given.insert(phase, orders.collect());
    }

    pub(crate) fn phase_ends(&mut self, phase: PhaseIx, push: &Pushing) {
        for order in self.given.remove(&phase).unwrap_or_default() {
            push.lift(order);
        }
    }
}

fn give(row: &Row, start: Mono, push: &Pushing) -> Vec<Given> {
    let status = match row.what {
        FaultKind::PushAnswer(status) => Some(status),
        _ => None,
    };
    let window = row.window(start);
    match &row.lanes {
        None => push.order(status, row.strikes, None, &window),
        Some(lanes) => lanes.iter().flat_map(|lanes| push.order(status, row.strikes, Some(lanes), &window)).collect(),
    }
}
