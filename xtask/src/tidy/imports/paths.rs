//! Finds the paths that code names, from the crate's root on.
//!
//! Follows `crate::` and `super::`, in `use` trees and in expressions. A path relative to the
//! module itself stays inside it, so it is of no interest here.

use super::super::source::{Source, is_word};

/// A path from the crate's root, and the index of the line that names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) index: usize,
    pub(super) path: Vec<String>,
}

impl Reference {
    pub(super) fn is_below(&self, place: &str) -> bool {
        let place: Vec<&str> = place.split("::").collect();
        self.path.len() >= place.len() && self.path.iter().zip(&place).all(|(a, b)| a == b)
    }
}

/// Every reference in production code of `module`.
pub(super) fn references(source: &Source, module: &[&str]) -> Vec<Reference> {
    let code: String = source
        .production_lines()
        .flat_map(|(_, line)| [line.code.as_str(), "\n"])
        .collect();
    let mut reader = Reader {
        code: code.chars().collect(),
        at: 0,
        module,
        found: Vec::new(),
    };
    while reader.at < reader.code.len() {
        reader.next();
    }
    reader.found
}

struct Reader<'a> {
    code: Vec<char>,
    at: usize,
    module: &'a [&'a str],
    found: Vec<Reference>,
}

impl Reader<'_> {
    /// Takes one word or one other character; follows it if it begins a path of interest.
    fn next(&mut self) {
        let inside = self.at >= 2 && self.code[self.at - 2..self.at] == [':', ':'];
        let word = self.word();
        if word.is_empty() {
            self.at += 1;
        } else if inside || !self.comes("::") {
            // The middle of a path, or no path at all.
        } else if word == "crate" {
            self.tree(Vec::new());
        } else if word == "super" {
            let parent = &self.module[..self.module.len() - 1];
            self.tree(parent.iter().map(ToString::to_string).collect());
        }
    }

    /// After a segment of the path `prefix`: reads what else belongs to the path.
    fn tree(&mut self, prefix: Vec<String>) {
        if !self.comes("::") {
            return self.report(prefix);
        }
        self.at += 2;
        if self.comes("{") {
            self.at += 1;
            return self.branches(&prefix);
        }
        let word = self.word();
        if word.is_empty() {
            self.report(prefix);
        } else {
            self.tree(joined(prefix, word));
        }
    }

    /// After an opening brace: each entry, up to the closing one.
    fn branches(&mut self, prefix: &[String]) {
        while let Some(c) = self.code.get(self.at) {
            if *c == '}' {
                self.at += 1;
                return;
            }
            let word = self.word();
            if word == "as" {
                self.at += 1;
                self.word();
            } else if word.is_empty() {
                self.at += 1;
            } else {
                self.tree(joined(prefix.to_vec(), word));
            }
        }
    }

    fn report(&mut self, path: Vec<String>) {
        if !path.is_empty() {
            let index = self.code[..self.at].iter().filter(|c| **c == '\n').count();
            self.found.push(Reference { index, path });
        }
    }

    fn word(&mut self) -> String {
        let word: String = self.code[self.at..]
            .iter()
            .take_while(|c| is_word(**c))
            .collect();
        self.at += word.chars().count();
        word
    }

    fn comes(&self, text: &str) -> bool {
        self.code[self.at..]
            .iter()
            .copied()
            .take(text.len())
            .eq(text.chars())
    }
}

fn joined(mut prefix: Vec<String>, word: String) -> Vec<String> {
    match word.as_str() {
        "self" => {}
        "super" => {
            prefix.pop();
        }
        _ => prefix.push(word),
    }
    prefix
}
