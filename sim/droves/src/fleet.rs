//! `droves fleet`: a fleet that is made, not enrolled; and what is in one.

use crate::cli::{AnnounceArgs, CopyArgs, FleetWhat, KeyKind, MintArgs, ShowArgs};
use crate::pace::Pace;
use crate::{check, say, say_some, stop};
use anyhow::{Context, bail};
use droves_engine::{Announce, Announced, Inventory, Mint, Minted};
use droves_facts::{LaneIx, Limits};
use droves_fleet::Fleet;
use droves_wire::ca::Authority;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;

const INTERRUPTED: u8 = 105;
const REFUSED: u8 = 1;

pub(crate) fn fleet(what: &FleetWhat) -> anyhow::Result<u8> {
    match what {
        FleetWhat::Mint(args) => mint(args),
        FleetWhat::Announce(args) => announce(args),
        FleetWhat::Ls(args) => list(&args.fleet),
        FleetWhat::Show(args) => show(args),
        FleetWhat::Check(args) => check_fleet(&args.fleet),
        FleetWhat::Compact(args) => compact(&args.fleet),
        FleetWhat::Export(args) => export(args),
        FleetWhat::Import(args) => import(args),
    }
}

fn list(folder: &Path) -> anyhow::Result<u8> {
    let Inventory { whose, lanes, identities, expires, broken } = droves_engine::inventory(folder)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {} devices, {} lanes, seed {}", folder.display(), whose.devices, whose.lanes, whose.seed)?;
    writeln!(out, "populations   {}", whose.populations)?;
    for (state, count) in &lanes {
        writeln!(out, "{state:<13} {count} lanes")?;
    }
    let expires = expires.map_or_else(String::new, |at| format!(", the first good until {}", droves_views::utc(at.0)));
    writeln!(out, "certificates  {identities}{expires}")?;
    writeln!(out, "on disk       {} bytes", bytes_of(folder)?)?;
    writeln!(out, "broken        {}", broken.len())?;
    Ok(0)
}

fn show(args: &ShowArgs) -> anyhow::Result<u8> {
    match droves_engine::show(&args.fleet, LaneIx(args.lane))? {
        Some(words) => {
            write!(std::io::stdout().lock(), "{words}")?;
            Ok(0)
        }
        None => bail!(
            "{}: lane {} is not in it; `droves fleet check` says whether it was dropped",
            args.fleet.display(),
            args.lane
        ),
    }
}

fn check_fleet(folder: &Path) -> anyhow::Result<u8> {
    let Inventory { lanes, broken, .. } = droves_engine::inventory(folder)?;
    say_some("", &broken);
    let read: u64 = lanes.values().sum();
    say(&format!("{}: {read} lanes read, {} things broken", folder.display(), broken.len()));
    Ok(u8::from(!broken.is_empty()))
}

fn compact(folder: &Path) -> anyhow::Result<u8> {
    let before = bytes_of(folder)?;
    let mut pace = Pace::default();
    let dropped = Fleet::reopen(folder)?.compact(|cell, _| pace.say(|| format!("cell {cell} is compact")))?;
    say_some("warning: ", &dropped);
    say(&format!("{}: {before} bytes before, {} now", folder.display(), bytes_of(folder)?));
    Ok(0)
}

fn bytes_of(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

fn export(args: &CopyArgs) -> anyhow::Result<u8> {
    let file = private(&args.file).with_context(|| args.file.display().to_string())?;
    let exported = droves_fleet::export(&args.fleet, &mut std::io::BufWriter::new(file))?;
    say_some("warning: ", &exported.dropped);
    say(&format!(
        "{}: {} lanes; keep it to yourself: it holds the secret of the push tokens",
        args.file.display(),
        exported.lanes
    ));
    Ok(0)
}

/// A new file that only its owner may read.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn import(args: &CopyArgs) -> anyhow::Result<u8> {
    let file = std::fs::File::open(&args.file).with_context(|| args.file.display().to_string())?;
    let count = droves_fleet::import(&args.fleet, &mut std::io::BufReader::new(file))?;
    say(&format!("{}: {count} lanes", args.fleet.display()));
    Ok(0)
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
    let minted = droves_engine::mint(order, &stopped, |so_far: &Minted| {
        pace.say(|| format!("minted {} of {} devices", so_far.before + so_far.done, so_far.devices));
    })?;
    say_some("warning: ", &minted.dropped);
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
    say_some("warning: ", &told.dropped);
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
