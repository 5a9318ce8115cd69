//! Configurations out, reports and logs in.

use super::configuration::Configuration;
use super::settings::AppSettings;
use super::{Agents, DEFAULT, Device, Known, done, refused};
use crate::practice::exchange::{Incoming, Outgoing, Proof};
use crate::practice::house::House;
use droves_facts::Mono;
use droves_scenario::plan::ServerFault;
use droves_wire::android::headwind::details::{DetailSettings, read_log};
use droves_wire::android::headwind::envelope::{DENIED, DUPLICATE, INTERNAL, UNKNOWN_DEVICE};
use droves_wire::android::headwind::{DeviceInfo, Enroll, Envelope, JSON, RESPONSE_SIGNATURE, sign};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

impl Agents {
    /// A device's first request.
    pub(super) fn enroll(
        &mut self,
        house: &mut House,
        request: &Incoming<'_>,
        name: &str,
        fault: Option<ServerFault>,
    ) -> Outgoing {
        let enroll = match Enroll::read(request.body) {
            Ok(enroll) => enroll,
            Err(error) => return Outgoing::text(400, error.to_string()),
        };
        if !self.is_signed(request, name) {
            return refused(DENIED);
        }
        let before = self.number_of(name).and_then(|number| self.devices.get(&number));
        if self.settings.prevents_duplicates && before.is_some_and(|device| device.info.is_some()) {
            return refused(DUPLICATE);
        }
        if let Err(refusal) = self.met(house, name, enroll.configuration.as_deref()) {
            return refusal;
        }
        self.give(house, name, fault)
    }

    /// Every later one.
    pub(super) fn configuration(
        &mut self,
        house: &mut House,
        request: &Incoming<'_>,
        name: &str,
        fault: Option<ServerFault>,
    ) -> Outgoing {
        if self.number_of(name).is_none() && !self.settings.on_demand {
            return refused(UNKNOWN_DEVICE);
        }
        if !self.is_signed(request, name) {
            return refused(DENIED);
        }
        match self.met(house, name, None) {
            Ok(_) => self.give(house, name, fault),
            Err(refusal) => refusal,
        }
    }

    /// A report: what it says, and that the device is now as it was told to be before.
    pub(super) fn report(&mut self, house: &mut House, now: Mono, request: &Incoming<'_>) -> Outgoing {
        let info = match DeviceInfo::read(request.body) {
            Ok(info) => info,
            Err(error) => return Outgoing::text(400, error.to_string()),
        };
        let name = info.device_id.clone().unwrap_or_default();
        let number = match self.met(house, &name, None) {
            Ok(number) => number,
            Err(refusal) => return refusal,
        };
        house.truth.agents("reports");
        for alias in [&info.imei, &info.serial].into_iter().flatten() {
            self.aliases.insert(alias.clone(), number.clone());
        }
        if let Some(device) = self.devices.get_mut(&number) {
            device.acknowledged = device.served;
            device.info = Some(Known::of(now, &info));
        }
        done()
    }

    pub(super) fn log_rules(&self) -> Outgoing {
        Outgoing::new(200, JSON, Envelope::<Vec<()>>::ok(Some(Vec::new())).write())
    }

    pub(super) fn log(&self, house: &mut House, request: &Incoming<'_>) -> Outgoing {
        match read_log(request.body) {
            Ok(lines) => {
                lines.iter().for_each(|_| house.truth.agents("log_lines"));
                done()
            }
            Err(error) => Outgoing::text(400, error.to_string()),
        }
    }

    pub(super) fn detail_settings(&self) -> Outgoing {
        let settings = DetailSettings { send_data: false, interval_mins: 15 };
        Outgoing::new(200, JSON, Envelope::ok(Some(settings)).write())
    }

    fn is_signed(&self, request: &Incoming<'_>, signed: &str) -> bool {
        !self.settings.is_secure || is_signature(&self.settings.secret, request.proof, signed)
    }

    /// The number of the device that goes by this name, which is made if numbers are made on demand or a configuration is named.
    fn met(&mut self, house: &mut House, name: &str, configuration: Option<&str>) -> Result<String, Outgoing> {
        if let Some(number) = self.number_of(name) {
            return Ok(number);
        }
        let named = configuration.filter(|named| self.configurations.contains_key(*named));
        if name.is_empty() || (named.is_none() && !self.settings.on_demand) {
            return Err(refused(UNKNOWN_DEVICE));
        }
        let configuration = named.unwrap_or(DEFAULT).to_owned();
        let Some(due) = self.configurations.get(&configuration).map(Arc::clone) else { return Err(refused(INTERNAL)) };
        house.enrollment(name).map_err(|_full| refused(INTERNAL))?.enrolled = true;
        house.truth.agents("enrolled");
        let (served, acknowledged, info, rows) = (None, None, None, VecDeque::new());
        let app_settings = AppSettings::default();
        let device = Device { configuration, due, served, acknowledged, info, app_settings, rows };
        self.devices.insert(name.to_owned(), device);
        Ok(name.to_owned())
    }

    /// The configuration that is due. Who asks by another name is told the number that it goes by.
    fn give(&mut self, house: &mut House, name: &str, fault: Option<ServerFault>) -> Outgoing {
        let Some(number) = self.number_of(name) else { return refused(UNKNOWN_DEVICE) };
        let Some(device) = self.devices.get(&number) else { return refused(UNKNOWN_DEVICE) };
        let mut given = Arc::clone(&device.due);
        if let Some(ServerFault::MisdeliverCommand) = fault {
            let others: Vec<_> = self.configurations.values().filter(|other| other.digest != given.digest).collect();
            let choice = house.faults.number().checked_rem(others.len() as u64);
            given = choice.and_then(|n| others.get(n as usize)).map_or(given, |other| Arc::clone(other));
        }
        if name != number {
            let (url, secret) = (&self.url, &self.settings.secret);
            given = Arc::new(given.with(url, secret, "newNumber", Value::from(number.as_str())));
        }
        if let Some(device) = self.devices.get_mut(&number) {
            device.served = Some(given.digest);
        }
        house.truth.agents("configurations");
        answer(&given, fault)
    }
}

/// A configuration on its way, with its signature or with one that is not.
fn answer(given: &Configuration, fault: Option<ServerFault>) -> Outgoing {
    let signature = match fault {
        Some(ServerFault::WrongSignature) => sign::request("not the secret", &given.signature),
        _ => given.signature.clone(),
    };
    let mut outgoing = Outgoing::new(200, JSON, given.body.clone());
    outgoing.headers.push((RESPONSE_SIGNATURE, signature));
    outgoing
}

/// Whether a request is signed over this.
pub(super) fn is_signature(secret: &str, proof: Proof<'_>, signed: &str) -> bool {
    let Proof::Signature(shown) = proof else { return false };
    std::str::from_utf8(shown).is_ok_and(|shown| sign::is_request(secret, signed, shown))
}
