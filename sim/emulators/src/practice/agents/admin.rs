//! The administrator's calls that are only about agents.

use super::configuration::{Configuration, offered};
use super::{Agents, DEFAULT, Device};
use crate::practice::exchange::{Incoming, Outgoing, parameter, percent_decoded};
use crate::practice::house::House;
use droves_facts::Mono;
use droves_scenario::plan::ServerFault;
use droves_wire::android::headwind::{Kind, Push};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Configurations, which are as many as somebody has named.
const CONFIGURATIONS_MAX: usize = 1_000;
/// Devices in one page of their list.
const PAGE_MAX: usize = 1_000;

/// A message that is to be pushed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Message {
    message_type: String,
    payload: Option<Map<String, Value>>,
    /// To everybody.
    #[serde(default)]
    broadcast: bool,
}

type Failed = BTreeMap<String, &'static str>;

impl Agents {
    /// Answers a call of the administrator; none of what is not about agents.
    pub(in crate::practice) fn admin(
        &mut self,
        house: &mut House,
        now: Mono,
        ids: &[String],
        request: &Incoming<'_>,
    ) -> Option<Outgoing> {
        let path = request.path.strip_prefix("/admin/v1/")?;
        Some(match (request.method, path.split_once('/')) {
            ("PUT", Some(("configurations", name))) => {
                self.configure(house, now, &percent_decoded(name), ids, request.body)
            }
            ("PUT", Some(("devices", number))) => self.rename(house, now, &percent_decoded(number), request),
            ("POST", None) if path == "messages" => self.message(house, now, ids, request.body),
            ("GET", None) if path == "devices" => self.list(request),
            _ => return None,
        })
    }

    /// Tells devices that there is a configuration, as the administrator's general push does.
    pub(in crate::practice) fn wake(&mut self, house: &mut House, now: Mono, number: &str) {
        let push = Push::new(Kind::ConfigUpdated);
        let name = self.named(&push.kind);
        self.push(house, now, number, name, &push);
    }

    /// Makes or changes a configuration and puts devices into it; tells those, and whoever is in it if it is another now.
    fn configure(&mut self, house: &mut House, now: Mono, name: &str, ids: &[String], body: &[u8]) -> Outgoing {
        let set = match offered(body) {
            Ok(set) => set,
            Err(why) => return Outgoing::text(400, why),
        };
        let known = self.configurations.get(name).filter(|known| known.set == set).map(Arc::clone);
        let is_for_all = ids.is_empty() || known.is_none();
        let configuration = match known {
            Some(known) => known,
            None => Arc::new(Configuration::new(&self.url, &self.settings.secret, set)),
        };
        if !self.has_room(name) {
            return Outgoing::text(409, "too many configurations");
        }
        self.configurations.insert(name.to_owned(), Arc::clone(&configuration));
        let (mut told, mut failed) = (BTreeSet::new(), Failed::new());
        for id in ids {
            let number = self.number_of(id);
            match number.as_ref().and_then(|number| self.devices.get_mut(number)) {
                Some(device) => {
                    device.configuration = name.to_owned();
                    told.extend(number);
                }
                None => {
                    failed.insert(id.clone(), "not enrolled");
                }
            }
        }
        if is_for_all {
            let is_in = |(_, device): &(&String, &Device)| device.configuration == name;
            told.extend(self.devices.iter().filter(is_in).map(|(number, _)| number.clone()));
        }
        let push = Push::new(Kind::ConfigUpdated);
        let message = self.named(&push.kind);
        for number in &told {
            let wanted = |fault: &ServerFault| matches!(fault, ServerFault::LoseCommand);
            if house.strike(now, Some(number), None, wanted).is_none()
                && let Some(device) = self.devices.get_mut(number)
            {
                device.due = Arc::clone(&configuration);
            }
            self.push(house, now, number, message, &push);
        }
        let status = if failed.is_empty() { 200 } else { 207 };
        let digest = hex::encode(configuration.digest);
        Outgoing::json(status, &json!({ "digest": digest, "devices": told.len(), "failed": failed }))
    }

