//! What each want is as a request: of the Android Management API, of Pub/Sub, of the token endpoint.

use super::access::SCOPES;
use super::line::{Call, Want};
use super::start::{name_of, personal_usage};
use super::{EMPTY, Emm, Place, Proof};
use bytes::Bytes;
use droves_facts::Wall;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// What the enterprise wants to hear of.
const KINDS: [&str; 4] = ["ENROLLMENT", "STATUS_REPORT", "COMMAND", "USAGE_LOGS"];
/// Of a list of devices, what a sweep needs.
const LISTED: &str = "devices/name,nextPageToken";
const ACK_DEADLINE_S: u32 = 60;
const RETENTION: &str = "86400s";
/// Enrollment tokens last so long.
const TOKEN_LASTS: &str = "2592000s";

impl Emm {
    /// A want as a request; none if what it is about is gone.
    pub(super) fn request(&self, number: u64, want: &Want, wall: Wall) -> Option<Call> {
        let start = &self.start;
        let project = self.account.project.as_str();
        let (topic, subscription) = (self.topic(), self.subscription());
        let enterprise = start.enterprise.as_deref();
        let (method, path, body) = match want {
            Want::Access => return self.access_token(number, wall),
            Want::Browse(url) => {
                let (url, authorization, content_type) = (url.clone(), None, None);
                return Some(Call { number, method: "GET", url, authorization, content_type, body: EMPTY });
            }
            Want::Keys => ("GET", "/oauth2/v3/certs".to_owned(), None),
            Want::SignupUrl => {
                let callback = self.endpoint(Place::Callback);
                ("POST", with("/v1/signupUrls", &[("projectId", project), ("callbackUrl", &callback)]), None)
            }
            Want::Enterprise(token) => {
                let signup = start.signup.as_deref()?;
                let query = [("projectId", project), ("signupUrlName", signup), ("enterpriseToken", token)];
                ("POST", with("/v1/enterprises", &query), Some(json!({ "enterpriseDisplayName": "Droves practice" })))
            }
            Want::Topic => ("PUT", format!("/v1/{topic}"), Some(json!({}))),
            Want::Grants => ("GET", format!("/v1/{topic}:getIamPolicy"), None),
            Want::Grant(policy) => ("POST", format!("/v1/{topic}:setIamPolicy"), Some(json!({ "policy": policy }))),
            Want::Subscription => ("PUT", format!("/v1/{subscription}"), Some(self.new_subscription())),
            Want::Endpoint => {
                let body = json!({ "pushConfig": self.push_config() });
                ("POST", format!("/v1/{subscription}:modifyPushConfig"), Some(body))
            }
            Want::Notifications => {
                let path = format!("/v1/{}", enterprise?);
                let mask = [("updateMask", "pubsubTopic,enabledNotificationTypes")];
                let body = json!({ "pubsubTopic": topic, "enabledNotificationTypes": KINDS });
                ("PATCH", with(&path, &mask), Some(body))
            }
            Want::Token(label) => {
                ("POST", format!("/v1/{}/enrollmentTokens", enterprise?), Some(self.new_token(label)?))
            }
            Want::Policy { id, body, .. } => {
                ("PATCH", format!("/v1/{}/policies/{id}", enterprise?), Some(Value::Object((**body).clone())))
            }
            Want::Attach { host, id } => {
                let path = format!("/v1/{}", self.hosts.get(host)?.name);
                ("PATCH", with(&path, &[("updateMask", "policyName")]), Some(json!({ "policyName": id })))
            }
            Want::Command { host, command } => {
                let path = format!("/v1/{}:issueCommand", self.hosts.get(host)?.name);
                return Some(self.call(number, "POST", &path, true, command.body.clone()));
            }
            Want::List { page } => {
                let path = format!("/v1/{}/devices", enterprise?);
                let page = page.as_deref().unwrap_or_default();
                ("GET", with(&path, &[("pageSize", "100"), ("pageToken", page), ("fields", LISTED)]), None)
            }
            Want::Operation { name, .. } => ("GET", format!("/v1/{name}"), None),
        };
        let body = body.map_or(EMPTY, |body| Bytes::from(body.to_string()));
        Some(self.call(number, method, &path, want.is_with_token(), body))
    }

    fn access_token(&self, number: u64, wall: Wall) -> Option<Call> {
        let body = Bytes::from(self.account.form(wall, SCOPES)?);
        let (url, content_type) = (self.account.token_uri.clone(), Some("application/x-www-form-urlencoded"));
        Some(Call { number, method: "POST", url, authorization: None, content_type, body })
    }

    fn new_subscription(&self) -> Value {
        json!({
            "topic": self.topic(),
            "pushConfig": self.push_config(),
            "ackDeadlineSeconds": ACK_DEADLINE_S,
            "messageRetentionDuration": RETENTION,
            "expirationPolicy": {},
        })
    }

    /// The enrollment token of a group; none if there is no such group.
    fn new_token(&self, label: &str) -> Option<Value> {
        let token = self.tokens.get(label)?;
        Some(json!({
            "policyName": name_of(token.mode),
            "duration": TOKEN_LASTS,
            "oneTimeOnly": token.one_time,
            "allowPersonalUsage": personal_usage(token.mode),
            "additionalData": json!({ "group": label }).to_string(),
        }))
    }

    fn call(&self, number: u64, method: &'static str, path: &str, is_with_token: bool, body: Bytes) -> Call {
        let url = format!("{}{path}", self.google);
        let authorization = self.access.bearer().filter(|_| is_with_token);
        let content_type = (!body.is_empty()).then_some("application/json");
        Call { number, method, url, authorization, content_type, body }
    }

    pub(super) fn topic(&self) -> String {
        format!("projects/{}/topics/droves-practice", self.account.project)
    }

    pub(super) fn subscription(&self) -> String {
        format!("projects/{}/subscriptions/droves-practice", self.account.project)
    }

    /// One of the EMM's own places, with what only Google is told.
    pub(super) fn endpoint(&self, place: Place) -> String {
        let bare = matches!((place, self.settings.proof), (Place::Push, Proof::Token));
        let secret = if bare { String::new() } else { format!("?token={}", self.secret) };
        format!("{}{}{secret}", self.url, place.path())
    }

    fn push_config(&self) -> Value {
        let endpoint = self.endpoint(Place::Push);
        match self.settings.proof {
            Proof::Secret => json!({ "pushEndpoint": endpoint }),
            Proof::Token => json!({
                "pushEndpoint": endpoint,
                "oidcToken": { "serviceAccountEmail": self.account.email, "audience": endpoint },
            }),
        }
    }
}

/// A path with those parameters that have a value.
fn with(path: &str, parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    format!("{path}?{}", given.map(pair).collect::<Vec<_>>().join("&"))
}
