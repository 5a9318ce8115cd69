//! `cargo xtask tidy`: the rules of the house that no compiler checks. It promises to list *every* finding, each with
//! its place and its cure, and to fail if there is one.

mod arrows;
mod clippy_files;
mod files;
mod outline;
mod scenarios;
mod source;

use crate::House;
use anyhow::Result;
use std::fmt;
use std::path::{Path, PathBuf};

/// One broken rule.
#[derive(Debug, PartialEq)]
struct Finding {
    /// Relative to the root of the workspace.
    path: PathBuf,
    line: usize,
    what: String,
    cure: String,
}

impl Finding {
    fn new(path: impl Into<PathBuf>, line: usize, what: impl Into<String>, cure: impl Into<String>) -> Finding {
        Finding { path: path.into(), line, what: what.into(), cure: cure.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}. Cure: {}", self.path.display(), self.line, self.what, self.cure)
    }
}

/// Run all checks; true if nothing was found.
pub(crate) fn tidy(house: &House) -> Result<bool> {
    let mut findings = arrows::check(house)?;
    findings.extend(arrows::banned_crates(&house.root())?);
    let files = files::check(house)?;
    findings.extend(files.findings);
    findings.extend(clippy_files::check(&house.root())?);
    findings.extend(scenarios::check(&house.root())?);

    findings.sort_by(|a, b| (&a.path, a.line, &a.what).cmp(&(&b.path, b.line, &b.what)));
    for finding in &findings {
        println!("{finding}");
    }
    println!(
        "tidy: {} rooms, {} files, {} lines; {} files and {} functions are longer than the house aims at ({} and {} \
         lines); {} findings",
        arrows::ROOMS.len(),
        files.count,
        files.lines,
        files.files_over_aim,
        files.functions_over_aim,
        files::FILE_LINES_AIM,
        files::FUNCTION_LINES_AIM,
        findings.len()
    );
    Ok(findings.is_empty())
}

/// A path as said to a person: relative to the root.
fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_path_buf()
}

/// Every file below `dir` with one of the extensions, sorted; target folders, `testdata` and dot folders left out.
fn files_below(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        if !dir.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != "testdata" && !name.starts_with('.') {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|ending| extensions.iter().any(|wanted| ending == *wanted)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
