//! Dice with names. A draw is keyed by (seed, device, purpose, natural ordinal), so that a new draw moves no other.

use rand_core::TryRng;
use std::convert::Infallible;

/// What a draw is for. The number is part of the seed's meaning: never renumber, only append.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum Purpose {
    /// UDID, serial number and other facts of the hardware; ordinal 0.
    Hardware = 1,
    /// Push magic of a channel; ordinal = generation of the enrollment.
    Magic = 2,
    /// Which key of the pool; ordinal = generation of the identity.
    Key = 3,
    /// How long a command takes; ordinal = number of the command in the enrollment.
    CommandDelay = 4,
    /// How long after a push the device connects; ordinal = number of the session.
    WakeDelay = 5,
    /// Jitter of a retry; ordinal = number of the try.
    Retry = 6,
    /// Jitter of a check-in; ordinal = number of the arrival.
    CheckIn = 7,
    /// Order of devices in a phase; ordinal = phase.
    Order = 8,
    /// Share of a population that a selector takes; ordinal = phase.
    Selection = 9,
    /// Arrival times of a phase; ordinal = number of the arrival.
    Arrival = 10,
    /// Whether a fault strikes; ordinal = number of the request.
    Fault = 11,
    /// Whether a behaviour (locked, ..) holds; ordinal = number of the interval.
    Behaviour = 12,
    /// What a device holds from the start (apps, certificates, battery, ..); ordinal = number of the item.
    Contents = 13,
    /// Nonces and ids that the protocol wants random; ordinal = number of the message.
    Nonce = 14,
    /// Delay of a push service; ordinal = number of the notification.
    PushDelay = 15,
    /// What a model of a server or of a network does in virtual time; ordinal = number of the request, or connect.
    Model = 16,
    /// How many nodes a numbered profile of Windows policies has; ordinal = its number.
    Profile = 17,
}

/// The run's seed, from which every draw of it comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dice {
    seed: u64,
}

impl Dice {
    /// Dice of a run.
    pub fn new(seed: u64) -> Self {
        Dice { seed }
    }

    /// The run's seed.
    pub fn seed(self) -> u64 {
        self.seed
    }

    /// A stream of numbers for one purpose of one device at one natural ordinal. `who` is a device or lane index, or
    /// 0 where the draw is the run's own.
    pub fn draw(self, who: u32, purpose: Purpose, ordinal: u64) -> Philox {
        Philox::new(self.seed, [purpose as u32, who, ordinal as u32, (ordinal >> 32) as u32])
    }
}

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a function of a key and a
/// counter. The draw's name fills the counter; the block number is mixed into the key, so that a stream is 2^32
/// blocks long and no two names share a block.
#[derive(Clone, Debug)]
pub struct Philox {
    key: [u32; 2],
    counter: [u32; 4],
    block: u32,
    out: [u32; 4],
    used: usize,
}

impl Philox {
    fn new(seed: u64, counter: [u32; 4]) -> Self {
        Philox { key: [seed as u32, (seed >> 32) as u32], counter, block: 0, out: [0; 4], used: 4 }
    }

    /// A number in `0..1`, 53 bits of it drawn.
    pub fn unit(&mut self) -> f64 {
        (self.u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A whole number in `0..n` (Lemire's multiply-shift; the bias is under 2^-32 for the sizes of a fleet); 0 for 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.u64()) * u128::from(n)) >> 64) as u64
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> u32 {
        if self.used == 4 {
            self.out = block([self.key[0], self.key[1] ^ self.block.rotate_left(16)], self.counter);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        let word = self.out[self.used];
        self.used += 1;
        word
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    /// `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for chunk in out.chunks_mut(4) {
            chunk.copy_from_slice(&self.u32().to_le_bytes()[..chunk.len()]);
        }
        out
    }
}

impl TryRng for Philox {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.u32())
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.u64())
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(4) {
            chunk.copy_from_slice(&self.u32().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

fn block(mut key: [u32; 2], mut ctr: [u32; 4]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let low = u64::from(ctr[0]) * 0xD251_1F53;
        let high = u64::from(ctr[2]) * 0xCD9E_8D57;
        ctr = [(high >> 32) as u32 ^ ctr[1] ^ key[0], high as u32, (low >> 32) as u32 ^ ctr[3] ^ key[1], low as u32];
    }
    ctr
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the authors' Random123 distribution (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(block([0, 0], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(block([!0, !0], [!0; 4]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            block([0xa409_3822, 0x299f_31d0], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn a_draw_depends_on_its_name_only() {
        let dice = Dice::new(7);
        let first = dice.draw(3, Purpose::Magic, 1).u64();
        let _other = dice.draw(3, Purpose::Key, 1).u64();
        assert_eq!(dice.draw(3, Purpose::Magic, 1).u64(), first);
        assert_ne!(dice.draw(4, Purpose::Magic, 1).u64(), first);
        assert_ne!(dice.draw(3, Purpose::Magic, 2).u64(), first);
        assert_ne!(Dice::new(8).draw(3, Purpose::Magic, 1).u64(), first);
    }

    #[test]
    fn below_stays_below_and_is_even() {
        let mut rng = Dice::new(1).draw(0, Purpose::Order, 0);
        let mut seen = [0_u32; 10];
        for _ in 0..100_000 {
            seen[rng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (9_500..10_500).contains(&n)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }
}
