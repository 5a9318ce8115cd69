//! Who is who: device ↔ lane ↔ population, without a table per device.
//!
//! Populations follow one another in the order of the scenario. Device `d` of a population with `u` channels beside the
//! device channel (a Mac's users, an agent's link and its downloads) has `1 + u` lanes, side by side: that one first.
//!
//! ```text
//! population   phones (users 0)      macs (users 2)
//! device       0     1     2         3           4
//! lane         0     1     2         3  4  5     6  7  8
//! channel      0     0     0         0  1  2     0  1  2
//! ```

use super::Population;
use droves_facts::{DeviceIx, LaneIx, PopulationIx};
use std::ops::Range;

/// The fleet's numbering. Every look-up costs a search among the populations, and nothing per device is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    device_first: u32,
    lane_first: u32,
    devices: u32,
    per_device: u32,
}

impl Roster {
    /// The numbering of populations with so many (devices, user channels a device), in order.
    pub fn new(populations: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let (mut device_first, mut lane_first) = (0_u32, 0_u32);
        let mut rows = Vec::new();
        for (devices, users) in populations {
            let per_device = users.saturating_add(1);
            rows.push(Row { device_first, lane_first, devices, per_device });
            device_first = device_first.saturating_add(devices);
            lane_first = lane_first.saturating_add(devices.saturating_mul(per_device));
        }
        Roster { rows }
    }

    /// The numbering of a plan's populations.
    pub fn of(populations: &[Population]) -> Self {
        Roster::new(populations.iter().map(|p| (p.devices.end - p.devices.start, p.sisters())))
    }

    /// Devices in all.
    pub fn devices(&self) -> u32 {
        self.rows.last().map_or(0, |r| r.device_first.saturating_add(r.devices))
    }

    /// Lanes in all.
    pub fn lanes(&self) -> u32 {
        self.rows.last().map_or(0, |r| r.lane_first.saturating_add(r.devices.saturating_mul(r.per_device)))
    }

    /// Populations in all.
    pub fn populations(&self) -> usize {
        self.rows.len()
    }

    /// Indexes of a population's devices; empty for a population that is none.
    pub fn devices_of(&self, population: PopulationIx) -> Range<u32> {
        self.rows.get(population.ix()).map_or(0..0, |r| r.device_first..r.device_first.saturating_add(r.devices))
    }

    /// Indexes of a population's lanes; empty for a population that is none.
    pub fn lanes_of(&self, population: PopulationIx) -> Range<u32> {
        self.rows
            .get(population.ix())
            .map_or(0..0, |r| r.lane_first..r.lane_first.saturating_add(r.devices.saturating_mul(r.per_device)))
    }

    /// Lanes that each device of a population has; 0 for a population that is none.
    pub fn lanes_per_device(&self, population: PopulationIx) -> u32 {
        self.rows.get(population.ix()).map_or(0, |r| r.per_device)
    }

    /// The population of a device of the fleet.
    pub fn population(&self, device: DeviceIx) -> Option<PopulationIx> {
        let row = self.rows.partition_point(|r| r.device_first.saturating_add(r.devices) <= device.0);
        (row < self.rows.len()).then_some(PopulationIx(row as u32))
    }

    /// The population of a lane of the fleet.
    pub fn population_of_lane(&self, lane: LaneIx) -> Option<PopulationIx> {
        let end = |r: &Row| r.lane_first.saturating_add(r.devices.saturating_mul(r.per_device));
        let row = self.rows.partition_point(|r| end(r) <= lane.0);
        (row < self.rows.len()).then_some(PopulationIx(row as u32))
    }

    /// The lane of a device's channel: 0 is the device channel, 1.. the users'.
    pub fn lane(&self, device: DeviceIx, channel: u32) -> Option<LaneIx> {
        let row = self.rows.get(self.population(device)?.ix())?;
        (channel < row.per_device)
            .then(|| LaneIx(row.lane_first + (device.0 - row.device_first) * row.per_device + channel))
    }

    /// The lanes of a device, the device channel first; empty for a device that is not of the fleet.
    pub fn lanes_of_device(&self, device: DeviceIx) -> Range<u32> {
        self.lane(device, 0).map_or(0..0, |main| {
            let per_device = self.population(device).map_or(0, |p| self.lanes_per_device(p));
            main.0..main.0 + per_device
        })
    }

    /// The device and the channel of a lane of the fleet.
    pub fn locate(&self, lane: LaneIx) -> Option<(DeviceIx, u32)> {
        let row = self.rows.get(self.population_of_lane(lane)?.ix())?;
        let offset = lane.0 - row.lane_first;
        Some((DeviceIx(row.device_first + offset / row.per_device), offset % row.per_device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_drawing_holds() {
        let roster = Roster::new([(3, 0), (2, 2)]);
        assert_eq!((roster.devices(), roster.lanes()), (5, 9));
        assert_eq!(roster.locate(LaneIx(2)), Some((DeviceIx(2), 0)));
        assert_eq!(roster.locate(LaneIx(7)), Some((DeviceIx(4), 1)));
        assert_eq!(roster.locate(LaneIx(9)), None);
        assert_eq!(roster.lane(DeviceIx(4), 2), Some(LaneIx(8)));
        assert_eq!(roster.lane(DeviceIx(1), 1), None);
        assert_eq!(roster.lanes_of_device(DeviceIx(3)), 3..6);
        assert_eq!(roster.lanes_of(PopulationIx(1)), 3..9);
        assert_eq!(Roster::new([]).lanes(), 0);
    }

    proptest! {
        #[test]
        fn every_lane_has_one_place(rows in proptest::collection::vec((0_u32..50, 0_u32..4), 0..8)) {
            let roster = Roster::new(rows);
            let mut next = 0;
            for device in 0..roster.devices() {
                for channel in 0..roster.lanes_of_device(DeviceIx(device)).len() as u32 {
                    let lane = LaneIx(next);
                    prop_assert_eq!(roster.lane(DeviceIx(device), channel), Some(lane));
                    prop_assert_eq!(roster.locate(lane), Some((DeviceIx(device), channel)));
                    prop_assert_eq!(roster.population_of_lane(lane), roster.population(DeviceIx(device)));
                    next += 1;
                }
            }
            prop_assert_eq!(next, roster.lanes());
        }
    }
}
