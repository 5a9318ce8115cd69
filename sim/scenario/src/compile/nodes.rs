//! What Windows devices are asked to do with nodes: one by one as written, or in numbered profiles.

use super::Checks;
use crate::language::{self, Numbers};
use crate::plan::{Format, Node, SyncCommand, Verb};
use crate::problem::{Problem, nearest};
use crate::units::grouped;
use crate::yaml::At;
use droves_facts::{Dice, Purpose};

/// SyncML commands of one arrival. The first sync of a managed PC has 60 to 250.
const NODES_MAX: usize = 5_000;
/// Nodes of one profile.
const PROFILE_NODES_MAX: u32 = 100;
/// Numbers of profiles.
const PROFILE_NUMBER_MAX: u32 = 100_000;
/// How many nodes a profile has where nothing is said: what field reports name.
const PROFILE_NODES: Numbers = Numbers { from: 1, to: 6 };

/// The SyncML commands that `nodes` or `profiles` stand for, in order; none after a problem.
pub(super) fn nodes(written: &At<language::Command>, dice: Dice, checks: &mut Checks<'_>) -> Option<Vec<SyncCommand>> {
    let atomic = written.atomic.as_ref().is_some_and(|atomic| atomic.value);
    let before = checks.problems.iter().filter(|problem| problem.is_error()).count();
    let (place, groups) = match (&written.nodes, &written.profiles) {
        (Some(nodes), _) => {
            let group = nodes.iter().filter_map(|written| node(written, atomic, checks)).collect();
            (nodes.place, vec![group])
        }
        (None, Some(profiles)) => {
            (profiles.place, profiles.iter().flat_map(|written| change(written, dice, checks)).collect())
        }
        (None, None) => return None,
    };
    let count = groups.iter().map(Vec::len).sum::<usize>();
    if checks.problems.iter().filter(|problem| problem.is_error()).count() > before {
        return None;
    }
    if count == 0 {
        checks.absent(place, Problem::new("nothing is asked for", place).cured("name a node, or a profile"));
        return None;
    }
    if count > NODES_MAX {
        let problem = Problem::new(format!("more than {} nodes in one command", grouped(NODES_MAX as u64)), place);
        checks.push(problem.cured("spread them over several phases"));
        return None;
    }
    Some(match atomic {
        true => groups.into_iter().map(SyncCommand::Atomic).collect(),
        false => groups.into_iter().flatten().map(SyncCommand::One).collect(),
    })
}

/// A node as it is written.
fn node(written: &At<language::Node>, atomic: bool, checks: &mut Checks<'_>) -> Option<Node> {
    let rows = [
        (Verb::Add, "add", &written.add),
        (Verb::Replace, "replace", &written.replace),
        (Verb::Delete, "delete", &written.delete),
        (Verb::Get, "get", &written.get),
        (Verb::Exec, "exec", &written.exec),
    ];
    let mut given = rows.into_iter().filter_map(|(verb, word, uri)| uri.as_ref().map(|uri| (verb, word, uri)));
    let (Some((verb, word, uri)), None) = (given.next(), given.next()) else {
        let problem = Problem::new("a node has one thing done to it", written.place);
        checks.absent(written.place, problem.cured("say one of `add`, `replace`, `delete`, `get` and `exec`"));
        return None;
    };
    check_uri(uri, checks);
    let format = written.format.as_ref().and_then(|format| known_format(format, checks));
    match (verb, &written.data) {
        (Verb::Replace, None) => {
            let problem = Problem::new("`replace` by nothing", uri.place);
            checks.absent(written.place, problem.cured("add `data: ..`, or `delete` the node"));
        }
        (Verb::Get | Verb::Delete, Some(data)) => {
            checks.push(Problem::new(format!("`{word}` carries no data"), data.place).cured("leave it out"));
        }
        (_, Some(data)) => check_data(&data.map(|text| text.0.clone()), format, checks),
        (_, None) => {}
    }
    if atomic && verb == Verb::Get {
        let problem = Problem::warning("a `get` in what is done together or not at all", uri.place);
        checks.push(problem.labelled("Windows answers it with 500"));
    }
    let format = format.or(written.data.as_ref().map(|_| Format::Chr));
    Some(Node { verb, uri: uri.value.clone(), format, data: written.data.as_ref().map(|data| data.0.clone()) })
}

fn check_uri(uri: &At<String>, checks: &mut Checks<'_>) {
    let problem =
        |label: &str| Problem::new(format!("`{}` is no address of a node", uri.value), uri.place).labelled(label);
    if uri.is_empty() || uri.starts_with('/') {
        checks.push(problem("Windows refuses it").cured("begin with `./Device/Vendor/MSFT/` or `./User/Vendor/MSFT/`"));
    } else if uri.contains(char::is_whitespace) {
        checks.push(problem("it has blanks").cured("write a blank as `%20`"));
    }
}

