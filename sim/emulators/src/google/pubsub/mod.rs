//! Cloud Pub/Sub: topics, subscriptions, and messages that go from the ones to the others, at least once (Google, *Cloud
//! Pub/Sub*, `google/pubsub/v1/pubsub.proto`).
//!
//! Of a subscription's settings those are taken that change what is delivered when; one that would (a filter, exactly-once
//! delivery, an export) and is not played is refused. Of messages with the same ordering key one is out at a time.

mod data;
mod iam;
mod push;
mod queue;
mod rest;
mod settings;

pub(crate) use data::Data;
pub(crate) use iam::PUBLISHER;
pub use push::{Outbound, is_taken};
pub(crate) use queue::{ANSWER_BYTES_MAX, Delivery, Room};

use super::lanes::{About, Ends};
use super::management::Object;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data::{Place, Store};
use droves_facts::{Dur, Wall};
use droves_wire::android::value::timestamp;
use droves_wire::android::{Code, Status};
use push::Pace;
use queue::Queue;
use serde_json::{Value, json};
use settings::Settings;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A message, as it was published.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) published: Wall,
    pub(crate) attributes: BTreeMap<String, String>,
    data: Data,
    /// What its data has, once it was written.
    data_bytes: OnceLock<usize>,
    /// Empty for one that has no order.
    pub(crate) ordering_key: String,
    pub(crate) about: About,
    _place: Place,
}

/// A message that is not published yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) data: Data,
    pub(crate) ordering_key: String,
    pub(crate) about: About,
}

/// The service.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    topics: BTreeMap<String, Topic>,
    subscriptions: BTreeMap<String, Subscription>,
    published: u64,
    leases: u64,
    pub(super) store: Store,
    /// Messages for which there was no room any more, and nobody to be told so.
    dropped: u64,
    /// What acknowledgments since the last time have ended.
    acknowledged: Vec<About>,
    /// What the server was told of since the last time, for the first time.
    notified: Vec<About>,
}

#[derive(Debug, Default)]
struct Topic {
    body: Object,
    policy: Object,
}

#[derive(Debug)]
struct Subscription {
    body: Object,
    settings: Settings,
    queue: Queue,
    pace: Pace,
    policy: Object,
}

/// Messages that are pulled at once.
pub(crate) const PULLED_MAX: usize = 1_000;
const REST_MAX: Dur = Dur::secs(3_600);
/// What a message costs beside its parts.
const HEAD_BYTES: usize = 100;
/// What a message may have (Google, *Pub/Sub quotas and limits*).
const MESSAGE_BYTES_MAX: usize = 10_000_000;
const ATTRIBUTES_MAX: usize = 100;
/// The first id; real ones have sixteen digits.
const ID_FIRST: u64 = 9_153_709_134_000_000;

impl PubSub {
    /// Publishes messages, all or none; their ids.
    pub(crate) fn publish(&mut self, now: Wall, topic: &str, drafts: Vec<Draft>) -> Result<Vec<String>, Status> {
        if !self.topics.contains_key(topic) {
            return Err(absent("topic", topic));
        }
        if drafts.is_empty() {
            return Err(Status::bad_field("messages", "required"));
        }
        drafts.iter().try_for_each(Draft::check)?;
        if !self.store.has_room(drafts.iter().map(Draft::held).sum()) {
            return Err(Status::new(Code::ResourceExhausted, "There is no room for more messages here."));
        }
        Ok(drafts.into_iter().map(|draft| self.put(now, topic, draft, &[Dur::ZERO])).collect())
    }

    /// Publishes a message that reaches subscriptions so much later, once for each of the delays. Where there is no room for
    /// it, it is dropped, and counted.
    pub(crate) fn publish_late(&mut self, now: Wall, topic: &str, draft: Draft, delays: &[Dur]) -> Result<(), Status> {
        if !self.topics.contains_key(topic) {
            return Err(absent("topic", topic));
        }
        draft.check()?;
        match self.store.has_room(draft.held()) {
            true => drop(self.put(now, topic, draft, delays)),
            false => self.dropped += 1,
        }
        Ok(())
    }

