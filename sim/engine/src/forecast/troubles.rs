//! What a plan has go wrong on the network and at the push service, in virtual time.

use crate::faults::{LaneFaults, delay_of};
use droves_facts::{Dice, LaneIx, Mono, PhaseIx, Purpose};
use droves_scenario::plan::{FaultKind, Plan};
use droves_shard::forecast::Line;

/// The faults of a plan that are neither the server's nor the model's.
#[derive(Debug)]
pub struct Troubles {
    network: LaneFaults,
    pushes: LaneFaults,
    dice: Dice,
    delays: u64,
}

impl Troubles {
    /// Those of this plan.
    pub fn of(plan: &Plan) -> Self {
        let is_push = |what: &FaultKind| matches!(what, FaultKind::PushLost | FaultKind::PushAnswer(_));
        Troubles {
            network: LaneFaults::of_network(plan),
            pushes: LaneFaults::of(plan, is_push),
            dice: plan.dice(),
            delays: 0,
        }
    }

    /// A phase begins.
    pub fn phase_begins(&self, phase: PhaseIx, now: Mono) {
        self.network.phase_begins(phase, now);
        self.pushes.phase_begins(phase, now);
    }

    /// A phase is over.
    pub fn phase_ends(&self, phase: PhaseIx) {
        self.network.phase_ends(phase);
        self.pushes.phase_ends(phase);
    }

    /// What strikes the connection that this lane opens now.
    pub fn line(&mut self, lane: LaneIx, now: Mono) -> Line {
        let mut line = Line::default();
        for fault in self.network.strike(lane, now) {
            match fault {
                FaultKind::NetworkRefused => line.refused = true,
                FaultKind::NetworkReset => line.reset = true,
                FaultKind::NetworkLatency(delay) => {
                    self.delays += 1;
                    line.latency += delay_of(delay, &mut self.dice.draw(2, Purpose::Model, self.delays));
                }
                FaultKind::NetworkBandwidth(rate) => line.bytes_per_s = Some(rate),
                FaultKind::PushAnswer(_) | FaultKind::PushLost | FaultKind::Server(_) | FaultKind::Google(..) => {}
            }
        }
        line
    }

    /// Whether the push that this lane is sent now gets lost.
    pub fn loses_push(&self, lane: LaneIx, now: Mono) -> bool {
        !self.pushes.strike(lane, now).is_empty()
    }
}
