//! Pub/Sub by REST. gRPC says the same: its messages become this JSON and back.

use super::super::management::Object;
use super::super::page::{Sizes, page};
use super::super::query::Query;
use super::settings::Settings;
use super::{About, Data, Draft, PULLED_MAX, PubSub, Room, Subscription, Topic, absent};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::{Dur, Wall};
use droves_wire::android::{Code, FieldMask, Status, name};
use serde_json::{Value, json};

const TOPIC: &str = "projects/*/topics/*";
const SUBSCRIPTION: &str = "projects/*/subscriptions/*";
const SIZES: Sizes = Sizes { default: 100, max: 1_000 };

impl PubSub {
    /// Answers a call; `path` after `v1/`.
    pub(crate) fn answer(
        &mut self,
        now: Wall,
        verb: &str,
        path: &str,
        query: &Query<'_>,
        mut body: Object,
    ) -> Result<Value, Status> {
        let (resource, action) = path.rsplit_once(':').unwrap_or((path, ""));
        let is_topic = name::is_like(resource, TOPIC);
        let is_subscription = name::is_like(resource, SUBSCRIPTION);
        match (verb, action) {
            ("GET", "getIamPolicy") => self.iam_policy(resource),
            ("POST", "setIamPolicy") => match body.remove("policy") {
                Some(Value::Object(policy)) => self.set_iam_policy(resource, policy),
                _ => Err(Status::bad_field("policy", "required")),
            },
            // Whoever calls here may do everything.
            ("POST", "testIamPermissions") => {
                self.iam_policy(resource)?;
                Ok(json!({ "permissions": body.get("permissions").cloned().unwrap_or_else(|| json!([])) }))
            }
            ("PUT", "") if is_topic => self.create_topic(resource, body),
            ("GET", "") if is_topic => self.topic(resource),
            ("PATCH", "") if is_topic => self.update_topic(resource, &mut body),
            ("DELETE", "") if is_topic => self.delete_topic(resource),
            ("POST", "publish") if is_topic => self.publish_all(now, resource, &body),
            ("PUT", "") if is_subscription => self.create_subscription(resource, body),
            ("GET", "") if is_subscription => self.subscription(resource),
            ("PATCH", "") if is_subscription => {
                let (mask, from) = update(&mut body, "subscription")?;
                self.update_subscription(resource, &mask, &from)
            }
            ("DELETE", "") if is_subscription => self.delete_subscription(resource),
            ("POST", "modifyPushConfig") if is_subscription => {
                let config = body.remove("pushConfig").unwrap_or_else(|| json!({}));
                self.modify_push_config(resource, config).map(|()| json!({}))
            }
            ("POST", "pull") if is_subscription => self.pull_json(now, resource, &body),
            ("POST", "acknowledge") if is_subscription => {
                self.acknowledge(now, resource, ack_ids(&body)).map(|()| json!({}))
            }
            ("POST", "modifyAckDeadline") if is_subscription => {
                let lease = Dur::secs(body.get("ackDeadlineSeconds").and_then(Value::as_u64).unwrap_or(0));
                self.modify(now, resource, ack_ids(&body), lease).map(|()| json!({}))
            }
            ("GET", "") => self.list(resource, query),
            _ => Err(Status::new(Code::NotFound, "Method not found.")),
        }
    }

