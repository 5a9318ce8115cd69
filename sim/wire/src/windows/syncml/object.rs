//! Objects that do not fit into one message (OMA-TS-DM-Protocol 1.2, 7): cut into parts, and put together again.
//!
//! Every part but the last says `MoreData`; the first says how large the whole is. The other side acknowledges a part
//! with 213 and asks for the next one with alert 1222.

use super::{Data, Item, Meta};
use droves_facts::Limits;
use std::borrow::Cow;

/// One part of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece<'a> {
    /// What is sent now.
    pub now: &'a str,
    /// What is left.
    pub rest: &'a str,
}

/// As much of a text as takes at most so many bytes when its escapes are written, whole characters only. Room for the
/// largest escape must be there, or nothing fits.
pub fn piece(text: &str, room: usize) -> Piece<'_> {
    let mut written = 0;
    let cut = text.char_indices().find_map(|(at, c)| {
        written += match c {
            '&' | '\r' => "&amp;".len(),
            '<' | '>' => "&lt;".len(),
            // U+FFFD takes the place of what XML does not have.
            '\0'..'\t' | '\x0b' | '\x0c' | '\x0e'..' ' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}'.len_utf8(),
            c => c.len_utf8(),
        };
        (written > room).then_some(at)
    });
    let (now, rest) = text.split_at(cut.unwrap_or(text.len()));
    Piece { now, rest }
}

/// What comes of an item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// A part: to be acknowledged with 213, the next one to be asked for.
    Part,
    /// The last part: the whole object, with the `Meta` of its first part.
    Whole {
        /// `Meta`, without the size.
        meta: Meta<'static>,
        /// All the data.
        data: String,
    },
    /// Nothing of a large object: the item is whole as it is.
    Single,
}

/// Why parts make no object, with the status that says so.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectError {
    /// 413: more than what is taken.
    #[error("object of more than {0} bytes")]
    TooLarge(usize),
    /// 424: the parts are not as large as the first one said.
    #[error("object of {found} bytes that was said to have {said}")]
    Size {
        /// What the first part said.
        said: u64,
        /// What came.
        found: u64,
    },
    /// 411: the first part does not say how large the whole is.
    #[error("first part of an object without its size")]
    NoSize,
    /// Alert 1225: something else came before the last part.
    #[error("end of data missing for an object in parts")]
    NoEnd,
}

impl ObjectError {
    /// The status by which the other side is told; `None` if it is an alert.
    pub fn status(self) -> Option<u16> {
        match self {
            ObjectError::TooLarge(_) => Some(413),
            ObjectError::Size { .. } => Some(424),
            ObjectError::NoSize => Some(411),
            ObjectError::NoEnd => None,
        }
    }
}

/// Puts parts together, one object at a time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Assembly {
    open: Option<Open>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Open {
    /// Of which node.
    uri: String,
    meta: Meta<'static>,
    said: u64,
    data: String,
}

impl Assembly {
    /// Whether parts are missing.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes an item. After an error nothing is open.
    pub fn take(&mut self, item: &Item<'_>, limits: &Limits) -> Result<Progress, ObjectError> {
        let uri = item.target.as_deref().or(item.source.as_deref()).unwrap_or_default();
        let mut open = match self.open.take() {
            Some(open) if open.uri != uri => return Err(ObjectError::NoEnd),
            Some(open) => open,
            None if !item.more => return Ok(Progress::Single),
            None => {
                let said = item.meta.size.ok_or(ObjectError::NoSize)?;
                let meta = Meta { size: None, ..owned(&item.meta) };
                Open { uri: uri.to_owned(), meta, said, data: String::new() }
            }
        };
        let part = item.data.as_ref().map_or("", Data::as_str);
        let size = open.data.len().saturating_add(part.len());
        // What it says of itself is not believed: no room is made before the bytes are there.
        if size > limits.object_bytes_max || open.said > limits.object_bytes_max as u64 {
            return Err(ObjectError::TooLarge(limits.object_bytes_max));
        }
        open.data.push_str(part);
        if item.more {
            self.open = Some(open);
            return Ok(Progress::Part);
        }
        let found = open.data.len() as u64;
        if found != open.said {
            return Err(ObjectError::Size { said: open.said, found });
        }
        Ok(Progress::Whole { meta: open.meta, data: open.data })
    }
}

fn owned(meta: &Meta<'_>) -> Meta<'static> {
    let own = |text: &Option<Cow<'_, str>>| text.as_ref().map(|text| Cow::Owned(text.clone().into_owned()));
    Meta { format: own(&meta.format), kind: own(&meta.kind), mark: own(&meta.mark), size: meta.size }
}
