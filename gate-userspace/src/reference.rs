//! The references that are written from the code: settings, the sample file, commands, reasons.
//!
//! Tests and nothing else. Each compares what is committed with what the code says; `cargo xtask
//! docs` asks them to write it. What a reader should know of a setting or a flag is said where it
//! is declared, and nowhere here.

mod commands;
mod configuration;
mod words;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Set by `cargo xtask docs`.
const WRITE: &str = "GATE_WRITE_DOCS";

/// Says on the page where it comes from.
const WRITTEN: &str =
    "<!-- Written by `cargo xtask docs`: change the doc comments in the code. -->";

/// The same of a part of a page that is written by hand otherwise.
const WRITTEN_PART: &str = "written by `cargo xtask docs`";

/// Holds the committed file to `text`.
fn keep(name: &str, text: &str) {
    if env::var_os(WRITE).is_some() {
        fs::write(path(name), text).unwrap();
    }
    let committed = read(name);
    let (there, here) = (committed.lines().chain([""]), text.lines().chain([""]));
    let differs = there.zip(here).find(|(there, here)| there != here);
    let (there, here) = differs.unwrap_or_default();
    assert!(
        committed == text,
        "{name} is not what the code says; write it anew: cargo xtask docs\n\
         committed: {there}\nin the code: {here}"
    );
}

/// Holds one part of a committed file to `text`: what stands between the marks of that name.
fn keep_part(name: &str, part: &str, text: &str) {
    let whole = read(name);
    let (begin, end) = (
        format!("<!-- {part} {WRITTEN_PART} -->\n"),
        format!("<!-- end of {part} -->\n"),
    );
    let marked = whole.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = marked.unwrap_or_else(|| panic!("{name} has no part `{begin}`"));
    keep(name, &format!("{before}{begin}{text}{end}{after}"));
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_default()
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// As it stands in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
