//! Who owns which lane. The fleet is cut into 64 *cells*, contiguous ranges of devices with all their lanes; a shard
//! owns every n-th cell, so that each shard has its part of every population.

use droves_facts::{DeviceIx, LaneIx};
use droves_scenario::plan::Roster;
use std::ops::Range;

/// Cells of a fleet, whatever its size; cells of a small fleet may be empty.
pub const CELLS: usize = 64;

/// The cut.
#[derive(Clone, Debug)]
pub struct Cells {
    shards: usize,
    /// First device of each cell, and the end of the last.
    devices: Vec<u32>,
    /// First lane of each cell, and the end of the last.
    lanes: Vec<u32>,
    /// Cells of a lane, with 32 bits behind the point.
    cells_a_lane: u64,
    /// Place of each cell's first device in the arena of its shard.
    device_base: Vec<u32>,
    /// Place of each cell's first lane in the arena of its shard.
    lane_base: Vec<u32>,
}

impl Cells {
    /// Cuts a fleet for so many shards, at least one.
    pub fn new(roster: &Roster, shards: usize) -> Self {
        let shards = shards.clamp(1, CELLS);
        let total = roster.devices();
        let devices: Vec<u32> =
            (0..=CELLS).map(|cell| (u64::from(total) * cell as u64 / CELLS as u64) as u32).collect();
        let lanes: Vec<u32> = devices
            .iter()
            .map(|&d| if d == total { roster.lanes() } else { roster.lanes_of_device(DeviceIx(d)).start })
            .collect();
        let bases = |starts: &[u32]| {
            let mut next = vec![0; shards];
            starts
                .windows(2)
                .enumerate()
                .map(|(cell, range)| {
                    let base = next[cell % shards];
                    next[cell % shards] += range[1] - range[0];
                    base
                })
                .collect()
        };
        let (device_base, lane_base) = (bases(&devices), bases(&lanes));
        let cells_a_lane = ((CELLS as u64) << 32) / u64::from(roster.lanes().max(1));
        Cells { shards, devices, lanes, cells_a_lane, device_base, lane_base }
    }

    /// How many shards the fleet is cut for.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The cell of a lane.
    pub fn cell_of(&self, lane: LaneIx) -> usize {
        // Asked many times for each event. Cells have about as many lanes each: it is near to where it would be if all had.
        let near = u64::from(lane.0).saturating_mul(self.cells_a_lane) >> 32;
        let mut cell = (near as usize).min(CELLS - 1);
        while cell + 1 < CELLS && self.lanes[cell + 1] <= lane.0 {
            cell += 1;
        }
        while self.lanes[cell] > lane.0 {
            cell -= 1;
        }
        cell
    }

    /// The shard that owns a lane.
    pub fn shard_of(&self, lane: LaneIx) -> usize {
        self.cell_of(lane) % self.shards
    }

    /// Cells that a shard owns: each with its devices and its lanes.
    pub fn of_shard(&self, shard: usize) -> impl Iterator<Item = (usize, Range<u32>, Range<u32>)> + '_ {
        (shard..CELLS)
            .step_by(self.shards)
            .map(|cell| (cell, self.devices[cell]..self.devices[cell + 1], self.lanes[cell]..self.lanes[cell + 1]))
    }

    /// Place of a lane in the arena of the shard that owns it.
    pub(crate) fn place(&self, lane: LaneIx) -> usize {
        let cell = self.cell_of(lane);
        (self.lane_base[cell] + (lane.0 - self.lanes[cell])) as usize
    }

    /// Place of a device, given one of its lanes' cell, in the arena of the shard that owns it.
    pub(crate) fn device_place(&self, cell: usize, device: DeviceIx) -> usize {
        (self.device_base[cell] + (device.0 - self.devices[cell])) as usize
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_lane_has_one_place_in_one_shard(a in 0_u32..300, b in 0_u32..300, users in 0_u32..3, shards in 1_usize..5) {
            prop_assume!(a + b > 0);
            let roster = Roster::new([(a, 0), (b, users)]);
            let cells = Cells::new(&roster, shards);
            let mut places = vec![Vec::new(); shards];
            for lane in (0..roster.lanes()).map(LaneIx) {
                let (device, channel) = roster.locate(lane).unwrap();
                let main = roster.lane(device, 0).unwrap();
                prop_assert_eq!(cells.cell_of(lane), cells.cell_of(main), "lanes of one device live in one cell");
                let before = cells.lanes[..CELLS].partition_point(|&start| start <= lane.0);
                prop_assert_eq!(cells.cell_of(lane), before - 1, "the last that begins by then");
                prop_assert_eq!(cells.place(lane), cells.place(main) + channel as usize);
                places[cells.shard_of(lane)].push(cells.place(lane));
            }
            for mut places in places {
                places.sort_unstable();
                prop_assert!(places.iter().enumerate().all(|(n, &place)| n == place));
            }
        }
    }
}
