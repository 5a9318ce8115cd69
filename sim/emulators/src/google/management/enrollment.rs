//! Enrollment tokens: by which a device says whose it is to be.

use super::super::page::{Sizes, page};
use super::record::Origin;
use super::{Asked, Management, Object, check_additional_data, empty, last, not_found, text, without};
use droves_facts::{Dur, Wall};
use droves_wire::android::Status;
use droves_wire::android::value::{read_duration, timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// A token, as it was made, with what only Google knows of it.
#[derive(Debug)]
pub(super) struct EnrollmentToken {
    pub(super) body: Object,
    pub(super) until: Wall,
    /// What its devices have of it.
    pub(super) origin: Arc<Origin>,
    pub(super) policy: Arc<str>,
}

const SIZES: Sizes = Sizes { default: 10, max: 100 };
const LASTS: Dur = Dur::secs(3_600);
const LASTS_MIN: Dur = Dur::secs(60);
/// What `get` and `list` show.
const SHOWN: [&str; 5] = ["name", "expirationTimestamp", "allowPersonalUsage", "value", "qrCode"];

impl Management {
    pub(super) fn create_enrollment_token(&mut self, parent: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let (now, mut body) = (asked.now, asked.body.clone());
        check_additional_data(&body)?;
        let lasts = match text(&body, "duration") {
            None => LASTS,
            Some(lasts) => read_duration(lasts)
                .filter(|lasts| *lasts >= LASTS_MIN)
                .ok_or_else(|| Status::bad_field("enrollmentToken.duration", "not a duration of at least a minute"))?,
        };
        let (id, value) = (self.ids.hex(22), self.ids.token(20));
        let enterprise = self.enterprise(parent, &asked)?;
        let policy =
            enterprise.policy_name("enrollmentToken.policyName", text(&body, "policyName").unwrap_or("default"))?;
        let until = now + lasts;
        // Deprecated, and ignored.
        without(&mut body, &["user"]);
        let name = format!("{parent}/enrollmentTokens/{id}");
        let additional_data = text(&body, "additionalData").map(str::to_owned);
        let origin = Arc::new(Origin { token: name.clone(), additional_data });
        body.insert("name".to_owned(), name.into());
        body.insert("policyName".to_owned(), policy.clone().into());
        body.entry("duration").or_insert_with(|| "3600s".into());
        body.insert("expirationTimestamp".to_owned(), timestamp(until).into());
        body.insert("qrCode".to_owned(), qr_code(&value).into());
        body.insert("value".to_owned(), value.clone().into());
        enterprise
            .enrollment_tokens
            .insert(id.clone(), EnrollmentToken { body: body.clone(), until, origin, policy: policy.into() });
        self.token_values.insert(value, (last(parent).to_owned(), id));
        Ok(body.into())
    }

    pub(super) fn list_enrollment_tokens(&mut self, parent: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let enterprise = self.enterprise(parent, asked)?;
        enterprise.enrollment_tokens.retain(|_, token| token.until > asked.now);
        page(&enterprise.enrollment_tokens, asked.query, "enrollmentTokens", SIZES, shown)
    }

    pub(super) fn get_enrollment_token(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let token = self.enterprise(name, asked)?.enrollment_tokens.get(last(name));
        token.filter(|token| token.until > asked.now).map(shown).ok_or_else(|| not_found(name))
    }

    pub(super) fn delete_enrollment_token(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let token = self.enterprise(name, asked)?.enrollment_tokens.remove(last(name));
        token.map(|_| empty()).ok_or_else(|| not_found(name))
    }
}

fn shown(token: &EnrollmentToken) -> Value {
    let fields = SHOWN.iter().filter_map(|field| Some(((*field).to_owned(), token.body.get(*field)?.clone())));
    Value::Object(fields.collect())
}

/// What a device's camera reads at its first start: JSON in a string (Google, *Provision a device*, QR code method).
fn qr_code(token: &str) -> String {
    json!({
        "android.app.extra.PROVISIONING_DEVICE_ADMIN_COMPONENT_NAME":
            "com.google.android.apps.work.clouddpc/.receivers.CloudDeviceAdminReceiver",
        "android.app.extra.PROVISIONING_DEVICE_ADMIN_SIGNATURE_CHECKSUM": "I5YvS0O5hXY46mb01BlRjq4oJJGs2kuUcHvVkAPEXlg",
        "android.app.extra.PROVISIONING_DEVICE_ADMIN_PACKAGE_DOWNLOAD_LOCATION":
            "https://play.google.com/managed/downloadManagingApp?identifier=setup",
        "android.app.extra.PROVISIONING_ADMIN_EXTRAS_BUNDLE": {
            "com.google.android.apps.work.clouddpc.EXTRA_ENROLLMENT_TOKEN": token,
        },
    })
    .to_string()
}
