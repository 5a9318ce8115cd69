//! Devices that come to an enterprise: by an enrollment token, or from another agent by a migration token.

use super::super::lanes::{About, Ends};
use super::fleet::{EnrollError, Enrolled, Enrollment, Migration};
use super::record::{Kept, Origin};
use super::{Device, Enterprise, Management, Notification, Object, last, text};
use droves_facts::{LaneIx, Wall};
use droves_wire::android::adp::{Mode, Recipe};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A device that comes, with what its token says of it.
struct Arrival {
    lane: LaneIx,
    /// The name that the lane's device has had so far.
    before: Option<Arc<str>>,
    management_mode: &'static str,
    ownership: &'static str,
    api_level: u32,
    policy: Arc<str>,
    origin: Option<Arc<Origin>>,
    recipe: Option<Kept>,
    given: Object,
}

/// What the first that is told of a device has, as far as its policy asks for it: nothing that has to be gathered first.
const AT_ENROLLMENT: [&str; 5] = ["softwareInfo", "networkInfo", "memoryInfo", "displays", "deviceSettings"];
/// Names that a serial number has had, at most; the oldest is forgotten.
const NAMES_MAX: usize = 16;

impl Management {
    pub(crate) fn enroll(&mut self, now: Wall, enrollment: Enrollment) -> Result<Enrolled, EnrollError> {
        self.admit(now, LaneIx::NOBODY, enrollment, None)
    }

    /// A lane's device enrolls. If it was here before, it is gone under its last name.
    pub(crate) fn enroll_lane(
        &mut self,
        now: Wall,
        lane: LaneIx,
        enrollment: Enrollment,
        recipe: Recipe,
    ) -> Result<Enrolled, EnrollError> {
        let kept = Kept::new(recipe, &mut self.pool);
        let enrolled = self.admit(now, lane, enrollment, Some(kept))?;
        self.lanes.enrolled(lane, enrolled.name.as_str().into());
        Ok(enrolled)
    }

    fn admit(
        &mut self,
        now: Wall,
        lane: LaneIx,
        enrollment: Enrollment,
        recipe: Option<Kept>,
    ) -> Result<Enrolled, EnrollError> {
        let id = self.free_id()?;
        let (owner, token_id) = self.token_values.get(&enrollment.token).ok_or(EnrollError::Token)?;
        let enterprise = self.enterprises.get_mut(owner).ok_or(EnrollError::Token)?;
        let Enrollment { management_mode, ownership, api_level, hardware, .. } = enrollment;
        let is_dedicated = recipe.as_ref().is_some_and(|kept| kept.mode() == Mode::Dedicated);
        let (origin, policy) =
            enterprise.take_token(now, token_id, |usage| allows(usage, management_mode, is_dedicated))?;
        let given = of_hardware(hardware);
        let origin = Some(origin);
        let before = self.lanes.name(lane).map(Arc::clone);
        let arrival = Arrival { lane, before, management_mode, ownership, api_level, policy, origin, recipe, given };
        Ok(enterprise.welcome(now, &id, arrival, &mut self.notifications))
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
        let mut given = of_hardware(migration.hardware);
        given.insert("dpcMigrationInfo".to_owned(), from);
        let policy = text(&token, "policy").unwrap_or_default().into();
        let (lane, api_level, origin, recipe) = (LaneIx::NOBODY, migration.api_level, None, None);
        let before = None;
        let arrival = Arrival { lane, before, management_mode, ownership, api_level, policy, origin, recipe, given };
        Ok(enterprise.welcome(now, &id, arrival, &mut self.notifications))
    }

    /// An id for one device more, if the project may have one.
    fn free_id(&mut self) -> Result<String, EnrollError> {
        let devices: usize = self.enterprises.values().map(|enterprise| enterprise.devices.len()).sum();
        if devices >= self.devices_max { Err(EnrollError::Full) } else { Ok(self.ids.hex(16)) }
    }
}

