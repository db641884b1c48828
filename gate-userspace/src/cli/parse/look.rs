//! The commands that only look: `events`, `audit`, `explain`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::value::duration;
use crate::ident::ClientName;

#[derive(Debug, Args)]
pub(in crate::cli) struct EventsArgs {
    /// Go on until interrupted
    #[arg(long)]
    pub(in crate::cli) follow: bool,
    /// Watch for so long [default: 2s]
    #[arg(long = "for", value_name = "DUR", value_parser = duration, conflicts_with = "follow")]
    pub(in crate::cli) span: Option<Duration>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AuditArgs {
    /// Only what happened since then
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(in crate::cli) since: Option<Duration>,
    /// Only what concerns this client
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) client: Option<ClientName>,
    /// Print all of it, a JSON document a line, oldest first
    #[arg(long)]
    pub(in crate::cli) lines: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["from", "frame", "pcap"]))]
pub(in crate::cli) struct ExplainArgs {
    /// Where the caller is: ADDR, ADDR%IFACE or lo
    #[arg(long, value_name = "ADDR[%IFACE]")]
    pub(in crate::cli) from: Option<String>,
    /// Gated port [default: the first that the gate serves]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) port: Option<u16>,
    /// Read the token it would present from stdin
    #[arg(long)]
    pub(in crate::cli) token_stdin: bool,
    /// Method it would use [default: POST]
    #[arg(long, value_name = "METHOD")]
    pub(in crate::cli) method: Option<String>,
    /// Path it would ask for
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) path: Option<String>,
    /// One Ethernet frame
    #[arg(long, value_name = "HEX", conflicts_with_all = ["from", "pcap", "token_stdin", "method", "path"])]
    pub(in crate::cli) frame: Option<String>,
    /// Every frame of a capture, a verdict each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "token_stdin", "method", "path"])]
    pub(in crate::cli) pcap: Option<PathBuf>,
}
