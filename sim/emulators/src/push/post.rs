//! A push service's post office: its brain, the clock, the way to the devices, and the loop that hands over what is due.

use super::delivery::{Due, Push};
use super::order::Order;
use super::registry::Registry;
use super::tally::Tally;
use super::traffic::Traffic;
use crate::orders::OrderId;
use droves_facts::{LaneIx, Mono, PushFate, Wall};
use droves_net::clock::{Clock, RunClock};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// Where wakes go; the engine is it. Called on a push service's thread: it must not wait.
pub trait Sink: Send + Sync + 'static {
    /// A push has reached its device. `Received` if the lane is woken, `Coalesced` if it was awake to one already,
    /// `DroppedOurs` if it could not be passed on.
    fn wake(&self, push: Push) -> PushFate;

    /// What became of a notification for this lane on the push service's side: `Received` for each one taken, and after
    /// it perhaps `Coalesced` or `Expired`; `Unregistered` for a token of the past.
    fn fate(&self, lane: LaneIx, at: Mono, fate: PushFate) {
        let _unheard = (lane, at, fate);
    }
}

/// A push service without its sockets: what it judges becomes [`Traffic`].
pub trait Brain {
    /// Why it refuses.
    type Reason: super::Reason;

    /// What it has sent on its way.
    fn traffic(&self) -> &Traffic<Self::Reason>;

    /// The same, to be changed.
    fn traffic_mut(&mut self) -> &mut Traffic<Self::Reason>;

    /// Takes a fault on order; `None` when there are too many.
    fn give(&mut self, order: Order<Self::Reason>) -> Option<OrderId> {
        self.traffic_mut().give(order)
    }

    /// Takes an order back; the counts of the others go on.
    fn lift(&mut self, id: OrderId) {
        self.traffic_mut().lift(id);
    }

    /// What was counted so far.
    fn tally(&self) -> Tally<Self::Reason> {
        self.traffic().tally.clone()
    }

    /// What reaches a device, or expires, up to `now`; to be called again at [`Brain::next`], and when the registry rings.
    fn due(&mut self, now: Mono) -> Option<Due> {
        self.traffic_mut().due(now)
    }

    /// When something is due.
    fn next(&self) -> Option<Mono> {
        self.traffic().next()
    }
}

/// What a service's thread and its handle share.
pub(crate) struct Post<B> {
    brain: Mutex<B>,
    registry: Arc<Registry>,
    clock: RunClock,
    sink: Arc<dyn Sink>,
    wakes_dropped: AtomicU64,
    /// Rung when something may be due earlier than thought.
    sooner: Notify,
    closing: watch::Sender<bool>,
}

impl<B> Post<B> {
    pub(crate) fn new(brain: B, registry: Arc<Registry>, clock: RunClock, sink: Arc<dyn Sink>) -> Self {
        Post {
            brain: Mutex::new(brain),
            registry,
            clock,
            sink,
            wakes_dropped: AtomicU64::new(0),
            sooner: Notify::new(),
            closing: watch::channel(false).0,
        }
    }

    pub(crate) fn now(&self) -> Mono {
        self.clock.now()
    }

    pub(crate) fn brain(&self) -> MutexGuard<'_, B> {
        self.brain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where lanes register.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Wakes that the sink could not pass on.
    pub(crate) fn wakes_dropped(&self) -> u64 {
        self.wakes_dropped.load(Relaxed)
    }

    /// Has the brain answer, which is given both clocks, and tells the lane's owner what there is to tell.
    pub(crate) fn answer<A>(
        &self,
        answer: impl FnOnce(&mut B, Mono, Wall) -> A,
        fates: impl FnOnce(&A) -> (Option<LaneIx>, &'static [PushFate]),
    ) -> A {
        let now = self.now();
        let answer = answer(&mut self.brain(), now, wall_now());
        if let (Some(lane), fates) = fates(&answer) {
            fates.iter().for_each(|fate| self.sink.fate(lane, now, *fate));
        }
        self.sooner.notify_one();
        answer
    }

    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Returns when the service is closing.
    pub(crate) async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // An error would say that the sender is gone, which is closing too.
        let _closing = closing.wait_for(|closing| *closing).await.is_ok();
    }

    fn hand_over(&self, due: Due, now: Mono) {
        match due {
            Due::Expired(lane) => self.sink.fate(lane, now, PushFate::Expired),
            Due::Wake(push) => {
                if self.sink.wake(push) == PushFate::DroppedOurs {
                    self.wakes_dropped.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

impl<B: Brain> Post<B> {
    /// Hands over what is due, until the service closes.
    pub(crate) async fn deliver(&self) {
        let mut returned = self.registry.bell();
        loop {
            let now = self.now();
            returned.mark_unchanged();
            let (due, next) = {
                let mut brain = self.brain();
                let due: Vec<Due> = std::iter::from_fn(|| brain.due(now)).take(DUE_AT_ONCE_MAX).collect();
                (due, brain.next())
            };
            for due in due {
                self.hand_over(due, now);
            }
            let pause = async {
                match next {
                    Some(at) => sleep(at.since(self.now()).std()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.sooner.notified() => {}
                // The registry is there as long as we are.
                _ = returned.changed() => {}
                () = self.closed() => return,
            }
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for Post<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("brain", &self.brain).finish_non_exhaustive()
    }
}

pub(crate) fn wall_now() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Wakes handed over before the connections get their turn again.
const DUE_AT_ONCE_MAX: usize = 1_000;
