//! The walk: a tree with positions against the JSON Schema that the types make, so that every error of form is found at
//! once, and each in its place.
//!
//! The part of JSON Schema that `schemars` writes for our types is understood: `$ref`, `type`, `properties`, `required`,
//! `additionalProperties`, `items`, `const`, `enum`, `minimum`, `maximum`, `oneOf`/`anyOf`, and our own
//! [`units::UNIT`](crate::units::UNIT).
//!
//! What can be mended is mended (a misspelt word becomes the one that was meant, what does not fit is left out), so that
//! the checks across fields can be made in the same breath. Maps and lists from which something was left out are
//! remembered: what they seem to lack is no further problem.

use crate::language::Scenario;
use crate::plan::Place;
use crate::problem::{Problem, nearest};
use crate::server_file::ServerFile;
use crate::units::{UNIT, UNITS};
use crate::yaml::{Kind, Node};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The schema of scenarios.
pub(crate) static SCENARIO: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Scenario).to_value());
/// The schema of server profiles.
pub(crate) static SERVER: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(ServerFile).to_value());

/// The JSON Schema of scenarios, as text: for editors (`# yaml-language-server: $schema=..`) and `droves schema`.
pub fn schema() -> String {
    format!("{:#}\n", *SCENARIO)
}

/// The JSON Schema of server profiles, as text.
pub fn server_schema() -> String {
    format!("{:#}\n", *SERVER)
}

/// What the walk came to.
pub(crate) struct Walked {
    /// Everything that is wrong in form.
    pub(crate) problems: Vec<Problem>,
    /// Whether the tree, as mended, fits the schema.
    pub(crate) fits: bool,
    /// Places of the maps and lists from which something was left out, at any depth.
    pub(crate) holed: BTreeSet<Place>,
}

/// Walks a tree against a schema, and mends it.
pub(crate) fn walk(node: &mut Node, schema: &Value) -> Walked {
    let mut walk = Walk { root: schema, problems: Vec::new(), holed: BTreeSet::new(), holes: 0 };
    let place = node.place;
    let fits = walk.node(node, schema, &Name { text: "the file".into(), place });
    Walked { problems: walk.problems, fits, holed: walk.holed }
}

/// What a value is called in messages, and where that stands.
struct Name {
    text: String,
    place: Place,
}

struct Walk<'a> {
    root: &'a Value,
    problems: Vec<Problem>,
    holed: BTreeSet<Place>,
    holes: usize,
}

/// Whether a value fits, as it now is.
type Fits = bool;

impl<'a> Walk<'a> {
    fn node(&mut self, node: &mut Node, schema: &'a Value, name: &Name) -> Fits {
        let Some(schema) = self.resolve(schema) else { return true };
        if let Some(unit) = schema.get(UNIT).and_then(Value::as_str) {
            return self.unit(node, unit, name);
        }
        for union in ["oneOf", "anyOf"] {
            let Some(Value::Array(choices)) = schema.get(union) else { continue };
            // What may be left out is a union with nothing.
            let is_null = |c: &&Value| self.resolve(c).is_some_and(|c| types(c) == ["null"]);
            return match choices.iter().filter(|c| !is_null(c)).collect::<Vec<_>>().as_slice() {
                [_] if choices.len() > 1 && node.is_null() => true,
                [choice] => self.node(node, choice, name),
                several => self.union(node, several, name),
            };
        }
        if let Some(words) = words(schema) {
            return self.word(node, &words, &[], name);
        }
        let types = types(schema);
        if types.contains(&"null") && node.is_null() {
            return true;
        }
        match &node.kind {
            Kind::Map(_) if types.contains(&"object") => {
                self.within(node, |walk, node| walk.object(node, schema, name))
            }
            Kind::List(_) if types.contains(&"array") => self.within(node, |walk, node| walk.list(node, schema, name)),
            Kind::Scalar { .. } if types.iter().any(|t| !["object", "array", "null"].contains(t)) => {
                self.scalar(node, schema, &types, name)
            }
            _ if types.is_empty() => true,
            _ => self.wrong(node, &meant(&types, schema), name),
        }
    }

