//! The commands that keep a gate running: `key`, `interface`, `unload`, `completions`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::store::KeyExport;
use crate::ident::ClientName;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Set the key that is presented upstream for a client, read from stdin
    #[command(after_long_help = "\
The client's token stays as it is. On a terminal the key is asked for without echo.

Example:
  pass show openai | gatectl key set trainer")]
    Set(KeySet),
    /// Check that every stored key opens
    #[command(after_long_help = "\
Exits 4 when a key is corrupt, not sealed, or sealed with a master key that is not here.

Example:
  gatectl key verify trainer")]
    Verify(KeyVerify),
    /// Seal a key in the published form, read from stdin, and print the ciphertext
    #[command(after_long_help = "\
Nothing is stored. What is printed opens with the gate's master key alone, and is bound to no client.

Example:
  pass show openai | gatectl key seal")]
    Seal,
    /// Seal every stored key with a newer master key, while the gate serves
    #[command(after_long_help = "\
A newer key is appended to the master key file, or taken from there if it lies ready; old keys go on
opening what they sealed. Can be broken off and repeated: it goes on where it was.

In a fleet no row may be sealed with a key that a host does not hold. So the first run names the
hosts that lack it: append the newest line of this host's key file to theirs, which they read within
seconds, and run it again. `gatectl hosts` shows them.

Example:
  sudo gatectl key rotate-master && sudo gatectl key verify")]
    RotateMaster,
    /// Print a client's upstream key as ciphertext in the published form
    #[command(after_long_help = "\
What is printed opens with the gate's master key alone.

Example:
  gatectl key export trainer --form v1")]
    Export(KeyExport),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct KeySet {
    /// Name of the client
    pub(in crate::cli) name: ClientName,
    /// Read the key from this environment variable, not from stdin
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) upstream_key_env: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct KeyVerify {
    /// Only the key of this client
    pub(in crate::cli) name: Option<ClientName>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum InterfaceCommand {
    /// List the interfaces, the hook of each and why
    #[command(after_long_help = "Example:\n  gatectl interface list")]
    List,
    /// Move an interface to another hook without a gap
    #[command(after_long_help = "Example:\n  sudo gatectl interface set eth0 --hook tcx")]
    Set(InterfaceSet),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct InterfaceSet {
    /// Name of the interface
    pub(in crate::cli) name: String,
    /// Where frames are judged
    #[arg(long, value_enum)]
    pub(in crate::cli) hook: HookArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum HookArg {
    /// After the driver; keeps the throughput of a veth
    Tcx,
    /// The same for kernels before 6.6
    Clsact,
    /// In the driver; drops most under a flood
    Xdp,
    /// XDP where the driver cannot
    Generic,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct UnloadArgs {
    /// Do not ask
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// Where the gate pinned what it loaded [default: /sys/fs/bpf/gate]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) pin_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// Shell that reads it
    pub(in crate::cli) shell: clap_complete::Shell,
}

impl HookArg {
    /// The word of the admin API.
    pub(in crate::cli) fn as_str(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::Xdp => "xdp",
            Self::Generic => "generic",
        }
    }
}
