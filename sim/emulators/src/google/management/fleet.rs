//! The other side of Google: what a device does there. None of it is counted as the server's.

use super::command::End;
use super::gone::end;
use super::{Device, Enterprise, Management, Notification, Object, last, text};
use droves_facts::Wall;
use droves_wire::android::value::{int64, timestamp};
use droves_wire::android::{Code, name};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a device brings to its enrollment.
#[derive(Clone, PartialEq, Debug)]
pub struct Enrollment {
    /// The token's value, from a QR code or a link.
    pub token: String,
    /// `DEVICE_OWNER` or `PROFILE_OWNER`.
    pub management_mode: &'static str,
    /// `COMPANY_OWNED` or `PERSONALLY_OWNED`.
    pub ownership: &'static str,
    /// Android's API level.
    pub api_level: u32,
    /// `hardwareInfo`: by its `serialNumber` a device is known again.
    pub hardware: Object,
}

/// What a device brings that another agent has managed so far.
#[derive(Clone, PartialEq, Debug)]
pub struct Migration {
    /// The migration token's value, which it has from that agent. It says how the device is managed.
    pub token: String,
    /// The package name of that agent.
    pub previous_dpc: String,
    /// Android's API level.
    pub api_level: u32,
    /// `hardwareInfo`: by its `serialNumber` a device is known again.
    pub hardware: Object,
}

/// What a device is after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolled {
    /// `enterprises/{id}/devices/{id}`.
    pub name: String,
    /// The policy that it is to apply.
    pub policy: String,
}

/// Why a device is not enrolled.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnrollError {
    /// No token of that value, or not any more.
    #[error("enrollment token is unknown, used up or expired")]
    Token,
    /// The project has as many devices as it may.
    #[error("quota of enrolled devices is used up")]
    Full,
}

/// There is no device of that name.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
#[error("no such device")]
pub struct Unknown;

/// What Google wants of a device that asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// Nothing but to go on.
    Nothing,
    /// The oldest command that is not done.
    Command {
        /// Name of the operation.
        operation: String,
        /// The command.
        command: Object,
    },
    /// It was deleted: wipe, then [`leave`](crate::google::Google::leave).
    Wipe,
}

/// What became of a command.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// Done, with the status fields of its type (`clearAppsDataStatus`, ..).
    Done(Object),
    /// Not done: `API_LEVEL`, `MANAGEMENT_MODE`, `INVALID_VALUE`, `UNSUPPORTED` or `UNKNOWN`.
    Failed(&'static str),
}

/// How a device leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// With a last status report, as after a deletion or a wipe.
    Told,
    /// Without a word, as when a user takes the work profile away.
    Silent,
}

/// Sections of a status report, and the setting of the policy that asks for each. Unasked, a section is absent.
const SECTIONS: [(&str, &[&str]); 11] = [
    ("applicationReportsEnabled", &["applicationReports"]),
    ("softwareInfoEnabled", &["softwareInfo"]),
    ("networkInfoEnabled", &["networkInfo"]),
    ("memoryInfoEnabled", &["memoryInfo", "memoryEvents"]),
    ("displayInfoEnabled", &["displays"]),
    ("hardwareStatusEnabled", &["hardwareStatusSamples"]),
    ("powerManagementEventsEnabled", &["powerManagementEvents"]),
    ("deviceSettingsEnabled", &["deviceSettings"]),
    ("systemPropertiesEnabled", &["systemProperties"]),
    ("defaultApplicationInfoReportingEnabled", &["defaultApplicationInfo"]),
    ("commonCriteriaModeEnabled", &["commonCriteriaModeInfo"]),
];

impl Management {
    pub(crate) fn enroll(&mut self, now: Wall, enrollment: Enrollment) -> Result<Enrolled, EnrollError> {
        let id = self.free_id()?;
        let (owner, token_id) = self.token_values.get(&enrollment.token).ok_or(EnrollError::Token)?;
        let enterprise = self.enterprises.get_mut(owner).ok_or(EnrollError::Token)?;
        let token = enterprise.take_token(now, token_id).ok_or(EnrollError::Token)?;
        let mut body = Map::new();
        let mut set = |field: &str, value: Value| drop(body.insert(field.to_owned(), value));
        set("managementMode", enrollment.management_mode.into());
        set("ownership", enrollment.ownership.into());
        set("apiLevel", enrollment.api_level.into());
        set("enrollmentTokenName", token.get("name").cloned().unwrap_or_default());
        if let Some(data) = token.get("additionalData") {
            set("enrollmentTokenData", data.clone());
        }
        let policy = text(&token, "policyName").unwrap_or_default();
        Ok(enterprise.welcome(now, id, policy, body, enrollment.hardware, &mut self.notifications))
    }

