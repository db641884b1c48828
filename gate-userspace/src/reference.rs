//! The references that are written from the code: settings, the sample file, commands.
//!
//! Tests and nothing else. Each compares what is committed with what the code says; `cargo xtask
//! docs` asks them to write it. What a reader should know of a setting or a flag is said where it
//! is declared, and nowhere here.

mod commands;
mod configuration;

use std::{env, fs, path::Path};

/// Set by `cargo xtask docs`.
const WRITE: &str = "GATE_WRITE_DOCS";

/// Says on the page where it comes from.
const WRITTEN: &str =
    "<!-- Written by `cargo xtask docs`: change the doc comments in the code. -->";

/// Holds the committed file to `text`.
fn keep(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    if env::var_os(WRITE).is_some() {
        fs::write(&path, text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let (there, here) = (committed.lines().chain([""]), text.lines().chain([""]));
    let differs = there.zip(here).find(|(there, here)| there != here);
    let (there, here) = differs.unwrap_or_default();
    assert!(
        committed == text,
        "{name} is not what the code says; write it anew: cargo xtask docs\n\
         committed: {there}\nin the code: {here}"
    );
}

/// As it stands in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
