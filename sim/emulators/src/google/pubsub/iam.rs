//! Who may publish: the IAM policy of a topic or a subscription, as EMMs set it before Google may publish to them.

use super::super::management::Object;
use super::{PubSub, absent};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_wire::android::{Code, Status};
use serde_json::{Value, json};

/// Google's own account that publishes what happens to devices.
pub(crate) const PUBLISHER: &str = "serviceAccount:android-cloud-policy@system.gserviceaccount.com";
const ROLES: [&str; 4] = ["roles/pubsub.publisher", "roles/pubsub.editor", "roles/pubsub.admin", "roles/owner"];

impl PubSub {
    /// The policy of a resource: its bindings and its tag.
    pub(crate) fn iam_policy(&self, resource: &str) -> Result<Value, Status> {
        let topic = self.topics.get(resource).map(|topic| &topic.policy);
        let policy = topic.or_else(|| self.subscriptions.get(resource).map(|subscription| &subscription.policy));
        let policy = policy.ok_or_else(|| absent("resource", resource))?;
        Ok(if policy.is_empty() { json!({ "version": 1, "etag": tag(0) }) } else { policy.clone().into() })
    }

    /// Sets a policy. One that was read before another one was set is refused, if it has a tag.
    pub(crate) fn set_iam_policy(&mut self, resource: &str, mut policy: Object) -> Result<Value, Status> {
        let known = self.iam_policy(resource)?;
        if policy.get("etag").is_some_and(|etag| etag != "" && *etag != known["etag"]) {
            return Err(Status::new(Code::Aborted, "There were concurrent policy changes."));
        }
        self.published += 1;
        policy.insert("etag".to_owned(), tag(self.published).into());
        policy.entry("version").or_insert_with(|| 1.into());
        let topic = self.topics.get_mut(resource).map(|topic| &mut topic.policy);
        let place = topic.or_else(|| self.subscriptions.get_mut(resource).map(|subscription| &mut subscription.policy));
        if let Some(place) = place {
            place.clone_from(&policy);
        }
        Ok(policy.into())
    }

    /// Whether Google itself may publish here.
    pub(crate) fn may_publish(&self, topic: &str) -> bool {
        let Some(bindings) = self.topics.get(topic).and_then(|topic| topic.policy.get("bindings")?.as_array()) else {
            return false;
        };
        bindings.iter().any(|binding| {
            let role = ROLES.iter().any(|role| binding["role"] == *role);
            let members = binding["members"].as_array().map(Vec::as_slice).unwrap_or_default();
            role && members.iter().any(|member| member == PUBLISHER || member == "allUsers")
        })
    }
}

/// Eight bytes in base64, as tags are.
fn tag(number: u64) -> String {
    STANDARD.encode(number.to_be_bytes())
}
