//! From the words of a scenario to its plan: the checks across fields, all of them at once.

mod command;
mod end;
mod faults;
mod fleet;
mod nodes;
mod phases;
mod target;

use crate::files::Files;
use crate::language;
use crate::plan::{Bounds, Http, Keys, Overload, Place, Plan, Resumption, Roster};
use crate::problem::{Problem, Source};
use crate::server::ServerProfile;
use crate::yaml::At;
use droves_facts::{Dice, Dur};
use std::collections::BTreeSet;

/// What the checks look at, and what they found.
pub(crate) struct Checks<'a> {
    pub(crate) source: &'a Source,
    /// Where payloads and certificates are.
    pub(crate) files: &'a Files,
    /// Maps and lists from which the walk left something out: what they lack has been told of.
    pub(crate) holed: &'a BTreeSet<Place>,
    pub(crate) problems: Vec<Problem>,
    /// Whether the sizes of populations are as written: else what they seem to make impossible is no problem.
    pub(crate) sizes_known: bool,
}

impl Checks<'_> {
    fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A problem that something is not there, in a map or list at this place.
    fn absent(&mut self, within: Place, problem: Problem) {
        if !self.holed.contains(&within) {
            self.push(problem);
        }
    }

    /// A name goes into paths, tags and thresholds.
    fn name(&mut self, name: &At<String>) {
        let fits = |c: char| c.is_alphanumeric() || " _-.".contains(c);
        if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || !name.chars().all(fits) {
            let problem = Problem::new(format!("`{}` can't be a name", self.source.quote(name.place)), name.place);
            let label = format!("letters, digits, spaces, `_`, `-` and `.`, {NAME_CHARS_MAX} at most");
            self.push(problem.labelled(label));
        }
    }

    /// A count or factor that must be above 0.
    fn above_zero<T: PartialOrd + Default + Copy>(&mut self, value: &At<T>, cure: &str) -> Option<T> {
        if value.value > T::default() {
            return Some(value.value);
        }
        let title = format!("`{}` must be above 0", self.source.quote(value.place));
        self.push(Problem::new(title, value.place).cured(cure));
        None
    }
}

const NAME_CHARS_MAX: usize = 60;

/// Compiles a scenario. None, or problems among which is an error: there is no plan.
pub(crate) fn compile(
    scenario: &language::Scenario,
    profile: Option<ServerProfile>,
    name: &str,
    checks: &mut Checks<'_>,
) -> Option<Plan> {
    if scenario.droves.value != 1 {
        let label = "this program reads version 1";
        checks.push(Problem::new("unknown version of the language", scenario.droves.place).labelled(label));
    }
    if let Some(name) = &scenario.name {
        checks.name(name);
    }
    let before = checks.problems.len();
    let populations = fleet::populations(&scenario.fleet, profile.as_ref(), checks);
    let sound = checks.problems.len() == before && !checks.holed.contains(&scenario.fleet.populations.place);
    checks.sizes_known = sound;
    let names: Vec<String> = populations.iter().map(|p| p.name.clone()).collect();
    let world = phases::World {
        dice: Dice::new(scenario.fleet.seed),
        roster: Roster::of(&populations),
        names: &names,
        kinds: populations.iter().map(|p| (p.platform, p.android)).collect(),
        server: profile.as_ref(),
        names_place: scenario.fleet.populations.place,
    };
    let (steps, phases) = phases::phases(&scenario.phases, &world, checks);
    let target = target::target(&scenario.target, profile.as_ref(), checks);
    if let Some(profile) = &profile {
        fleet::check_enrolls(&scenario.fleet, profile, checks);
    }
    let stage = faults::Stage { world: &world, phases: &phases, written: &scenario.phases, target: target.as_ref() };
    let faults = faults::faults(&scenario.faults, &stage, checks);
    let thresholds = faults::thresholds(&scenario.thresholds, checks);
    if !checks.problems.iter().any(Problem::is_error) {
        phases::warn_of_strangers(&phases, &names, scenario.phases.place, checks);
    }
    let tls = target::tls(&scenario.target.tls, checks);
    let keys = keys(scenario.fleet.keys.as_ref(), checks);
    let bounds = bounds(&scenario.bounds, checks);
    Some(Plan {
        name: scenario.name.as_ref().map_or_else(|| name.to_owned(), |name| name.value.clone()),
        seed: scenario.fleet.seed,
        hash: String::new(),
        populations,
        steps,
        phases,
        target: target?,
        keys,
        faults,
        thresholds,
        bounds,
        http: match scenario.target.http {
            language::Http::Auto => Http::Auto,
            language::Http::H1 => Http::H1,
            language::Http::H2 => Http::H2,
        },
        resumption: match scenario.target.resumption {
            language::Resumption::Off => Resumption::Off,
            language::Resumption::PerIdentity => Resumption::PerIdentity,
        },
        tls,
    })
}

/// Making this many keys takes a core the better part of an hour.
const POOL_MAX: u32 = 50_000;
const POOL_DEFAULT: u32 = 256;

fn keys(keys: Option<&At<language::Keys>>, checks: &mut Checks<'_>) -> Keys {
    match keys {
        None => Keys::Pool(POOL_DEFAULT),
        Some(At { value: language::Keys::Unique, .. }) => Keys::Unique,
        Some(At { value: language::Keys::Pool(size), place }) => {
            if !(1..=POOL_MAX).contains(size) {
                let title = format!("a pool of {size} keys is out of range");
                checks.push(Problem::new(title, *place).cured(format!("1 to {POOL_MAX}, or `unique`")));
            }
            Keys::Pool(*size)
        }
    }
}

fn bounds(bounds: &language::Bounds, checks: &mut Checks<'_>) -> Bounds {
    let connections_max = bounds
        .connections_max
        .as_ref()
        .and_then(|max| checks.above_zero(max, "1 or more connections; the default is 4000"))
        .unwrap_or(4_000);
    let lag_max = bounds.lag_max.as_ref().map_or(Dur::ms(50), |lag| lag.0);
    if let Some(lag) = bounds.lag_max.as_ref().filter(|lag| lag.0 == Dur::ZERO) {
        checks.push(Problem::new("a lag of 0 can't be kept", lag.place).cured("write `50ms`, or leave it out"));
    }
    let on_overload = match bounds.on_overload {
        language::Overload::CatchUp => Overload::CatchUp,
        language::Overload::Merge => Overload::Merge,
        language::Overload::Drop => Overload::Drop,
    };
    Bounds { lag_max, connections_max, on_overload }
}
