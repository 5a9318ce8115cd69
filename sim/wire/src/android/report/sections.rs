//! The sections of a status report, and the settings of a policy that ask for them. Unasked, a section is absent.

use super::super::adp::{Mode, Recipe};
use serde_json::{Map, Value};

/// Which sections a report has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sections(u16);

/// The field of a Device, and the one of `statusReportingSettings` that asks for it.
const ALL: [(&str, &str); 12] = [
    ("applicationReports", "applicationReportsEnabled"),
    ("softwareInfo", "softwareInfoEnabled"),
    ("networkInfo", "networkInfoEnabled"),
    ("memoryInfo", "memoryInfoEnabled"),
    ("memoryEvents", "memoryInfoEnabled"),
    ("displays", "displayInfoEnabled"),
    ("hardwareStatusSamples", "hardwareStatusEnabled"),
    ("powerManagementEvents", "powerManagementEventsEnabled"),
    ("deviceSettings", "deviceSettingsEnabled"),
    ("systemProperties", "systemPropertiesEnabled"),
    ("defaultApplicationInfo", "defaultApplicationInfoReportingEnabled"),
    ("commonCriteriaModeInfo", "commonCriteriaModeEnabled"),
];
/// Whether applications that were removed are among the reported ones.
const REMOVED_APPS: u16 = 1 << ALL.len();
/// What nobody is told of a device that belongs to its user.
const NOT_OF_PERSONAL: [&str; 4] =
    ["displays", "hardwareStatusSamples", "powerManagementEvents", "commonCriteriaModeInfo"];
/// From Android 16.
const DEFAULT_APPLICATIONS_API_MIN: u16 = 36;

impl Sections {
    /// What a policy asks for.
    pub fn asked(policy: &Map<String, Value>) -> Self {
        let Some(settings) = policy.get("statusReportingSettings") else { return Sections::default() };
        let fields = bits(|_, setting| settings[setting] == true);
        let removed = settings["applicationReportingSettings"]["includeRemovedApps"] == true;
        Sections(if removed { fields.0 | REMOVED_APPS } else { fields.0 })
    }

    /// Those of them whose field is wanted.
    pub fn only(self, wanted: impl Fn(&str) -> bool) -> Self {
        Sections(self.0 & (bits(|field, _| wanted(field)).0 | REMOVED_APPS))
    }

    /// Whether a field of a Device is a section that is not among these.
    pub fn lack(self, field: &str) -> bool {
        ALL.iter().any(|(of, _)| *of == field) && !self.have(field)
    }

    pub(super) fn have(self, field: &str) -> bool {
        self.0 & bits(|of, _| of == field).0 != 0
    }

    pub(super) fn have_removed_apps(self) -> bool {
        self.0 & REMOVED_APPS != 0
    }

    /// Those that this device has at all.
    pub(super) fn of(self, recipe: &Recipe) -> Self {
        let is_personal = recipe.mode == Mode::PersonalWorkProfile;
        self.only(|field| match field {
            "defaultApplicationInfo" => recipe.api_level >= DEFAULT_APPLICATIONS_API_MIN,
            _ => !is_personal || !NOT_OF_PERSONAL.contains(&field),
        })
    }
}

fn bits(is_set: impl Fn(&str, &str) -> bool) -> Sections {
    let set = ALL.iter().enumerate().filter(|(_, (field, setting))| is_set(field, setting));
    Sections(set.fold(0, |bits, (place, _)| bits | 1 << place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_gets_what_it_asks_for() {
        let policy = json!({ "statusReportingSettings": { "memoryInfoEnabled": true, "displayInfoEnabled": false } });
        let sections = policy.as_object().map(Sections::asked).unwrap_or_default();
        let has =
            |sections: Sections| ALL.map(|(field, _)| field).into_iter().filter(move |field| sections.have(field));
        assert_eq!(has(sections).collect::<Vec<_>>(), ["memoryInfo", "memoryEvents"]);
        assert_eq!(has(sections.only(|field| field == "memoryInfo")).count(), 1);
        assert!(sections.lack("displays") && !sections.lack("memoryInfo") && !sections.lack("hardwareInfo"));
        assert_eq!(has(Sections::asked(&Map::new())).count(), 0);
    }
}
