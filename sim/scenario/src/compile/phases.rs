//! Phases: their order, names and actions, whom they are about, and when.

use super::{Checks, command, end};
use crate::language::{self, Channel, Who};
use crate::plan::{
    Action, Arrivals, Asks, Channels, Command, Managed, Phase, Place, Roster, Schedule, Selection, largest_remainder,
};
use crate::problem::{Problem, nearest};
use crate::server::ServerProfile;
use crate::units::{Amount, grouped};
use crate::yaml::{At, TextOr};
use droves_facts::{Dice, Dur, PhaseIx, Platform, PopulationIx};

/// A run has a handful of phases.
const PHASES_MAX: usize = 200;

/// What phases and faults are checked against.
pub(super) struct World<'a> {
    pub(super) dice: Dice,
    pub(super) roster: Roster,
    pub(super) names: &'a [String],
    /// What each runs, and by whom it is managed if that is Android.
    pub(super) kinds: Vec<(Platform, Option<Managed>)>,
    /// The server's profile, if there is a sound one.
    pub(super) server: Option<&'a ServerProfile>,
    /// Where the populations stand in the file.
    pub(super) names_place: Place,
}

impl World<'_> {
    /// The population of this name; a problem if there is none.
    pub(super) fn population(&self, name: &str, place: Place, checks: &mut Checks<'_>) -> Option<PopulationIx> {
        if let Some(row) = self.names.iter().position(|n| n == name) {
            return Some(PopulationIx(row as u32));
        }
        let label = match nearest(name, self.names.iter().map(String::as_str).chain(["all"])) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", self.names.join(", ")),
        };
        checks
            .absent(self.names_place, Problem::new(format!("no population is called `{name}`"), place).labelled(label));
        None
    }

    fn size(&self, population: PopulationIx) -> u32 {
        let devices = self.roster.devices_of(population);
        devices.end - devices.start
    }
}

/// The steps, and the phases at their indexes.
pub(super) fn phases(
    written: &At<Vec<At<language::Phase>>>,
    world: &World<'_>,
    checks: &mut Checks<'_>,
) -> (Vec<Vec<PhaseIx>>, Vec<Phase>) {
    let (mut steps, mut phases) = (Vec::new(), Vec::<Phase>::new());
    for item in &written.value {
        let side_by_side: Vec<&At<language::Phase>> = match &item.together {
            None => vec![item],
            Some(together) => {
                check_together(item, together, checks);
                together.iter().collect()
            }
        };
        let mut step = Vec::new();
        for item in side_by_side {
            let ix = PhaseIx(phases.len() as u32);
            if phases.len() == PHASES_MAX {
                checks.push(Problem::new(format!("more than {PHASES_MAX} phases"), item.place));
                return (steps, phases);
            }
            if let Some(phase) = phase(item, ix, world, &phases, checks) {
                step.push(ix);
                phases.push(phase);
            }
        }
        if !step.is_empty() {
            steps.push(step);
        }
    }
    if written.value.is_empty() {
        let problem = Problem::new("nothing happens: `phases` is empty", written.place);
        checks.absent(written.place, problem.cured("begin with `- enroll: { who: all }`"));
    }
    (steps, phases)
}

fn check_together(item: &At<language::Phase>, together: &At<Vec<At<language::Phase>>>, checks: &mut Checks<'_>) {
    let beside = item.length.is_some() || item.until.is_some() || item.after.is_some() || item.name.is_some();
    if beside || !actions(item).is_empty() {
        let problem = Problem::new("`together` stands alone", item.place);
        checks.push(problem.labelled("names, ends and actions belong to the phases below it"));
    }
    if together.is_empty() {
        checks.absent(together.place, Problem::new("`together` of nothing", item.place));
    }
    for inner in together.iter().filter_map(|phase| phase.together.as_ref()) {
        checks.push(Problem::new("`together` within `together`", inner.place).cured("write its phases side by side"));
    }
}

/// The names that phases have in the file, whether or not there is a phase for each.
pub(super) fn names(written: &[At<language::Phase>]) -> Vec<&str> {
    let all = written.iter().flat_map(|item| match &item.together {
        None => std::slice::from_ref(item).iter(),
        Some(together) => together.iter(),
    });
    all.filter_map(|item| match &item.name {
        Some(name) => Some(name.value.as_str()),
        None => actions(item).first().map(|(action, _)| *action),
    })
    .collect()
}

/// The actions of a phase, each with its name and place. It should be one.
fn actions(phase: &language::Phase) -> Vec<(&'static str, Place)> {
    let rows = [
        ("enroll", phase.enroll.as_ref().map(|a| a.place)),
        ("check_in", phase.check_in.as_ref().map(|a| a.place)),
        ("command", phase.command.as_ref().map(|a| a.place)),
        ("push", phase.push.as_ref().map(|a| a.place)),
        ("unenroll", phase.unenroll.as_ref().map(|a| a.place)),
        ("renew", phase.renew.as_ref().map(|a| a.place)),
        ("wait", phase.wait.as_ref().map(|a| a.place)),
    ];
    rows.into_iter().filter_map(|(name, place)| place.map(|place| (name, place))).collect()
}

