//! Bodies of requests, read as Google reads them (protobuf.dev, *ProtoJSON format*; protobuf's `ProtoStreamObjectWriter`,
//! which is more lenient than that): whatever form a value comes in, from here on it has the one that Google answers with.
//! What is the same as nothing is left out, what only Google says is not heard of others, and what no field is for is
//! refused.

use super::Object;
use super::method::{METHODS, Method};
use super::schema::{Field, Kind, SCHEMAS, Schema, Shape, snake};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use droves_wire::android::value::{duration, int64, read_duration, read_timestamp, timestamp};
use droves_wire::android::{Code, FieldMask, Status};
use serde_json::{Map, Value, json};

/// What is wrong with a body: where, and why.
#[derive(Debug, Default)]
struct Violations(Vec<(String, String)>);

/// Only so many are told.
const VIOLATIONS_MAX: usize = 50;
/// Only so much of a wrong value is told again.
const SHOWN_CHARS_MAX: usize = 200;
const BAD_JSON: &str = "Invalid JSON payload received.";
const PACKAGE: &str = "type.googleapis.com/google.android.devicemanagement.v1";

/// The body of a method's request.
pub(super) fn read(method: Option<&Method>, body: &[u8]) -> Result<Object, Status> {
    if body.is_empty() {
        return Ok(Object::new());
    }
    let parsed = serde_json::from_slice(body);
    typed(method, parsed.map_err(|error| Status::new(Code::InvalidArgument, format!("{BAD_JSON} {error}")))?)
}

fn typed(method: Option<&Method>, parsed: Value) -> Result<Object, Status> {
    let mut violations = Violations::default();
    let Value::Object(given) = parsed else {
        violations.add("", format!("{BAD_JSON} Unknown name \"\": Root element must be a message."));
        return Err(violations.status());
    };
    let Some(name) = method.and_then(|method| method.request) else { return Ok(given) };
    let Some(schema) = SCHEMAS.get(name) else { return Ok(given) };
    // The body is one field of the request, or it is the request.
    let field = if name.ends_with("Request") { String::new() } else { snake(name) };
    let read = violations.message(schema, given, field.trim_start_matches('_'));
    if violations.0.is_empty() { Ok(read) } else { Err(violations.status()) }
}

/// Whether all that a mask names are fields of this type.
pub(super) fn check_mask(name: &str, mask: &FieldMask, field: &str) -> Result<(), Status> {
    match mask.paths().find(|path| *path != ["*"] && !names_a_field(name, path)) {
        Some(path) => Err(Status::bad_field(field, format!("names no field: {}", path.join(".")))),
        None => Ok(()),
    }
}

fn names_a_field(schema: &str, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match SCHEMAS.get(schema).and_then(|schema| schema.field(first)) {
        Some((_, Field { shape: Shape::One, kind: Kind::Message(inner), .. })) => names_a_field(inner, rest),
        // What is in a map has whatever name.
        Some((_, Field { shape: Shape::Map, .. } | Field { shape: Shape::One, kind: Kind::Object, .. })) => true,
        Some(_) => rest.is_empty(),
        None => false,
    }
}

impl Violations {
    fn message(&mut self, schema: &Schema, given: Object, at: &str) -> Object {
        let mut read = Object::new();
        for (given_name, value) in given {
            let known = schema.field(&given_name);
            let why = match (known, &value) {
                (None, _) => "Cannot find field.",
                (Some((_, field)), Value::Array(_)) if !field.takes_list() => {
                    "Proto field is not repeating, cannot start list."
                }
                _ => "",
            };
            let Some((name, field)) = known.filter(|_| why.is_empty()) else {
                let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
                let named: String = given_name.chars().take(SHOWN_CHARS_MAX).collect();
                self.add(at, format!("{BAD_JSON} Unknown name \"{named}\"{place}: {why}"));
                continue;
            };
            let inner = if at.is_empty() { snake(name) } else { format!("{at}.{}", snake(name)) };
            let value = self.field(field, value, &inner).filter(|_| !field.is_read_only);
            value.into_iter().for_each(|value| drop(read.insert(name.to_owned(), value)));
        }
        read
    }

