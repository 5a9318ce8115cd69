//! The writer: one line, no declaration, as Windows writes; a server's declaration and indentation are its own affair.

use crate::plist::escape;

/// Appends to a buffer.
pub(in crate::windows) struct Writer<'a> {
    pub(in crate::windows) out: &'a mut Vec<u8>,
}

/// Attributes of a start tag, in order.
pub(in crate::windows) type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Writer<'_> {
    /// An element around what `contents` writes.
    pub(in crate::windows) fn element(
        &mut self,
        name: &str,
        attributes: Attributes<'_>,
        contents: impl FnOnce(&mut Writer<'_>),
    ) {
        self.start(name, attributes);
        contents(self);
        self.end(name);
    }

    /// A start tag, for those who cannot nest calls as the elements are nested; [`Writer::end`] is theirs to call.
    pub(in crate::windows) fn start(&mut self, name: &str, attributes: Attributes<'_>) {
        self.begin(name, attributes);
        self.raw(">");
    }

    /// An element around text.
    pub(in crate::windows) fn text(&mut self, name: &str, text: &str) {
        self.text_with(name, &[], text);
    }

    /// An element with attributes around text.
    pub(in crate::windows) fn text_with(&mut self, name: &str, attributes: Attributes<'_>, text: &str) {
        self.element(name, attributes, |w| escape(w.out, text));
    }

    /// An element around text, if there is one.
    pub(in crate::windows) fn maybe(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// An element around a whole number.
    pub(in crate::windows) fn number(&mut self, name: &str, n: u64) {
        self.text(name, &n.to_string());
    }

    /// An empty element.
    pub(in crate::windows) fn empty(&mut self, name: &str, attributes: Attributes<'_>) {
        self.begin(name, attributes);
        self.raw("/>");
    }

    /// What is XML already.
    pub(in crate::windows) fn raw(&mut self, markup: &str) {
        self.out.extend_from_slice(markup.as_bytes());
    }

    /// A start tag whose `>` is to follow.
    fn begin(&mut self, name: &str, attributes: Attributes<'_>) {
        self.raw("<");
        self.raw(name);
        for (name, value) in attributes {
            self.raw(" ");
            self.raw(name);
            self.raw("=\"");
            self.attribute_value(value);
            self.raw("\"");
        }
    }

    /// An end tag.
    pub(in crate::windows) fn end(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    /// Beside what text escapes: the quote, and the blanks of which readers make a space in an attribute.
    fn attribute_value(&mut self, value: &str) {
        for piece in value.split_inclusive(['"', '\t', '\n']) {
            let escaped = match piece.as_bytes().last() {
                Some(b'"') => "&quot;",
                Some(b'\t') => "&#9;",
                Some(b'\n') => "&#10;",
                _ => "",
            };
            escape(self.out, piece.trim_end_matches(['"', '\t', '\n']));
            self.raw(escaped);
        }
    }
}
