//! The Rust files of the workspace: none is dead, none is too long, none holds unfinished work or a suppression
//! without its reason.

use super::outline::{NamedFile, Outline};
use super::source::Source;
use super::{Finding, files_below, relative};
use crate::House;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the house aims at; more is counted.
pub(super) const FILE_LINES_AIM: usize = 500;
/// What the house aims at; more is counted.
pub(super) const FUNCTION_LINES_AIM: usize = 60;

/// More than this is a finding. Lines of tests do not count.
const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 90;

/// Marks of unfinished work in comments.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX"];

/// What was found, and how much was read.
#[derive(Default)]
pub(super) struct Files {
    pub(super) findings: Vec<Finding>,
    pub(super) count: usize,
    pub(super) lines: usize,
    pub(super) files_over_aim: usize,
    pub(super) functions_over_aim: usize,
}

/// Walk from every target of every package, then look for files that the walk did not meet.
pub(super) fn check(house: &House) -> Result<Files> {
    let root = house.root();
    let mut files = Files::default();
    let mut reached = BTreeMap::new();
    for package in house.metadata.workspace_packages() {
        for target in &package.targets {
            let test = target.is_test() || target.is_bench();
            reach(target.src_path.as_std_path(), true, test, &mut reached)?;
        }
    }
    for (path, seen) in &reached {
        read(&root, path, seen, &mut files);
    }
    for package in house.metadata.workspace_packages() {
        let Some(dir) = package.manifest_path.parent() else { continue };
        for path in files_below(dir.as_std_path(), &["rs"])? {
            if !reached.contains_key(&path) {
                let cure = "name it with `mod` in its parent, make it a target, or remove it";
                files.findings.push(Finding::new(relative(&root, &path), 1, "no target reaches this file", cure));
            }
        }
    }
    Ok(files)
}

/// A file that a target reaches.
struct Seen {
    source: Source,
    outline: Outline,
    test: bool,
}

fn reach(path: &Path, is_root: bool, test: bool, reached: &mut BTreeMap<PathBuf, Seen>) -> Result<()> {
    if reached.get(path).is_some_and(|seen| test || !seen.test) {
        return Ok(());
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let source = Source::read(&text);
    let outline = Outline::of(&source);
    let mut next = Vec::new();
    for named in &outline.files {
        let (candidates, in_test) = candidates(path, is_root, named);
        next.extend(candidates.into_iter().find(|candidate| candidate.is_file()).map(|file| (file, in_test || test)));
    }
    reached.insert(path.to_path_buf(), Seen { source, outline, test });
    for (file, in_test) in next {
        // A file named by `#[path]` has its children beside it, as a root has.
        let like_root = file.file_name().is_some_and(|name| name == "mod.rs");
        reach(&file, like_root, in_test, reached)?;
    }
    Ok(())
}

/// Where rustc looks for a named file.
fn candidates(path: &Path, is_root: bool, named: &NamedFile) -> (Vec<PathBuf>, bool) {
    let folder = path.parent().unwrap_or(Path::new("."));
    match named {
        NamedFile::Path { path, test } => (vec![folder.join(path)], *test),
        NamedFile::Module { inside, name, test } => {
            let mut dir = if is_root { folder.to_path_buf() } else { path.with_extension("") };
            dir.extend(inside);
            (vec![dir.join(format!("{name}.rs")), dir.join(name).join("mod.rs")], *test)
        }
    }
}

fn read(root: &Path, path: &Path, seen: &Seen, files: &mut Files) {
    let at = relative(root, path);
    files.count += 1;
    files.lines += seen.source.lines;
    for line in &seen.outline.reasonless {
        let cure = "write `#[expect(.., reason = \"..\")]`, or cure what the lint says";
        files.findings.push(Finding::new(&at, *line, "a suppression without a reason", cure));
    }
    for line in &seen.outline.unfinished {
        files.findings.push(Finding::new(&at, *line, "unfinished work", "finish it, or take the way to it out"));
    }
    for (line, comment) in &seen.source.comments {
        if let Some(mark) = comment.split(|c: char| !c.is_alphanumeric()).find(|word| UNFINISHED.contains(word)) {
            files.findings.push(Finding::new(&at, *line, format!("a {mark}"), "do it, or say in words what is so"));
        }
    }
    if seen.test {
        return;
    }
    let lines = seen.source.lines - seen.outline.test_lines.min(seen.source.lines);
    files.files_over_aim += usize::from(lines > FILE_LINES_AIM);
    if lines > FILE_LINES_MAX {
        let what = format!("{lines} lines outside of tests, at most {FILE_LINES_MAX}");
        files.findings.push(Finding::new(&at, 1, what, "cut it where a second subject begins"));
    }
    for function in seen.outline.functions.iter().filter(|function| !function.test) {
        files.functions_over_aim += usize::from(function.lines > FUNCTION_LINES_AIM);
        if function.lines > FUNCTION_LINES_MAX {
            let what = format!("`{}` has {} lines, at most {FUNCTION_LINES_MAX}", function.name, function.lines);
            files.findings.push(Finding::new(&at, function.line, what, "name its steps and make each a function"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_walk_reaches_modules_where_rustc_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("lib.rs", "mod a;\nmod b { mod c; }\n#[cfg(test)] mod proof;");
        write("a.rs", "mod deep;");
        write("a/deep.rs", "mod deeper;");
        write("a/deep/deeper.rs", "");
        write("b/c/mod.rs", "mod beside;");
        write("b/c/beside.rs", "");
        write("proof.rs", "");
        write("dead.rs", "");
        let mut reached = BTreeMap::new();
        reach(&dir.path().join("lib.rs"), true, false, &mut reached).unwrap();
        let names: Vec<(String, bool)> =
            reached.iter().map(|(path, seen)| (relative(dir.path(), path).display().to_string(), seen.test)).collect();
        let expected = ["a/deep/deeper.rs", "a/deep.rs", "a.rs", "b/c/beside.rs", "b/c/mod.rs", "lib.rs", "proof.rs"];
        assert_eq!(names, expected.map(|name| (name.to_owned(), name == "proof.rs")));
    }

    #[test]
    fn long_files_and_marks_are_found_with_their_lines() {
        let mut text = String::from("// a TODO here\nfn long() {\n");
        text.push_str(&"    step();\n".repeat(FILE_LINES_MAX));
        text.push_str("}\n");
        let source = Source::read(&text);
        let seen = Seen { outline: Outline::of(&source), source, test: false };
        let mut files = Files::default();
        read(Path::new("/r"), Path::new("/r/x.rs"), &seen, &mut files);
        let said: Vec<(usize, &str)> = files.findings.iter().map(|f| (f.line, f.what.as_str())).collect();
        assert_eq!(
            said,
            [(1, "a TODO"), (1, "703 lines outside of tests, at most 700"), (2, "`long` has 702 lines, at most 90")]
        );
        assert_eq!((files.files_over_aim, files.functions_over_aim), (1, 1));
    }
}
