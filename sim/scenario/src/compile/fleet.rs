//! Populations: counts, user channels, mixes, behaviours.

use super::Checks;
use crate::language::{self, Fleet};
use crate::plan::{Behaviour, Managed, Mix, Mode, Population, Retry, Wake, largest_remainder};
use crate::problem::Problem;
use crate::server::ServerProfile;
use crate::units::{Length, grouped, write_length};
use crate::yaml::{At, Named};
use droves_facts::{Dur, Family, Platform, PopulationIx};
use std::ops::RangeBounds;

/// Lanes in one fleet: an index has 32 bits, and the forecast's memory ends before that.
const LANES_MAX: u64 = 20_000_000;
/// User channels of one Mac.
const USERS_MAX: u32 = 16;
/// Values of a mix.
const MIX_MAX: usize = 64;

/// The populations, in order. What is wrong is told, and replaced by something that later checks can live with.
pub(super) fn populations(fleet: &Fleet, server: Option<&ServerProfile>, checks: &mut Checks<'_>) -> Vec<Population> {
    let counts = counts(fleet, checks);
    let mut populations = Vec::new();
    let (mut device, mut lane) = (0_u64, 0_u64);
    for (row, ((name, population), count)) in fleet.populations.0.iter().zip(counts).enumerate() {
        checks.name(name);
        if name.value == "all" {
            checks
                .push(Problem::new("a population can't be called `all`", name.place).labelled("`all` is all of them"));
        }
        let (models, os) = defaults(population.platform.value);
        let mut of = Population {
            ix: PopulationIx(row as u32),
            name: name.value.clone(),
            platform: population.platform.value,
            devices: 0..0,
            users: users(population, checks),
            android: android(population, server, checks),
            lanes: 0..0,
            models: mix(&population.models, models, count, checks),
            os_versions: mix(&population.os, os, count, checks),
            behaviours: population
                .behaviour
                .iter()
                .filter_map(|b| behaviour(b, population.platform.value, checks))
                .collect(),
            wake: wake(population.wake.as_ref(), checks),
            reenrolls_after_wipe: population.reenroll.map(|length| length.0),
            retry: match population.retry {
                language::Retry::AsPlatform => Retry::AsPlatform,
                language::Retry::Flat => Retry::Flat,
                language::Retry::Capped => Retry::Capped,
                language::Retry::Jittered => Retry::Jittered,
            },
        };
        let (devices_end, lanes_end) =
            (device + u64::from(count), lane + u64::from(count) * u64::from(of.sisters().saturating_add(1)));
        if lanes_end > LANES_MAX {
            let at = population.count.as_ref().map_or(name.place, |c| c.place);
            let title = format!("the fleet has more than {} lanes", grouped(LANES_MAX));
            checks.push(Problem::new(title, at).labelled(format!("with these it would be {}", grouped(lanes_end))));
            break;
        }
        of.devices = device as u32..devices_end as u32;
        of.lanes = lane as u32..lanes_end as u32;
        populations.push(of);
        (device, lane) = (devices_end, lanes_end);
    }
    if fleet.populations.0.is_empty() {
        let problem = Problem::new("the fleet has no population", fleet.populations.place);
        checks.absent(
            fleet.populations.place,
            problem.cured("name one, such as `phones: { platform: ios, count: 100 }`"),
        );
    }
    populations
}

/// A server that has no way to enroll a platform can't have devices of it.
pub(super) fn check_enrolls(fleet: &Fleet, server: &ServerProfile, checks: &mut Checks<'_>) {
    for (name, population) in &fleet.populations.0 {
        let platform = &population.platform;
        let (enrolls, words) = match platform.family() {
            Family::Apple => (server.enroll_apple.is_some(), "enroll: { apple: .. }"),
            Family::Windows => (server.enroll_windows.is_some(), "enroll: { windows: .. }"),
            Family::Android => {
                (server.enroll_google.is_some() || server.enroll_agent.is_some(), "enroll: { android: .. }")
            }
        };
        if !enrolls {
            let title = format!("`{}` enrolls no `{}` devices", server.name, platform.value);
            let cure = format!("leave `{}` out, or name a server that enrolls them", name.value);
            let problem = Problem::new(title, platform.place);
            checks.push(problem.labelled(format!("its profile has no `{words}`")).cured(cure));
        }
    }
}