fn phase(
    item: &At<language::Phase>,
    ix: PhaseIx,
    world: &World<'_>,
    before: &[Phase],
    checks: &mut Checks<'_>,
) -> Option<Phase> {
    let (action_name, action_place) = match actions(item).as_slice() {
        [one] => *one,
        [] => {
            let problem = Problem::new("this phase does nothing", item.place);
            let all = "enroll, check_in, command, push, unenroll, renew or wait";
            checks.absent(item.place, problem.cured(format!("give it an action: {all}")));
            return None;
        }
        [(first, _), (second, place), ..] => {
            let problem = Problem::new(format!("this phase does `{first}` and `{second}`"), *place);
            checks.push(problem.cured("give each action a phase of its own; `together` lets them run side by side"));
            return None;
        }
    };
    if let Some(name) = &item.name {
        checks.name(name);
    }
    let name = item.name.as_ref().map_or(action_name, |name| name.value.as_str()).to_owned();
    let name_place = item.name.as_ref().map_or(item.place, |name| name.place);
    if before.iter().any(|phase| phase.name == name) {
        let problem = Problem::new(format!("two phases are called `{name}`"), name_place);
        checks.push(problem.labelled("this is the second").cured("give one a `name` of its own"));
    }
    if let Some(wait) = &item.wait {
        let until = end::of_wait(item, wait, checks);
        return Some(Phase { ix, name, after: after(item), action: Action::Wait, until });
    }
    let drive = Drive::of(item, action_name, action_place)?;
    // All parts are checked, so that their problems come at once.
    let schedule = schedule(&drive, item, ix, world, checks);
    let who = schedule.as_ref().map(|schedule| &schedule.who);
    let command = item.command.as_ref().map(|written| command::command(written, who, world, checks));
    let mut schedule = schedule?;
    let until = end::of_drive(item, &drive, &mut schedule, checks);
    let action = match action_name {
        "enroll" => Action::Enroll(schedule),
        "check_in" => Action::CheckIn(schedule),
        "push" => Action::Push(schedule),
        "unenroll" => Action::Unenroll(schedule),
        "renew" => Action::Renew(schedule),
        _ => {
            let (command, push) = command??;
            check_names(&command, item, action_place, world, checks);
            Action::Command { schedule, command, push }
        }
    };
    Some(Phase { ix, name, after: after(item), action, until })
}

/// Whether it can be known when the commands of a phase are answered, if its end waits for that.
fn check_names(command: &Command, item: &language::Phase, place: Place, world: &World<'_>, checks: &mut Checks<'_>) {
    let Some(server) = world.server.filter(|server| !server.names_commands(command.queueing())) else { return };
    let queues = server.admin.as_ref().is_some_and(|admin| admin.queueing(command.queueing()).is_some());
    let waits = item.until.as_ref().map(|until| until.place).or(item.length.is_none().then_some(place));
    if let Some(place) = waits.filter(|_| queues) {
        let title = format!("`{}` does not say what became of these commands", server.name);
        let label = match command.asks {
            Asks::Message(_) => "nothing comes back of a message",
            Asks::Configuration(_) => "it does not say what a configuration is called",
            _ => "it numbers the commands of each message anew",
        };
        checks.push(Problem::new(title, place).labelled(label).cured("say how long the phase lasts: `for: 5m`"));
    }
}

fn after(item: &language::Phase) -> Dur {
    item.after.map_or(Dur::ZERO, |after| after.0)
}

/// What all actions but `wait` have in common.
pub(super) struct Drive<'a> {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) who: &'a At<Who>,
    pub(super) arrivals: Option<&'a At<language::Arrivals>>,
    channel: Option<&'a At<Channel>>,
    pub(super) repeat: Option<&'a At<u32>>,
}

impl<'a> Drive<'a> {
    fn of(item: &'a language::Phase, name: &'static str, place: Place) -> Option<Self> {
        if let Some(command) = &item.command {
            let (who, arrivals, channel) = (&command.who, command.arrivals.as_ref(), command.channel.as_ref());
            return Some(Drive { name, place, who, arrivals, channel, repeat: command.repeat.as_ref() });
        }
        let all = [&item.enroll, &item.check_in, &item.push, &item.unenroll, &item.renew];
        let drive = all.into_iter().flatten().next()?;
        let (who, arrivals, channel) = (&drive.who, drive.arrivals.as_ref(), drive.channel.as_ref());
        Some(Drive { name, place, who, arrivals, channel, repeat: None })
    }

    /// Whether it can come to a device only once.
    pub(super) fn is_once(&self) -> bool {
        matches!(self.name, "enroll" | "unenroll" | "renew")
    }
}

