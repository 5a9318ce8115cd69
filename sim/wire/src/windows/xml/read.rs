//! The reader.

use super::{Broken, XmlError};
use crate::plist::{At, is_blank, predefined};
use droves_facts::Limits;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::{Reader as Events, XmlVersion};
use std::borrow::Cow;

/// Walks a document. Whoever gets an element from [`Reader::child`] reads it to its end before the next one: with
/// children of its own, [`Reader::text`], [`Reader::content`] or [`Reader::skip`].
pub(in crate::windows) struct Reader<'a> {
    source: &'a str,
    events: Events<&'a [u8]>,
    /// Elements that are open.
    depth: usize,
    /// The last one was empty, and is to end.
    pending_end: bool,
    elements: usize,
    /// Where the last step began.
    before: usize,
    depth_max: usize,
    elements_max: usize,
    attributes_max: usize,
}

/// An element's start tag.
pub(in crate::windows) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// Its name without a prefix.
    pub(in crate::windows) fn name(&self) -> &str {
        local(self.0.name().0)
    }

    /// Its name, to be compared without regard to case.
    pub(in crate::windows) fn folded(&self) -> String {
        self.name().to_ascii_lowercase()
    }

    /// An attribute, its name compared without a prefix.
    pub(in crate::windows) fn attribute(&self, name: &str) -> Option<String> {
        // They were read once when the element began, so all of them are good.
        let found = self.0.attributes().flatten().find(|attribute| local(attribute.key.0) == name)?;
        attribute_value(&found).map(Cow::into_owned)
    }
}

