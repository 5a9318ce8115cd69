//! What devices are connected to for long: the broker, and polls that are held.

use super::polls::Ticket;
use crate::mqtt::{LineId, Refusal, Written};
use crate::practice::brain::Brain;
use crate::practice::exchange::Outgoing;
use droves_facts::Mono;
use droves_scenario::plan::ServerFault;

/// Who has something to do since something else was done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stir {
    /// A connection to the broker: [`Brain::line_taken`].
    Line(LineId),
    /// A poll: [`Brain::resume`].
    Poll(Ticket),
    /// Whoever calls [`Brain::tick`]: [`Brain::due`] is another time.
    Clock,
}

impl Brain {
    /// Somebody has connected to the broker.
    pub fn line_opened(&mut self, now: Mono) -> LineId {
        self.agents.broker.open(now)
    }

    /// Bytes came.
    pub fn line_heard(&mut self, now: Mono, line: LineId, bytes: &[u8]) {
        let Brain { house, agents, .. } = self;
        agents.broker.hear(now, line, bytes, &mut |client| {
            let wanted = |fault: &ServerFault| matches!(fault, ServerFault::Answer(_) | ServerFault::HangUp);
            house.strike(now, Some(client), None, wanted).map(|fault| match fault {
                ServerFault::HangUp => Refusal::HangUp,
                _ => Refusal::Unavailable,
            })
        });
        agents.settle(house);
    }

    /// A connection's deadline has passed.
    pub fn line_fired(&mut self, now: Mono, line: LineId) {
        self.agents.broker.fire(now, line);
    }

    /// What a connection is to do.
    pub fn line_taken(&mut self, line: LineId) -> Written {
        self.agents.broker.take(line)
    }

    /// A connection is closed.
    pub fn line_gone(&mut self, line: LineId) {
        self.agents.broker.gone(line);
    }

    /// The answer to a request that was held.
    pub fn resume(&mut self, ticket: Ticket) -> Outgoing {
        let outgoing = self.agents.resume(&mut self.house, ticket);
        let place = super::Place::Polling.path().to_owned();
        *self.house.truth.requests.entry((place, outgoing.status)).or_default() += 1;
        outgoing
    }

    /// Whoever was held has gone away.
    pub fn abandon(&mut self, ticket: Ticket) {
        self.agents.abandon(&mut self.house, ticket);
    }

    /// Who has something to do since this was asked last.
    pub fn stirred(&mut self) -> Vec<Stir> {
        let lines = self.agents.broker.stirred().into_iter().map(Stir::Line);
        lines.chain(std::mem::take(&mut self.agents.stirred)).collect()
    }

    /// When [`Brain::tick`] is to be called.
    pub fn due(&self) -> Option<Mono> {
        self.agents.due()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Mono) {
        self.agents.tick(now);
    }
}
