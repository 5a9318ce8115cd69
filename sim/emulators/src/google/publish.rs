//! What the Android Management API has to tell goes to its topics; and what faults make of that.

use super::Google;
use super::faults::{Fault, FaultOrder, Occasion};
use super::management::{Ghost, Notification};
use super::pubsub::Draft;
use crate::orders::OrderId;
use droves_facts::{Dur, Wall};
use std::collections::BTreeMap;

impl Google {
    /// Publishes what there is to tell.
    pub(super) fn publish(&mut self, now: Wall) {
        let mut due = self.gathering.due(now);
        for notification in std::mem::take(&mut self.management.notifications) {
            due.extend(self.gathering.take(now, notification));
        }
        for notification in due {
            let ghost = self.ghost(now, &notification);
            self.put_or_wrong(now, notification);
            ghost.into_iter().for_each(|ghost| self.put(now, ghost, &[Dur::ZERO]));
        }
    }

    /// A message that is delivered so much later, once for each of the delays. What no topic takes is lost, as it is at
    /// Google.
    fn put(&mut self, now: Wall, notification: Notification, delays: &[Dur]) {
        let Notification { topic, kind, data, about, .. } = notification;
        let attributes = BTreeMap::from([("notificationType".to_owned(), kind.to_owned())]);
        let may = self.pubsub.may_publish(&topic);
        let draft = Draft { attributes, data, ordering_key: String::new(), about };
        let put = may.then(|| self.pubsub.publish_late(now, &topic, draft, delays));
        self.lost += u64::from(!matches!(put, Some(Ok(()))));
    }

    fn put_or_wrong(&mut self, now: Wall, notification: Notification) {
        let Some((fault, mut rng)) = self.faults.strike(now, Occasion::Notification(notification.kind)) else {
            return self.put(now, notification, &[Dur::ZERO]);
        };
        self.faults.count(fault);
        match fault {
            Fault::Lose => {}
            Fault::Repeat(delay) => self.put(now, notification, &[Dur::ZERO, delay.draw(&mut rng)]),
            Fault::Late(delay) => self.put(now, notification, &[delay.draw(&mut rng)]),
            _ => self.put(now, notification, &[Dur::ZERO]),
        }
    }

    /// What is wrong to say beside a notification, if a fault has it said. Where no device has left there is nothing.
    fn ghost(&mut self, now: Wall, beside: &Notification) -> Option<Notification> {
        let (fault, mut rng) = self.faults.strike(now, Occasion::Beside(beside.kind))?;
        let wanted = if fault == Fault::Stale { Ghost::Stale } else { Ghost::Forgotten };
        let ghost = self.management.ghost(now, &beside.enterprise, wanted, &mut rng)?;
        self.faults.count(fault);
        Some(ghost)
    }

    /// From now on status reports wait so long before they are published, and those of one device become one; at first
    /// they do not wait.
    pub fn gather(&mut self, lasts: Dur) {
        self.gathering.set(lasts);
    }

    /// Takes a fault on order; `None` when there are [`ORDERS_MAX`](crate::push::ORDERS_MAX) already.
    pub fn give(&mut self, order: FaultOrder) -> Option<OrderId> {
        self.faults.give(order)
    }

    /// Takes an order back; the counts of the others go on.
    pub fn lift(&mut self, id: OrderId) {
        self.faults.lift(id);
    }

    /// How often each fault was committed, by its [name](Fault::name).
    pub fn struck(&self) -> &BTreeMap<&'static str, u64> {
        self.faults.struck()
    }

    /// Notifications that were dropped here, for want of room.
    pub fn dropped(&self) -> u64 {
        self.pubsub.dropped()
    }

    /// Notifications that were lost, for want of a topic that takes them.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}
