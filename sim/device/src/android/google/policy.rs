//! A policy that a device is to apply. Its settings count at once; applications come one after the other; what asks
//! something of the user waits for the user.

use super::lane::{Lane, Takes};
use super::record::At;
use super::shared::Applied;
use super::{apps, compliance, enroll, report};
use crate::Ctx;
use droves_facts::Purpose;
use droves_wire::android::adp::{Mode, Policy};
use serde_json::{Map, Value};
use std::sync::Arc;

impl Applied {
    /// What a policy comes to on a device that is managed like this.
    fn of(policy: &Map<String, Value>, mode: Mode, api_level: u16) -> Self {
        let (never, until_acted) = compliance::details(policy, mode, api_level);
        Applied { never, until_acted, apps: apps::wanted(policy) }
    }
}

/// Applies it. Versions in between may have been skipped, and one may be as the last.
pub(super) fn adopt(lane: &mut Lane, policy: &Policy, ctx: &Ctx<'_>) {
    lane.record.applied = policy.version;
    let new = Applied::of(&policy.body, enroll::mode(ctx), enroll::api_level(ctx));
    if new != *lane.shared.policy {
        let old = std::mem::replace(&mut Arc::make_mut(&mut lane.shared).policy, Arc::new(new));
        ask_the_user(lane, &old, ctx);
        apps::change(lane, &old, ctx);
    }
    report::soon(lane, ctx);
}

/// What the policy asks of users. Most have done it before they are asked; a device without a user waits for ever.
fn ask_the_user(lane: &mut Lane, old: &Applied, ctx: &Ctx<'_>) {
    let asked = &lane.shared.policy.until_acted;
    if *asked == old.until_acted {
        return;
    }
    let acted_before = ctx.device_dice(Purpose::Contents, USER).unit() < ACTED_BEFORE;
    lane.record.has_acted = asked.is_empty() || acted_before;
    let acts = !lane.record.has_acted && enroll::mode(ctx) != Mode::Dedicated;
    lane.record.act_at = At::from(acts.then(|| ctx.clocks.wall + Takes::User.time(lane.record.reports, ctx)));
}

/// Share of the users who have a lock on their device that is good enough. Ours.
const ACTED_BEFORE: f64 = 0.6;
/// Place in the numbering of what a device holds: numbers of packages are spread over all of it.
const USER: u64 = 1;
