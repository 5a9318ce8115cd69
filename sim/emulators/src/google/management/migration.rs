//! Migration tokens, by which a device with another agent becomes one of an enterprise without a reset; and what a device
//! tells of itself before it signs in.

use super::super::page::{Sizes, page};
use super::{Asked, Management, Object, check_additional_data, last, need, not_found, text, without};
use droves_facts::{Dur, Wall};
use droves_wire::android::Status;
use droves_wire::android::value::{read_duration, read_timestamp, timestamp};
use serde_json::Value;

/// A token, and until when it is good.
#[derive(Debug)]
pub(super) struct MigrationToken {
    body: Object,
    until: Wall,
}

const SIZES: Sizes = Sizes { default: 100, max: 100 };
const TTL_MAX: Dur = Dur::secs(7 * 86_400);

impl Management {
    pub(super) fn create_migration_token(&mut self, parent: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let mut body = asked.body.clone();
        for field in ["deviceId", "userId", "policy", "managementMode"] {
            need(&body, field, 1_024)?;
        }
        check_additional_data(&body)?;
        let until = until(asked.now, &body)?;
        let (id, value) = (self.ids.hex(16), self.ids.token(40));
        let enterprise = self.enterprise(parent, &asked)?;
        let policy = enterprise.policy_name("migrationToken.policy", text(&body, "policy").unwrap_or_default())?;
        body.insert("name".to_owned(), format!("{parent}/migrationTokens/{id}").into());
        body.insert("policy".to_owned(), policy.into());
        body.insert("value".to_owned(), value.clone().into());
        body.insert("createTime".to_owned(), timestamp(asked.now).into());
        // It is asked for by one of the two, and answered by one.
        without(&mut body, &["ttl", "device"]);
        body.insert("expireTime".to_owned(), timestamp(until).into());
        enterprise.migration_tokens.insert(id.clone(), MigrationToken { body: body.clone(), until });
        self.migration_values.insert(value, (last(parent).to_owned(), id));
        Ok(body.into())
    }

    pub(super) fn list_migration_tokens(&mut self, parent: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let tokens = &mut self.enterprise(parent, asked)?.migration_tokens;
        tokens.retain(|_, token| !token.is_gone(asked.now));
        page(tokens, asked.query, "migrationTokens", SIZES, |token| token.body.clone().into())
    }

    pub(super) fn get_migration_token(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let token = self.enterprise(name, asked)?.migration_tokens.get(last(name));
        let token = token.filter(|token| !token.is_gone(asked.now));
        token.map(|token| token.body.clone().into()).ok_or_else(|| not_found(name))
    }

    /// A device is about to sign in: the name by which the EMM's sign-in page, that it opens, may ask about it.
    pub(crate) fn provision(&mut self, mut info: Object) -> String {
        let id = self.ids.token(24);
        let name = format!("provisioningInfo/{id}");
        info.insert("name".to_owned(), name.clone().into());
        self.provisioning.insert(id, info);
        name
    }

    pub(super) fn get_provisioning_info(&mut self, name: &str) -> Result<Value, Status> {
        self.provisioning.get(last(name)).map(|info| info.clone().into()).ok_or_else(|| not_found(name))
    }
}

impl MigrationToken {
    /// It is good for one device, which it names from then on: the token, if it is good now.
    pub(super) fn take(&mut self, now: Wall, device: &str) -> Option<Object> {
        if self.until <= now || self.body.contains_key("device") {
            return None;
        }
        self.body.insert("device".to_owned(), device.into());
        Some(self.body.clone())
    }

    /// So long after its end it is deleted.
    fn is_gone(&self, now: Wall) -> bool {
        self.until + TTL_MAX <= now
    }
}

/// Until when a token is good that is asked for: `expireTime`, or now and `ttl`; seven days without.
fn until(now: Wall, body: &Object) -> Result<Wall, Status> {
    let (field, until) = match (text(body, "expireTime"), text(body, "ttl")) {
        (Some(_), Some(_)) => return Err(Status::bad_field("ttl", "expireTime is there too")),
        (Some(at), None) => ("expireTime", read_timestamp(at)),
        (None, Some(ttl)) => ("ttl", read_duration(ttl).map(|ttl| now + ttl)),
        (None, None) => ("ttl", Some(now + TTL_MAX)),
    };
    let until = until.filter(|until| *until <= now + TTL_MAX);
    until.ok_or_else(|| Status::bad_field(field, "not at most seven days from now"))
}
