//! Policies. Each change that is accepted makes a new version, and nudges every device that refers to it.

use super::super::page::{Sizes, page};
use super::{Asked, Management, Object, empty, last, not_found, typed, without_empty};
use droves_wire::android::value::int64;
use droves_wire::android::{Code, FieldMask, Status};
use serde_json::{Value, json};
use std::sync::Arc;

/// A policy as its version.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub(super) body: Object,
    pub(super) version: i64,
}

const SIZES: Sizes = Sizes { default: 100, max: 100 };
const APPLICATIONS_MAX: usize = 3_000;

impl Management {
    pub(super) fn list_policies(&mut self, parent: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let policies = &self.enterprise(parent, asked)?.policies;
        page(policies, asked.query, "policies", SIZES, |policy| policy.body.clone().into())
    }

    pub(super) fn get_policy(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let policy = self.enterprise(name, asked)?.policies.get(last(name));
        policy.map(|policy| policy.body.clone().into()).ok_or_else(|| not_found(name))
    }

    /// Makes a policy, or changes it: without a mask all of it.
    pub(super) fn patch_policy(&mut self, name: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let mask = asked.query.mask()?;
        let known = self.enterprise(name, &asked)?.policies.get(last(name));
        let mut body = known.map(|policy| policy.body.clone()).unwrap_or_default();
        match mask {
            Some(mask) => mask.apply(&mut body, &asked.body),
            None => body = asked.body.clone(),
        }
        self.accept(name, &asked, body)
    }

    pub(super) fn delete_policy(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let enterprise = self.enterprise(name, asked)?;
        if enterprise.devices_with(name).next().is_some() {
            return Err(Status::new(Code::FailedPrecondition, "The policy is in use by devices."));
        }
        enterprise.policies.remove(last(name)).map(|_| empty()).ok_or_else(|| not_found(name))
    }

    /// `{"changes": [{"application": {"packageName": ..}, "updateMask": ..}]}`
    pub(super) fn modify_applications(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let changes = asked.body.get("changes").and_then(Value::as_array);
        let changes = changes.ok_or_else(|| Status::bad_field("changes", "required"))?;
        let (mut body, mut applications) = self.applications(name, asked)?;
        for change in changes {
            let wanted = change.get("application").and_then(Value::as_object);
            let wanted = wanted.ok_or_else(|| Status::bad_field("changes.application", "required"))?;
            let package = super::need(wanted, "packageName", 255)?;
            let mask = change.get("updateMask").and_then(Value::as_str).unwrap_or_default();
            let mask =
                FieldMask::read(mask).map_err(|error| Status::bad_field("changes.updateMask", error.to_string()))?;
            mask.iter().try_for_each(|mask| typed::check_mask("ApplicationPolicy", mask, "changes.updateMask"))?;
            let known = applications.iter_mut().find(|application| application["packageName"] == package);
            match (known, mask) {
                (Some(Value::Object(known)), Some(mask)) => mask.apply(known, wanted),
                (Some(known), _) => *known = wanted.clone().into(),
                (None, _) => applications.push(wanted.clone().into()),
            }
        }
        body.insert("applications".to_owned(), applications.into());
        Ok(json!({ "policy": self.accept(name, asked, body)? }))
    }

    /// `{"packageNames": [..]}`
    pub(super) fn remove_applications(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let packages = asked.body.get("packageNames").and_then(Value::as_array);
        let packages = packages.ok_or_else(|| Status::bad_field("packageNames", "required"))?;
        let (mut body, mut applications) = self.applications(name, asked)?;
        applications.retain(|application| !packages.contains(&application["packageName"]));
        body.insert("applications".to_owned(), applications.into());
        Ok(json!({ "policy": self.accept(name, asked, body)? }))
    }

    fn applications(&mut self, name: &str, asked: &Asked<'_>) -> Result<(Object, Vec<Value>), Status> {
        let policy = self.enterprise(name, asked)?.policies.get(last(name)).ok_or_else(|| not_found(name))?;
        let applications = policy.body.get("applications").and_then(Value::as_array).cloned();
        Ok((policy.body.clone(), applications.unwrap_or_default()))
    }

    /// A policy's next version.
    fn accept(&mut self, name: &str, asked: &Asked<'_>, mut body: Object) -> Result<Value, Status> {
        check(&body)?;
        without_empty(&mut body);
        let enterprise = self.enterprise(name, asked)?;
        let policy = enterprise.policies.entry(last(name).to_owned()).or_default();
        policy.version += 1;
        body.insert("name".to_owned(), name.into());
        body.insert("version".to_owned(), int64(policy.version));
        policy.body = body.clone();
        let nudged: Vec<_> = enterprise.devices_with(name).map(|of| (Arc::clone(&of.name), of.lane)).collect();
        nudged.iter().for_each(|(_, lane)| self.lanes.change(*lane));
        self.nudged.extend(nudged);
        Ok(body.into())
    }
}

/// What Google refuses of a policy, as far as the field has met it.
fn check(body: &Object) -> Result<(), Status> {
    let list = |field: &str| body.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if list("applications").len() > APPLICATIONS_MAX {
        return Err(Status::bad_field("policy.applications", format!("more than {APPLICATIONS_MAX}")));
    }
    if list("applications").iter().any(|application| !application["packageName"].is_string()) {
        return Err(Status::bad_field("policy.applications.packageName", "required"));
    }
    let whole = |rule: &Value| rule["blockAction"].is_object() && rule["wipeAction"].is_object();
    if !list("policyEnforcementRules").iter().all(whole) {
        return Err(Status::bad_field("policy.policyEnforcementRules", "needs blockAction and wipeAction"));
    }
    Ok(())
}
