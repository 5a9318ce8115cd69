//! How far the running phases have come in one shard: what their ends wait for.

use crate::inbox::Reached;
use droves_facts::{ArrivalFate, CommandKey, CommandStatus, DeviceIx, DeviceState, Fact, LaneIx, PhaseIx, What};
use droves_scenario::plan::{Action, Plan, Roster, Selection};
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
    /// Commands that each lane gets in it; 0 where it queues none.
    of_each: u32,
    /// Commands of lanes that have been answered for good, refused, or can't be.
    settled: HashSet<(LaneIx, CommandKey)>,
    /// How many of each lane's are settled.
    settled_of: HashMap<LaneIx, u32>,
    accepted: HashSet<(LaneIx, CommandKey)>,
}

impl Track {
    /// A command of a lane is answered for good, or refused.
    fn settle(&mut self, lane: LaneIx, command: CommandKey) {
        let settled = self.settled_of.entry(lane).or_default();
        if *settled < self.of_each && self.settled.insert((lane, command)) {
            *settled += 1;
            self.reached.done += 1;
        }
    }

    /// None of a lane's commands can be answered any more.
    fn settle_all(&mut self, lane: LaneIx) {
        let settled = self.settled_of.entry(lane).or_default();
        self.reached.done += u64::from(self.of_each - *settled);
        *settled = self.of_each;
    }
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
        let of_each = match &planned.action {
            Action::Command { schedule, command, .. } => schedule.times.unwrap_or(1) * command.parts(),
            _ => 0,
        };
        let reached = Reached { enrolled, ..Reached::default() };
        let track = Track {
            who,
            reached,
            of_each,
            settled: HashSet::new(),
            settled_of: HashMap::new(),
            accepted: HashSet::new(),
        };
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
                    track.reached.accepted += u64::from(track.accepted.insert((fact.lane, *command)));
                    track.settle(fact.lane, *command);
                }
            }
            // Its name may be known only now.
            What::CommandQueued { command, .. } => {
                self.commands.entry(*command).or_insert(fact.phase);
            }
            What::CommandRefused { command } => {
                if let Some(track) = self.commands.get(command).and_then(|phase| self.running.get_mut(phase)) {
                    track.settle(fact.lane, *command);
                }
            }
            What::Unreachable => {
                for track in self.running.values_mut().filter(|track| track.of_each > 0) {
                    if track.who.as_ref().is_some_and(|who| who.contains(fact.lane)) {
                        track.settle_all(fact.lane);
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use droves_facts::Mono;
    use droves_scenario::{Given, load};

    const SCENARIO: &str = "droves: 1
target: { server: practice }
fleet: { populations: { pcs: { platform: windows, count: 2 } } }
phases:
  - command: { who: pcs, nodes: [ { get: ./A }, { get: ./B }, { get: ./C } ] }
";

    /// A device that leaves settles what is left of its commands, and no more.
    #[test]
    fn every_command_of_a_device_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.yaml");
        std::fs::write(&path, SCENARIO).unwrap();
        let plan = Arc::new(load(&path, &Given::default(), |_| None).unwrap().plan);
        assert_eq!(plan.phases[0].planned(), 6);
        let mut tracks = Tracks::new(Arc::clone(&plan), Arc::new(plan.roster()));
        tracks.begin(PhaseIx(0));
        let keys = [1, 2, 3].map(CommandKey);
        keys.iter().for_each(|&key| tracks.command(PhaseIx(0), key));
        let mut take = |lane: u32, what: What| {
            tracks.take(&Fact { at: Mono::ZERO, phase: PhaseIx(0), lane: LaneIx(lane), what });
            let reached = tracks.reached()[&PhaseIx(0)];
            (reached.accepted, reached.done)
        };
        let accepted = |key| What::Accepted { command: key, status: CommandStatus::Acknowledged };
        assert_eq!(take(0, accepted(keys[0])), (1, 1));
        assert_eq!(take(0, accepted(keys[0])), (1, 1));
        assert_eq!(take(0, accepted(keys[1])), (2, 2));
        assert_eq!(take(1, What::CommandRefused { command: keys[0] }), (2, 3));
        assert_eq!(take(1, What::Unreachable), (2, 5));
        assert_eq!(take(1, What::Unreachable), (2, 5));
        assert_eq!(take(0, accepted(keys[2])), (3, 6));
    }
}
