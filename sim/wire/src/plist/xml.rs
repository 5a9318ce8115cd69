//! The XML format, from [`Events`] to a tree, with a stack of our own in place of recursion.

use super::{Broken, Budget, Dict, Event, Events, PlistError, Tag, Value, date};
use crate::lenient;
use droves_facts::Limits;

/// Reads an XML property list. A bare `<dict>` without `<plist>` around it is taken, as CoreFoundation does.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Value, PlistError> {
    let mut events = Events::new(bytes)?;
    let mut tree = Tree { open: Vec::new(), root: None };
    let mut budget = Budget::new(limits);
    let mut plist = Plist::Before;
    while let Some(event) = events.next()? {
        let step = match event {
            Event::Begin(Tag::Plist) if plist == Plist::Before && tree.is_untouched() => {
                plist = Plist::Inside;
                Ok(())
            }
            Event::End(Tag::Plist) => {
                plist = Plist::After;
                if tree.root.is_some() { Ok(()) } else { Err(Broken::Empty) }
            }
            Event::Begin(Tag::Plist) => Err(Broken::Element("plist".to_owned())),
            _ if plist == Plist::After => Err(Broken::Trailing),
            Event::Begin(tag) => budget.value(tree.depth() + 1, 0).and_then(|()| tree.begin(tag)),
            Event::End(_) => tree.end(),
            Event::Text(Tag::Key, text) => {
                budget.value(tree.depth(), text.len()).and_then(|()| tree.key(text.into_owned()))
            }
            Event::Text(tag, text) => budget
                .value(tree.depth() + 1, text.len())
                .and_then(|()| scalar(tag, text.into_owned()))
                .and_then(|value| tree.put(value)),
        };
        step.map_err(|broken| events.error(broken))?;
    }
    if plist == Plist::Inside || !tree.open.is_empty() {
        return Err(events.error(Broken::Truncated));
    }
    tree.root.ok_or_else(|| events.error(Broken::Empty))
}

#[derive(PartialEq, Eq)]
enum Plist {
    Before,
    Inside,
    After,
}

/// What is being built: the containers that are open, outermost first.
struct Tree {
    open: Vec<Open>,
    root: Option<Value>,
}

enum Open {
    Dict(Dict, Option<String>),
    Array(Vec<Value>),
}

impl Tree {
    fn is_untouched(&self) -> bool {
        self.open.is_empty() && self.root.is_none()
    }

    fn depth(&self) -> usize {
        self.open.len()
    }

    fn begin(&mut self, tag: Tag) -> Result<(), Broken> {
        match self.open.last() {
            Some(Open::Dict(_, None)) => return Err(Broken::ValueWithoutKey),
            None if self.root.is_some() => return Err(Broken::Trailing),
            _ => {}
        }
        self.open.push(if tag == Tag::Dict { Open::Dict(Dict::default(), None) } else { Open::Array(Vec::new()) });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        match self.open.pop() {
            Some(Open::Dict(_, Some(_))) => Err(Broken::KeyWithoutValue),
            Some(Open::Dict(dict, None)) => self.put(Value::Dict(dict)),
            Some(Open::Array(array)) => self.put(Value::Array(array)),
            None => Err(Broken::Trailing),
        }
    }

    fn key(&mut self, key: String) -> Result<(), Broken> {
        match self.open.last_mut() {
            Some(Open::Dict(_, waiting @ None)) => {
                *waiting = Some(key);
                Ok(())
            }
            _ => Err(Broken::KeyWithoutValue),
        }
    }

    fn put(&mut self, value: Value) -> Result<(), Broken> {
        match self.open.last_mut() {
            Some(Open::Array(array)) => array.push(value),
            Some(Open::Dict(dict, waiting)) => {
                let key = waiting.take().ok_or(Broken::ValueWithoutKey)?;
                dict.0.push((key, value));
            }
            None if self.root.is_some() => return Err(Broken::Trailing),
            None => self.root = Some(value),
        }
        Ok(())
    }
}

fn scalar(tag: Tag, text: String) -> Result<Value, Broken> {
    let trimmed = text.trim_ascii();
    match tag {
        Tag::String => Ok(Value::String(text)),
        Tag::Integer => integer(trimmed).ok_or(Broken::Integer),
        Tag::Real => real(trimmed).map(Value::Real).ok_or(Broken::Real),
        Tag::True | Tag::False if trimmed.is_empty() => Ok(Value::Bool(tag == Tag::True)),
        Tag::True | Tag::False => Err(Broken::StrayText),
        Tag::Date => date::parse(trimmed).map(Value::Date).ok_or(Broken::Date),
        Tag::Data => lenient::base64(text).map(Value::Data).ok_or(Broken::Data),
        Tag::Key | Tag::Plist | Tag::Dict | Tag::Array => Err(Broken::Element(tag.name().to_owned())),
    }
}

/// Decimal with an optional sign, or hexadecimal behind `0x`, as CoreFoundation reads it.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None => (digits, 10),
    };
    // `from_str_radix` takes a sign of its own, which would be a second one.
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    let whole = if negative { -i128::from(size) } else { i128::from(size) };
    match (i64::try_from(whole), u64::try_from(whole)) {
        (Ok(n), _) => Some(Value::Integer(n)),
        (_, Ok(n)) => Some(Value::Unsigned(n)),
        _ => None,
    }
}

/// Also `nan` and `infinity`, as CoreFoundation writes them.
fn real(text: &str) -> Option<f64> {
    text.parse().ok()
}
