//! What the machines of a shard hear and answer, for whoever keeps it.

use super::*;
use droves_device::tape::{Heard, Met, Record, Said as Answered, Step};

/// A shard's tape, until somebody takes what is on it.
#[derive(Debug, Default)]
pub(super) struct Tape {
    records: Vec<Record>,
    met: HashSet<LaneIx>,
}

impl<M: Machine> Shard<M> {
    /// From now on keeps a record of what each machine hears and answers. To be called before the first of them is opened.
    pub fn start_tape(&mut self) {
        self.tape.get_or_insert_default();
    }

    /// Gives over what was recorded since the last call, in order.
    pub fn drain_tape(&mut self, records: &mut Vec<Record>) {
        if let Some(tape) = &mut self.tape {
            records.append(&mut tape.records);
        }
    }

    /// A lane is about to be opened.
    pub(super) fn tape_opened(&mut self, lane: LaneIx) {
        if self.tape.is_none() {
            return;
        }
        let (device, channel) = self.locate(lane);
        let device_place = self.config.cells.device_place(self.config.cells.cell_of(lane), device);
        let Slept { record, shared, own } = &self.lanes[self.place(lane)].slept;
        let Device { identity, character } = &self.devices[device_place];
        let Some(tape) = &mut self.tape else { return };
        if tape.met.insert(lane) {
            tape.records.push(Record::Met(Box::new(Met {
                lane,
                device,
                channel,
                character: *character,
                record: M::record_to_bytes(record),
                shared: M::shared_to_bytes(shared),
                own: own.clone(),
                identity: identity.clone(),
            })));
        }
        tape.records.push(Record::Opened(lane));
    }

    /// A sleeping lane is about to get this shared part from a sister.
    pub(super) fn tape_shared(&mut self, lane: LaneIx, shared: &M::Shared) {
        if let Some(tape) = self.tape.as_mut().filter(|tape| tape.met.contains(&lane)) {
            tape.records.push(Record::Shared(lane, M::shared_to_bytes(shared)));
        }
    }

    /// A lane that is awake is about to get this.
    pub(super) fn tape_told(&mut self, lane: LaneIx, shared: &M::Shared) {
        if let Some(tape) = &mut self.tape {
            tape.records.push(Record::Told(lane, M::shared_to_bytes(shared)));
        }
    }
}

impl Tape {
    /// A live lane has heard something, and answered.
    pub(super) fn step<M: Machine>(
        &mut self,
        (lane, clocks, cause): (LaneIx, Clocks, Mono),
        heard: Heard,
        (action, out, machine): (&Action, &Out, &M),
    ) {
        let said = Answered::of(action, out, machine);
        self.records.push(Record::Step(Box::new(Step { lane, clocks, cause, heard, said })));
    }
}
