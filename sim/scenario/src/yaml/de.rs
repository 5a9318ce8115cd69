//! Serde reads the tree. By now the tree fits the schema, so the first error of serde is an error of ours; it still has
//! a place.

use super::tree::{Kind, Node};
use crate::plan::Place;
use crate::problem::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer, U32Deserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Reads a value from the tree.
pub(crate) fn read<T: DeserializeOwned>(node: &Node) -> Result<T, Problem> {
    T::deserialize(Reader { place: node.place, what: What::Node(node) })
        .map_err(|e| Problem::new(e.text, e.place.unwrap_or(node.place)))
}

/// A value that knows where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Where.
    pub(crate) place: Place,
}

impl<T> At<T> {
    /// Another value from the same place.
    pub(crate) fn map<U>(&self, f: impl FnOnce(&T) -> U) -> At<U> {
        At { value: f(&self.value), place: self.place }
    }
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A map in the order of the file, whose keys are names that the scenario gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<T>(pub(crate) Vec<(At<String>, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

/// Text, or else a list or a map: which of the two decides what it means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TextOr<T> {
    /// One scalar.
    Text(String),
    /// What else it can be.
    Other(T),
}

impl<T: JsonSchema> JsonSchema for TextOr<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("TextOr_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [ { "type": "string" }, generator.subschema_for::<T>() ] })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}

/// The name by which [`At`] asks the reader for its place.
const AT: &str = "$At";
/// The name by which [`TextOr`] asks the reader to leave a scalar as it is written.
const TEXT_OR: &str = "$TextOr";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = TextOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a list or a map")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<TextOr<T>, A::Error> {
                T::deserialize(SeqAccessDeserializer::new(seq)).map(TextOr::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Other)
            }
        }
        deserializer.deserialize_newtype_struct(TEXT_OR, Visit(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = At<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with a place")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<At<T>, A::Error> {
                let mut number = || seq.next_element::<u32>().map(Option::unwrap_or_default);
                let place = Place { line: number()?, column: number()?, width: number()? };
                let value = seq.next_element()?.ok_or_else(|| de::Error::custom("a value is missing"))?;
                Ok(At { value, place })
            }
        }
        deserializer.deserialize_newtype_struct(AT, Visit(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names with values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }
        deserializer.deserialize_map(Visit(PhantomData))
    }
}

#[derive(Debug)]
struct ReadError {
    text: String,
    place: Option<Place>,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl std::error::Error for ReadError {}
impl de::Error for ReadError {
    fn custom<T: fmt::Display>(msg: T) -> Self {
        ReadError { text: msg.to_string(), place: None }
    }
}

#[derive(Clone, Copy)]
enum What<'a> {
    Node(&'a Node),
    Key(&'a str),
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    place: Place,
    what: What<'a>,
}

impl<'a> Reader<'a> {
    fn node(node: &'a Node) -> Self {
        Reader { place: node.place, what: What::Node(node) }
    }

    fn placed<T>(self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|e| ReadError { place: e.place.or(Some(self.place)), ..e })
    }

    fn text(self) -> Result<(&'a str, bool), ReadError> {
        match self.what {
            What::Key(text) => Ok((text, true)),
            What::Node(Node { kind: Kind::Scalar { text, plain, .. }, .. }) => Ok((text, *plain)),
            What::Node(_) => self.placed(Err(de::Error::custom("expected one value here"))),
        }
    }

    fn number<T: std::str::FromStr>(self) -> Result<T, ReadError> {
        let (text, _) = self.text()?;
        let bad = || de::Error::custom(format!("`{text}` is not such a number"));
        self.placed(text.replace('_', "").parse().map_err(|_| bad()))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            let number: $type = self.number()?;
            self.placed(visitor.$visit(number))
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let result = match self.what {
            What::Key(text) => visitor.visit_str(text),
            What::Node(node) => match &node.kind {
                Kind::List(items) => visitor.visit_seq(Items(items.iter())),
                Kind::Map(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
                Kind::Scalar { text, plain: false, .. } => visitor.visit_str(text),
                Kind::Scalar { .. } if node.is_null() => visitor.visit_unit(),
                Kind::Scalar { text, .. } => match text.as_str() {
                    "true" => visitor.visit_bool(true),
                    "false" => visitor.visit_bool(false),
                    _ => match (text.parse::<i64>(), text.parse::<f64>()) {
                        (Ok(number), _) => visitor.visit_i64(number),
                        (_, Ok(number)) if number.is_finite() => visitor.visit_f64(number),
                        _ => visitor.visit_str(text),
                    },
                },
            },
        };
        self.placed(result)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let (text, _) = self.text()?;
        self.placed(visitor.visit_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let value = self.number()?;
        self.placed(visitor.visit_bool(value))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.what {
            What::Node(node) if node.is_null() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            AT => visitor.visit_seq(Placed { reader: self, step: 0 }),
            TEXT_OR => match self.what {
                What::Node(Node { kind: Kind::List(_) | Kind::Map(_), .. }) => self.deserialize_any(visitor),
                _ => self.deserialize_str(visitor),
            },
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.what {
            What::Node(Node { kind: Kind::Map(entries), .. }) => {
                let entries = Entries { entries: entries.iter(), value: None };
                self.placed(visitor.visit_enum(MapAccessDeserializer::new(entries)))
            }
            _ => {
                let (text, _) = self.text()?;
                let variant: StrDeserializer<'_, ReadError> = text.into_deserializer();
                self.placed(visitor.visit_enum(variant))
            }
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8; deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32; deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8; deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32; deserialize_u64 visit_u64 u64;
        deserialize_f32 visit_f32 f32; deserialize_f64 visit_f64 f64;
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct ignored_any
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        self.0.next().map(|node| seed.deserialize(Reader::node(node))).transpose()
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (super::tree::Key, Node)>,
    value: Option<&'a Node>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Reader { place: key.place, what: What::Key(&key.text) }).map(Some)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        match self.value.take() {
            Some(node) => seed.deserialize(Reader::node(node)),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

/// Gives [`At`] the three numbers of its place, then its value.
struct Placed<'a> {
    reader: Reader<'a>,
    step: u8,
}

impl<'de> SeqAccess<'de> for Placed<'_> {
    type Error = ReadError;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Place { line, column, width } = self.reader.place;
        self.step += 1;
        let number = |n: u32| -> U32Deserializer<ReadError> { n.into_deserializer() };
        match self.step {
            1 => seed.deserialize(number(line)).map(Some),
            2 => seed.deserialize(number(column)).map(Some),
            3 => seed.deserialize(number(width)).map(Some),
            4 => seed.deserialize(self.reader).map(Some),
            _ => Ok(None),
        }
    }
}
