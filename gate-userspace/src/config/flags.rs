//! The command line of `gated`, as it is typed.

use std::path::PathBuf;

use clap::Parser;

/// Guard the port on which sandboxes reach an LLM
///
/// Listens on 127.0.0.1:8765, keeps its grants in /var/lib/gate and its admin socket in /run/gate.
/// Nobody gets in until `gatectl client add` has provisioned somebody. A flag beats the
/// environment, which beats the file.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "gated", version, after_long_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that is given or not"
)]
pub struct Flags {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = "GATE_CONFIG")]
    pub config: Option<PathBuf>,

    /// Listen here; may be given several times
    #[arg(long, value_name = "ADDR:PORT|unix:PATH")]
    pub listen: Vec<String>,

    /// Admit listed sources only, or any; must be said for an address that others can reach
    #[arg(long, value_name = "listed|any")]
    pub sources: Option<String>,

    /// Send accepted calls here: http://, https:// or unix:SOCKET
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,

    /// Read the provider key for that upstream from this environment variable
    #[arg(long, value_name = "NAME")]
    pub upstream_key_env: Option<String>,

    /// Serve one profile on every path instead of the usual routes
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,

    /// Attach the packet ring to these interfaces
    #[arg(
        long,
        value_name = "auto|none|NAME[:tcx|clsact|xdp|generic],...",
        env = "GATE_INTERFACES"
    )]
    pub interfaces: Option<String>,

    /// Protect another port of this host; may be given several times
    #[arg(long, value_name = "[ADDR:]PORT=none|listed|off")]
    pub guard: Vec<String>,

    /// Enforce, or only count what would be refused
    #[arg(long, value_name = "enforce|audit")]
    pub mode: Option<String>,

    /// Allow audit mode on an address that others can reach
    #[arg(long)]
    pub audit_public: bool,

    /// Refuse to start without the packet ring, prefer it, or leave it off
    #[arg(long, value_name = "require|prefer|off")]
    pub kernel: Option<String>,

    /// Keep grants here
    #[arg(long, value_name = "sqlite:PATH|postgres://...")]
    pub store: Option<String>,

    /// Keep the store and the master key in this directory
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,

    /// Keep sockets and locks in this directory
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<String>,

    /// Check everything, say what would be attached where and why, and exit
    #[arg(long)]
    pub check: bool,

    /// Shut the gated ports in the packet ring, leave it pinned for the daemon, and exit
    #[arg(long, conflicts_with_all = ["check", "print_config"])]
    pub guard_only: bool,

    /// Print the effective settings with the origin of each value, and exit
    #[arg(long)]
    pub print_config: bool,
}

const EXAMPLES: &str = "\
Examples:
  gated --upstream http://127.0.0.1:9000
  gated --upstream https://api.openai.com --upstream-key-env OPENAI_API_KEY
  gated --listen 0.0.0.0:8765 --sources listed --upstream http://127.0.0.1:9000 --upstream-key-env PROVIDER_KEY
  gated --config /etc/gate/gate.toml --check

Exit status: 0 after a drain, 1 when it broke while running, 2 for a bad command line,
78 when a start was refused: then nothing was bound and nothing attached.";
