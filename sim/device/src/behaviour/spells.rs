//! Spells: something holds for a while, again and again, and when follows from the device's dice and the wall clock alone.
//!
//! Time is cut into intervals, at moments of each device's own, and each of them has one spell, which lies where the dice
//! of that interval say. So of many devices the share is the same at every time.

use droves_facts::{Dur, Philox, Wall};
use std::ops::Range;

/// A share of the time, in `0..=1`, in which something holds, and how long it does so at a stretch. A share that is no
/// number, or a length of nothing, is never.
pub type Spells = (f64, Dur);

/// From when until before when: microseconds of wall time.
pub(super) type Spell = Range<u64>;

/// The interval of such spells; `None` if there are none.
pub(super) fn interval_of((share, length): Spells) -> Option<u64> {
    let is_some = !share.is_nan() && share > 0.0 && length > Dur::ZERO;
    is_some.then(|| length.scaled(1.0 / share.min(1.0)).0.max(length.0))
}

/// Time cut into intervals of one length. Where the cuts are is each device's own: were they the same for all, no spell
/// would lie across them, and all devices would be there at a cut, and away together half an interval later.
#[derive(Clone, Copy)]
pub(super) struct Intervals {
    length: u64,
    /// How long before 1970 the first one began.
    shift: u64,
}

impl Intervals {
    /// Of this length, cut where the device's dice say that were made for this number.
    pub(super) fn cut(length: u64, dice: impl FnOnce(u64) -> Philox) -> Self {
        Intervals { length: length.max(1), shift: dice(CUT).below(length) }
    }

    /// Of this length, the same for all devices, the first from 1970.
    pub(super) fn in_step(length: u64) -> Self {
        Intervals { length: length.max(1), shift: 0 }
    }

    /// The numbers of the interval at this time, of the one before, whose spell may not be over, and of the next.
    pub(super) fn around(self, now: u64) -> Range<u64> {
        let number = now.saturating_add(self.shift) / self.length;
        number.saturating_sub(1)..number.saturating_add(2)
    }

    /// The spell of this length in the interval of this number.
    pub(super) fn place(self, length: Dur, number: u64, dice: &mut Philox) -> Spell {
        let begins = number.saturating_mul(self.length);
        let begins = begins.saturating_add(dice.below(self.length.saturating_sub(length.0) + 1));
        let ends = begins.saturating_add(length.0);
        begins.saturating_sub(self.shift)..ends.saturating_sub(self.shift)
    }
}

/// When the spell ends that holds now.
pub(super) fn ends(spells: &mut dyn Iterator<Item = Spell>, now: u64) -> Option<u64> {
    spells.filter(|spell| spell.contains(&now)).map(|spell| spell.end).max()
}

/// When the next one begins.
pub(super) fn begins(spells: &mut dyn Iterator<Item = Spell>, now: u64) -> Option<u64> {
    spells.map(|spell| spell.start).filter(|start| *start > now).min()
}

pub(super) fn us(wall: Wall) -> u64 {
    u64::try_from(wall.0).unwrap_or(0)
}

pub(super) fn at(us: u64) -> Wall {
    Wall(i64::try_from(us).unwrap_or(i64::MAX))
}

/// In place of an interval's number in what is drawn: no interval has it.
const CUT: u64 = (1 << 56) - 1;