    /// Messages that were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn put(&mut self, now: Wall, topic: &str, draft: Draft, delays: &[Dur]) -> String {
        let place = self.store.place(draft.held());
        let Draft { attributes, data, ordering_key, about } = draft;
        self.published += 1;
        let id = (ID_FIRST + self.published).to_string();
        let message = Arc::new(Message {
            id: id.clone(),
            published: now,
            attributes,
            data,
            data_bytes: OnceLock::new(),
            ordering_key,
            about,
            _place: place,
        });
        for subscription in self.subscriptions.values_mut().filter(|of| of.settings.topic == topic) {
            delays.iter().for_each(|delay| subscription.queue.put(Arc::clone(&message), now + *delay));
        }
        id
    }

    /// Messages that are due, as many as there is room for, each leased for the subscription's ack deadline, or for another.
    pub(crate) fn pull(
        &mut self,
        now: Wall,
        name: &str,
        room: Room,
        lease: Option<Dur>,
    ) -> Result<Vec<Delivery>, Status> {
        self.settle(now);
        let subscription = self.subscriptions.get_mut(name).ok_or_else(|| absent("subscription", name))?;
        let lease = lease.unwrap_or(subscription.settings.ack_deadline);
        let pulled = subscription.queue.take(now, room, lease, &subscription.settings, &mut self.leases);
        self.notified.extend(pulled.iter().filter_map(Delivery::tells_of));
        Ok(pulled)
    }

    /// Messages are done with. What is unknown, or was acknowledged before, or has a newer id, is passed over.
    pub(crate) fn acknowledge<'a>(
        &mut self,
        now: Wall,
        name: &str,
        ack_ids: impl Iterator<Item = &'a str>,
    ) -> Result<(), Status> {
        self.settle(now);
        let subscription = self.subscriptions.get_mut(name).ok_or_else(|| absent("subscription", name))?;
        let done = ack_ids.filter_map(|id| subscription.queue.acknowledge(id)).map(|message| message.about);
        self.acknowledged.extend(done.filter(|about| about.ends != Ends::Nothing));
        Ok(())
    }

    /// What messages that were handed out since this was last asked tell of, those that come again aside.
    pub(crate) fn take_notified(&mut self) -> Vec<About> {
        std::mem::take(&mut self.notified)
    }

    /// What acknowledgments have ended since this was last asked.
    pub(crate) fn take_acknowledged(&mut self) -> Vec<About> {
        std::mem::take(&mut self.acknowledged)
    }

    /// Leases end so long from now; at once for 0, which is a refusal.
    pub(crate) fn modify<'a>(
        &mut self,
        now: Wall,
        name: &str,
        ack_ids: impl Iterator<Item = &'a str>,
        lease: Dur,
    ) -> Result<(), Status> {
        if lease > settings::ACK_DEADLINE_MAX {
            return Err(Status::bad_field("ackDeadlineSeconds", "must be between 0 and 600"));
        }
        let subscription = self.subscriptions.get_mut(name).ok_or_else(|| absent("subscription", name))?;
        ack_ids.for_each(|id| subscription.queue.extend(id, now + lease));
        self.settle(now);
        Ok(())
    }

    /// Whether a message is still out under this id.
    pub(crate) fn is_out(&self, name: &str, ack_id: &str) -> bool {
        self.subscriptions.get(name).is_some_and(|subscription| subscription.queue.is_out(ack_id))
    }

    /// How long until there may be something to pull for those who have pulled what they have room for: at a lease's end, or when a
    /// message is due that is not yet.
    pub(crate) fn pull_rest(&self, now: Wall, name: &str) -> Dur {
        let Some(Subscription { queue, settings, .. }) = self.subscriptions.get(name) else { return REST_MAX };
        let due = queue.next_due(now, settings).filter(|due| *due > now);
        due.into_iter().chain(queue.next_end()).min().map_or(REST_MAX, |next| next.since(now))
    }

    /// Leases that are over by now end, and messages that failed too often go to where such go.
    fn settle(&mut self, now: Wall) {
        let mut dead = Vec::new();
        for subscription in self.subscriptions.values_mut() {
            subscription.queue.settle(now, &subscription.settings, &mut dead);
        }
        for (topic, message, attempts) in dead {
            let mut attributes = message.attributes.clone();
            attributes.insert("CloudPubSubDeadLetterSourceDeliveryCount".to_owned(), attempts.to_string());
            // A topic that is gone takes its dead letters with it.
            let (data, ordering_key) = (message.data.clone(), message.ordering_key.clone());
            let draft = Draft { attributes, data, ordering_key, about: About::NOBODY };
            let _put = self.publish_late(now, &topic, draft, &[Dur::ZERO]).ok();
        }
    }

    /// When something is due that nobody asks for: a lease's end, or a push.
    pub(crate) fn next(&self, now: Wall) -> Option<Wall> {
        self.subscriptions.values().filter_map(|subscription| subscription.next(now)).min()
    }
}

