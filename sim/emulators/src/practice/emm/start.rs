//! How the EMM begins: it signs up as an administrator would in a browser, lets Google publish to a topic, has it pushed
//! here, says what it wants to hear of, and makes a policy for each way of managing devices (Google, *Android Management API quickstart*).

use super::super::exchange::{Incoming, Outgoing, parameter};
use super::line::{Reply, Want};
use super::{Emm, Mono, Proof};
use droves_wire::android::adp::Mode;
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How far the EMM has come.
#[derive(Debug, Default)]
pub(super) struct Start {
    pub(super) signup: Option<String>,
    pub(super) enterprise: Option<String>,
    /// By which Google's tokens are judged.
    pub(super) keys: Option<JwkSet>,
    pub(super) is_ready: bool,
    /// Why it goes no further.
    pub(super) trouble: Option<String>,
}

/// An enrollment token.
#[derive(Debug)]
pub(super) struct EnrollmentToken {
    /// For which devices.
    pub(super) mode: Mode,
    /// Whether it is for one device.
    pub(super) one_time: bool,
    /// As Google made it, once it has.
    pub(super) made: Option<Made>,
}

/// What of a token is of use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Made {
    pub(super) value: String,
    pub(super) qr_code: String,
}

/// What may publish to the topic.
const PUBLISHER: &str = "serviceAccount:android-cloud-policy@system.gserviceaccount.com";
const ROLE: &str = "roles/pubsub.publisher";
/// What is asked for in reports.
const REPORTS: [&str; 4] =
    ["applicationReportsEnabled", "deviceSettingsEnabled", "softwareInfoEnabled", "memoryInfoEnabled"];

/// Ways of managing devices by name: as the administrator's API has them, and the policies that devices begin with.
const MODES: [(&str, Mode); 4] = [
    ("fully_managed", Mode::FullyManaged),
    ("dedicated", Mode::Dedicated),
    ("work_profile", Mode::PersonalWorkProfile),
    ("company_work_profile", Mode::CompanyWorkProfile),
];

/// The way of this name.
pub(super) fn mode_named(name: &str) -> Option<Mode> {
    MODES.iter().find(|(of, _)| *of == name).map(|(_, mode)| *mode)
}

pub(super) fn name_of(mode: Mode) -> &'static str {
    MODES.iter().find(|(_, of)| *of == mode).map_or("", |(name, _)| name)
}

/// As an enrollment token has it.
pub(super) fn personal_usage(mode: Mode) -> &'static str {
    match mode {
        Mode::FullyManaged => "PERSONAL_USAGE_DISALLOWED",
        Mode::Dedicated => "PERSONAL_USAGE_DISALLOWED_USERLESS",
        Mode::PersonalWorkProfile | Mode::CompanyWorkProfile => "PERSONAL_USAGE_ALLOWED",
    }
}

/// A policy whose devices report what the EMM wants to know, if it says nothing else.
pub(super) fn reporting(mut policy: Map<String, Value>) -> Map<String, Value> {
    let reports = || REPORTS.iter().map(|flag| ((*flag).to_owned(), true.into())).collect();
    policy.entry("statusReportingSettings").or_insert_with(|| Value::Object(reports()));
    policy
}

/// What devices have to do from the first.
fn first_policy(mode: Mode) -> Map<String, Value> {
    let mut policy = reporting(Map::new());
    if mode == Mode::Dedicated {
        let kiosk = json!([{ "packageName": "com.example.kiosk", "installType": "KIOSK" }]);
        policy.insert("applications".to_owned(), kiosk);
    }
    policy
}

impl Emm {
    pub(super) fn begin(&mut self) {
        if self.settings.proof == Proof::Token {
            self.line.put(Want::Keys);
        }
        self.line.put(Want::SignupUrl);
    }

