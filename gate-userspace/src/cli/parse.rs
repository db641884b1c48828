//! The command line of `gatectl`: only what was typed, typed once.
//!
//! Does not read the environment or fill in defaults: that is `settle`. No flag takes a secret;
//! flags only say where one comes from.

mod value;
mod client;
mod rollout;
mod look;
mod operator;
mod run;
mod store;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

pub(super) use client::{
    ClientAdd, ClientCommand, ClientRenew, ClientRevoke, ClientRotate, SourceChange, SourceCommand,
};
pub(super) use look::{AuditArgs, EventsArgs, ExplainArgs};
pub(super) use operator::{AdminCommand, OperatorAdd, OperatorRevoke, TokenCommand};
pub(super) use rollout::{
    EnvArgs, EnvFormat, RolloutClose, RolloutCommand, RolloutList, RolloutOpen, RolloutRotate,
};
pub(super) use run::{
    CompletionsArgs, InterfaceCommand, InterfaceSet, KeyCommand, KeySet, KeyVerify, UnloadArgs,
};
pub(super) use store::{
    HostRole, ImportApollo, ImportCommand, KeyExport, SealForm, StoreBackup, StoreCommand,
    StoreCopy,
};
pub(super) use value::{SourceArg, With};

use super::print::Output;

/// Provision and revoke who may reach the gated port
#[derive(Debug, Parser)]
#[command(
    name = "gatectl",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = "Exit status: 0 done, 1 the gate answered no, 2 usage, 3 the admin socket \
        cannot be reached,\n4 a check found something wrong.\n\nExample:\n  \
        gatectl client add trainer --source 10.0.0.0/24 --output token"
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Globals {
    /// Form of the answer [default: table]
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        global = true,
        help_heading = "Global options"
    )]
    pub(super) output: Option<Output>,
    /// Admin socket [default: `$GATE_SOCKET`, else `/run/gate/admin.sock`]
    #[arg(
        long,
        value_name = "PATH",
        global = true,
        help_heading = "Global options"
    )]
    pub(super) socket: Option<PathBuf>,
    /// Admin API over TCP, with the token in `$GATE_ADMIN_TOKEN`; plain http only to loopback
    #[arg(
        long,
        value_name = "URL",
        global = true,
        conflicts_with = "socket",
        help_heading = "Global options"
    )]
    pub(super) url: Option<String>,
    /// Who may vouch for the gate behind an https `--url`, PEM [default: `$GATE_CA`, else this system's roots]
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        help_heading = "Global options"
    )]
    pub(super) ca: Option<PathBuf>,
    /// Give up when the gate has not answered for so long [default: 30s]
    #[arg(
        long,
        value_name = "DUR",
        value_parser = value::duration,
        global = true,
        help_heading = "Global options"
    )]
    pub(super) timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Provision callers and take them away
    #[command(subcommand)]
    Client(ClientCommand),
    /// Open and close sandboxed runs of a client
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Print what a sandbox needs: base URLs and its token
    #[command(after_long_help = "\
Examples:
  gatectl rollout open r-17 --client trainer --output json | gatectl env r-17 --token-stdin
  gatectl env r-17 --format docker --token-stdin < token > sandbox.env

Stdin of --token-stdin is the token, or the JSON that `rollout open --output json` printed.")]
    Env(EnvArgs),
    /// Set and check the keys that are presented upstream
    #[command(subcommand)]
    Key(KeyCommand),
    /// Back up the store, or move it to a server
    #[command(subcommand)]
    Store(StoreCommand),
    /// Take up the clients of another system
    #[command(subcommand)]
    Import(ImportCommand),
    /// Let other machines use the admin API
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Show how the three rings stand
    #[command(after_long_help = "\
Exits 4 when a non-loopback interface is not covered, or the kernel's tables drifted.

Example:
  gatectl status --output json | jq .warnings")]
    Status,
    /// Watch the rings, what they refuse and what changes, on one screen
    #[command(after_long_help = "\
Every second, until `q`. For scripts there are `status --output json` and `events --follow`.

Example:
  gatectl top")]
    Top,
    /// Compare store, keys and kernel with what they should be
    #[command(after_long_help = "\
Exits 4 when something is not as it should be.

Example:
  gatectl verify || gatectl status")]
    Verify,
    /// Check what the gate needs from this host
    #[command(after_long_help = "\
Works without a running gate, and asks it where there is one. Exits 4 when a check fails.

Example:
  sudo gatectl doctor")]
    Doctor,
    /// List the hosts of the fleet and the revision each enforces
    #[command(after_long_help = "Example:\n  gatectl hosts")]
    Hosts,
    /// Watch who is refused, and what changes
    #[command(after_long_help = "\
Without --follow it watches for a moment and ends. With --follow, --output json is one document a line.

Example:
  gatectl events --follow")]
    Events(EventsArgs),
    /// List the changes that were made, by whom
    #[command(after_long_help = "\
Without --lines it shows the newest thousand. What callers were refused is in it by class, every ten
minutes in which there was something.

Examples:
  gatectl audit --since 24h --client trainer
  gatectl audit --lines > audit.jsonl")]
    Audit(AuditArgs),
    /// Show and choose the kernel hook of an interface
    #[command(subcommand)]
    Interface(InterfaceCommand),
    /// Shut every ring at once, loopback included
    #[command(after_long_help = "\
Running streams end; it survives a restart; `gatectl open` ends it.

Example:
  gatectl panic")]
    Panic,
    /// End a panic: serve again what is provisioned
    #[command(after_long_help = "Example:\n  sudo gatectl open")]
    Open,
    /// Take the packet ring out of the kernel; the port is then open to everybody
    #[command(after_long_help = "\
Works as root without a running gate.

Example:
  sudo gatectl unload --yes")]
    Unload(UnloadArgs),
    /// Say what would happen to a packet and a request, ring by ring
    #[command(after_long_help = "\
Exits 0 when it would pass and 1 when it would be refused.

Examples:
  gatectl explain --from 10.0.0.5%veth7 --token-stdin --path /rollout/r-17/v1/messages < token
  gatectl explain --pcap capture.pcap")]
    Explain(ExplainArgs),
    /// Print a completion script for a shell
    #[command(after_long_help = "\
Example:
  gatectl completions bash > /usr/share/bash-completion/completions/gatectl")]
    Completions(CompletionsArgs),
    /// Print the manual page
    #[command(after_long_help = "Example:\n  gatectl man > /usr/share/man/man1/gatectl.1")]
    Man,
}

impl Command {
    /// Whether the answer can hold one new token, so that `--output token` means something.
    pub(super) fn mints_one_token(&self) -> bool {
        match self {
            Self::Client(command) => command.mints(),
            Self::Admin(command) => command.mints(),
            Self::Rollout(command) => command.mints_one(),
            Self::Env(_)
            | Self::Key(_)
            | Self::Store(_)
            | Self::Import(_)
            | Self::Status
            | Self::Top
            | Self::Verify
            | Self::Doctor
            | Self::Hosts
            | Self::Events(_)
            | Self::Audit(_)
            | Self::Interface(_)
            | Self::Panic
            | Self::Open
            | Self::Unload(_)
            | Self::Explain(_)
            | Self::Completions(_)
            | Self::Man => false,
        }
    }
}

#[cfg(test)]
mod tests;