    /// A field's value; nothing, if it says no more than that the field is not there.
    fn field(&mut self, Field { shape, kind, .. }: &Field, value: Value, at: &str) -> Option<Value> {
        match (shape, value) {
            (_, Value::Null) => None,
            (Shape::One, value) => self.one(kind, value, at).filter(|value| !kind.is_default(value)),
            (Shape::List, Value::Array(elements)) => {
                let elements = elements.into_iter().enumerate();
                let read = elements.filter_map(|(index, of)| self.one(kind, of, &format!("{at}[{index}]")));
                let read: Vec<_> = read.collect();
                (!read.is_empty()).then(|| read.into())
            }
            // One by itself is a list of one.
            (Shape::List, value) => self.one(kind, value, at).map(|one| vec![one].into()),
            (Shape::Map, Value::Object(of)) => {
                let read = of.into_iter().filter_map(|(key, value)| Some((key, self.one(kind, value, at)?)));
                let read: Map<_, _> = read.collect();
                (!read.is_empty()).then(|| read.into())
            }
            (Shape::Map, value) => self.wrong(at, "Map", &value),
        }
    }

    fn one(&mut self, kind: &Kind, value: Value, at: &str) -> Option<Value> {
        match (kind, value) {
            (Kind::Message(name), Value::Object(given)) => Some(self.message(SCHEMAS.get(name)?, given, at).into()),
            (Kind::Message(name), value) => self.wrong(at, &format!("{PACKAGE}.{name}"), &value),
            (kind, value) => kind.read(value).map_or_else(|value| self.wrong(at, kind.name(), &value), Some),
        }
    }

    fn wrong(&mut self, at: &str, kind: &str, value: &Value) -> Option<Value> {
        let shown: String = match value {
            Value::Object(_) => "Starting an object on a scalar field".to_owned(),
            value => value.to_string().chars().take(SHOWN_CHARS_MAX).collect(),
        };
        self.add(at, format!("Invalid value at '{at}' ({kind}), {shown}"));
        None
    }

    fn add(&mut self, at: &str, why: String) {
        if self.0.len() < VIOLATIONS_MAX {
            self.0.push((at.to_owned(), why));
        }
    }

    fn status(self) -> Status {
        let whys: Vec<&str> = self.0.iter().map(|(_, why)| why.as_str()).collect();
        let told = self.0.iter().map(|(at, why)| match at.as_str() {
            "" => json!({ "description": why }),
            at => json!({ "field": at, "description": why }),
        });
        let told: Vec<Value> = told.collect();
        let detail = json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": told });
        Status { code: Code::InvalidArgument, message: whys.join("\n"), details: vec![detail] }
    }
}

impl Field {
    fn takes_list(&self) -> bool {
        self.shape == Shape::List || matches!(self.kind, Kind::Any)
    }
}

impl Kind {
    /// A value in the form that Google answers with; as it came, if it is none.
    fn read(&self, value: Value) -> Result<Value, Value> {
        let read = match (self, &value) {
            (Kind::Any, _)
            | (Kind::Object, Value::Object(_))
            | (Kind::String, Value::String(_))
            | (Kind::Bool, Value::Bool(_))
            | (Kind::Float | Kind::Double, Value::Number(_)) => return Ok(value),
            (Kind::Bool, Value::String(text)) => boolean(text).map(Value::from),
            (Kind::Int32, value) => integer(value).and_then(|number| i32::try_from(number).ok()).map(Value::from),
            (Kind::Int64, value) => integer(value).map(int64),
            (Kind::Float | Kind::Double, Value::String(text)) => number(text),
            (Kind::Duration, Value::String(text)) => read_duration(text).map(|read| duration(read).into()),
            (Kind::Timestamp, Value::String(text)) => read_timestamp(text).map(|read| timestamp(read).into()),
            (Kind::Mask, Value::String(text)) => {
                FieldMask::read(text).ok().map(|mask| mask.map(|mask| mask.write()).unwrap_or_default().into())
            }
            (Kind::Bytes, Value::String(text)) => bytes(text).map(Value::from),
            (Kind::Enum(names), value) => one_of(names, value).map(Value::from),
            _ => None,
        };
        read.ok_or(value)
    }

