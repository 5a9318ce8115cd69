//! The management tree: real state, by nodes that a server names, reads, writes and executes (MS-MDM 2.2.7,
//! OMA-TS-DM-RepPro 1.2).
//!
//! What a device is asked for most (its hardware, its clock) is computed from its dice when it is asked for. What
//! servers write is kept in two places: in [`Base`] what a fleet that was given the same things has in common, in
//! [`Overlay`] what is one device's own. Which nodes there are, and what follows from them, is said by [`super::csp`].

mod carry;
mod change;
mod look;
mod nodes;
mod overlay;
mod place;
mod provision;
mod store;
#[cfg(test)]
pub(super) mod tests;

pub(super) use nodes::{Leaf, Nodes as Base};
pub(super) use overlay::{Overlay, Task, Work};
pub(super) use place::{Place, uri};

use super::csp;
use crate::Ctx;
use droves_facts::{Dur, Wall};
use droves_wire::windows::syncml::Format;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The tree of one device while it is awake.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    base: Arc<Base>,
    own: Overlay,
    /// What was added since the session began: some nodes are not ready in it.
    fresh: BTreeSet<Arc<str>>,
    /// How to take back what the Atomic did that is under way.
    undo: Option<store::Undo>,
}

/// What surrounds a command: the device at this moment.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    /// Clocks, dice, bounds, character and identity.
    pub(super) ctx: &'a Ctx<'a>,
    /// `PROVIDER-ID` of the account, not escaped.
    pub(super) provider: &'a str,
    /// `ADDR` of the account.
    pub(super) address: &'a str,
    /// Name of the credentials by which the device proves who it is (`CLCRED`); empty if there are none.
    pub(super) account: &'a str,
    /// The id of this enrollment, `DeviceID`.
    pub(super) device_id: &'a str,
    /// The id of the hardware, `HWDevID`.
    pub(super) hardware_id: &'a str,
    /// Who is logged in.
    pub(super) login: Login,
    /// The channel at the push service.
    pub(super) channel: Channel<'a>,
    /// How it answers an Atomic that failed.
    pub(super) atomic: Atomic,
    /// Commands of this enrollment before the one that is executed: the ordinal of its delay.
    pub(super) commands: u64,
}

/// Who is logged in, as the alert of that name says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Login {
    /// The user who enrolled.
    User,
    /// Somebody else.
    Others,
    /// Nobody.
    #[default]
    None,
}

/// The channel at the push service, as `Push/ChannelURI` and `Push/Status` show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Channel<'a> {
    /// Its URI, if there is one.
    pub(super) uri: Option<&'a str>,
    /// 0 it works, 1 PFN invalid, 2 device not authenticated, 3 registration failed, 4 no channel, 5 expired.
    pub(super) status: u8,
}

/// How a device answers an Atomic that failed: by the book, or as a recorded one did (fleetdm/fleet#37932).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Atomic {
    /// 507, and 216 for the children that were done and undone.
    #[default]
    Book,
    /// 500, and 200 for those children.
    Thread,
}

/// What came of a command of the server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Executed {
    /// What is answered, in the order of the wire: a group before its children.
    pub(super) said: Vec<Said>,
    /// What it sets off, in order.
    pub(super) effects: Vec<Effect>,
    /// How many commands were refused with 413 because the tree is as large as it may be: the server's fault.
    pub(super) beyond: u32,
}

/// A `Status`, and the `Results` after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Said {
    /// `CmdRef`: the command's id as the server wrote it; empty if it had none.
    pub(super) command: Box<str>,
    /// `Cmd`: the command's name.
    pub(super) name: Box<str>,
    /// `TargetRef`: of which item this is said, where the items of one command fared differently. Such a command has a
    /// status for each item, every other one has one.
    pub(super) target: Option<Box<str>>,
    /// `Data`.
    pub(super) code: u16,
    /// What a `Get` found.
    pub(super) found: Vec<Found>,
    /// How long the device took.
    pub(super) took: Dur,
}

/// A node as a `Get` found it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Its URI as the server wrote it.
    pub(super) uri: Box<str>,
    /// Its format.
    pub(super) format: Format,
    /// Its value; of an interior node the names of its children, escaped and joined by `/`.
    pub(super) value: Arc<str>,
}

