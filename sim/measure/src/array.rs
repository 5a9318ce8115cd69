//! Arrays of any length on their way to another process: `serde` itself knows them up to 32.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes the values one after another.
pub(crate) fn serialize<T: Serialize, S: Serializer, const N: usize>(
    values: &[T; N],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_seq(values)
}

/// Reads as many as there must be.
pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>, const N: usize>(
    from: D,
) -> Result<[T; N], D::Error> {
    let values = Vec::deserialize(from)?;
    values.try_into().map_err(|values: Vec<T>| D::Error::invalid_length(values.len(), &"an array of another length"))
}
