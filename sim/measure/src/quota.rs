//! When the quota was used up by which a server calls whoever manages its devices.

use droves_facts::{Dur, LaneIx, Mono};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What a ledger knows of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Quota {
    /// Spells without any of it left, one after the other.
    spells: Vec<(Mono, Mono)>,
    /// Lanes about which a server calls.
    lanes: HashSet<LaneIx>,
}

impl Quota {
    /// Nothing is left of it from one time until another.
    pub(crate) fn is_used_up(&mut self, from: Mono, until: Mono) {
        match self.spells.last_mut().filter(|(_, end)| *end >= from) {
            Some((_, end)) => *end = until.max(*end),
            None => self.spells.push((from, until)),
        }
    }

    /// A call about a lane was taken.
    pub(crate) fn called(&mut self, lane: LaneIx) {
        self.lanes.insert(lane);
    }

    /// For how much of this time a call about a lane would have been refused; none where nobody calls about it.
    pub(crate) fn within(&self, lane: LaneIx, from: Mono, to: Mono) -> Option<Dur> {
        let begun = self.spells.partition_point(|(_, end)| *end <= from);
        let spells = self.spells.iter().skip(begun).take_while(|(start, _)| *start < to);
        let in_all = || spells.map(|(start, end)| to.min(*end).since(from.max(*start)).0).sum();
        self.lanes.contains(&lane).then(in_all).map(Dur)
    }

    /// Takes in what another ledger knows of the same quota.
    pub(crate) fn merge(&mut self, other: Quota) {
        self.lanes.extend(other.lanes);
        let mut spells = std::mem::take(&mut self.spells);
        spells.extend(other.spells);
        spells.sort_unstable();
        spells.into_iter().for_each(|(from, until)| self.is_used_up(from, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_of_a_time_is_without_quota() {
        let (mut quota, lane) = (Quota::default(), LaneIx(1));
        quota.called(lane);
        [(10, 20), (30, 40), (35, 50), (60, 70)]
            .iter()
            .for_each(|(from, until)| quota.is_used_up(Mono(*from), Mono(*until)));
        let within = |from, to| quota.within(lane, Mono(from), Mono(to)).map(|dur| dur.0);
        assert_eq!(
            [within(0, 10), within(0, 15), within(12, 18), within(20, 30)],
            [Some(0), Some(5), Some(6), Some(0)]
        );
        assert_eq!([within(0, 100), within(15, 65), within(70, 90)], [Some(40), Some(30), Some(0)]);
        assert_eq!(quota.within(LaneIx(2), Mono(0), Mono(100)), None);
        let before = quota.spells.clone();
        quota.merge(quota.clone());
        assert_eq!(quota.spells, before);
    }
}
