//! `droves check` and `droves schema`.

use crate::cli::{CheckArgs, Scenario, SchemaArgs, SchemaOf};
use crate::{doctor, say};
use anyhow::Context;
use droves_measure::Thresholds;
use droves_scenario::plan::Managed;
use droves_scenario::{Given, Loaded, Problem, Problems};
use std::io::Write;

/// The scenario is invalid.
pub(crate) const INVALID: u8 = 104;

/// Reads a scenario and its thresholds, or says everything that is wrong with it.
pub(crate) fn load(scenario: &Scenario) -> Result<(Loaded, Thresholds), u8> {
    load_given(scenario, &scenario.given())
}

/// The same with something else said against the file.
pub(crate) fn load_given(scenario: &Scenario, given: &Given) -> Result<(Loaded, Thresholds), u8> {
    let env = |name: &str| std::env::var(name).ok();
    let loaded = match droves_scenario::load(&scenario.file, given, env) {
        Ok(loaded) => loaded,
        Err(problems) => {
            say(&problems.to_string());
            return Err(INVALID);
        }
    };
    if !loaded.warnings.is_empty() {
        say(&loaded.warnings.to_string());
    }
    let phases: Vec<String> = loaded.plan.phases.iter().map(|phase| phase.name.clone()).collect();
    match Thresholds::parse(&loaded.plan.thresholds, &phases) {
        Ok(thresholds) => Ok((loaded, thresholds)),
        Err(errors) => {
            let problem =
                |error: droves_measure::ThresholdError| Problem::new(error.text, error.place).cured(error.cure);
            let problems = Problems::of(loaded.source.clone(), errors.into_iter().map(problem).collect());
            say(&problems.to_string());
            Err(INVALID)
        }
    }
}

pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let (loaded, thresholds) = match load(&args.scenario) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let plan = &loaded.plan;
    doctor::warn(plan, None);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: seed {}, plan {}", plan.name, plan.seed, &plan.hash[..plan.hash.len().min(12)])?;
    let target = plan.target.url.as_deref().unwrap_or("in this process");
    writeln!(out, "target    {} ({target})", plan.target.profile.name)?;
    for population in &plan.populations {
        let users = match (population.users, population.android) {
            (0, None) => String::new(),
            (0, Some(Managed::Agent)) => ", with an agent of the server's".to_owned(),
            (0, Some(Managed::Google { mode, .. })) => {
                format!(", managed by Google, {}", mode.word().replace('_', " "))
            }
            (users, _) => format!(", {users} user channels each"),
        };
        writeln!(
            out,
            "fleet     {}: {} {} devices{users}",
            population.name,
            population.devices.len(),
            population.platform
        )?;
    }
    for (n, step) in plan.steps.iter().enumerate() {
        for phase in step.iter().filter_map(|ix| plan.phases.get(ix.ix())) {
            let arrivals = phase.schedule().map_or_else(String::new, |schedule| {
                let last = schedule.last_due().map_or_else(String::new, |last| format!(", the last due after {last}"));
                format!(": {} arrivals{last}", schedule.planned())
            });
            let limit = phase.until.limit().map_or_else(String::new, |limit| format!(", at most {limit}"));
            writeln!(out, "step {:<4} {}{arrivals}{limit}", n + 1, phase.name)?;
        }
    }
    if thresholds.is_empty() {
        writeln!(out, "no thresholds: the run passes if nothing else fails it")?;
    }
    writeln!(out, "nothing was sent")?;
    Ok(0)
}

pub(crate) fn schema(args: &SchemaArgs) -> anyhow::Result<u8> {
    let schema = match args.of {
        SchemaOf::Scenario => droves_scenario::schema(),
        SchemaOf::Server => droves_scenario::server_schema(),
        SchemaOf::Metrics => droves_measure::metric_names().join("\n"),
        SchemaOf::Summary => serde_json::to_string_pretty(&droves_measure::schema()).context("schema")?,
    };
    writeln!(std::io::stdout().lock(), "{schema}")?;
    Ok(0)
}