    /// It says the same as if it were not there.
    fn is_default(&self, value: &Value) -> bool {
        match self {
            Kind::String | Kind::Bytes => value == "",
            Kind::Bool => value == false,
            Kind::Int32 => value == 0,
            Kind::Int64 => value == "0",
            Kind::Float | Kind::Double => value.as_f64() == Some(0.0),
            Kind::Enum(names) => names.first().is_some_and(|first| value == first),
            Kind::Duration | Kind::Timestamp | Kind::Mask | Kind::Any | Kind::Object | Kind::Message(_) => false,
        }
    }

    /// As protocol buffers name it. What an enum is called, the discovery document does not say.
    fn name(&self) -> &'static str {
        match self {
            Kind::String => "TYPE_STRING",
            Kind::Bool => "TYPE_BOOL",
            Kind::Int32 => "TYPE_INT32",
            Kind::Int64 => "TYPE_INT64",
            Kind::Float => "TYPE_FLOAT",
            Kind::Double => "TYPE_DOUBLE",
            Kind::Bytes => "TYPE_BYTES",
            Kind::Enum(_) => "TYPE_ENUM",
            Kind::Message(_) => "TYPE_MESSAGE",
            Kind::Duration => "type.googleapis.com/google.protobuf.Duration",
            Kind::Timestamp => "type.googleapis.com/google.protobuf.Timestamp",
            Kind::Mask => "type.googleapis.com/google.protobuf.FieldMask",
            Kind::Any => "type.googleapis.com/google.protobuf.Value",
            Kind::Object => "type.googleapis.com/google.protobuf.Struct",
        }
    }
}

/// The words that `safe_strtob` takes.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A number without a fraction, which may be written with one, and digits in a string.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < FLOATS_WHOLE)?;
            format!("{whole:.0}").parse().ok()
        }),
        _ => None,
    }
}

/// Below this no whole number is missing among floats.
const FLOATS_WHOLE: f64 = 9_007_199_254_740_992.0;

fn number(text: &str) -> Option<Value> {
    match text {
        "NaN" | "Infinity" | "-Infinity" => Some(text.into()),
        text => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
    }
}

/// Base64 of either alphabet, with padding or without.
fn bytes(text: &str) -> Option<String> {
    let plain = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    STANDARD_NO_PAD.decode(plain).ok().map(|bytes| STANDARD.encode(bytes))
}

fn one_of(names: &[&'static str], value: &Value) -> Option<&'static str> {
    let numbered = |number: i64| names.get(usize::try_from(number).ok()?).copied();
    let named = |name: &str| names.iter().find(|known| **known == name).copied();
    let loosely = |name: &str| named(&name.replace('-', "_").to_ascii_uppercase());
    match value {
        Value::String(name) => named(name).or_else(|| numbered(name.parse().ok()?)).or_else(|| loosely(name)),
        value => numbered(integer(value)?),
    }
}

/// What a fuzzer drives: the first line is a method's id, the rest a body. What is read comes out the same when it is read again.
pub fn target(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let Some(method) = METHODS.iter().find(|method| method.id.as_bytes() == &bytes[..end]) else { return };
    if let Ok(once) = read(Some(method), &bytes[end..]) {
        assert_eq!(typed(Some(method), once.clone().into()).ok(), Some(once));
    }
}

#[cfg(test)]
mod tests;