    pub(crate) fn migrate(&mut self, now: Wall, migration: Migration) -> Result<Enrolled, EnrollError> {
        let id = self.free_id()?;
        let (owner, token_id) = self.migration_values.get(&migration.token).ok_or(EnrollError::Token)?;
        let enterprise = self.enterprises.get_mut(owner).ok_or(EnrollError::Token)?;
        let name = format!("{}/devices/{id}", enterprise.name());
        let token = enterprise.migration_tokens.get_mut(token_id).ok_or(EnrollError::Token)?;
        let token = token.take(now, &name).ok_or(EnrollError::Token)?;
        let (management_mode, ownership) = match text(&token, "managementMode") {
            Some("FULLY_MANAGED") => ("DEVICE_OWNER", "COMPANY_OWNED"),
            Some("WORK_PROFILE_COMPANY_OWNED") => ("PROFILE_OWNER", "COMPANY_OWNED"),
            _ => ("PROFILE_OWNER", "PERSONALLY_OWNED"),
        };
        let mut from = json!({ "previousDpc": migration.previous_dpc });
        if let Some(data) = token.get("additionalData") {
            from["additionalData"] = data.clone();
        }
        let mut body = Map::new();
        let mut set = |field: &str, value: Value| drop(body.insert(field.to_owned(), value));
        set("managementMode", management_mode.into());
        set("ownership", ownership.into());
        set("apiLevel", migration.api_level.into());
        set("dpcMigrationInfo", from);
        let policy = text(&token, "policy").unwrap_or_default();
        Ok(enterprise.welcome(now, id, policy, body, migration.hardware, &mut self.notifications))
    }

    /// An id for one device more, if the project may have one.
    fn free_id(&mut self) -> Result<String, EnrollError> {
        let devices: usize = self.enterprises.values().map(|enterprise| enterprise.devices.len()).sum();
        if devices >= self.devices_max { Err(EnrollError::Full) } else { Ok(self.ids.hex(16)) }
    }

    /// The policy that a device is to apply, with its version; none if it was never made.
    pub(crate) fn policy(&mut self, now: Wall, device: &str) -> Result<Option<(i64, Object)>, Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, device)?;
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        device.body.insert("lastPolicySyncTime".to_owned(), timestamp(now).into());
        let policy = text(&device.body, "policyName").and_then(|name| enterprise.policies.get(last(name)));
        Ok(policy.map(|policy| (policy.version, policy.body.clone())))
    }

    /// A device tells how it is: fields of a Device, which take the place of those that are known. `applied` is the version
    /// of its policy that it has applied.
    pub(crate) fn report(&mut self, now: Wall, name: &str, applied: i64, report: Object) -> Result<(), Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        let was_compliant = device.body.get("policyCompliant").cloned();
        device.body.extend(report);
        let policy = device.body.get("policyName").cloned().unwrap_or_default();
        let settings = policy.as_str().and_then(|name| enterprise.policies.get(last(name)));
        let settings = settings.and_then(|policy| policy.body.get("statusReportingSettings"));
        let unasked = SECTIONS.iter().filter(|(flag, _)| !settings.is_some_and(|settings| settings[*flag] == true));
        unasked.flat_map(|(_, sections)| *sections).for_each(|section| drop(device.body.remove(*section)));
        device.body.insert("name".to_owned(), name.into());
        device.body.insert("appliedState".to_owned(), device.body.get("state").cloned().unwrap_or_default());
        device.body.insert("lastStatusReportTime".to_owned(), timestamp(now).into());
        if applied > 0 {
            device.body.insert("appliedPolicyName".to_owned(), policy);
            device.body.insert("appliedPolicyVersion".to_owned(), int64(applied));
        }
        let changed = device.body.get("policyCompliant") != was_compliant.as_ref();
        let body = Value::Object(device.body.clone());
        enterprise.tell("STATUS_REPORT", &body, &mut self.notifications);
        if changed {
            enterprise.tell("COMPLIANCE_REPORT", &body, &mut self.notifications);
        }
        Ok(())
    }

    pub(crate) fn order(&mut self, now: Wall, name: &str) -> Result<Order, Unknown> {
        self.expire(now);
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        if enterprise.departing.contains_key(id) {
            return Ok(Order::Wipe);
        }
        let device = enterprise.devices.get(id).ok_or(Unknown)?;
        let open = device.operations.values().find(|operation| operation.end.is_none());
        Ok(open.map_or(Order::Nothing, |operation| Order::Command {
            operation: operation.name.clone(),
            command: operation.command.clone(),
        }))
    }

    /// A command is done, or can't be. False if its time was over before, or it was cancelled.
    pub(crate) fn done(&mut self, now: Wall, operation: &str, outcome: Outcome) -> Result<bool, Unknown> {
        self.expire(now);
        let ids = name::ids(operation, "enterprises/*/devices/*/operations/*");
        let [_, device, number] = ids.ok_or(Unknown)?;
        let number = number.parse::<u64>().map_err(|_| Unknown)?;
        let (enterprise, _) = whose(&mut self.enterprises, operation)?;
        let of = enterprise.devices.get_mut(device).and_then(|device| device.operations.get_mut(&number));
        let of = of.ok_or(Unknown)?;
        if of.end.is_some() {
            return Ok(false);
        }
        let kind = text(&of.command, "type").unwrap_or_default().to_owned();
        let end = match outcome {
            Outcome::Done(status) => {
                of.command.extend(status);
                End::Done
            }
            Outcome::Failed(why) => {
                of.command.insert("errorCode".to_owned(), why.into());
                End::Failed(Code::Unknown, format!("Command failed: {why}"))
            }
        };
        let ends_it = end == End::Done && ["WIPE", "RELINQUISH_OWNERSHIP"].contains(&kind.as_str());
        let ended = enterprise.end(device, number, end, &mut self.notifications);
        if ends_it && let Some(gone) = enterprise.devices.remove(device) {
            enterprise.departing.insert(device.to_owned(), gone.body);
        }
        Ok(ended)
    }

    pub(crate) fn leave(&mut self, now: Wall, name: &str, departure: Departure) -> Result<(), Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let here = enterprise.devices.remove(id).map(|device| device.body);
        let mut body = here.or_else(|| enterprise.departing.remove(id)).ok_or(Unknown)?;
        enterprise.gone.keep(body.clone());
        if departure == Departure::Told {
            end(&mut body, now);
            enterprise.tell("STATUS_REPORT", &Value::Object(body), &mut self.notifications);
        }
        Ok(())
    }

    pub(crate) fn log(&mut self, now: Wall, name: &str, events: Vec<Value>) -> Result<(), Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let device = enterprise.devices.get(id).ok_or(Unknown)?;
        let mut batch = json!({ "device": name, "retrievalTime": timestamp(now), "usageLogEvents": events });
        if let Some(user) = device.body.get("userName") {
            batch["user"] = user.clone();
        }
        enterprise.tell("USAGE_LOGS", &batch, &mut self.notifications);
        Ok(())
    }
}

