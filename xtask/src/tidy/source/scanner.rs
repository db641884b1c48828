//! Reads a file character by character, and knows at each whether it is code.
//!
//! The constructs it has to know are those that hide others: nested comments, raw strings, a
//! quote that begins a character or a lifetime.

use super::{Line, is_word};

pub(super) struct Scanner {
    text: Vec<char>,
    at: usize,
    lines: Vec<Line>,
}

impl Scanner {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.chars().collect(),
            at: 0,
            lines: vec![Line::default()],
        }
    }

    pub(super) fn scan(mut self) -> Vec<Line> {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(None),
                ('\'', _) => self.quote(),
                ('r', _) if self.raw_hashes().is_some() => {
                    let hashes = self.raw_hashes().unwrap_or(0);
                    self.at += 1 + hashes;
                    self.string(Some(hashes));
                }
                _ => self.keep(),
            }
        }
        if self.lines.last().is_some_and(Line::is_blank) {
            self.lines.pop();
        }
        self.lines
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn line(&mut self) -> &mut Line {
        if self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }

    /// Takes one character, and begins a line after a line feed.
    fn take(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        if c == '\n' {
            self.lines.push(Line::default());
        }
        Some(c)
    }

    fn keep(&mut self) {
        if let Some(c) = self.take()
            && c != '\n'
        {
            self.line().code.push(c);
        }
    }

    fn line_comment(&mut self) {
        while let Some(c) = self.peek(0).filter(|c| *c != '\n') {
            self.take();
            self.line().comment.push(c);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            let pair = (c, self.peek(1));
            self.take();
            if c != '\n' {
                self.line().comment.push(c);
            }
            if pair == ('/', Some('*')) {
                depth += 1;
                self.take();
            } else if pair == ('*', Some('/')) {
                depth -= 1;
                self.take();
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// How many `#` stand between an `r` and its quote, if a raw string begins here.
    fn raw_hashes(&self) -> Option<usize> {
        let before = self.at.checked_sub(1).and_then(|at| self.text.get(at));
        if before.is_some_and(|c| is_word(*c) && *c != 'b' && *c != 'c') {
            return None;
        }
        let hashes = self.text[self.at + 1..]
            .iter()
            .take_while(|c| **c == '#')
            .count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn string(&mut self, raw: Option<usize>) {
        self.take();
        let begun = self.lines.len() - 1;
        let mut text = String::new();
        while let Some(c) = self.take() {
            if c == '\\' && raw.is_none() {
                text.extend(self.take());
            } else if c == '"' && self.closes(raw.unwrap_or(0)) {
                break;
            } else {
                text.push(c);
            }
        }
        self.at += raw.unwrap_or(0);
        self.lines[begun].strings.push(text);
        self.line().code.push_str("\"\"");
    }

    fn closes(&self, hashes: usize) -> bool {
        (0..hashes).all(|ahead| self.peek(ahead) == Some('#'))
    }

    /// A character literal is dropped, a lifetime kept.
    fn quote(&mut self) {
        let escaped = self.peek(1) == Some('\\');
        if !escaped && self.peek(2) != Some('\'') {
            return self.keep();
        }
        self.at += if escaped { 3 } else { 2 };
        while self.take().is_some_and(|c| c != '\'') {}
    }
}
