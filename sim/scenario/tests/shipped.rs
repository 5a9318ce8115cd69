//! What is shipped loads: every scenario, every server profile; and the schema for editors agrees with the program.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_facts::Dur;
use droves_scenario::plan::{Action, Asks, Condition, SyncCommand, Value, Verb};
use droves_scenario::{Given, Loaded, load};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn shipped(name: &str, vars: &[(&str, &str)]) -> Loaded {
    let vars: Vec<_> = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let env = |name: &str| name.ends_with("_KEY").then(|| "k3y".to_owned());
    load(&scenarios().join(name), &Given { vars, ..Given::default() }, env)
        .unwrap_or_else(|problems| panic!("{name}\n{problems}"))
}

#[test]
fn every_scenario_loads_and_opens_with_its_question() {
    let mut seen = 0;
    for entry in std::fs::read_dir(scenarios()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            // The authority of a sink is the user's.
            let ca = scenarios().join("../sim/wire/testdata/acme/certificate.step-ca-0.30.2.pem");
            let ca = ca.to_string_lossy().into_owned();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let vars: &[(&str, &str)] =
                if ["open.yaml", "soak.yaml"].contains(&name.as_str()) { &[("ca", &ca)] } else { &[] };
            let loaded = shipped(&name, vars);
            // A fleet that is enrolled already warns that nobody enrolls in it; nothing else is warned of.
            let enrolls = loaded.plan.phases.iter().any(|phase| matches!(phase.action, Action::Enroll(_)));
            let warned = loaded.warnings.render(false);
            assert!(if enrolls { warned.is_empty() } else { warned.matches("warning").count() == 1 }, "{warned}");
            let comment = loaded.source.text().lines().take_while(|line| line.starts_with('#'));
            assert!(comment.collect::<String>().contains('?'), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

#[test]
fn the_quickstart_is_what_it_says() {
    let plan = shipped("quickstart.yaml", &[]).plan;
    let roster = plan.roster();
    assert_eq!((roster.devices(), roster.lanes()), (2_200, 2_500));
    let steps: Vec<Vec<&str>> = plan
        .steps
        .iter()
        .map(|step| step.iter().map(|phase| plan.phases[phase.ix()].name.as_str()).collect())
        .collect();
    let together = vec!["check in", "wifi profile", "policies", "android policy", "kiosk configuration"];
    assert_eq!(steps, [vec!["enroll"], together, vec!["stolen", "stolen pcs", "stolen androids"]]);
    let longest: u64 = plan
        .steps
        .iter()
        .map(|step| {
            step.iter()
                .map(|p| (plan.phases[p.ix()].after + plan.phases[p.ix()].until.limit().unwrap()).0)
                .max()
                .unwrap()
        })
        .sum();
    assert!(Dur(longest) <= Dur::secs(110), "{}", Dur(longest));
    let enroll = plan.phases[0].schedule().unwrap();
    assert_eq!(enroll.planned(), 2_200);
    assert_eq!(plan.phases[0].until.condition, Some(Condition::Enrolled(1.0)));
    let Action::Command { schedule, command, push: true } = &plan.phases[2].action else { panic!("no command") };
    let Asks::Request(request) = &command.asks else { panic!("no request") };
    assert_eq!((schedule.planned(), request.name.as_str()), (1_800, "InstallProfile"));
    assert!(command.payload().unwrap().bytes.starts_with(b"<?xml"));
    let stolen = plan.phases[6].schedule().unwrap();
    assert_eq!((stolen.who.devices(), stolen.planned()), (25, 25));
    let more = shipped("quickstart.yaml", &[("phones", "10000"), ("per_second", "500/s"), ("pushes", "500/s")]).plan;
    assert_eq!(more.roster().devices(), 11_000);
}

/// What is added is not there, what is changed or deleted is, and at the end nothing is left.
#[test]
fn a_hundred_profiles_go_out_and_come_back() {
    let plan = shipped("profile-fanout.yaml", &[]).plan;
    let (mut there, mut most) = (BTreeSet::new(), 0);
    for phase in &plan.phases {
        let Action::Command { command, push: true, schedule } = &phase.action else { continue };
        let Asks::Nodes(commands) = &command.asks else { panic!("no nodes") };
        for command in commands {
            let SyncCommand::One(node) = command else { panic!("more than asked for") };
            let fits = match node.verb {
                Verb::Add => there.insert(&node.uri),
                Verb::Replace => there.contains(&node.uri),
                Verb::Delete => there.remove(&node.uri),
                _ => false,
            };
            assert!(fits, "{}: {} {}", phase.name, node.verb.name(), node.uri);
        }
        most = most.max(there.len());
        assert_eq!(phase.planned(), schedule.planned() * commands.len() as u64);
    }
    assert!(there.is_empty() && (300..450).contains(&most), "{most}");
}

#[test]
fn the_hash_names_what_happens_and_no_secret() {
    let base = shipped("nanomdm.yaml", &[]);
    assert_eq!(base.plan.hash.len(), 64);
    assert_eq!(shipped("nanomdm.yaml", &[]).plan.hash, base.plan.hash);
    assert_ne!(shipped("nanomdm.yaml", &[("phones", "1401")]).plan.hash, base.plan.hash);
    let other_key = load(&scenarios().join("nanomdm.yaml"), &Given::default(), |_| Some("other".to_owned())).unwrap();
    assert_eq!(other_key.plan.hash, base.plan.hash);
    let shown = format!("{:?}{}", base.plan, base.resolved_yaml);
    assert!(!shown.contains("k3y"));
    assert!(base.resolved_yaml.contains("url: \"http://127.0.0.1:9000\""), "{}", base.resolved_yaml);
}

#[test]
fn the_resolved_scenario_is_the_same_scenario() {
    let base = shipped("quickstart.yaml", &[("phones", "300")]);
    let folder = tempfile::tempdir_in(scenarios()).unwrap();
    let path = folder.path().join("again.yaml");
    let text = base.resolved_yaml.replace("payloads/", "../payloads/");
    std::fs::write(&path, text).unwrap();
    let again = load(&path, &Given::default(), |_| None).unwrap();
    assert_eq!(again.plan.populations, base.plan.populations);
    assert_eq!(again.plan.steps, base.plan.steps);
}

#[test]
fn a_seed_of_the_command_line_is_as_good_as_the_files() {
    let path = scenarios().join("quickstart.yaml");
    let seeded = |seed| load(&path, &Given { seed, ..Given::default() }, |_| None).unwrap();
    let (base, other) = (seeded(None), seeded(Some(4_711)));
    assert_eq!(other.plan.seed, 4_711);
    assert_ne!(other.plan.hash, base.plan.hash);
    assert_eq!(other.plan.hash, seeded(Some(4_711)).plan.hash);
    assert!(other.resolved_yaml.contains("seed: 4711"), "{}", other.resolved_yaml);
}

#[test]
fn profiles_that_are_shipped_are_inside_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    let text = "droves: 1\ntarget: { server: nanohub, url: \"http://127.0.0.1:9004\", vars: { topic: t } }\n\
                fleet: { populations: { a: { platform: ios, count: 1 } } }\nphases: [ { enroll: { who: all } } ]\n";
    std::fs::write(&path, text).unwrap();
    let plan = load(&path, &Given::default(), |_| Some("k".to_owned())).unwrap().plan;
    assert_eq!(plan.target.profile.name, "nanohub");
    assert_eq!(plan.target.vars["mdm_path"], "/mdm");
    assert!(plan.phases[0].until.limit().is_some());
}

#[test]
fn a_server_with_an_agent_is_told_of_configurations_and_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    for target in ["server: practice", "server: headwind, url: \"http://127.0.0.1:9004\", vars: { project: /hmdm/ }"] {
        let text = format!(
            "droves: 1\ntarget: {{ {target} }}\n\
             fleet: {{ populations: {{ a: {{ platform: android, managed_by: agent, count: 1 }} }} }}\nphases:\n\
             - {{ enroll: {{ who: all }} }}\n- {{ name: kiosk, for: 1m, command: {{ who: all, configuration: {{ kioskMode: true, mainApp: null }} }} }}\n\
             - {{ name: app, for: 1m, command: {{ who: all, message: runApp, with: {{ pkg: com.example }} }} }}\n"
        );
        std::fs::write(&path, text).unwrap();
        let key = |name: &str| name.ends_with("_KEY").then(|| "k3y".to_owned());
        let loaded = load(&path, &Given::default(), key).unwrap_or_else(|problems| panic!("{target}\n{problems}"));
        assert_eq!(loaded.plan.phases.len(), 3);
        let Action::Command { command, .. } = &loaded.plan.phases[1].action else { panic!("no command") };
        let set = [("kioskMode", Value::Bool(true)), ("mainApp", Value::Nothing)];
        assert_eq!(command.asks, Asks::Configuration(set.map(|(name, value)| (name.to_owned(), value)).into()));
    }
}

#[test]
fn lanes_of_an_agent_are_no_channels_of_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    let text = "droves: 1\ntarget: { server: practice }\nfleet:\n  populations:\n\
                \x20   macs: { platform: macos, users: 2, count: 1 }\n\
                \x20   tills: { platform: android, managed_by: agent, count: 1 }\n\
                phases:\n- { name: both, for: 1m, check_in: { who: all, channel: both } }\n\
                - { name: users, for: 1m, check_in: { who: all, channel: user } }\n";
    std::fs::write(&path, text).unwrap();
    let loaded = load(&path, &Given::default(), |_| None).unwrap_or_else(|problems| panic!("{problems}"));
    let lanes = loaded.plan.phases.iter().map(|phase| match &phase.action {
        Action::CheckIn(schedule) => schedule.who.iter().map(|lane| lane.0).collect::<BTreeSet<u32>>(),
        other => panic!("{other:?}"),
    });
    assert_eq!(lanes.collect::<Vec<_>>(), [BTreeSet::from([0, 1, 2, 3]), BTreeSet::from([1, 2])]);
}

