//! Who a lane is: the ids of its device and its enrollment, its user, and whether that user is logged in. All of it is
//! drawn, nothing stored.

use super::channel;
use super::hardware::{Hardware, hex};
use super::lane::Lane;
use super::own::Own;
use super::shared::Account;
use super::tree::{Atomic, Login, Scene};
use crate::{Ctx, Enrolls, unique};
use droves_facts::Purpose;
use std::sync::Arc;

/// What a device is called while a session or an enrollment lasts.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// `DeviceID` of this enrollment.
    pub(super) device_id: String,
    /// `HWDevID`.
    pub(super) hardware_id: String,
    /// The channel at the push service.
    channel: Option<String>,
    /// Who is logged in.
    pub(super) login: Login,
}

impl Who {
    pub(super) fn of(lane: &Lane, ctx: &Ctx<'_>) -> Self {
        let hardware = Hardware::of(ctx);
        Who {
            device_id: hardware.device_id(lane.record.generation),
            hardware_id: hardware_id(&hardware, ctx),
            channel: channel::uri(lane, ctx),
            login: login(ctx),
        }
    }

    /// What surrounds a command to this device.
    pub(super) fn scene<'a>(
        &'a self,
        own: &'a Own,
        commands: u32,
        account: &'a Account,
        ctx: &'a Ctx<'a>,
    ) -> Scene<'a> {
        Scene {
            ctx,
            provider: &account.provider,
            address: &account.address,
            account: &own.credentials.name,
            device_id: &self.device_id,
            hardware_id: &self.hardware_id,
            login: self.login,
            channel: channel::shown(own, self.channel.as_deref(), ctx),
            // What was seen in place of what the book says was seen of Windows 10.
            atomic: if build(ctx) < WINDOWS_11 { Atomic::Thread } else { Atomic::Book },
            commands: commands.into(),
        }
    }
}

/// The build of the system, third of the four numbers of its version.
pub(super) fn build(ctx: &Ctx<'_>) -> u32 {
    Hardware::of(ctx).os_version().split('.').nth(2).and_then(|build| build.parse().ok()).unwrap_or(WINDOWS_11)
}

/// Nobody is logged in at a PC that is locked. From one login to the next it is the user who enrolled, or, one time in
/// twenty, somebody else.
fn login(ctx: &Ctx<'_>) -> Login {
    if ctx.locked_until().is_some() {
        return Login::None;
    }
    let until = ctx.unlocked_after().map_or(0, |until| until.0.unsigned_abs());
    let is_other = until > 0 && ctx.device_dice(Purpose::Behaviour, OTHERS | until).below(20) == 0;
    if is_other { Login::Others } else { Login::User }
}

/// `HWDevID`: another one for each device, but for clones of one image, which have the image's.
fn hardware_id(hardware: &Hardware<'_>, ctx: &Ctx<'_>) -> String {
    if unique::is_cloned(ctx) {
        let image: [u8; 32] = ctx.dice.draw(0, Purpose::Hardware, IMAGE).bytes();
        return hex(&image);
    }
    hardware.hardware_id()
}

/// The user who enrolls (UPN). Who casts the fleet gives a PC a place to be discovered; without one it has no user.
pub(super) fn user(ctx: &Ctx<'_>) -> String {
    match &ctx.character.enrolls {
        Enrolls::Discovery(discovery) => numbered(&discovery.user, ctx),
        _ => String::new(),
    }
}

/// A text of the scenario with the number of the device where `*` stands.
pub(super) fn numbered(text: &Arc<str>, ctx: &Ctx<'_>) -> String {
    text.replace('*', &ctx.device.to_string())
}

/// The first build of Windows 11.
pub(super) const WINDOWS_11: u32 = 22_000;
/// Place in the numbering of what is drawn about hardware.
const IMAGE: u64 = 2 << 32;
/// The same for what is drawn about behaviour.
const OTHERS: u64 = 1 << 63;
