//! A page taken apart into its fenced blocks, and a block of commands made into a script.
//!
//! Behind the language of a fence stand words that no reader sees: `at=PLACE`, where the commands
//! run; `serve`, the last command is a gate that goes on; `seen`, this is what the commands above
//! print; `file=PATH`, this is the text of that file. Within commands a comment may say what is to
//! come: `exit N`, or `until Ctrl-C`.

use std::fmt::Write as _;

pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) place: String,
    pub(super) text: String,
    /// Of its first line, counted from 1.
    pub(super) line: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commands,
    Serve,
    Seen,
    File(String),
    /// To read.
    Other(String),
}

/// Where commands run unless the fence says otherwise.
pub(super) const HOST: &str = "host";

pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, number) in page.lines().zip(1..) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block::new(info, number + 1)),
            (Some(_end), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

impl Block {
    fn new(info: &str, line: usize) -> Self {
        let mut words = info.split_whitespace();
        let language = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
        let kind = match (language, value("file=")) {
            ("sh", _) if words.contains(&"serve") => Kind::Serve,
            ("sh", _) => Kind::Commands,
            ("text", _) if words.contains(&"seen") => Kind::Seen,
            (_, Some(path)) => Kind::File(path.to_owned()),
            (language, None) => Kind::Other(language.to_owned()),
        };
        Self {
            kind,
            place: value("at=").unwrap_or(HOST).to_owned(),
            text: String::new(),
            line,
        }
    }

    pub(super) fn is_run(&self) -> bool {
        matches!(self.kind, Kind::Commands | Kind::Serve)
    }

    /// Whole commands, of which each may go over several lines.
    pub(super) fn commands(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let begins = |at: &usize| is_begin(&lines, *at) && !lines[*at].is_empty();
        (0..lines.len()).filter(begins).count()
    }

    /// A script whose lines have the numbers that they have on the page.
    pub(super) fn script(&self) -> String {
        let mut script = format!("{BEFORE}\n");
        script.push_str(&"\n".repeat(self.line.saturating_sub(2)));
        let lines: Vec<&str> = self.text.lines().collect();
        let last = (0..lines.len()).rfind(|at| is_begin(&lines, *at));
        for (line, at) in lines.iter().zip(0..) {
            let line = match self.kind {
                Kind::Serve if Some(at) == last => format!("{KEEP}; exec {line}"),
                Kind::Commands => expecting(line),
                Kind::Serve | Kind::Seen | Kind::File(_) | Kind::Other(_) => (*line).to_owned(),
            };
            writeln!(script, "{line}").unwrap();
        }
        script
    }
}

/// The first line that is not in `printed`, each behind the one before it; `...` stands for anything.
pub(super) fn missing<'a>(expected: &'a str, printed: &str) -> Option<&'a str> {
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed: Vec<String> = printed.lines().map(plain).collect();
    let mut rest = printed.as_slice();
    expected
        .lines()
        .filter(|line| !line.trim().is_empty())
        .find(|line| {
            let wanted = plain(line);
            match rest.iter().position(|line| is_like(line, &wanted)) {
                Some(at) => {
                    rest = &rest[at + 1..];
                    false
                }
                None => true,
            }
        })
}

fn is_like(line: &str, wanted: &str) -> bool {
    let mut parts = wanted.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let (mut last, mut has_gap) = ("", false);
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        (last, has_gap) = (part, true);
    }
    rest.is_empty() || (has_gap && last.is_empty()) || (has_gap && line.ends_with(last))
}

/// What is set in one block is set in the next one, as in a reader's shell.
const BEFORE: &str = "set -eEuo pipefail; exec 2>&1; \
    trap 'echo \"line $LINENO, exit $?: $BASH_COMMAND\"' ERR; \
    trap 'export -p > \"$STAGE/said\"' EXIT; \
    [ ! -e \"$STAGE/said\" ] || . \"$STAGE/said\"; set -a; cd \"$HOME\"";

/// The same for a script that becomes the gate.
const KEEP: &str = "export -p > \"$STAGE/said\"";

/// `timeout` says this when it had to end something.
const ENDED: &str = "124";

fn expecting(line: &str) -> String {
    let Some((command, comment)) = line.rsplit_once(" # ") else {
        return line.to_owned();
    };
    if comment.contains("until Ctrl-C") {
        return exits(
            &format!("timeout --signal INT 1 {}", command.trim_end()),
            ENDED,
        );
    }
    let status = comment.split("exit ").nth(1);
    let digits = |status: &str| {
        status
            .chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    match status.map(digits).filter(|status| !status.is_empty()) {
        Some(status) => exits(command.trim_end(), &status),
        None => line.to_owned(),
    }
}

fn exits(command: &str, wanted: &str) -> String {
    format!(
        "{command} && status=0 || status=$?; \
         [ $status = {wanted} ] || {{ echo \"line $LINENO: exit $status, not {wanted}\"; exit 1; }}"
    )
}

fn is_begin(lines: &[&str], at: usize) -> bool {
    let goes_on = at > 0 && lines[at - 1].ends_with('\\');
    let is_said = lines[at].starts_with(['#', ' ']);
    !goes_on && !is_said
}

#[test]
fn page_is_taken_apart() {
    let page =
        "a\n```sh at=b serve\nexport A=1\ngated \\\n  --check\n```\n```text seen\nx ... z\n```\n";
    let blocks = blocks(page);
    assert_eq!(blocks[0].kind, Kind::Serve);
    assert_eq!((blocks[0].place.as_str(), blocks[0].line), ("b", 3));
    assert_eq!(blocks[0].commands(), 2);
    let script = blocks[0].script();
    let lines: Vec<&str> = script.lines().collect();
    assert_eq!(lines[2], "export A=1");
    assert!(lines[3].ends_with("exec gated \\"), "{script}");
    assert_eq!(blocks[1].kind, Kind::Seen);
}

#[test]
fn line_that_was_not_printed_is_found() {
    let printed = "one  two 3 four\nfive\n";
    assert_eq!(missing("one two ... four\nfive", printed), None);
    assert_eq!(missing("... 3 ...\nfi...", printed), None);
    assert_eq!(missing("five\none ...", printed), Some("one ..."));
    assert_eq!(missing("one two", printed), Some("one two"));
    assert_eq!(missing("one ... 3", printed), Some("one ... 3"));
}

#[test]
fn comment_says_how_a_command_ends() {
    assert!(expecting("a b   # refused, exit 1").contains("[ $status = 1 ]"));
    assert!(expecting("a   # until Ctrl-C").starts_with("timeout --signal INT 1 a &&"));
    assert_eq!(expecting("a   # exits"), "a   # exits");
}
