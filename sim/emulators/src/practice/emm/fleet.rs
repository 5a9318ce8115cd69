//! What the EMM knows of its devices: of each report what it needs, and no more.

use super::super::device::{Enrollment, Queued};
use super::super::house::House;
use super::notification::Taken;
use super::{Emm, Mono, Wall};
use droves_scenario::plan::ServerFault;
use droves_wire::android::value::{read_int64, timestamp};
use droves_wire::android::{image, name};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A device.
#[derive(Debug)]
pub(super) struct Host {
    /// `enterprises/{id}/devices/{id}`, new with each enrollment.
    pub(super) name: String,
    /// The label of the token that it enrolled by.
    group: String,
    state: &'static str,
    is_compliant: bool,
    /// The policy that it is to have, by its whole name.
    pub(super) policy: String,
    /// The one that it has.
    applied: (String, i64),
    /// Since when it is known by this name.
    pub(super) since: Mono,
    /// When the newest report was published: older ones are stale.
    published: Wall,
    /// Commands that it has not done, by the name of their operation.
    pub(super) operations: BTreeMap<String, Open>,
}

/// A command that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) command: Arc<Queued>,
    pub(super) since: Mono,
}

/// A Device, as far as it is read.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Report {
    name: String,
    state: String,
    applied_state: String,
    policy_name: String,
    applied_policy_name: String,
    applied_policy_version: Value,
    policy_compliant: bool,
    enrollment_token_data: String,
    previous_device_names: Vec<String>,
    hardware_info: Hardware,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
struct Hardware {
    serial_number: String,
    enterprise_specific_id: String,
}

const STATES: [&str; 5] = ["ACTIVE", "DISABLED", "DELETED", "PROVISIONING", "LOST"];
/// Bytes of an id or a label.
const ID_BYTES_MAX: usize = 256;

impl Report {
    /// A Device; none if it is none.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let report: Report = serde_json::from_slice(data).ok()?;
        name::is_like(&report.name, "enterprises/*/devices/*").then_some(report)
    }

    /// By what the device is known again; none if it says nothing. Where that is what all clones of an image say it is
    /// Google's name for it, which another enrollment changes.
    pub(super) fn key(&self) -> Option<String> {
        let Hardware { serial_number, enterprise_specific_id } = &self.hardware_info;
        let told = [enterprise_specific_id, serial_number].into_iter().find(|id| !id.is_empty())?;
        if image::is_of_image(told) {
            return Some(id_of(&self.name).to_owned());
        }
        (told.len() <= ID_BYTES_MAX).then(|| told.clone())
    }

    fn is_deleted(&self) -> bool {
        self.state == "DELETED" || self.applied_state == "DELETED"
    }

    /// The label of the token, as it was put into the token's data.
    fn group(&self) -> String {
        let data: Value = serde_json::from_str(&self.enrollment_token_data).unwrap_or_default();
        let group = data.get("group").and_then(Value::as_str).filter(|group| group.len() <= ID_BYTES_MAX);
        group.unwrap_or_default().to_owned()
    }

    fn state(&self) -> &'static str {
        STATES.into_iter().find(|state| *state == self.state).unwrap_or("OTHER")
    }
}

impl Host {
    /// What it has not done will not be done.
    fn void(&self, house: &mut House, key: &str) {
        for Open { command, .. } in self.operations.values() {
            house.truth.command(key, &command.uuid, &command.request, "void");
        }
    }
}

