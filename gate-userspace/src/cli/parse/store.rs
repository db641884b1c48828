//! What moves: `store`, `import`, and the parts of `key` that are about the master key.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::ident::ClientName;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum StoreCommand {
    /// Write the whole store to one file while the gate serves
    #[command(after_long_help = "\
The file is 0600 and must not exist. Changes wait while it is copied, calls do not. It is a store as
any other: put it in the place of `gate.db` and start `gated`. A store on Postgres is backed up with
pg_dump. The master key is not in it: back up its file too, elsewhere.

Example:
  sudo gatectl store backup /var/backups/gate-$(date +%F).db")]
    Backup(StoreBackup),
    /// Copy an embedded store to an empty Postgres database
    #[command(after_long_help = "\
Tokens, rollouts, leases, revisions and the audit trail stay as they are; every table is counted.
A database that holds something else is left alone, and doing it twice changes nothing.
A URL with a password stands in a variable or comes in on stdin, never on the command line.
What is changed on the gate after the copy began is not in it: copy, then restart `gated` with the
new store, while nobody provisions. The master key file stays where it is.

Examples:
  sudo gatectl store copy --to postgres://gate@db.example/gate     # password in $PGPASSWORD
  sudo --preserve-env=TARGET gatectl store copy --to-env TARGET
  gatectl store copy --from gate-2026-01-01.db --to-stdin < url")]
    Copy(StoreCopy),
    /// Print the SQL that gives a database role what a host needs, and no more
    #[command(after_long_help = "\
A gate that connects with such a role follows the fleet and tells how far it is; it cannot provision,
whatever happens to it. Run the statements as the owner of the tables.

Example:
  createuser gate_host && gatectl store host-role gate_host | psql gate")]
    HostRole(HostRole),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct StoreBackup {
    /// File to write
    pub(in crate::cli) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["to", "to_env", "to_stdin"]))]
pub(in crate::cli) struct StoreCopy {
    /// Server to copy to; $PGPASSWORD is its password
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) to: Option<String>,
    /// Environment variable that holds the URL
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) to_env: Option<String>,
    /// Read the URL from stdin
    #[arg(long)]
    pub(in crate::cli) to_stdin: bool,
    /// A backup to copy, or the store of a gate that is stopped [default: the running gate's]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HostRole {
    /// Name of the role
    pub(in crate::cli) role: String,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ImportCommand {
    /// Take up the clients of an apollo database; their credentials go on working
    #[command(after_long_help = "\
Reads `lightning_clients` and changes nothing there. Keys sealed as enc:v1: are opened with
$APOLLO_ENC_KEY and sealed anew with the gate's own master key. Doing it twice changes nothing, and
what was revoked here does not come back. A name that no client can have gets a `-` for each
character that does not fit. Exits 1 when a row could not be taken up.
Without --postgres or --postgres-env the URL is in $APOLLO_CLIENTS_DB_URL, else $POSTGRES_URL.

Example:
  gatectl import apollo --dry-run && gatectl import apollo")]
    Apollo(ImportApollo),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ImportApollo {
    /// Database of apollo; $PGPASSWORD is its password
    #[arg(long, value_name = "URL", conflicts_with = "postgres_env")]
    pub(in crate::cli) postgres: Option<String>,
    /// Environment variable that holds the URL
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) postgres_env: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct KeyExport {
    /// Name of the client
    pub(in crate::cli) name: ClientName,
    /// Form of the ciphertext
    #[arg(long, value_enum)]
    pub(in crate::cli) form: SealForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SealForm {
    /// The published layout: enc:v1: and base64 of iv, tag, ciphertext
    V1,
}
