//! What a machine is handed with an event: clocks, dice, who it is, and the ways out. There is no way to anything else.

use crate::{Habits, Note, Order, Spells};
use droves_facts::{
    Blame, DeviceIx, Dialect, Dice, Dur, LaneIx, Limits, Mono, Operation, Outcome, Philox, Platform, Purpose, Wall,
    What,
};
use droves_wire::android::adp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A key of the pool, or of the device's own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct KeyIx(pub u32);

/// A certificate as the server issued it, and the key that belongs to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The key.
    pub key: KeyIx,
    /// The certificate, DER.
    pub certificate: Box<[u8]>,
}

/// Both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clocks {
    /// For durations and deadlines.
    pub now: Mono,
    /// The true wall time.
    pub wall: Wall,
}

/// What a kind of device in the fleet is: one value for each model of each population.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Character {
    /// Its platform.
    pub platform: Platform,
    /// Apple's product name, `iPhone16,1`; a PC's or a phone's model.
    pub model: Arc<str>,
    /// `18.1`.
    pub os_version: Arc<str>,
    /// How it gets into the hands of its server.
    pub enrolls: Enrolls,
    /// Takes `http://` from its server, which real devices refuse: for servers on loopback.
    pub allow_http: bool,
    /// How it comes back after a failure.
    pub retry: Retry,
    /// How long after a push it connects: median and sigma of a log-normal distribution.
    pub wake: (Dur, f64),
    /// Factor on how long commands take; 1 is the model's own, 0 does them at once.
    pub pace: f64,
    /// When it is locked and refuses with NotNow. On a PC nobody is logged in then, and the end of a spell is a login.
    pub locked: Spells,
    /// What else keeps it from doing things.
    pub habits: Habits,
    /// Share of the devices, in `0..=1`, that are clones of one image and have its numbers: a PC its hardware id
    /// (fleetdm/fleet#50612), an Android device its serial number and IMEI.
    pub cloned: f64,
    /// User channels of a Mac.
    pub users: u8,
    /// Enrolls again, by itself, this long after a wipe.
    pub reenrolls_after_wipe: Option<Dur>,
}

/// How a device gets into the hands of its server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Enrolls {
    /// Apple: by a profile.
    Profile(ProfileSource),
    /// Windows: by discovery.
    Discovery(Arc<Discovery>),
    /// Android: by Google.
    Google(Arc<Google>),
    /// Android: by an agent of the server's own.
    Agent(Arc<Agent>),
}

/// How an Android device gets into Google's hands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Google {
    /// The enrollment token that it shows.
    pub token: Token,
    /// How the device is managed then.
    pub mode: adp::Mode,
    /// How long from one status report to the next, if nothing happens.
    pub report_every: Dur,
    /// Events of its usage log that follow each status report.
    pub usage_logs: u16,
    /// Share of the devices, in `0..=1`, that leave without a word (fleetdm/fleet#33546).
    pub silent: f64,
}

/// Enrollment tokens, by their values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Token {
    /// One that is good for all.
    Shared(Arc<str>),
    /// One for each device, from this one on.
    Each {
        /// The first of them.
        first: DeviceIx,
        /// The tokens.
        tokens: Arc<[Box<str>]>,
    },
}

impl Token {
    /// The token that a device shows; empty for one that has none.
    pub fn of(&self, device: DeviceIx) -> &str {
        match self {
            Token::Shared(token) => token,
            Token::Each { first, tokens } => {
                device.0.checked_sub(first.0).and_then(|at| tokens.get(at as usize)).map_or("", |token| token)
            }
        }
    }
}

/// Where an agent of the server's own enrolls, and as whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// Which server's.
    pub dialect: Dialect,
    /// Base of its URLs, with the project and without a slash at its end.
    pub url: Arc<str>,
    /// The same, for what nothing came of by `url`; mostly `url` itself.
    pub second_url: Arc<str>,
    /// Host and port where its messages come from; empty: the host of `url` at the dialect's own port.
    pub link: Arc<str>,
    /// The device's number there; `*` in it stands for the number of the device.
    pub number: Arc<str>,
    /// What both sign with.
    pub secret: Arc<str>,
    /// The configuration that it asks for, if the server is to create it.
    pub configuration: Option<Arc<str>>,
    /// The Firebase project for which it has itself woken by FCM, if it has.
    pub fcm: Option<Arc<str>>,
    /// Whether it takes no configuration that is not signed as it should be.
    pub checked: bool,
}

