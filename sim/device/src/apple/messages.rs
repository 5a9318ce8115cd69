//! What a device says of itself in its messages: who it is, its token and magic, and the headers that go with them.
//!
//! Keys stand in the order of Apple's own writer, which sorts them.

use super::exchange::Headers;
use super::hardware::Hardware;
use super::shared::{MdmSettings, rights};
use crate::Ctx;
use crate::uuids::drawn_uuid;
use bytes::Bytes;
use droves_facts::{CommandStatus, Platform, Purpose};
use droves_wire::apple::acme;
use droves_wire::apple::checkin::{Authenticate, Message, TokenUpdate};
use droves_wire::apple::identity::{self, EnrollmentId, User, Who};
use droves_wire::apple::profile::AccessRights;
use droves_wire::apple::result;
use droves_wire::plist::{self, Writer};

/// Authenticate: the first that a server hears of a device.
pub(super) fn authenticate(settings: &MdmSettings, ctx: &Ctx<'_>) -> Bytes {
    let hardware = Hardware::of(ctx);
    let (udid, serial, name, build) = (hardware.udid(), hardware.serial(), hardware.name(), hardware.build());
    let (imei, meid) = (hardware.imei(), hardware.meid());
    let said = identity::Hardware {
        udid: &udid,
        serial_number: &serial,
        device_name: &name,
        model: hardware.model_number(),
        model_name: hardware.family(),
        product_name: hardware.product(),
        os_version: hardware.os_version(),
        build_version: &build,
        imei: imei.as_deref(),
        meid: meid.as_deref(),
        ..identity::Hardware::default()
    };
    let id = EnrollmentId::Udid(&udid);
    // The profile's rights were checked when it was installed.
    let rights = AccessRights::new(i64::from(settings.rights)).unwrap_or(AccessRights::ALL);
    let message = Authenticate::of(ctx.character.platform, rights, id, &settings.topic, &said);
    written(&Message::Authenticate(message))
}

/// TokenUpdate: where pushes reach the channel.
pub(super) fn token_update(settings: &MdmSettings, token: u32, generation: u32, ctx: &Ctx<'_>) -> Bytes {
    let hardware = Hardware::of(ctx);
    let unlocks = !hardware.is_mac() && ctx.channel == 0 && settings.rights & rights::LOCK != 0;
    let unlock_token = unlocks.then(|| unlock_token(generation, ctx));
    named(Some(false), ctx, |who| {
        written(&Message::TokenUpdate(TokenUpdate {
            topic: &settings.topic,
            who: *who,
            token: &ctx.tokens.token(ctx.lane, token),
            push_magic: &magic(generation, ctx),
            unlock_token: unlock_token.as_deref(),
            awaiting_configuration: None,
        }))
    })
}

/// SetBootstrapToken: what lets the server's commands act with a secure token.
pub(super) fn set_bootstrap_token(generation: u32, ctx: &Ctx<'_>) -> Bytes {
    let token: [u8; 32] = ctx.device_dice(Purpose::Contents, BOOTSTRAP_TOKEN | u64::from(generation)).bytes();
    let udid = Hardware::of(ctx).udid();
    let id = EnrollmentId::Udid(&udid);
    written(&Message::SetBootstrapToken { id, token: Some(&token), awaiting_configuration: None })
}

/// CheckOut: the device has left.
pub(super) fn check_out(settings: &MdmSettings, ctx: &Ctx<'_>) -> Bytes {
    let udid = Hardware::of(ctx).udid();
    written(&Message::CheckOut { topic: &settings.topic, id: EnrollmentId::Udid(&udid) })
}

fn written(message: &Message<'_>) -> Bytes {
    let mut out = Vec::with_capacity(1_024);
    message.write(&mut out);
    out.into()
}

/// `Idle`: the device asks for a command.
pub(super) fn idle(ctx: &Ctx<'_>) -> Bytes {
    named(None, ctx, |who| {
        let mut out = Vec::with_capacity(512);
        result::write_idle(&mut out, who);
        out.into()
    })
}