    /// An enrollment token is to be made, as soon as the EMM is ready. False if there is another one of that label.
    pub(super) fn want_token(&mut self, label: &str, mode: Mode, one_time: bool) -> bool {
        if let Some(known) = self.tokens.get(label) {
            return (known.mode, known.one_time) == (mode, one_time);
        }
        self.tokens.insert(label.to_owned(), EnrollmentToken { mode, one_time, made: None });
        if self.start.is_ready {
            self.line.put(Want::Token(label.to_owned()));
        }
        true
    }

    /// A browser comes back from the sign-up.
    pub(super) fn called_back(&mut self, request: &Incoming<'_>) -> Outgoing {
        if parameter(request.query, "token").as_deref() != Some(self.secret.as_str()) {
            return Outgoing::text(403, "not the sign-up that was begun here");
        }
        match parameter(request.query, "enterpriseToken") {
            Some(token) if self.start.enterprise.is_none() => {
                self.line.put(Want::Enterprise(token));
                Outgoing::text(200, "signed up")
            }
            Some(_) => Outgoing::text(409, "signed up before"),
            None => Outgoing::text(400, "no enterpriseToken"),
        }
    }

    /// A step is done; the next one follows.
    pub(super) fn went_on(&mut self, now: Mono, want: Want, reply: &Reply, body: &Value) {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let is_good = (200..300).contains(&reply.status);
        let next = match (&want, reply.status) {
            (Want::Keys, 200) => {
                self.start.keys = serde_json::from_slice(&reply.body).ok();
                return;
            }
            (Want::SignupUrl, 200) => {
                self.start.signup = text("name");
                text("url").map(Want::Browse)
            }
            (Want::Browse(_), 301..=303 | 307 | 308) => reply.location.clone().map(Want::Browse),
            // Whoever came back has said what is next.
            (Want::Browse(_), 200) => return,
            (Want::Enterprise(_), 200) => {
                self.start.enterprise = text("name");
                self.start.enterprise.is_some().then_some(Want::Topic)
            }
            // One that is there already is as good.
            (Want::Topic, 200 | 409) => Some(Want::Grants),
            (Want::Grants, 200) => Some(Want::Grant(granted(body))),
            (Want::Grant(_), 200) => Some(Want::Subscription),
            (Want::Subscription, 409) => Some(Want::Endpoint),
            (Want::Subscription | Want::Endpoint, _) if is_good => Some(Want::Notifications),
            (Want::Notifications, 200) => return self.ready(now),
            _ => None,
        };
        match next {
            Some(next) => self.line.put(next),
            None => {
                let why = String::from_utf8_lossy(reply.body.get(..SAID_BYTES_MAX).unwrap_or(&reply.body));
                let trouble = format!("{}: {} {why}", want.name(), reply.status);
                tracing::error!(trouble, "the practice EMM does not begin");
                self.start.trouble = Some(trouble);
            }
        }
    }

    fn ready(&mut self, now: Mono) {
        self.start.is_ready = true;
        self.sweep.put_off(now);
        for (name, mode) in MODES {
            self.want_policy(name, Arc::new(first_policy(mode)));
        }
        for label in self.tokens.keys() {
            self.line.put(Want::Token(label.clone()));
        }
    }

    pub(super) fn token_made(&mut self, label: &str, status: u16, body: &Value) {
        let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(token) = self.tokens.get_mut(label) else { return };
        if status == 200 {
            token.made = Some(Made { value: text("value"), qr_code: text("qrCode") });
        } else {
            // It may be wanted anew.
            self.tokens.remove(label);
        }
    }
}

/// A policy of IAM with Google's own account among those who may publish.
fn granted(policy: &Value) -> Value {
    let mut policy = policy.as_object().cloned().unwrap_or_default();
    let mut bindings = policy.get("bindings").and_then(Value::as_array).cloned().unwrap_or_default();
    bindings.push(json!({ "role": ROLE, "members": [PUBLISHER] }));
    policy.insert("bindings".to_owned(), bindings.into());
    policy.into()
}

/// Of an answer that is no good, what is told.
const SAID_BYTES_MAX: usize = 300;
