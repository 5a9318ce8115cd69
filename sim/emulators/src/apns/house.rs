//! What the connections of one push service share: the brain, the clocks, the way to the devices, the counts.

use super::{Answer, ConnectionRules, Due, Order, OrderId, Push, PushRequest, Registry, Service, Tally};
use droves_facts::{LaneIx, Mono, PushFate, Wall};
use droves_net::clock::{Clock, RunClock};
use droves_net::listen::{Counters, Counts};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// Where wakes go; the engine is it. Called on the push service's thread: it must not wait.
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

/// How often things happened to connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Connections {
    /// What the listener counted, from TCP to the end of the TLS handshake.
    pub listener: Counts,
    /// TLS went well, but without ALPN `h2`: closed.
    pub not_http2: u64,
    /// Carried a notification. The rest of a dial storm carries none.
    pub used: u64,
    /// Ended in good order by the service.
    pub goaways: u64,
    /// Closed under the provider's feet after a run of bad tokens.
    pub cut: u64,
}

/// What the service's thread and its handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    service: Mutex<Service>,
    listener: Arc<Counters>,
    pub(crate) counts: OurCounters,
    /// Rung when something may be due earlier than thought.
    sooner: Notify,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
pub(crate) struct OurCounters {
    pub(crate) not_http2: AtomicU64,
    pub(crate) used: AtomicU64,
    pub(crate) goaways: AtomicU64,
    pub(crate) cut: AtomicU64,
    wakes_dropped: AtomicU64,
}

impl Shared {
    pub(crate) fn new(service: Service, listener: Arc<Counters>) -> Self {
        Shared {
            service: Mutex::new(service),
            listener,
            counts: OurCounters::default(),
            sooner: Notify::new(),
            closing: watch::channel(false).0,
        }
    }

    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn tally(&self) -> Tally {
        self.service().tally()
    }

    pub(crate) fn give(&self, order: Order) -> Option<OrderId> {
        self.service().give(order)
    }

    pub(crate) fn lift(&self, id: OrderId) {
        self.service().lift(id);
    }

    /// Wakes that the sink could not pass on.
    pub(crate) fn wakes_dropped(&self) -> u64 {
        self.counts.wakes_dropped.load(Relaxed)
    }

    pub(crate) fn connections(&self) -> Connections {
        Connections {
            listener: self.listener.counts(),
            not_http2: self.counts.not_http2.load(Relaxed),
            used: self.counts.used.load(Relaxed),
            goaways: self.counts.goaways.load(Relaxed),
            cut: self.counts.cut.load(Relaxed),
        }
    }

    fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inside of the service's thread.
pub(crate) struct House {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connections: ConnectionRules,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: RunClock,
    pub(crate) sink: Arc<dyn Sink>,
}

impl House {
    pub(crate) fn now(&self) -> Mono {
        self.clock.now()
    }

    pub(crate) fn counts(&self) -> &OurCounters {
        &self.shared.counts
    }

    /// Returns when the house is closing.
    pub(crate) async fn closed(&self) {
        let mut closing = self.shared.closing.subscribe();
        // An error would say that the sender is gone, which is closing too.
        let _closing = closing.wait_for(|closing| *closing).await.is_ok();
    }

    /// Has the brain answer, and tells the lane's owner what there is to tell.
    pub(crate) fn answer(&self, request: PushRequest<'_>) -> Answer {
        let now = self.now();
        let answer = self.shared.service().answer(now, wall_now(), request);
        if let Some(lane) = answer.lane {
            answer.fates().for_each(|fate| self.sink.fate(lane, now, fate));
        }
        if answer.verdict.is_ok() {
            self.shared.sooner.notify_one();
        }
        answer
    }

    /// Hands over what is due, until the house closes.
    pub(crate) async fn deliver(&self) {
        loop {
            let now = self.now();
            let (due, next) = {
                let mut service = self.shared.service();
                let due: Vec<Due> = service.due(now).take(DUE_AT_ONCE_MAX).collect();
                (due, service.next())
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
                () = self.shared.sooner.notified() => {}
                () = self.registry.bell.notified() => {}
                () = self.closed() => return,
            }
        }
    }

    fn hand_over(&self, due: Due, now: Mono) {
        match due {
            Due::Expired(lane) => self.sink.fate(lane, now, PushFate::Expired),
            Due::Wake(push) => {
                if self.sink.wake(push) == PushFate::DroppedOurs {
                    self.counts().wakes_dropped.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

fn wall_now() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Wakes handed over before the connections get their turn again.
const DUE_AT_ONCE_MAX: usize = 1_000;
