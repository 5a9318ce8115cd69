//! Clippy reads the nearest `clippy.toml` only and merges nothing, so a room with bans of its own repeats those of the
//! root. This check keeps the repeated part the same: the lines between the two marks, comments and blanks included.

use super::{Finding, files_below, relative};
use anyhow::{Context, Result};
use std::path::Path;

const BEGIN: &str = "# common: begin";
const END: &str = "# common: end";

/// Every `clippy.toml` below the root against the one in the root.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let ours = std::fs::read_to_string(root.join("clippy.toml")).context("clippy.toml in the root")?;
    let mut findings = Vec::new();
    if common(&ours).is_empty() {
        findings.push(Finding::new("clippy.toml", 1, "it has no common part", format!("mark it: `{BEGIN}`, `{END}`")));
    }
    for path in files_below(root, &["toml"])? {
        if path.file_name().is_some_and(|name| name == "clippy.toml") && path != root.join("clippy.toml") {
            let theirs = std::fs::read_to_string(&path)?;
            findings.extend(first_difference(&ours, &theirs).map(|(line, what)| {
                Finding::new(relative(root, &path), line, what, "make the common parts equal, line by line")
            }));
        }
    }
    Ok(findings)
}

/// The lines between the marks, with their numbers.
fn common(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match line.trim() {
            BEGIN => inside = true,
            END => inside = false,
            _ if inside => lines.push((index + 1, line.trim())),
            _ => {}
        }
    }
    lines
}

fn first_difference(ours: &str, theirs: &str) -> Option<(usize, String)> {
    let (ours, theirs) = (common(ours), common(theirs));
    for (index, (_, line)) in ours.iter().enumerate() {
        match theirs.get(index) {
            Some((_, other)) if other == line => {}
            Some((at, _)) => return Some((*at, format!("the common part differs from the root's `{line}`"))),
            None => {
                return Some((
                    theirs.last().map_or(1, |(at, _)| *at),
                    format!("the common part lacks the root's `{line}`"),
                ));
            }
        }
    }
    theirs.get(ours.len()).map(|(at, line)| (*at, format!("the root's common part lacks `{line}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(theirs: &str, expected: Option<(usize, &str)>) {
        let ours = "x = 1\n# common: begin\na\nb\n# common: end\n";
        let found = first_difference(ours, theirs);
        assert_eq!(found.as_ref().map(|(line, what)| (*line, what.as_str())), expected);
    }

    #[test]
    fn only_the_common_part_counts() {
        check("# common: begin\na\nb\n# common: end\nmore\n", None);
        check("# common: begin\na\nc\n# common: end\n", Some((3, "the common part differs from the root's `b`")));
        check("# common: begin\na\n# common: end\nb\n", Some((2, "the common part lacks the root's `b`")));
        check("# common: begin\na\nb\nc\n# common: end\n", Some((4, "the root's common part lacks `c`")));
        check("", Some((1, "the common part lacks the root's `a`")));
    }
}