impl Delivery {
    /// What it holds.
    pub(crate) fn data(&self) -> Cow<'_, [u8]> {
        self.written.as_deref().map_or_else(|| self.message.data.bytes(), Cow::Borrowed)
    }

    /// What it takes of an answer.
    pub(crate) fn bytes(&self) -> usize {
        self.message.measure().0
    }

    /// What the server hears of by it that it has not heard before.
    fn tells_of(&self) -> Option<About> {
        Some(self.message.about).filter(|about| self.is_first && about.ends != Ends::Nothing)
    }
}

impl Draft {
    fn check(&self) -> Result<(), Status> {
        let data = self.data.held();
        if data == 0 && self.attributes.is_empty() {
            return Err(Status::bad_field("messages", "some message has neither data nor attributes"));
        }
        if data > MESSAGE_BYTES_MAX || self.attributes.len() > ATTRIBUTES_MAX {
            return Err(Status::bad_field("messages", "message is too large"));
        }
        Ok(())
    }

    /// What it takes while it waits.
    fn held(&self) -> usize {
        HEAD_BYTES + self.data.held() + bytes_of(&self.attributes)
    }
}

impl Message {
    /// What it takes of an answer; and its data, if that had to be written to know.
    fn measure(&self) -> (usize, Option<Vec<u8>>) {
        let mut written = None;
        let data = *self.data_bytes.get_or_init(|| match self.data.bytes() {
            Cow::Borrowed(bytes) => bytes.len(),
            Cow::Owned(bytes) => written.insert(bytes).len(),
        });
        (HEAD_BYTES + data + bytes_of(&self.attributes) + self.ordering_key.len(), written)
    }

    /// As REST and pushes have it.
    fn json(&self, data: &[u8], both_styles: bool) -> Value {
        let mut message = json!({ "messageId": self.id, "publishTime": timestamp(self.published) });
        if both_styles {
            message["message_id"] = message["messageId"].clone();
            message["publish_time"] = message["publishTime"].clone();
        }
        if !data.is_empty() {
            message["data"] = STANDARD.encode(data).into();
        }
        if !self.attributes.is_empty() {
            message["attributes"] = json!(self.attributes);
        }
        if !self.ordering_key.is_empty() {
            message["orderingKey"] = self.ordering_key.clone().into();
        }
        message
    }
}

fn bytes_of(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn absent(what: &str, name: &str) -> Status {
    Status::new(
        Code::NotFound,
        format!("Resource not found (resource={}). No such {what}.", name.rsplit('/').next().unwrap_or_default()),
    )
}