/// Devices of each population: its count, or its part by weight of what `fleet.count` leaves.
fn counts(fleet: &Fleet, checks: &mut Checks<'_>) -> Vec<u32> {
    let mut left = fleet.count.as_ref().map_or(0, |total| u64::from(total.value));
    let mut weights = Vec::new();
    for (name, population) in &fleet.populations.0 {
        match (&population.count, &population.weight) {
            (Some(count), None) => {
                checks.above_zero(count, "a population has 1 device or more; leave it out otherwise");
                left = left.saturating_sub(u64::from(count.value));
            }
            (None, Some(weight)) => {
                checks.above_zero(weight, "a weight is a number above 0");
                weights.push(weight.value.max(0.0));
                if fleet.count.is_none() {
                    checks.push(
                        Problem::new(format!("`{}` has a weight of nothing", name.value), weight.place)
                            .labelled("weights share out `fleet.count`, which is not there")
                            .cured("add `count` to `fleet`, or write `count` here"),
                    );
                }
            }
            (Some(_), Some(weight)) => {
                let problem = Problem::new(format!("`{}` has a count and a weight", name.value), weight.place);
                checks.push(problem.cured("keep one of them"));
            }
            (None, None) => {
                let problem = Problem::new(format!("`{}` needs `count` or `weight`", name.value), name.place);
                checks.absent(population.place, problem);
            }
        }
    }
    if let Some(total) = fleet.count.as_ref() {
        if weights.is_empty() {
            let problem = Problem::new("`fleet.count` has nobody to be shared by", total.place);
            checks.absent(fleet.populations.place, problem.cured("give populations a `weight`, or leave it out"));
        } else if left < weights.len() as u64 {
            let title = format!("`fleet.count` leaves {left} devices for {} weights", weights.len());
            checks.push(Problem::new(title, total.place).cured("raise it"));
        }
    }
    let mut shared = largest_remainder(&weights, u32::try_from(left).unwrap_or(u32::MAX)).into_iter();
    let of = |population: &At<language::Population>| match (&population.count, &population.weight) {
        (Some(count), _) => count.value.max(1),
        (None, Some(_)) => shared.next().unwrap_or(1).max(1),
        (None, None) => 1,
    };
    fleet.populations.0.iter().map(|(_, population)| population).map(of).collect()
}

fn users(population: &At<language::Population>, checks: &mut Checks<'_>) -> u32 {
    let Some(users) = population.users.as_ref().filter(|users| users.value > 0) else { return 0 };
    if population.platform.value != Platform::Macos {
        let title = format!("`{}` devices have no user channels", population.platform.value);
        checks.push(Problem::new(title, users.place).labelled("only `macos` has them").cured("leave `users` out"));
        return 0;
    }
    if users.value > USERS_MAX {
        let title = format!("{} user channels on one Mac", users.value);
        checks.push(Problem::new(title, users.place).labelled(format!("at most {USERS_MAX}")));
        return 0;
    }
    users.value
}

/// By whom Android devices are managed: as the population says, or by whom the server has them managed.
fn android(
    population: &At<language::Population>,
    server: Option<&ServerProfile>,
    checks: &mut Checks<'_>,
) -> Option<Managed> {
    let words = [
        ("managed_by", population.managed_by.as_ref().map(|word| word.place)),
        ("mode", population.mode.as_ref().map(|word| word.place)),
        ("token", population.token.as_ref().map(|word| word.place)),
    ];
    let mut given = words.into_iter().filter_map(|(word, place)| place.map(|place| (word, place)));
    if population.platform.value.family() != Family::Android {
        for (word, place) in given {
            let problem = Problem::new(format!("`{word}` is Android's"), place);
            checks.push(problem.labelled(format!("these are `{}`", population.platform.value)).cured("leave it out"));
        }
        return None;
    }
    let offers = |by| match (by, server) {
        (language::ManagedBy::Google, Some(server)) => server.enroll_google.is_some(),
        (language::ManagedBy::Agent, Some(server)) => server.enroll_agent.is_some(),
        (_, None) => true,
    };
    let by = match &population.managed_by {
        Some(by) => {
            if let Some(server) = server.filter(|_| !offers(by.value)) {
                let (what, words) = match by.value {
                    language::ManagedBy::Google => ("uses no Google", "google"),
                    language::ManagedBy::Agent => ("has no agent of its own", "agent"),
                };
                let problem = Problem::new(format!("`{}` {what}", server.name), by.place);
                checks.push(problem.labelled(format!("its profile has no `enroll: {{ android: {{ {words}: .. }} }}`")));
            }
            by.value
        }
        None if offers(language::ManagedBy::Google) => language::ManagedBy::Google,
        None => language::ManagedBy::Agent,
    };
    if by == language::ManagedBy::Agent {
        if let Some((word, place)) = given.find(|(word, _)| *word != "managed_by") {
            let problem = Problem::new(format!("`{word}` is of devices that Google manages"), place);
            checks.push(problem.cured("leave it out, or say `managed_by: google`"));
        }
        return Some(Managed::Agent);
    }
    let mode = match population.mode.as_ref().map(|mode| mode.value) {
        None | Some(language::ManagementMode::FullyManaged) => Mode::FullyManaged,
        Some(language::ManagementMode::Dedicated) => Mode::Dedicated,
        Some(language::ManagementMode::WorkProfile) => Mode::PersonalWorkProfile,
        Some(language::ManagementMode::CompanyWorkProfile) => Mode::CompanyWorkProfile,
    };
    let one_time = population.token.as_ref().is_some_and(|token| token.value == language::Token::OneTime);
    Some(Managed::Google { mode, one_time })
}

