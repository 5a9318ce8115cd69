//! What the Android Management API has to tell goes to its topics; and what faults make of that.

use super::Google;
use super::faults::{Fault, FaultOrder, Occasion};
use super::management::{Ghost, Notification};
use super::pubsub::Draft;
use crate::orders::OrderId;
use droves_facts::{Dur, Philox, Wall};
use std::collections::BTreeMap;

impl Google {
    /// Publishes what there is to tell.
    pub(super) fn publish(&mut self, now: Wall) {
        let mut due = self.gathering.due(now);
        for notification in std::mem::take(&mut self.management.notifications) {
            due.extend(self.gathering.take(now, notification));
        }
        for notification in due {
            match self.faults.strike(now, Occasion::Notification(notification.kind)) {
                None => self.put(now, notification, &[Dur::ZERO]),
                Some((fault, rng)) => self.put_wrong(now, notification, fault, rng),
            }
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

    fn put_wrong(&mut self, now: Wall, notification: Notification, fault: Fault, mut rng: Philox) {
        let wanted = match fault {
            Fault::Forgotten => Some(Ghost::Forgotten),
            Fault::Stale => Some(Ghost::Stale),
            _ => None,
        };
        let ghost = wanted.and_then(|wanted| self.management.ghost(now, &notification.enterprise, wanted, &mut rng));
        // Where no device has left there is nothing wrong to say.
        if wanted.is_none() || ghost.is_some() {
            self.faults.count(fault);
        }
        match fault {
            Fault::Lose => {}
            Fault::Repeat(delay) => self.put(now, notification, &[Dur::ZERO, delay.draw(&mut rng)]),
            Fault::Late(delay) => self.put(now, notification, &[delay.draw(&mut rng)]),
            _ => self.put(now, notification, &[Dur::ZERO]),
        }
        if let Some(ghost) = ghost {
            self.put(now, ghost, &[Dur::ZERO]);
        }
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
