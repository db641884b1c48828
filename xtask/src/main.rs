//! `cargo xtask`: one command for each thing done to this repository.
//!
//! Holds the command line and nothing else: every command is a file named after it. The commands
//! that build or test call `setup` first, so a fresh clone needs no step before any of them.

mod bench;
mod build;
mod check;
mod child;
mod demo;
mod deny;
mod docs;
mod dist;
mod fuzz;
mod metadata;
mod run;
mod say;
mod setup;
mod steps;
mod surroundings;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set up, build, run, check and test gate
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true,
    after_help = "Start here:\n  \
        cargo xtask run -- --upstream http://127.0.0.1:9000   build gate and run it\n  \
        cargo xtask demo                                      see what it does, checked\n  \
        cargo xtask test                                      build gate and test it"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Args),
    Build(build::Args),
    Run(run::Args),
    Demo(demo::Args),
    Test(test::Args),
    Bench(bench::Args),
    Fuzz(fuzz::Args),
    Docs(docs::Args),
    Dist(dist::Args),
    Check(check::Args),
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Docs(args) => docs::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Tidy(args) => tidy::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            say::failure(&error);
            ExitCode::FAILURE
        }
    }
}