    /// Remembers whether something below was left out.
    fn within(&mut self, node: &mut Node, walk: impl FnOnce(&mut Self, &mut Node) -> Fits) -> Fits {
        let before = self.holes;
        let fits = walk(self, node);
        if self.holes > before {
            self.holed.insert(node.place);
        }
        fits
    }

    /// Follows `$ref`; none for a schema that allows everything.
    fn resolve(&self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        let mut schema = schema;
        for _ in 0..8 {
            let object = schema.as_object()?;
            match object.get("$ref").and_then(Value::as_str) {
                Some(path) => schema = self.root.pointer(path.strip_prefix('#')?)?,
                None => return Some(object),
            }
        }
        None
    }

    /// Tells of what can't be mended; but a variable without a value has been told of.
    fn unmended(&mut self, node: &Node, problem: Problem) -> Fits {
        if matches!(&node.kind, Kind::Scalar { text, .. } if text.contains("${")) {
            return false;
        }
        self.problems.push(problem);
        false
    }

    fn wrong(&mut self, node: &Node, meant: &str, name: &Name) -> Fits {
        let found = match &node.kind {
            _ if node.is_null() => "nothing".to_owned(),
            Kind::Scalar { text, shown, .. } => format!("`{}`", short(shown.as_ref().unwrap_or(text))),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "keys and values".to_owned(),
        };
        let title = format!("`{}` wants {meant}, not {found}", name.text);
        let place = if node.is_null() { name.place } else { node.place };
        self.unmended(node, Problem::new(title, place))
    }

    fn unit(&mut self, node: &Node, unit: &str, name: &Name) -> Fits {
        let Some(unit) = UNITS.iter().find(|u| u.name == unit) else { return true };
        match &node.kind {
            Kind::Scalar { text, .. } if (unit.holds)(text) => true,
            Kind::Scalar { text, shown, .. } if !node.is_null() => {
                let title = format!("`{}` is not a {}", short(shown.as_ref().unwrap_or(text)), unit.name)
                    .replace("a amount", "an amount");
                let label = format!("`{}` wants {}", name.text, unit.meant);
                self.unmended(node, Problem::new(title, node.place).labelled(label))
            }
            _ => self.wrong(node, unit.meant, name),
        }
    }

    fn scalar(&mut self, node: &Node, schema: &Map<String, Value>, types: &[&str], name: &Name) -> Fits {
        let Kind::Scalar { text, .. } = &node.kind else { return true };
        let digits = text.replace('_', "");
        let number = digits.parse::<f64>().ok().filter(|n| n.is_finite());
        let fits = types.iter().any(|t| match *t {
            "string" => !node.is_null(),
            "boolean" => matches!(text.as_str(), "true" | "false"),
            "integer" => digits.parse::<i64>().is_ok() || digits.parse::<u64>().is_ok(),
            "number" => number.is_some(),
            _ => false,
        });
        if !fits {
            return self.wrong(node, &meant(types, schema), name);
        }
        let bound = |key| schema.get(key).and_then(Value::as_f64);
        let outside =
            |n: f64| bound("minimum").is_some_and(|min| n < min) || bound("maximum").is_some_and(|max| n > max);
        if !types.contains(&"string") && number.is_some_and(outside) {
            return self.wrong(node, &meant(types, schema), name);
        }
        true
    }

    fn list(&mut self, node: &mut Node, schema: &'a Map<String, Value>, name: &Name) -> Fits {
        let (Kind::List(items), Some(wanted)) = (&mut node.kind, schema.get("items")) else { return true };
        items.retain_mut(|item| {
            let place = match &item.kind {
                Kind::Map(entries) => entries.first().map_or(item.place, |(key, _)| key.place),
                _ => item.place,
            };
            let fits = self.node(item, wanted, &Name { text: name.text.clone(), place });
            self.holes += usize::from(!fits);
            fits
        });
        true
    }

