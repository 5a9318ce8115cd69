//! Pub/Sub's messages as gRPC has them (`google/pubsub/v1/pubsub.proto`, `google/iam/v1`), and their JSON. Fields that nobody
//! here reads are left out; what is unknown is skipped, as protocol buffers have it.

use super::value::{duration, read_duration};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::{Dur, Wall};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

type Object = Map<String, Value>;

/// Declares messages whose fields need no word beyond their proto's.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$kind:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, prost::Message)]
        #[expect(missing_docs, reason = "the names are the proto's")]
        pub struct $name { $($(#[$kind])* pub $field: $type,)* }
    )*};
}

messages! {
    /// A topic.
    Topic {
        #[prost(string, tag = "1")] name: String,
        #[prost(btree_map = "string, string", tag = "2")] labels: BTreeMap<String, String>,
    }
    /// A message; id and time are Pub/Sub's.
    PubsubMessage {
        #[prost(bytes = "vec", tag = "1")] data: Vec<u8>,
        #[prost(btree_map = "string, string", tag = "2")] attributes: BTreeMap<String, String>,
        #[prost(string, tag = "3")] message_id: String,
        #[prost(message, optional, tag = "4")] publish_time: Option<prost_types::Timestamp>,
        #[prost(string, tag = "5")] ordering_key: String,
    }
    /// Asks for one thing by its name: a topic, a subscription, the policy of a resource.
    ByName {
        #[prost(string, tag = "1")] name: String,
    }
    /// Asks for a page of what belongs to a project or a topic.
    ListRequest {
        #[prost(string, tag = "1")] parent: String,
        #[prost(int32, tag = "2")] page_size: i32,
        #[prost(string, tag = "3")] page_token: String,
    }
    /// A page of topics.
    ListTopicsResponse {
        #[prost(message, repeated, tag = "1")] topics: Vec<Topic>,
        #[prost(string, tag = "2")] next_page_token: String,
    }
    /// A page of names of subscriptions.
    ListTopicSubscriptionsResponse {
        #[prost(string, repeated, tag = "1")] subscriptions: Vec<String>,
        #[prost(string, tag = "2")] next_page_token: String,
    }
    /// A page of subscriptions.
    ListSubscriptionsResponse {
        #[prost(message, repeated, tag = "1")] subscriptions: Vec<Subscription>,
        #[prost(string, tag = "2")] next_page_token: String,
    }
    /// Publishes.
    PublishRequest {
        #[prost(string, tag = "1")] topic: String,
        #[prost(message, repeated, tag = "2")] messages: Vec<PubsubMessage>,
    }
    /// Ids of what was published, in its order.
    PublishResponse {
        #[prost(string, repeated, tag = "1")] message_ids: Vec<String>,
    }
    /// A subscription. Of what is not played it matters only that it is there.
    Subscription {
        #[prost(string, tag = "1")] name: String,
        #[prost(string, tag = "2")] topic: String,
        #[prost(message, optional, tag = "4")] push_config: Option<PushConfig>,
        #[prost(int32, tag = "5")] ack_deadline_seconds: i32,
        #[prost(message, optional, tag = "8")] message_retention_duration: Option<prost_types::Duration>,
        #[prost(btree_map = "string, string", tag = "9")] labels: BTreeMap<String, String>,
        #[prost(bool, tag = "10")] enable_message_ordering: bool,
        #[prost(string, tag = "12")] filter: String,
        #[prost(message, optional, tag = "13")] dead_letter_policy: Option<DeadLetterPolicy>,
        #[prost(message, optional, tag = "14")] retry_policy: Option<RetryPolicy>,
        #[prost(bool, tag = "16")] enable_exactly_once_delivery: bool,
        #[prost(message, optional, tag = "18")] bigquery_config: Option<()>,
        #[prost(int32, tag = "19")] state: i32,
        #[prost(message, optional, tag = "22")] cloud_storage_config: Option<()>,
        #[prost(message, repeated, tag = "25")] message_transforms: Vec<()>,
        #[prost(message, optional, tag = "27")] bigtable_config: Option<()>,
    }
    /// Where messages are pushed to.
    PushConfig {
        #[prost(string, tag = "1")] push_endpoint: String,
        #[prost(message, optional, tag = "3")] oidc_token: Option<OidcToken>,
        #[prost(message, optional, tag = "5")] no_wrapper: Option<NoWrapper>,
    }
    /// Whose token a push shows.
    OidcToken {
        #[prost(string, tag = "1")] service_account_email: String,
        #[prost(string, tag = "2")] audience: String,
    }
    /// A push of the data alone.
    NoWrapper {
        #[prost(bool, tag = "1")] write_metadata: bool,
    }
    /// Where messages go that fail too often.
    DeadLetterPolicy {
        #[prost(string, tag = "1")] dead_letter_topic: String,
        #[prost(int32, tag = "2")] max_delivery_attempts: i32,
    }
    /// How long a message waits before it comes again.
    RetryPolicy {
        #[prost(message, optional, tag = "1")] minimum_backoff: Option<prost_types::Duration>,
        #[prost(message, optional, tag = "2")] maximum_backoff: Option<prost_types::Duration>,
    }
    /// Changes a subscription.
    UpdateSubscriptionRequest {
        #[prost(message, optional, tag = "1")] subscription: Option<Subscription>,
        #[prost(message, optional, tag = "2")] update_mask: Option<prost_types::FieldMask>,
    }
    /// Sets where messages are pushed to.
    ModifyPushConfigRequest {
        #[prost(string, tag = "1")] subscription: String,
        #[prost(message, optional, tag = "2")] push_config: Option<PushConfig>,
    }
    /// Asks for messages.
    PullRequest {
        #[prost(string, tag = "1")] subscription: String,
        #[prost(bool, tag = "2")] return_immediately: bool,
        #[prost(int32, tag = "3")] max_messages: i32,
    }
    /// Messages.
    PullResponse {
        #[prost(message, repeated, tag = "1")] received_messages: Vec<ReceivedMessage>,
    }
    /// A message, and the id to acknowledge it by.
    ReceivedMessage {
        #[prost(string, tag = "1")] ack_id: String,
        #[prost(message, optional, tag = "2")] message: Option<PubsubMessage>,
        #[prost(int32, tag = "3")] delivery_attempt: i32,
    }
    /// Moves ends of leases.
    ModifyAckDeadlineRequest {
        #[prost(string, tag = "1")] subscription: String,
        #[prost(int32, tag = "3")] ack_deadline_seconds: i32,
        #[prost(string, repeated, tag = "4")] ack_ids: Vec<String>,
    }
    /// Acknowledges.
    AcknowledgeRequest {
        #[prost(string, tag = "1")] subscription: String,
        #[prost(string, repeated, tag = "2")] ack_ids: Vec<String>,
    }
    /// What a client says on a stream: first what it wants; then acknowledgments, or nothing, which is a ping.
    StreamingPullRequest {
        #[prost(string, tag = "1")] subscription: String,
        #[prost(string, repeated, tag = "2")] ack_ids: Vec<String>,
        #[prost(int32, repeated, tag = "3")] modify_deadline_seconds: Vec<i32>,
        #[prost(string, repeated, tag = "4")] modify_deadline_ack_ids: Vec<String>,
        #[prost(int32, tag = "5")] stream_ack_deadline_seconds: i32,
        #[prost(string, tag = "6")] client_id: String,
        #[prost(int64, tag = "7")] max_outstanding_messages: i64,
        #[prost(int64, tag = "8")] max_outstanding_bytes: i64,
        #[prost(int64, tag = "10")] protocol_version: i64,
    }
    /// What a stream brings; nothing, where it answers a ping.
    StreamingPullResponse {
        #[prost(message, repeated, tag = "1")] received_messages: Vec<ReceivedMessage>,
    }
    /// Sets a policy.
    SetIamPolicyRequest {
        #[prost(string, tag = "1")] resource: String,
        #[prost(message, optional, tag = "2")] policy: Option<Policy>,
    }
    /// Who may do what.
    Policy {
        #[prost(int32, tag = "1")] version: i32,
        #[prost(bytes = "vec", tag = "3")] etag: Vec<u8>,
        #[prost(message, repeated, tag = "4")] bindings: Vec<Binding>,
    }
    /// Who has a role.
    Binding {
        #[prost(string, tag = "1")] role: String,
        #[prost(string, repeated, tag = "2")] members: Vec<String>,
    }
    /// Permissions: those that are asked about.
    TestIamPermissionsRequest {
        #[prost(string, tag = "1")] resource: String,
        #[prost(string, repeated, tag = "2")] permissions: Vec<String>,
    }
    /// Those that the caller has.
    TestIamPermissionsResponse {
        #[prost(string, repeated, tag = "1")] permissions: Vec<String>,
    }
}

