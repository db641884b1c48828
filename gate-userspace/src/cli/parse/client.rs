//! `gatectl client ...`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::value::{SourceArg, duration, grace, header_text};
use crate::{
    ident::{ClientName, HostName, UpstreamName},
    scope::Rule,
    source::Place,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClientCommand {
    /// Add a client and print its token, once
    #[command(after_long_help = "\
Examples:
  gatectl client add trainer --source 10.0.0.0/24 --output token > trainer.token
  pass show openai | gatectl client add app --source lo --upstream-key-stdin --rps 20")]
    Add(ClientAdd),
    /// List the clients
    #[command(after_long_help = "Example:\n  gatectl client list --output json")]
    List,
    /// Show one client
    #[command(after_long_help = "Example:\n  gatectl client show trainer")]
    Show(ClientNamed),
    /// Extend the lease of a client
    #[command(after_long_help = "Example:\n  gatectl client renew trainer --ttl 24h")]
    Renew(ClientRenew),
    /// Give a client a new token and print it, once
    #[command(after_long_help = "\
Example:
  gatectl client rotate trainer --grace 10m --output token > trainer.token")]
    Rotate(ClientRotate),
    /// Refuse a client until it is enabled; ends its streams
    #[command(after_long_help = "Example:\n  gatectl client disable trainer")]
    Disable(ClientNamed),
    /// Accept a disabled client again
    #[command(after_long_help = "Example:\n  gatectl client enable trainer")]
    Enable(ClientNamed),
    /// Change where a client may call from
    #[command(subcommand)]
    Source(SourceCommand),
    /// End a client, its rollouts and everything they have in flight
    #[command(after_long_help = "\
Tokens die, streams end with an error event, connections close, and the sources are shut before it \
answers.

Example:
  gatectl client revoke trainer --wait --yes")]
    Revoke(ClientRevoke),
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one flag of the documented command line"
)]
pub(in crate::cli) struct ClientAdd {
    /// Name of the client
    pub(in crate::cli) name: ClientName,
    /// Address or network that may call; `lo` for callers on this host
    #[arg(long = "source", value_name = "CIDR[@IFACE]")]
    pub(in crate::cli) sources: Vec<SourceArg>,
    /// Routable address or network that means the same on every host of the fleet
    #[arg(long = "source-anywhere", value_name = "CIDR")]
    pub(in crate::cli) sources_anywhere: Vec<Place>,
    /// Host whose sources these are [default: the one that answers]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) host: Option<HostName>,
    /// Guarded port that the sources may reach too
    #[arg(long = "port", value_name = "N")]
    pub(in crate::cli) ports: Vec<u16>,
    /// Upstream for this client's calls
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) upstream: Option<UpstreamName>,
    /// Read the key that is presented upstream from stdin
    #[arg(long, conflicts_with_all = ["upstream_key_env", "token_stdin"])]
    pub(in crate::cli) upstream_key_stdin: bool,
    /// Read the key that is presented upstream from this environment variable
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) upstream_key_env: Option<String>,
    /// Call that is allowed, in place of the profile's list
    #[arg(long = "scope", value_name = "METHOD:PATTERN")]
    pub(in crate::cli) scope: Vec<Rule>,
    /// Let the client's own token into every live rollout of it
    #[arg(long, conflicts_with = "service")]
    pub(in crate::cli) covers_rollouts: bool,
    /// Make a service token: /state of its live rollouts and nothing else
    #[arg(long)]
    pub(in crate::cli) service: bool,
    /// End the client after this time unless it is renewed
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(in crate::cli) ttl: Option<Duration>,
    /// Requests a second
    #[arg(long, value_name = "N")]
    pub(in crate::cli) rps: Option<u32>,
    /// Calls at once
    #[arg(long, value_name = "N")]
    pub(in crate::cli) concurrency: Option<u32>,
    /// Adopt a token of another system from stdin
    #[arg(long)]
    pub(in crate::cli) token_stdin: bool,
    /// Answer a repeated command with this key as the first one, for 10 minutes
    #[arg(long, value_name = "KEY", value_parser = header_text)]
    pub(in crate::cli) idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ClientNamed {
    /// Name of the client
    pub(in crate::cli) name: ClientName,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ClientRenew {
    /// Name of the client
    pub(in crate::cli) name: ClientName,
    /// Time from now
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(in crate::cli) ttl: Duration,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ClientRotate {
    /// Name of the client
    pub(in crate::cli) name: ClientName,
    /// How long the old token stays good beside the new one [default: 0s]
    #[arg(long, value_name = "DUR", value_parser = grace)]
    pub(in crate::cli) grace: Option<Duration>,
    /// Adopt a token of another system from stdin
    #[arg(long)]
    pub(in crate::cli) token_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SourceCommand {
    /// Let a client call from one more place
    #[command(after_long_help = "Example:\n  gatectl client source add trainer 10.0.0.5@veth7")]
    Add(SourceChange),
    /// Shut a place for a client; what it has in flight from there ends
    #[command(after_long_help = "Example:\n  gatectl client source remove trainer 10.0.0.5@veth7")]
    Remove(SourceChange),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SourceChange {
    /// Name of the client
    pub(in crate::cli) name: ClientName,
    /// Address or network, or `lo`
    #[arg(
        value_name = "CIDR[@IFACE]",
        required_unless_present = "sources_anywhere"
    )]
    pub(in crate::cli) sources: Vec<SourceArg>,
    /// Routable address or network that means the same on every host of the fleet
    #[arg(long = "source-anywhere", value_name = "CIDR")]
    pub(in crate::cli) sources_anywhere: Vec<Place>,
    /// Host whose sources these are [default: the one that answers]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) host: Option<HostName>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ClientRevoke {
    /// Name of the client
    pub(in crate::cli) name: ClientName,
    /// Wait until every host has acknowledged [default without DUR: 30s]
    #[arg(
        long,
        value_name = "DUR",
        value_parser = duration,
        num_args = 0..=1,
        default_missing_value = "30s"
    )]
    pub(in crate::cli) wait: Option<Duration>,
    /// Do not ask
    #[arg(long)]
    pub(in crate::cli) yes: bool,
}

impl ClientCommand {
    pub(super) fn mints(&self) -> bool {
        match self {
            Self::Add(_) | Self::Rotate(_) => true,
            Self::List
            | Self::Show(_)
            | Self::Renew(_)
            | Self::Disable(_)
            | Self::Enable(_)
            | Self::Source(_)
            | Self::Revoke(_) => false,
        }
    }
}
