//! UUIDs as devices write them.

use droves_facts::Philox;
use uuid::{Builder, Uuid};

/// An upper-case UUID of random bytes, version 4 (RFC 9562, 5.4).
pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    let uuid = Builder::from_random_bytes(bytes).into_uuid();
    uuid.hyphenated().encode_upper(&mut Uuid::encode_buffer()).to_owned()
}

/// An upper-case UUID that these dice give.
pub(crate) fn drawn_uuid(dice: &mut Philox) -> String {
    uuid(dice.bytes())
}