/// The schema, read by somebody else's validator, takes what is shipped and refuses what is wrong.
#[test]
fn the_schema_is_a_schema() {
    let schema: serde_json::Value = serde_json::from_str(&droves_scenario::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = serde_json::json!({
        "droves": 1,
        "target": { "server": "practice" },
        "fleet": { "populations": { "phones": { "platform": "ios", "count": 5 } } },
        "phases": [ { "enroll": { "who": { "phones": "20%" }, "arrivals": { "rate": "5/s" } }, "for": "10s" } ],
        "thresholds": { "x": [ "p(99)<5s", { "max<60s": { "abort_on_fail": true } } ] }
    });
    assert!(validator.is_valid(&good));
    for (pointer, bad) in [
        ("/fleet/populations/phones/platform", "palmos"),
        ("/phases/0/for", "10"),
        ("/phases/0/enroll/who/phones", "20"),
        ("/phases/0/enroll/arrivals/rate", "5"),
    ] {
        let mut wrong = good.clone();
        *wrong.pointer_mut(pointer).unwrap() = bad.into();
        assert!(!validator.is_valid(&wrong), "{pointer}");
    }
    let server: serde_json::Value = serde_json::from_str(&droves_scenario::server_schema()).unwrap();
    assert!(jsonschema::validator_for(&server).is_ok());
}
