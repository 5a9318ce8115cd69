//! The tree: every key and value with its place; scalars keep their text until somebody says what they should be.

use crate::plan::Place;
use crate::problem::Problem;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use std::collections::BTreeMap;

/// A scenario is written by hand; a generated one of 100,000 lines is a mistake.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Values in one file, those that aliases copy included: an alias bomb ends here.
const NODES_MAX: usize = 50_000;
/// Nesting. The language itself needs seven.
const DEPTH_MAX: usize = 32;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Of a scalar its text; of a list or map its first line.
    pub(crate) place: Place,
    /// What it is.
    pub(crate) kind: Kind,
}

/// The kinds of values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A scalar.
    Scalar {
        /// Its text, as YAML unescapes it.
        text: String,
        /// Whether it stands without quotes, and so may be a number, true or nothing.
        plain: bool,
        /// The text before variables were put in, where one of them is a secret.
        shown: Option<String>,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file. Keys are scalars.
    Map(Vec<(Key, Node)>),
}

/// A key with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// Its text.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) place: Place,
}

impl Node {
    /// Whether nothing is written here (`key:` alone, `~` or `null`).
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true, .. } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The value under a key of a map.
    pub(crate) fn member(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Reads one document. Duplicate keys are problems, and the first of them counts.
pub(crate) fn parse(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    if text.len() > FILE_BYTES_MAX {
        let title = format!("the file has {} KiB, {} are allowed", text.len() >> 10, FILE_BYTES_MAX >> 10);
        problems.push(Problem::new(title, Place::default()));
        return None;
    }
    let lines = text.lines().collect();
    let mut builder =
        Builder { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0, problems, lines };
    match builder.document() {
        Ok(node) => Some(node),
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

struct Builder<'a, 'p> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// What each anchor names, and of how many values it consists.
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    problems: &'p mut Vec<Problem>,
    lines: Vec<&'a str>,
}

type Broken = Box<Problem>;

impl<'a> Builder<'a, '_> {
    fn document(&mut self) -> Result<Node, Broken> {
        loop {
            match self.event()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, span) => return fail(Problem::new("the file says nothing", self.place(span))),
                (event, span) => {
                    let node = self.node(event, span, 0)?;
                    self.event()?;
                    return match self.event()? {
                        (Event::StreamEnd, _) => Ok(node),
                        (_, span) => fail(
                            Problem::new("a second document begins here", self.place(span))
                                .cured("keep one document in a file"),
                        ),
                    };
                }
            }
        }
    }

    fn event(&mut self) -> Result<(Event<'a>, Span), Broken> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = error.marker();
                let at = Place { line: at.line() as u32, column: at.col() as u32 + 1, width: 1 };
                let problem = Problem::new("this is not YAML", at).labelled(error.info());
                let line = self.lines.get(at.line.saturating_sub(1) as usize).copied().unwrap_or("");
                match line.contains("${") && line.contains(['{', '[']) {
                    true => fail(problem.cured("within `{ }` and `[ ]` a variable stands in quotes: `\"${NAME}\"`")),
                    false => fail(problem),
                }
            }
            None => fail(Problem::new("the file ends too early", Place::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Broken> {
        let before = self.nodes;
        self.count(1, span)?;
        if depth > DEPTH_MAX {
            return fail(Problem::new(format!("nested deeper than {DEPTH_MAX}"), self.place(span)));
        }
        let (node, anchor) = match event {
            Event::Alias(id) => {
                let Some(size) = self.anchors.get(&id).map(|named| named.1) else {
                    return fail(Problem::new("the alias names a value that holds it", self.place(span)));
                };
                self.count(size, span)?;
                return match self.anchors.get(&id) {
                    Some((node, _)) => Ok(node.clone()),
                    None => fail(Problem::new("the alias names nothing", self.place(span))),
                };
            }
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag {
                    let title = format!("the tag `{}{}` means nothing here", tag.handle, tag.suffix);
                    return fail(Problem::new(title, self.place(span)));
                }
                let kind = Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain, shown: None };
                (Node { place: self.place(span), kind }, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(span, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(span, depth)?, anchor),
            _ => return fail(Problem::new("a value is missing here", self.place(span))),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Broken> {
        self.nodes += more;
        if self.nodes > NODES_MAX {
            let title = format!("the file has more than {NODES_MAX} values");
            return fail(Problem::new(title, self.place(span)).labelled("counted up to here, with what aliases copy"));
        }
        Ok(())
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, Broken> {
        let mut items = Vec::new();
        loop {
            match self.event()? {
                (Event::SequenceEnd, end) => {
                    let place = self.place(whole(start, end));
                    return Ok(Node { place, kind: Kind::List(items) });
                }
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, Broken> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::MappingEnd {
                let place = self.place(whole(start, span));
                return Ok(Node { place, kind: Kind::Map(entries) });
            }
            let key = self.node(event, span, depth + 1)?;
            let Kind::Scalar { text, .. } = key.kind else {
                return fail(Problem::new("a list or a map can't be a key", key.place));
            };
            let (event, span) = self.event()?;
            let value = self.node(event, span, depth + 1)?;
            if let Some((first, _)) = entries.iter().find(|(first, _)| first.text == text) {
                let label = format!("it stands in line {} already", first.place.line);
                self.problems.push(Problem::new(format!("`{text}` twice"), key.place).labelled(label));
                continue;
            }
            entries.push((Key { text, place: key.place }, value));
        }
    }

    /// Where a span begins, and how much of its first line it covers.
    fn place(&self, span: Span) -> Place {
        let (start, end) = (span.start, span.end);
        let line = self.lines.get(start.line().saturating_sub(1)).copied().unwrap_or("");
        let rest = line.trim_end().chars().count().saturating_sub(start.col());
        let width = if end.line() == start.line() { end.col().saturating_sub(start.col()).min(rest) } else { rest };
        Place { line: start.line() as u32, column: start.col() as u32 + 1, width: width.max(1) as u32 }
    }
}

/// From the first bracket to the last: the parser counts the white space after a bracket to it. In block style the last
/// is empty, and stands on a later line.
fn whole(start: Span, end: Span) -> Span {
    let at = end.start;
    let bracket = usize::from(!end.is_empty());
    Span::new(start.start, Marker::new(at.index() + bracket, at.line(), at.col() + bracket))
}

fn fail<T>(problem: Problem) -> Result<T, Broken> {
    Err(Box::new(problem))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(text: &str, wanted: &str) {
        let mut problems = Vec::new();
        let node = parse(text, &mut problems);
        assert!(problems.iter().any(|p| p.title().contains(wanted)), "{wanted}: {node:?} {problems:?}");
    }

    #[test]
    fn what_is_broken_is_named() {
        check("a: [1, 2", "not YAML");
        check("", "says nothing");
        check("a: 1\n---\nb: 2", "second document");
        check("a: 1\nb: 2\na: 3", "`a` twice");
        check("a: &x [ *x ]", "holds it");
        check("a: !!binary abc", "means nothing");
        check("? [a]\n: 1", "can't be a key");
        check(&format!("a: {}1{}", "[".repeat(40), "]".repeat(40)), "nested deeper");
        check(&format!("a: [{}]", "1,".repeat(60_000)), "more than 50000 values");
        check(&" ".repeat(2 << 20), "2048 KiB");
    }

    #[test]
    fn an_alias_bomb_ends_early() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..30 {
            let before = format!("*a{},", level - 1).repeat(9);
            bomb += &format!("a{level}: &a{level} [{before}]\n");
        }
        check(&bomb, "more than 50000 values");
    }

    #[test]
    fn places_are_exact() {
        let mut problems = Vec::new();
        let text = "fleet:\n  phönes: { count: \"5\", os: [ 1, 2 ] }  # x\n";
        let node = parse(text, &mut problems).unwrap();
        let phones = node.member("fleet").unwrap().member("phönes").unwrap();
        let at = |place: Place| (place.line, place.column, place.width);
        assert_eq!(at(phones.place), (2, 11, 28));
        assert_eq!(at(phones.member("count").unwrap().place), (2, 20, 3));
        assert_eq!(at(phones.member("os").unwrap().place), (2, 29, 8));
    }
}
