//! A keyed permutation of `0..n` that needs no table: the order of devices in a phase, and who is chosen, are
//! functions of the seed.
//!
//! A balanced Feistel network (Luby and Rackoff, 1988) over the next even number of bits, walked until the value falls
//! into the domain (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). The
//! enlarged domain is less than four times `n`, so a walk takes under four steps on average. Not a cipher: it need
//! only look shuffled.

use droves_facts::{Dice, Purpose};

/// Rounds of the network. Four make a pseudorandom permutation; two more cost nothing worth saving.
const ROUNDS: usize = 6;

/// A permutation of `0..n`, both ways in constant time and 56 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permutation {
    keys: [u64; ROUNDS],
    size: u32,
    half_bits: u32,
}

impl Permutation {
    /// The permutation of `0..size` that this draw names.
    pub fn new(dice: Dice, who: u32, purpose: Purpose, ordinal: u64, size: u32) -> Self {
        let mut rng = dice.draw(who, purpose, ordinal);
        let bits = u32::BITS - size.saturating_sub(1).leading_zeros();
        Permutation { keys: std::array::from_fn(|_| rng.u64()), size, half_bits: bits.div_ceil(2).max(1) }
    }

    /// How many values are permuted.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Where `i` goes. For `i` outside the domain, `i` itself.
    pub fn forward(&self, i: u32) -> u32 {
        if i >= self.size {
            return i;
        }
        let mut value = self.network(i, 0..ROUNDS);
        while value >= u64::from(self.size) {
            value = self.network(value as u32, 0..ROUNDS);
        }
        value as u32
    }

    /// What goes to `i`. For `i` outside the domain, `i` itself.
    pub fn backward(&self, i: u32) -> u32 {
        if i >= self.size {
            return i;
        }
        let mut value = self.network_back(i);
        while value >= u64::from(self.size) {
            value = self.network_back(value as u32);
        }
        value as u32
    }

    fn network(&self, value: u32, rounds: std::ops::Range<usize>) -> u64 {
        let (mut left, mut right) = self.halves(value);
        for key in &self.keys[rounds] {
            (left, right) = (right, left ^ self.round(*key, right));
        }
        u64::from(left) << self.half_bits | u64::from(right)
    }

    fn network_back(&self, value: u32) -> u64 {
        let (mut left, mut right) = self.halves(value);
        for key in self.keys.iter().rev() {
            (left, right) = (right ^ self.round(*key, left), left);
        }
        u64::from(left) << self.half_bits | u64::from(right)
    }

    fn halves(&self, value: u32) -> (u32, u32) {
        let mask = (1_u32 << self.half_bits) - 1;
        (((u64::from(value) >> self.half_bits) as u32) & mask, value & mask)
    }

    fn round(&self, key: u64, half: u32) -> u32 {
        let mut x = (u64::from(half) ^ key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((x >> 29) as u32) & ((1_u32 << self.half_bits) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(seed: u64, size: u32) {
        let p = Permutation::new(Dice::new(seed), 0, Purpose::Order, 3, size);
        let mut seen = vec![false; size as usize];
        for i in 0..size {
            let to = p.forward(i);
            assert_eq!(p.backward(to), i);
            assert!(!std::mem::replace(&mut seen[to as usize], true), "{to} twice in {size}");
        }
    }

    proptest! {
        #[test]
        fn each_value_is_met_once(seed: u64, size in 0_u32..3_000) {
            check(seed, size);
        }
    }

    #[test]
    fn edges() {
        for size in [0, 1, 2, 3, 4, 5, 16, 17, 256, 257] {
            check(7, size);
        }
        let huge = Permutation::new(Dice::new(1), 0, Purpose::Order, 0, u32::MAX);
        for i in [0, 1, 77, u32::MAX - 1] {
            assert_eq!(huge.backward(huge.forward(i)), i);
        }
    }

    #[test]
    fn it_looks_shuffled() {
        let p = Permutation::new(Dice::new(1), 0, Purpose::Order, 0, 10_000);
        let in_first_half = (0..5_000).filter(|&i| p.forward(i) < 5_000).count();
        assert!((2_350..2_650).contains(&in_first_half), "{in_first_half}");
        assert!((0..9_999).filter(|&i| p.forward(i) + 1 == p.forward(i + 1)).count() < 10);
    }
}
