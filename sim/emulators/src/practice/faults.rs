//! What the practice server does wrong, on order.

use droves_facts::{Dice, Dur, Mono, PhaseIx, PopulationIx, Purpose};
use droves_scenario::plan::{Delay, Fault, FaultKind, ServerFault, Strikes};
use std::collections::{BTreeMap, HashMap};

/// Faults with their windows. Whether one strikes is drawn from the run's dice and the number of the occasion, or
/// counted.
#[derive(Clone, Debug)]
pub struct Faults {
    rows: Vec<Row>,
    dice: Dice,
    occasion: u64,
    began: BTreeMap<PhaseIx, Mono>,
    populations: HashMap<String, PopulationIx>,
}

#[derive(Clone, Debug)]
struct Row {
    fault: ServerFault,
    strikes: Strikes,
    who: Option<Vec<PopulationIx>>,
    during: Option<PhaseIx>,
    after: Dur,
    length: Option<Dur>,
    /// Occasions that it could have struck.
    matched: u64,
}

impl Faults {
    /// The faults of a plan that are the server's.
    pub fn new(faults: &[Fault], dice: Dice) -> Self {
        let row = |fault: &Fault| match fault.what {
            FaultKind::Server(server) => Some(Row {
                fault: server,
                strikes: fault.strikes,
                who: fault.who.clone(),
                during: fault.during,
                after: fault.after,
                length: fault.length,
                matched: 0,
            }),
            _ => None,
        };
        let rows = faults.iter().filter_map(row).collect();
        Faults { rows, dice, occasion: 0, began: BTreeMap::new(), populations: HashMap::new() }
    }

    /// Tells which population a device is of, by the id that it enrolls with (users' channels are their device's).
    pub fn introduce(&mut self, populations: HashMap<String, PopulationIx>) {
        self.populations = populations;
    }

    /// A phase of the plan begins.
    pub fn phase_begins(&mut self, phase: PhaseIx, now: Mono) {
        self.began.insert(phase, now);
    }

    /// A phase of the plan is over.
    pub fn phase_ends(&mut self, phase: PhaseIx) {
        self.began.remove(&phase);
    }

    /// Whether there is a fault of a kind that `wanted` names.
    pub(super) fn has(&self, wanted: impl Fn(&ServerFault) -> bool) -> bool {
        self.rows.iter().any(|row| wanted(&row.fault))
    }

    /// The first fault of a kind that `wanted` names and that strikes this enrollment on this occasion. Each counts
    /// what it could strike, struck by another or not, so that faults do not move each other.
    pub(super) fn strike(
        &mut self,
        now: Mono,
        id: Option<&str>,
        wanted: impl Fn(&ServerFault) -> bool,
    ) -> Option<ServerFault> {
        self.occasion += 1;
        let device = id.map(|id| id.split(':').next().unwrap_or(id));
        let population = device.and_then(|device| self.populations.get(device));
        let mut struck = None;
        for (n, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| wanted(&row.fault)) {
            let start = match row.during {
                None => Some(Mono::ZERO),
                Some(phase) => self.began.get(&phase).copied(),
            };
            let is_open = start.is_some_and(|start| {
                let from = start + row.after;
                from <= now && row.length.is_none_or(|length| now < from + length)
            });
            let is_about = row.who.as_ref().is_none_or(|who| population.is_some_and(|ix| who.contains(ix)));
            if !is_open || !is_about {
                continue;
            }
            row.matched += 1;
            let strikes = match row.strikes {
                Strikes::Share(share) => {
                    self.dice.draw(u32::MAX - n as u32, Purpose::Fault, self.occasion).unit() < share
                }
                Strikes::Nth(nth) => row.matched == nth,
            };
            if strikes && struck.is_none() {
                struck = Some(row.fault);
            }
        }
        struck
    }

    /// A number for whatever is chosen on an occasion.
    pub(super) fn number(&mut self) -> u64 {
        self.occasion += 1;
        self.dice.draw(u32::MAX, Purpose::Fault, self.occasion).u64()
    }

    /// How long something takes.
    pub(super) fn delay(&mut self, delay: Delay) -> Dur {
        self.occasion += 1;
        let mut dice = self.dice.draw(u32::MAX - 1, Purpose::Fault, self.occasion);
        match delay {
            Delay::Fixed(delay) => delay,
            Delay::Uniform { from, to } => from + (to - from).scaled(dice.unit()),
            Delay::Lognormal { median, sigma } => {
                // Box and Muller's way to a normal draw.
                let (a, b) = (dice.unit().max(f64::MIN_POSITIVE), dice.unit());
                let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
                median.scaled((sigma * normal).exp())
            }
        }
    }
}

/// The name of a fault in `/_truth`.
pub(super) fn name(fault: &ServerFault) -> &'static str {
    match fault {
        ServerFault::Answer(_) => "answer",
        ServerFault::Slow(_) => "slow",
        ServerFault::HangUp => "hang_up",
        ServerFault::LoseCommand => "lose_command",
        ServerFault::RepeatCommand => "repeat_command",
        ServerFault::MisdeliverCommand => "misdeliver_command",
        ServerFault::ForgetPush => "forget_push",
        ServerFault::Html => "html",
        ServerFault::Chunked => "chunked",
        ServerFault::IllFormed => "ill_formed",
        ServerFault::WrongReference => "wrong_reference",
        ServerFault::Refuse(_) => "refuse",
        ServerFault::WrongSignature => "wrong_signature",
        ServerFault::LoseOnQuota => "lose_on_quota",
        ServerFault::CrashOnForgotten => "crash_on_forgotten",
        ServerFault::GoneIsDone => "gone_is_done",
    }
}