    pub(crate) fn create_topic(&mut self, name: &str, mut body: Object) -> Result<Value, Status> {
        check_id(name)?;
        if self.topics.contains_key(name) {
            return Err(present(name));
        }
        body.insert("name".to_owned(), name.into());
        let topic = Topic { body: body.clone(), policy: Object::new() };
        self.topics.insert(name.to_owned(), topic);
        Ok(body.into())
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Value, Status> {
        self.topics.get(name).map(|topic| topic.body.clone().into()).ok_or_else(|| absent("topic", name))
    }

    fn update_topic(&mut self, name: &str, body: &mut Object) -> Result<Value, Status> {
        let (mask, from) = update(body, "topic")?;
        let topic = self.topics.get_mut(name).ok_or_else(|| absent("topic", name))?;
        mask.apply(&mut topic.body, &from);
        Ok(topic.body.clone().into())
    }

    /// Its subscriptions stay, and hear no more.
    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<Value, Status> {
        self.topics.remove(name).ok_or_else(|| absent("topic", name))?;
        for subscription in self.subscriptions.values_mut().filter(|of| of.settings.topic == name) {
            subscription.body.insert("topic".to_owned(), "_deleted-topic_".into());
            "_deleted-topic_".clone_into(&mut subscription.settings.topic);
        }
        Ok(json!({}))
    }

    fn publish_all(&mut self, now: Wall, topic: &str, body: &Object) -> Result<Value, Status> {
        let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
        let drafts = messages.map(draft).collect::<Result<_, _>>()?;
        Ok(json!({ "messageIds": self.publish(now, topic, drafts)? }))
    }

    pub(crate) fn create_subscription(&mut self, name: &str, mut body: Object) -> Result<Value, Status> {
        check_id(name)?;
        if self.subscriptions.contains_key(name) {
            return Err(present(name));
        }
        body.insert("name".to_owned(), name.into());
        let settings = Settings::read(&mut body)?;
        if !self.topics.contains_key(&settings.topic) {
            return Err(absent("topic", &settings.topic));
        }
        let subscription = Subscription {
            body: body.clone(),
            settings,
            queue: super::Queue::default(),
            pace: super::Pace::default(),
            policy: Object::new(),
        };
        self.subscriptions.insert(name.to_owned(), subscription);
        Ok(body.into())
    }

    pub(crate) fn subscription(&self, name: &str) -> Result<Value, Status> {
        let subscription = self.subscriptions.get(name).ok_or_else(|| absent("subscription", name))?;
        Ok(subscription.body.clone().into())
    }

    pub(crate) fn update_subscription(&mut self, name: &str, mask: &FieldMask, from: &Object) -> Result<Value, Status> {
        self.change(name, |subscription| mask.apply(subscription, from))
    }

    /// An empty one makes it a subscription that is pulled.
    pub(crate) fn modify_push_config(&mut self, name: &str, config: Value) -> Result<(), Status> {
        self.change(name, |subscription| drop(subscription.insert("pushConfig".to_owned(), config))).map(|_| ())
    }

    fn change(&mut self, name: &str, with: impl FnOnce(&mut Object)) -> Result<Value, Status> {
        let subscription = self.subscriptions.get_mut(name).ok_or_else(|| absent("subscription", name))?;
        let mut body = subscription.body.clone();
        with(&mut body);
        subscription.settings = Settings::read(&mut body)?;
        subscription.body = body.clone();
        Ok(body.into())
    }

    pub(crate) fn delete_subscription(&mut self, name: &str) -> Result<Value, Status> {
        self.subscriptions.remove(name).map(|_| json!({})).ok_or_else(|| absent("subscription", name))
    }

    fn pull_json(&mut self, now: Wall, name: &str, body: &Object) -> Result<Value, Status> {
        let count = body.get("maxMessages").and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        let count =
            count.filter(|count| *count > 0).ok_or_else(|| Status::bad_field("maxMessages", "must be positive"))?;
        let pulled = self.pull(now, name, Room::of_answer(count.min(PULLED_MAX)), None)?;
        let shown = pulled.iter().map(|delivery| {
            let mut received =
                json!({ "ackId": delivery.ack_id, "message": delivery.message.json(&delivery.data(), false) });
            if let Some(attempt) = delivery.attempt {
                received["deliveryAttempt"] = attempt.into();
            }
            received
        });
        let shown: Vec<_> = shown.collect();
        Ok(if shown.is_empty() { json!({}) } else { json!({ "receivedMessages": shown }) })
    }

    /// `projects/p/topics`, `projects/p/subscriptions`, `projects/p/topics/t/subscriptions`.
    pub(crate) fn list(&self, path: &str, query: &Query<'_>) -> Result<Value, Status> {
        let of = |prefix: &str| format!("{prefix}/");
        if name::is_like(path, "projects/*/topics") {
            let here = self.topics.iter().filter(|(name, _)| name.starts_with(&of(path)));
            let here = here.map(|(name, topic)| (name.clone(), &topic.body)).collect();
            return page(&here, query, "topics", SIZES, |body: &&Object| Value::Object((*body).clone()));
        }
        if name::is_like(path, "projects/*/subscriptions") {
            let here = self.subscriptions.iter().filter(|(name, _)| name.starts_with(&of(path)));
            let here = here.map(|(name, subscription)| (name.clone(), &subscription.body)).collect();
            return page(&here, query, "subscriptions", SIZES, |body: &&Object| Value::Object((*body).clone()));
        }
        let topic = path.strip_suffix("/subscriptions").filter(|topic| name::is_like(topic, TOPIC));
        let topic = topic.ok_or_else(|| Status::new(Code::NotFound, "Method not found."))?;
        self.topic(topic)?;
        let here = self.subscriptions.iter().filter(|(_, subscription)| subscription.settings.topic == topic);
        let here = here.map(|(name, _)| (name.clone(), name.clone())).collect();
        page(&here, query, "subscriptions", SIZES, |name: &String| json!(name))
    }
}

fn draft(message: &Value) -> Result<Draft, Status> {
    let data = message["data"].as_str().unwrap_or_default();
    let data = STANDARD.decode(data).map_err(|_| Status::bad_field("messages.data", "not base64"))?;
    let data = Data::Bytes(data);
    let attributes = message["attributes"].as_object().into_iter().flatten();
    let attributes = attributes.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    let ordering_key = message["orderingKey"].as_str().unwrap_or_default().to_owned();
    Ok(Draft { attributes, data, ordering_key, about: About::NOBODY })
}

/// `{"topic": {..}, "updateMask": ".."}`
fn update(body: &mut Object, what: &str) -> Result<(FieldMask, Object), Status> {
    let mask = body.get("updateMask").and_then(Value::as_str).unwrap_or_default();
    let mask = FieldMask::read(mask).map_err(|error| Status::bad_field("updateMask", error.to_string()))?;
    let mask = mask.ok_or_else(|| Status::bad_field("updateMask", "required"))?;
    match body.remove(what) {
        Some(Value::Object(from)) => Ok((mask, from)),
        _ => Err(Status::bad_field(what, "required")),
    }
}

fn ack_ids(body: &Object) -> impl Iterator<Item = &str> {
    body.get("ackIds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// 3 to 255 characters, a letter first, and not `goog`.
fn check_id(name: &str) -> Result<(), Status> {
    let id = name.rsplit('/').next().unwrap_or_default();
    let fits = (3..=255).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~+%".contains(c))
        && !id.starts_with("goog");
    if fits { Ok(()) } else { Err(Status::bad_field("name", format!("invalid resource name: {name}"))) }
}

fn present(name: &str) -> Status {
    Status::new(Code::AlreadyExists, format!("Resource already exists in the project (resource={name})."))
}
