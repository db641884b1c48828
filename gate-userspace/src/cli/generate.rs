//! `gatectl completions` and `gatectl man`: documents made from the parser itself.

use std::io::{self, Write as _};

use clap::{Arg, Command, CommandFactory as _};
use clap_mangen::Man;

use serde_json::json;

use super::{
    fault::Fault,
    parse::{Cli, CompletionsArgs},
    print::{Answer, Block},
};

pub(super) fn completions(args: &CompletionsArgs) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gatectl", &mut script);
    document(&script)
}

/// One page that holds every command, so that a search finds it.
pub(super) fn man() -> Result<Answer, Fault> {
    page()
        .map(|page| document(&page))
        .map_err(|cause| Fault::refused("cannot write the page").because(cause))
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut extra = Vec::new();
    man.render_extra_section(&mut extra)?;
    let extra = String::from_utf8_lossy(&extra).replace(".SH EXTRA", ".SH NOTES");
    page.extend_from_slice(extra.as_bytes());
    page.extend_from_slice(b".SH COMMANDS\n");
    commands(&command, &mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

fn commands(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let shown = |one: &&Command| !one.is_hide_set() && one.get_name() != "help";
    for one in command.get_subcommands().filter(shown) {
        if one.get_subcommands().next().is_none() {
            section(one, page)?;
        }
        commands(one, page)?;
    }
    Ok(())
}

/// A command under its usage line, without what every command takes.
fn section(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let hidden = |arg: Arg| {
        let everywhere = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(everywhere)
    };
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace('-', "\\-");
    writeln!(page, ".SS \"{usage}\"")?;
    let man = Man::new(command.clone().mut_args(hidden));
    let mut body = Vec::new();
    man.render_description_section(&mut body)?;
    man.render_options_section(&mut body)?;
    man.render_extra_section(&mut body)?;
    for line in String::from_utf8_lossy(&body).lines() {
        let line = if line.starts_with(".SH") { ".PP" } else { line };
        writeln!(page, "{line}")?;
    }
    Ok(())
}

fn document(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    Answer::new(json!({ "document": text }), vec![Block::Exact(text)])
}