impl Emm {
    /// A device enrolled, or has reported.
    pub(super) fn report(
        &mut self,
        house: &mut House,
        now: Mono,
        wall: Wall,
        published: Wall,
        kind: &str,
        report: Report,
    ) -> Taken {
        let Some(key) = report.key() else { return Ok("without hardware") };
        match self.hosts.get(&key) {
            Some(host) if host.name == report.name && published < host.published => return Ok("stale"),
            // It enrolled again since: this is about what it was before.
            Some(host) if host.name != report.name && !report.previous_device_names.contains(&host.name) => {
                return Ok("of an old name");
            }
            Some(_) if report.is_deleted() => {
                return Ok(if self.unenroll(house, wall, &key) { "unenrolled" } else { "gone before" });
            }
            None if report.is_deleted() => return Ok("gone before"),
            None if kind == "STATUS_REPORT" => {
                let is_crash = |fault: &ServerFault| matches!(fault, ServerFault::CrashOnForgotten);
                if house.strike(now, Some(&key), None, is_crash).is_some() {
                    return Err((502, "crashed"));
                }
            }
            _ => {}
        }
        let is_new = self.hosts.get(&key).is_none_or(|host| host.name != report.name) || !house.is_enrolled(&key);
        if is_new {
            let Ok(enrollment) = house.enrollment(&key) else { return Err((503, "full")) };
            enrollment.clear();
            enrollment.enrolled = true;
            if let Some(before) = self.hosts.remove(&key) {
                self.keys.remove(id_of(&before.name));
                before.void(house, &key);
            }
            self.keys.insert(id_of(&report.name).to_owned(), key.clone());
            self.counts.enrolled += 1;
        }
        let host = self.hosts.entry(key).or_insert_with(|| Host {
            name: report.name.clone(),
            group: report.group(),
            state: "",
            is_compliant: false,
            policy: String::new(),
            applied: (String::new(), 0),
            since: now,
            published,
            operations: BTreeMap::new(),
        });
        host.published = published;
        host.state = report.state();
        host.is_compliant = report.policy_compliant;
        host.applied = (report.applied_policy_name, read_int64(&report.applied_policy_version).unwrap_or(0));
        host.policy = report.policy_name;
        Ok(match (is_new, kind) {
            (false, _) => "taken",
            (true, "ENROLLMENT") => "enrolled",
            (true, _) => "taken up",
        })
    }

    /// A device is gone: what was published of it until now is of no interest any more. Whether it was there.
    pub(super) fn unenroll(&mut self, house: &mut House, wall: Wall, key: &str) -> bool {
        let Some(host) = self.hosts.get_mut(key) else { return false };
        host.published = host.published.max(wall);
        host.state = "DELETED";
        let is_enrolled = house.is_enrolled(key);
        if let Some(enrollment) = house.enrollments.get_mut(key) {
            enrollment.leave();
        }
        self.counts.unenrolled += u64::from(is_enrolled);
        is_enrolled
    }

    /// The EMM forgets a device, and Google does not. Whether it was known.
    pub(super) fn forget(&mut self, house: &mut House, key: &str) -> bool {
        let Some(host) = self.hosts.remove(key) else { return false };
        self.keys.remove(id_of(&host.name));
        house.enrollments.remove(key);
        true
    }

    /// The enrollment's id that is meant: the one itself, or the one of the device that Google calls so.
    pub(in super::super) fn device_of<'a>(&'a self, id: &'a str) -> &'a str {
        self.keys.get(id_of(id)).map_or(id, String::as_str)
    }

    /// Whether a device with this id was ever heard of.
    pub(in super::super) fn knows(&self, key: &str) -> bool {
        self.hosts.contains_key(key)
    }

    /// The host that a device's, or an operation's, name is about.
    pub(super) fn host_of(&self, name: &str) -> Option<&str> {
        self.keys.get(name.split('/').nth(3)?).map(String::as_str)
    }

    /// Hosts that have applied the newest version of the policy that they are to have.
    pub(super) fn up_to_date(&self, host: &Host) -> bool {
        let newest = self.policies.get(&host.policy);
        host.applied.0 == host.policy && newest.is_none_or(|newest| host.applied.1 >= *newest)
    }

    /// As the administrator sees a device.
    pub(super) fn shown(&self, house: &House, key: &str, host: &Host) -> Value {
        let enrollment = house.enrollments.get(key);
        json!({
            "id": key,
            "name": host.name,
            "group": host.group,
            "enrolled": enrollment.is_some_and(|enrollment| enrollment.enrolled),
            "state": host.state,
            "compliant": host.is_compliant,
            "policy": host.policy,
            "policy_version": self.policies.get(&host.policy),
            "applied_policy": host.applied.0,
            "applied_policy_version": host.applied.1,
            "up_to_date": self.up_to_date(host),
            "last_report": timestamp(host.published),
            "pending": enrollment.map_or(0, Enrollment::pending),
        })
    }
}

/// The last id of a name, or the id that it is.
pub(super) fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}
