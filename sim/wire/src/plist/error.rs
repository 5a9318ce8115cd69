//! Why bytes are not a property list, and where.

use std::fmt;

/// A rule of the format, or a bound, that the bytes break, and where they do.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
#[error("{broken} at {at}")]
pub struct PlistError {
    /// What.
    #[source]
    pub broken: Broken,
    /// Where.
    pub at: At,
}

/// A place in the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// In XML: both count from 1, columns in bytes.
    Line {
        /// Line.
        line: u32,
        /// Column.
        column: u32,
    },
    /// In the binary format: bytes from the start.
    Offset(u64),
}

impl At {
    /// The line and column of an offset in a text.
    pub(crate) fn line_of(bytes: &[u8], offset: usize) -> At {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
        let capped = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        At::Line { line: capped(line), column: capped(column) }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Line { line, column } => write!(f, "line {line}, column {column}"),
            At::Offset(offset) => write!(f, "byte {offset}"),
        }
    }
}

/// The rules.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// There is no byte, or nothing but blanks and comments.
    #[error("no property list in it")]
    Empty,
    /// Larger than a body may be, or it grows so when shared parts are copied.
    #[error("more than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// Nested too deep.
    #[error("nested deeper than {depth_max}")]
    TooDeep {
        /// The bound.
        depth_max: usize,
    },
    /// Too many values.
    #[error("more than {values_max} values")]
    TooManyValues {
        /// The bound.
        values_max: usize,
    },
    /// Not UTF-8.
    #[error("text is not utf-8")]
    Encoding,
    /// Not well-formed XML.
    #[error("not well-formed xml ({0})")]
    Xml(String),
    /// An entity other than the five of XML and characters by number.
    #[error("entity that a property list does not have")]
    Entity,
    /// An element that a property list does not have.
    #[error("element <{0}> that a property list does not have")]
    Element(String),
    /// Text where only elements may be.
    #[error("text outside of an element that holds text")]
    StrayText,
    /// An element inside one that holds text.
    #[error("element inside of <{0}>")]
    ElementInText(&'static str),
    /// A dictionary's value without a key before it.
    #[error("value without a key")]
    ValueWithoutKey,
    /// A key without a value behind it, or outside of a dictionary.
    #[error("key without a value")]
    KeyWithoutValue,
    /// More after the end.
    #[error("something after the end of the property list")]
    Trailing,
    /// The bytes end too early.
    #[error("it ends too early")]
    Truncated,
    /// A whole number that is none, or that 64 bits don't hold.
    #[error("not an integer of 64 bits")]
    Integer,
    /// A real that is none.
    #[error("not a real number")]
    Real,
    /// A date that is none.
    #[error("not a date")]
    Date,
    /// Data that is not base64.
    #[error("not base64")]
    Data,
    /// Binary: a version other than 00.
    #[error("version of the binary format that is not 00")]
    Version,
    /// Binary: the trailer contradicts the file.
    #[error("trailer that does not fit the file")]
    Trailer,
    /// Binary: a reference to an object that is not there.
    #[error("reference to an object that is not there")]
    Reference,
    /// Binary: an object that contains itself.
    #[error("object that contains itself")]
    Cycle,
    /// Binary: a type of object that property lists of messages don't have.
    #[error("object of type 0x{0:02x} that a message does not have")]
    Type(u8),
    /// Binary: a dictionary's key is not a string.
    #[error("key that is not a string")]
    Key,
}
