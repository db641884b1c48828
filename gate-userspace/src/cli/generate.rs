//! `gatectl completions` and `gatectl man`: documents made from the parser itself.

use clap::{Command, CommandFactory as _};
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
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let cannot = |cause: std::io::Error| Fault::refused("cannot write the page").because(cause);
    let man = Man::new(command.clone());
    man.render(&mut page).map_err(cannot)?;
    commands(&command, &mut page).map_err(cannot)?;
    Ok(document(&page))
}

fn document(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    Answer::new(json!({ "document": text }), vec![Block::Exact(text)])
}

fn commands(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let shown = |one: &&Command| !one.is_hide_set() && one.get_name() != "help";
    for one in command.get_subcommands().filter(shown) {
        let name = one
            .get_display_name()
            .unwrap_or(one.get_name())
            .replace('-', " ");
        page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
        let man = Man::new(one.clone());
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        man.render_extra_section(page)?;
        commands(one, page)?;
    }
    Ok(())
}
