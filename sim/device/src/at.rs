//! When something is due, as records keep it.

use droves_facts::Wall;
use serde::{Deserialize, Serialize};
use std::num::NonZeroI64;

/// A wall time, or none, in 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct At(Option<NonZeroI64>);

impl At {
    pub(crate) const NEVER: At = At(None);

    pub(crate) fn get(self) -> Option<Wall> {
        self.0.map(|at| Wall(at.get()))
    }
    /// Whether that time has come.
    pub(crate) fn is_due(self, now: Wall) -> bool {
        self.get().is_some_and(|at| at <= now)
    }
}

/// 1970 began without a fleet.
impl From<Wall> for At {
    fn from(at: Wall) -> At {
        At(NonZeroI64::new(at.0))
    }
}

impl From<Option<Wall>> for At {
    fn from(at: Option<Wall>) -> At {
        at.map_or(At::NEVER, At::from)
    }
}
