//! Variables: `${NAME}` in a value becomes what `-e NAME=value`, `vars:` or the environment says, in this order.
//! `${NAME:-default}` has a default, `$${` is `${` itself. It happens on the tree, before a value gets its type, so that
//! `count: ${phones}` is a number and every message still knows its place.
//!
//! What goes by a name that tells of a secret is not shown again: messages and the resolved scenario keep `${NAME}`.

use super::tree::{Kind, Node};
use crate::plan::Place;
use crate::problem::{Problem, nearest};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Where values come from.
pub(crate) struct Lookup<'a> {
    /// Each with whether it is a secret.
    given: BTreeMap<String, (String, bool)>,
    env: &'a dyn Fn(&str) -> Option<String>,
    /// What to say beside a variable that is missing: its meaning.
    meanings: BTreeMap<String, String>,
    asked: RefCell<BTreeSet<String>>,
}

/// Variables that were given and never asked for.
pub(crate) struct Unused(pub(crate) Vec<String>);

impl<'a> Lookup<'a> {
    /// From the environment alone, with meanings for what may be missing.
    pub(crate) fn new(env: &'a dyn Fn(&str) -> Option<String>, meanings: BTreeMap<String, String>) -> Self {
        Lookup { given: BTreeMap::new(), env, meanings, asked: RefCell::default() }
    }

    /// Adds the `vars` of a file; what is given on the command line wins over them. Their values may use the
    /// environment, and are returned as they now are.
    pub(crate) fn declare(&mut self, vars: &mut Node, overrides: &[(String, String)], problems: &mut Vec<Problem>) {
        substitute(vars, self, problems);
        if let Kind::Map(entries) = &mut vars.kind {
            for (key, value) in entries {
                if let Some((_, given)) = overrides.iter().rev().find(|(name, _)| *name == key.text) {
                    let shown = tells_of_a_secret(&key.text).then(|| format!("${{{}}}", key.text));
                    value.kind = Kind::Scalar { text: given.clone(), plain: true, shown };
                    self.asked.borrow_mut().insert(key.text.clone());
                }
                if let Kind::Scalar { text, shown, .. } = &value.kind {
                    self.given.insert(key.text.clone(), (text.clone(), shown.is_some()));
                }
            }
        }
    }

    /// Adds what is given on the command line.
    pub(crate) fn give(&mut self, overrides: &[(String, String)]) {
        let all = overrides.iter().cloned();
        self.given.extend(all.map(|(name, value)| (name.clone(), (value, tells_of_a_secret(&name)))));
    }

    /// Which of these were never asked for.
    pub(crate) fn unused(&self, overrides: &[(String, String)]) -> Unused {
        let asked = self.asked.borrow();
        Unused(overrides.iter().map(|(name, _)| name.clone()).filter(|name| !asked.contains(name)).collect())
    }

    fn find(&self, name: &str) -> Option<(String, bool)> {
        self.asked.borrow_mut().insert(name.to_owned());
        let is_secret = || tells_of_a_secret(name) || self.meanings.contains_key(name);
        match self.given.get(name) {
            Some((value, secret)) => Some((value.clone(), *secret || is_secret())),
            None => (self.env)(name).map(|value| (value, is_secret())),
        }
    }

    fn missing(&self, name: &str, place: Place) -> Problem {
        let problem = Problem::new(format!("`${{{name}}}` has no value"), place);
        let cure = match self.meanings.get(name) {
            Some(meaning) => format!("set {name} in the environment: {meaning}"),
            None => format!("give it with `-e {name}=..`, under `vars:` or in the environment"),
        };
        match nearest(name, self.given.keys().map(String::as_str)) {
            Some(near) => problem.labelled(format!("did you mean `{near}`?")),
            None => problem,
        }
        .cured(cure)
    }
}

fn tells_of_a_secret(name: &str) -> bool {
    ["KEY", "TOKEN", "SECRET", "PASSWORD"].iter().any(|word| name.to_uppercase().contains(word))
}

/// Puts variables into every value below. A variable without a value is a problem, and stays as it is.
pub(crate) fn substitute(node: &mut Node, lookup: &Lookup<'_>, problems: &mut Vec<Problem>) {
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| substitute(item, lookup, problems)),
        Kind::Map(entries) => entries.iter_mut().for_each(|(_, value)| substitute(value, lookup, problems)),
        Kind::Scalar { text, shown, .. } if text.contains("${") => {
            let (put, secret) = put(text, node.place, lookup, problems);
            *shown = secret.then(|| text.clone());
            *text = put;
        }
        Kind::Scalar { .. } => {}
    }
}

