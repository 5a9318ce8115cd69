//! A device as it is at one moment, before it is written. That takes a few kB, and what is written of it may be 200: so it waits
//! unwritten until somebody takes it.

use super::record::{Device, Kept};
use super::{Enterprise, Object};
use droves_facts::Wall;
use droves_wire::android::Fields;
use droves_wire::android::report::{Sections, render_of};
use droves_wire::android::value::{int64, timestamp};
use serde_json::Value;
use std::sync::Arc;

/// Who it is and how it stands.
#[derive(Clone, Debug)]
pub(crate) struct Still {
    /// Fields that are kept as they came.
    given: Object,
    /// Those from which nothing else is made, beside these.
    own: Object,
    kept: Option<Arc<Kept>>,
    sections: Sections,
    at: Wall,
}

/// What it takes, about, beside its applications.
const BYTES: usize = 4_096;
const APP_BYTES: usize = 16;

impl Still {
    /// The whole of it, as the enterprise is told.
    pub(crate) fn write(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(&self.show(None)).unwrap_or_default()
    }

    /// What it takes unwritten.
    pub(crate) fn bytes(&self) -> usize {
        BYTES + APP_BYTES * self.kept.as_ref().map_or(0, |kept| kept.apps.len())
    }

    /// `enterprises/{id}/devices/{id}`.
    pub(super) fn name(&self) -> &str {
        self.own.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// It is gone: this is the last that is heard of it.
    pub(super) fn end(&mut self, now: Wall) {
        self.own.insert("appliedState".to_owned(), "DELETED".into());
        self.own.insert("state".to_owned(), "DELETED".into());
        self.own.insert("lastStatusReportTime".to_owned(), timestamp(now).into());
    }

    fn show(&self, fields: Option<&Fields>) -> Object {
        let mut shown = self.given.clone();
        if let Some(kept) = &self.kept {
            let wanted = |field: &str| fields.is_none_or(|fields| fields.of(field).is_some());
            let (apps, details) = (kept.apps.iter().map(|app| &**app), kept.details.iter().map(|detail| &**detail));
            let (apps, details) = (apps.collect::<Vec<_>>(), details.collect::<Vec<_>>());
            shown.extend(render_of(&kept.recipe, &apps, &details, self.sections.only(wanted), self.at));
        }
        shown.extend(self.own.clone());
        shown
    }
}

impl Enterprise {
    /// A device as it is shown. Of its sections only those are made that are kept.
    pub(super) fn show(&self, device: &Device, fields: Option<&Fields>) -> Object {
        self.still(device).show(fields)
    }

    /// A device as it is now.
    pub(super) fn still(&self, device: &Device) -> Still {
        let mut own = Object::new();
        let mut set = |field: &str, value: Value| drop(own.insert(field.to_owned(), value));
        set("name", (&*device.name).into());
        if let Some(user) = device.user() {
            set("userName", user);
        }
        set("managementMode", device.management_mode.into());
        set("ownership", device.ownership.into());
        set("apiLevel", device.api_level.into());
        set("state", device.state.into());
        set("appliedState", device.applied_state.into());
        set("policyName", (&*device.policy).into());
        set("policyCompliant", device.is_compliant.into());
        set("enrollmentTime", timestamp(device.enrolled).into());
        if let Some(origin) = &device.origin {
            set("enrollmentTokenName", origin.token.as_str().into());
            origin.additional_data.iter().for_each(|data| set("enrollmentTokenData", data.as_str().into()));
        }
        if let Some(applied) = &device.applied {
            set("appliedPolicyName", (&*applied.policy).into());
            set("appliedPolicyVersion", int64(applied.version));
        }
        if let Some(at) = device.reported {
            set("lastStatusReportTime", timestamp(at).into());
        }
        if let Some(at) = device.synced {
            set("lastPolicySyncTime", timestamp(at).into());
        }
        let names = self.names_by_serial.get(device.serial()).map(Vec::as_slice).unwrap_or_default();
        // Of many with one serial number, a device's own name may be forgotten, and with it which were before it.
        let before = names.iter().position(|name| *name == device.name).and_then(|at| names.get(..at));
        if let Some(before @ [_, ..]) = before {
            set("previousDeviceNames", before.iter().map(|name| &**name).collect());
        }
        let at = device.reported.unwrap_or(device.enrolled);
        Still { given: device.given.clone(), own, kept: device.recipe.clone(), sections: device.sections, at }
    }
}
