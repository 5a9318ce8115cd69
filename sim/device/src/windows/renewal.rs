//! Another certificate before the old one ends (ROBO, MS-MDE2 3.4): a new key, the request signed with the old one, over
//! TLS with the old one.
//!
//! By itself a device renews in the window before the end, `RenewPeriod` days long, and after a failure again each
//! `RetryInterval` days; a certificate that has ended is never renewed. Until there is a new one nothing changes.

use super::enroll::Terms;
use super::lane::Lane;
use super::record::At;
use super::{Step, enroll};
use crate::trouble::Trouble;
use crate::{Ctx, Identity};
use droves_facts::{Blame, Dur, Operation, Outcome, Wall};
use droves_wire::x509;
use std::sync::Arc;

/// Gets another certificate: by order, because the server wants it, or because the old one ends soon.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.record.renewal_wanted = false;
    let Some(account) = lane.account() else { return super::leave::lost(lane, ctx) };
    let ends = ctx.identity.and_then(|identity| ends(identity));
    if ends.is_none_or(|ends| ends <= ctx.clocks.wall) {
        let text = "the device's certificate has ended: it can't be renewed any more";
        lane.record.renew_at = At::NEVER;
        return ended(lane, &Trouble::new(Blame::Server, "certificate_expired", text), ctx);
    }
    enroll::MakingKey::begin(Terms::of_renewal(&account.enrollment_url), ctx)
}

/// There is a new identity: it is on disk before the server sees it, which it does at once.
pub(super) fn done(lane: &mut Lane, identity: Identity, ctx: &mut Ctx<'_>) -> Step {
    lane.record.renew_at = renew_at(lane, &identity, ctx).into();
    ctx.adopt(Some(Arc::new(identity)));
    lane.record.wanted.ended(Operation::Renew, Outcome::Succeeded, ctx);
    lane.connect_soon(ctx);
    Step::save(ctx)
}

/// It came to nothing: the old certificate stays, and the next try has its time.
pub(super) fn failed(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    if lane.record.renew_at.is_due(ctx.clocks.wall) {
        lane.record.renew_at = (ctx.clocks.wall + retry_interval(lane)).into();
    }
    ended(lane, trouble, ctx)
}

fn ended(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    lane.record.wanted.ended(Operation::Renew, trouble.outcome(), ctx);
    lane.proceed(false, ctx)
}

/// When the device renews this identity by itself; `None` if the server has not set it to. A window that is open at
/// birth, as that of a backdated certificate (fleetdm/fleet#52492), is looked at after `RetryInterval` days.
pub(super) fn renew_at(lane: &Lane, identity: &Identity, ctx: &Ctx<'_>) -> Option<Wall> {
    let renewal = lane.tree.renewal();
    let opens = ends(identity)? - DAY.times(renewal.period_days.unwrap_or(PERIOD_DAYS).into());
    renewal.automatic.then(|| opens.max(ctx.clocks.wall + retry_interval(lane)))
}

fn retry_interval(lane: &Lane) -> Dur {
    DAY.times(lane.tree.renewal().retry_days.unwrap_or(RETRY_DAYS).max(1).into())
}

fn ends(identity: &Identity) -> Option<Wall> {
    x509::validity(&identity.certificate).ok().map(|(_, to)| to)
}

pub(super) const DAY: Dur = Dur::secs(86_400);
/// Where the server says nothing (CertificateStore CSP).
const PERIOD_DAYS: u32 = 42;
const RETRY_DAYS: u32 = 7;
