//! Migration tokens, by which a device with another agent becomes one of an enterprise without a reset; and what a device
//! tells of itself before it signs in.

use super::super::page::{Sizes, page};
use super::{Asked, Management, Object, check_additional_data, last, need, not_found, text};
use droves_facts::Dur;
use droves_wire::android::Status;
use droves_wire::android::value::{duration, read_duration, timestamp};
use serde_json::Value;

/// A token.
#[derive(Debug)]
pub(super) struct MigrationToken(Object);

const SIZES: Sizes = Sizes { default: 100, max: 100 };
const TTL_MAX: Dur = Dur::secs(7 * 86_400);
const MODES: [&str; 3] = ["WORK_PROFILE_PERSONALLY_OWNED", "WORK_PROFILE_COMPANY_OWNED", "FULLY_MANAGED"];

impl Management {
    pub(super) fn create_migration_token(&mut self, parent: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let mut body = asked.body.clone();
        for field in ["deviceId", "userId", "policy"] {
            need(&body, field, 1_024)?;
        }
        if !MODES.contains(&need(&body, "managementMode", 64)?) {
            return Err(Status::bad_field("managementMode", "unknown"));
        }
        check_additional_data(&body)?;
        let ttl = match text(&body, "ttl") {
            None => TTL_MAX,
            Some(ttl) => read_duration(ttl)
                .filter(|ttl| *ttl <= TTL_MAX)
                .ok_or_else(|| Status::bad_field("ttl", "not a duration of at most seven days"))?,
        };
        let (id, value) = (self.ids.hex(16), self.ids.token(40));
        let enterprise = self.enterprise(parent, &asked)?;
        let policy = enterprise.policy_name(text(&body, "policy").unwrap_or_default());
        body.insert("name".to_owned(), format!("{parent}/migrationTokens/{id}").into());
        body.insert("policy".to_owned(), policy.into());
        body.insert("value".to_owned(), value.into());
        body.insert("ttl".to_owned(), duration(ttl).into());
        body.insert("createTime".to_owned(), timestamp(asked.now).into());
        body.insert("expireTime".to_owned(), timestamp(asked.now + ttl).into());
        enterprise.migration_tokens.insert(id, MigrationToken(body.clone()));
        Ok(body.into())
    }

    pub(super) fn list_migration_tokens(&mut self, parent: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let tokens = &self.enterprise(parent, asked)?.migration_tokens;
        page(tokens, asked.query, "migrationTokens", SIZES, |token| token.0.clone().into())
    }

    pub(super) fn get_migration_token(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let token = self.enterprise(name, asked)?.migration_tokens.get(last(name));
        token.map(|token| token.0.clone().into()).ok_or_else(|| not_found(name))
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
