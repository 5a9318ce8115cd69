//! A new identity for an enrolled device: by order, near the certificate's end, or because the server installs the
//! enrollment's profile again.
//!
//! The device gets it by SCEP, with its old identity as signer, by ACME as it got the first one, or out of the profile.
//! Then it says Authenticate and TokenUpdate with the new one, as servers rely on (nanomdm#14). Until that is through
//! the old identity is kept: a renewal that fails changes nothing.

use super::profile::Terms;
use super::{get_identity, plan};
use crate::apple::exchange::Trouble;
use crate::apple::lane::Lane;
use crate::apple::own::{Owed, Renewal};
use crate::apple::record::Stage;
use crate::apple::shared::MdmSettings;
use crate::apple::{Step, commands, session};
use crate::{Ctx, Identity, Order};
use bytes::Bytes;
use droves_facts::{Blame, CommandKey, Dur, Operation, Outcome};
use std::sync::Arc;

/// Gets a new identity: by order, or because the old one ends soon.
pub(in crate::apple) fn renew(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.record.renewing = true;
    lane.own.renewal = Some(Renewal::default());
    super::start(lane, ctx)
}

/// Gets a new identity because `InstallProfile` brought the enrollment's own profile.
pub(in crate::apple) fn install(lane: &mut Lane, uuid: String, profile: &Bytes, ctx: &mut Ctx<'_>) -> Step {
    lane.record.renewing = true;
    lane.own.renewal = Some(Renewal { answers: Some(uuid.into()), ..Renewal::default() });
    match plan(profile, lane, ctx) {
        Ok(plan) => get_identity(lane, plan, ctx),
        Err(trouble) => failed(lane, &trouble, ctx),
    }
}

/// What an update of the profile may not change.
pub(super) fn check(lane: &Lane, new: &MdmSettings) -> Result<(), Trouble> {
    let Some(now) = lane.shared.mdm.as_ref() else { return Ok(()) };
    let refused = |what: &str| {
        Err(Trouble::new(
            Blame::Server,
            "profile_update",
            format!("an update of the enrollment profile changes {what}"),
        ))
    };
    if now.server_url != new.server_url {
        refused("ServerURL")
    } else if now.check_in_url != new.check_in_url {
        refused("CheckInURL")
    } else if now.topic != new.topic {
        refused("Topic")
    } else if new.rights & !now.rights != 0 {
        refused("AccessRights to more than they were")
    } else if now.per_user_connections != new.per_user_connections {
        refused("ServerCapabilities as to users")
    } else {
        Ok(())
    }
}

/// There is a new identity: from here on it is tried, and the old one kept aside.
pub(super) fn adopt(lane: &mut Lane, terms: Terms, ctx: &Ctx<'_>) {
    let renewal = lane.own.renewal.get_or_insert_default();
    renewal.old = ctx.identity.map(|old| (old.key, old.certificate.clone()));
    renewal.settings = Some(Arc::new(terms.settings));
    renewal.profile = Some(Arc::new(terms.profile));
}

/// The server knows the new identity.
pub(super) fn done(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.record.wanted.ended(Operation::Renew, Outcome::Succeeded, ctx);
    for channel in 1..=ctx.character.users {
        ctx.order(channel, Order::IdentityRenewed);
    }
    let renewal = lane.own.renewal.take().unwrap_or_default();
    let shared = Arc::make_mut(&mut lane.shared);
    if let Some(settings) = renewal.settings {
        shared.mdm = Some(settings);
    }
    if let Some(profile) = renewal.profile {
        shared.install((*profile).clone(), ctx.limits.profiles_max);
    }
    match renewal.answers {
        Some(uuid) => {
            let owed = owed(&uuid, None, ctx);
            session::resume(lane, owed, ctx)
        }
        None => {
            lane.connect_soon(ctx);
            lane.rest(ctx)
        }
    }
}

/// It came to nothing: the old identity stays.
pub(super) fn failed(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    lane.record.wanted.ended(Operation::Renew, trouble.outcome(), ctx);
    lane.go(Stage::Enrolled, ctx);
    lane.record.renewing = false;
    lane.record.renew_at = lane.record.renew_at.map(|at| at.max(ctx.clocks.wall + AGAIN));
    let renewal = lane.own.renewal.take().unwrap_or_default();
    let adopted = renewal.old.is_some();
    if let Some((key, certificate)) = renewal.old {
        ctx.adopt(Some(Arc::new(Identity { key, certificate })));
    }
    if let Some(uuid) = renewal.answers {
        let owed = owed(&uuid, Some(&trouble.text), ctx);
        if !adopted {
            return session::resume(lane, owed, ctx);
        }
        // The old identity is in force from the next event on: the result follows then.
        ctx.fact(droves_facts::What::Answered { command: owed.command, status: owed.status });
        lane.own.owed = Some(owed);
        lane.record.next_at = Some(ctx.clocks.wall);
    }
    if adopted { Step::save(ctx) } else { lane.proceed(false, ctx) }
}

fn owed(uuid: &str, error: Option<&str>, ctx: &Ctx<'_>) -> Owed {
    let done = commands::renewed(uuid, error, ctx);
    Owed::new(CommandKey::of(uuid.as_bytes()), done.status, done.body)
}

/// Whether these are the settings of the same enrollment.
pub(in crate::apple) fn is_own(settings: &MdmSettings, identifier: &str) -> bool {
    &*settings.profile_identifier == identifier
}

/// How long after a failed renewal the next is tried.
const AGAIN: Dur = Dur::secs(3_600);
