//! Rust source as tokens with line numbers: enough to find items, attributes and comments without taking a string or
//! a comment for code. It is not a parser, and takes only what rustc has accepted; nothing it meets makes it panic.

/// One token. Numbers are words; every other mark stands alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    Mark(char),
    /// A string literal of any kind, without its quotes.
    Text(String),
}

/// A file, cut into tokens and comments, each with its line (from 1).
pub(super) struct Source {
    pub(super) tokens: Vec<(usize, Token)>,
    pub(super) comments: Vec<(usize, String)>,
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn read(text: &str) -> Source {
        let mut cutter = Cutter { chars: text.chars().collect(), at: 0, line: 1 };
        let mut source = Source { tokens: Vec::new(), comments: Vec::new(), lines: text.lines().count() };
        while let Some(c) = cutter.peek(0) {
            let line = cutter.line;
            match (c, cutter.peek(1)) {
                ('/', Some('/')) => source.comments.push((line, cutter.line_comment())),
                ('/', Some('*')) => source.comments.push((line, cutter.block_comment())),
                ('"', _) => source.tokens.push((line, Token::Text(cutter.string()))),
                ('\'', _) => cutter.char_or_lifetime(),
                (c, _) if is_word(c) => {
                    let token = cutter.word_or_string();
                    source.tokens.push((line, token));
                }
                (c, _) => {
                    if !c.is_whitespace() {
                        source.tokens.push((line, Token::Mark(c)));
                    }
                    cutter.step();
                }
            }
        }
        source
    }

    pub(super) fn word(&self, index: usize) -> Option<&str> {
        match self.tokens.get(index) {
            Some((_, Token::Word(word))) => Some(word),
            _ => None,
        }
    }

    pub(super) fn is_mark(&self, index: usize, mark: char) -> bool {
        matches!(self.tokens.get(index), Some((_, Token::Mark(found))) if *found == mark)
    }

    pub(super) fn line(&self, index: usize) -> usize {
        self.tokens.get(index).or(self.tokens.last()).map_or(1, |(line, _)| *line)
    }

    /// The index of the mark that closes the bracket at `open`; the last token's if none does.
    pub(super) fn close_of(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (index, (_, token)) in self.tokens.iter().enumerate().skip(open) {
            match token {
                Token::Mark('(' | '[' | '{') => depth += 1,
                Token::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return index;
            }
        }
        self.tokens.len().saturating_sub(1)
    }
}

struct Cutter {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Cutter {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek(0).filter(|c| wanted(*c)) {
            taken.push(c);
            self.step();
        }
        taken
    }

    fn line_comment(&mut self) -> String {
        self.take_while(|c| c != '\n')
    }

    fn block_comment(&mut self) -> String {
        let mut text = String::new();
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => {
                    text.extend(self.step());
                    continue;
                }
            }
            self.step();
            self.step();
            if depth == 0 {
                break;
            }
        }
        text
    }

    fn string(&mut self) -> String {
        self.step();
        let mut text = String::new();
        while let Some(c) = self.step() {
            match c {
                '"' => break,
                '\\' => text.extend(self.step()),
                c => text.push(c),
            }
        }
        text
    }

    fn raw_string(&mut self, hashes: usize) -> String {
        self.step();
        let mut text = String::new();
        while let Some(c) = self.step() {
            if c == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.at += hashes;
                break;
            }
            text.push(c);
        }
        text
    }

    /// `'a'` and `'\n'` are skipped whole, `'a` loses its tick: neither matters to an outline.
    fn char_or_lifetime(&mut self) {
        self.step();
        if self.peek(0) == Some('\\') {
            self.step();
            self.step();
            self.take_while(|c| c != '\'');
            self.step();
        } else if self.peek(1) == Some('\'') {
            self.step();
            self.step();
        } else {
            self.take_while(is_word);
        }
    }

    fn word_or_string(&mut self) -> Token {
        let word = self.take_while(is_word);
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        if raw && matches!(self.peek(0), Some('"' | '#')) {
            let hashes = self.chars[self.at..].iter().take_while(|c| **c == '#').count();
            if self.peek(hashes) == Some('"') {
                self.at += hashes;
                return Token::Text(self.raw_string(hashes));
            }
            self.at += hashes;
            return Token::Word(self.take_while(is_word));
        }
        if matches!(word.as_str(), "b" | "c") {
            if self.peek(0) == Some('"') {
                return Token::Text(self.string());
            }
            if word == "b" && self.peek(0) == Some('\'') {
                self.char_or_lifetime();
                return Token::Word("byte".to_owned());
            }
        }
        Token::Word(word)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let source = Source::read(text);
        let said: Vec<String> = source
            .tokens
            .iter()
            .map(|(line, token)| match token {
                Token::Word(word) => format!("{line}:{word}"),
                Token::Mark(mark) => mark.to_string(),
                Token::Text(text) => format!("{line}:<{text}>"),
            })
            .collect();
        assert_eq!(said.join(" "), expected, "{text}");
    }

    #[test]
    fn strings_and_comments_are_no_code() {
        check("a // b {\nc", "1:a 2:c");
        check("a /* { /* nested */ \n } */ b", "1:a 2:b");
        check(r#"f("x \" {") g"#, "1:f ( 1:<x \" {> ) 1:g");
        check("r#\"a \"quoted\" {\"# b", "1:<a \"quoted\" {> 1:b");
        check("br\"\\\" x r#type", "1:<\\> 1:x 1:type");
        check("'{' '\\'' '\\u{7b}' b'{' &'static str", "1:byte & 1:str");
        check("\"two\nlines\" x", "1:<two\nlines> 2:x");
        check("\"never closed", "1:<never closed>");
    }

    #[test]
    fn brackets_find_their_ends() {
        let source = Source::read("a { b ( c ) } d");
        assert_eq!(source.close_of(1), 6);
        assert_eq!(source.close_of(3), 5);
        assert_eq!(Source::read("{ open").close_of(0), 1);
    }
}
