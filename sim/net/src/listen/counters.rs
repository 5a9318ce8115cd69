//! What a listener counts, readable from any thread.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A listener's counters.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    turned_away: AtomicU64,
    accept_failed: AtomicU64,
    handshake_failed: AtomicU64,
    greeted: AtomicU64,
    resumed: AtomicU64,
    open: AtomicU64,
    open_max: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// TCP connections accepted.
    pub accepted: u64,
    /// Of them closed at once, since too many were open.
    pub turned_away: u64,
    /// Accepts that failed, mostly for want of files.
    pub accept_failed: u64,
    /// Connections that ended before their handshake did, or did not finish it in time.
    pub handshake_failed: u64,
    /// Connections handed to the service.
    pub greeted: u64,
    /// Of them with a resumed TLS session.
    pub resumed: u64,
    /// Connections open now.
    pub open: u64,
    /// The most that were open at once.
    pub open_max: u64,
}

impl Counters {
    /// All of them, now.
    pub fn counts(&self) -> Counts {
        Counts {
            accepted: self.accepted.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
            accept_failed: self.accept_failed.load(Relaxed),
            handshake_failed: self.handshake_failed.load(Relaxed),
            greeted: self.greeted.load(Relaxed),
            resumed: self.resumed.load(Relaxed),
            open: self.open.load(Relaxed),
            open_max: self.open_max.load(Relaxed),
        }
    }

    /// The number of the connection that was accepted, from 0.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.fetch_add(1, Relaxed)
    }

    pub(super) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    pub(super) fn accept_failed(&self) {
        self.accept_failed.fetch_add(1, Relaxed);
    }

    pub(super) fn handshake_failed(&self) {
        self.handshake_failed.fetch_add(1, Relaxed);
    }

    pub(super) fn greeted(&self, resumed: bool) {
        self.greeted.fetch_add(1, Relaxed);
        self.resumed.fetch_add(u64::from(resumed), Relaxed);
    }

    pub(super) fn opened(&self) {
        let open = self.open.fetch_add(1, Relaxed) + 1;
        self.open_max.fetch_max(open, Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }
}