    /// Whether there is room for a configuration; those that nobody is in make some.
    fn has_room(&mut self, name: &str) -> bool {
        if self.configurations.len() >= CONFIGURATIONS_MAX && !self.configurations.contains_key(name) {
            let used: BTreeSet<&str> = self.devices.values().map(|device| device.configuration.as_str()).collect();
            self.configurations.retain(|name, _| name == DEFAULT || used.contains(name.as_str()));
        }
        self.configurations.len() < CONFIGURATIONS_MAX || self.configurations.contains_key(name)
    }

    /// A device is to go by another number: it hears of it by the old one.
    fn rename(&mut self, house: &mut House, now: Mono, number: &str, request: &Incoming<'_>) -> Outgoing {
        let Some(new) = parameter(request.query, "number").filter(|new| !new.is_empty() && !self.knows(new)) else {
            return Outgoing::text(400, "`number` is to be one that nobody has");
        };
        if !self.knows(number) {
            return Outgoing::text(404, "not enrolled");
        }
        if let Err(full) = house.enrollment(&new).map(|enrollment| enrollment.enrolled = true) {
            return full;
        }
        self.wake(house, now, number);
        if let Some(device) = self.devices.remove(number) {
            self.devices.insert(new.clone(), device);
        }
        house.enrollments.remove(number);
        self.aliases.insert(number.to_owned(), new);
        Outgoing::json(200, &json!({}))
    }

    fn message(&mut self, house: &mut House, now: Mono, ids: &[String], body: &[u8]) -> Outgoing {
        let message: Message = match serde_json::from_slice(body) {
            Ok(message) => message,
            Err(why) => return Outgoing::text(400, why.to_string()),
        };
        let push = Push { kind: Kind::of(&message.message_type), payload: message.payload };
        let name = self.named(&push.kind);
        let mut failed = Failed::new();
        let everybody: Vec<String> =
            if message.broadcast { self.devices.keys().cloned().collect() } else { Vec::new() };
        for id in ids.iter().chain(&everybody) {
            match self.number_of(id) {
                Some(number) => self.push(house, now, &number, name, &push),
                None => {
                    failed.insert(id.clone(), "not enrolled");
                }
            }
        }
        let status = if failed.is_empty() { 200 } else { 207 };
        let name = super::push::name_of(push.kind.name(), name);
        Outgoing::json(status, &json!({ "message": name, "failed": failed }))
    }

    /// What the server believes of its devices, in the order of their numbers, a page at a time.
    fn list(&self, request: &Incoming<'_>) -> Outgoing {
        let limit = parameter(request.query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE_MAX);
        let after = parameter(request.query, "after");
        let is_after = |number: &String| after.as_ref().is_none_or(|after| number > after);
        let mut rest = self.devices.iter().filter(|(number, _)| is_after(number)).peekable();
        let page: Vec<(&String, &Device)> = rest.by_ref().take(limit.clamp(1, PAGE_MAX)).collect();
        let next = rest.peek().and(page.last()).map(|(number, _)| number);
        let devices: Vec<Value> = page.iter().map(|(number, device)| self.row(number, device)).collect();
        Outgoing::json(200, &json!({ "devices": devices, "next": next }))
    }

    fn row(&self, number: &str, device: &Device) -> Value {
        let info = device.info.as_ref().map(|info| {
            json!({
                "at_ms": info.at.0 / 1_000,
                "model": info.model,
                "battery_level": info.battery_level,
                "applications": info.applications,
                "files": info.files,
                "kiosk_mode": info.kiosk_mode,
                "push_token": info.push_token,
            })
        });
        json!({
            "number": number,
            "configuration": device.configuration,
            "digest": hex::encode(device.due.digest),
            "served": device.served.map(hex::encode),
            "acknowledged": device.acknowledged.map(hex::encode),
            "is_connected": self.broker.is_connected(number),
            "pending": self.pending(number),
            "info": info,
            "settings": device.app_settings.shown(),
        })
    }
}