/// DeclarativeManagement: a question about the channel's declarations, or the report of them.
pub(super) fn declarative(endpoint: &str, data: Option<&[u8]>, ctx: &Ctx<'_>) -> Bytes {
    named(None, ctx, |who| written(&Message::DeclarativeManagement { who: *who, endpoint, data }))
}

/// Who the lane is, as its messages name it: the device, and the user of a user channel.
fn named<T>(not_on_console: Option<bool>, ctx: &Ctx<'_>, then: impl FnOnce(&Who<'_>) -> T) -> T {
    let udid = Hardware::of(ctx).udid();
    let names = (ctx.channel > 0).then(|| user(ctx.channel, ctx));
    let user = names.as_ref().map(|(id, short, long)| User {
        id,
        short_name: Some(short),
        long_name: Some(long),
        not_on_console,
    });
    then(&Who { id: EnrollmentId::Udid(&udid), user })
}

/// Where a command's own keys sort among `CommandUUID`, `Status` and `UDID`, which every result has: keys stand sorted,
/// as Apple's encoder leaves them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    First,
    Middle,
    Last,
}

/// A command's result, with what `fill` adds. A command that has no name is answered without one.
pub(super) fn result(
    uuid: &str,
    status: CommandStatus,
    ctx: &Ctx<'_>,
    place: Place,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Bytes {
    let status = result::status_name(status);
    let mut fill = Some(fill);
    message(|w| {
        let mut own = |here: Place, w: &mut Writer<'_>| {
            if let Some(fill) = fill.take_if(|_| place == here) {
                fill(w);
            }
        };
        own(Place::First, w);
        if !uuid.is_empty() {
            w.key("CommandUUID").string(uuid);
        }
        own(Place::Middle, w);
        w.key("Status").string(status);
        w.key("UDID").string(&Hardware::of(ctx).udid());
        user_keys(w, ctx);
        own(Place::Last, w);
    })
}

/// The magic of an enrollment: what makes a push this enrollment's.
pub(super) fn magic(generation: u32, ctx: &Ctx<'_>) -> String {
    drawn_uuid(&mut ctx.lane_dice(Purpose::Magic, u64::from(generation)))
}

/// What unlocks the device: 1.1 to 2 KB, as real keybag tokens are.
pub(super) fn unlock_token(generation: u32, ctx: &Ctx<'_>) -> Vec<u8> {
    let mut dice = ctx.device_dice(Purpose::Contents, UNLOCK_TOKEN | u64::from(generation));
    let blocks = 68 + dice.below(56);
    let mut token = b"DATA".to_vec();
    for _ in 0..blocks {
        token.extend_from_slice(&dice.bytes::<16>());
    }
    token
}

/// A user of a Mac: id, short name, long name.
pub(super) fn user(channel: u8, ctx: &Ctx<'_>) -> (String, String, String) {
    let mut dice = ctx.device_dice(Purpose::Contents, USER | u64::from(channel));
    let id = drawn_uuid(&mut dice);
    let (first, last) = NAMES.get(dice.below(NAMES.len() as u64) as usize).copied().unwrap_or(("Ada", "Berg"));
    (id, format!("{}{channel}", first.to_lowercase()), format!("{first} {last}"))
}

fn user_keys(w: &mut Writer<'_>, ctx: &Ctx<'_>) {
    if ctx.channel > 0 {
        let (id, short, long) = user(ctx.channel, ctx);
        w.key("UserID").string(&id);
        w.key("UserLongName").string(&long);
        w.key("UserShortName").string(&short);
    }
}