/// What a command sets off outside of the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// The schedule is another one: see [`Tree::poll`].
    Poll,
    /// `Push/PFN` was set, to this.
    Pfn(Arc<str>),
    /// Something by which the device proves who it is was set. It counts from the next credentials on.
    Credential(Credential, Arc<str>),
    /// The address of the account was set.
    Address(Arc<str>),
    /// How the certificate is renewed was changed: see [`Tree::renewal`].
    Renewal,
    /// The certificate is to be renewed now.
    RenewNow,
    /// The device leaves: sessions are aborted without a status, and a new one tells so.
    Unenroll,
    /// The device erases itself, once the status is told; `kept` leaves the provisioning, so that it enrolls again.
    Wipe {
        /// Whether the enrollment survives.
        kept: bool,
    },
    /// The device restarts, once the status is told.
    Reboot,
    /// A certificate is to be got by SCEP; what comes of it is told by [`Tree::scep_ended`].
    Scep(Box<Scep>),
}

/// A part of the credentials in `DMAcc/<account>/AppAuth/CLCRED`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Credential {
    /// `AAuthName`.
    Name,
    /// `AAuthSecret`.
    Secret,
    /// `AAuthData`: the next nonce, base64.
    Nonce,
    /// `AAuthType`: `BASIC` or `DIGEST`.
    Kind,
}

/// A certificate that `ClientCertificateInstall/SCEP/<id>/Install/Enroll` asks for.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Scep {
    /// `<id>`, not escaped.
    pub(super) id: Arc<str>,
    /// Whether it is the user's and not the device's.
    pub(super) user: bool,
    /// `ServerURL`: one, or several with semicolons between.
    pub(super) servers: Arc<str>,
    /// `Challenge`.
    pub(super) challenge: Arc<str>,
    /// `SubjectName`.
    pub(super) subject: Arc<str>,
    /// `KeyUsage`: 0x80 signs, 0x20 enciphers keys.
    pub(super) key_usage: u32,
    /// `HashAlgorithm`: families with `+` between; empty if nothing is said.
    pub(super) hashes: Arc<str>,
    /// `CAThumbprint`: SHA-1 of the authority's certificate, hexadecimal; empty if nothing is said.
    pub(super) ca_thumbprint: Arc<str>,
    /// `KeyLength`, bits.
    pub(super) key_bits: u32,
    /// `RetryCount`: how often a pending request is asked for again.
    pub(super) retries: u32,
    /// `RetryDelay`, minutes between.
    pub(super) retry_minutes: u32,
}

/// An alert for package 1 of a session.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Alert {
    /// 1224 or 1226.
    pub(super) code: u16,
    /// `Source/LocURI`: the node that it is about.
    pub(super) source: Option<Box<str>>,
    /// `Meta/Type`.
    pub(super) kind: Box<str>,
    /// `Meta/Format`, its name.
    pub(super) format: Box<str>,
    /// `Meta/Mark`.
    pub(super) mark: Option<Box<str>>,
    /// `Data`.
    pub(super) data: Box<str>,
}

impl Tree {
    /// The tree of a lane that wakes.
    pub(super) fn open(base: &Arc<Base>, own: Overlay) -> Tree {
        Tree { base: Arc::clone(base), own, ..Tree::default() }
    }

    /// What sleeps.
    pub(super) fn fold(self) -> (Arc<Base>, Overlay) {
        (self.base, self.own)
    }

    /// When delayed work ends that the device tells of in a session of its own; none if there is no such work.
    pub(super) fn next_due(&self) -> Option<Wall> {
        self.own.next_due()
    }

    /// A session begins: work that is done by now becomes state. Gives the alerts for its first message; each session
    /// repeats them until the server has taken them.
    pub(super) fn settle(&mut self, scene: &Scene<'_>) -> Vec<Alert> {
        self.fresh.clear();
        csp::install(self, scene);
        csp::declare(self, scene);
        self.own.alerts.iter().cloned().chain(csp::report(self, scene)).collect()
    }

    /// The server has taken the alerts of this session.
    pub(super) fn accepted(&mut self) {
        self.own.alerts.clear();
    }

    /// What came of [`Effect::Scep`]: the certificate's thumbprint, or an HRESULT. The next session tells it.
    pub(super) fn scep_ended(&mut self, id: &str, user: bool, outcome: Result<&str, i32>, scene: &Scene<'_>) {
        csp::scep_ended(self, id, user, outcome, scene);
    }
}
