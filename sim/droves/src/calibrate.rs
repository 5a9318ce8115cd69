//! `droves calibrate`: what this machine can offer, measured and kept.

use crate::cli::CalibrateArgs;
use crate::pace::Pace;
use crate::{say, stop};
use droves_engine::calibrate::{self, Extent, Step};
use droves_measure::{Calibrated, OFFERS};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const INTERRUPTED: u8 = 105;

pub(crate) fn calibrate(args: &CalibrateArgs) -> anyhow::Result<u8> {
    let path = args.out.clone().unwrap_or_else(default_file);
    let (_stop, stopped) = stop::on_signal()?;
    let (extent, takes) = if args.quick { (Extent::QUICK, "ten seconds") } else { (Extent::WHOLE, "a minute") };
    say(&format!("measuring what this machine can offer: about {takes}; it had better do nothing else"));
    let mut pace = Pace::default();
    let measured = calibrate::calibrate(extent, now(), &stopped, |Step { round, rounds, offer }| {
        let done = offer as usize + OFFERS.len() * round as usize;
        let share = done * 100 / (OFFERS.len() * (rounds as usize + 1));
        pace.say(|| match round {
            0 => format!("{share:>3}%  warming up: {}", offer.name()),
            round => format!("{share:>3}%  round {round} of {rounds}: {}", offer.name()),
        });
    })?;
    let Some(calibration) = measured else {
        say("interrupted: nothing was saved");
        return Ok(INTERRUPTED);
    };
    calibrate::save(&path, &calibration)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&calibration)?)?;
    } else {
        write!(out, "{}", droves_views::calibration(&calibration))?;
    }
    say(&format!("saved to {}; runs and plans on this machine use it", path.display()));
    Ok(0)
}

/// What this machine can offer, for a run or a plan. A file that was named must be whole; a broken one in the cache is
/// told of, and stops nobody.
pub(crate) fn known(named: Option<&Path>) -> anyhow::Result<Calibrated> {
    let here = calibrate::here();
    match named {
        Some(path) => Ok(calibrate::load(path, &here)?),
        None => Ok(calibrate::load(&default_file(), &here).unwrap_or_else(|error| {
            say(&format!("warning: {error}"));
            Calibrated::No("not calibrated: `droves calibrate`".to_owned())
        })),
    }
}

fn default_file() -> PathBuf {
    calibrate::default_file(|name| std::env::var(name).ok())
}

/// Now, UTC.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    droves_views::utc(i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 1_000_000) * 1_000_000)
}
