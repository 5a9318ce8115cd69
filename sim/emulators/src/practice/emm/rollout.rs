//! What the administrator wants of devices: policies, of which one may be many devices' or each may have its own, and
//! commands, from the call to the notification that they are done.

use super::super::device::Queued;
use super::super::house::{House, status_word};
use super::fleet::{Open, id_of};
use super::line::Want;
use super::notification::Taken;
use super::{Emm, Mono, Wall};
use bytes::Bytes;
use droves_facts::CommandStatus;
use droves_scenario::plan::ServerFault;
use droves_wire::android::value::read_int64;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Commands of one device that may be open.
const OPEN_MAX: usize = 10_000;

/// The command in a body, under this name: a Command of the Android Management API.
pub(in super::super) fn offered(body: &[u8], uuid: String) -> Result<Vec<Arc<Queued>>, String> {
    let command: Map<String, Value> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let kind = command.get("type").and_then(Value::as_str).ok_or("a command has a type")?;
    let (request, body) = (kind.to_owned(), Bytes::copy_from_slice(body));
    Ok(vec![Arc::new(Queued { uuid, request, inside: Vec::new(), body, is_copy: false })])
}

impl Emm {
    /// A policy is to be so, whoever has it.
    pub(super) fn want_policy(&mut self, id: &str, body: Arc<Map<String, Value>>) {
        self.line.put(Want::Policy { id: id.to_owned(), body, host: None });
    }

    /// A device is to have a policy of its own, which is so. Whether it is enrolled.
    pub(super) fn want_own_policy(&mut self, house: &House, key: &str, body: &Arc<Map<String, Value>>) -> bool {
        let Some(host) = self.hosts.get(key).filter(|_| house.is_enrolled(key)) else { return false };
        let (id, host) = (format!("device-{}", id_of(&host.name)), Some(key.to_owned()));
        self.line.put(Want::Policy { id, body: Arc::clone(body), host });
        true
    }

    /// Google has taken a policy, or given it to a device, or not.
    pub(super) fn policy_answered(&mut self, number: u64, want: Want, status: u16, body: &Value) {
        // What is not modified is as it is wanted.
        if status != 200 && status != 304 {
            self.counts.policies_refused += 1;
            return;
        }
        match want {
            Want::Policy { id, host, .. } => {
                let name = format!("{}/policies/{id}", self.start.enterprise.as_deref().unwrap_or_default());
                let host = host.filter(|host| self.hosts.get(host).is_some_and(|known| known.policy != name));
                if let Some(host) = host {
                    self.line.put_in_place(number, Want::Attach { host, id });
                }
                if let Some(version) = body.get("version").and_then(read_int64) {
                    self.policies.insert(name, version);
                }
            }
            Want::Attach { host, .. } => {
                if let (Some(host), Some(name)) = (self.hosts.get_mut(&host), body.get("policyName")) {
                    name.as_str().unwrap_or_default().clone_into(&mut host.policy);
                }
            }
            _ => {}
        }
    }

    /// A command that was queued for a device is to be issued.
    pub(in super::super) fn issue(&mut self, key: &str, command: &Arc<Queued>) {
        self.line.put(Want::Command { host: key.to_owned(), command: Arc::clone(command) });
    }

    /// What Google says to a command: its operation, or the status that it is refused by.
    pub(super) fn issued(
        &mut self,
        house: &mut House,
        now: Mono,
        wall: Wall,
        key: &str,
        command: &Arc<Queued>,
        said: Result<&str, u16>,
    ) {
        match said {
            Ok(operation) => {
                let host = self.hosts.get_mut(key).filter(|host| operation.starts_with(&host.name));
                let host = host.filter(|host| house.is_enrolled(key) && host.operations.len() < OPEN_MAX);
                let Some(host) = host else { return self.end(house, key, command, "void") };
                host.operations.insert(operation.to_owned(), Open { command: Arc::clone(command), since: now });
                house.truth.command(key, &command.uuid, &command.request, "issued");
            }
            Err(404) => {
                let is_blind = |fault: &ServerFault| matches!(fault, ServerFault::GoneIsDone);
                if house.strike(now, Some(key), Some(&command.uuid), is_blind).is_some() {
                    return self.end(house, key, command, status_word(CommandStatus::Acknowledged));
                }
                self.end(house, key, command, "not found");
                self.unenroll(house, wall, key);
            }
            Err(_) => self.end(house, key, command, "refused"),
        }
    }

    /// A command that is out comes to nothing.
    pub(super) fn lose(&mut self, house: &mut House, want: Want, fate: &'static str) {
        if let Want::Command { host, command } = want {
            self.end(house, &host, &command, fate);
        }
    }

    fn end(&mut self, house: &mut House, key: &str, command: &Arc<Queued>, fate: &'static str) {
        house.truth.command(key, &command.uuid, &command.request, fate);
        if let Some(enrollment) = house.enrollments.get_mut(key) {
            enrollment.answered(&command.uuid, CommandStatus::Error);
        }
    }

    /// A notification that a command has ended.
    pub(super) fn command_ended(&mut self, house: &mut House, now: Mono, data: &[u8]) -> Taken {
        let Ok(operation) = serde_json::from_slice::<Value>(data) else { return Err((400, "unreadable")) };
        let Some(name) = operation.get("name").and_then(Value::as_str) else { return Err((400, "unreadable")) };
        let Some(key) = self.host_of(name).map(str::to_owned) else { return Ok("of nobody") };
        if self.operation_ended(house, now, &key, name, &operation) {
            return Ok("taken");
        }
        if self.line.is_issuing(&key) {
            return Err((503, "overtook its command"));
        }
        // Nobody here will ever know it, and refused it would come again for a day.
        Ok("unknown")
    }

    /// What has become of an operation. Whether it was open.
    pub(super) fn operation_ended(
        &mut self,
        house: &mut House,
        now: Mono,
        key: &str,
        name: &str,
        operation: &Value,
    ) -> bool {
        let open = self.hosts.get_mut(key).and_then(|host| host.operations.remove(name));
        let Some(Open { command, .. }) = open else { return false };
        let is_good = operation.get("error").is_none();
        let status = if is_good { CommandStatus::Acknowledged } else { CommandStatus::Error };
        self.end(house, key, &command, status_word(status));
        // It may be due once more, on order.
        house.answered(now, key, &command, status);
        let enrollment = house.enrollments.get(key);
        let again = enrollment.and_then(|of| of.waiting().find(|of| of.is_copy && of.uuid == command.uuid)).cloned();
        if let Some(again) = again {
            self.issue(key, &again);
        }
        true
    }
}