    fn object(&mut self, node: &mut Node, schema: &'a Map<String, Value>, name: &Name) -> Fits {
        let Kind::Map(entries) = &mut node.kind else { return true };
        let empty = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let others = schema.get("additionalProperties").filter(|others| **others != Value::Bool(false));
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut fits = true;
        let mut kept = Vec::new();
        let present: Vec<String> = entries.iter().map(|(key, _)| key.text.clone()).collect();
        for (mut key, mut value) in std::mem::take(entries) {
            let free = || known.keys().map(String::as_str).filter(|word| !present.iter().any(|p| p == word));
            if !known.contains_key(&key.text) && others.is_none() {
                let meant = nearest(&key.text, free());
                self.unknown_key(&key.text, key.place, meant, known);
                match meant {
                    Some(meant) => key.text = meant.to_owned(),
                    None => {
                        self.holes += 1;
                        continue;
                    }
                }
            }
            let wanted = known.get(&key.text).and_then(|_| schema.get("properties")?.get(&key.text)).or(others);
            let value_fits = match wanted {
                Some(wanted) => self.node(&mut value, wanted, &Name { text: key.text.clone(), place: key.place }),
                None => true,
            };
            match value_fits {
                true => kept.push((key, value)),
                false => self.holes += 1,
            }
        }
        for missing in required.iter().filter(|word| !kept.iter().any(|(key, _)| key.text == **word)) {
            // A key that is there with a bad value has been told of already.
            if !present.iter().any(|p| p == missing) {
                let title = format!("`{}` needs `{missing}`", name.text);
                let about = known.get(*missing).and_then(|s| s.get("description")).and_then(Value::as_str);
                let problem = Problem::new(title, name.place);
                self.problems.push(about.map(|text| problem.clone().labelled(first_sentence(text))).unwrap_or(problem));
            }
            fits = false;
        }
        *entries = kept;
        fits
    }

    fn unknown_key(&mut self, key: &str, place: Place, meant: Option<&str>, known: &Map<String, Value>) {
        let label = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", listed(known.keys().map(String::as_str))),
        };
        self.problems.push(Problem::new(format!("unknown key `{}`", short(key)), place).labelled(label));
    }

    /// One of several: words that stand alone, words that have something below them, other kinds of values.
    fn union(&mut self, node: &mut Node, choices: &[&'a Value], name: &Name) -> Fits {
        let choices: Vec<_> = choices.iter().filter_map(|choice| self.resolve(choice)).collect();
        let alone: Vec<&str> = choices.iter().filter_map(|c| words(c)).flatten().collect();
        let tagged: Vec<(&str, &'a Value)> = choices.iter().filter_map(|c| tag(c)).collect();
        if tagged.is_empty() && alone.is_empty() {
            return self.other_kinds(node, &choices, name);
        }
        match &mut node.kind {
            Kind::Scalar { .. } => {
                let tags: Vec<&str> = tagged.iter().map(|(tag, _)| *tag).collect();
                self.word(node, &alone, &tags, name)
            }
            Kind::Map(entries) if entries.len() == 1 => {
                let (key, value) = &mut entries[0];
                let tags = || tagged.iter().map(|(tag, _)| *tag);
                let found = tagged.iter().find(|(tag, _)| *tag == key.text);
                let mended = found.or_else(|| tagged.iter().find(|(t, _)| nearest(&key.text, tags()) == Some(*t)));
                if found.is_none() {
                    let label = match mended {
                        Some((tag, _)) => format!("did you mean `{tag}`?"),
                        None if alone.contains(&key.text.as_str()) => format!("`{}` stands alone", key.text),
                        None => format!("known here: {}", listed(alone.iter().copied().chain(tags()))),
                    };
                    let title = format!("`{}` can't be `{}`", name.text, short(&key.text));
                    self.problems.push(Problem::new(title, key.place).labelled(label));
                }
                let Some((tag, wanted)) = mended else { return false };
                key.text = (*tag).to_owned();
                self.node(value, wanted, &Name { text: key.text.clone(), place: key.place })
            }
            Kind::Map(entries) => {
                let place = entries.get(1).map_or(node.place, |(key, _)| key.place);
                let title = format!("`{}` is one of several, not {} of them", name.text, entries.len());
                let all = listed(alone.iter().copied().chain(tagged.iter().map(|(tag, _)| *tag)));
                self.unmended(node, Problem::new(title, place).labelled(format!("choose one: {all}")))
            }
            Kind::List(_) => {
                let all = listed(alone.iter().copied().chain(tagged.iter().map(|(tag, _)| *tag)));
                self.wrong(node, &format!("one of {all}"), name)
            }
        }
    }

    /// A union by the kind of value: text or keys with values, for example.
    fn other_kinds(&mut self, node: &mut Node, choices: &[&'a Map<String, Value>], name: &Name) -> Fits {
        let wanted = match &node.kind {
            Kind::Map(_) => "object",
            Kind::List(_) => "array",
            Kind::Scalar { .. } => "",
        };
        let fitting: Vec<_> = choices
            .iter()
            .filter(|choice| match (types(choice), wanted) {
                (types, "") => types.iter().any(|t| !["object", "array", "null"].contains(t)),
                (types, wanted) => types.is_empty() || types.contains(&wanted),
            })
            .collect();
        match (fitting.as_slice(), wanted) {
            ([], _) => {
                let all: Vec<String> = choices.iter().map(|c| meant(&types(c), c)).collect();
                self.wrong(node, &all.join(" or "), name)
            }
            ([choice, ..], "object") => self.within(node, |walk, node| walk.object(node, choice, name)),
            ([choice, ..], "array") => self.within(node, |walk, node| walk.list(node, choice, name)),
            ([choice, ..], _) => match choice.get(UNIT).and_then(Value::as_str) {
                Some(unit) => self.unit(node, unit, name),
                None => self.scalar(node, choice, &types(choice), name),
            },
        }
    }

    /// One of some words.
    fn word(&mut self, node: &mut Node, words: &[&str], with_content: &[&str], name: &Name) -> Fits {
        let Kind::Scalar { text, .. } = &mut node.kind else {
            return self.wrong(node, &format!("one of {}", listed(words.iter().copied())), name);
        };
        if words.contains(&text.as_str()) {
            return true;
        }
        let title = format!("`{}` can't be `{}`", name.text, short(text));
        if with_content.contains(&text.as_str()) {
            let label = format!("`{text}` needs something below it: `{{ {text}: .. }}`");
            return self.unmended(node, Problem::new(title, node.place).labelled(label));
        }
        let meant = nearest(text, words.iter().copied());
        let label = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", listed(words.iter().chain(with_content).copied())),
        };
        self.problems.push(Problem::new(title, node.place).labelled(label));
        if let Some(meant) = meant {
            *text = meant.to_owned();
        }
        meant.is_some()
    }
}

/// The words of a `const` or an `enum`.
fn words(schema: &Map<String, Value>) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word]);
    }
    schema.get("enum")?.as_array().map(|words| words.iter().filter_map(Value::as_str).collect())
}

