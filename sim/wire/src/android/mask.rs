//! Field masks: `updateMask=policyName,disabledReason.defaultMessage` says which fields of a resource an update sets
//! (`google/protobuf/field_mask.proto`; AIP-134).

use serde_json::{Map, Value};

/// Paths in a mask. A policy has some 120 fields of its own.
pub const PATHS_MAX: usize = 1_000;
/// Fields in a path; messages of the Android Management API nest eight deep.
pub const DEPTH_MAX: usize = 32;
/// Bytes of a mask.
pub const MASK_BYTES_MAX: usize = 32 << 10;

/// What is wrong with a mask.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MaskError {
    /// More than a mask has.
    #[error("longer than {MASK_BYTES_MAX} bytes, {PATHS_MAX} paths or {DEPTH_MAX} fields deep")]
    TooLarge,
    /// Not names of fields with dots between.
    #[error("not a list of fields")]
    Syntax,
}

/// Fields to be set. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldMask {
    paths: Vec<Vec<String>>,
}

impl FieldMask {
    /// Reads a mask. `snake_case`, which some clients send, is taken for the `camelCase` that it means; an empty mask is
    /// none.
    pub fn read(text: &str) -> Result<Option<Self>, MaskError> {
        if text.len() > MASK_BYTES_MAX {
            return Err(MaskError::TooLarge);
        }
        if text.trim().is_empty() {
            return Ok(None);
        }
        let paths = text.split(',').map(|path| path.trim().split('.').map(field).collect());
        let paths = paths.collect::<Result<Vec<Vec<_>>, _>>()?;
        if paths.len() > PATHS_MAX || paths.iter().any(|path| path.len() > DEPTH_MAX) {
            return Err(MaskError::TooLarge);
        }
        Ok(Some(FieldMask { paths }))
    }

    /// As it is sent.
    pub fn write(&self) -> String {
        self.paths.iter().map(|path| path.join(".")).collect::<Vec<_>>().join(",")
    }

    /// Its paths, each a field in a field.
    pub fn paths(&self) -> impl Iterator<Item = &[String]> {
        self.paths.iter().map(Vec::as_slice)
    }

    /// The fields of the resource that it touches, each once for each path.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().filter_map(|path| path.first()).map(String::as_str)
    }

    /// Sets the fields of `into` that the mask names as they are in `from`; those that are not there are removed. `*`
    /// stands for all.
    pub fn apply(&self, into: &mut Map<String, Value>, from: &Map<String, Value>) {
        for path in &self.paths {
            if path.first().is_some_and(|first| first == ALL) {
                into.clone_from(from);
            } else {
                set(into, from, path);
            }
        }
    }
}

const ALL: &str = "*";

fn field(text: &str) -> Result<String, MaskError> {
    if text == ALL {
        return Ok(ALL.to_owned());
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(MaskError::Syntax);
    }
    let mut words = text.split('_').filter(|word| !word.is_empty());
    let first = words.next().ok_or(MaskError::Syntax)?.to_owned();
    Ok(words.fold(first, |camel, word| camel + &word[..1].to_ascii_uppercase() + &word[1..]))
}

fn set(into: &mut Map<String, Value>, from: &Map<String, Value>, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        match from.get(first) {
            Some(value) => drop(into.insert(first.clone(), value.clone())),
            None => drop(into.remove(first)),
        }
        return;
    }
    let none = Map::new();
    let below = from.get(first).and_then(Value::as_object).unwrap_or(&none);
    let mut inner = match into.remove(first) {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    };
    set(&mut inner, below, rest);
    if !inner.is_empty() {
        into.insert(first.clone(), Value::Object(inner));
    }
}

/// What a fuzzer drives: what could be read is written and read again as the same, and can be applied.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(Some(mask)) = FieldMask::read(text) {
        assert_eq!(FieldMask::read(&mask.write()), Ok(Some(mask.clone())));
        mask.apply(&mut Map::new(), &Map::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(mask: &str, into: &Value, from: &Value, expected: &Value) {
        let (Value::Object(mut into), Value::Object(from)) = (into.clone(), from.clone()) else { panic!("objects") };
        let mask = FieldMask::read(mask).ok().flatten();
        assert!(mask.is_some());
        mask.into_iter().for_each(|mask| mask.apply(&mut into, &from));
        assert_eq!(&Value::Object(into), expected);
    }

    #[test]
    fn named_fields_are_set_and_what_is_not_there_is_removed() {
        let into = json!({ "a": 1, "b": 2, "c": { "d": 3, "e": 4 } });
        check("a,b", &into, &json!({ "a": 9 }), &json!({ "a": 9, "c": { "d": 3, "e": 4 } }));
        check("c.d", &into, &json!({ "c": { "d": 7 } }), &json!({ "a": 1, "b": 2, "c": { "d": 7, "e": 4 } }));
        check("c.d,c.e", &into, &json!({}), &json!({ "a": 1, "b": 2 }));
        check(
            "f.g_h",
            &into,
            &json!({ "f": { "gH": 1 } }),
            &json!({ "a": 1, "b": 2, "c": { "d": 3, "e": 4 }, "f": { "gH": 1 } }),
        );
        check("a.b", &into, &json!({ "a": { "b": 1 } }), &json!({ "a": { "b": 1 }, "b": 2, "c": { "d": 3, "e": 4 } }));
        check("*", &into, &json!({ "z": 1 }), &json!({ "z": 1 }));
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        assert_eq!(FieldMask::read(" "), Ok(None));
        for bad in ["a,,b", "a.", ".a", "a b", "a/b", "_"] {
            assert_eq!(FieldMask::read(bad), Err(MaskError::Syntax), "{bad}");
        }
        assert_eq!(FieldMask::read(&"a.".repeat(40)[..79]), Err(MaskError::TooLarge));
        assert_eq!(FieldMask::read(&"a,".repeat(1_001)[..2_001]), Err(MaskError::TooLarge));
        assert_eq!(FieldMask::read(&"a".repeat(MASK_BYTES_MAX + 1)), Err(MaskError::TooLarge));
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("google_mask", target);
    }

    proptest! {
        #[test]
        fn a_whole_mask_makes_the_one_like_the_other(keys in prop::collection::btree_map("[a-z]{1,4}", 0..9_i32, 1..6)) {
            let from: Map<String, Value> = keys.into_iter().map(|(key, value)| (key, json!(value))).collect();
            let names = from.keys().cloned().collect::<Vec<_>>().join(",");
            let mut into = Map::new();
            FieldMask::read(&names).ok().flatten().into_iter().for_each(|mask| mask.apply(&mut into, &from));
            prop_assert_eq!(into, from);
        }

        #[test]
        fn no_text_does_harm(text in "[a-cA-C_.,* \\PC]{0,60}") {
            target(text.as_bytes());
        }
    }
}
