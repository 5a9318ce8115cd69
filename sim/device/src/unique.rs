//! What makes one device's serial number another than every other device's.

use crate::Ctx;

/// Another number for each device of the fleet.
pub(crate) fn number(ctx: &Ctx<'_>) -> u32 {
    // Multiplying by an odd number and adding are permutations of the 32-bit numbers.
    ctx.device.0.wrapping_mul(0x9E37_79B1).wrapping_add(ctx.dice.seed() as u32)
}

/// Such a number in base 36, padded. Seven letters hold each of them.
pub(crate) fn letters(number: u32, count: usize) -> String {
    let mut n = u64::from(number);
    let mut letters = String::with_capacity(count);
    for _ in 0..count {
        letters.push(char::from_digit((n % 36) as u32, 36).unwrap_or('0').to_ascii_uppercase());
        n /= 36;
    }
    letters
}
