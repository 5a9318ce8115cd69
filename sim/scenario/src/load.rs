//! From a path to a plan: read, parse, put variables in, walk, deserialise, check across fields, compile. Problems of
//! all steps that could be made come at once.

use crate::compile::{Checks, compile};
use crate::files::{Files, SHIPPED, read_bounded};
use crate::language::Scenario;
use crate::plan::{Place, Plan};
use crate::problem::{Problem, Problems, Source, nearest};
use crate::schema;
use crate::server::{ProfileSource, ServerProfile};
use crate::server_file::{self, ServerFile};
use crate::yaml::{Key, Kind, Lookup, Node, Unused, emit, parse, read, substitute};
use aws_lc_rs::digest;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A scenario that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What will happen.
    pub plan: Plan,
    /// The scenario with its variables put in, without secrets.
    pub resolved_yaml: String,
    /// The file, to show problems that others find at the places that the plan keeps.
    pub source: Source,
    /// What should be known, and hinders nothing.
    pub warnings: Problems,
}

/// What the command line says against the file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Given {
    /// Variables (`-e name=value`).
    pub vars: Vec<(String, String)>,
    /// Another seed than the file's.
    pub seed: Option<u64>,
    /// Whether nobody will be called: then the server profile's secrets may be missing.
    pub calls_nobody: bool,
}

/// Reads the scenario at a path. `env` is the environment.
pub fn load(path: &Path, given: &Given, env: impl Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    let text = match read_bounded(path, FILE_BYTES_MAX) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()),
        Err(why) => Err(why),
    };
    let text = text.map_err(|why| {
        let problem = Problem::new("the scenario can't be read", Place::default()).labelled(why);
        Problems::of(Source::new(&name, ""), vec![problem])
    })?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let stem = path.file_stem().map_or("scenario".into(), |stem| stem.to_string_lossy().into_owned());
    load_text(&Source::new(name, text), &stem, &Files::Folder(folder), given, &env)
}

/// A larger file is refused before it is read.
const FILE_BYTES_MAX: u64 = 16 << 20;

fn load_text(
    source: &Source,
    stem: &str,
    files: &Files,
    given: &Given,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    let overrides = given.vars.as_slice();
    let mut problems = Vec::new();
    let Some(mut tree) = parse(source.text(), &mut problems) else {
        return Err(Problems::of(source.clone(), problems));
    };
    let mut lookup = Lookup::new(env, BTreeMap::new());
    lookup.give(overrides);
    if let Kind::Map(entries) = &mut tree.kind
        && let Some((_, vars)) = entries.iter_mut().find(|(key, _)| key.text == "vars")
    {
        lookup.declare(vars, overrides, &mut problems);
    }
    substitute(&mut tree, &lookup, &mut problems);
    if let Some(seed) = given.seed {
        reseed(&mut tree, seed);
    }
    let resolved_yaml = emit(&tree);
    let server_node = tree.member("target").and_then(|target| target.member("server")).cloned();
    let (scenario, holed) = typed::<Scenario>(&mut tree, &schema::SCENARIO, &mut problems);

    let mut all = Problems::default();
    let mut profile = None;
    let mut used = lookup.unused(overrides).0;
    let mut profile_yaml = String::new();
    if let Some(Node { place, kind: Kind::Scalar { text, .. } }) = &server_node
        && let Some((profile_source, profile_files)) = find_profile(text, *place, files, &mut problems)
    {
        let mut found = Vec::new();
        let read = read_profile(&profile_source, &profile_files, given, env, &mut found);
        if let Some((read, yaml, unused)) = read {
            used.retain(|name| unused.0.contains(name));
            (profile, profile_yaml) = (Some(read), yaml);
        }
        all.add(profile_source, found);
    }
    for name in used {
        let declared = tree.member("vars").map(names).unwrap_or_default();
        let problem = Problem::new(format!("`-e {name}` is used nowhere"), Place::default());
        problems.push(match nearest(&name, declared.iter().map(String::as_str)) {
            Some(near) => problem.labelled(format!("did you mean `{near}`?")),
            None => problem.labelled("neither the scenario nor its server profile asks for it"),
        });
    }

    let mut checks = Checks { source, files, holed: &holed, problems, sizes_known: false };
    let plan = scenario.and_then(|scenario| compile(&scenario, profile, stem, &mut checks));
    all.add_first(source.clone(), checks.problems);
    match plan {
        Some(mut plan) if all.errors() == 0 => {
            plan.hash = hash(&plan, &resolved_yaml, &profile_yaml);
            Ok(Loaded { plan, resolved_yaml, source: source.clone(), warnings: all })
        }
        _ => Err(all),
    }
}

