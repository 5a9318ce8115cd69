//! What `tidy` wants to know of a file: the files it names, its functions with their lengths, and which of it is test.

use super::source::{Source, Token};

/// The outline of one file.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) files: Vec<NamedFile>,
    pub(super) functions: Vec<Function>,
    /// Lines that belong to `#[cfg(test)]` or `#[test]` items.
    pub(super) test_lines: usize,
    /// Lines of `allow` and `expect` attributes that give no reason.
    pub(super) reasonless: Vec<usize>,
    /// Lines with the macros that mark unfinished work.
    pub(super) unfinished: Vec<usize>,
}

/// A file that this file makes part of the crate.
#[derive(Debug, PartialEq)]
pub(super) enum NamedFile {
    /// `mod name;`, inside of the inline modules given, in a test or not.
    Module { inside: Vec<String>, name: String, test: bool },
    /// `#[path = ".."] mod x;` or `include!("..")`: relative to this file's folder.
    Path { path: String, test: bool },
}

#[derive(Debug, PartialEq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
    pub(super) test: bool,
}

impl Outline {
    pub(super) fn of(source: &Source) -> Outline {
        let mut walk = Walk { source, outline: Outline::default(), scopes: Vec::new(), test_until: 0, pending: None };
        let mut index = 0;
        while index < source.tokens.len() {
            index = walk.token(index);
        }
        walk.outline
    }
}

/// The attributes that stand before the next item.
#[derive(Default)]
struct Pending {
    first: usize,
    test: bool,
    path: Option<String>,
}

struct Walk<'a> {
    source: &'a Source,
    outline: Outline,
    /// Inline modules that are open: name, and the index of the closing brace.
    scopes: Vec<(String, usize)>,
    /// Tokens before this index are test code.
    test_until: usize,
    pending: Option<Pending>,
}

impl Walk<'_> {
    /// Look at one token; the answer is where to go on.
    fn token(&mut self, index: usize) -> usize {
        self.scopes.retain(|(_, close)| index < *close);
        if self.source.is_mark(index, '#') {
            let open = index + 1 + usize::from(self.source.is_mark(index + 1, '!'));
            if self.source.is_mark(open, '[') {
                return self.attribute(index, open);
            }
        }
        match self.source.word(index) {
            // Visibility and qualifiers stand between an attribute and its item.
            Some("pub" | "unsafe" | "async" | "const" | "extern" | "default") => {
                return if self.source.is_mark(index + 1, '(') {
                    self.source.close_of(index + 1) + 1
                } else {
                    index + 1
                };
            }
            Some("include") if self.source.is_mark(index + 1, '!') => self.include(index),
            Some("todo" | "unimplemented") if self.source.is_mark(index + 1, '!') => {
                self.outline.unfinished.push(self.source.line(index));
            }
            _ => {}
        }
        let pending = self.pending.take().unwrap_or_default();
        if pending.test && index >= self.test_until {
            self.test_until = self.item_end(index) + 1;
            let last = self.source.line(self.test_until - 1);
            self.outline.test_lines += last + 1 - self.source.line(pending.first);
        }
        match (self.source.word(index), self.source.word(index + 1)) {
            (Some("mod"), Some(name)) => self.module(index, name.to_owned(), pending.path),
            (Some("fn"), Some(name)) => self.function(index, name.to_owned()),
            _ => {}
        }
        index + 1
    }

    fn attribute(&mut self, first: usize, open: usize) -> usize {
        let close = self.source.close_of(open);
        let words: Vec<&str> = (open..close).filter_map(|index| self.source.word(index)).collect();
        let inner = open != first + 1;
        let level = words.iter().any(|word| matches!(*word, "allow" | "expect"));
        if level && !words.contains(&"reason") && matches!(words.first(), Some(&("allow" | "expect" | "cfg_attr"))) {
            self.outline.reasonless.push(self.source.line(first));
        }
        if !inner {
            let pending = self.pending.get_or_insert_with(|| Pending { first, ..Pending::default() });
            let tests = words.contains(&"test") && !words.contains(&"not");
            pending.test |= tests && (words.first() == Some(&"cfg") || words.last() == Some(&"test"));
            if words.first() == Some(&"path") {
                pending.path = (open..close).find_map(|index| text(self.source, index));
            }
        }
        close + 1
    }

    fn include(&mut self, index: usize) {
        if let Some(path) = text(self.source, index + 3) {
            self.outline.files.push(NamedFile::Path { path, test: index < self.test_until });
        }
    }

    fn module(&mut self, index: usize, name: String, path: Option<String>) {
        let test = index < self.test_until;
        if self.source.is_mark(index + 2, '{') {
            self.scopes.push((name, self.source.close_of(index + 2)));
        } else if self.source.is_mark(index + 2, ';') {
            self.outline.files.push(match path {
                Some(path) => NamedFile::Path { path, test },
                None => {
                    NamedFile::Module { inside: self.scopes.iter().map(|(name, _)| name.clone()).collect(), name, test }
                }
            });
        }
    }

    fn function(&mut self, index: usize, name: String) {
        let end = self.item_end(index);
        if self.source.is_mark(end, '}') {
            let line = self.source.line(index);
            let lines = self.source.line(end) + 1 - line;
            self.outline.functions.push(Function { name, line, lines, test: index < self.test_until });
        }
    }

    /// The end of the item that starts at `index`: its semicolon, or the brace that closes its first one.
    fn item_end(&self, index: usize) -> usize {
        let mut at = index;
        while at < self.source.tokens.len() {
            if self.source.is_mark(at, ';') {
                return at;
            }
            if self.source.is_mark(at, '{') {
                return self.source.close_of(at);
            }
            let nested = self.source.is_mark(at, '(') || self.source.is_mark(at, '[');
            at = if nested { self.source.close_of(at) + 1 } else { at + 1 };
        }
        self.source.tokens.len().saturating_sub(1)
    }
}

