//! `docs/cli.md`: every flag of both programs, in the words of their `--help`.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::{WRITTEN, cell, code, keep};
use crate::{cli, config::Flags};

const HEAD: &str = "
# Commands

`gated` is the daemon, `gatectl` asks it. `--help` after any command says the same as this page; `gatectl man` prints it as a
manual page, `gatectl completions SHELL` makes a shell complete it. Settings that have no flag: [configuration.md](configuration.md).
";

fn page() -> String {
    let mut page = format!("{WRITTEN}\n{HEAD}");
    let mut daemon = Flags::command();
    daemon.build();
    one(&mut page, &daemon, "##", "gated");
    let mut gatectl = cli::command();
    gatectl.build();
    one(&mut page, &gatectl, "##", "gatectl");
    page.push_str("\n| command | |\n|---|---|\n");
    let mut details = String::new();
    below(&gatectl, "gatectl", &mut |command, name| {
        let about = command.get_about().map(ToString::to_string);
        let anchor = name.replace(' ', "-");
        let about = cell(&about.unwrap_or_default());
        writeln!(page, "| [`{name}`](#{anchor}) | {about} |").unwrap();
        one(&mut details, command, "###", name);
    });
    page + &details
}

/// The commands that can be run, each with its whole name.
fn below(command: &Command, name: &str, each: &mut impl FnMut(&Command, &str)) {
    let shown = |one: &&Command| !one.is_hide_set() && one.get_name() != "help";
    for child in command.get_subcommands().filter(shown) {
        let name = format!("{name} {}", child.get_name());
        if child.has_subcommands() {
            below(child, &name, each);
        } else {
            each(child, &name);
        }
    }
}

fn one(page: &mut String, command: &Command, level: &str, name: &str) {
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    write!(
        page,
        "\n{level} `{name}`\n\n{about}\n\n```text\n{usage}\n```\n"
    )
    .unwrap();
    let is_top = level == "##";
    let own = |arg: &&Arg| {
        let everywhere = !is_top && arg.is_global_set();
        !everywhere && !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
    };
    let arguments: Vec<&Arg> = command.get_arguments().filter(own).collect();
    if !arguments.is_empty() {
        page.push('\n');
    }
    for argument in arguments {
        writeln!(
            page,
            "* {}: {}",
            code(&argument.to_string()),
            meaning(argument)
        )
        .unwrap();
    }
    if let Some(more) = command.get_after_long_help() {
        write!(page, "\n```text\n{}\n```\n", more.to_string().trim_end()).unwrap();
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let mut text = help
        .map(ToString::to_string)
        .unwrap_or_default()
        .replace('\n', " ");
    assert!(!text.is_empty(), "{argument} has no doc comment");
    let values = argument.get_possible_values();
    let takes_value = argument.get_action().takes_values();
    if takes_value && !values.is_empty() {
        let words: Vec<String> = values.iter().map(|value| code(value.get_name())).collect();
        write!(text, ". One of {}", words.join(", ")).unwrap();
    }
    if let Some(variable) = argument.get_env() {
        write!(text, ". Variable `{}`", variable.to_string_lossy()).unwrap();
    }
    let is_said = text.contains("several times");
    if matches!(argument.get_action(), ArgAction::Append) && !is_said {
        text.push_str(". May be given several times");
    }
    text
}

#[test]
fn command_reference_is_what_the_programs_say() {
    keep("docs/cli.md", &page());
}
