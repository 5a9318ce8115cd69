//! What a subscription's JSON says of its deliveries.

use super::super::management::Object;
use droves_facts::Dur;
use droves_wire::android::value::read_duration;
use droves_wire::android::{Code, Status};
use serde_json::Value;

/// Read of a subscription.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Settings {
    pub(super) topic: String,
    /// 10 to 600 seconds.
    pub(super) ack_deadline: Dur,
    /// 10 minutes to 31 days.
    pub(super) retention: Dur,
    pub(super) ordered: bool,
    /// The shortest and the longest wait before a message comes again; at once without.
    pub(super) retry: Option<(Dur, Dur)>,
    /// Where a message goes that was delivered so often.
    pub(super) dead_letter: Option<(String, u32)>,
    pub(super) push: Option<Push>,
}

/// Where messages are pushed to.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Push {
    pub(super) endpoint: String,
    /// Whose token is shown, to which audience.
    pub(super) token: Option<(String, String)>,
    /// The message's data alone, with what is known of it in headers or without.
    pub(super) bare: Option<bool>,
}

pub(super) const ACK_DEADLINE_MAX: Dur = Dur::secs(600);
const ACK_DEADLINE: Dur = Dur::secs(10);
const RETENTION: Dur = Dur::secs(7 * 86_400);
const RETENTION_MIN: Dur = Dur::secs(600);
const RETENTION_MAX: Dur = Dur::secs(31 * 86_400);
const RETRY_MAX: Dur = Dur::secs(600);
/// What would change deliveries, and is not played.
const UNPLAYED: [&str; 6] = [
    "filter",
    "enableExactlyOnceDelivery",
    "bigqueryConfig",
    "cloudStorageConfig",
    "messageTransforms",
    "bigtableConfig",
];

impl Default for Settings {
    fn default() -> Self {
        Settings {
            topic: String::new(),
            ack_deadline: ACK_DEADLINE,
            retention: RETENTION,
            ordered: false,
            retry: None,
            dead_letter: None,
            push: None,
        }
    }
}

impl Settings {
    /// Reads a subscription, and puts in what it leaves to Google.
    pub(super) fn read(body: &mut Object) -> Result<Self, Status> {
        let is_set = |field: &&&str| {
            body.get(**field).is_some_and(|value| {
                !matches!(value, Value::Null | Value::Bool(false))
                    && value != ""
                    && value != &Value::Object(Object::new())
            })
        };
        if let Some(field) = UNPLAYED.iter().find(is_set) {
            return Err(Status::new(Code::Unimplemented, format!("{field} is not played here")));
        }
        let topic = body.get("topic").and_then(Value::as_str).filter(|topic| !topic.is_empty());
        let topic = topic.ok_or_else(|| Status::bad_field("subscription.topic", "required"))?.to_owned();
        let ack_deadline = match body.get("ackDeadlineSeconds").and_then(Value::as_u64) {
            None | Some(0) => ACK_DEADLINE,
            Some(secs) => Dur::secs(secs),
        };
        if !(ACK_DEADLINE..=ACK_DEADLINE_MAX).contains(&ack_deadline) {
            return Err(Status::bad_field("subscription.ackDeadlineSeconds", "must be between 10 and 600"));
        }
        let retention = lasting(body.get("messageRetentionDuration"), RETENTION)?;
        if !(RETENTION_MIN..=RETENTION_MAX).contains(&retention) {
            return Err(Status::bad_field("subscription.messageRetentionDuration", "must be 10 minutes to 31 days"));
        }
        let retry = body.get("retryPolicy").filter(|policy| policy.is_object());
        let retry = retry.map(|policy| {
            let shortest = lasting(policy.get("minimumBackoff"), Dur::secs(10))?;
            Ok::<_, Status>((shortest.min(RETRY_MAX), lasting(policy.get("maximumBackoff"), RETRY_MAX)?.min(RETRY_MAX)))
        });
        let dead_letter = body.get("deadLetterPolicy").and_then(|policy| {
            let attempts = policy.get("maxDeliveryAttempts").and_then(Value::as_u64).filter(|attempts| *attempts > 0);
            let attempts = u32::try_from(attempts.unwrap_or(5)).unwrap_or(u32::MAX);
            Some((policy.get("deadLetterTopic")?.as_str().filter(|topic| !topic.is_empty())?.to_owned(), attempts))
        });
        if dead_letter.as_ref().is_some_and(|(_, attempts)| !(5..=100).contains(attempts)) {
            return Err(Status::bad_field("subscription.deadLetterPolicy.maxDeliveryAttempts", "must be 5 to 100"));
        }
        let settings = Settings {
            topic,
            ack_deadline,
            retention,
            ordered: body.get("enableMessageOrdering") == Some(&Value::Bool(true)),
            retry: retry.transpose()?,
            dead_letter,
            push: body.get("pushConfig").and_then(Push::read),
        };
        body.insert("ackDeadlineSeconds".to_owned(), (ack_deadline.0 / 1_000_000).into());
        body.insert("messageRetentionDuration".to_owned(), format!("{}s", retention.0 / 1_000_000).into());
        body.insert("state".to_owned(), "ACTIVE".into());
        Ok(settings)
    }

    /// How long a message waits that was delivered so often: twice as long each time.
    pub(super) fn backoff(&self, attempts: u32) -> Dur {
        let Some((shortest, longest)) = self.retry else { return Dur::ZERO };
        shortest.times(1 << attempts.saturating_sub(1).min(20)).min(longest)
    }
}

impl Push {
    fn read(config: &Value) -> Option<Self> {
        let endpoint = config.get("pushEndpoint")?.as_str().filter(|endpoint| !endpoint.is_empty())?.to_owned();
        let token = config.get("oidcToken").and_then(|token| {
            let account = token.get("serviceAccountEmail")?.as_str().filter(|account| !account.is_empty())?;
            let audience = token.get("audience").and_then(Value::as_str).filter(|audience| !audience.is_empty());
            Some((account.to_owned(), audience.unwrap_or(&endpoint).to_owned()))
        });
        let bare = config.get("noWrapper").filter(|bare| bare.is_object());
        let bare = bare.map(|bare| bare.get("writeMetadata") == Some(&Value::Bool(true)));
        Some(Push { endpoint, token, bare })
    }
}

fn lasting(value: Option<&Value>, default: Dur) -> Result<Dur, Status> {
    match value.and_then(Value::as_str) {
        None => Ok(default),
        Some(text) => read_duration(text).ok_or_else(|| Status::bad_field("subscription", "not a duration")),
    }
}
