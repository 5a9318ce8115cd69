//! The other end for load: a server that takes whatever a device says, at the least cost, and can have sessions stay
//! open. It knows nobody, keeps nothing and says nothing of a device's conformance.
//!
//! One process holds no more connections than it may have files open, so it is several: a [`Crew`] of processes that
//! listen at one address, each of which [`serve`]s on a thread of its own. [`alone`] is one on a thread of this process,
//! for whoever measures the generator.

pub mod alone;
mod crew;
mod serve;

pub use crew::{Crew, CrewError};
pub use serve::serve;

use droves_facts::Dur;
use droves_net::listen::Counts;
use droves_wire::plist;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What a sink is told.
#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its certificate and its key, PEM.
    pub identity: String,
    /// Whose certificates devices must show, PEM.
    pub clients: String,
    /// How long each answer is held.
    pub hold: Dur,
    /// Commands for each connection; what is asked for after them is answered with nothing.
    pub commands: u32,
}

/// What a process of a sink is told and tells. First of all, both tell their version.
#[derive(Serialize, Deserialize)]
enum Message {
    /// Of the program.
    Version(String),
    /// To a process: begin.
    Order(u32, Order),
    /// From a process: it listens, and this many connections have room.
    Listens(u64),
    /// From a process: it can't.
    Refused(String),
    /// From a process, ten times a second and at its end.
    Tally(Tally),
}

/// What a sink counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Connections accepted.
    pub accepted: u64,
    /// Of them closed at once for want of room.
    pub turned_away: u64,
    /// Accepts that failed, mostly for want of files.
    pub accept_failed: u64,
    /// Connections without a handshake to its end.
    pub handshake_failed: u64,
    /// Connections on which HTTP could be spoken.
    pub greeted: u64,
    /// Connections open now.
    pub open: u64,
    /// The most that were open at once: of a crew, when its processes last told.
    pub open_max: u64,
    /// Requests read.
    pub requests: u64,
    /// Requests whose body did not come whole.
    pub broken: u64,
    /// Answers held now.
    pub held: u64,
    /// Commands handed out.
    pub commands: u64,
}

impl Tally {
    fn of(counts: Counts, requests: u64, broken: u64, held: u64, commands: u64) -> Self {
        let Counts { accepted, turned_away, accept_failed, handshake_failed, greeted, open, open_max, .. } = counts;
        Tally {
            accepted,
            turned_away,
            accept_failed,
            handshake_failed,
            greeted,
            open,
            open_max,
            requests,
            broken,
            held,
            commands,
        }
    }

    /// Of two processes together. The most that were open at once is not a sum: see [`Crew::tally`].
    fn and(self, other: Tally) -> Tally {
        Tally {
            accepted: self.accepted + other.accepted,
            turned_away: self.turned_away + other.turned_away,
            accept_failed: self.accept_failed + other.accept_failed,
            handshake_failed: self.handshake_failed + other.handshake_failed,
            greeted: self.greeted + other.greeted,
            open: self.open + other.open,
            open_max: self.open_max.max(other.open_max),
            requests: self.requests + other.requests,
            broken: self.broken + other.broken,
            held: self.held + other.held,
            commands: self.commands + other.commands,
        }
    }
}

/// A question that every device can answer.
fn command(uuid: &str) -> Vec<u8> {
    let mut out = Vec::new();
    plist::write(&mut out, |w| {
        w.dict(|w| {
            w.key("Command").dict(|w| {
                w.key("RequestType").string("DeviceInformation");
                w.key("Queries").array(|w| w.string("UDID"));
            });
            w.key("CommandUUID").string(uuid);
        });
    });
    out
}
