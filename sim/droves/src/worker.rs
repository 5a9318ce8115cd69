//! A process of a run with `--processes`.

use crate::cli::{Scenario, WorkerArgs};
use anyhow::bail;
use droves_facts::Limits;
use std::ffi::OsString;
use std::sync::Arc;

/// The hidden command.
const COMMAND: &str = "worker";

/// By which arguments this program is a process of a run with that scenario.
pub(crate) fn arguments(scenario: &Scenario) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![COMMAND.into(), scenario.file.clone().into()];
    for (name, value) in &scenario.vars {
        arguments.extend(["--env".into(), format!("{name}={value}").into()]);
    }
    if let Some(seed) = scenario.seed {
        arguments.extend(["--seed".into(), seed.to_string().into()]);
    }
    arguments
}

/// What such a process does. The run has shown what the scenario warns of.
pub(crate) fn worker(args: &WorkerArgs) -> anyhow::Result<u8> {
    let env = |name: &str| std::env::var(name).ok();
    let loaded = match droves_scenario::load(&args.scenario.file, &args.scenario.given(), env) {
        Ok(loaded) => loaded,
        Err(problems) => bail!("{problems}"),
    };
    match droves_engine::work(Arc::new(loaded.plan), Limits::default(), std::io::stdin(), &mut std::io::stdout()) {
        // The run is gone, and said why.
        Err(error) if error.is_gone() => Ok(1),
        worked => Ok(worked.map(|()| 0)?),
    }
}
