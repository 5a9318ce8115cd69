//! Deliveries by push: what is to be posted where, how much of it at once, and what an answer means (Google, *Push
//! subscriptions*).

use super::super::lanes::Ends;
use super::{Delivery, Message, PubSub, Room, Subscription, settings, timestamp};
use droves_facts::{Dur, LaneIx, Wall};
use serde_json::json;
use std::sync::Arc;

/// A message to be posted.
#[derive(Clone, Debug)]
pub struct Outbound {
    pub(crate) subscription: String,
    pub(crate) ack_id: String,
    pub(crate) endpoint: String,
    message: Arc<Message>,
    attempt: Option<u32>,
    /// As in [`settings::Push`].
    bare: Option<bool>,
    /// Whose token is to be shown, for which audience.
    pub(crate) token: Option<(String, String)>,
    /// How long an answer may take.
    pub(crate) wait_max: Dur,
    pub(crate) due: Wall,
}

impl Outbound {
    /// About whose device.
    pub fn lane(&self) -> LaneIx {
        self.message.about.lane
    }

    /// When it might have gone, had the server answered what was posted before it.
    pub fn due(&self) -> Wall {
        self.due
    }

    /// Where to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What. It is written now, as thousands may be out at once.
    pub fn body(&self) -> Vec<u8> {
        let data = self.message.data.bytes();
        if self.bare.is_some() {
            return data.into_owned();
        }
        let mut body = json!({ "message": self.message.json(&data, true), "subscription": self.subscription });
        if let Some(attempt) = self.attempt {
            body["deliveryAttempt"] = attempt.into();
        }
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// What goes before it.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let known = match self.bare {
            None => vec![("content-type", "application/json".to_owned())],
            Some(false) => Vec::new(),
            Some(true) => vec![
                ("x-goog-pubsub-subscription-name", self.subscription.clone()),
                ("x-goog-pubsub-message-id", self.message.id.clone()),
                ("x-goog-pubsub-publish-time", timestamp(self.message.published)),
            ],
        };
        let known = known.into_iter().map(|(name, value)| (name.to_owned(), value));
        let attributes = self.message.attributes.clone().into_iter().filter(|_| self.bare == Some(true));
        known.chain(attributes).collect()
    }
}

/// How many are out at once: it grows by one with each quick acknowledgment, and is halved with each refusal; nothing but
/// refusals makes a pause, twice as long each time.
#[derive(Debug)]
pub(super) struct Pace {
    window: usize,
    refusals: u32,
    paused_until: Wall,
    /// When the last place that was waited for would have been free at a server that answers quickly.
    place_free: Wall,
}

impl Default for Pace {
    fn default() -> Self {
        let never = Wall(i64::MIN);
        Pace { window: WINDOW_FIRST, refusals: 0, paused_until: never, place_free: never }
    }
}

const WINDOW_FIRST: usize = 3;
const WINDOW_MAX: usize = 3_000;
const QUICK: Dur = Dur::secs(1);
const PAUSE_FIRST: Dur = Dur::ms(100);
const PAUSE_MAX: Dur = Dur::secs(60);
/// Refusals in a row that are taken for chance.
const REFUSALS_FREE: u32 = 3;
/// What acknowledges. The list is exact: 203 does not.
const ACKS: [u16; 5] = [102, 200, 201, 202, 204];

impl PubSub {
    /// What is to be posted now.
    pub(crate) fn pushes(&mut self, now: Wall) -> Vec<Outbound> {
        self.settle(now);
        let mut out = Vec::new();
        for (name, subscription) in &mut self.subscriptions {
            let Subscription { settings, queue, pace, .. } = subscription;
            let Some(push) = &settings.push else { continue };
            if now < pace.paused_until {
                continue;
            }
            let free = pace.window.saturating_sub(queue.out());
            let room = Room { messages: free, ..Room::ALL };
            let deliveries = queue.take(now, room, settings.ack_deadline, settings, &mut self.leases);
            let posted = |delivery| outbound(name, push, delivery, settings.ack_deadline, pace);
            self.notified.extend(deliveries.iter().filter_map(Delivery::tells_of));
            out.extend(deliveries.into_iter().map(posted));
        }
        out
    }

    /// What became of a post: the status, if there was an answer, and how long it took.
    pub(crate) fn pushed(&mut self, now: Wall, post: &Outbound, status: Option<u16>, took: Dur) {
        let Some(Subscription { queue, pace, .. }) = self.subscriptions.get_mut(&post.subscription) else { return };
        pace.answered(post.due, queue.out(), took);
        if is_taken(status) {
            let about = queue.acknowledge(&post.ack_id).map(|message| message.about);
            self.acknowledged.extend(about.filter(|about| about.ends != Ends::Nothing));
            pace.refusals = 0;
            if took < QUICK {
                pace.window = (pace.window + 1).min(WINDOW_MAX);
            }
        } else {
            queue.extend(&post.ack_id, now);
            pace.refusals += 1;
            pace.window = (pace.window / 2).max(1);
            if pace.refusals > REFUSALS_FREE {
                let pause = PAUSE_FIRST.times(1 << (pace.refusals - REFUSALS_FREE - 1).min(20)).min(PAUSE_MAX);
                pace.paused_until = now + pause;
            }
        }
        self.settle(now);
    }
}

impl Pace {
    /// When a message might have gone. Pauses, and a window that grows only with the answers, are Pub/Sub's own, and none of
    /// that is charged to the server.
    fn due(&self, allowed: Wall) -> Wall {
        allowed.max(self.paused_until).max(self.place_free)
    }

    /// A post has left its place, with so many out until then. In a full window another message has waited for that, and the
    /// wait is Pub/Sub's as long as it finds the server quick; what it takes longer is the server's, and goes from a late
    /// post on to the next at its place: whoever waits behind a server that hangs is as late by it.
    fn answered(&mut self, due: Wall, out: usize, took: Dur) {
        if out >= self.window {
            self.place_free = self.place_free.max(due + took.min(QUICK));
        }
    }
}

/// Whether a status acknowledges.
pub fn is_taken(status: Option<u16>) -> bool {
    status.is_some_and(|status| ACKS.contains(&status))
}

impl Subscription {
    /// When a lease ends, or a push is due.
    pub(super) fn next(&self, now: Wall) -> Option<Wall> {
        let push = self.settings.push.as_ref().filter(|_| self.queue.out() < self.pace.window);
        let due =
            push.and_then(|_| self.queue.next_due(now, &self.settings)).map(|due| due.max(self.pace.paused_until));
        due.into_iter().chain(self.queue.next_end()).min()
    }
}

fn outbound(subscription: &str, push: &settings::Push, delivery: Delivery, wait_max: Dur, pace: &Pace) -> Outbound {
    let Delivery { ack_id, message, attempt, allowed, .. } = delivery;
    Outbound {
        subscription: subscription.to_owned(),
        ack_id,
        endpoint: push.endpoint.clone(),
        message,
        attempt,
        bare: push.bare,
        token: push.token.clone(),
        wait_max,
        due: pace.due(allowed),
    }
}
