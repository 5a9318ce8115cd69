//! The administrator's calls that are Android's alone: enrollment tokens, policies, what is believed of devices.

use super::super::device::Enrollment;
use super::super::exchange::{Incoming, Outgoing, parameter};
use super::super::house::House;
use super::Emm;
use super::fleet::Host;
use super::start::{mode_named, name_of, reporting};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The body by which an enrollment token is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedBody {
    /// `fully_managed`, `dedicated`, `work_profile`, `company_work_profile`.
    mode: String,
    #[serde(default)]
    one_time: bool,
}

/// Devices, or commands, in one answer: by default, and at most.
const SHOWN: usize = 100;
const SHOWN_MAX: usize = 1_000;
const LABEL_CHARS_MAX: usize = 100;
const TOKENS_MAX: usize = 1_000_000;

impl Emm {
    /// Answers a call below `/admin/v1/android`; `path` is what comes after that.
    pub(in super::super) fn admin(
        &mut self,
        house: &mut House,
        path: &str,
        request: &Incoming<'_>,
        ids: &[String],
    ) -> Outgoing {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (request.method, parts.as_slice()) {
            ("GET", []) => Outgoing::json(200, &self.summary(house)),
            ("GET", ["enrollment_tokens"]) => {
                let made = self.tokens.keys().filter_map(|label| Some((label.clone(), self.token(label)?)));
                Outgoing::json(200, &Value::Object(made.collect()))
            }
            ("GET", ["enrollment_tokens", label]) => self
                .token(label)
                .map_or_else(|| Outgoing::text(404, "no such token, or not yet"), |token| Outgoing::json(200, &token)),
            ("PUT", ["enrollment_tokens", label]) => self.put_token(label, request.body),
            ("PUT", ["policies"]) => self.put_policies(house, ids, request.body),
            ("PUT", ["policies", id]) if is_label(id) => match policy(request.body) {
                Ok(policy) => {
                    self.want_policy(id, policy);
                    Outgoing::json(200, &json!({}))
                }
                Err(refused) => refused,
            },
            ("GET", ["devices"]) => self.devices(house, request.query),
            ("GET", ["devices", id]) => {
                let key = self.device_of(id);
                let host = self.hosts.get(key);
                host.map_or_else(nobody, |host| Outgoing::json(200, &self.shown(house, key, host)))
            }
            ("DELETE", ["devices", id]) => {
                let key = self.device_of(id).to_owned();
                if self.forget(house, &key) { Outgoing::json(200, &json!({})) } else { nobody() }
            }
            ("GET", ["commands"]) => self.commands(request.query),
            _ => Outgoing::text(404, "no such place"),
        }
    }

    fn summary(&self, house: &House) -> Value {
        let enrolled = || self.hosts.iter().filter(|(key, _)| house.is_enrolled(key));
        let pending = |(key, _): (&String, &Host)| house.enrollments.get(key).map_or(0, Enrollment::pending);
        json!({
            "ready": self.start.is_ready,
            "trouble": self.start.trouble,
            "enterprise": self.start.enterprise,
            "topic": self.topic(),
            "subscription": self.subscription(),
            "enrolled": enrolled().count(),
            "up_to_date": enrolled().filter(|(_, host)| self.up_to_date(host)).count(),
            "pending": self.hosts.iter().map(pending).sum::<usize>(),
            "open": self.hosts.values().map(|host| host.operations.len()).sum::<usize>(),
            "queue": self.queue(),
        })
    }

    /// A token as Google has made it.
    fn token(&self, label: &str) -> Option<Value> {
        let token = self.tokens.get(label)?;
        let made = token.made.as_ref()?;
        Some(json!({
            "mode": name_of(token.mode),
            "one_time": token.one_time,
            "value": made.value,
            "qr_code": made.qr_code,
        }))
    }

    fn put_token(&mut self, label: &str, body: &[u8]) -> Outgoing {
        let WantedBody { mode, one_time } = match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return Outgoing::text(400, error.to_string()),
        };
        let Some(mode) = mode_named(&mode) else { return Outgoing::text(400, "no such mode") };
        if !is_label(label) {
            return Outgoing::text(400, "a label has letters, digits, `-` and `_`");
        }
        if self.tokens.len() >= TOKENS_MAX {
            return Outgoing::text(503, "too many tokens");
        }
        if self.want_token(label, mode, one_time) {
            Outgoing::json(202, &json!({}))
        } else {
            Outgoing::text(409, "there is another one of this label")
        }
    }

    /// Each of these devices gets a policy of its own, and all of them without ids.
    fn put_policies(&mut self, house: &House, ids: &[String], body: &[u8]) -> Outgoing {
        let policy = match policy(body) {
            Ok(policy) => policy,
            Err(refused) => return refused,
        };
        let all = || self.hosts.keys().filter(|key| house.is_enrolled(key)).cloned().collect();
        let keys: Vec<String> = if ids.is_empty() { all() } else { ids.to_vec() };
        let mut failed = BTreeMap::new();
        for id in keys {
            let key = self.device_of(&id).to_owned();
            if !self.want_own_policy(house, &key, &policy) {
                failed.insert(id, "not enrolled");
            }
        }
        let status = if failed.is_empty() { 200 } else { 207 };
        Outgoing::json(status, &json!({ "failed": failed }))
    }

    /// From the one after `after` on, at most `count`.
    fn devices(&self, house: &House, query: &str) -> Outgoing {
        let after = parameter(query, "after").map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.hosts.range((after, Bound::Unbounded)).take(count(query));
        let shown: Vec<Value> = rest.map(|(key, host)| self.shown(house, key, host)).collect();
        Outgoing::json(200, &json!({ "devices": shown }))
    }

    /// Commands that Google has and no device has done, of the devices after `after`.
    fn commands(&self, query: &str) -> Outgoing {
        let after = parameter(query, "after").map_or(Bound::Unbounded, Bound::Excluded);
        let of_host = |(key, host): (&String, &Host)| {
            let open = host.operations.iter().map(|(name, open)| {
                json!({ "id": key, "operation": name, "command_uuid": open.command.uuid, "type": open.command.request })
            });
            open.collect::<Vec<_>>()
        };
        let rest = self.hosts.range((after, Bound::Unbounded));
        let shown: Vec<Value> = rest.flat_map(of_host).take(count(query)).collect();
        Outgoing::json(200, &json!({ "commands": shown }))
    }
}

fn count(query: &str) -> usize {
    parameter(query, "count").and_then(|count| count.parse().ok()).unwrap_or(SHOWN).min(SHOWN_MAX)
}

fn nobody() -> Outgoing {
    Outgoing::text(404, "no such device")
}

fn policy(body: &[u8]) -> Result<Arc<Map<String, Value>>, Outgoing> {
    serde_json::from_slice(body)
        .map(|policy| Arc::new(reporting(policy)))
        .map_err(|error| Outgoing::text(400, error.to_string()))
}

fn is_label(text: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}
