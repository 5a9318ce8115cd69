//! How a machine's state is kept: a version in the first byte, then the value.

use serde::{Deserialize, Serialize};

/// Bytes for the store: a version, then the value.
pub(crate) fn to_bytes<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    // Serialising into a vector fails for no value of ours; an empty one is refused when it is read.
    postcard::to_extend(value, vec![version]).unwrap_or_default()
}

/// A value out of the store's bytes, all of which must be used up.
pub(crate) fn from_bytes<'a, T: Deserialize<'a>>(what: &str, version: u8, bytes: &'a [u8]) -> Result<T, String> {
    let (&first, rest) = bytes.split_first().ok_or_else(|| format!("{what} is empty"))?;
    if first != version {
        return Err(format!("{what} has version {first}, this program reads version {version}"));
    }
    match postcard::take_from_bytes::<T>(rest) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{what} has {} bytes too many", rest.len())),
        Err(error) => Err(format!("{what} can't be read: {error}")),
    }
}
