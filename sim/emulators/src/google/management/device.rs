//! Devices as an EMM sees and changes them.

use super::super::page::{Sizes, page};
use super::{Asked, Management, Object, Operation, empty, last, not_found, text};
use droves_wire::android::Status;
use serde_json::Value;
use std::collections::BTreeMap;

/// A device, with its commands by number.
#[derive(Debug, Default)]
pub(super) struct Device {
    pub(super) body: Object,
    pub(super) operations: BTreeMap<u64, Operation>,
}

const SIZES: Sizes = Sizes { default: 10, max: 100 };
/// All that may be changed of a device.
const CHANGEABLE: [&str; 3] = ["state", "policyName", "disabledReason"];
const WIPE_FLAGS: [&str; 3] = ["PRESERVE_RESET_PROTECTION_DATA", "WIPE_EXTERNAL_STORAGE", "WIPE_ESIMS"];
const REASON_CHARS_MAX: usize = 200;

impl Management {
    pub(super) fn list_devices(&mut self, parent: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let devices = &self.enterprise(parent, asked)?.devices;
        page(devices, asked.query, "devices", SIZES, |device| device.body.clone().into())
    }

    pub(super) fn get_device(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        Ok(self.device(name, asked)?.body.clone().into())
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
        let policy = text(&asked.body, "policyName").map(|given| enterprise.policy_name(given));
        let device = enterprise.devices.get_mut(last(name)).ok_or_else(|| not_found(name))?;
        for field in fields {
            let value = match field.as_str() {
                "policyName" => policy.clone().map(Value::from),
                _ => asked.body.get(&field).cloned(),
            };
            match value {
                Some(value) => drop(device.body.insert(field, value)),
                None => drop(device.body.remove(&field)),
            }
        }
        let body = device.body.clone();
        self.nudged.insert(name.to_owned());
        Ok(body.into())
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
        let device = enterprise.devices.remove(last(name)).ok_or_else(|| not_found(name))?;
        enterprise.departing.insert(last(name).to_owned(), device.body);
        self.nudged.insert(name.to_owned());
        Ok(empty())
    }

    pub(super) fn device(&mut self, name: &str, asked: &Asked<'_>) -> Result<&mut Device, Status> {
        let id = name.split('/').nth(3).unwrap_or_default();
        self.enterprise(name, asked)?.devices.get_mut(id).ok_or_else(|| not_found(name))
    }
}
