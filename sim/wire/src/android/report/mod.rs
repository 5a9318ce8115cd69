//! Status reports, made from their recipes: the fields of a Device that the device itself tells (Google, *Android
//! Management API*, `enterprises.devices`). The same recipe gives the same report at the same time, to the byte.

mod apps;
mod parts;
mod sections;
pub mod updates;

pub use sections::Sections;

use super::adp::{App, Detail, Recipe};
use droves_facts::{Dice, Philox, Purpose, Wall};
use parts::Told;
use serde_json::{Map, Value, json};

/// What a device reports at a time: `hardwareInfo`, `securityPosture`, `nonComplianceDetails` if there are any, and the
/// sections that are asked for, as far as a device that is managed in this way has them. What is empty is absent.
pub fn render(recipe: &Recipe, sections: Sections, at: Wall) -> Map<String, Value> {
    render_of(recipe, &recipe.apps.iter().collect::<Vec<_>>(), &recipe.details.iter().collect::<Vec<_>>(), sections, at)
}

/// The same, of a recipe whose applications and details are kept elsewhere: its own are passed over.
pub fn render_of(
    recipe: &Recipe,
    apps: &[&App],
    details: &[&Detail],
    sections: Sections,
    at: Wall,
) -> Map<String, Value> {
    let sections = sections.of(recipe);
    let told = Told { recipe, at };
    let mut report = Map::new();
    let mut set = |field: &str, value: Value| drop(report.insert(field.to_owned(), value));
    set("hardwareInfo", told.hardware(sections.have("hardwareStatusSamples")));
    set("securityPosture", json!({ "devicePosture": "SECURE" }));
    if !details.is_empty() {
        set("nonComplianceDetails", details.iter().map(|detail| detail_json(detail)).collect());
    }
    let mut section = |field: &str, value: &dyn Fn() -> Value| {
        let value = if sections.have(field) { value() } else { Value::Null };
        // An empty list is absent, as everywhere at Google.
        if !value.is_null() && value.as_array().is_none_or(|elements| !elements.is_empty()) {
            set(field, value);
        }
    };
    section("applicationReports", &|| apps::reports(recipe, apps, sections.have_removed_apps(), at));
    section("softwareInfo", &|| told.software());
    section("networkInfo", &|| told.network());
    section("memoryInfo", &|| told.memory());
    section("memoryEvents", &|| told.memory_events());
    section("displays", &|| told.displays());
    section("hardwareStatusSamples", &|| told.hardware_samples());
    section("powerManagementEvents", &|| told.power_events());
    section("deviceSettings", &|| told.settings());
    section("systemProperties", &|| told.properties());
    section("defaultApplicationInfo", &|| told.default_applications());
    section("commonCriteriaModeInfo", &|| told.common_criteria());
    report
}

fn detail_json(detail: &Detail) -> Value {
    let fields = [
        ("settingName", &detail.setting),
        ("nonComplianceReason", &detail.reason),
        ("packageName", &detail.package),
        ("installationFailureReason", &detail.failure),
    ];
    let known = fields.into_iter().filter(|(_, value)| !value.is_empty());
    Value::Object(known.map(|(name, value)| (name.to_owned(), Value::from(&**value))).collect())
}

/// What nobody decides about a device: a stream of numbers for each thing that is drawn.
fn drawn(recipe: &Recipe, thing: u64) -> Philox {
    Dice::new(recipe.seed).draw(0, Purpose::Contents, thing)
}

#[cfg(test)]
mod tests;
