//! The applications of a policy: they come one after the other, most of them at the first try.

use super::lane::{Lane, Takes};
use super::own::Pending;
use super::record::At;
use super::report;
use super::shared::{Applied, Wanted};
use crate::{Ctx, Need};
use droves_facts::{Dur, Purpose};
use droves_wire::android::adp::{App, Detail};
use droves_wire::android::report::updates;
use droves_wire::digest;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of an application on a device. It is drawn from both, and stays so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Comes,
    /// The network fails it once.
    ComesLater,
    /// There is no room for it.
    NeverComes,
}

/// The applications that a policy wants installed.
pub(super) fn wanted(policy: &Map<String, Value>) -> Box<[Wanted]> {
    let all = policy.get("applications").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let installed =
        |app: &&Value| app.get("installType").and_then(Value::as_str).is_some_and(|kind| INSTALLED.contains(&kind));
    let wanted = all.iter().filter(installed).filter_map(|app| {
        let package = app.get("packageName").and_then(Value::as_str)?;
        let least = app.get("minimumVersionCode").and_then(Value::as_u64).and_then(|least| u32::try_from(least).ok());
        Some(Wanted { package: package.into(), least: least.unwrap_or(0), number: number(package) })
    });
    wanted.take(APPS_MAX).collect()
}

/// The policy is another one: what it wants and is not there is to come, what it no longer wants goes.
pub(super) fn change(lane: &mut Lane, old: &Applied, ctx: &Ctx<'_>) {
    let first = lane.own.pending.first().and_then(|pending| package(old, *pending));
    let pending: BTreeMap<&str, bool> =
        lane.own.pending.iter().filter_map(|pending| Some((package(old, *pending)?, pending.again))).collect();
    let mut before: BTreeMap<&str, &Wanted> =
        old.apps.iter().filter(|app| !pending.contains_key(&*app.package)).map(|app| (&*app.package, app)).collect();
    let policy = &lane.shared.policy;
    let mut to_come = Vec::new();
    for (place, app) in (0..).zip(&policy.apps) {
        let is_there = before.remove(&*app.package).is_some_and(|had| version(had, ctx) >= app.least);
        if !is_there {
            let again = pending.get(&*app.package).copied().unwrap_or(false);
            to_come.push(Pending { app: place, again });
        }
    }
    let gone = before.into_values().filter(|app| fate(app, ctx) != Fate::NeverComes);
    lane.own.removed.extend(gone.map(|app| told(app, true, ctx)));
    let wanted: BTreeSet<&str> = policy.apps.iter().map(|app| &*app.package).collect();
    lane.own.removed.retain(|app| !wanted.contains(&*app.package));
    let is_on_its_way = first.is_some() && to_come.first().and_then(|pending| package(policy, *pending)) == first;
    lane.own.pending = to_come;
    if !is_on_its_way {
        start(lane, ctx);
    }
}

/// The application that is next sets out, if there is one: once the network is one that is free.
fn start(lane: &mut Lane, ctx: &Ctx<'_>) {
    lane.record.install_at = At::from(lane.own.pending.first().map(|next| {
        lane.record.installs = lane.record.installs.wrapping_add(1);
        let takes = if next.again { Takes::InstallAgain } else { Takes::Install };
        ctx.lacks_until(Need::Transfer).unwrap_or(ctx.clocks.wall) + takes.time(lane.record.installs, ctx)
    }));
}

/// What is there by now is there, or has failed; a report tells it.
pub(super) fn settle(lane: &mut Lane, ctx: &Ctx<'_>) {
    while lane.record.install_at.is_due(ctx.clocks.wall) {
        if !lane.own.pending.is_empty() {
            let pending = lane.own.pending.remove(0);
            let app = lane.shared.policy.apps.get(usize::from(pending.app));
            if !pending.again && app.is_some_and(|app| fate(app, ctx) == Fate::ComesLater) {
                lane.own.pending.push(Pending { again: true, ..pending });
            }
            report::soon(lane, ctx);
        }
        start(lane, ctx);
    }
}