/// The tag and the content of an externally tagged variant: an object with one property, which is required.
fn tag(schema: &Map<String, Value>) -> Option<(&str, &Value)> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    let (tag, content) = properties.iter().next()?;
    (properties.len() == 1 && required.len() == 1 && required[0] == tag.as_str()).then_some((tag.as_str(), content))
}

fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn meant(types: &[&str], schema: &Map<String, Value>) -> String {
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    let one = |t: &&str| match *t {
        "string" => "text".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "object" => "keys and values".to_owned(),
        "array" => "a list".to_owned(),
        "integer" | "number" => {
            let kind = if *t == "integer" { "a whole number" } else { "a number" };
            match (bound("minimum"), bound("maximum")) {
                (Some(min), Some(max)) => format!("{kind} from {min} to {max}"),
                (Some(min), None) => format!("{kind}, at least {min}"),
                (None, Some(max)) => format!("{kind}, at most {max}"),
                (None, None) => kind.to_owned(),
            }
        }
        other => other.to_owned(),
    };
    types.iter().filter(|t| **t != "null").map(one).collect::<Vec<_>>().join(" or ")
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    if words.len() > 12 {
        words.truncate(12);
        words.push("..".into());
    }
    words.join(", ")
}

fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= 40 { line.to_owned() } else { line.chars().take(39).chain(['…']).collect() }
}

fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    let first = text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.');
    // A name in capitals keeps them.
    match first.char_indices().nth(1) {
        Some((second, c)) if !c.is_uppercase() => first[..second].to_lowercase() + &first[second..],
        _ => first.to_owned(),
    }
}
