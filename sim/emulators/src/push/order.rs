//! Faults on order: what a scenario wants a push service to do wrong, to whom, how often and when.

use crate::orders::Strike;
use droves_facts::{Dice, LaneIx, Mono};
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

/// The orders in force.
pub(crate) type Orders<R> = crate::orders::Orders<Order<R>>;

impl<R: Copy> Orders<R> {
    /// The fault that strikes notification `number`, if one does.
    pub(crate) fn fault(&mut self, dice: Dice, now: Mono, lane: Option<LaneIx>, number: u64) -> Option<Fault<R>> {
        self.strike(dice, number, |order| order.matches(now, lane)).map(|(order, _)| order.fault)
    }
}

impl<R> Strike for Order<R> {
    fn strikes(&self) -> Strikes {
        self.strikes
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::apns::Reason;
    use crate::orders::ORDERS_MAX;

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
        let mut strike = |now, lane| orders.fault(dice, Mono(now), lane, 0);
        assert_eq!(strike(150, Some(LaneIx(4))), None);
        assert_eq!(strike(150, None), Some(Fault::Refuse(Reason::Shutdown)), "the second of all");
        assert_eq!(strike(150, Some(LaneIx(5))), Some(Fault::Lose));
        assert_eq!(strike(200, Some(LaneIx(5))), None);
        orders.lift(id);
        orders.lift(nth);
        assert_eq!(orders.fault(dice, Mono(150), Some(LaneIx(5)), 0), None);
    }

    #[test]
    fn a_share_is_kept_and_is_the_same_for_the_same_seed() {
        let struck = |seed| {
            let mut orders = Orders::default();
            orders.give(order(Fault::Lose, Strikes::Share(0.1))).unwrap();
            let dice = Dice::new(seed);
            (0..10_000).filter(|&n| orders.fault(dice, Mono::ZERO, None, n).is_some()).collect::<Vec<u64>>()
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
