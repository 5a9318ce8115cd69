//! How far the running phases have come in one shard: what their ends wait for.

use crate::inbox::Reached;
use droves_facts::{ArrivalFate, CommandKey, CommandStatus, DeviceIx, DeviceState, Fact, LaneIx, PhaseIx, What};
use droves_scenario::plan::{Plan, Roster, Selection};
use droves_shard::Cells;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Counts for the phases that run.
#[derive(Debug)]
pub(crate) struct Tracks {
    plan: Arc<Plan>,
    roster: Arc<Roster>,
    /// Where each device stands; those of other shards stay as they were.
    states: Vec<DeviceState>,
    commands: HashMap<CommandKey, PhaseIx>,
    running: BTreeMap<PhaseIx, Track>,
}

#[derive(Debug)]
struct Track {
    who: Option<Selection>,
    reached: Reached,
    /// Lanes whose command has been answered for good, refused, or can't be.
    settled: HashSet<LaneIx>,
    accepted: HashSet<LaneIx>,
    commands: bool,
}

impl Tracks {
    pub(crate) fn new(plan: Arc<Plan>, roster: Arc<Roster>) -> Self {
        let states = vec![DeviceState::Unenrolled; roster.devices() as usize];
        Tracks { plan, roster, states, commands: HashMap::new(), running: BTreeMap::new() }
    }

    /// The device that a lane belongs to.
    pub(crate) fn device_of(&self, lane: LaneIx) -> DeviceIx {
        self.roster.locate(lane).map_or(DeviceIx(0), |(device, _)| device)
    }

    /// A command that was queued in a phase.
    pub(crate) fn command(&mut self, phase: PhaseIx, command: CommandKey) {
        self.commands.insert(command, phase);
    }

    pub(crate) fn begin(&mut self, phase: PhaseIx) {
        let Some(planned) = self.plan.phases.get(phase.ix()) else { return };
        let who = planned.schedule().map(|schedule| schedule.who.clone());
        let enrolled = who.as_ref().map_or(0, |who| {
            let is_enrolled = |&(_, state): &(usize, &DeviceState)| *state == DeviceState::Enrolled;
            let chosen = |(device, _): (usize, &DeviceState)| who.contains_device(DeviceIx(device as u32));
            self.states.iter().enumerate().filter(is_enrolled).filter(|&d| chosen(d)).count() as u64
        });
        let commands = matches!(planned.action, droves_scenario::plan::Action::Command { .. });
        let reached = Reached { enrolled, ..Reached::default() };
        let track = Track { who, reached, settled: HashSet::new(), accepted: HashSet::new(), commands };
        self.running.insert(phase, track);
    }

    pub(crate) fn end(&mut self, phase: PhaseIx) {
        self.running.remove(&phase);
        self.commands.retain(|_, of| *of != phase);
    }

    /// Counts what a fact says for the phases that run.
    pub(crate) fn take(&mut self, fact: &Fact) {
        match &fact.what {
            What::Device { to, .. } => self.device(fact.lane, *to),
            What::OperationEnded { .. } | What::Arrival { fate: ArrivalFate::Merged | ArrivalFate::Dropped, .. } => {
                if let Some(track) = self.running.get_mut(&fact.phase) {
                    track.reached.done += 1;
                }
            }
            What::Accepted { command, status } if *status != CommandStatus::NotNow => {
                if let Some(track) = self.commands.get(command).and_then(|phase| self.running.get_mut(phase)) {
                    track.reached.accepted += u64::from(track.accepted.insert(fact.lane));
                    track.reached.done += u64::from(track.settled.insert(fact.lane));
                }
            }
            What::CommandRefused { command } => {
                if let Some(track) = self.commands.get(command).and_then(|phase| self.running.get_mut(phase)) {
                    track.reached.done += u64::from(track.settled.insert(fact.lane));
                }
            }
            What::Unreachable => {
                for track in self.running.values_mut().filter(|track| track.commands) {
                    if track.who.as_ref().is_some_and(|who| who.contains(fact.lane)) {
                        track.reached.done += u64::from(track.settled.insert(fact.lane));
                    }
                }
            }
            _ => {}
        }
    }

    fn device(&mut self, lane: LaneIx, to: DeviceState) {
        let device = self.device_of(lane);
        let Some(state) = self.states.get_mut(device.ix()) else { return };
        let (was, is) = (*state == DeviceState::Enrolled, to == DeviceState::Enrolled);
        *state = to;
        if was == is {
            return;
        }
        for track in self.running.values_mut() {
            if track.who.as_ref().is_some_and(|who| who.contains_device(device)) {
                let enrolled = &mut track.reached.enrolled;
                *enrolled = if is { *enrolled + 1 } else { enrolled.saturating_sub(1) };
            }
        }
    }

    /// The devices of a shard that are enrolled.
    pub(crate) fn enrolled(&self, shard: usize, cells: &Cells) -> Vec<DeviceIx> {
        let of_shard = cells.of_shard(shard).flat_map(|(_, devices, _)| devices);
        of_shard.map(DeviceIx).filter(|device| self.states.get(device.ix()) == Some(&DeviceState::Enrolled)).collect()
    }

    /// How far each running phase has come.
    pub(crate) fn reached(&self) -> BTreeMap<PhaseIx, Reached> {
        self.running.iter().map(|(&phase, track)| (phase, track.reached)).collect()
    }
}
