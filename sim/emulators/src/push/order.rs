//! Faults on order: what a scenario wants a push service to do wrong, to whom, how often and when.

use droves_facts::{Dice, LaneIx, Mono, Purpose};
use droves_scenario::plan::Strikes;
use std::ops::Range;

/// One fault of a service that refuses for reasons `R`.
#[derive(Clone, PartialEq, Debug)]
pub struct Order<R> {
    /// What is done instead of what is right.
    pub fault: Fault<R>,
    /// To which of the notifications that match.
    pub strikes: Strikes,
    /// Whose notifications; `None` is everybody's, also those whose token is nobody's.
    pub lanes: Option<Range<u32>>,
    /// From when, and until before when.
    pub window: Range<Mono>,
}

/// What is done wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault<R> {
    /// Refused with this reason, though nothing is wrong with it.
    Refuse(R),
    /// Accepted with 200, and lost: push is best effort.
    Lose,
}

/// The name of an order that was given, to take it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderId(u64);

/// The orders in force. There are at most [`ORDERS_MAX`].
#[derive(Debug)]
pub(crate) struct Orders<R> {
    given: Vec<Given<R>>,
    next: u64,
}

#[derive(Debug)]
struct Given<R> {
    id: u64,
    order: Order<R>,
    matched: u64,
}

impl<R> Default for Orders<R> {
    fn default() -> Self {
        Orders { given: Vec::new(), next: 0 }
    }
}

impl<R: Copy> Orders<R> {
    /// Takes an order; `None` when there are too many.
    pub(crate) fn give(&mut self, order: Order<R>) -> Option<OrderId> {
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

    /// The fault that strikes notification `number`, if one does: of several the one that was ordered first. Each
    /// order counts what matches it, struck by another or not, so that orders do not move each other's draws.
    pub(crate) fn strike(&mut self, dice: Dice, now: Mono, lane: Option<LaneIx>, number: u64) -> Option<Fault<R>> {
        let mut struck = None;
        for given in self.given.iter_mut().filter(|given| given.order.matches(now, lane)) {
            given.matched += 1;
            let strikes = match given.order.strikes {
                // The order's own number stands where a device stands in other draws: orders are of the run.
                Strikes::Share(share) => dice.draw(given.id as u32, Purpose::Fault, number).unit() < share,
                Strikes::Nth(n) => given.matched == n,
            };
            if strikes && struck.is_none() {
                struck = Some(given.order.fault);
            }
        }
        struck
    }
}

impl<R> Order<R> {
    fn matches(&self, now: Mono, lane: Option<LaneIx>) -> bool {
        let whose = match &self.lanes {
            None => true,
            Some(lanes) => lane.is_some_and(|lane| lanes.contains(&lane.0)),
        };
        whose && self.window.contains(&now)
    }
}

/// A scenario has a handful; more is a mistake that would slow every push.
pub const ORDERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::apns::Reason;

    fn order(fault: Fault<Reason>, strikes: Strikes) -> Order<Reason> {
        Order { fault, strikes, lanes: None, window: Mono::ZERO..Mono::NEVER }
    }

    #[test]
    fn orders_strike_whom_and_when_they_say() {
        let mut orders = Orders::default();
        let lose = Order { lanes: Some(5..7), window: Mono(100)..Mono(200), ..order(Fault::Lose, Strikes::Share(1.0)) };
        let id = orders.give(lose).unwrap();
        let nth = orders.give(order(Fault::Refuse(Reason::Shutdown), Strikes::Nth(2))).unwrap();
        let dice = Dice::new(1);
        let mut strike = |now, lane| orders.strike(dice, Mono(now), lane, 0);
        assert_eq!(strike(150, Some(LaneIx(4))), None);
        assert_eq!(strike(150, None), Some(Fault::Refuse(Reason::Shutdown)), "the second of all");
        assert_eq!(strike(150, Some(LaneIx(5))), Some(Fault::Lose));
        assert_eq!(strike(200, Some(LaneIx(5))), None);
        orders.lift(id);
        orders.lift(nth);
        assert_eq!(orders.strike(dice, Mono(150), Some(LaneIx(5)), 0), None);
    }

    #[test]
    fn a_share_is_kept_and_is_the_same_for_the_same_seed() {
        let struck = |seed| {
            let mut orders = Orders::default();
            orders.give(order(Fault::Lose, Strikes::Share(0.1))).unwrap();
            let dice = Dice::new(seed);
            (0..10_000).filter(|&n| orders.strike(dice, Mono::ZERO, None, n).is_some()).collect::<Vec<u64>>()
        };
        let first = struck(7);
        assert!((900..1_100).contains(&first.len()), "{}", first.len());
        assert_eq!(struck(7), first);
        assert_ne!(struck(8), first);
    }

    #[test]
    fn orders_are_bounded() {
        let mut orders = Orders::default();
        let given = (0..100).filter_map(|_| orders.give(order(Fault::Lose, Strikes::Nth(1)))).count();
        assert_eq!(given, ORDERS_MAX);
    }
}