impl Enterprise {
    /// Takes a device in.
    fn welcome(&mut self, now: Wall, id: &str, arrival: Arrival, to: &mut Vec<Notification>) -> Enrolled {
        let Arrival { lane, before, management_mode, ownership, api_level, policy, origin, recipe, given } = arrival;
        let name: Arc<str> = format!("{}/devices/{id}", self.name()).into();
        let device = Device {
            name: Arc::clone(&name),
            lane,
            management_mode,
            ownership,
            api_level,
            state: "ACTIVE",
            applied_state: "PROVISIONING",
            policy: Arc::clone(&policy),
            applied: None,
            handed: Vec::new(),
            is_compliant: false,
            enrolled: now,
            synced: None,
            reported: None,
            origin,
            recipe: recipe.map(Arc::new),
            sections: self.asked(&policy).only(|field| AT_ENROLLMENT.contains(&field)),
            given,
            operations: BTreeMap::new(),
            past: BTreeMap::new(),
        };
        self.meet(device.serial(), lane, before, &name);
        let about = About { lane, ends: Ends::Nothing };
        self.tell("ENROLLMENT", about, || self.still(&device), to);
        self.admit(device);
        Enrolled { name: name.to_string(), policy: policy.to_string() }
    }

    /// What a token makes of its device, and the policy that it gives it. One that is good for one device is gone with it.
    fn take_token(
        &mut self,
        now: Wall,
        id: &str,
        is_for_it: impl Fn(Option<&str>) -> bool,
    ) -> Result<(Arc<Origin>, Arc<str>), EnrollError> {
        let token = self.enrollment_tokens.get(id).filter(|token| token.until > now).ok_or(EnrollError::Token)?;
        if !is_for_it(text(&token.body, "allowPersonalUsage")) {
            return Err(EnrollError::Usage);
        }
        let taken = (Arc::clone(&token.origin), Arc::clone(&token.policy));
        if token.body.get("oneTimeOnly") == Some(&Value::Bool(true)) {
            self.enrollment_tokens.remove(id);
        }
        Ok(taken)
    }

    /// The device of this serial number gets this name, and is gone under those that it had. Where a serial number is that
    /// of many (cloned images have such), only a lane's own device is gone, though Google takes them all for one. Its last
    /// name may be among those that are forgotten then.
    fn meet(&mut self, serial: &str, lane: LaneIx, last_name: Option<Arc<str>>, name: &Arc<str>) {
        let names = self.names_by_serial.entry(serial.to_owned()).or_default();
        let before = [names.clone(), last_name.into_iter().collect()].concat();
        if names.len() == NAMES_MAX {
            names.remove(0);
        }
        names.push(Arc::clone(name));
        for id in before.iter().map(|name| last(name)) {
            let is_its = |device: &Device| device.lane == lane;
            let here = self.devices.get(id).is_some_and(is_its).then(|| self.remove(id)).flatten();
            let departing = self.departing.get(id).is_some_and(is_its).then(|| self.departing.remove(id)).flatten();
            here.or(departing).into_iter().for_each(|device| self.gone.keep(device));
        }
    }
}

/// Whether a token of this `allowPersonalUsage` is for such a device (Google, *EnrollmentToken*): where personal usage is
/// disallowed there is no work profile, neither on a company's device nor on somebody's own, and a dedicated device has to be
/// of nobody. What is not specified restricts nothing else.
fn allows(usage: Option<&str>, management_mode: &str, is_dedicated: bool) -> bool {
    match usage {
        Some("PERSONAL_USAGE_DISALLOWED_USERLESS") => management_mode == "DEVICE_OWNER",
        Some("PERSONAL_USAGE_DISALLOWED") => management_mode == "DEVICE_OWNER" && !is_dedicated,
        _ => !is_dedicated,
    }
}

/// What is known of a device that is driven by hand.
fn of_hardware(hardware: Object) -> Object {
    let known = Some(hardware).filter(|hardware| !hardware.is_empty());
    known.map(|hardware| ("hardwareInfo".to_owned(), hardware.into())).into_iter().collect()
}
