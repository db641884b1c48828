//! The commands for tokens of the admin API.

use clap::{Args, Subcommand};

use crate::{ident::OperatorName, operator::Role};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AdminCommand {
    /// Tokens that use the admin API from other machines
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Make a token for another machine and print it, once
    #[command(after_long_help = "\
The token works where gated listens for it (`[admin] listen` in its configuration), on every host of a
fleet. It opens nothing on the gated port. For root, or the user that gated runs as.

Examples:
  sudo gatectl admin token add trainer-7 --role provision --output token
  GATE_ADMIN_TOKEN=... gatectl --url https://gate.example:8766 rollout list")]
    Add(OperatorAdd),
    /// List who has one
    #[command(after_long_help = "Example:\n  sudo gatectl admin token list")]
    List,
    /// End a token, on every host at once
    #[command(after_long_help = "Example:\n  sudo gatectl admin token revoke trainer-7 --yes")]
    Revoke(OperatorRevoke),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct OperatorAdd {
    /// What the audit trail calls it: 1 to 64 of A-Z a-z 0-9 . _ -
    pub(in crate::cli) name: OperatorName,
    /// What it may do; each role may do what those before it may
    #[arg(long, value_enum)]
    pub(in crate::cli) role: Role,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct OperatorRevoke {
    /// Name of the operator
    pub(in crate::cli) name: OperatorName,
    /// Do it without asking
    #[arg(long)]
    pub(in crate::cli) yes: bool,
}

impl AdminCommand {
    pub(in crate::cli) fn mints(&self) -> bool {
        matches!(self, Self::Token(TokenCommand::Add(_)))
    }
}
