//! A scenario opens with the question that it answers: a comment before anything else.

use super::{Finding, files_below, relative};
use anyhow::Result;
use std::path::Path;

/// Every YAML file under `scenarios/`.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files_below(&root.join("scenarios"), &["yaml", "yml"])? {
        if !opens_with_a_comment(&std::fs::read_to_string(&path)?) {
            let cure =
                "say in the first lines which question it answers (or, for a server profile, which product it is)";
            findings.push(Finding::new(relative(root, &path), 1, "it does not open with a comment", cure));
        }
    }
    Ok(findings)
}

/// The editor's schema line is for the editor: it is no comment for a reader.
fn opens_with_a_comment(text: &str) -> bool {
    text.lines()
        .take_while(|line| line.starts_with('#'))
        .any(|line| !line.contains("yaml-language-server") && line.trim_start_matches('#').trim().len() > 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: bool) {
        assert_eq!(opens_with_a_comment(text), expected, "{text}");
    }

    #[test]
    fn a_scenario_says_its_question_first() {
        check("# Does a push reach every phone?\ntarget:\n", true);
        check("# yaml-language-server: $schema=x.json\n# Does a push reach every phone?\ntarget:\n", true);
        check("# yaml-language-server: $schema=x.json\ntarget:\n# Does a push reach every phone?\n", false);
        check("#\ntarget:\n", false);
        check("", false);
    }
}
