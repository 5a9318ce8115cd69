//! An XML property list as a stream of events, whose text is borrowed from the bytes wherever it holds no entity.

use super::{At, Broken, PlistError};
use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use std::borrow::Cow;

/// One step through an XML property list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// `<plist>`, `<dict>` or `<array>` begins.
    Begin(Tag),
    /// It ends.
    End(Tag),
    /// A whole element that holds text: `<key>`, `<string>`, .., also `<true/>`.
    Text(Tag, Cow<'a, str>),
}

/// The elements of the DTD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the element of that name")]
pub enum Tag {
    Plist,
    Dict,
    Array,
    Key,
    String,
    Integer,
    Real,
    True,
    False,
    Date,
    Data,
}

impl Tag {
    fn named(name: &str) -> Option<Tag> {
        Some(match name {
            "plist" => Tag::Plist,
            "dict" => Tag::Dict,
            "array" => Tag::Array,
            "key" => Tag::Key,
            "string" => Tag::String,
            "integer" => Tag::Integer,
            "real" => Tag::Real,
            "true" => Tag::True,
            "false" => Tag::False,
            "date" => Tag::Date,
            "data" => Tag::Data,
            _ => return None,
        })
    }

    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Tag::Plist => "plist",
            Tag::Dict => "dict",
            Tag::Array => "array",
            Tag::Key => "key",
            Tag::String => "string",
            Tag::Integer => "integer",
            Tag::Real => "real",
            Tag::True => "true",
            Tag::False => "false",
            Tag::Date => "date",
            Tag::Data => "data",
        }
    }

    fn holds_elements(self) -> bool {
        matches!(self, Tag::Plist | Tag::Dict | Tag::Array)
    }
}

/// The stream. It checks that elements are those of the DTD and well nested, that no text stands outside of the
/// elements that hold it, and that entities are the five of XML or characters by number; a DTD's own are an error
/// where they are used, so none is ever expanded.
pub struct Events<'a> {
    bytes: &'a [u8],
    reader: Reader<&'a [u8]>,
    /// An empty element of those that hold elements has begun, and is to end.
    pending_end: Option<Tag>,
    before: usize,
}

impl<'a> Events<'a> {
    /// The events of these bytes.
    pub fn new(bytes: &'a [u8]) -> Result<Self, PlistError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|e| PlistError { broken: Broken::Encoding, at: At::line_of(bytes, e.valid_up_to()) })?;
        Ok(Events { bytes, reader: Reader::from_str(text), pending_end: None, before: 0 })
    }

    /// The next one, `None` at the end of the bytes.
    #[expect(clippy::should_implement_trait, reason = "an error ends the stream, which an iterator would not say")]
    pub fn next(&mut self) -> Result<Option<Event<'a>>, PlistError> {
        if let Some(tag) = self.pending_end.take() {
            return Ok(Some(Event::End(tag)));
        }
        loop {
            self.before = self.offset();
            match self.read()? {
                Xml::Start(start) => return self.start(start.name().0).map(Some),
                Xml::Empty(empty) => {
                    let tag = self.tag(empty.name().0)?;
                    if tag.holds_elements() {
                        self.pending_end = Some(tag);
                        return Ok(Some(Event::Begin(tag)));
                    }
                    return Ok(Some(Event::Text(tag, Cow::Borrowed(""))));
                }
                Xml::End(end) => return Ok(Some(Event::End(self.tag(end.name().0)?))),
                Xml::Text(text) if is_blank(&text) => {}
                Xml::Text(_) | Xml::CData(_) | Xml::GeneralRef(_) => return Err(self.error(Broken::StrayText)),
                Xml::Eof => return Ok(None),
                Xml::Comment(_) | Xml::Decl(_) | Xml::PI(_) | Xml::DocType(_) => {}
            }
        }
    }

    /// Where the last event began, in bytes.
    pub fn before(&self) -> usize {
        self.before
    }

    /// Where it ended.
    pub fn offset(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX).min(self.bytes.len())
    }

    /// A broken rule at the last event.
    pub fn error(&self, broken: Broken) -> PlistError {
        PlistError { broken, at: At::line_of(self.bytes, self.before) }
    }

    fn start(&mut self, name: &str) -> Result<Event<'a>, PlistError> {
        let tag = self.tag(name)?;
        if tag.holds_elements() {
            return Ok(Event::Begin(tag));
        }
        let begun = self.before;
        let text = self.text(tag)?;
        self.before = begun;
        Ok(Event::Text(tag, text))
    }

    /// The text up to the end of an element, pieces put together where comments, CDATA or entities part it.
    fn text(&mut self, tag: Tag) -> Result<Cow<'a, str>, PlistError> {
        let mut whole = Cow::Borrowed("");
        loop {
            self.before = self.offset();
            let piece = match self.read()? {
                Xml::Text(text) => text.into_inner(),
                Xml::CData(text) => text.into_inner(),
                Xml::GeneralRef(entity) => {
                    let number = entity.resolve_char_ref().map_err(|_| self.error(Broken::Entity))?;
                    let c = number.or_else(|| predefined(&entity)).ok_or_else(|| self.error(Broken::Entity))?;
                    Cow::Owned(c.to_string())
                }
                Xml::End(_) => return Ok(whole),
                Xml::Start(_) | Xml::Empty(_) => return Err(self.error(Broken::ElementInText(tag.name()))),
                Xml::Eof => return Err(self.error(Broken::Truncated)),
                Xml::Comment(_) | Xml::Decl(_) | Xml::PI(_) | Xml::DocType(_) => continue,
            };
            if whole.is_empty() {
                whole = piece;
            } else {
                whole.to_mut().push_str(&piece);
            }
        }
    }

    fn read(&mut self) -> Result<Xml<'a>, PlistError> {
        self.reader.read_event().map_err(|e| {
            let at = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
            PlistError { broken: Broken::Xml(e.to_string()), at: At::line_of(self.bytes, at) }
        })
    }

    fn tag(&self, name: &str) -> Result<Tag, PlistError> {
        Tag::named(name).ok_or_else(|| self.error(Broken::Element(name.chars().take(40).collect())))
    }
}

#[inline]
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// The five of XML 1.0, section 4.6.
#[inline]
pub(crate) fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}
