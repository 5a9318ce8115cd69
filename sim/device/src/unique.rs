//! What makes one device's serial number another than every other device's, and which devices have another's all the same:
//! clones of one image have the image's.

use crate::Ctx;
use droves_facts::Purpose;
use droves_wire::android::image;

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

/// Whether the device is a clone of an image.
pub(crate) fn is_cloned(ctx: &Ctx<'_>) -> bool {
    ctx.device_dice(Purpose::Hardware, CLONED).unit() < ctx.character.cloned
}

/// The serial number that an Android device has from its image, if it is a clone: there are a few images.
pub(crate) fn serial_of_image(ctx: &Ctx<'_>) -> Option<&'static str> {
    let drawn = || ctx.device_dice(Purpose::Hardware, WHOSE).below(image::SERIALS.len() as u64);
    is_cloned(ctx).then(|| image::SERIALS.get(drawn() as usize).copied()).flatten()
}

/// Places in the numbering of what is drawn about hardware.
const CLONED: u64 = 1 << 32;
const WHOSE: u64 = 3 << 32;