impl Topic {
    /// As JSON has it.
    pub fn to_json(&self) -> Object {
        object([("name", json!(self.name)), ("labels", json!(self.labels))])
    }

    /// Of JSON.
    pub fn from_json(json: &Value) -> Self {
        Topic { name: text(json, "name"), labels: texts(&json["labels"]) }
    }
}

impl Subscription {
    /// As JSON has it.
    pub fn to_json(&self) -> Object {
        object([
            ("name", json!(self.name)),
            ("topic", json!(self.topic)),
            ("pushConfig", self.push_config.as_ref().map_or(Value::Null, |config| config.to_json().into())),
            ("ackDeadlineSeconds", number(self.ack_deadline_seconds)),
            ("messageRetentionDuration", lasting(self.message_retention_duration.as_ref())),
            ("labels", json!(self.labels)),
            ("enableMessageOrdering", flag(self.enable_message_ordering)),
            ("filter", json!(self.filter)),
            ("enableExactlyOnceDelivery", flag(self.enable_exactly_once_delivery)),
            ("bigqueryConfig", flag(self.bigquery_config.is_some())),
            ("cloudStorageConfig", flag(self.cloud_storage_config.is_some())),
            ("messageTransforms", flag(!self.message_transforms.is_empty())),
            ("bigtableConfig", flag(self.bigtable_config.is_some())),
            (
                "deadLetterPolicy",
                self.dead_letter_policy.as_ref().map_or(Value::Null, |policy| {
                    let attempts = number(policy.max_delivery_attempts);
                    object([("deadLetterTopic", json!(policy.dead_letter_topic)), ("maxDeliveryAttempts", attempts)])
                        .into()
                }),
            ),
            (
                "retryPolicy",
                self.retry_policy.as_ref().map_or(Value::Null, |policy| {
                    let (shortest, longest) =
                        (lasting(policy.minimum_backoff.as_ref()), lasting(policy.maximum_backoff.as_ref()));
                    Value::Object(object([("minimumBackoff", shortest), ("maximumBackoff", longest)]))
                }),
            ),
        ])
    }

