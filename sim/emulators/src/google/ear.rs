//! What Google tells whoever plays its devices: nudges, and how far has come what was asked of them.

use crate::push::{Push, Sink};
use droves_facts::{Fact, LaneIx, Mono, PhaseIx, PushFate, What};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Where nudges go ([`Sink::wake`], with the device's id as their magic), and facts: commands and changes of policies by
/// their order in their lane, and notifications posted to the server. The engine is it. It is called on any thread, while
/// nobody else can act at Google: it must neither wait nor call back.
pub trait Ear: Sink {
    /// A fact. It belongs to the first phase, as do all that have no due time of a plan.
    fn fact(&self, fact: Fact);
}

/// The way there, if there is anybody.
pub(super) struct Told {
    ear: Option<Arc<dyn Ear>>,
    nudges_dropped: AtomicU64,
}

impl Told {
    pub(super) fn new(ear: Option<Arc<dyn Ear>>) -> Self {
        Told { ear, nudges_dropped: AtomicU64::new(0) }
    }

    /// Whether there is somebody.
    pub(super) fn hears(&self) -> bool {
        self.ear.is_some()
    }

    /// Nudges that could not be passed on.
    pub(super) fn nudges_dropped(&self) -> u64 {
        self.nudges_dropped.load(Relaxed)
    }

    pub(super) fn say(&self, at: Mono, lane: LaneIx, what: What) {
        if let Some(ear) = &self.ear {
            ear.fact(Fact { at, phase: PhaseIx(0), lane, what });
        }
    }

    /// Google nudges a device: at once, as often as there is something new.
    pub(super) fn nudge(&self, at: Mono, lane: LaneIx, magic: Box<str>) {
        let Some(ear) = &self.ear else { return };
        ear.fate(lane, at, PushFate::Received);
        let push = Push { lane, generation: 0, magic, keep_until: None, received: at, urgent: false };
        if ear.wake(push) == PushFate::DroppedOurs {
            self.nudges_dropped.fetch_add(1, Relaxed);
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("hears", &self.hears()).finish_non_exhaustive()
    }
}