/// What an element holds that may hold text or markup.
pub(in crate::windows) enum Content<'a> {
    /// Text, its escapes and CDATA resolved.
    Text(Cow<'a, str>),
    /// Elements, as they stand in the source.
    Markup(&'a str),
}

enum Step<'a> {
    Begin(Element<'a>),
    End,
    Text(Cow<'a, str>),
}

impl<'a> Reader<'a> {
    /// Before the document's only element.
    pub(in crate::windows) fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        let bytes_max = limits.body_bytes_max;
        let start = At::Line { line: 1, column: 1 };
        if bytes.len() > bytes_max {
            return Err(XmlError { broken: Broken::TooLarge { bytes_max }, at: start });
        }
        let source = std::str::from_utf8(bytes)
            .map_err(|e| XmlError { broken: Broken::Encoding, at: At::line_of(bytes, e.valid_up_to()) })?;
        if let Some((at, _)) = source.char_indices().find(|&(_, c)| !is_character(c)) {
            return Err(XmlError { broken: Broken::Character, at: At::line_of(bytes, at) });
        }
        Ok(Reader {
            source,
            events: Events::from_str(source),
            depth: 0,
            pending_end: false,
            elements: 0,
            before: 0,
            depth_max: limits.xml_depth_max.min(DEPTH_CAP),
            elements_max: limits.xml_elements_max,
            attributes_max: limits.xml_attributes_max,
        })
    }

    /// The document's element, which must have this name. Blank lines before a declaration are let pass: servers send
    /// them.
    pub(in crate::windows) fn root(&mut self, wanted: &'static str) -> Result<Element<'a>, XmlError> {
        loop {
            self.before = self.offset();
            match self.read()? {
                Event::Decl(declaration) => self.declaration(&declaration)?,
                Event::Text(text) if is_blank(&text) => {}
                Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
                Event::Start(start) => return self.wanted(start, wanted),
                Event::Empty(start) => {
                    self.pending_end = true;
                    return self.wanted(start, wanted);
                }
                Event::Eof => return Err(self.error(Broken::Empty)),
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) | Event::End(_) => {
                    return Err(self.error(Broken::StrayText));
                }
            }
        }
    }

    /// The next element inside of the one that is open; `None` at its end.
    pub(in crate::windows) fn child(&mut self) -> Result<Option<Element<'a>>, XmlError> {
        loop {
            match self.step()? {
                Step::Begin(element) => return Ok(Some(element)),
                Step::End => return Ok(None),
                Step::Text(text) if is_blank(&text) => {}
                Step::Text(_) => return Err(self.error(Broken::StrayText)),
            }
        }
    }

    /// The next element, which must be there and have this name.
    pub(in crate::windows) fn expect(&mut self, wanted: &'static str) -> Result<(), XmlError> {
        match self.child()? {
            Some(child) if child.name() == wanted => Ok(()),
            Some(child) => Err(self.error(Broken::Element { wanted, found: cut(child.name()) })),
            None => Err(self.error(Broken::Missing(wanted))),
        }
    }

    /// The text of the element that is open, to its end.
    pub(in crate::windows) fn text(&mut self) -> Result<Cow<'a, str>, XmlError> {
        match self.content()? {
            Content::Text(text) => Ok(text),
            Content::Markup(_) => Err(self.error(Broken::ElementInText)),
        }
    }

    /// The same, without blanks around it.
    pub(in crate::windows) fn word(&mut self) -> Result<Cow<'a, str>, XmlError> {
        self.text().map(trimmed)
    }

    /// The same, as a number.
    pub(in crate::windows) fn number<N: std::str::FromStr>(&mut self, name: &'static str) -> Result<N, XmlError> {
        let word = self.word()?;
        word.parse().map_err(|_| self.error(Broken::Value(name)))
    }

    /// The text or the elements of the element that is open, to its end.
    pub(in crate::windows) fn content(&mut self) -> Result<Content<'a>, XmlError> {
        let begun = self.offset();
        let mut whole = Cow::Borrowed("");
        loop {
            match self.step()? {
                Step::End => return Ok(Content::Text(whole)),
                Step::Text(text) if whole.is_empty() => whole = text,
                Step::Text(text) => whole.to_mut().push_str(&text),
                Step::Begin(_) => {
                    self.skip()?;
                    self.skip()?;
                    return Ok(Content::Markup(self.source.get(begun..self.before).unwrap_or_default()));
                }
            }
        }
    }

    /// The first text of each of these names, however deep in the element that is open; all else in it is passed over.
    pub(in crate::windows) fn find<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> Result<[Option<Cow<'a, str>>; N], XmlError> {
        let inside = self.depth;
        let mut found = [const { None }; N];
        while self.depth >= inside {
            let Step::Begin(element) = self.step()? else { continue };
            let wanted = names.iter().position(|name| element.name().eq_ignore_ascii_case(name));
            if let Some(slot) = wanted.and_then(|n| found.get_mut(n)).filter(|slot| slot.is_none())
                && let Content::Text(text) = self.content()?
            {
                *slot = Some(trimmed(text));
            }
        }
        Ok(found)
    }

    /// Leaves the element that is open, whatever is in it.
    pub(in crate::windows) fn skip(&mut self) -> Result<(), XmlError> {
        let inside = self.depth;
        while self.depth >= inside {
            self.step()?;
        }
        Ok(())
    }

    /// Whether nothing follows the document's element.
    pub(in crate::windows) fn finish(&mut self) -> Result<(), XmlError> {
        loop {
            self.before = self.offset();
            match self.read()? {
                Event::Eof => return Ok(()),
                Event::Text(text) if is_blank(&text) => {}
                Event::Comment(_) | Event::PI(_) => {}
                _ => return Err(self.error(Broken::Trailing)),
            }
        }
    }

    /// A broken rule at the last step.
    pub(in crate::windows) fn error(&self, broken: Broken) -> XmlError {
        XmlError { broken, at: At::line_of(self.source.as_bytes(), self.before) }
    }

    fn step(&mut self) -> Result<Step<'a>, XmlError> {
        if std::mem::take(&mut self.pending_end) {
            self.depth -= 1;
            return Ok(Step::End);
        }
        loop {
            self.before = self.offset();
            return Ok(match self.read()? {
                Event::Start(start) => Step::Begin(self.begin(start)?),
                Event::Empty(start) => {
                    self.pending_end = true;
                    Step::Begin(self.begin(start)?)
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    Step::End
                }
                Event::Text(text) => Step::Text(text.xml10_content()),
                Event::CData(text) => Step::Text(text.xml10_content()),
                Event::GeneralRef(entity) => {
                    let number = entity.resolve_char_ref().map_err(|_| self.error(Broken::Entity))?;
                    let c = number.or_else(|| predefined(&entity)).filter(|&c| is_character(c));
                    let c = c.ok_or_else(|| self.error(Broken::Entity))?;
                    Step::Text(Cow::Owned(c.to_string()))
                }
                Event::Eof => return Err(self.error(Broken::Truncated)),
                Event::Decl(_) => return Err(self.error(Broken::Declaration)),
                Event::Comment(_) | Event::PI(_) => continue,
                Event::DocType(_) => return Err(self.error(Broken::Xml("document type in the middle".to_owned()))),
            });
        }
    }

    fn begin(&mut self, start: BytesStart<'a>) -> Result<Element<'a>, XmlError> {
        self.depth += 1;
        self.elements += 1;
        if self.depth > self.depth_max {
            return Err(self.error(Broken::TooDeep { depth_max: self.depth_max }));
        }
        if self.elements > self.elements_max {
            return Err(self.error(Broken::TooManyElements { elements_max: self.elements_max }));
        }
        if !is_name(start.name().0) {
            return Err(self.error(Broken::Xml(format!("`{}` is no name", cut(start.name().0)))));
        }
        for (n, attribute) in start.attributes().enumerate() {
            if n == self.attributes_max {
                return Err(self.error(Broken::TooManyAttributes { attributes_max: self.attributes_max }));
            }
            let attribute = attribute.map_err(|e| self.error(Broken::Xml(e.to_string())))?;
            if !is_name(attribute.key.0) || attribute_value(&attribute).is_none() {
                return Err(self.error(Broken::Xml(format!("attribute `{}`", cut(attribute.key.0)))));
            }
        }
        Ok(Element(start))
    }

    fn wanted(&mut self, start: BytesStart<'a>, wanted: &'static str) -> Result<Element<'a>, XmlError> {
        let element = self.begin(start)?;
        if !element.name().eq_ignore_ascii_case(wanted) {
            return Err(self.error(Broken::Element { wanted, found: cut(element.name()) }));
        }
        Ok(element)
    }

    /// A message that says that it is in another encoding than that of its bytes is refused, as XML readers do.
    fn declaration(&self, declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(said)) if said.eq_ignore_ascii_case("utf-8") || said.eq_ignore_ascii_case("us-ascii") => Ok(()),
            Some(Ok(_)) => Err(self.error(Broken::Encoding)),
            Some(Err(e)) => Err(self.error(Broken::Xml(e.to_string()))),
        }
    }

    fn read(&mut self) -> Result<Event<'a>, XmlError> {
        self.events.read_event().map_err(|e| {
            let at = usize::try_from(self.events.error_position()).unwrap_or(usize::MAX);
            XmlError { broken: Broken::Xml(e.to_string()), at: At::line_of(self.source.as_bytes(), at) }
        })
    }

    fn offset(&self) -> usize {
        usize::try_from(self.events.buffer_position()).unwrap_or(usize::MAX).min(self.source.len())
    }
}

/// Whoever reads nested commands recurses, and this much is safe on the smallest stack that a test thread has.
const DEPTH_CAP: usize = 64;

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The characters of XML 1.0, section 2.2; the library lets all pass.
fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// The library takes for a name what stands before a blank: `<algorithmOIDReferencexsi:nil="true"/>` would be one.
fn is_name(name: &str) -> bool {
    !local(name).is_empty()
        && !name.contains(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-.:".contains(c))
}

fn attribute_value<'a>(attribute: &Attribute<'a>) -> Option<Cow<'a, str>> {
    attribute.normalized_value(XmlVersion::Implicit1_0).ok()
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
        Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_owned()),
    }
}

fn cut(name: &str) -> String {
    name.chars().take(40).collect()
}