/// The enterprise of a device, and the device's id.
fn whose<'e, 'n>(
    enterprises: &'e mut BTreeMap<String, Enterprise>,
    name: &'n str,
) -> Result<(&'e mut Enterprise, &'n str), Unknown> {
    let mut parts = name.split('/');
    let (Some("enterprises"), Some(enterprise), Some("devices"), Some(device)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Unknown);
    };
    Ok((enterprises.get_mut(enterprise).ok_or(Unknown)?, device))
}

impl Enterprise {
    /// Takes a device in, with what its token says of it.
    fn welcome(
        &mut self,
        now: Wall,
        id: String,
        policy: &str,
        mut body: Object,
        hardware: Object,
        to: &mut Vec<Notification>,
    ) -> Enrolled {
        let name = format!("{}/devices/{id}", self.name());
        let previous = self.meet(text(&hardware, "serialNumber").unwrap_or_default(), &name);
        let mut set = |field: &str, value: Value| drop(body.insert(field.to_owned(), value));
        set("name", name.clone().into());
        set("state", "ACTIVE".into());
        set("appliedState", "PROVISIONING".into());
        set("policyName", policy.into());
        set("policyCompliant", false.into());
        set("enrollmentTime", timestamp(now).into());
        if !previous.is_empty() {
            set("previousDeviceNames", previous.into());
        }
        set("hardwareInfo", hardware.into());
        self.tell("ENROLLMENT", &Value::Object(body.clone()), to);
        self.devices.insert(id, Device { body, ..Device::default() });
        Enrolled { name, policy: policy.to_owned() }
    }

    /// A token that is good for one device is gone with it.
    fn take_token(&mut self, now: Wall, id: &str) -> Option<Object> {
        let token = self.enrollment_tokens.get(id).filter(|token| token.until > now)?;
        let body = token.body.clone();
        if body.get("oneTimeOnly") == Some(&Value::Bool(true)) {
            self.enrollment_tokens.remove(id);
        }
        Some(body)
    }

    /// The names that the device of this serial number has had here before it gets this one. It is gone under them.
    fn meet(&mut self, serial: &str, name: &str) -> Vec<String> {
        let names = self.names_by_serial.entry(serial.to_owned()).or_default();
        let before = names.clone();
        names.push(name.to_owned());
        let known = before.iter().filter_map(|name| self.devices.remove(last(name)));
        known.for_each(|device| self.gone.keep(device.body));
        before
    }
}