fn schedule(
    drive: &Drive<'_>,
    item: &language::Phase,
    ix: PhaseIx,
    world: &World<'_>,
    checks: &mut Checks<'_>,
) -> Option<Schedule> {
    let channels = match drive.channel.map(|c| (c.value, c.place)) {
        None | Some((Channel::Device, _)) => Channels::Device,
        Some((_, place)) if drive.is_once() => {
            let problem = Problem::new(format!("`{}` is of whole devices", drive.name), place);
            checks.push(problem.labelled("user channels follow by themselves").cured("leave `channel` out"));
            Channels::Device
        }
        Some((Channel::User, _)) => Channels::User,
        Some((Channel::Both, _)) => Channels::Both,
    };
    let wanted = who(drive.who, world, checks);
    let arrivals = end::arrivals(drive, item, checks);
    let (mut wanted, arrivals) = (wanted?, arrivals?);
    // What an agent's device has beside its main lane is nobody's to order.
    let has_agent = |population: PopulationIx| world.kinds[population.ix()].1 == Some(Managed::Agent);
    wanted.retain(|(population, _)| channels != Channels::User || !has_agent(*population));
    let on = |population| if has_agent(population) { Channels::Device } else { channels };
    let who = Selection::new(world.dice, ix, &world.roster, &wanted, on);
    if who.lanes() == 0 {
        let place = drive.channel.map_or(drive.who.place, |c| c.place);
        checks.push(Problem::new("nobody has such a channel", place).cured("give a `macos` population `users: 1`"));
        return None;
    }
    let times = match arrivals {
        _ if drive.is_once() => Some(1),
        _ if drive.repeat.is_some() => drive.repeat.map(|repeat| repeat.value),
        Arrivals::AtOnce | Arrivals::Spike { .. } => Some(1),
        Arrivals::Each { .. } => None,
        _ if item.length.is_some() => None,
        _ => Some(1),
    };
    Some(Schedule { dice: world.dice, phase: ix, who, arrivals, times, before: None })
}

/// Exact numbers of devices by population; none after a problem.
fn who(written: &At<Who>, world: &World<'_>, checks: &mut Checks<'_>) -> Option<Vec<(PopulationIx, u32)>> {
    let everybody = || (0..world.roster.populations() as u32).map(PopulationIx);
    let named = match &written.value {
        TextOr::Text(all) if all == "all" => return Some(everybody().map(|p| (p, world.size(p))).collect()),
        TextOr::Text(name) => {
            return world.population(name, written.place, checks).map(|p| vec![(p, world.size(p))]);
        }
        TextOr::Other(named) => named,
    };
    if named.0.is_empty() {
        checks.absent(written.place, Problem::new("`who` names nobody", written.place).cured("write `all`"));
        return None;
    }
    let mut wanted = Vec::new();
    let mut sound = true;
    for (name, amount) in &named.0 {
        if name.value == "all" {
            if named.0.len() > 1 {
                let problem = Problem::new("`all` and others", name.place);
                checks.push(problem.cured("name `all` alone, or the populations without it"));
                return None;
            }
            let sizes: Vec<f64> = everybody().map(|p| f64::from(world.size(p))).collect();
            let total = count(amount, &name.value, world.roster.devices(), checks)?;
            return Some(everybody().zip(largest_remainder(&sizes, total)).collect());
        }
        let population = world.population(&name.value, name.place, checks);
        let found = population.and_then(|p| count(amount, &name.value, world.size(p), checks).map(|n| (p, n)));
        sound &= found.is_some();
        wanted.extend(found);
    }
    sound.then_some(wanted)
}

fn count(amount: &At<Amount>, name: &str, size: u32, checks: &mut Checks<'_>) -> Option<u32> {
    let wanted = match amount.value {
        Amount::Devices(devices) => devices,
        Amount::Share(share) => (share * f64::from(size)).round() as u32,
    };
    if wanted == 0 {
        let title = format!("`{}` of `{name}` is nobody", checks.source.quote(amount.place));
        let label = format!("there are {}", grouped(u64::from(size)));
        checks.push(Problem::new(title, amount.place).labelled(label).cured("ask for 1 device or more"));
        return None;
    }
    if wanted > size {
        let title = format!("`{name}` has only {} devices", grouped(u64::from(size)));
        let label = format!("{} are asked for", grouped(u64::from(wanted)));
        checks.push(Problem::new(title, amount.place).labelled(label));
        return None;
    }
    Some(wanted)
}

/// Populations that are driven before any phase enrolls them must have been enrolled by an earlier run.
pub(super) fn warn_of_strangers(phases: &[Phase], names: &[String], place: Place, checks: &mut Checks<'_>) {
    let mut known = vec![false; names.len()];
    let mut strangers = Vec::new();
    for phase in phases {
        let Some(schedule) = phase.schedule() else { continue };
        for (population, _) in schedule.who.parts() {
            match phase.action {
                Action::Enroll(_) => known[population.ix()] = true,
                _ if !known[population.ix()] => {
                    known[population.ix()] = true;
                    strangers.push(format!("`{}`", names[population.ix()]));
                }
                _ => {}
            }
        }
    }
    if !strangers.is_empty() {
        let title = format!("no phase before enrolls {}", strangers.join(" and "));
        let problem = Problem::warning(title, place);
        checks.absent(place, problem.labelled("only devices that an earlier run enrolled will take part"));
    }
}