fn mix(given: &Named<At<f64>>, default: &[(&str, f64)], count: u32, checks: &mut Checks<'_>) -> Mix {
    if given.0.is_empty() {
        let rows: Vec<_> = default.iter().map(|(value, weight)| ((*value).to_owned(), *weight)).collect();
        return Mix::by_weight(&rows, count);
    }
    for (value, weight) in &given.0 {
        if !weight.value.is_finite() || weight.value < 0.0 {
            checks.push(Problem::new(format!("`{}` has a weight below 0", value.value), weight.place));
        }
    }
    if given.0.len() > MIX_MAX {
        checks.push(Problem::new(format!("a mix of more than {MIX_MAX} values"), given.0[MIX_MAX].0.place));
    }
    let rows: Vec<_> = given.0.iter().map(|(value, weight)| (value.value.clone(), weight.value.max(0.0))).collect();
    Mix::by_weight(&rows, count)
}

fn behaviour(behaviour: &At<language::Behaviour>, platform: Platform, checks: &mut Checks<'_>) -> Option<Behaviour> {
    use language::Behaviour as Word;
    let place = behaviour.place;
    let (is_windows, is_android) = (platform.family() == Family::Windows, platform.family() == Family::Android);
    let androids =
        |title, checks: &mut Checks<'_>| only(is_android, Problem::new(title, place).cured("leave it out"), checks);
    Some(match &behaviour.value {
        Word::Locked(of) => {
            let problem = Problem::new("an Android device does what it is told, locked or not", place);
            let problem = problem.labelled("`locked` says nothing to it");
            only(!is_android, problem.cured("leave it out, or say `doze` or `off`"), checks)?;
            let (share, spell) = spells(of, MINUTE.times(10), checks)?;
            Behaviour::Locked { share, spell }
        }
        Word::Off(of) => {
            let (share, spell) = spells(of, HOUR.times(8), checks)?;
            Behaviour::Off { share, spell }
        }
        Word::Reboot(reboot) => {
            let every = within(&reboot.every, HOUR.., "a device restarts once an hour at most", "7d", checks)?;
            Behaviour::Reboot { every }
        }
        Word::Slow(slow) => {
            let factor = checks.above_zero(&slow.factor, "1 is the usual pace, 3 is three times as slow")?;
            Behaviour::Slow { factor }
        }
        Word::Queued(queued) => {
            let cure = "leave it out, or say `wake` for how long after a push they connect";
            only(is_windows, Problem::new("only Windows queues what a push asks for", place).cured(cure), checks)?;
            let length = queued.length.map_or(Dur::secs(300), |length| length.0);
            Behaviour::Queued { share: queued.share.0, length }
        }
        Word::Cloned(cloned) => {
            let problem = Problem::new("of Apple devices there are no clones with one serial number", place);
            only(is_windows || is_android, problem.cured("leave it out"), checks)?;
            Behaviour::Cloned { share: cloned.share.0 }
        }
        Word::Silent(part) => {
            androids("only of Android devices Google may not hear that they leave", checks)?;
            Behaviour::Silent { share: part.share.0 }
        }
        Word::Doze(doze) => {
            androids("only Android devices doze", checks)?;
            let title = "a device lies still for four hours, and not always for more";
            let after = doze.after.as_ref();
            let after =
                after.map_or(Some(MINUTE.times(45)), |after| within(after, ..=HOUR.times(4), title, "45m", checks));
            Behaviour::Doze { after: after? }
        }
        Word::Kiosk(kiosk) => {
            androids("only Android devices are kiosks", checks)?;
            Behaviour::Kiosk { reboots_at: kiosk.reboot_at.map_or(HOUR.times(3), |time| time.0) }
        }
        Word::Paused(of) => {
            androids("only Android devices have work profiles", checks)?;
            let (share, spell) = spells(of, HOUR.times(4), checks)?;
            Behaviour::Paused { share, spell }
        }
        Word::Metered(of) => {
            androids("only Android devices put off what is large", checks)?;
            let (share, spell) = spells(of, HOUR.times(2), checks)?;
            Behaviour::Metered { share, spell }
        }
    })
}

