//! Devices as an EMM sees and changes them.

use super::super::page::{Sizes, page};
use super::{Asked, Device, Management, empty, last, not_found, text};
use droves_wire::android::{Fields, Status};
use serde_json::Value;
use std::sync::Arc;

const SIZES: Sizes = Sizes { default: 10, max: 100 };
/// All that may be changed of a device.
const CHANGEABLE: [&str; 3] = ["state", "policyName", "disabledReason"];
const WIPE_FLAGS: [&str; 3] = ["PRESERVE_RESET_PROTECTION_DATA", "WIPE_EXTERNAL_STORAGE", "WIPE_ESIMS"];
const REASON_CHARS_MAX: usize = 200;

impl Management {
    pub(super) fn list_devices(&mut self, parent: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let fields = asked.query.fields()?;
        let fields = fields.as_ref().and_then(|fields| fields.of("devices"));
        let enterprise = &*self.enterprise(parent, asked)?;
        let shown = |device: &Device| Value::Object(enterprise.show(device, fields));
        page(&enterprise.devices, asked.query, "devices", SIZES, shown)
    }

    pub(super) fn get_device(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let fields = asked.query.fields()?;
        self.show_device(name, asked, fields.as_ref())
    }

    /// What a device is to be changes at once; what it is, when it has heard of it.
    pub(super) fn patch_device(&mut self, name: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let fields = match asked.query.mask()? {
            Some(mask) => mask.fields().map(str::to_owned).collect::<Vec<_>>(),
            None => asked.body.keys().filter(|field| CHANGEABLE.contains(&field.as_str())).cloned().collect(),
        };
        if let Some(field) = fields.iter().find(|field| !CHANGEABLE.contains(&field.as_str())) {
            return Err(Status::bad_field("updateMask", format!("{field} can't be changed")));
        }
        let state = text(&asked.body, "state");
        if fields.iter().any(|field| field == "state") && !state.is_some_and(|to| ["ACTIVE", "DISABLED"].contains(&to))
        {
            return Err(Status::bad_field("device.state", "only ACTIVE and DISABLED can be set"));
        }
        let enterprise = self.enterprise(name, &asked)?;
        let policy = text(&asked.body, "policyName").filter(|_| fields.iter().any(|field| field == "policyName"));
        let policy = policy.map(|given| enterprise.policy_name("device.policyName", given)).transpose()?;
        let is_new = policy.is_some_and(|policy| enterprise.assign(last(name), &policy));
        let device = enterprise.devices.get_mut(last(name)).ok_or_else(|| not_found(name))?;
        for field in fields {
            match (field.as_str(), asked.body.get(&field).cloned()) {
                ("policyName", _) => {}
                ("state", _) => device.state = if state == Some("DISABLED") { "DISABLED" } else { "ACTIVE" },
                (_, Some(value)) => drop(device.given.insert(field, value)),
                (_, None) => drop(device.given.remove(&field)),
            }
        }
        let (named, lane) = (Arc::clone(&device.name), device.lane);
        self.nudged.insert(named, lane);
        if is_new {
            self.lanes.change(lane);
        }
        self.show_device(name, &asked, None)
    }

    fn show_device(&mut self, name: &str, asked: &Asked<'_>, fields: Option<&Fields>) -> Result<Value, Status> {
        let enterprise = self.enterprise(name, asked)?;
        let device = enterprise.devices.get(last(name)).ok_or_else(|| not_found(name))?;
        Ok(enterprise.show(device, fields).into())
    }

    /// The device is gone at once for whoever asks; it hears of it when it is there.
    pub(super) fn delete_device(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let reason = asked.query.get("wipeReasonMessage").unwrap_or_default();
        if reason.chars().count() > REASON_CHARS_MAX {
            return Err(Status::bad_field("wipeReasonMessage", format!("more than {REASON_CHARS_MAX} characters")));
        }
        let flag = asked.query.get("wipeDataFlags").filter(|flag| *flag != "WIPE_DATA_FLAG_UNSPECIFIED");
        if flag.is_some_and(|flag| !WIPE_FLAGS.contains(&flag)) {
            return Err(Status::bad_field("wipeDataFlags", "unknown"));
        }
        let enterprise = self.enterprise(name, asked)?;
        let device = enterprise.remove(last(name)).ok_or_else(|| not_found(name))?;
        let (named, lane) = (Arc::clone(&device.name), device.lane);
        enterprise.departing.insert(last(name).to_owned(), device);
        self.nudged.insert(named, lane);
        Ok(empty())
    }

    pub(super) fn device(&mut self, name: &str, asked: &Asked<'_>) -> Result<&mut Device, Status> {
        let id = name.split('/').nth(3).unwrap_or_default();
        self.enterprise(name, asked)?.devices.get_mut(id).ok_or_else(|| not_found(name))
    }
}
