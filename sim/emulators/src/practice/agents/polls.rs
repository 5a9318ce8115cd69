//! Messages for those who ask: at once, or held until there is one.

use super::sync::is_signature;
use super::{Agents, Stir, page, refused};
use crate::practice::exchange::{Incoming, Outgoing};
use crate::practice::house::House;
use droves_facts::Mono;
use droves_wire::android::headwind::envelope::UNKNOWN_DEVICE;
use droves_wire::android::headwind::{JSON, Push, push};
use std::collections::HashMap;

/// Messages that wait for one device; the oldest makes room.
const ROWS_MAX: usize = 100;

/// Names a poll that is held; none is ever named again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(u64);

/// A request that is answered later: when [`Stir::Poll`] names it, or at its end, by [`crate::practice::Brain::resume`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Which.
    pub ticket: Ticket,
    /// When it ends by itself.
    pub until: Mono,
}

/// A message that waits.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) at: Mono,
    pub(super) name: u64,
    pub(super) push: Push,
}

/// Polls that are held. The registry has one of each device.
#[derive(Debug)]
pub(super) struct Polls {
    is_careless: bool,
    registry: HashMap<String, Ticket>,
    held: HashMap<Ticket, (String, Vec<Row>)>,
    opened: u64,
}

impl Polls {
    pub(super) fn new(is_careless: bool) -> Self {
        Polls { is_careless, registry: HashMap::new(), held: HashMap::new(), opened: 0 }
    }

    /// A later one takes an earlier one's place, which is left to its end.
    fn hold(&mut self, number: &str) -> Ticket {
        self.opened += 1;
        let ticket = Ticket(self.opened);
        self.registry.insert(number.to_owned(), ticket);
        self.held.insert(ticket, (number.to_owned(), Vec::new()));
        ticket
    }

    /// Gives a message to the poll that is held, if there is one; gives it back otherwise.
    pub(super) fn give(&mut self, number: &str, row: Row) -> Result<Ticket, Row> {
        let Some(&ticket) = self.registry.get(number) else { return Err(row) };
        match self.held.get_mut(&ticket) {
            Some((_, rows)) => {
                rows.push(row);
                Ok(ticket)
            }
            // Its client was cut off, and nobody has noticed.
            None if self.is_careless => Ok(ticket),
            None => Err(row),
        }
    }

    /// A poll has its answer.
    fn end(&mut self, ticket: Ticket) -> Option<(String, Vec<Row>)> {
        let (number, rows) = self.held.remove(&ticket)?;
        if self.is_careless || self.registry.get(&number) == Some(&ticket) {
            self.registry.remove(&number);
        }
        Some((number, rows))
    }
}

impl Agents {
    /// Messages at once.
    pub(super) fn notifications(&mut self, house: &mut House, now: Mono, name: &str) -> Outgoing {
        let Some(number) = self.number_of(name) else { return refused(UNKNOWN_DEVICE) };
        house.truth.agents("polled");
        let rows = self.waiting(now, &number);
        self.listed(house, &number, &rows)
    }

    /// Messages, as soon as there is one.
    pub(super) fn poll(
        &mut self,
        house: &mut House,
        now: Mono,
        request: &Incoming<'_>,
        path: &str,
        name: &str,
    ) -> Outgoing {
        let signed = [path, path.strip_prefix('/').unwrap_or(path)];
        let is_good = |signed: &&str| is_signature(&self.settings.secret, request.proof, signed);
        if self.settings.is_secure && !signed.iter().any(is_good) {
            return page(403, "Forbidden");
        }
        let Some(number) = self.number_of(name) else { return refused(UNKNOWN_DEVICE) };
        house.truth.agents("polled");
        let rows = self.waiting(now, &number);
        if !rows.is_empty() {
            return self.listed(house, &number, &rows);
        }
        house.truth.agents("held");
        let held = Held { ticket: self.polls.hold(&number), until: now + self.settings.poll_wait };
        Outgoing { held: Some(held), ..page(500, "Internal Server Error") }
    }

    /// What a poll that was held is answered: messages, or the end of its time.
    pub(super) fn resume(&mut self, house: &mut House, ticket: Ticket) -> Outgoing {
        match self.polls.end(ticket) {
            Some((number, rows)) if !rows.is_empty() => self.listed(house, &number, &rows),
            _ => {
                house.truth.agents("idle");
                page(500, "Internal Server Error")
            }
        }
    }

    /// The client of a poll that was held is gone; what it was about to hear waits for the next, if somebody has noticed.
    pub(super) fn abandon(&mut self, house: &mut House, ticket: Ticket) {
        house.truth.agents("abandoned");
        if self.polls.is_careless {
            self.polls.held.remove(&ticket);
        } else if let Some((number, rows)) = self.polls.end(ticket) {
            rows.into_iter().for_each(|row| self.wait(&number, row));
        }
    }

    /// A message for the poll that is held, or for the next one.
    pub(super) fn post(&mut self, number: &str, row: Row) {
        match self.polls.give(number, row) {
            Ok(ticket) => {
                self.stirred.insert(Stir::Poll(ticket));
            }
            Err(row) => self.wait(number, row),
        }
    }

    fn wait(&mut self, number: &str, row: Row) {
        let Some(device) = self.devices.get_mut(number) else { return };
        if device.rows.len() >= ROWS_MAX {
            device.rows.pop_front();
        }
        device.rows.push_back(row);
    }

    /// Messages are delivered when they are told, whoever hears it.
    fn waiting(&mut self, now: Mono, number: &str) -> Vec<Row> {
        let life = self.settings.message_life;
        let Some(device) = self.devices.get_mut(number) else { return Vec::new() };
        device.rows.drain(..).filter(|row| now < row.at + life).collect()
    }

    fn listed(&mut self, house: &mut House, number: &str, rows: &[Row]) -> Outgoing {
        let pushes: Vec<Push> = rows.iter().map(|row| row.push.clone()).collect();
        for row in rows {
            let kind = row.push.kind.name();
            house.truth.command(number, &super::push::name_of(kind, row.name), kind, "polled");
        }
        Outgoing::new(200, JSON, push::write_list(&pushes))
    }
}
