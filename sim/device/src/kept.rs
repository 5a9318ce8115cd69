//! How a machine's state is kept: a version in the first byte, then the value.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes for the store: a version, then the value.
pub(crate) fn to_bytes<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    // Serialising into a vector fails for no value of ours; an empty one is refused when it is read.
    postcard::to_extend(value, vec![version]).unwrap_or_default()
}

/// What is a lane's own, as the arena and the store keep it: nothing, if there is nothing.
pub(crate) fn own_to_bytes<T: Serialize + Default + PartialEq>(version: u8, own: &T) -> Option<Box<[u8]>> {
    (*own != T::default()).then(|| to_bytes(version, own).into_boxed_slice())
}

/// The same out of those bytes. What can't be read is dropped: the lane then has nothing of its own.
pub(crate) fn own_from_bytes<T: DeserializeOwned + Default>(version: u8, bytes: Option<&[u8]>) -> T {
    bytes.and_then(|bytes| from_bytes("own part", version, bytes).ok()).unwrap_or_default()
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
