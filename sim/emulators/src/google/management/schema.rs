//! The types of the Android Management API: which fields they have, and of which types those are. `schemas.txt` is made from
//! Google's own discovery document by `tests/peers/google/schema.py`.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// All types by name.
pub(crate) static SCHEMAS: LazyLock<BTreeMap<&'static str, Schema>> =
    LazyLock::new(|| read(include_str!("schemas.txt")));

/// A type with fields.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// By name, in `lowerCamelCase`.
    fields: BTreeMap<&'static str, Field>,
    /// The same names in `snake_case`, which is taken too.
    snakes: BTreeMap<String, &'static str>,
}

/// A field's type.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) shape: Shape,
    pub(super) kind: Kind,
    /// Only Google says it.
    pub(super) is_read_only: bool,
}

/// How many there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    One,
    List,
    /// By whatever name.
    Map,
}

/// What there is one of.
#[derive(Debug)]
pub(super) enum Kind {
    String,
    Bool,
    Int32,
    Int64,
    Float,
    Double,
    Duration,
    Timestamp,
    Mask,
    Bytes,
    /// Whatever JSON has.
    Any,
    /// An object with whatever in it.
    Object,
    /// One of these, by name or by number. The discovery document has no numbers: each is taken for its place.
    Enum(Vec<&'static str>),
    /// A type of [`SCHEMAS`].
    Message(&'static str),
}

impl Schema {
    /// A field by its name, in whichever of its two forms, and its name.
    pub(super) fn field(&self, given: &str) -> Option<(&'static str, &Field)> {
        let name = self.snakes.get(given).copied().unwrap_or(given);
        self.fields.get_key_value(name).map(|(name, field)| (*name, field))
    }

    /// As the discovery document has it.
    pub(crate) fn describe(&self, name: &str) -> Value {
        let fields = self.fields.iter().map(|(name, field)| ((*name).to_owned(), field.describe()));
        json!({ "id": name, "type": "object", "properties": fields.collect::<Map<_, _>>() })
    }
}

impl Field {
    fn describe(&self) -> Value {
        let one = self.kind.describe();
        let mut described = match self.shape {
            Shape::One => one,
            Shape::List => json!({ "type": "array", "items": one }),
            Shape::Map => json!({ "type": "object", "additionalProperties": one }),
        };
        if self.is_read_only {
            described["readOnly"] = true.into();
        }
        described
    }
}

impl Kind {
    fn describe(&self) -> Value {
        let format = |kind: &str, format: &str| json!({ "type": kind, "format": format });
        match self {
            Kind::String => json!({ "type": "string" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Int32 => format("integer", "int32"),
            Kind::Int64 => format("string", "int64"),
            Kind::Float => format("number", "float"),
            Kind::Double => format("number", "double"),
            Kind::Duration => format("string", "google-duration"),
            Kind::Timestamp => format("string", "google-datetime"),
            Kind::Mask => format("string", "google-fieldmask"),
            Kind::Bytes => format("string", "byte"),
            Kind::Any => json!({ "type": "any" }),
            Kind::Object => json!({ "type": "object", "additionalProperties": { "type": "any" } }),
            Kind::Enum(names) => json!({ "type": "string", "enum": names }),
            Kind::Message(name) => json!({ "$ref": name }),
        }
    }
}

/// `policy.cameraDisabled` is `camera_disabled` in its protocol buffer.
pub(super) fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 8);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A type's name, and below it, indented, its fields: name, type, and `read-only`.
fn read(text: &'static str) -> BTreeMap<&'static str, Schema> {
    let mut schemas = BTreeMap::new();
    let mut schema = &mut Schema::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        match words.next() {
            None => schema = schemas.entry(name).or_default(),
            Some(of) => {
                let (shape, kind) = shape_of(of);
                schema.snakes.insert(snake(name), name);
                schema.fields.insert(name, Field { shape, kind, is_read_only: words.next().is_some() });
            }
        }
    }
    schemas
}

fn shape_of(text: &'static str) -> (Shape, Kind) {
    let within = |open: char, close: char| text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
    match (within('[', ']'), within('{', '}')) {
        (Some(of), _) => (Shape::List, kind_of(of)),
        (_, Some(of)) if of != "any" => (Shape::Map, kind_of(of)),
        _ => (Shape::One, kind_of(text)),
    }
}

fn kind_of(text: &'static str) -> Kind {
    match text {
        "string" => Kind::String,
        "bool" => Kind::Bool,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "duration" => Kind::Duration,
        "timestamp" => Kind::Timestamp,
        "mask" => Kind::Mask,
        "bytes" => Kind::Bytes,
        "any" => Kind::Any,
        "{any}" => Kind::Object,
        names if names.contains('|') => Kind::Enum(names.split('|').collect()),
        name => Kind::Message(name),
    }
}
