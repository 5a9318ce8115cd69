//! Orders to do something wrong, and which of them strikes.

use droves_facts::{Dice, Philox, Purpose};
use droves_scenario::plan::Strikes;

/// The name of an order that was given, to take it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderId(u64);

/// An order that strikes some of what matches it.
pub(crate) trait Strike {
    fn strikes(&self) -> Strikes;
}

/// The orders in force. There are at most [`ORDERS_MAX`].
#[derive(Debug)]
pub(crate) struct Orders<O> {
    given: Vec<Given<O>>,
    next: u64,
}

#[derive(Debug)]
struct Given<O> {
    id: u64,
    order: O,
    matched: u64,
}

impl<O> Default for Orders<O> {
    fn default() -> Self {
        Orders { given: Vec::new(), next: 0 }
    }
}

impl<O: Strike> Orders<O> {
    /// Takes an order; `None` when there are too many.
    pub(crate) fn give(&mut self, order: O) -> Option<OrderId> {
        if self.given.len() == ORDERS_MAX {
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.given.push(Given { id, order, matched: 0 });
        Some(OrderId(id))
    }

    pub(crate) fn lift(&mut self, id: OrderId) {
        self.given.retain(|given| given.id != id.0);
    }

    /// The order that strikes occasion `number`, if one does, with dice for what it leaves open: of several the one that
    /// was given first. Each order counts what matches it, struck by another or not, so that orders do not move each
    /// other's draws.
    pub(crate) fn strike(&mut self, dice: Dice, number: u64, matches: impl Fn(&O) -> bool) -> Option<(&O, Philox)> {
        let mut struck = None;
        for given in self.given.iter_mut().filter(|given| matches(&given.order)) {
            given.matched += 1;
            // The order's own number stands where a device stands in other draws: orders are of the run.
            let mut rng = dice.draw(given.id as u32, Purpose::Fault, number);
            let strikes = match given.order.strikes() {
                Strikes::Share(share) => rng.unit() < share,
                Strikes::Nth(n) => given.matched == n,
            };
            if strikes && struck.is_none() {
                struck = Some((&given.order, rng));
            }
        }
        struck
    }
}

/// A scenario has a handful; more is a mistake that would slow everything down that they are about.
pub const ORDERS_MAX: usize = 64;