/// A share of the time, and how long it is at a stretch.
fn spells(of: &language::Spells, usual: Dur, checks: &mut Checks<'_>) -> Option<(f64, Dur)> {
    let spell = of.spell.as_ref();
    let spell = spell.map_or(Some(usual), |spell| {
        within(spell, Dur::secs(1).., "a spell of less than a second", &write_length(usual), checks)
    });
    Some((of.share.0, spell?))
}

/// A length of time within a range, or what is wrong and what is usual.
fn within(
    length: &At<Length>,
    range: impl RangeBounds<Dur>,
    title: &str,
    usual: &str,
    checks: &mut Checks<'_>,
) -> Option<Dur> {
    if !range.contains(&length.value.0) {
        checks.push(Problem::new(title, length.place).cured(format!("say `{usual}`")));
        return None;
    }
    Some(length.value.0)
}

/// A problem, unless the devices are those that the word is for.
fn only(is_so: bool, problem: Problem, checks: &mut Checks<'_>) -> Option<()> {
    if !is_so {
        checks.push(problem);
    }
    is_so.then_some(())
}

const MINUTE: Dur = Dur::secs(60);
const HOUR: Dur = Dur::secs(3_600);

fn wake(wake: Option<&At<language::Lognormal>>, checks: &mut Checks<'_>) -> Wake {
    let Some(wake) = wake else { return Wake { median: Dur::ms(800), sigma: 0.6 } };
    Wake { median: wake.median.0, sigma: sigma(&wake.sigma, checks) }
}

/// The width of a log-normal distribution, within what makes sense.
pub(super) fn sigma(sigma: &At<f64>, checks: &mut Checks<'_>) -> f64 {
    if !(0.0..=4.0).contains(&sigma.value) {
        let problem = Problem::new("a sigma out of range", sigma.place);
        checks.push(problem.labelled("0 to 4; 1 puts p95 at 5.2 times the median"));
        return 0.0;
    }
    sigma.value
}

type Weights = &'static [(&'static str, f64)];

/// Models and versions of a population that names none: a few that are common.
fn defaults(platform: Platform) -> (Weights, Weights) {
    match platform {
        Platform::Ios => {
            (&[("iPhone16,1", 2.0), ("iPhone15,4", 2.0), ("iPhone14,5", 1.0)], &[("26.1", 3.0), ("18.7", 1.0)])
        }
        Platform::Ipados => (&[("iPad14,3", 1.0), ("iPad13,18", 1.0)], &[("26.1", 3.0), ("18.7", 1.0)]),
        Platform::Macos => (&[("Mac15,3", 1.0), ("Mac14,2", 2.0)], &[("26.1", 2.0), ("15.7", 1.0)]),
        Platform::Windows => (
            &[("Latitude 5450", 2.0), ("ThinkPad T14 Gen 5", 2.0), ("Surface Laptop 7", 1.0)],
            &[("10.0.26200.7171", 3.0), ("10.0.22631.6199", 2.0), ("10.0.19045.6575", 1.0)],
        ),
        Platform::Android => (
            &[("Pixel 9", 2.0), ("SM-S931B", 3.0), ("SM-A566B", 2.0), ("TC58", 1.0)],
            &[("16", 2.0), ("15", 3.0), ("14", 2.0)],
        ),
    }
}
