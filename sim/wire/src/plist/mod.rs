//! Property lists: a bounded reader for both of Apple's formats, and a writer of the XML one.
//!
//! [`read`] takes a server's (or a device's) bytes, XML or binary by their first bytes, and gives one [`Value`]. It
//! promises an error, never a panic and never unbounded memory: depth, number of values and copied bytes are bounded
//! by [`Limits`], entities are not expanded, and cycles of the binary format are found. [`Events`] is the XML reader's
//! lower half, for those that want a few keys of a message without its tree. [`write()`] lays XML out as Apple's own
//! writer does (CoreFoundation, `CFPropertyList.c`; the DTD `PropertyList-1.0.dtd`).

mod binary;
pub mod date;
mod error;
mod events;
mod value;
mod write;
mod xml;

#[cfg(test)]
mod tests;

pub use date::format as date;
pub use error::{At, Broken, PlistError};
pub use events::{Event, Events, Tag};
pub use value::{Dict, Value};
pub use write::{Node, Writer, write, write_value};

pub(crate) use events::{is_blank, predefined};
pub(crate) use write::escape;

use droves_facts::Limits;

/// Reads a property list, XML or binary.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Value, PlistError> {
    if bytes.len() > limits.body_bytes_max {
        return Err(PlistError { broken: Broken::TooLarge { bytes_max: limits.body_bytes_max }, at: At::Offset(0) });
    }
    if bytes.starts_with(b"bplist") { binary::read(bytes, limits) } else { xml::read(bytes, limits) }
}

/// What a fuzzer drives: reads, and what could be read is written and read again.
pub fn target(bytes: &[u8]) {
    let limits = Limits { body_bytes_max: 1 << 20, plist_values_max: 10_000, ..Limits::default() };
    if let Ok(value) = read(bytes, &limits) {
        let mut out = Vec::new();
        write_value(&mut out, &value);
        let again = read(&out, &Limits { body_bytes_max: usize::MAX, ..limits });
        assert!(again.is_ok(), "our own writing is not readable: {again:?}");
    }
}

/// The deepest tree that is built whatever the limits say: dropping and writing a tree recurse, and this much is safe
/// on the smallest stack that a test thread has.
const DEPTH_CAP: usize = 256;

/// What is left of the bounds while one list is read.
struct Budget {
    depth_max: usize,
    values: usize,
    values_max: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        Budget {
            depth_max: limits.plist_depth_max.min(DEPTH_CAP),
            values: 0,
            values_max: limits.plist_values_max,
            bytes: 0,
            bytes_max: limits.body_bytes_max,
        }
    }

    /// One more value at this depth (the root is at 1), with this many bytes copied for it.
    fn value(&mut self, depth: usize, bytes: usize) -> Result<(), Broken> {
        self.values += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if depth > self.depth_max {
            Err(Broken::TooDeep { depth_max: self.depth_max })
        } else if self.values > self.values_max {
            Err(Broken::TooManyValues { values_max: self.values_max })
        } else if self.bytes > self.bytes_max {
            Err(Broken::TooLarge { bytes_max: self.bytes_max })
        } else {
            Ok(())
        }
    }
}
