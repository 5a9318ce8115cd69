//! The other side of Google: what a device does there. None of it is counted as the server's.

use super::super::lanes::{About, Ends};
use super::command::End;
use super::record::{Handed, Kept};
use super::{Enterprise, Management, Object, last, text};
use droves_facts::Wall;
use droves_wire::android::adp::Recipe;
use droves_wire::android::report::Sections;
use droves_wire::android::value::{read_timestamp, timestamp};
use droves_wire::android::{Code, name};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// The token is not for devices that are managed in this way.
    #[error("allowPersonalUsage of the enrollment token does not fit how the device is managed")]
    Usage,
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

impl Management {
    /// The policy that a device is to apply, with its version; none if it was never made.
    pub(crate) fn policy(&mut self, now: Wall, name: &str) -> Result<Option<(i64, Object)>, Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        device.synced = Some(now);
        let Some(policy) = enterprise.policies.get(last(&device.policy)) else { return Ok(None) };
        let changes = self.lanes.changes(device.lane);
        device.hand(Handed { policy: Arc::clone(&device.policy), version: policy.version, changes });
        self.lanes.changes_delivered(device.lane, changes);
        Ok(Some((policy.version, policy.body.clone())))
    }

    /// The same for a device that knows a version, or tried to apply it; none if there is no newer one, nor another policy.
    pub(crate) fn policy_since(
        &mut self,
        now: Wall,
        name: &str,
        applied: i64,
    ) -> Result<Option<(i64, Object)>, Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        let version = enterprise.policies.get(last(&device.policy)).map(|policy| policy.version);
        let is_last = |handed: &Handed| handed.policy == device.policy && Some(handed.version) == version;
        if version == Some(applied) && device.last_handed().is_some_and(is_last) {
            device.synced = Some(now);
            return Ok(None);
        }
        self.policy(now, name)
    }

    /// A device tells how it is: fields of a Device, which take the place of those that are known. `applied` is the version
    /// of its policy that it has applied.
    pub(crate) fn report(&mut self, now: Wall, name: &str, applied: i64, mut report: Object) -> Result<(), Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        let is_compliant = report.remove("policyCompliant").and_then(|is| is.as_bool()).unwrap_or(device.is_compliant);
        let api_level = report.remove("apiLevel").and_then(|level| level.as_u64());
        device.api_level = api_level.and_then(|level| level.try_into().ok()).unwrap_or(device.api_level);
        device.given.extend(report);
        self.reported(now, name, applied, "", is_compliant)
    }

    /// The same by a recipe.
    pub(crate) fn report_recipe(
        &mut self,
        now: Wall,
        name: &str,
        applied: i64,
        mut recipe: Recipe,
    ) -> Result<(), Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        let state = std::mem::take(&mut recipe.applied_state);
        let kept = Kept::new(recipe, &mut self.pool);
        let is_compliant = applied > 0 && kept.is_compliant();
        device.api_level = kept.api_level();
        device.recipe = Some(Arc::new(kept));
        self.reported(now, name, applied, &state, is_compliant)
    }

    fn reported(
        &mut self,
        now: Wall,
        name: &str,
        applied: i64,
        state: &str,
        is_compliant: bool,
    ) -> Result<(), Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let policy = enterprise.devices.get(id).map(|device| Arc::clone(&device.policy)).ok_or(Unknown)?;
        let sections = enterprise.asked(&policy);
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        device.given.retain(|field, _| !sections.lack(field));
        device.sections = sections;
        device.be(state);
        device.reported = Some(now);
        if applied > 0 {
            device.apply(applied);
        }
        let changed = std::mem::replace(&mut device.is_compliant, is_compliant) != is_compliant;
        let lane = device.lane;
        let changes = device.applied.as_ref().filter(|of| of.version == applied).map_or(0, |of| of.changes);
        self.lanes.changes_answered(lane, changes);
        let Some(device) = enterprise.devices.get(id) else { return Err(Unknown) };
        let still = || enterprise.still(device);
        let about = About { lane, ends: Ends::Changes(changes) };
        enterprise.tell("STATUS_REPORT", about, still, &mut self.notifications);
        if changed {
            let about = About { lane, ends: Ends::Nothing };
            enterprise.tell("COMPLIANCE_REPORT", about, still, &mut self.notifications);
        }
        Ok(())
    }

    /// Whether a device, or that of an operation, was deleted and has not left yet.
    pub(crate) fn is_departing(&mut self, name: &str) -> bool {
        whose(&mut self.enterprises, name).is_ok_and(|(enterprise, id)| enterprise.departing.contains_key(id))
    }

    /// Whether a device is to be in another state than it told last. One that is lost tells of nothing else.
    pub(crate) fn is_to_tell(&mut self, name: &str) -> bool {
        let device = whose(&mut self.enterprises, name).ok().and_then(|(enterprise, id)| enterprise.devices.get(id));
        device.is_some_and(|of| of.reported.is_some() && of.applied_state != of.state && of.applied_state != "LOST")
    }

    pub(crate) fn order(&mut self, now: Wall, name: &str) -> Result<Order, Unknown> {
        self.expire(now);
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        if enterprise.departing.contains_key(id) {
            return Ok(Order::Wipe);
        }
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        let mut open = device.operations.values_mut().filter(|operation| operation.end.is_none());
        let Some(operation) = open.next() else { return Ok(Order::Nothing) };
        if !operation.is_delivered {
            operation.is_delivered = true;
            self.lanes.delivered(device.lane, operation.order);
        }
        Ok(Order::Command { operation: operation.name.clone(), command: operation.command.clone() })
    }

    /// A command is done, or can't be. False if its time was over before, or it was cancelled.
    pub(crate) fn done(&mut self, now: Wall, operation: &str, outcome: Outcome) -> Result<bool, Unknown> {
        self.expire(now);
        let ids = name::ids(operation, "enterprises/*/devices/*/operations/*");
        let [_, id, number] = ids.ok_or(Unknown)?;
        let number = number.parse::<u64>().map_err(|_| Unknown)?;
        let (enterprise, _) = whose(&mut self.enterprises, operation)?;
        let device = enterprise.devices.get_mut(id).ok_or(Unknown)?;
        let of = device.operations.get_mut(&number).ok_or(Unknown)?;
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
        self.lanes.answered(device.lane, of.order, end.status());
        let ends_it = end == End::Done && ["WIPE", "RELINQUISH_OWNERSHIP"].contains(&kind.as_str());
        let ended = enterprise.end(id, number, end, &mut self.notifications);
        if ends_it && let Some(gone) = enterprise.remove(id) {
            enterprise.departing.insert(id.to_owned(), gone);
        }
        Ok(ended)
    }

    pub(crate) fn leave(&mut self, now: Wall, name: &str, departure: Departure) -> Result<(), Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let device = enterprise.remove(id).or_else(|| enterprise.departing.remove(id)).ok_or(Unknown)?;
        if departure == Departure::Told {
            let about = About { lane: device.lane, ends: Ends::Nothing };
            let mut still = enterprise.still(&device);
            still.end(now);
            enterprise.tell("STATUS_REPORT", about, || still, &mut self.notifications);
        }
        enterprise.gone.keep(device);
        Ok(())
    }

    pub(crate) fn log(&mut self, now: Wall, name: &str, mut events: Vec<Value>) -> Result<(), Unknown> {
        let (enterprise, id) = whose(&mut self.enterprises, name)?;
        let device = enterprise.devices.get(id).ok_or(Unknown)?;
        // The enterprise hears of them by the device's clock, however they were logged.
        events.sort_by_key(|event| event["eventTime"].as_str().and_then(read_timestamp));
        let mut batch = json!({ "device": name, "retrievalTime": timestamp(now), "usageLogEvents": events });
        if let Some(user) = device.user() {
            batch["user"] = user;
        }
        let about = About { lane: device.lane, ends: Ends::Nothing };
        enterprise.tell("USAGE_LOGS", about, || batch, &mut self.notifications);
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
    /// What a policy wants to be told.
    pub(super) fn asked(&self, policy: &str) -> Sections {
        self.policies.get(last(policy)).map(|policy| Sections::asked(&policy.body)).unwrap_or_default()
    }
}
