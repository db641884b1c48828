//! A Rust file taken apart into code, comments and string literals, line by line.
//!
//! Not a parser: it knows only what keeps a rule from mistaking a comment or a string for code,
//! and where the tests begin.

mod scanner;

use super::{Finding, Weight, tree::File};
use scanner::Scanner;

pub(super) struct Source {
    pub(super) path: String,
    pub(super) lines: Vec<Line>,
    /// How many of the lines stand above the tests.
    pub(super) production: usize,
}

#[derive(Default)]
pub(super) struct Line {
    /// Without comments, and with every string emptied.
    pub(super) code: String,
    pub(super) comment: String,
    /// The strings that begin on this line.
    pub(super) strings: Vec<String>,
}

impl Source {
    pub(super) fn read(file: &File) -> Self {
        let lines = Scanner::new(&file.text).scan();
        let production = if is_test_file(&file.path) {
            0
        } else {
            production_lines(&lines)
        };
        Self {
            path: file.path.clone(),
            lines,
            production,
        }
    }

    pub(super) fn production_lines(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().take(self.production).enumerate()
    }

    /// Whether the path is one of these, each a file or a folder ending in `/`.
    pub(super) fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            self.path == *place || (place.ends_with('/') && self.path.starts_with(place))
        })
    }

    /// A breach on the line of this index.
    pub(super) fn breach(
        &self,
        index: usize,
        rule: &'static str,
        text: impl Into<String>,
        hint: &'static str,
    ) -> Finding {
        Finding {
            path: self.path.clone(),
            line: index + 1,
            rule,
            text: text.into(),
            hint,
            weight: Weight::Error,
        }
    }
}

/// The identifiers and keywords of a line of code.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Lines above the module of tests; a test-only import further up does not end them.
fn production_lines(lines: &[Line]) -> usize {
    let is_test_module = |index: &usize| {
        let follows = lines[*index + 1..].iter().map(|line| line.code.trim());
        let next = follows
            .into_iter()
            .find(|code| !code.is_empty() && !code.starts_with("#["));
        let same_line = lines[*index]
            .code
            .trim()
            .strip_prefix("#[cfg(test)]")
            .unwrap_or("")
            .trim();
        let item = if same_line.is_empty() {
            next.unwrap_or("")
        } else {
            same_line
        };
        words(item).any(|word| word == "mod")
    };
    (0..lines.len())
        .filter(|index| lines[*index].code.trim().starts_with("#[cfg(test)]"))
        .find(is_test_module)
        .unwrap_or(lines.len())
}

impl Line {
    fn is_blank(&self) -> bool {
        self.code.is_empty() && self.comment.is_empty() && self.strings.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::source;

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        let text = r##"let a = "x // y"; // why "z"
let b = r#"un"safe"#; let c = '"'; let d: &'static str = b"\"q";
/* one /* two */ three */ let e = '\'';
"##;
        let lines = source("a.rs", text).lines;
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].code, "let a = \"\"; ");
        assert_eq!(lines[0].comment, "// why \"z\"");
        assert_eq!(lines[0].strings, ["x // y"]);
        assert_eq!(lines[1].strings, ["un\"safe", "\"q"]);
        assert_eq!(
            lines[1].code,
            "let b = \"\"; let c = ; let d: &'static str = b\"\";"
        );
        assert_eq!(lines[2].code.trim(), "let e = ;");
    }

    #[test]
    fn string_over_several_lines_belongs_to_its_first() {
        let lines = source("a.rs", "let a = \"one\ntwo\";\nlet b = 1;\n").lines;
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].strings, ["one\ntwo"]);
        assert_eq!(lines[2].code, "let b = 1;");
    }

    #[test]
    fn production_ends_at_the_module_of_tests() {
        let text = "//! a\n#[cfg(test)]\nuse b;\nfn c() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(source("a.rs", text).production, 4);
        assert_eq!(source("tests/a.rs", text).production, 0);
        assert_eq!(source("gate-common/src/a/tests.rs", text).production, 0);
    }
}
