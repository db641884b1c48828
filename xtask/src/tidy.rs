//! The house rules that a compiler does not know.
//!
//! Each rule is a small file with a pure function from a source file to findings, and a test that
//! feeds it a bad example: a rule that cannot fail is not a rule. What clippy can check is left to
//! clippy.

mod budget;
mod heads;
mod imports;
mod places;
mod source;
pub(crate) mod tree;
mod unsafe_code;
mod words;

use std::process::ExitCode;

use anyhow::bail;

use crate::say;
use source::Source;
use tree::File;

/// Check the house rules
///
/// Checks what clippy cannot: module heads, file sizes, who may import whom, where SQL, stdout and
/// secrets may be touched, comments on unsafe code, leftovers. Exits with 1 on any finding.
#[derive(clap::Args)]
#[command(after_long_help = "Example: see the findings, one per line\n  cargo xtask tidy")]
pub(crate) struct Args {}

/// One breach of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// Counted from 1.
    line: usize,
    rule: &'static str,
    text: String,
    hint: &'static str,
    weight: Weight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Error,
    /// Printed, and forgiven.
    Warning,
}

pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    check()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints every finding and fails if one of them is an error.
pub(crate) fn check() -> anyhow::Result<()> {
    let files = tree::read()?;
    let findings: Vec<Finding> = files.iter().flat_map(judge).collect();
    for finding in &findings {
        say::data(&finding.line());
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Error)
        .count();
    if errors > 0 {
        bail!("{errors} breaches of the house rules");
    }
    say::note(&format!("{} files keep the house rules", files.len()));
    Ok(())
}

/// Every rule on one file.
fn judge(file: &File) -> Vec<Finding> {
    let mut findings = words::machine_paths(file);
    if file.is_rust() {
        let source = Source::read(file);
        for rule in RULES {
            findings.extend(rule(&source));
        }
    }
    findings
}

type Rule = fn(&Source) -> Vec<Finding>;

const RULES: &[Rule] = &[
    heads::module_head,
    heads::file_name,
    budget::production_lines,
    imports::direction,
    places::kept,
    words::leftovers,
    words::sleeps,
    unsafe_code::safety_comment,
];

impl Finding {
    fn line(&self) -> String {
        let weight = match self.weight {
            Weight::Error => "",
            Weight::Warning => "warning: ",
        };
        format!(
            "{}:{}: {weight}{}: {} (hint: {})",
            self.path, self.line, self.rule, self.text, self.hint
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source as the rules see it, for their tests.
    pub(super) fn source(path: &str, text: &str) -> Source {
        Source::read(&File {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn finding_is_printed_where_an_editor_can_jump_to_it() {
        let findings = heads::module_head(&source("a/b.rs", "use std::fs;\n"));
        assert!(
            findings[0].line().starts_with("a/b.rs:1: head: "),
            "{}",
            findings[0].line()
        );
    }
}
