//! `gatectl`: parse what was typed, settle it, act on it, print the answer.
//!
//! Does not decide who may do what: the gate does. Data goes to standard output through `print`
//! alone, talk to standard error through `say`; secrets come in on stdin or from a named
//! environment variable, never as an argument.

mod parse;
mod settle;
mod call;
mod client;
mod rollout;
mod env;
mod key;
mod keys;
mod store;
mod import;
mod progress;
mod bulk;
mod status;
mod look;
mod operator;
mod events;
mod explain;
mod switch;
mod top;
mod unload;
mod doctor;
mod generate;
mod ended;
mod words;
mod secret_input;
mod confirm;
mod print;
mod clean;
mod say;
mod fault;
mod exit;

use std::{ffi::OsString, io};

use clap::Parser as _;

pub use exit::Exit;

use call::Gate;
use fault::Fault;
use parse::{Cli, Command};
use print::{Answer, Paper};

/// Writes a document of the daemon to standard output: this is the one place that writes there.
///
/// # Errors
/// When standard output cannot be written; a reader that went away is none.
pub fn document(text: &str) -> io::Result<()> {
    match print::document(text) {
        Err(fault) if !fault.is_broken_pipe() => Err(io::Error::other(fault)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Tells on standard error why the daemon did not start.
pub fn complain(error: &(dyn std::error::Error + 'static), hint: &str) {
    say::complain(error, hint);
}

/// What can be typed.
#[cfg(test)]
pub(crate) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs one command line and says how it ended.
pub fn run(argv: Vec<OsString>) -> Exit {
    let command = typed(&argv);
    let outcome = match Cli::try_parse_from(argv) {
        Ok(cli) => obey(cli, command),
        Err(help_or_mistake) => usage(&help_or_mistake),
    };
    match outcome {
        Ok(exit) => exit,
        Err(fault) if fault.is_broken_pipe() => Exit::Ok,
        Err(fault) => {
            say::fault(&fault);
            fault.exit
        }
    }
}

fn obey(cli: Cli, command: String) -> Result<Exit, Fault> {
    let settled = settle::settle(
        &cli.globals,
        cli.command.mints_one_token(),
        &settle::process_env,
        print::to_terminal(),
    )?;
    let gate = Gate::new(settled.endpoint, settled.timeout, command);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Fault::refused("cannot start").because(cause))?;
    let answer = runtime.block_on(act(&gate, settled.paper, cli.command))?;
    print::answer(&answer, settled.paper)?;
    Ok(answer.exit)
}

async fn act(gate: &Gate, paper: Paper, command: Command) -> Result<Answer, Fault> {
    match command {
        Command::Client(command) => client::run(gate, command).await,
        Command::Rollout(command) => rollout::run(gate, paper, command).await,
        Command::Env(args) => env::run(gate, paper, args).await,
        Command::Key(command) => key::run(gate, command).await,
        Command::Store(command) => store::run(gate, command).await,
        Command::Import(command) => import::run(gate, command).await,
        Command::Admin(command) => operator::run(gate, command).await,
        Command::Status => status::run(gate).await,
        Command::Top => top::run(gate, paper).await,
        Command::Verify => look::verify(gate).await,
        Command::Doctor => doctor::run(gate).await,
        Command::Hosts => look::hosts(gate).await,
        Command::Events(args) => events::run(gate, paper, &args).await,
        Command::Audit(args) => look::audit(gate, &args).await,
        Command::Interface(command) => look::interface(gate, command).await,
        Command::Panic => switch::panic(gate).await,
        Command::Open => switch::open(gate).await,
        Command::Unload(args) => unload::run(gate, args).await,
        Command::Explain(args) => explain::run(gate, args).await,
        Command::Completions(args) => Ok(generate::completions(&args)),
        Command::Man => generate::man(),
    }
}

/// Help is an answer, a mistake is talk; clap words both.
fn usage(error: &clap::Error) -> Result<Exit, Fault> {
    let text = error.render();
    if error.use_stderr() {
        say::laid_out(&text.to_string());
        Ok(Exit::Usage)
    } else {
        print::document(&text.to_string())?;
        Ok(Exit::Ok)
    }
}

/// The command line as it can be pasted again. It never holds a secret.
fn typed(argv: &[OsString]) -> String {
    let quoted = |arg: &OsString| {
        let text = arg.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%,+".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text.into_owned()
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    };
    let arguments = argv.iter().skip(1).map(quoted);
    std::iter::once("gatectl".to_owned())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_repeats_what_was_typed_so_that_it_can_be_pasted() {
        let argv = ["/usr/bin/gatectl", "rollout", "close", "r-1", "a b", "it's"];
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        assert_eq!(typed(&argv), r"gatectl rollout close r-1 'a b' 'it'\''s'");
    }
}
