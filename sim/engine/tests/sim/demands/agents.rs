//! What must hold of agents on Android and of their server.

use super::*;
use crate::side::Look;
use droves_device::Order;
use droves_device::android::agent::{Agent, Shared};
use droves_device::tape::{Heard, Record};
use serde_json::Value;

/// The demand that names a server that has another report of a device than the device would make.
pub(crate) const REPORTED: &str = "the server has the report of what the device is like";
/// The demand that names a message that was heard twice, or not at all.
pub(crate) const ONCE: &str = "a message that was acknowledged was heard once";

/// Messages that main lanes have heard of their links.
#[derive(Debug, Default)]
pub(crate) struct Messages(BTreeMap<LaneIx, u64>);

impl Messages {
    /// Counts what is on a tape.
    pub(crate) fn count(&mut self, records: &[Record]) {
        for record in records {
            let Record::Step(step) = record else { continue };
            let Heard::Wake { notes, .. } = &step.heard else { continue };
            let pushed = notes.iter().filter(|note| matches!(note.order, Order::Pushed(_))).count();
            *self.0.entry(step.lane).or_default() += pushed as u64;
        }
    }
}

/// An agent is what its server wants it to be, and the server knows.
pub(super) fn agrees(
    play: &Play<Practice>,
    config: &Config,
    row: Option<&Value>,
    (lane, generation): (LaneIx, Option<u32>),
    shared: &Shared,
) -> Vec<Broken> {
    let Some(row) = row else {
        return vec![Broken::of(
            "the server believes what the device is",
            lane,
            "the server never heard of the device",
        )];
    };
    let world = &play.running.world;
    let mut broken = Vec::new();
    let mut differs = |demand, what: String| broken.push(Broken::of(demand, lane, what));
    let due = row["digest"].as_str().unwrap_or_default();
    let settled = shared.settled().map(hex::encode);
    if settled.as_deref() != Some(due) {
        differs("an agent is like the configuration that is due", format!("it is like {settled:?}, due is {due}"));
    }
    let look = world.looks.get(due).copied().unwrap_or(Look::STOCK);
    let info = &row["info"];
    if row["acknowledged"] != row["digest"] || row["served"] != row["digest"] {
        differs(REPORTED, format!("due is {due}, served {}, acknowledged {}", row["served"], row["acknowledged"]));
    } else if (&info["applications"], &info["kiosk_mode"]) != (&look.applications.into(), &look.kiosk.into()) {
        differs(REPORTED, format!("it is to be {look:?}, reported is {info}"));
    }
    let token = generation.map(|generation| world.registration_token(lane, generation));
    if config.has_fcm && (token.is_none() || info["push_token"].as_str() != token.as_deref()) {
        differs("the server believes what the device is", format!("token {generation:?}, reported is {info}"));
    }
    if generation.is_some_and(|generation| !world.is_registered(lane, generation)) {
        differs("a push to a lane's own token is taken", format!("FCM does not know token {generation:?}"));
    }
    // A device that dozes gives no sign of life, and its link is gone after a while.
    if row["is_connected"] != look.links && !config.dozes() {
        differs("links stand where they are to stand", format!("it is to be {look:?}: {row}"));
    }
    broken
}

/// What the broker has of a message's end is what devices have heard. Of polls an answer may be lost.
pub(super) fn messages(play: &Play<Practice>, rows: &BTreeMap<String, Value>, heard: &Messages) -> Vec<Broken> {
    let world = &play.running.world;
    let truth = world.brain.truth();
    let mut broken = Vec::new();
    for lane in (0..play.config().roster.lanes()).map(LaneIx) {
        let Some(number) = world.agents.number(lane) else { continue };
        let fate = |what: &str| truth["by_enrollment"][number][what].as_u64().unwrap_or_default();
        let (delivered, polled) = (fate("delivered"), fate("polled"));
        let heard = heard.0.get(&lane).copied().unwrap_or_default();
        let is_connected = rows.get(number).is_some_and(|row| row["is_connected"] == true);
        let at_most = if is_connected { delivered + polled } else { u64::MAX };
        if heard < delivered || heard > at_most {
            let text = format!("{heard} were heard, {delivered} acknowledged, {polled} polled");
            broken.push(Broken::of(ONCE, lane, text));
        }
    }
    broken
}

/// Agents that a crash made forget that they had enrolled, and whose server knows them for good.
pub(super) fn unheard(play: &Play<Practice>, config: &Config) -> BTreeSet<LaneIx> {
    let mut unheard = BTreeSet::new();
    for snapshot in play.running.shard.snapshots().iter().filter(|_| !config.crashes.is_empty()) {
        let state = Agent::record_from_bytes(&snapshot.record).map(|record| Agent::state(&record));
        if state.is_ok_and(|state| state != DeviceState::Enrolled) {
            unheard.insert(snapshot.lane);
        }
    }
    unheard
}

/// What lanes of an agent have in common, if it is one's.
pub(super) fn shared(snapshot: &Snapshot) -> Option<Shared> {
    Agent::shared_from_bytes(&snapshot.shared).ok()
}
