//! Partial responses: `fields=devices(name,state),nextPageToken` keeps of an answer what is named (Google, *Partial
//! responses*): names, `/` for one inside another, parentheses for several, `*` for any, commas between.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Names inside each other.
pub const DEPTH_MAX: usize = 32;
/// Bytes of such a selector; longer ones come by POST, see `x-http-method-override`.
pub const FIELDS_BYTES_MAX: usize = 32 << 10;

/// What is wrong with a selector.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldsError {
    /// More than anybody asks for.
    #[error("longer than {FIELDS_BYTES_MAX} bytes, or {DEPTH_MAX} fields deep")]
    TooLarge,
    /// No name where one belongs, or parentheses that do not close.
    #[error("not a selection of fields")]
    Syntax,
}

/// What is to be kept of an answer: all of a value where nothing more is named, else what is named.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fields {
    named: BTreeMap<String, Fields>,
}

impl Fields {
    /// Reads a selector.
    pub fn read(text: &str) -> Result<Self, FieldsError> {
        if text.len() > FIELDS_BYTES_MAX {
            return Err(FieldsError::TooLarge);
        }
        let mut rest = text.trim();
        let fields = list(&mut rest, 0)?;
        if rest.is_empty() { Ok(fields) } else { Err(FieldsError::Syntax) }
    }

    /// As it is sent.
    pub fn write(&self) -> String {
        let one = |(name, inner): (&String, &Fields)| match inner.named.len() {
            0 => name.clone(),
            _ => format!("{name}({})", inner.write()),
        };
        self.named.iter().map(one).collect::<Vec<_>>().join(",")
    }

    /// Keeps of `value` what is named; of a list, of each of its elements.
    pub fn keep(&self, value: &mut Value) {
        if self.named.is_empty() {
            return;
        }
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.keep(element)),
            Value::Object(object) => {
                let kept = std::mem::take(object).into_iter().filter_map(|(name, mut value)| {
                    self.of(&name)?.keep(&mut value);
                    Some((name, value))
                });
                *object = kept.collect::<Map<_, _>>();
            }
            _ => {}
        }
    }

    /// What is kept of the value of this name; none if it is dropped.
    pub fn of(&self, name: &str) -> Option<&Fields> {
        if self.named.is_empty() { Some(self) } else { self.named.get(name).or_else(|| self.named.get(ANY)) }
    }

    /// Both together: whoever names a value whole has it whole.
    fn merge(&mut self, other: Fields) {
        for (name, inner) in other.named {
            match self.named.get_mut(&name) {
                Some(known) if known.named.is_empty() || inner.named.is_empty() => known.named.clear(),
                Some(known) => known.merge(inner),
                None => drop(self.named.insert(name, inner)),
            }
        }
    }
}

const ANY: &str = "*";

/// `item,item,..`, up to a closing parenthesis or the end.
fn list(rest: &mut &str, depth: usize) -> Result<Fields, FieldsError> {
    let mut fields = Fields::default();
    loop {
        fields.merge(item(rest, depth)?);
        if !take(rest, ',') {
            return Ok(fields);
        }
    }
}

/// `name`, `name/item`, or `name(list)`.
fn item(rest: &mut &str, depth: usize) -> Result<Fields, FieldsError> {
    if depth > DEPTH_MAX {
        return Err(FieldsError::TooLarge);
    }
    let name = name(rest)?;
    let inner = if take(rest, '/') {
        item(rest, depth + 1)?
    } else if take(rest, '(') {
        let inner = list(rest, depth + 1)?;
        if !take(rest, ')') {
            return Err(FieldsError::Syntax);
        }
        inner
    } else {
        Fields::default()
    };
    Ok(Fields { named: BTreeMap::from([(name, inner)]) })
}

fn name(rest: &mut &str) -> Result<String, FieldsError> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '@' | '$');
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if name.is_empty() {
        return Err(FieldsError::Syntax);
    }
    *rest = after;
    Ok(name.to_owned())
}

fn take(rest: &mut &str, mark: char) -> bool {
    let after = rest.trim_start().strip_prefix(mark);
    if let Some(after) = after {
        *rest = after.trim_start();
    }
    after.is_some()
}

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(fields) = Fields::read(text) {
        let written = fields.write();
        // A long chain of slashes takes more room, and as much depth, in parentheses.
        assert!(written.len() > FIELDS_BYTES_MAX || Fields::read(&written).as_ref() == Ok(&fields));
        fields.keep(&mut Value::Array(vec![Value::Object(Map::new())]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(fields: &str, expected: &Value) {
        let mut answer = json!({
            "devices": [
                { "name": "a", "state": "ACTIVE", "hardwareInfo": { "serialNumber": "1", "brand": "x" } },
                { "name": "b" },
            ],
            "nextPageToken": "t",
        });
        let fields = Fields::read(fields);
        assert!(fields.is_ok());
        fields.iter().for_each(|fields| fields.keep(&mut answer));
        assert_eq!(&answer, expected);
    }

    #[test]
    fn what_is_named_is_kept() {
        check(
            "devices/name,nextPageToken",
            &json!({ "devices": [{ "name": "a" }, { "name": "b" }], "nextPageToken": "t" }),
        );
        check(
            "devices( name , hardwareInfo/serialNumber )",
            &json!({ "devices": [{ "name": "a", "hardwareInfo": { "serialNumber": "1" } }, { "name": "b" }] }),
        );
        check("*/name", &json!({ "devices": [{ "name": "a" }, { "name": "b" }], "nextPageToken": "t" }));
        check("nextPageToken", &json!({ "nextPageToken": "t" }));
        check(
            "devices/state,devices/name",
            &json!({ "devices": [{ "name": "a", "state": "ACTIVE" }, { "name": "b" }] }),
        );
        check("nothing", &json!({}));
        let whole = Fields::read("devices/name,devices").map(|fields| fields.write());
        assert_eq!(whole.as_deref(), Ok("devices"));
    }

    #[test]
    fn what_is_no_selection_is_refused() {
        for bad in ["", "a,", "a(", "a(b", "a)", "a//b", "(a)", "a b"] {
            assert_eq!(Fields::read(bad), Err(FieldsError::Syntax), "{bad}");
        }
        assert_eq!(Fields::read(&"a/".repeat(40)), Err(FieldsError::TooLarge));
        assert_eq!(Fields::read(&"a(".repeat(40)), Err(FieldsError::TooLarge));
        assert_eq!(Fields::read(&"a".repeat(FIELDS_BYTES_MAX + 1)), Err(FieldsError::TooLarge));
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("google_fields", target);
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "[ab/(),* ]{0,60}") {
            target(text.as_bytes());
        }
    }
}