/// Puts a seed in, as if the file had it.
fn reseed(tree: &mut Node, seed: u64) {
    let Kind::Map(entries) = &mut tree.kind else { return };
    let Some((_, fleet)) = entries.iter_mut().find(|(key, _)| key.text == "fleet") else { return };
    let place = fleet.place;
    let Kind::Map(entries) = &mut fleet.kind else { return };
    entries.retain(|(key, _)| key.text != "seed");
    let value = Node { place, kind: Kind::Scalar { text: seed.to_string(), plain: true, shown: None } };
    entries.push((Key { text: "seed".to_owned(), place }, value));
}

/// Walks the tree against a schema, and reads it if it fits.
fn typed<T: DeserializeOwned>(
    tree: &mut Node,
    schema: &serde_json::Value,
    problems: &mut Vec<Problem>,
) -> (Option<T>, BTreeSet<Place>) {
    let walked = schema::walk(tree, schema);
    problems.extend(walked.problems);
    if !walked.fits {
        return (None, walked.holed);
    }
    match read(tree) {
        Ok(value) => (Some(value), walked.holed),
        Err(problem) => {
            problems.push(problem);
            (None, walked.holed)
        }
    }
}

fn names(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::Map(entries) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
        _ => Vec::new(),
    }
}

/// The file of a server profile: a path, a name in the folder `servers` beside the scenario, or one that is shipped.
fn find_profile(server: &str, place: Place, files: &Files, problems: &mut Vec<Problem>) -> Option<(Source, Files)> {
    let Files::Folder(folder) = files else { return None };
    let is_path = server.contains(['/', '\\']) || server.ends_with(".yaml") || server.ends_with(".yml");
    let path = if is_path { folder.join(server) } else { folder.join("servers").join(format!("{server}.yaml")) };
    let shipped = SHIPPED.iter().find(|(name, _)| name.strip_suffix(".yaml") == Some(server));
    let beside = path.parent().unwrap_or(Path::new("")).to_owned();
    match (read_bounded(&path, FILE_BYTES_MAX), shipped) {
        (Ok(bytes), _) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Some((Source::new(path.display().to_string(), text), Files::Folder(beside)))
        }
        (Err(_), Some((name, text))) if !is_path => {
            Some((Source::new(format!("(shipped) {name}"), *text), Files::Shipped))
        }
        (Err(why), _) => {
            let problem = Problem::new(format!("no server profile `{server}`"), place);
            let known = || SHIPPED.iter().filter_map(|(name, _)| name.strip_suffix(".yaml"));
            let label = match nearest(server, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("shipped: {}", known().collect::<Vec<_>>().join(", ")),
            };
            problems.push(problem.labelled(label).cured(format!("looked for as {}: {why}", path.display())));
            None
        }
    }
}

fn read_profile(
    source: &Source,
    files: &Files,
    given: &Given,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> Option<(ServerProfile, String, Unused)> {
    let overrides = given.vars.as_slice();
    let mut tree = parse(source.text(), problems)?;
    let needs: BTreeMap<String, String> = match tree.member("needs").map(|needs| &needs.kind) {
        Some(Kind::Map(entries)) => entries
            .iter()
            .filter_map(|(key, value)| match &value.kind {
                Kind::Scalar { text, .. } => Some((key.text.clone(), text.clone())),
                _ => None,
            })
            .collect(),
        _ => BTreeMap::new(),
    };
    let missing: BTreeSet<String> = if given.calls_nobody { needs.keys().cloned().collect() } else { BTreeSet::new() };
    let env = |name: &str| env(name).or_else(|| missing.contains(name).then(|| "unset".to_owned()));
    let mut lookup = Lookup::new(&env, needs);
    lookup.give(overrides);
    substitute(&mut tree, &lookup, problems);
    let yaml = emit(&tree);
    let (file, _) = typed::<ServerFile>(&mut tree, &schema::SERVER, problems);
    let profile = server_file::profile(file?, files, problems);
    Some((profile, yaml, lookup.unused(overrides)))
}

/// SHA-256 over the resolved scenario, the profile and every payload, each with its length before it.
fn hash(plan: &Plan, scenario: &str, profile: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut add = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    add(scenario.as_bytes());
    add(profile.as_bytes());
    for phase in &plan.phases {
        if let crate::plan::Action::Command { command, .. } = &phase.action {
            add(command.payload().map_or(&[], |payload| &payload.bytes));
        }
    }
    let apple = plan.target.profile.enroll_apple.as_ref().map(|apple| &apple.profile);
    if let Some(ProfileSource::File(file) | ProfileSource::Template(file)) = apple {
        add(&file.bytes);
    }
    if let Some(ca) = &plan.tls.ca {
        add(&ca.bytes);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