    /// Of JSON.
    pub fn from_json(json: &Value) -> Self {
        let part = |field: &str| json.get(field).filter(|value| value.is_object());
        Subscription {
            name: text(json, "name"),
            topic: text(json, "topic"),
            push_config: part("pushConfig").map(PushConfig::from_json),
            ack_deadline_seconds: int(&json["ackDeadlineSeconds"]),
            message_retention_duration: read_lasting(&json["messageRetentionDuration"]),
            labels: texts(&json["labels"]),
            enable_message_ordering: json["enableMessageOrdering"] == true,
            filter: text(json, "filter"),
            dead_letter_policy: part("deadLetterPolicy").map(|policy| DeadLetterPolicy {
                dead_letter_topic: text(policy, "deadLetterTopic"),
                max_delivery_attempts: int(&policy["maxDeliveryAttempts"]),
            }),
            retry_policy: part("retryPolicy").map(|policy| RetryPolicy {
                minimum_backoff: read_lasting(&policy["minimumBackoff"]),
                maximum_backoff: read_lasting(&policy["maximumBackoff"]),
            }),
            enable_exactly_once_delivery: json["enableExactlyOnceDelivery"] == true,
            // Nobody here has such a one.
            bigquery_config: None,
            cloud_storage_config: None,
            message_transforms: Vec::new(),
            bigtable_config: None,
            state: i32::from(json["state"] == "ACTIVE"),
        }
    }
}

impl PushConfig {
    /// As JSON has it.
    pub fn to_json(&self) -> Object {
        let token = self.oidc_token.as_ref().map_or(Value::Null, |token| {
            let account = json!(token.service_account_email);
            object([("serviceAccountEmail", account), ("audience", json!(token.audience))]).into()
        });
        let bare = self.no_wrapper.as_ref().map_or(Value::Null, |bare| json!({ "writeMetadata": bare.write_metadata }));
        object([("pushEndpoint", json!(self.push_endpoint)), ("oidcToken", token), ("noWrapper", bare)])
    }

