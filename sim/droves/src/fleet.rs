//! `droves fleet`: a fleet that is made, not enrolled.

use crate::cli::{AnnounceArgs, FleetWhat, KeyKind, MintArgs};
use crate::{check, say, stop};
use anyhow::{Context, bail};
use droves_engine::{Announce, Announced, Mint, Minted};
use droves_facts::Limits;
use droves_wire::ca::Authority;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const INTERRUPTED: u8 = 105;
const REFUSED: u8 = 1;

pub(crate) fn fleet(what: &FleetWhat) -> anyhow::Result<u8> {
    match what {
        FleetWhat::Mint(args) => mint(args),
        FleetWhat::Announce(args) => announce(args),
    }
}

fn mint(args: &MintArgs) -> anyhow::Result<u8> {
    let loaded = match check::load(&args.scenario) {
        Ok((loaded, _)) => loaded,
        Err(code) => return Ok(code),
    };
    let pem = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let authority = Authority::from_pem(&pem(&args.ca)?, &pem(&args.ca_key)?).with_context(|| {
        format!("{} and {}: a CA's certificate and its key in PKCS#8", args.ca.display(), args.ca_key.display())
    })?;
    let profile = args.profile.as_deref().map(|path| std::fs::read(path).with_context(|| path.display().to_string()));
    let (_stop, stopped) = stop::on_signal()?;
    let order = Mint {
        plan: Arc::new(loaded.plan),
        limits: Limits::default(),
        fleet: args.fleet.clone(),
        keys: args
            .keys
            .clone()
            .unwrap_or_else(|| droves_engine::default_keys_folder(|name: &str| std::env::var(name).ok())),
        authority,
        profile: profile.transpose()?,
        p256: args.key_kind == KeyKind::P256,
        threads: thread::available_parallelism().map_or(1, usize::from),
    };
    let mut pace = Pace::default();
    let minted = droves_engine::mint(order, &stopped, |so_far: Minted| {
        pace.say(|| format!("minted {} of {} devices", so_far.before + so_far.done, so_far.devices));
    })?;
    say(&format!(
        "{}: {} devices minted, {} were there before, {} are missing",
        args.fleet.display(),
        minted.done,
        minted.before,
        minted.devices - minted.before - minted.done
    ));
    Ok(if minted.before + minted.done < minted.devices { INTERRUPTED } else { 0 })
}

fn announce(args: &AnnounceArgs) -> anyhow::Result<u8> {
    let loaded = match check::load(&args.scenario) {
        Ok((loaded, _)) => loaded,
        Err(code) => return Ok(code),
    };
    if !args.fleet.is_dir() {
        bail!("{}: there is no fleet; `droves fleet mint` makes one", args.fleet.display());
    }
    let (_stop, stopped) = stop::on_signal()?;
    let order = Announce { plan: Arc::new(loaded.plan), limits: Limits::default(), fleet: args.fleet.clone() };
    let mut pace = Pace::default();
    let told = droves_engine::announce(&order, stopped.clone(), |so_far: &Announced| {
        pace.say(|| format!("announced {} of {} enrollments", so_far.taken, so_far.lanes));
    })?;
    for reason in &told.reasons {
        say(&format!("refused: {reason}"));
    }
    say(&format!(
        "the server took {} of {} enrollments and refused {}; {} are not enrolled",
        told.taken,
        told.lanes - told.left_out,
        told.refused,
        told.left_out
    ));
    Ok(match told {
        _ if *stopped.borrow() => INTERRUPTED,
        Announced { refused: 0, is_cut_short: false, .. } => 0,
        _ => REFUSED,
    })
}

/// Says how far it is, once a second.
#[derive(Default)]
struct Pace(Option<Instant>);

impl Pace {
    fn say(&mut self, text: impl FnOnce() -> String) {
        if self.0.get_or_insert_with(Instant::now).elapsed() >= Duration::from_secs(1) {
            self.0 = Some(Instant::now());
            say(&text());
        }
    }
}
