//! What clones of one image have in common: numbers that were never set when the image was made, as they are seen in the
//! field. They say nothing of whose device it is.

/// Serial numbers.
pub const SERIALS: [&str; 2] = ["0123456789ABCDEF", "unknown"];

/// IMEI: digits in a row, and the one that checks them (GSMA TS.06).
pub const IMEI: &str = "012345678901237";

/// Whether a serial number is an image's, by which no device is known.
pub fn is_of_image(serial: &str) -> bool {
    SERIALS.contains(&serial)
}
