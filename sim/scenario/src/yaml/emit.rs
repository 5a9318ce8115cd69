//! The resolved tree as YAML again: variables put in, secrets left out. It is kept with the results, and its hash names
//! the plan.

use super::tree::{Kind, Node};

/// Block style, two spaces, in the order of the file. Text that could be taken for something else is quoted.
pub(crate) fn emit(node: &Node) -> String {
    let mut out = String::new();
    write(node, 0, &mut out);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn write(node: &Node, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent);
    match &node.kind {
        Kind::Scalar { text, plain, shown } => out.push_str(&scalar(shown.as_ref().unwrap_or(text), *plain)),
        Kind::List(items) if items.is_empty() => out.push_str("[]"),
        Kind::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Kind::List(items) => {
            for item in items {
                out.push_str(&pad);
                out.push('-');
                below(item, indent + 1, out);
            }
        }
        Kind::Map(entries) => {
            for (key, value) in entries {
                out.push_str(&pad);
                out.push_str(&scalar(&key.text, true));
                out.push(':');
                below(value, indent + 1, out);
            }
        }
    }
}

fn below(node: &Node, indent: usize, out: &mut String) {
    let block = match &node.kind {
        Kind::Scalar { .. } => false,
        Kind::List(items) => !items.is_empty(),
        Kind::Map(entries) => !entries.is_empty(),
    };
    out.push(if block { '\n' } else { ' ' });
    write(node, indent, out);
    if !block {
        out.push('\n');
    }
}

/// Plain where plain text reads back as itself, else in double quotes as JSON writes them, which YAML reads.
fn scalar(text: &str, plain: bool) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_-./%${}+".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || "_/$.".contains(c));
    if plain && text.is_empty() {
        return "~".to_owned();
    }
    if plain && starts_well && text.chars().all(harmless) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::yaml::parse;

    fn same(a: &Node, b: &Node) -> bool {
        match (&a.kind, &b.kind) {
            (Kind::Scalar { text: a, .. }, Kind::Scalar { text: b, .. }) => a == b,
            (Kind::List(a), Kind::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Kind::Map(a), Kind::Map(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka.text == kb.text && same(a, b))
            }
            _ => false,
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = "a: 1\nb: [ x, 'y: z', \"q\\\"\\n\", {}, [] ]\nc: { d: 20%, 'e f': { g: [ { h: i, j: '-' } ] } }\nk: |\n  two\n  lines\nl: ${x}\n";
        let mut problems = Vec::new();
        let node = parse(text, &mut problems).unwrap();
        let again = parse(&emit(&node), &mut problems);
        let again = again.unwrap_or_else(|| panic!("{problems:?}\n{}", emit(&node)));
        assert!(problems.is_empty(), "{problems:?}");
        assert!(same(&node, &again), "{}", emit(&node));
    }
}