    /// Of JSON.
    pub fn from_json(json: &Value) -> Self {
        let part = |field: &str| json.get(field).filter(|value| value.is_object());
        PushConfig {
            push_endpoint: text(json, "pushEndpoint"),
            oidc_token: part("oidcToken").map(|token| OidcToken {
                service_account_email: text(token, "serviceAccountEmail"),
                audience: text(token, "audience"),
            }),
            no_wrapper: part("noWrapper").map(|bare| NoWrapper { write_metadata: bare["writeMetadata"] == true }),
        }
    }
}

impl Policy {
    /// As JSON has it.
    pub fn to_json(&self) -> Object {
        let binding = |binding: &Binding| json!({ "role": binding.role, "members": binding.members });
        let bindings: Vec<Value> = self.bindings.iter().map(binding).collect();
        object([
            ("version", number(self.version)),
            ("etag", json!(STANDARD.encode(&self.etag))),
            ("bindings", bindings.into()),
        ])
    }

    /// Of JSON.
    pub fn from_json(json: &Value) -> Self {
        let binding = |binding: &Value| Binding { role: text(binding, "role"), members: list(&binding["members"]) };
        Policy {
            version: int(&json["version"]),
            etag: STANDARD.decode(text(json, "etag")).unwrap_or_default(),
            bindings: json["bindings"].as_array().into_iter().flatten().map(binding).collect(),
        }
    }
}

/// A time.
pub fn time(at: Wall) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds: at.secs(), nanos }
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Object {
    let is_set = |value: &Value| !value.is_null() && value != "" && value.as_object().is_none_or(|of| !of.is_empty());
    fields.into_iter().filter(|(_, value)| is_set(value)).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn number(value: i32) -> Value {
    if value == 0 { Value::Null } else { value.into() }
}

fn flag(value: bool) -> Value {
    if value { Value::Bool(true) } else { Value::Null }
}

fn lasting(dur: Option<&prost_types::Duration>) -> Value {
    let positive = dur.and_then(|dur| Some((u64::try_from(dur.seconds).ok()?, u64::try_from(dur.nanos).ok()?)));
    positive.map_or(Value::Null, |(secs, nanos)| duration(Dur::secs(secs) + Dur::us(nanos / 1_000)).into())
}

fn read_lasting(json: &Value) -> Option<prost_types::Duration> {
    let dur = read_duration(json.as_str()?)?;
    let (secs, nanos) = (dur.0 / 1_000_000, dur.0 % 1_000_000 * 1_000);
    Some(prost_types::Duration { seconds: i64::try_from(secs).ok()?, nanos: i32::try_from(nanos).ok()? })
}

fn text(json: &Value, field: &str) -> String {
    json.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(json: &Value) -> BTreeMap<String, String> {
    let pairs = json.as_object().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn list(json: &Value) -> Vec<String> {
    json.as_array().into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

fn int(json: &Value) -> i32 {
    json.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_message_say_the_same() {
        let json = json!({
            "name": "projects/p/subscriptions/s", "topic": "projects/p/topics/t", "ackDeadlineSeconds": 60,
            "messageRetentionDuration": "86400s", "enableMessageOrdering": true, "labels": { "a": "b" },
            "pushConfig": {
                "pushEndpoint": "https://emm.example", "noWrapper": { "writeMetadata": true },
                "oidcToken": { "serviceAccountEmail": "a@b", "audience": "c" },
            },
            "deadLetterPolicy": { "deadLetterTopic": "projects/p/topics/d", "maxDeliveryAttempts": 5 },
            "retryPolicy": { "minimumBackoff": "10s", "maximumBackoff": "0.500s" },
        });
        assert_eq!(Value::Object(Subscription::from_json(&json).to_json()), json);
        let policy = json!({ "version": 1, "etag": "AAAA", "bindings": [{ "role": "r", "members": ["m"] }] });
        assert_eq!(Value::Object(Policy::from_json(&policy).to_json()), policy);
        let topic = json!({ "name": "projects/p/topics/t", "labels": { "a": "b" } });
        assert_eq!(Value::Object(Topic::from_json(&topic).to_json()), topic);
        assert_eq!(time(Wall(-1)), prost_types::Timestamp { seconds: -1, nanos: 999_999_000 });
    }
}
