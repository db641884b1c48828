//! `gatectl rollout ...` and `gatectl env`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::value::{SourceArg, With, duration, grace, header_text};
use crate::{
    admin::wire::TokenKind,
    ident::{ClientName, HostName, RolloutId, UpstreamName},
    scope::Rule,
    source::Place,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RolloutCommand {
    /// Open a rollout and print its token, once
    #[command(after_long_help = "\
Examples:
  gatectl rollout open r-17 --client trainer --source 10.0.0.5@veth7 --ttl 1h --output token
  gatectl rollout open --from rollouts.json --output json

A file holds one object, one a line, a list of them, or {\"rollouts\":[...]}:
  {\"rollout\":\"r-17\",\"client\":\"trainer\",\"sources\":[\"10.0.0.5@veth7\"],\"ttl_seconds\":3600}

They are opened 1000 at a time, all of a thousand or none, and shown as they are. What stops half way says how to
go on: `--skip` leaves out what is open already.")]
    Open(Box<RolloutOpen>),
    /// List the rollouts that are open or draining
    #[command(after_long_help = "Example:\n  gatectl rollout list --client trainer")]
    List(RolloutList),
    /// Show one rollout
    #[command(after_long_help = "Example:\n  gatectl rollout show r-17")]
    Show(RolloutNamed),
    /// Extend the lease of a rollout
    #[command(after_long_help = "Example:\n  gatectl rollout renew r-17 --ttl 1h")]
    Renew(RolloutRenew),
    /// Give a rollout new tokens and print them, once
    #[command(after_long_help = "Example:\n  gatectl rollout rotate r-17 --grace 30s")]
    Rotate(RolloutRotate),
    /// Let running calls of a rollout end and refuse new ones
    #[command(after_long_help = "Example:\n  gatectl rollout drain r-17")]
    Drain(RolloutNamed),
    /// End rollouts and everything they have in flight
    #[command(after_long_help = "\
Examples:
  gatectl rollout close r-17 r-18
  gatectl rollout close --client trainer --all --wait
  gatectl rollout close --from rollouts.json

A file holds one id a line, or what `rollout open --from` reads or prints. They are closed 1000 at a time.")]
    Close(RolloutClose),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RolloutOpen {
    /// Id of the rollout: 1 to 128 of A-Z a-z 0-9 . _ : -
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub(in crate::cli) id: Option<RolloutId>,
    /// Client that the rollout belongs to
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    pub(in crate::cli) client: Option<ClientName>,
    /// Read what to open from a JSON file, or from stdin with `-`
    #[arg(
        long,
        value_name = "FILE|-",
        conflicts_with_all = ["sources", "sources_anywhere", "host", "ttl", "upstream",
            "upstream_key_stdin", "upstream_key_env", "scope", "tokens", "secrets_stdin"]
    )]
    pub(in crate::cli) from: Option<PathBuf>,
    /// Leave out so many from the beginning of the file, which are open already
    #[arg(long, value_name = "N", requires = "from", overrides_with = "skip")]
    pub(in crate::cli) skip: Option<usize>,
    /// Address or network that may call, in place of the client's; `lo` for this host
    #[arg(long = "source", value_name = "CIDR[@IFACE]")]
    pub(in crate::cli) sources: Vec<SourceArg>,
    /// Routable address or network that means the same on every host of the fleet
    #[arg(long = "source-anywhere", value_name = "CIDR")]
    pub(in crate::cli) sources_anywhere: Vec<Place>,
    /// Host whose sources these are [default: the one that answers]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) host: Option<HostName>,
    /// End the rollout after this time unless it is renewed
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(in crate::cli) ttl: Option<Duration>,
    /// Upstream for this rollout's calls
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) upstream: Option<UpstreamName>,
    /// Read the key that is presented upstream from stdin
    #[arg(long, conflicts_with_all = ["upstream_key_env", "secrets_stdin"])]
    pub(in crate::cli) upstream_key_stdin: bool,
    /// Read the key that is presented upstream from this environment variable
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) upstream_key_env: Option<String>,
    /// Call that is allowed, in place of the client's list
    #[arg(long = "scope", value_name = "METHOD:PATTERN")]
    pub(in crate::cli) scope: Vec<Rule>,
    /// Make tokens of these kinds: rollout, model, state [default: rollout]
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(in crate::cli) tokens: Vec<TokenKind>,
    /// Read `{"KIND":{"token":"...","upstream_key":"..."}}` from stdin, each optional
    #[arg(long)]
    pub(in crate::cli) secrets_stdin: bool,
    /// Answer a repeated command with this key as the first one, for 10 minutes
    #[arg(long, value_name = "KEY", value_parser = header_text, overrides_with = "idempotency_key")]
    pub(in crate::cli) idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RolloutList {
    /// Only this client's
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) client: Option<ClientName>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RolloutNamed {
    /// Id of the rollout
    pub(in crate::cli) id: RolloutId,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RolloutRenew {
    /// Id of the rollout
    pub(in crate::cli) id: RolloutId,
    /// Time from now
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(in crate::cli) ttl: Duration,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RolloutRotate {
    /// Id of the rollout
    pub(in crate::cli) id: RolloutId,
    /// How long the old tokens stay good beside the new ones [default: 0s]
    #[arg(long, value_name = "DUR", value_parser = grace)]
    pub(in crate::cli) grace: Option<Duration>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RolloutClose {
    /// Ids of the rollouts
    #[arg(required_unless_present_any = ["client", "from"], conflicts_with_all = ["client", "from"])]
    pub(in crate::cli) ids: Vec<RolloutId>,
    /// Read the ids from a file, or from stdin with `-`
    #[arg(long, value_name = "FILE|-", conflicts_with = "client")]
    pub(in crate::cli) from: Option<PathBuf>,
    /// Leave out those that are not open
    #[arg(long, conflicts_with = "client", overrides_with = "open_only")]
    pub(in crate::cli) open_only: bool,
    /// Close rollouts of this client; needs --all
    #[arg(long, value_name = "NAME", requires = "all")]
    pub(in crate::cli) client: Option<ClientName>,
    /// Close all rollouts of the client
    #[arg(long, requires = "client")]
    pub(in crate::cli) all: bool,
    /// Wait until every host has acknowledged [default without DUR: 30s]
    #[arg(
        long,
        value_name = "DUR",
        value_parser = duration,
        num_args = 0..=1,
        default_missing_value = "30s"
    )]
    pub(in crate::cli) wait: Option<Duration>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct EnvArgs {
    /// Id of the rollout
    pub(in crate::cli) id: RolloutId,
    /// Syntax of the variables [default: shell, or json with --output json]
    #[arg(long, value_enum)]
    pub(in crate::cli) format: Option<EnvFormat>,
    /// Address of the gate as the sandbox sees it
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) base_url: Option<String>,
    /// Print `GATE_NAME_BASE_URL` for another route of the gate too
    #[arg(long, value_name = "NAME=PREFIX")]
    pub(in crate::cli) with: Vec<With>,
    /// Read the rollout's token from stdin
    #[arg(long)]
    pub(in crate::cli) token_stdin: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum EnvFormat {
    /// export NAME='value'
    Shell,
    /// One object
    Json,
    /// NAME=value, for `docker run --env-file`
    Docker,
}

impl RolloutCommand {
    pub(super) fn mints_one(&self) -> bool {
        match self {
            Self::Open(open) => open.from.is_none() && open.tokens.len() < 2,
            Self::Rotate(_) => true,
            Self::List(_) | Self::Show(_) | Self::Renew(_) | Self::Drain(_) | Self::Close(_) => {
                false
            }
        }
    }
}
