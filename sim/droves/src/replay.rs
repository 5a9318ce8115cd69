//! `droves replay`: what a run's devices did, demanded once more.

use crate::cli::ReplayArgs;
use crate::pace::Pace;
use crate::say_some;
use anyhow::{Context, ensure};
use droves_engine::{Replayed, Replaying};
use droves_facts::Limits;
use std::io::Write;
use std::path::Path;

pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<u8> {
    for file in &args.files {
        one(file).with_context(|| format!("tape {}", file.display()))?;
    }
    Ok(0)
}

fn one(file: &Path) -> anyhow::Result<()> {
    let mut pace = Pace::default();
    let replayed = droves_engine::replay(file, &Limits::default(), |Replaying { read, of, steps }| {
        pace.say(|| format!("{} % of the tape, {steps} steps", read * 100 / of.max(1)));
    })?;
    let Replayed { droves, scenario, plan_hash, began, steps, lanes, missing } = replayed;
    say_some("warning: not the whole run: ", &missing);
    ensure!(steps > 0, "there is no step on it");
    let began = droves_views::utc(began.0);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: scenario {scenario} (plan {plan_hash}), begun {began} by Droves {droves}", file.display())?;
    writeln!(out, "{steps} steps of {lanes} lanes, each answered as it was then")?;
    Ok(())
}