fn put(text: &str, place: Place, lookup: &Lookup<'_>, problems: &mut Vec<Problem>) -> (String, bool) {
    let (mut out, mut rest, mut secret) = (String::new(), text, false);
    while let Some(start) = rest.find("${") {
        if let Some(before) = rest.get(..start).and_then(|b| b.strip_suffix('$')) {
            out += before;
            out += "${";
            rest = &rest[start + 2..];
            continue;
        }
        out += &rest[..start];
        let Some(end) = rest[start..].find('}') else {
            problems.push(Problem::new("`${` without `}`", place).cured("write `$${` for the text itself"));
            break;
        };
        let inside = &rest[start + 2..start + end];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        match (lookup.find(name), default) {
            (Some((value, telling)), _) => {
                out += &value;
                secret |= telling;
            }
            (None, Some(default)) => out += default,
            (None, None) => {
                problems.push(lookup.missing(name, within(place, text, text.len() - rest.len() + start, end + 1)));
                out += &rest[start..=start + end];
            }
        }
        rest = &rest[start + end + 1..];
    }
    out += rest;
    (out, secret)
}

/// The place of a part of a scalar. Exact where the text stands on one line as it is, else that of the whole.
fn within(place: Place, text: &str, at: usize, bytes: usize) -> Place {
    let before = text.get(..at).unwrap_or("").chars().count() as u32;
    let width = text.get(at..at + bytes).unwrap_or("").chars().count() as u32;
    let whole = text.chars().count() as u32;
    match place.width.checked_sub(whole) {
        // Quotes, if any, are two more; the text begins after the first.
        Some(quotes @ (0 | 2)) => Place { column: place.column + quotes / 2 + before, width, ..place },
        _ => place,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::yaml::parse;

    fn check(value: &str, wanted: &str, problems_wanted: usize) {
        let mut problems = Vec::new();
        let mut node = parse(&format!("a: {value}"), &mut problems).unwrap();
        let env = |name: &str| (name == "API_KEY").then(|| "s3cret".to_owned());
        let mut lookup = Lookup::new(&env, BTreeMap::new());
        lookup.give(&[("n".into(), "5".into())]);
        substitute(&mut node, &lookup, &mut problems);
        let Kind::Scalar { text, .. } = &node.member("a").unwrap().kind else { panic!("no scalar") };
        assert_eq!(text, wanted);
        assert_eq!(problems.len(), problems_wanted, "{problems:?}");
    }

    #[test]
    fn variables_are_put_in() {
        check("${n}", "5", 0);
        check("x${n}y${n}", "x5y5", 0);
        check("$${n}", "${n}", 0);
        check("\"${m:-7}/s\"", "7/s", 0);
        check("key ${API_KEY}", "key s3cret", 0);
        check("\"${m} and ${k}\"", "${m} and ${k}", 2);
        check("\"${m\"", "${m", 1);
        check("é${é}é", "é${é}é", 1);
    }

    #[test]
    fn a_secret_stays_one_through_another_name() {
        let mut problems = Vec::new();
        let mut node = parse("vars: { k: \"${API_KEY}\" }\na: x${k}\n", &mut problems).unwrap();
        let env = |name: &str| (name == "API_KEY").then(|| "s3cret".to_owned());
        let mut lookup = Lookup::new(&env, BTreeMap::new());
        let Kind::Map(entries) = &mut node.kind else { panic!("no map") };
        lookup.declare(&mut entries[0].1, &[], &mut problems);
        substitute(&mut node, &lookup, &mut problems);
        assert!(matches!(&node.member("a").unwrap().kind, Kind::Scalar { text, .. } if text == "xs3cret"));
        assert!(!crate::yaml::emit(&node).contains("s3cret"));
        assert!(problems.is_empty());
    }

    #[test]
    fn a_missing_one_is_pointed_at() {
        let mut problems = Vec::new();
        let mut node = parse("a: \"xy ${nn} z\"", &mut problems).unwrap();
        let mut lookup = Lookup::new(&|_| None, BTreeMap::new());
        lookup.give(&[("n".into(), "5".into())]);
        substitute(&mut node, &lookup, &mut problems);
        assert_eq!(problems[0].place(), Place { line: 1, column: 8, width: 5 });
    }
}
