//! Commands that lock, erase, restart, or that are only acknowledged; and the list of users.

use super::{Dict, MDM, Refusal, Scene, Then, Writer};
use crate::apple::{declarative, messages};
use droves_facts::{Dur, Purpose};

/// `DeviceLock`. A Mac restarts into its lock.
pub(super) fn lock(body: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    if scene.hardware.is_mac() {
        return Ok(Then::Offline(restart_time(scene)));
    }
    if body.str("Message").is_some() || body.str("PhoneNumber").is_some() {
        w.key("MessageResult").string("Success");
    }
    Ok(Then::Nothing)
}

/// `ClearPasscode`: only with the token that the enrollment was given.
pub(super) fn clear_passcode(body: &Dict, scene: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    let given = body.data("UnlockToken").ok_or_else(|| Refusal::missing("UnlockToken"))?;
    if given == messages::unlock_token(scene.lane.record.generation, scene.ctx) {
        Ok(Then::Nothing)
    } else {
        Err(Refusal::new(5_013, "MCPasscodeErrorDomain", "The passcode could not be cleared."))
    }
}

/// `EraseDevice`.
pub(super) fn erase(_: &Dict, _: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    Ok(Then::Erase)
}

/// `RestartDevice` and `ShutDownDevice`: somebody switches it on again soon.
pub(super) fn restart(_: &Dict, scene: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    Ok(Then::Offline(restart_time(scene)))
}

/// `DeclarativeManagement`: on from now on; the sync follows the command loop.
pub(super) fn declarative(body: &Dict, scene: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    declarative::command(body.data("Data"), scene.lane);
    Ok(Then::Nothing)
}

/// Commands whose effect nobody can see from outside.
pub(super) fn acknowledged(_: &Dict, _: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    Ok(Then::Nothing)
}

/// `UserList`: of a Mac. On an iPad that is not shared there are none to list.
pub(super) fn users(_: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    if !scene.hardware.is_mac() {
        return Err(Refusal::new(12_078, MDM, "The device is not set up for several users."));
    }
    w.key("Users").array(|w| {
        for channel in 1..=scene.ctx.character.users.max(1) {
            let (id, short, long) = messages::user(channel, scene.ctx);
            w.dict(|w| {
                w.key("FullName").string(&long);
                w.key("HasSecureToken").bool(channel == 1);
                w.key("IsLoggedIn").bool(channel == 1);
                w.key("MobileAccount").bool(false);
                w.key("UID").integer(500 + i64::from(channel));
                w.key("UserGUID").string(&id);
                w.key("UserName").string(&short);
            });
        }
    });
    Ok(Then::Nothing)
}

/// A restart takes 40 to 120 s.
fn restart_time(scene: &Scene<'_, '_>) -> Dur {
    let ordinal = RESTART | u64::from(scene.lane.record.commands);
    Dur::ms(40_000 + scene.ctx.device_dice(Purpose::Contents, ordinal).below(80_000))
}

/// Place in the numbering of what a device holds.
const RESTART: u64 = 5 << 40;
