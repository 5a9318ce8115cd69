//! What Pub/Sub pushes (Google, *Receive Pub/Sub notifications*). A message is acknowledged when the EMM knows what it speaks
//! of, and refused when it may know that soon, so that it comes again.

use super::super::exchange::{Incoming, Outgoing, parameter};
use super::super::house::House;
use super::fleet::Report;
use super::line::Want;
use super::{Emm, Place, Proof};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::{Mono, Wall};
use droves_wire::android::value::read_timestamp;
use droves_wire::digest;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// A push, as far as it is read.
#[derive(Deserialize)]
struct Pushed {
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    data: String,
    message_id: String,
    publish_time: String,
}

/// What Google's token says.
#[derive(Deserialize)]
struct Claims {
    exp: i64,
    email: String,
}

/// Messages that were taken: what comes again is not taken again.
#[derive(Debug, Default)]
pub(super) struct Heard {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

/// What became of a message: a word for the count; `Err` with the status that it is refused by.
pub(super) type Taken = Result<&'static str, (u16, &'static str)>;

/// Ids that are remembered: more than Pub/Sub has out in its time to acknowledge.
const HEARD_MAX: usize = 100_000;
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

impl Emm {
    pub(super) fn pushed(&mut self, house: &mut House, now: Mono, wall: Wall, request: &Incoming<'_>) -> Outgoing {
        if !self.is_googles(wall, request) {
            self.counts.notification("any", "not Google's");
            return Outgoing::text(401, "not Google's");
        }
        let Some((message, published)) = read(request.body) else {
            self.counts.notification("any", "unreadable");
            return Outgoing::text(400, "not a message of Pub/Sub");
        };
        let kind = kind_of(&message);
        if self.heard.ids.contains(&message.message_id) {
            self.counts.notification(kind, "duplicate");
            return Outgoing::text(200, "known");
        }
        let data = STANDARD.decode(&message.data).unwrap_or_default();
        let taken = match kind {
            "ENROLLMENT" | "STATUS_REPORT" => match Report::read(&data) {
                Some(report) => self.report(house, now, wall, published, kind, report),
                None => Err((400, "unreadable")),
            },
            "COMMAND" => self.command_ended(house, now, &data),
            _ => Ok("taken"),
        };
        match taken {
            Ok(what) => {
                self.heard.remember(message.message_id);
                self.counts.notification(kind, what);
                Outgoing::text(200, what)
            }
            Err((status, what)) => {
                self.counts.notification(kind, what);
                Outgoing::text(status, what)
            }
        }
    }

    /// The enrollment that a push is about, for faults that are only some devices'.
    pub(in super::super) fn enrollment_of(&self, body: &[u8]) -> Option<String> {
        let (message, _) = read(body)?;
        let data = STANDARD.decode(&message.data).ok()?;
        if kind_of(&message) == "COMMAND" {
            let operation: serde_json::Value = serde_json::from_slice(&data).ok()?;
            return self.host_of(operation.get("name")?.as_str()?).map(str::to_owned);
        }
        Report::read(&data)?.key()
    }

    fn is_googles(&mut self, wall: Wall, request: &Incoming<'_>) -> bool {
        match self.settings.proof {
            Proof::Secret => {
                let shown = parameter(request.query, "token").unwrap_or_default();
                // Compared by digest, so that the time says nothing.
                digest::sha256(shown.as_bytes()) == digest::sha256(self.secret.as_bytes())
            }
            Proof::Token => {
                let bearer = request.authorization.and_then(|value| value.strip_prefix(b"Bearer "));
                bearer.and_then(|token| std::str::from_utf8(token).ok()).is_some_and(|token| self.believes(wall, token))
            }
        }
    }

    /// Whether Google has signed this token, for pushes to here. A key that is not known is asked for.
    fn believes(&mut self, wall: Wall, token: &str) -> bool {
        let Ok(header) = jsonwebtoken::decode_header(token) else { return false };
        let key = header.kid.as_deref().and_then(|kid| self.start.keys.as_ref()?.find(kid));
        let Some(key) = key.and_then(|key| DecodingKey::from_jwk(key).ok()) else {
            if self.start.keys.take().is_some() {
                self.line.put(Want::Keys);
            }
            return false;
        };
        // The library judges the signature; times are judged by the clock that is handed in.
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.set_audience(&[self.endpoint(Place::Push)]);
        validation.set_issuer(&ISSUERS);
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation);
        claims.is_ok_and(|of| of.claims.exp > wall.secs() && of.claims.email == self.account.email)
    }
}

fn read(body: &[u8]) -> Option<(Message, Wall)> {
    let Pushed { message } = serde_json::from_slice(body).ok()?;
    let published = read_timestamp(&message.publish_time)?;
    Some((message, published))
}

/// Kinds that nobody knows are one.
fn kind_of(message: &Message) -> &'static str {
    let told = message.attributes.get("notificationType").map_or("", String::as_str);
    ["test", "ENROLLMENT", "STATUS_REPORT", "COMMAND", "USAGE_LOGS"]
        .into_iter()
        .find(|kind| *kind == told)
        .unwrap_or("other")
}

impl Heard {
    fn remember(&mut self, id: String) {
        if self.order.len() >= HEARD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.ids.insert(id.clone());
        self.order.push_back(id);
    }
}
