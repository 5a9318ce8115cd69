//! What the practice server does wrong, on order.

use droves_facts::{Dice, Dur, Mono, PhaseIx, Purpose};
use droves_scenario::plan::{Delay, Fault, FaultKind, ServerFault};
use std::collections::BTreeMap;

/// Faults with their windows. Whether one strikes is drawn from the run's dice and the number of the occasion.
#[derive(Clone, Debug)]
pub struct Faults {
    rows: Vec<Row>,
    dice: Dice,
    occasion: u64,
    began: BTreeMap<PhaseIx, Mono>,
}

#[derive(Clone, Debug)]
struct Row {
    fault: ServerFault,
    share: f64,
    during: Option<PhaseIx>,
    after: Dur,
    length: Option<Dur>,
}

impl Faults {
    /// The faults of a plan that are the server's.
    pub fn new(faults: &[Fault], dice: Dice) -> Self {
        let row = |fault: &Fault| match fault.what {
            FaultKind::Server(server) => Some(Row {
                fault: server,
                share: fault.share,
                during: fault.during,
                after: fault.after,
                length: fault.length,
            }),
            _ => None,
        };
        Faults { rows: faults.iter().filter_map(row).collect(), dice, occasion: 0, began: BTreeMap::new() }
    }

    /// A phase of the plan begins.
    pub fn phase_begins(&mut self, phase: PhaseIx, now: Mono) {
        self.began.insert(phase, now);
    }

    /// A phase of the plan is over.
    pub fn phase_ends(&mut self, phase: PhaseIx) {
        self.began.remove(&phase);
    }

    /// The first fault of a kind that `wanted` names and that strikes on this occasion.
    pub(super) fn strike(&mut self, now: Mono, wanted: impl Fn(&ServerFault) -> bool) -> Option<ServerFault> {
        self.occasion += 1;
        for (n, row) in self.rows.iter().enumerate().filter(|(_, row)| wanted(&row.fault)) {
            let start = match row.during {
                None => Some(Mono::ZERO),
                Some(phase) => self.began.get(&phase).copied(),
            };
            let is_open = start.is_some_and(|start| {
                let from = start + row.after;
                from <= now && row.length.is_none_or(|length| now < from + length)
            });
            let drawn = self.dice.draw(u32::MAX - n as u32, Purpose::Fault, self.occasion).unit();
            if is_open && drawn < row.share {
                return Some(row.fault);
            }
        }
        None
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
    }
}
