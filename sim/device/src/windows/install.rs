//! Certificates that the server has the device get by SCEP (`ClientCertificateInstall`).
//!
//! The exchange with the authority is not made: it ends in an error that the next session tells, as a device tells one
//! whose authority does not answer.

use super::lane::Lane;
use super::who::Who;
use super::{Step, leave};
use crate::Ctx;
use droves_facts::Blame;

/// Whether there is one to be got.
pub(super) fn is_due(lane: &Lane) -> bool {
    !lane.own.scep.is_empty()
}

/// Gets all that there are.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let Some(account) = lane.account() else { return leave::lost(lane, ctx) };
    let who = Who::of(lane, ctx);
    for scep in std::mem::take(&mut lane.own.scep) {
        let scene = who.scene(&lane.own, lane.record.commands, &account, ctx);
        lane.tree.scep_ended(&scep.id, scep.user, Err(NOT_IMPLEMENTED), &scene);
        ctx.complain(Blame::Generator, "scep", "certificates by SCEP are not simulated for Windows");
    }
    lane.connect_soon(ctx);
    lane.proceed(false, ctx)
}

/// `E_NOTIMPL`.
const NOT_IMPLEMENTED: i32 = -2_147_467_263;
