//! Lanes on their way to the disk, for whoever makes many at once and may wait: a slow disk must not fill the memory.

use crate::fleet::{Fleet, FleetError};
use crate::writer::Writer;
use droves_facts::LaneIx;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Lanes under way at a time.
const UNDER_WAY_MAX: u32 = 4_096;

/// What is under way, and what has landed.
#[derive(Debug, Default)]
pub struct Landing {
    state: Mutex<State>,
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    under_way: u32,
    landed: u32,
    trouble: Option<String>,
}

impl Landing {
    /// Begins a fleet's writer, of which this keeps count.
    pub fn of(fleet: Fleet) -> Result<(Writer, Arc<Self>), FleetError> {
        let landing = Arc::new(Landing::default());
        let heard = Arc::clone(&landing);
        let writer = fleet.writer(Box::new(move |lane, ticket, result| heard.arrived(lane, ticket, result)))?;
        Ok((writer, landing))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane leaves; waits for room.
    pub fn leaves(&self) {
        let full = |state: &mut State| state.under_way >= UNDER_WAY_MAX;
        self.room.wait_while(self.state(), full).unwrap_or_else(PoisonError::into_inner).under_way += 1;
    }

    /// Waits until nothing is under way.
    pub fn wait(&self) {
        drop(self.room.wait_while(self.state(), |state| state.under_way > 0));
    }

    fn arrived(&self, lane: LaneIx, ticket: u32, result: Result<(), String>) {
        let mut state = self.state();
        state.under_way -= 1;
        match result {
            Ok(()) => state.landed += ticket,
            Err(why) => {
                state.trouble.get_or_insert(format!("lane {lane} could not be saved: {why}"));
            }
        }
        drop(state);
        self.room.notify_one();
    }

    /// The sum of the tickets of what is on the disk.
    pub fn landed(&self) -> u32 {
        self.state().landed
    }

    /// The first thing that is not on the disk, and why.
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }
}