fn message(pairs: impl FnOnce(&mut Writer<'_>)) -> Bytes {
    let mut out = Vec::with_capacity(1_024);
    plist::write(&mut out, |w| w.dict(pairs));
    out.into()
}

/// Headers of a check-in message.
pub(super) fn check_in_headers(ctx: &Ctx<'_>) -> Headers {
    if ctx.character.platform == Platform::Macos { &MAC_CHECK_IN } else { &IOS_CHECK_IN }
}

/// Headers of the command loop.
pub(super) fn command_headers(ctx: &Ctx<'_>) -> Headers {
    if ctx.character.platform == Platform::Macos { &MAC_COMMAND } else { &IOS_COMMAND }
}

/// Headers of everything before the check-in: profile, SCEP, ACME.
pub(super) fn plain_headers(ctx: &Ctx<'_>) -> Headers {
    if ctx.character.platform == Platform::Macos { &MAC_PLAIN } else { &IOS_PLAIN }
}

/// Headers of a SCEP request with a body.
pub(super) fn scep_headers(ctx: &Ctx<'_>) -> Headers {
    if ctx.character.platform == Platform::Macos { &MAC_SCEP } else { &IOS_SCEP }
}

/// Headers of what is posted to an ACME server.
pub(super) fn acme_headers(ctx: &Ctx<'_>) -> Headers {
    if ctx.character.platform == Platform::Macos { &MAC_ACME } else { &IOS_ACME }
}

// As seen from devices, but for `Accept-Encoding`: what we can't unpack we don't ask for.
const ACCEPT: (&str, &str) = ("accept", "*/*");
const LANGUAGE: (&str, &str) = ("accept-language", "en-US,en;q=0.9");
const NO_CACHE: (&str, &str) = ("cache-control", "no-cache");
const CHECK_IN: (&str, &str) = ("content-type", "application/x-apple-aspen-mdm-checkin");
const COMMAND: (&str, &str) = ("content-type", "application/x-apple-aspen-mdm");
const SCEP: (&str, &str) = ("content-type", "application/x-pki-message");
const ACME: (&str, &str) = ("content-type", acme::CONTENT_TYPE);
const IOS: (&str, &str) = ("user-agent", "MDM/1.0");
const MAC: (&str, &str) = ("user-agent", "MDM-OSX/1.0 mdmclient/1660");
const IOS_BEFORE: (&str, &str) = ("user-agent", "profiled/1.0 CFNetwork/1568.100.1 Darwin/24.1.0");
const MAC_BEFORE: (&str, &str) = ("user-agent", "mdmclient/1660 CFNetwork/1568.100.1 Darwin/24.1.0");
static IOS_CHECK_IN: [(&str, &str); 5] = [ACCEPT, LANGUAGE, NO_CACHE, CHECK_IN, IOS];
static MAC_CHECK_IN: [(&str, &str); 4] = [ACCEPT, LANGUAGE, CHECK_IN, MAC];
static IOS_COMMAND: [(&str, &str); 5] = [ACCEPT, LANGUAGE, NO_CACHE, COMMAND, IOS];
static MAC_COMMAND: [(&str, &str); 4] = [ACCEPT, LANGUAGE, COMMAND, MAC];
static IOS_PLAIN: [(&str, &str); 3] = [ACCEPT, LANGUAGE, IOS_BEFORE];
static MAC_PLAIN: [(&str, &str); 3] = [ACCEPT, LANGUAGE, MAC_BEFORE];
static IOS_SCEP: [(&str, &str); 4] = [ACCEPT, LANGUAGE, SCEP, IOS_BEFORE];
static MAC_SCEP: [(&str, &str); 4] = [ACCEPT, LANGUAGE, SCEP, MAC_BEFORE];
static IOS_ACME: [(&str, &str); 4] = [ACCEPT, LANGUAGE, ACME, IOS_BEFORE];
static MAC_ACME: [(&str, &str); 4] = [ACCEPT, LANGUAGE, ACME, MAC_BEFORE];

/// Places in the numbering of what a device holds; the low 32 bits are the thing's own number.
pub(super) const UNLOCK_TOKEN: u64 = 1 << 40;
const BOOTSTRAP_TOKEN: u64 = 2 << 40;
const USER: u64 = 3 << 40;

const NAMES: [(&str, &str); 8] = [
    ("Ada", "Berg"),
    ("Carlos", "Diaz"),
    ("Emil", "Fischer"),
    ("Hana", "Ito"),
    ("Kofi", "Mensah"),
    ("Lena", "Novak"),
    ("Omar", "Haddad"),
    ("Priya", "Rao"),
];
