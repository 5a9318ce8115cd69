//! XML as Windows and its servers exchange it: a bounded reader that goes element by element, and a writer.
//!
//! [`Reader`] builds no tree: who reads a message walks its elements in order and leaves out what it does not know. It
//! promises an error, never a panic and never unbounded memory: bytes, depth, elements and attributes are bounded by
//! [`Limits`](droves_facts::Limits), and entities are not expanded. Names are compared without their prefix, since servers
//! choose prefixes as they like and some forget the namespace.

mod read;
mod write;

#[cfg(test)]
pub(super) mod tests;

pub(super) use read::{Content, Element, Reader};
pub(super) use write::{Attributes, Writer};

use crate::plist::At;

/// A rule of XML or a bound that the bytes break, and where they do.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
#[error("{broken} at {at}")]
pub struct XmlError {
    /// What.
    #[source]
    pub broken: Broken,
    /// Where.
    pub at: At,
}

/// The rules.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Nothing but blanks and comments: no message at all.
    #[error("no element in it")]
    Empty,
    /// More bytes than a body may have.
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
    /// Too many elements.
    #[error("more than {elements_max} elements")]
    TooManyElements {
        /// The bound.
        elements_max: usize,
    },
    /// Too many attributes of one element.
    #[error("more than {attributes_max} attributes of one element")]
    TooManyAttributes {
        /// The bound.
        attributes_max: usize,
    },
    /// Not UTF-8, or said to be something else.
    #[error("text is not utf-8")]
    Encoding,
    /// A character that XML does not have.
    #[error("character that xml does not have")]
    Character,
    /// Not well-formed.
    #[error("not well-formed xml ({0})")]
    Xml(String),
    /// An XML declaration in the middle: data that was not escaped (fleetdm/fleet#16316).
    #[error("xml declaration in the middle of a message")]
    Declaration,
    /// An entity other than the five of XML and characters by number.
    #[error("entity that xml does not have of itself")]
    Entity,
    /// Another element than the one that must stand here.
    #[error("<{found}> where <{wanted}> must be")]
    Element {
        /// What must be.
        wanted: &'static str,
        /// What is.
        found: String,
    },
    /// An element that must be there is not.
    #[error("no <{0}>")]
    Missing(&'static str),
    /// Text where only elements may be.
    #[error("text outside of an element that holds text")]
    StrayText,
    /// An element where only text may be.
    #[error("element inside of text")]
    ElementInText,
    /// The text of this element is not what it must be.
    #[error("<{0}> with a value that it can't have")]
    Value(&'static str),
    /// More after the end.
    #[error("something after the end of the message")]
    Trailing,
    /// The bytes end too early.
    #[error("it ends too early")]
    Truncated,
}
