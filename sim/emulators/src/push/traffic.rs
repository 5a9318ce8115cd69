//! What every push service does once it has judged a request: orders strike, wakes travel, and all of it is counted.

use super::delivery::{Deliveries, Due, Placed, Push};
use super::order::{Fault, Order, Orders};
use super::registry::Registry;
use super::tally::{Taken, Tally};
use super::travel::Travel;
use crate::orders::OrderId;
use droves_facts::{Dice, Dur, LaneIx, Mono, Philox, Purpose, Wall};
use std::sync::Arc;

/// When and as which number a notification came, and how long it will travel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Mono,
    pub(crate) wall: Wall,
    pub(crate) delay: Dur,
    pub(crate) number: u64,
}

/// The wakes of one service, which refuses for reasons `R`.
#[derive(Debug)]
pub struct Traffic<R> {
    pub(crate) registry: Arc<Registry>,
    pub(crate) dice: Dice,
    pub(crate) tally: Tally<R>,
    travel: Travel,
    orders: Orders<R>,
    deliveries: Deliveries,
    number: u64,
}

impl<R: Copy + Ord> Traffic<R> {
    pub(crate) fn new(travel: Travel, registry: Arc<Registry>, dice: Dice) -> Self {
        Traffic {
            registry,
            dice,
            tally: Tally::default(),
            travel,
            orders: Orders::default(),
            deliveries: Deliveries::default(),
            number: 0,
        }
    }

    /// Takes a fault on order; `None` when there are too many.
    pub(crate) fn give(&mut self, order: Order<R>) -> Option<OrderId> {
        self.orders.give(order)
    }

    /// Takes an order back; the counts of the others go on.
    pub(crate) fn lift(&mut self, id: OrderId) {
        self.orders.lift(id);
    }

    /// The number of the notification that has just come.
    pub(crate) fn count(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// When a notification for this lane, or for nobody, has come; and the dice from which its other delays are drawn.
    pub(crate) fn moment(&self, now: Mono, wall: Wall, lane: Option<LaneIx>, number: u64) -> (Moment, Philox) {
        let mut rng = self.dice.draw(lane.unwrap_or(LaneIx::NOBODY).0, Purpose::PushDelay, number);
        (Moment { now, wall, delay: self.travel.draw(lane, &mut rng), number }, rng)
    }

    /// The fault that strikes it, if one does.
    pub(crate) fn strike(&mut self, at: Moment, lane: Option<LaneIx>) -> Option<Fault<R>> {
        self.orders.fault(self.dice, at.now, lane, at.number)
    }

    /// Sends a wake on its way. `expires` is until when it may be stored; `None` is one try.
    pub(crate) fn send(&mut self, push: Push, at: Moment, expires: Option<Mono>) -> Taken {
        match self.deliveries.place(push, at.now, at.delay, expires, &self.registry) {
            Placed::Travelling => Taken::Alone,
            Placed::Stored => {
                self.tally.stored += 1;
                Taken::Alone
            }
            Placed::Coalesced => Taken::Coalesced,
            Placed::Expired => Taken::Expired,
        }
    }

    /// What reaches a device, or expires, up to `now`.
    pub(crate) fn due(&mut self, now: Mono) -> Option<Due> {
        for lane in self.registry.returned(|lane| self.deliveries.has(lane)) {
            let mut rng = self.dice.draw(lane.0, Purpose::PushDelay, self.number);
            let delay = self.travel.draw(Some(lane), &mut rng);
            self.deliveries.release(lane, now, delay);
        }
        let due = self.deliveries.due(now, &self.registry)?;
        match due {
            Due::Wake(_) => self.tally.woken += 1,
            Due::Expired(_) => self.tally.expired += 1,
        }
        Some(due)
    }

    /// When something is due.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.deliveries.next()
    }

    /// How many lanes have something under way or stored.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.deliveries.len()
    }
}
