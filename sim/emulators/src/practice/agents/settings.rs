//! Settings that apps on a device have made. They are kept and shown; into its configuration, as with the real server, they
//! do not go: that would be another for each device.

use super::{Agents, done, refused};
use crate::practice::exchange::{Incoming, Outgoing};
use crate::practice::house::House;
use droves_wire::android::headwind::config::{ApplicationSetting, read_settings};
use droves_wire::android::headwind::envelope::UNKNOWN_DEVICE;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Those of a device, by app and name.
#[derive(Debug, Default)]
pub(super) struct AppSettings(BTreeMap<(String, String), ApplicationSetting>);

impl AppSettings {
    /// What has no value says nothing, of two of one name the first counts, and what is older than what is known is not taken.
    fn take(&mut self, made: Vec<ApplicationSetting>) {
        let mut heard = BTreeMap::new();
        for setting in made {
            let is_short = |text: &&String| text.len() <= TEXT_BYTES_MAX;
            let said = |text: &Option<String>| text.clone().filter(|text| is_short(&text));
            let has_value = said(&setting.value).is_some_and(|value| !value.trim().is_empty());
            if let (Some(app), Some(name), true) = (said(&setting.package_id), said(&setting.name), has_value) {
                heard.entry((app, name)).or_insert(setting);
            }
        }
        for (of, setting) in heard {
            let has_room = self.0.len() < SETTINGS_MAX;
            match self.0.entry(of) {
                Entry::Occupied(mut known) if setting.last_update >= known.get().last_update => {
                    known.insert(setting);
                }
                Entry::Vacant(free) if has_room => {
                    free.insert(setting);
                }
                Entry::Occupied(_) | Entry::Vacant(_) => {}
            }
        }
    }

    /// As they are shown.
    pub(super) fn shown(&self) -> Value {
        self.0.values().map(|setting| serde_json::to_value(setting).unwrap_or_default()).collect()
    }
}

impl Agents {
    /// A device brings settings.
    pub(super) fn settings(&mut self, house: &mut House, request: &Incoming<'_>, name: &str) -> Outgoing {
        let made = match read_settings(request.body) {
            Ok(made) => made,
            Err(error) => return Outgoing::text(400, error.to_string()),
        };
        let number = self.number_of(name);
        let Some(device) = number.and_then(|number| self.devices.get_mut(&number)) else {
            return refused(UNKNOWN_DEVICE);
        };
        house.truth.agents("settings");
        device.app_settings.take(made);
        done()
    }
}

/// Settings of a device that are kept.
const SETTINGS_MAX: usize = 256;
/// Bytes of a name or a value; longer ones are not kept.
const TEXT_BYTES_MAX: usize = 1_024;