/// What is installed, and what was removed since the last report, in the policy's order.
pub(super) fn installed(lane: &Lane, ctx: &Ctx<'_>) -> Vec<App> {
    let pending = pending(lane);
    let is_there = |(place, app): &(u16, &Wanted)| !pending.contains_key(place) && fate(app, ctx) != Fate::NeverComes;
    let there = (0..).zip(&lane.shared.policy.apps).filter(is_there).map(|(_, app)| told(app, false, ctx));
    there.chain(lane.own.removed.iter().cloned()).collect()
}

/// What is not there, and why.
pub(super) fn details(lane: &Lane, ctx: &Ctx<'_>) -> Vec<Detail> {
    let detail = |app: &Wanted, reason: &str, failure: &str| Detail {
        setting: "applications".into(),
        reason: reason.into(),
        package: app.package.clone(),
        failure: failure.into(),
    };
    let pending = pending(lane);
    let missing = |(place, app): (u16, &Wanted)| match pending.get(&place) {
        Some((_, true)) => Some(detail(app, "APP_NOT_INSTALLED", "NETWORK_ERROR_UNRELIABLE_CONNECTION")),
        Some((0, false)) => Some(detail(app, "APP_NOT_INSTALLED", "IN_PROGRESS")),
        Some(_) => Some(detail(app, "PENDING", "")),
        None if fate(app, ctx) == Fate::NeverComes => Some(detail(app, "APP_NOT_INSTALLED", "INSUFFICIENT_STORAGE")),
        None => None,
    };
    (0..).zip(&lane.shared.policy.apps).filter_map(missing).collect()
}

/// The applications that are to come, by their places in the policy: where in the row each is, and whether it comes again.
/// There can be thousands.
fn pending(lane: &Lane) -> BTreeMap<u16, (usize, bool)> {
    lane.own.pending.iter().enumerate().map(|(at, pending)| (pending.app, (at, pending.again))).collect()
}

fn told(app: &Wanted, removed: bool, ctx: &Ctx<'_>) -> App {
    App { package: app.package.clone(), version: version(app, ctx), removed }
}

/// The version code that the device has now, or would have: what the store has, some days later.
fn version(app: &Wanted, ctx: &Ctx<'_>) -> u32 {
    let mut dice = ctx.device_dice(Purpose::Contents, app.number);
    // The first that is drawn of an application is its fate.
    dice.unit();
    let late = Dur::secs(dice.below(UPDATE_LATE_S_MAX));
    let first = VERSIONS_FROM + (app.number >> 32) as u32 % VERSIONS;
    app.least.max(first.saturating_add(updates::of_app(app.number, late, ctx.clocks.wall)))
}

fn package(policy: &Applied, pending: Pending) -> Option<&str> {
    policy.apps.get(usize::from(pending.app)).map(|app| &*app.package)
}

fn fate(app: &Wanted, ctx: &Ctx<'_>) -> Fate {
    let drawn = ctx.device_dice(Purpose::Contents, app.number).unit();
    if drawn < NO_ROOM {
        Fate::NeverComes
    } else if drawn < NO_ROOM + NO_NETWORK {
        Fate::ComesLater
    } else {
        Fate::Comes
    }
}

/// A package as a number.
fn number(package: &str) -> u64 {
    digest::sha256(package.as_bytes()).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Ways to be installed without the user's wish.
const INSTALLED: [&str; 4] = ["FORCE_INSTALLED", "PREINSTALLED", "REQUIRED_FOR_SETUP", "KIOSK"];
/// A policy has at most so many applications.
const APPS_MAX: usize = 3_000;
/// How long after the store has it an update is on the last devices. Ours.
const UPDATE_LATE_S_MAX: u64 = 4 * 86_400;
/// Version codes of what the store has first. Ours.
const VERSIONS_FROM: u32 = 1_000;
const VERSIONS: u32 = 9_000_000;
/// Shares of the installs for which there is no room, and that the network fails.
const NO_ROOM: f64 = 0.015;
const NO_NETWORK: f64 = 0.02;
