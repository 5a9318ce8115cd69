//! Faults on order: what Google is to do wrong, to which calls or notifications, how often and when.

use super::quota::Quota;
use crate::Delay;
use crate::orders::{OrderId, Orders, Strike};
use droves_facts::{Dice, Philox, Wall};
use droves_scenario::plan::Strikes;
use droves_wire::android::{Code, Status};
use std::collections::BTreeMap;
use std::ops::Range;

/// One fault.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultOrder {
    /// What is done instead of what is right.
    pub fault: Fault,
    /// To which of the calls or notifications that match.
    pub strikes: Strikes,
    /// Which match: methods of the Android Management API by their id in its discovery document
    /// (`enterprises.devices.get`), or types of notifications (`STATUS_REPORT`). Empty is all.
    pub about: Vec<String>,
    /// From when, and until before when.
    pub window: Range<Wall>,
}

/// What is done wrong. The first two are of calls of the Android Management API, the others of notifications.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fault {
    /// A call is refused, though nothing is wrong with it, and does nothing.
    Refuse(Refusal),
    /// A call does what it should, and is answered so much later.
    Slow(Delay),
    /// A notification is not published.
    Lose,
    /// A notification is delivered, and so much later once more: with the same id, and as published at the same time.
    Repeat(Delay),
    /// A notification is delivered so much later than it was published: others overtake it.
    Late(Delay),
    /// Beside a notification comes another status report, of a device of that enterprise that has left: `DELETED`, as
    /// if the enterprise had not heard.
    Forgotten,
    /// Beside a notification comes another status report, of a device of that enterprise that has enrolled anew: the last
    /// one under the name that it had before.
    Stale,
}

/// What a call is refused with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// 429 in the words of a quota that is used up.
    Quota,
    /// The same words with 500, as proxies before Google have passed it on.
    QuotaAsInternal,
    /// 500.
    Internal,
    /// 503.
    Unavailable,
    /// 304 without a body: nothing has changed.
    NotModified,
}

/// Whose call or which notification it is that may be struck.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Occasion<'a> {
    /// Of a method, by its id.
    Call(&'a str),
    /// Of a type.
    Notification(&'a str),
    /// What may come beside one of a type, whatever becomes of itself.
    Beside(&'a str),
}

/// Orders, and what they did.
#[derive(Debug)]
pub(crate) struct Faults {
    dice: Dice,
    orders: Orders<FaultOrder>,
    occasions: u64,
    struck: BTreeMap<&'static str, u64>,
}

impl FaultOrder {
    /// A fault of all that it can be about, whenever it is.
    pub fn always(fault: Fault, strikes: Strikes) -> Self {
        FaultOrder { fault, strikes, about: Vec::new(), window: Wall(i64::MIN)..Wall(i64::MAX) }
    }

    fn matches(&self, now: Wall, occasion: Occasion<'_>) -> bool {
        let (is_such, name) = match (occasion, self.fault) {
            (Occasion::Call(method), Fault::Refuse(_) | Fault::Slow(_)) => (true, method),
            (Occasion::Notification(kind), Fault::Lose | Fault::Repeat(_) | Fault::Late(_)) => (true, kind),
            (Occasion::Beside(kind), Fault::Forgotten | Fault::Stale) => (true, kind),
            (Occasion::Call(name) | Occasion::Notification(name) | Occasion::Beside(name), _) => (false, name),
        };
        let is_about = self.about.is_empty() || self.about.iter().any(|about| about == name);
        is_such && is_about && self.window.contains(&now)
    }
}

impl Strike for FaultOrder {
    fn strikes(&self) -> Strikes {
        self.strikes
    }
}

impl Fault {
    /// As it is counted by.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Refuse(Refusal::Quota) => "quota",
            Fault::Refuse(Refusal::QuotaAsInternal) => "quota_as_internal",
            Fault::Refuse(Refusal::Internal) => "internal",
            Fault::Refuse(Refusal::Unavailable) => "unavailable",
            Fault::Refuse(Refusal::NotModified) => "not_modified",
            Fault::Slow(_) => "slow",
            Fault::Lose => "lose",
            Fault::Repeat(_) => "repeat",
            Fault::Late(_) => "late",
            Fault::Forgotten => "forgotten",
            Fault::Stale => "stale",
        }
    }
}

impl Refusal {
    /// What a project is told; nothing where nothing has changed.
    pub(crate) fn status(self, quota: Quota, project: &str) -> Option<Status> {
        Some(match self {
            Refusal::Quota => quota.exceeded(project),
            Refusal::QuotaAsInternal => Status::new(Code::Internal, quota.exceeded(project).message),
            Refusal::Internal => Status::new(Code::Internal, "Internal error encountered."),
            Refusal::Unavailable => Status::new(Code::Unavailable, "The service is currently unavailable."),
            Refusal::NotModified => return None,
        })
    }
}

impl Faults {
    pub(crate) fn new(dice: Dice) -> Self {
        Faults { dice, orders: Orders::default(), occasions: 0, struck: BTreeMap::new() }
    }

    pub(crate) fn give(&mut self, order: FaultOrder) -> Option<OrderId> {
        self.orders.give(order)
    }

    pub(crate) fn lift(&mut self, id: OrderId) {
        self.orders.lift(id);
    }

    /// The fault that strikes, if one does, with dice for how late it makes things.
    pub(crate) fn strike(&mut self, now: Wall, occasion: Occasion<'_>) -> Option<(Fault, Philox)> {
        self.occasions += 1;
        let struck = self.orders.strike(self.dice, self.occasions, |order| order.matches(now, occasion));
        struck.map(|(order, rng)| (order.fault, rng))
    }

    /// It was committed.
    pub(crate) fn count(&mut self, fault: Fault) {
        *self.struck.entry(fault.name()).or_default() += 1;
    }

    /// How often each was committed, by its name.
    pub(crate) fn struck(&self) -> &BTreeMap<&'static str, u64> {
        &self.struck
    }
}
