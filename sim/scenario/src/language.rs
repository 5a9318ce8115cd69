//! The words of a scenario, as types. The JSON Schema is made from them, and so is the table in the documentation: what
//! stands here as a comment is what people read.
//!
//! Variants are tagged from outside only (`arrivals: { ramp: .. }`), so that every error has its exact place.

mod command;
mod faults;
mod fleet;
mod phases;
mod target;

pub(crate) use command::{Command, Node, Numbers, Profiles};
pub(crate) use faults::{Fault, GoogleFault, NetworkFault, OneOrMore, PushFault, ServerFault};
pub(crate) use fleet::{Behaviour, Fleet, Keys, ManagedBy, ManagementMode, Population, Retry, Spells, Token};
pub(crate) use phases::{Arrivals, Channel, Phase, Ramp, Spike, Until, Who};
pub(crate) use target::{AndroidServer, Http, PollSet, Resumption, Target, Tls, WindowsAuth, WindowsServer};

use crate::units::Length;
use crate::yaml::{At, Named, TextOr};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A scenario: which server, which fleet, what happens, what goes wrong on purpose, and what must hold.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Droves scenario")]
pub(crate) struct Scenario {
    /// Version of the language: 1.
    pub(crate) droves: At<u32>,
    /// What the run is called. Default: the file's name.
    pub(crate) name: Option<At<String>>,
    /// Values for `${NAME}` in this file. `-e NAME=value` wins over them.
    #[serde(rename = "vars", default)]
    pub(crate) _vars: BTreeMap<String, Text>,
    /// The server under test.
    pub(crate) target: Target,
    /// The devices.
    pub(crate) fleet: Fleet,
    /// What happens, one after the other.
    pub(crate) phases: At<Vec<At<Phase>>>,
    /// What goes wrong on purpose.
    #[serde(default)]
    pub(crate) faults: Vec<At<Fault>>,
    /// What must hold: by metric, expressions such as `p(99)<500ms`. No samples is a failure.
    #[serde(default)]
    pub(crate) thresholds: Named<Vec<At<Threshold>>>,
    /// What the generator allows itself.
    #[serde(default)]
    pub(crate) bounds: Bounds,
}

/// How long something takes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delay {
    /// Always the same.
    Fixed(Length),
    /// Evenly between two.
    Uniform(Uniform),
    /// Half is below the median, and the tail is long.
    Lognormal(Lognormal),
}

/// Evenly between two.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uniform {
    /// At least.
    pub(crate) from: Length,
    /// At most.
    pub(crate) to: At<Length>,
}

/// Half is below the median, and the tail is long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lognormal {
    /// Half of all is below.
    pub(crate) median: Length,
    /// Width: 0.5 puts p95 at 2.3 times the median, 1.0 at 5.2 times.
    pub(crate) sigma: At<f64>,
}

/// What must hold: an expression (`p(99)<500ms`), or one with options (`{ "p(99)<500ms": { abort_on_fail: true } }`).
pub(crate) type Threshold = TextOr<Named<ThresholdOptions>>;

/// Options of a threshold.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThresholdOptions {
    /// Whether its failing ends the run. Default: false.
    #[serde(default)]
    pub(crate) abort_on_fail: bool,
    /// It fails only if it has not held for so long. Default: at once.
    #[serde(rename = "for")]
    pub(crate) lasting: Option<Length>,
}

/// What the generator allows itself.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bounds {
    /// A run whose 99th percentile of lag is above this is invalid. Default: 50ms.
    pub(crate) lag_max: Option<At<Length>>,
    /// Connections open at a time. Default: 4000.
    pub(crate) connections_max: Option<At<u32>>,
    /// What becomes of due work for which there is no room. Default: catch_up.
    #[serde(default)]
    pub(crate) on_overload: Overload,
}

/// What becomes of due work for which there is no room.
#[derive(Deserialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Overload {
    /// It waits, and is late.
    #[default]
    CatchUp,
    /// It waits, and what is due for the same device meanwhile is one with it.
    Merge,
    /// It is dropped, and counted.
    Drop,
}

/// One value, kept as text: `5`, `true` and `x` alike.
#[derive(Clone, Debug)]
pub(crate) struct Text(pub(crate) String);

/// Any value, as YAML reads it.
#[derive(Clone, Debug)]
pub(crate) struct Plain(pub(crate) crate::plan::Value);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Text)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use crate::plan::Value;
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Plain;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain(Value::Bool(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
                Ok(Plain(Value::Integer(value)))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Plain, E> {
                Ok(Plain(Value::Real(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
                Ok(Plain(Value::Text(value.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain(Value::Nothing))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
                let mut items = Vec::new();
                while let Some(Plain(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Plain(Value::List(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, Plain(value))) = map.next_entry::<String, Plain>()? {
                    entries.insert(key, value);
                }
                Ok(Plain(Value::Dict(entries)))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}
