//! What the connections of the push service share: its post office, its rules, the counts.

use super::{Answer, ConnectionRules, PushRequest, Service};
use crate::push::Post;
use droves_net::listen::{Counters, Counts};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

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

/// What the service counts of its connections.
#[derive(Debug, Default)]
pub(crate) struct OurCounters {
    pub(crate) not_http2: AtomicU64,
    pub(crate) used: AtomicU64,
    pub(crate) goaways: AtomicU64,
    pub(crate) cut: AtomicU64,
}

impl OurCounters {
    pub(crate) fn connections(&self, listener: &Counters) -> Connections {
        Connections {
            listener: listener.counts(),
            not_http2: self.not_http2.load(Relaxed),
            used: self.used.load(Relaxed),
            goaways: self.goaways.load(Relaxed),
            cut: self.cut.load(Relaxed),
        }
    }
}

/// The inside of the service's thread.
pub(crate) struct House {
    pub(crate) post: Arc<Post<Service>>,
    pub(crate) counts: Arc<OurCounters>,
    pub(crate) connections: ConnectionRules,
}

impl House {
    /// Has the brain answer.
    pub(crate) fn answer(&self, request: PushRequest<'_>) -> Answer {
        let fates = |answer: &Answer| (answer.lane, answer.fates());
        self.post.answer(|service, now, wall| service.answer(now, wall, request), fates)
    }
}
