//! Under which names the server knows whom and what: enrollments, and the commands that were queued.

use crate::cast::Cast;
use crate::health;
use droves_device::Device;
use droves_device::{Clocks, Ctx, Machine, Out};
use droves_emulators::google;
use droves_facts::{CommandKey, DeviceIx, LaneIx, Limits, Mono};
use droves_scenario::plan::{Plan, Roster};
use droves_wire::android::image;
use droves_wire::apple::push::Tokens;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Commands whose names are kept.
const COMMANDS_MAX: usize = 100_000;

/// The names.
#[derive(Debug)]
pub struct Directory {
    plan: Arc<Plan>,
    roster: Arc<Roster>,
    cast: Cast,
    tokens: Arc<Tokens>,
    limits: Arc<Limits>,
    /// Who names the devices that have no name of their own.
    google: Weak<google::Handle>,
    commands: RefCell<HashMap<CommandKey, Box<str>>>,
}

impl Directory {
    pub(crate) fn new(
        plan: Arc<Plan>,
        roster: Arc<Roster>,
        cast: Cast,
        tokens: Arc<Tokens>,
        limits: Arc<Limits>,
    ) -> Self {
        Directory { plan, roster, cast, tokens, limits, google: Weak::new(), commands: RefCell::default() }
    }

    /// The same, in a run with this Google.
    pub(crate) fn asking(self, google: Weak<google::Handle>) -> Self {
        Directory { google, ..self }
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// The id under which the server knows a lane's enrollment. The serial number of an image is that of all its clones:
    /// each of them goes by the id that Google has given it, as soon as it has one.
    pub fn enrollment(&self, lane: LaneIx) -> String {
        let id = self.speak(lane, Device::enrollment_id);
        let of_google = || self.google.upgrade()?.with(|google, _| google.id_of(lane).map(str::to_owned));
        image::is_of_image(&id).then(of_google).flatten().unwrap_or(id)
    }

    /// Whose a lane is.
    pub(crate) fn device(&self, lane: LaneIx) -> Option<DeviceIx> {
        self.roster.locate(lane).map(|(device, _)| device)
    }

    /// Asks a lane something that depends on nothing that it has been through.
    pub(crate) fn speak<T>(&self, lane: LaneIx, ask: impl FnOnce(&Ctx<'_>) -> T) -> T {
        let (device, channel) = self.roster.locate(lane).unwrap_or((DeviceIx(0), 0));
        let mut out = Out::default();
        ask(&Ctx {
            clocks: Clocks { now: Mono::ZERO, wall: health::wall() },
            dice: self.plan.dice(),
            limits: &self.limits,
            lane,
            device,
            channel: u8::try_from(channel).unwrap_or(u8::MAX),
            character: &self.cast.characters[usize::from(self.cast.kind(device))],
            identity: None,
            cause: Mono::ZERO,
            tokens: &self.tokens,
            out: &mut out,
        })
    }

    /// The name of a command, as it is on the wire, if it was queued by this run.
    pub fn command(&self, key: CommandKey) -> Option<Box<str>> {
        self.commands.borrow().get(&key).cloned()
    }

    /// A command was queued under this name.
    pub(crate) fn queued(&self, name: &str) -> CommandKey {
        let key = CommandKey::of(name.as_bytes());
        let mut commands = self.commands.borrow_mut();
        if commands.len() < COMMANDS_MAX {
            commands.entry(key).or_insert_with(|| name.into());
        }
        key
    }
}
