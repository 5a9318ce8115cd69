//! Problems: what is wrong with a file, where, and what cures it. All at once, each with its line and a caret.
//!
//! ```text
//! error: unknown key `platfrom`
//!   --> scenarios/monday-profile.yaml:17:7
//! 17 |       platfrom: ios
//!    |       ^^^^^^^^ did you mean `platform`?
//!    = cure: ..
//! ```

use crate::plan::Place;
use std::fmt;

/// More problems than this are not shown: nobody reads the hundredth.
const PROBLEMS_MAX: usize = 50;
/// A line longer than this is cut around the caret.
const LINE_CHARS_MAX: usize = 160;

/// One thing that is wrong, or that should be known.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    severity: Severity,
    title: String,
    place: Place,
    label: String,
    cure: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Error,
    Warning,
}

impl Problem {
    /// An error at a place. [`Place::default`] is the file as a whole.
    pub fn new(title: impl Into<String>, place: Place) -> Self {
        Problem { severity: Severity::Error, title: title.into(), place, label: String::new(), cure: String::new() }
    }

    /// A warning: the run goes on.
    pub fn warning(title: impl Into<String>, place: Place) -> Self {
        Problem { severity: Severity::Warning, ..Problem::new(title, place) }
    }

    /// With words beside the caret.
    #[must_use]
    pub fn labelled(self, label: impl Into<String>) -> Self {
        Problem { label: label.into(), ..self }
    }

    /// With what cures it.
    #[must_use]
    pub fn cured(self, cure: impl Into<String>) -> Self {
        Problem { cure: cure.into(), ..self }
    }

    /// What is wrong, in one line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether the run can't begin.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A file's name and text, from which the lines of problems are quoted.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Source {
    name: String,
    text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {} bytes)", self.name, self.text.len())
    }
}

impl Source {
    /// A file by the name that people know it by.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Source { name: name.into(), text: text.into() }
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands at a place.
    pub(crate) fn quote(&self, place: Place) -> String {
        let line = self.text.lines().nth((place.line as usize).saturating_sub(1)).unwrap_or("");
        line.chars().skip(place.column.saturating_sub(1) as usize).take(place.width.min(60) as usize).collect()
    }

    /// One problem of this file, as it is shown.
    pub fn render(&self, problem: &Problem, colours: bool) -> String {
        let paint = |code: &str, text: &str| match colours {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        };
        let (word, colour) = match problem.severity {
            Severity::Error => ("error", "1;31"),
            Severity::Warning => ("warning", "1;33"),
        };
        let Place { line, column, width } = problem.place;
        let mut out = format!("{}: {}\n", paint(colour, word), paint("1", &problem.title));
        let gutter = if line == 0 { 2 } else { line.to_string().len().max(2) };
        let pad = " ".repeat(gutter);
        if line == 0 {
            out += &format!("{pad}--> {}\n", self.name);
            if !problem.label.is_empty() {
                out += &format!("{pad} = {}\n", problem.label);
            }
        } else {
            let quoted = self.text.lines().nth(line as usize - 1).unwrap_or("").replace('\t', " ");
            let (quoted, before) = cut(quoted.trim_end(), column.saturating_sub(1) as usize);
            let carets = "^".repeat(width.max(1) as usize);
            let label = if problem.label.is_empty() { String::new() } else { format!(" {}", problem.label) };
            out += &format!("{pad}--> {}:{line}:{column}\n", self.name);
            out += &format!("{} {quoted}\n", paint("2", &format!("{line:>gutter$} |")));
            let under = format!("{}{carets}{label}", " ".repeat(before));
            out += &format!("{} {}\n", paint("2", &format!("{pad} |")), paint(colour, &under));
        }
        if !problem.cure.is_empty() {
            out += &format!("{pad} = cure: {}\n", problem.cure);
        }
        out
    }
}

/// Cuts a long line so that the caret's column stays in sight; gives the line and the characters before the caret.
fn cut(line: &str, column: usize) -> (String, usize) {
    if line.chars().count() <= LINE_CHARS_MAX {
        return (line.to_owned(), column);
    }
    let skip = column.saturating_sub(LINE_CHARS_MAX / 2);
    let part: String = line.chars().skip(skip).take(LINE_CHARS_MAX).collect();
    match skip {
        0 => (format!("{part}…"), column),
        _ => (format!("…{part}…"), column - skip + 1),
    }
}

/// Everything that is wrong with a scenario and the files that it names. It shows itself.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    files: Vec<(Source, Vec<Problem>)>,
}

impl Problems {
    /// Problems of one file.
    pub fn of(source: Source, problems: Vec<Problem>) -> Self {
        let mut all = Problems::default();
        all.add(source, problems);
        all
    }

    /// Adds those of another file. They are shown in the order of their lines, and each once.
    pub fn add(&mut self, source: Source, mut problems: Vec<Problem>) {
        problems.sort_by_key(|p| (p.severity, p.place));
        problems.dedup();
        if !problems.is_empty() {
            self.files.push((source, problems));
        }
    }

    /// Adds those of a file that is to be shown before the others.
    pub(crate) fn add_first(&mut self, source: Source, problems: Vec<Problem>) {
        let others = std::mem::take(&mut self.files);
        self.add(source, problems);
        self.files.extend(others);
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.iter().filter(|p| p.is_error()).count()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// All of them, in the order of files and lines.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.files.iter().flat_map(|(_, problems)| problems)
    }

    /// As text for a terminal or a log, with a last line that counts.
    pub fn render(&self, colours: bool) -> String {
        let mut out = String::new();
        let shown = self.files.iter().flat_map(|(source, problems)| problems.iter().map(move |p| (source, p)));
        for (source, problem) in shown.take(PROBLEMS_MAX) {
            out += &source.render(problem, colours);
        }
        let total = self.iter().count();
        if total > PROBLEMS_MAX {
            out += &format!("… and {} more\n", total - PROBLEMS_MAX);
        }
        match self.errors() {
            0 => {}
            1 => out += "1 error; nothing was sent\n",
            n => out += &format!("{n} errors; nothing was sent\n"),
        }
        out
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Problems {}

/// The nearest of some words, if it is near enough to have been meant: at most a third of its letters differ (a pair
/// swapped counts once: optimal string alignment), beside the case.
pub fn nearest<'a>(word: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    among
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_looks_as_the_language_says() {
        let source = Source::new("m.yaml", format!("{}      platfrom: ios\n", "\n".repeat(16)));
        let problem = Problem::new("unknown key `platfrom`", Place { line: 17, column: 7, width: 8 })
            .labelled("did you mean `platform`?")
            .cured("write it so");
        let wanted = "error: unknown key `platfrom`\n  --> m.yaml:17:7\n17 |       platfrom: ios\n   |       ^^^^^^^^ did you mean \
                      `platform`?\n   = cure: write it so\n1 error; nothing was sent\n";
        assert_eq!(Problems::of(source, vec![problem]).render(false), wanted);
    }

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["platform", "count", "users", "within", "for"];
        let check = |word, meant| assert_eq!(nearest(word, words), meant, "{word}");
        check("platfrom", Some("platform"));
        check("Count", Some("count"));
        check("user", Some("users"));
        check("wihtin", Some("within"));
        check("models", None);
        check("", None);
    }

    #[test]
    fn a_long_line_is_cut_around_its_caret() {
        let (line, before) = cut(&"abcdefghij".repeat(100), 503);
        assert_eq!(line.chars().nth(before), Some('d'));
        assert!(line.chars().count() <= LINE_CHARS_MAX + 2);
    }
}
