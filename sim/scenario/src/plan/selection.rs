//! Whom a phase is about: a deterministic set of lanes with an order, as a function of the seed, without a table.
//!
//! Each population lends an exact number of devices, picked by a keyed permutation of its own; the chosen lanes of all
//! populations are then put in the order of another. Two phases draw apart (the ordinal of both draws is the phase), so
//! that "30 % of the phones" twice is two different thirds.

use super::{Permutation, Roster};
use droves_facts::{DeviceIx, Dice, LaneIx, PhaseIx, PopulationIx, Purpose};

/// Which channels of a device a phase is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Channels {
    /// The device channel.
    #[default]
    Device,
    /// The user channels of a Mac.
    User,
    /// All of them.
    Both,
}

/// A set of lanes, and their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    parts: Vec<Part>,
    order: Permutation,
    devices: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    population: PopulationIx,
    device_first: u32,
    lane_first: u32,
    per_device: u32,
    /// The first channel that is chosen, and how many.
    channel_first: u32,
    channels: u32,
    pick: Permutation,
    count: u32,
    /// Lanes chosen in the parts before this one.
    before: u32,
}

impl Part {
    fn lanes(&self) -> u32 {
        self.count * self.channels
    }
}

impl Selection {
    /// So many devices of each named population. A count above the population's size is taken as its size; a
    /// population named twice counts once, with the first number. `on` says which of its channels.
    pub fn new(
        dice: Dice,
        phase: PhaseIx,
        roster: &Roster,
        wanted: &[(PopulationIx, u32)],
        on: impl Fn(PopulationIx) -> Channels,
    ) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        let (mut devices, mut before) = (0_u32, 0_u32);
        for &(population, count) in wanted {
            let range = roster.devices_of(population);
            let size = range.end - range.start;
            let per_device = roster.lanes_per_device(population);
            let (channel_first, channels) = match on(population) {
                Channels::Device => (0, per_device.min(1)),
                Channels::User => (1, per_device.saturating_sub(1)),
                Channels::Both => (0, per_device),
            };
            let count = count.min(size);
            if count == 0 || channels == 0 || parts.iter().any(|p| p.population == population) {
                continue;
            }
            let pick = Permutation::new(dice, population.0, Purpose::Selection, u64::from(phase.0), size);
            let lane_first = roster.lanes_of(population).start;
            let device_first = range.start;
            let part =
                Part { population, device_first, lane_first, per_device, channel_first, channels, pick, count, before };
            devices += count;
            before += part.lanes();
            parts.push(part);
        }
        let order = Permutation::new(dice, 0, Purpose::Order, u64::from(phase.0), before);
        Selection { parts, order, devices }
    }

    /// Lanes chosen.
    pub fn lanes(&self) -> u32 {
        self.order.size()
    }

    /// Devices chosen.
    pub fn devices(&self) -> u32 {
        self.devices
    }

    /// Populations that lend devices, each with the number of devices it lends.
    pub fn parts(&self) -> impl Iterator<Item = (PopulationIx, u32)> {
        self.parts.iter().map(|p| (p.population, p.count))
    }

    /// The lane at this place of the order; it begins anew after the last one.
    pub fn lane(&self, place: u64) -> Option<LaneIx> {
        let lanes = self.lanes();
        if lanes == 0 {
            return None;
        }
        let at = self.order.forward((place % u64::from(lanes)) as u32);
        let part = self.parts.get(self.parts.partition_point(|p| p.before + p.lanes() <= at))?;
        let offset = at - part.before;
        let device = part.pick.forward(offset / part.channels);
        Some(LaneIx(part.lane_first + device * part.per_device + part.channel_first + offset % part.channels))
    }

    /// The place of a lane in the order; none if it is not chosen.
    pub fn place(&self, lane: LaneIx) -> Option<u32> {
        let part = self.parts.iter().find(|p| {
            let end = p.lane_first + p.pick.size() * p.per_device;
            (p.lane_first..end).contains(&lane.0)
        })?;
        let offset = lane.0 - part.lane_first;
        let channel = (offset % part.per_device).checked_sub(part.channel_first)?;
        let picked = part.pick.backward(offset / part.per_device);
        (channel < part.channels && picked < part.count)
            .then(|| self.order.backward(part.before + picked * part.channels + channel))
    }

    /// Whether this lane is chosen.
    pub fn contains(&self, lane: LaneIx) -> bool {
        self.place(lane).is_some()
    }

    /// Whether any lane of this device is chosen.
    pub fn contains_device(&self, device: DeviceIx) -> bool {
        self.parts.iter().any(|p| {
            device
                .0
                .checked_sub(p.device_first)
                .is_some_and(|offset| offset < p.pick.size() && p.pick.backward(offset) < p.count)
        })
    }

    /// All chosen lanes, in order.
    pub fn iter(&self) -> impl Iterator<Item = LaneIx> + '_ {
        (0..u64::from(self.lanes())).filter_map(|place| self.lane(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exact_counts_each_lane_once_and_places_that_lead_back(
            seed: u64,
            rows in proptest::collection::vec((0_u32..60, 0_u32..3, 0_u32..70), 1..5),
            on in prop_oneof![Just(Channels::Device), Just(Channels::User), Just(Channels::Both)],
        ) {
            let roster = Roster::new(rows.iter().map(|&(devices, users, _)| (devices, users)));
            let wanted: Vec<_> =
                rows.iter().enumerate().map(|(p, &(_, _, count))| (PopulationIx(p as u32), count)).collect();
            let selection = Selection::new(Dice::new(seed), PhaseIx(4), &roster, &wanted, |_| on);
            let lanes: Vec<_> = selection.iter().collect();
            let mut sorted = lanes.clone();
            sorted.sort();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), selection.lanes() as usize);
            for (place, &lane) in lanes.iter().enumerate() {
                prop_assert_eq!(selection.place(lane), Some(place as u32));
                prop_assert!(selection.contains_device(roster.locate(lane).map(|(d, _)| d).unwrap_or_default()));
            }
            for lane in 0..roster.lanes() + 3 {
                prop_assert_eq!(selection.contains(LaneIx(lane)), sorted.binary_search(&LaneIx(lane)).is_ok());
            }
            for (p, &(devices, users, count)) in rows.iter().enumerate() {
                let population = PopulationIx(p as u32);
                let lent = if on == Channels::User && users == 0 { 0 } else { count.min(devices) };
                let found = selection.parts().find(|&(p, _)| p == population).map_or(0, |(_, n)| n);
                prop_assert_eq!(found, lent);
            }
        }
    }

    #[test]
    fn two_phases_choose_apart() {
        let roster = Roster::new([(1_000, 0)]);
        let pick = |phase| {
            let chosen =
                Selection::new(Dice::new(1), PhaseIx(phase), &roster, &[(PopulationIx(0), 300)], |_| Channels::Device);
            (0..1_000).map(move |l| chosen.contains(LaneIx(l))).collect::<Vec<_>>()
        };
        let both = pick(0).iter().zip(pick(1)).filter(|&(&a, b)| a && b).count();
        assert!((60..120).contains(&both), "{both}");
    }
}