fn text(source: &Source, index: usize) -> Option<String> {
    match source.tokens.get(index) {
        Some((_, Token::Text(text))) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Outline {
        Outline::of(&Source::read(text))
    }

    #[test]
    fn named_files_know_where_they_stand() {
        let outline =
            check("pub(crate) mod a;\nmod b {\n mod c;\n}\n#[cfg(test)]\nmod tests;\n#[path = \"x/y.rs\"] mod d;");
        let module = |inside: &[&str], name: &str, test| NamedFile::Module {
            inside: inside.iter().map(|name| (*name).to_owned()).collect(),
            name: name.to_owned(),
            test,
        };
        let path = NamedFile::Path { path: "x/y.rs".to_owned(), test: false };
        assert_eq!(
            outline.files,
            [module(&[], "a", false), module(&["b"], "c", false), module(&[], "tests", true), path]
        );
    }

    #[test]
    fn test_code_is_told_from_the_rest() {
        let outline = check(
            "fn long(a: [u8; 3]) {\n if a {\n }\n}\n#[cfg(test)]\nmod tests {\n #[test]\n fn t() {\n }\n}\n#[cfg(not(test))]\nfn not_test() {}\ntrait T { fn declared(); }",
        );
        let said: Vec<_> = outline.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines, f.test)).collect();
        assert_eq!(said, [("long", 1, 4, false), ("t", 8, 2, true), ("not_test", 12, 1, false)]);
        assert_eq!(outline.test_lines, 6);
    }

    #[test]
    fn suppressions_need_reasons() {
        let outline = check(
            "#![allow(dead_code)]\n#[expect(unused, reason = \"x\")]\nfn a() {}\n#[expect(unused)]\nfn b() { todo!() }\nfn c() { x.expect(1); allow(2) }",
        );
        assert_eq!(outline.reasonless, [1, 4]);
        assert_eq!(outline.unfinished, [5]);
    }
}
