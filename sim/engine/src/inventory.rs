//! What is in a fleet on disk.

use droves_device::Device;
use droves_device::Machine;
use droves_facts::{DeviceState, LaneIx, Wall};
use droves_fleet::{Fleet, FleetError, Stored, Whose};
use droves_wire::x509;
use std::collections::BTreeMap;
use std::path::Path;

/// What is in a fleet.
#[derive(Clone, PartialEq, Debug)]
pub struct Inventory {
    /// Whose it is.
    pub whose: Whose,
    /// Lanes by the state in which they stand.
    pub lanes: BTreeMap<&'static str, u64>,
    /// Devices with a certificate.
    pub identities: u64,
    /// When the first certificate is no longer good.
    pub expires: Option<Wall>,
    /// What is broken, in sentences.
    pub broken: Vec<String>,
}

/// Reads every lane.
pub fn inventory(folder: &Path) -> Result<Inventory, FleetError> {
    let fleet = Fleet::reopen(folder)?;
    let mut inventory = Inventory {
        whose: fleet.whose().clone(),
        lanes: BTreeMap::new(),
        identities: 0,
        expires: None,
        broken: fleet.dropped().to_vec(),
    };
    let reader = fleet.reader();
    for cell in 0..reader.cells() {
        let (lanes, mut broken) = reader.lanes(cell)?;
        inventory.broken.append(&mut broken);
        lanes.iter().for_each(|lane| inventory.take(lane));
    }
    Ok(inventory)
}

impl Inventory {
    fn take(&mut self, stored: &Stored) {
        let lane = stored.lane;
        match state(stored) {
            Ok(state) => *self.lanes.entry(state.name()).or_default() += 1,
            Err(why) => self.broken.push(format!("lane {lane}: {why}")),
        }
        let Some(identity) = &stored.identity else { return };
        match x509::validity(&identity.certificate) {
            Ok((_, to)) => {
                self.identities += 1;
                self.expires = Some(self.expires.map_or(to, |first| first.min(to)));
            }
            Err(why) => self.broken.push(format!("lane {lane}: its certificate: {why}")),
        }
    }
}

fn state(stored: &Stored) -> Result<DeviceState, String> {
    Device::shared_from_bytes(&stored.shared)?;
    Device::record_from_bytes(&stored.record).map(|record| Device::state(&record))
}

/// One lane in words, as far as it reads; `None` if it was never saved.
pub fn show(folder: &Path, lane: LaneIx) -> Result<Option<String>, FleetError> {
    let fleet = Fleet::reopen(folder)?;
    let reader = fleet.reader();
    for cell in 0..reader.cells() {
        if let Some(stored) = reader.lanes(cell)?.0.iter().find(|stored| stored.lane == lane) {
            return Ok(Some(words(stored)));
        }
    }
    Ok(None)
}

fn words(stored: &Stored) -> String {
    let read = |what: Result<String, String>| what.unwrap_or_else(|why| format!("broken: {why}"));
    let mut text = format!("lane {}{}\n", stored.lane, if stored.ended { ", over" } else { "" });
    text += &format!("{}\n", read(Device::record_from_bytes(&stored.record).map(|record| format!("{record:#?}"))));
    text += &format!("{}\n", read(Device::shared_from_bytes(&stored.shared).map(|shared| format!("{shared:#?}"))));
    text += &format!("of its own: {} bytes\n", stored.own.as_ref().map_or(0, Vec::len));
    if let Some(identity) = &stored.identity {
        let until = match x509::validity(&identity.certificate) {
            Ok((_, to)) => format!("good until {} s after 1970", to.secs()),
            Err(why) => format!("broken: {why}"),
        };
        text += &format!("certificate of {} bytes, {until}, key {}\n", identity.certificate.len(), identity.key);
    }
    text
}