/// Where a Windows device enrolls, and as whom.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Discovery {
    /// URL of the discovery service.
    pub url: Arc<str>,
    /// Name of the user (UPN); `*` in it stands for the number of the device.
    pub user: Arc<str>,
    /// How the user proves who that is; `*` likewise.
    pub proof: Proof,
    /// Host and port of the push service's channels.
    pub channels: Arc<str>,
}

/// How the user of a Windows device proves who that is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Proof {
    /// On-premise: a password.
    Password(Arc<str>),
    /// On-premise or federated: a token that the scenario gives.
    Token(Arc<str>),
    /// Federated: the token that the server's login page grants.
    Login,
}

/// Where an enrollment profile comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ProfileSource {
    /// These bytes, which every device was handed.
    Bytes(Arc<[u8]>),
    /// Fetched by each device.
    Url(Arc<str>),
}

/// How a device comes back after a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Retry {
    /// 5 s, 15 s, 60 s, 5 min, then 15 min, each ±20 %: our model of Apple's unpublished schedule.
    AsPlatform,
    /// Always after 15 s: what makes herds.
    Flat,
    /// Doubling from 5 s to 15 min, without jitter.
    Capped,
    /// Doubling from 5 s to 15 min, a draw from nothing up to that.
    Jittered,
}

/// What a machine put out beside its action.
#[derive(Debug, Default, Serialize)]
pub struct Out {
    /// What it states.
    pub facts: Vec<What>,
    /// Orders to lanes of the same device, by channel number.
    pub orders: Vec<(u8, Note)>,
    /// Operations that came to their end.
    pub ended: Vec<(Operation, Outcome)>,
    /// The device's identity from now on; `Some(None)` forgets it.
    pub identity: Option<Option<Arc<Identity>>>,
}

/// Everything that a machine may look at, and the ways out.
pub struct Ctx<'a> {
    /// Both clocks.
    pub clocks: Clocks,
    /// The run's dice.
    pub dice: Dice,
    /// Bounds.
    pub limits: &'a Limits,
    /// Which lane of the fleet this is.
    pub lane: LaneIx,
    /// Whose lane.
    pub device: DeviceIx,
    /// 0 is the device channel, 1.. are a Mac's user channels, or an agent's link (1) and its downloads (2).
    pub channel: u8,
    /// What kind of device.
    pub character: &'a Character,
    /// The device's identity.
    pub identity: Option<&'a Arc<Identity>>,
    /// When the cause of the event was: what an order to a sister lane inherits.
    pub cause: Mono,
    /// Secret of the fleet's push tokens.
    pub tokens: &'a droves_wire::apple::push::Tokens,
    /// What comes out.
    pub out: &'a mut Out,
}

impl Ctx<'_> {
    /// Dice of the device: its lanes draw the same.
    pub fn device_dice(&self, purpose: Purpose, ordinal: u64) -> Philox {
        self.dice.draw(self.device.0, purpose, ordinal)
    }
    /// Dice of the lane. (A lane's index is never a device's in the same purpose: purposes are either or.)
    pub fn lane_dice(&self, purpose: Purpose, ordinal: u64) -> Philox {
        self.dice.draw(self.lane.0, purpose, ordinal)
    }
    /// States a fact about this lane.
    pub fn fact(&mut self, what: What) {
        self.out.facts.push(what);
    }
    /// States a failure in words.
    pub fn complain(&mut self, blame: Blame, kind: &'static str, text: impl Into<Box<str>>) {
        self.out.facts.push(What::Complaint { blame, kind, text: text.into() });
    }
    /// Orders something of another lane of this device.
    pub fn order(&mut self, channel: u8, order: Order) {
        self.out.orders.push((channel, Note { order, cause: self.cause }));
    }
    /// Says that what an arrival asked for is done, or given up.
    pub fn ended(&mut self, operation: Operation, outcome: Outcome) {
        self.out.ended.push((operation, outcome));
    }
    /// The device has another identity from now on, or none.
    pub fn adopt(&mut self, identity: Option<Arc<Identity>>) {
        self.out.identity = Some(identity);
    }
}