fn known_format(format: &At<String>, checks: &mut Checks<'_>) -> Option<Format> {
    let known = Format::named(&format.value);
    if known.is_none() {
        let names = || Format::ALL.into_iter().map(Format::name);
        let problem = Problem::new(format!("`{}` is no format", format.value), format.place);
        checks.push(match nearest(&format.value, names()) {
            Some(near) => problem.labelled(format!("did you mean `{near}`?")),
            None => problem.labelled(format!("known here: {}", names().collect::<Vec<_>>().join(", "))),
        });
    }
    known
}

fn check_data(data: &At<String>, format: Option<Format>, checks: &mut Checks<'_>) {
    let (fits, meant) = match format {
        Some(Format::Int) => (data.parse::<i64>().is_ok(), "a whole number"),
        Some(Format::Float) => (data.parse::<f64>().is_ok(), "a number"),
        Some(Format::Bool) => (matches!(data.as_str(), "true" | "false"), "`true` or `false`"),
        Some(Format::Node | Format::Null) => (data.is_empty(), "nothing"),
        _ => (true, ""),
    };
    if !fits {
        let title = format!("`{}` is not {meant}", data.value);
        checks.push(Problem::new(title, data.place).labelled("its `format` says so").cured("change one of them"));
    }
}

/// What becomes of numbered profiles: the nodes of each.
fn change(written: &At<language::Profiles>, dice: Dice, checks: &mut Checks<'_>) -> Vec<Vec<Node>> {
    let rows = [(Verb::Add, &written.add), (Verb::Replace, &written.replace), (Verb::Delete, &written.delete)];
    let mut given = rows.into_iter().filter_map(|(verb, numbers)| numbers.as_ref().map(|numbers| (verb, numbers)));
    let (Some((verb, numbers)), None) = (given.next(), given.next()) else {
        let problem = Problem::new("profiles have one thing done to them", written.place);
        checks.absent(written.place, problem.cured("say one of `add`, `replace` and `delete`"));
        return Vec::new();
    };
    let sound = |numbers: &At<Numbers>, max: u32, checks: &mut Checks<'_>| {
        let fits = numbers.from >= 1 && numbers.from <= numbers.to && numbers.to <= max;
        if !fits {
            let title = format!("from {} to {} is out of range", numbers.from, numbers.to);
            checks.push(Problem::new(title, numbers.place).labelled(format!("1 to {max}, the smaller one first")));
        }
        fits
    };
    let each = written.nodes.as_ref();
    let each_fits = each.is_none_or(|each| sound(each, PROFILE_NODES_MAX, checks));
    if !sound(numbers, PROFILE_NUMBER_MAX, checks) || !each_fits {
        return Vec::new();
    }
    let each = each.map_or(PROFILE_NODES, |each| each.value);
    let version = written.version.as_ref().map_or(1, |version| version.value);
    // One more than fits is enough to be told of.
    (numbers.from..=numbers.to).take(NODES_MAX + 1).map(|number| profile(number, each, verb, version, dice)).collect()
}

/// The nodes of a profile: how many follows from its number alone, so that what was added can be found again. They are
/// policies of names of their own, by turns a number and the text that an administrative template takes.
fn profile(number: u32, each: Numbers, verb: Verb, version: u32, dice: Dice) -> Vec<Node> {
    let more = dice.draw(0, Purpose::Profile, u64::from(number)).below(u64::from(each.to - each.from) + 1);
    let node = |n: u64| {
        let name = format!("Profile{number:03}Setting{n}");
        let (area, format, data) = match n % 2 {
            1 => (AREA, Format::Int, version.to_string()),
            _ => (TEMPLATES, Format::Chr, format!("<enabled/><data id=\"{name}\" value=\"{version}\"/>")),
        };
        let uri = format!("./Device/Vendor/MSFT/Policy/Config/{area}/{name}");
        let carries = verb != Verb::Delete;
        Node { verb, uri, format: carries.then_some(format), data: carries.then_some(data) }
    };
    (1..=u64::from(each.from) + more).map(node).collect()
}

/// An area in which any edition takes settings.
const AREA: &str = "Experience";
/// An area of administrative templates.
const TEMPLATES: &str = "ADMX_Droves";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_the_same_nodes_whatever_becomes_of_it() {
        let each = Numbers { from: 2, to: 4 };
        let uris = |verb, version, dice| -> Vec<Vec<String>> {
            let uri = |node: Node| node.uri;
            (1..=50).map(|n| profile(n, each, verb, version, dice).into_iter().map(uri).collect()).collect()
        };
        let added = uris(Verb::Add, 1, Dice::new(7));
        assert_eq!(added, uris(Verb::Replace, 2, Dice::new(7)));
        assert_eq!(added, uris(Verb::Delete, 1, Dice::new(7)));
        assert_ne!(added, uris(Verb::Add, 1, Dice::new(8)));
        for count in [2, 3, 4] {
            assert!(added.iter().any(|nodes| nodes.len() == count), "{count}");
        }
        assert!(added.iter().all(|nodes| (2..=4).contains(&nodes.len())));
        let data = |version| profile(1, each, Verb::Replace, version, Dice::new(7)).remove(0).data;
        assert_ne!(data(1), data(2));
    }
}
