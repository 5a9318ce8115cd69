//! The XML format written as CoreFoundation's writer lays it out (`CFPropertyList.c`): tabs, one element a line,
//! base64 in lines that get shorter with the depth, `%.17g` reals.
//!
//! Apple's writer sorts the keys of a dictionary; ours writes what it is told, in that order.

use super::{Dict, Value, date};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::Wall;
use std::io::Write;

/// Writes a whole property list: header, what `root` pushes (exactly one value), footer.
pub fn write(out: &mut Vec<u8>, root: impl FnOnce(&mut Writer<'_>)) {
    out.extend_from_slice(HEADER);
    root(&mut Writer { out, depth: 0 });
    out.extend_from_slice(b"</plist>\n");
}

/// Writes a tree that was read.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    write(out, |w| w.value(value));
}

/// Pushes values. In a dictionary each value follows its [`Writer::key`].
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

/// A value to be written, borrowed: what [`Value`] is for reading.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Node<'a> {
    /// Pairs.
    Dict(&'a [(&'a str, Node<'a>)]),
    /// Values in order.
    Array(&'a [Node<'a>]),
    /// Texts in order.
    Strings(&'a [&'a str]),
    /// Text.
    String(&'a str),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// A point in time.
    Date(Wall),
    /// Bytes.
    Data(&'a [u8]),
    /// A tree that was read.
    Value(&'a Value),
}

impl Writer<'_> {
    /// A dictionary, whose pairs `pairs` pushes.
    pub fn dict(&mut self, pairs: impl FnOnce(&mut Writer<'_>)) {
        self.container("dict", pairs);
    }

    /// An array, whose values `values` pushes.
    pub fn array(&mut self, values: impl FnOnce(&mut Writer<'_>)) {
        self.container("array", values);
    }

    /// The key of the value that follows.
    pub fn key(&mut self, key: &str) -> &mut Self {
        self.text("key", key);
        self
    }

    /// A pair, if there is a value for it.
    pub fn maybe(&mut self, key: &str, node: Option<Node<'_>>) {
        if let Some(node) = node {
            self.key(key).node(node);
        }
    }

    /// Text. What XML can't carry (control characters) becomes U+FFFD.
    pub fn string(&mut self, text: &str) {
        self.text("string", text);
    }

    /// A whole number.
    pub fn integer(&mut self, n: i64) {
        self.number("integer", format_args!("{n}"));
    }

    /// A whole number without a sign.
    pub fn unsigned(&mut self, n: u64) {
        self.number("integer", format_args!("{n}"));
    }

    /// A number with a fraction.
    pub fn real(&mut self, x: f64) {
        self.number("real", format_args!("{}", general(x)));
    }

    /// True or false.
    pub fn bool(&mut self, b: bool) {
        self.indent();
        self.out.extend_from_slice(if b { b"<true/>\n" } else { b"<false/>\n" });
    }

    /// A point in time, cut to whole seconds.
    pub fn date(&mut self, at: Wall) {
        self.number("date", format_args!("{}", date::format(at)));
    }

    /// Bytes.
    pub fn data(&mut self, bytes: &[u8]) {
        self.indent();
        self.out.extend_from_slice(b"<data>\n");
        let width = DATA_COLUMNS_MAX - TAB_COLUMNS * self.depth.min(8);
        for line in bytes.chunks(width / 4 * 3) {
            self.indent();
            let start = self.out.len();
            self.out.resize(start + line.len().div_ceil(3) * 4, 0);
            // The room is exact, so this does not fail.
            let written = self.out.get_mut(start..).and_then(|room| STANDARD.encode_slice(line, room).ok());
            self.out.truncate(start + written.unwrap_or(0));
            self.out.push(b'\n');
        }
        self.indent();
        self.out.extend_from_slice(b"</data>\n");
    }

    /// A tree that was read.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Dict(dict) => self.dict(|w| w.pairs(dict)),
            Value::Array(array) => self.array(|w| array.iter().for_each(|value| w.value(value))),
            Value::String(text) => self.string(text),
            Value::Integer(n) => self.integer(*n),
            Value::Unsigned(n) => self.unsigned(*n),
            Value::Real(x) => self.real(*x),
            Value::Bool(b) => self.bool(*b),
            Value::Date(at) => self.date(*at),
            Value::Data(bytes) => self.data(bytes),
        }
    }

    /// The pairs of a dictionary that was read, into the one that is open.
    pub fn pairs(&mut self, dict: &Dict) {
        for (key, value) in dict.iter() {
            self.key(key).value(value);
        }
    }

    /// A borrowed tree.
    pub fn node(&mut self, node: Node<'_>) {
        match node {
            Node::Dict(pairs) => self.dict(|w| pairs.iter().for_each(|&(key, node)| w.key(key).node(node))),
            Node::Array(nodes) => self.array(|w| nodes.iter().for_each(|&node| w.node(node))),
            Node::Strings(texts) => self.array(|w| texts.iter().for_each(|text| w.string(text))),
            Node::String(text) => self.string(text),
            Node::Integer(n) => self.integer(n),
            Node::Real(x) => self.real(x),
            Node::Bool(b) => self.bool(b),
            Node::Date(at) => self.date(at),
            Node::Data(bytes) => self.data(bytes),
            Node::Value(value) => self.value(value),
        }
    }

    fn container(&mut self, name: &str, contents: impl FnOnce(&mut Writer<'_>)) {
        self.indent();
        let start = self.out.len();
        self.tag("<", name, ">\n");
        let empty = self.out.len();
        contents(&mut Writer { out: self.out, depth: self.depth + 1 });
        if self.out.len() == empty {
            self.out.truncate(start);
            self.tag("<", name, "/>\n");
        } else {
            self.indent();
            self.tag("</", name, ">\n");
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.out.reserve(self.depth + 2 * name.len() + "<></>\n".len() + text.len());
        self.indent();
        self.tag("<", name, ">");
        escape(self.out, text);
        self.tag("</", name, ">\n");
    }

    fn number(&mut self, name: &str, n: std::fmt::Arguments<'_>) {
        self.indent();
        self.tag("<", name, ">");
        // Writing to a vector does not fail.
        self.out.write_fmt(n).unwrap_or_default();
        self.tag("</", name, ">\n");
    }

    fn tag(&mut self, before: &str, name: &str, after: &str) {
        self.out.extend_from_slice(before.as_bytes());
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(after.as_bytes());
    }

    fn indent(&mut self) {
        self.out.resize(self.out.len() + self.depth, b'\t');
    }
}

/// The three that Apple's writer escapes. A carriage return is written by number, for XML readers make a line feed of
/// it; other control characters, and the two that are no characters, have no spelling in XML 1.0.
#[inline]
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Nearly all texts need nothing. All bytes are looked at, so that many can be at once.
    let is_plain = |&byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t') & !matches!(byte, b'&' | b'<' | b'>');
    if bytes.iter().fold(true, |all, byte| all & is_plain(byte)) {
        return out.extend_from_slice(bytes);
    }
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let instead: &[u8] = match c {
            '&' => b"&amp;",
            '<' => b"&lt;",
            '>' => b"&gt;",
            '\r' => b"&#13;",
            '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'.. => continue,
            _ => "\u{fffd}".as_bytes(),
        };
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        out.extend_from_slice(instead);
        plain = at + c.len_utf8();
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
}

/// C's `%.17g`, and CoreFoundation's names for what is no number.
fn general(x: f64) -> String {
    if !x.is_finite() {
        let name = if x.is_nan() {
            "nan"
        } else if x > 0.0 {
            "+infinity"
        } else {
            "-infinity"
        };
        return name.to_owned();
    }
    let scientific = format!("{x:.16e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        let places = usize::try_from(16 - exponent).unwrap_or(0);
        trim(&format!("{x:.places$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(digits), exponent.unsigned_abs())
    }
}

const HEADER: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
<plist version=\"1.0\">\n";

/// CoreFoundation fills base64 up to this column, counting a tab as eight, and indents at most eight tabs for that.
const DATA_COLUMNS_MAX: usize = 76;
const TAB_COLUMNS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// What C's `printf("%.17g")` prints.
    #[test]
    fn reals_are_spelt_as_c_does() {
        let check = |x: f64, text: &str| assert_eq!(general(x), text);
        check(0.0, "0");
        check(0.5, "0.5");
        check(0.1, "0.10000000000000001");
        check(100.0, "100");
        check(f64::from(0.85_f32), "0.85000002384185791");
        check(-1234567.25, "-1234567.25");
        check(1e17, "1e+17");
        check(1e16, "10000000000000000");
        check(0.0001, "0.0001");
        check(0.00001, "1.0000000000000001e-05");
        check(1e300, "1.0000000000000001e+300");
        check(f64::NEG_INFINITY, "-infinity");
    }
}
