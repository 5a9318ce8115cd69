//! Pushes under way, and the hops that they had when their command has come.

use crate::fanout::{Fanout, Hop};
use crate::quota::Quota;
use droves_facts::{Fact, LaneIx, Mono, PhaseIx, What};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a ledger knows of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Wakes {
    of: HashMap<LaneIx, Wake>,
    quota: Quota,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Wake {
    /// When the push service had the push.
    pushed: Mono,
    woken: Mono,
    connected: Option<Mono>,
}

impl Wakes {
    pub(crate) fn apply(&mut self, fact: &Fact) {
        let (lane, at) = (fact.lane, fact.at);
        match &fact.what {
            What::Woken { pushed } => {
                self.of.insert(lane, Wake { pushed: *pushed, woken: at, connected: None });
            }
            What::Connected => {
                if let Some(wake) = self.of.get_mut(&lane) {
                    wake.connected.get_or_insert(at);
                }
            }
            What::SessionEnded { .. } => {
                self.of.remove(&lane);
            }
            What::QuotaUsedUp { until } => self.quota.is_used_up(at, *until),
            What::Called => self.quota.called(lane),
            _ => {}
        }
    }

    /// A command has come that was queued at this time.
    pub(crate) fn delivered(&self, lane: LaneIx, phase: PhaseIx, queued: Option<Mono>, at: Mono, fanout: &mut Fanout) {
        let Some(wake) = self.of.get(&lane) else {
            // It came by the device's own schedule.
            return fanout.reached(phase, Hop::Delivered, None, at);
        };
        fanout.reached(phase, Hop::Pushed, queued, wake.pushed);
        let in_order = queued.filter(|queued| *queued <= wake.pushed);
        if let Some(waited) = in_order.and_then(|queued| self.quota.within(lane, queued, wake.pushed)) {
            fanout.waited(phase, waited);
        }
        fanout.reached(phase, Hop::Woken, Some(wake.pushed), wake.woken);
        // On a connection that stood already there is no hop to one.
        if let Some(connected) = wake.connected {
            fanout.reached(phase, Hop::Connected, Some(wake.woken), connected);
        }
        fanout.reached(phase, Hop::Delivered, Some(wake.connected.unwrap_or(wake.woken)), at);
    }

    pub(crate) fn merge(&mut self, other: Wakes) {
        self.of.extend(other.of);
        self.quota.merge(other.quota);
    }
}
