//! `docs/configuration.md`, a table for each section, and `docs/gate.toml`, a file with every key.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::{WRITTEN, cell, code, keep};
use crate::config::{
    Flags,
    describe::{Default, Key, Kind, Section, sections, shown, variables},
};

const HEAD: &str = "
# Configuration

`gated` starts without any. A flag beats the environment, which beats the file of `--config`, which beats the default. An
unknown key is an error. `gated --print-config` shows what is in force and who said so; `gated --check` says what a start
would do. [gate.toml](gate.toml) is a file with every key and its default; [cli.md](cli.md) has all flags.

A duration is `10s`, `5m` or `1h 30m`, a size `64KiB`. Secrets stand in files, variables or systemd's credentials, never on
the command line.

On SIGHUP, and when the file changes, `gated` reads it again. What is marked `reload` is taken up at once and disturbs no
call that runs. Of the rest it says in its log what changed and takes a restart. A file that is refused changes nothing.
The contents of certificate files are taken up when they change.
";

const TOML_HEAD: &str = "\
# Every setting of gated with its default: docs/configuration.md as a file.
# Written by `cargo xtask docs`: change the doc comments in the code.
# A key behind # without a blank has no default, or stands in a section that only exists when you write it.
";

fn page() -> String {
    let mut page = format!("{WRITTEN}\n{HEAD}");
    for section in sections() {
        write!(
            page,
            "\n## {}\n\n{}\n\n",
            code(&section.name),
            section.about
        )
        .unwrap();
        page.push_str("| key | value | default | flag, variable | change | meaning |\n");
        page.push_str("|---|---|---|---|---|---|\n");
        for key in &section.keys {
            page.push_str(&row(key));
        }
    }
    page
}

fn row(key: &Key) -> String {
    let kind = match &key.kind {
        Kind::Words(words) => words
            .iter()
            .map(|word| code(word))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::Plain(text) => text.clone(),
    };
    let default = match &key.default {
        Default::Value(value) if value == "\"\"" || value == "[]" => "none".to_owned(),
        Default::Value(value) => code(value),
        Default::Depends(text) => text.clone(),
        Default::Absent { .. } => "none".to_owned(),
    };
    let others = [&key.flag, &key.variable];
    let others: Vec<String> = others
        .into_iter()
        .flatten()
        .map(|name| code(name))
        .collect();
    let change = if key.is_reloaded { "reload" } else { "restart" };
    let cells = [
        code(&key.name),
        kind,
        default,
        others.join(" "),
        change.to_owned(),
    ];
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    format!("| {} | {} |\n", cells.join(" | "), cell(&key.about))
}

fn file() -> String {
    let mut file = TOML_HEAD.to_owned();
    for section in sections() {
        file.push('\n');
        comment(&mut file, &section.about);
        let is_there = !is_only_when_written(&section);
        writeln!(file, "{}{}", if is_there { "" } else { "#" }, section.name).unwrap();
        for key in &section.keys {
            comment(&mut file, &said(key));
            let (mark, value) = match &key.default {
                Default::Value(value) if is_there => ("", value.as_str()),
                Default::Value(value) => ("#", value.as_str()),
                Default::Depends(_) => ("#", "\"\""),
                Default::Absent { example } => ("#", example.as_str()),
            };
            writeln!(file, "{mark}{} = {value}", key.name).unwrap();
        }
    }
    file
}

/// A start with nothing has a listener, and no upstream, route or guard.
fn is_only_when_written(section: &Section) -> bool {
    section.name.starts_with("[[") && section.name != "[[listen]]"
}

fn said(key: &Key) -> String {
    let mut said = key.about.clone();
    match &key.kind {
        Kind::Words(words) => write!(said, ": {}", words.join(" | ")).unwrap(),
        Kind::Plain(_) => {}
    }
    if let Default::Depends(text) = &key.default {
        write!(said, ". Default: {text}").unwrap();
    }
    if let Some(variable) = &key.variable {
        write!(said, ". {variable}").unwrap();
    }
    said
}

/// In lines of at most 100 letters.
fn comment(file: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        if line.len() + word.len() >= 100 {
            writeln!(file, "{line}").unwrap();
            "#".clone_into(&mut line);
        }
        write!(line, " {word}").unwrap();
    }
    writeln!(file, "{line}").unwrap();
}

#[test]
fn configuration_reference_is_what_the_types_say() {
    keep("docs/configuration.md", &page());
}

#[test]
fn sample_file_is_what_the_types_say() {
    keep("docs/gate.toml", &file());
}

/// What the sample says is what a gate without a file does, also behind the marks.
#[test]
fn sample_file_changes_nothing_and_every_key_in_it_is_one() {
    let text = file();
    let nothing = shown("").restarts(&shown(&text));
    assert_eq!(nothing, [""; 0]);
    let unmarked: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            Some(_) | None => line,
        })
        .collect();
    let keys = unmarked.iter().filter(|line| line.contains(" = ")).count();
    assert!(keys > 60, "{keys}");
    let table: toml::Table = unmarked.join("\n").parse().unwrap();
    assert_eq!(table.len(), sections().len());
}

/// Every variable that is read is on the page, and those in its tables are read.
#[test]
fn variables_that_are_read_are_those_that_are_named() {
    let (read, page) = (variables(), page());
    assert!(read.len() > 8, "{read:?}");
    for name in &read {
        assert!(page.contains(name.as_str()), "{name}");
    }
    let of_flags = Flags::command();
    let of_flags = of_flags.get_arguments().filter_map(clap::Arg::get_env);
    let of_flags: Vec<_> = of_flags.map(|name| name.to_string_lossy()).collect();
    for key in sections().iter().flat_map(|section| &section.keys) {
        if let Some(name) = &key.variable {
            let is_read = read.contains(name) || of_flags.iter().any(|flag| flag == name);
            assert!(is_read, "{name}");
        }
    }
}

/// A flag in a doc comment exists, and every flag gives a setting that says so.
#[test]
fn flags_that_are_named_exist() {
    let command = Flags::command();
    let flags: Vec<String> = command
        .get_arguments()
        .filter_map(|flag| Some(format!("--{}", flag.get_long()?)))
        .collect();
    let given: Vec<String> = sections()
        .iter()
        .flat_map(|section| &section.keys)
        .filter_map(|key| key.flag.clone())
        .collect();
    for flag in &given {
        assert!(flags.contains(flag), "{flag}");
    }
    let of_no_setting = ["--config", "--check", "--guard-only", "--print-config"];
    for flag in flags {
        assert!(
            given.contains(&flag) || of_no_setting.contains(&flag.as_str()),
            "{flag}"
        );
    }
}
