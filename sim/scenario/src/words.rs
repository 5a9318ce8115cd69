//! The table of words: what a scenario and a server profile can say, as Markdown, from the same types that read them.

use crate::schema::{SCENARIO, SERVER};
use crate::units::UNIT;
use serde_json::Value;

/// The words of scenarios and of server profiles, as Markdown.
pub fn words() -> String {
    let mut out = String::from("# The words of a scenario\n");
    tables(&SCENARIO, &mut out);
    out += "\n# The words of a server profile\n";
    tables(&SERVER, &mut out);
    out
}

/// A table for each map, in the order in which they are met.
fn tables(schema: &Value, out: &mut String) {
    let mut queue = vec![(String::from("the file"), schema)];
    let mut done = 0;
    while let Some((name, map)) = queue.get(done).cloned() {
        done += 1;
        let about = text(map, "description");
        *out += &format!("\n## {name}\n\n{about}\n\n| word | value | meaning |\n| --- | --- | --- |\n");
        for row in rows(schema, map) {
            let Row { word, value, meaning, below } = row;
            *out += &format!("| `{word}` | {} | {} |\n", value.replace('|', "\\|"), meaning.replace('|', "\\|"));
            for (name, map) in below {
                if !queue.iter().any(|(_, known)| std::ptr::eq(*known, map)) {
                    queue.push((name, map));
                }
            }
        }
    }
}

struct Row<'a> {
    word: &'a str,
    value: String,
    meaning: String,
    below: Vec<(String, &'a Value)>,
}

/// The keys of a map, or the variants of a choice.
fn rows<'a>(root: &'a Value, map: &'a Value) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (word, schema) in map["properties"].as_object().into_iter().flatten() {
        let needed = map["required"].as_array().is_some_and(|all| all.iter().any(|name| name == word.as_str()));
        let mut below = Vec::new();
        let value = value(root, schema, word, &mut below);
        let meaning = text(schema, "description");
        let meaning = if needed { format!("{meaning} **Needed.**") } else { meaning };
        rows.push(Row { word, value, meaning, below });
    }
    for choice in map["oneOf"].as_array().into_iter().flatten() {
        let meaning = text(choice, "description");
        if let Some(word) = choice["const"].as_str() {
            rows.push(Row { word, value: "alone".into(), meaning: meaning.clone(), below: Vec::new() });
        }
        for (word, schema) in choice["properties"].as_object().into_iter().flatten() {
            let mut below = Vec::new();
            let value = value(root, schema, word, &mut below);
            rows.push(Row { word, value, meaning: meaning.clone(), below });
        }
    }
    rows
}

/// What a value may be, in words; maps and choices with their own tables are added to `below`.
fn value<'a>(root: &'a Value, schema: &'a Value, word: &str, below: &mut Vec<(String, &'a Value)>) -> String {
    if let Some(path) = schema["$ref"].as_str() {
        let Some(target) = path.strip_prefix('#').and_then(|path| root.pointer(path)) else { return String::new() };
        return value(root, target, path.rsplit('/').next().unwrap_or(word), below);
    }
    if let Some(unit) = schema[UNIT].as_str() {
        return unit.to_owned();
    }
    for union in ["anyOf", "oneOf"] {
        let Some(choices) = schema[union].as_array() else { continue };
        let named = choices.iter().any(|c| c["const"].is_string() || c["properties"].is_object());
        if named {
            below.push((word.to_owned(), schema));
            return format!("one of [{word}](#{})", word.to_lowercase());
        }
        let several: Vec<_> =
            choices.iter().filter(|c| c["type"] != "null").map(|c| value(root, c, word, below)).collect();
        return several.join(" or ");
    }
    if schema["properties"].is_object() {
        below.push((word.to_owned(), schema));
        return format!("[{word}](#{})", word.to_lowercase());
    }
    let types: Vec<_> = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect(),
        _ => return "any value".into(),
    };
    match types.as_slice() {
        ["array"] => format!("list of {}", value(root, &schema["items"], word, below)),
        ["object"] => format!("by name: {}", value(root, &schema["additionalProperties"], word, below)),
        ["string"] => "text".into(),
        ["boolean"] => "`true` or `false`".into(),
        ["integer"] => "whole number".into(),
        several => several.join(" or ").replace("string", "text"),
    }
}

fn text(schema: &Value, key: &str) -> String {
    schema[key].as_str().unwrap_or("").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    /// `DROVES_BLESS=1 cargo test -p droves-scenario words` writes the file.
    #[test]
    fn the_table_in_the_scenarios_folder_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/WORDS.md");
        let words = super::words();
        if std::env::var_os("DROVES_BLESS").is_some() {
            std::fs::write(path, &words).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap() == words, "scenarios/WORDS.md is old: see this test");
    }
}
