//! Why a start is refused: one error and one hint, before anything is bound or attached.

use std::path::PathBuf;

use crate::{
    secret::{MasterKeyError, Unusable},
    tls::TlsError,
};

/// `EX_CONFIG` of sysexits.h: a supervisor that knows it does not try again.
pub const EXIT_REFUSED: u8 = 78;

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("read `{path}`")]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("`{path}` is not a configuration")]
    File {
        path: PathBuf,
        #[source]
        cause: Box<toml::de::Error>,
    },
    #[error("{key} = `{value}` is not {expected}")]
    Value {
        key: String,
        value: String,
        expected: String,
    },
    #[error("{address} can be reached from other hosts, and it is not said whose calls to admit")]
    PublicBind { address: String },
    #[error("`{address}` does not resolve")]
    Unresolved { address: String },
    #[error("audit mode lets unknown callers through, and {address} can be reached by others")]
    PublicAudit { address: String },
    #[error("the shared secret from {origin} cannot be used")]
    SharedSecret {
        origin: String,
        #[source]
        cause: Unusable,
    },
    #[error("the master key from {origin} cannot be used")]
    MasterKey {
        origin: String,
        #[source]
        cause: MasterKeyError,
    },
    #[error("the upstream key from {origin} cannot be used: {why}")]
    UpstreamKey { origin: String, why: &'static str },
    #[error(
        "credential `{name}` is named, and this service was given none: CREDENTIALS_DIRECTORY is not set"
    )]
    NoCredentials { name: String },
    #[error("whom to believe for upstream `{upstream}` cannot be read")]
    Roots {
        upstream: String,
        #[source]
        cause: TlsError,
    },
    #[error("the certificate for {address} cannot be used")]
    Certificate {
        address: String,
        #[source]
        cause: TlsError,
    },
    #[error("{address} can be reached from other hosts, and the admin API has no certificate")]
    PlainAdmin { address: String },
    #[error("route `{prefix}` names upstream `{upstream}`, which is not configured")]
    NoSuchUpstream { prefix: String, upstream: String },
    #[error("{what} `{name}` is configured twice")]
    Twice { what: &'static str, name: String },
}

impl Refused {
    /// What to type or change.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { path, .. } => {
                format!("does it exist, and may this user read it? try `ls -l {}`", path.display())
            }
            Self::File { .. } => "every key with its default stands in docs/configuration.md".into(),
            Self::Value { key, .. } => format!("correct `{key}`, or leave it out for the default"),
            Self::PublicBind { .. } => {
                "say `--sources listed` to admit provisioned sources only, or `--sources any` when \
                 the token alone shall decide"
                    .into()
            }
            Self::Unresolved { .. } => "give an address, such as 127.0.0.1:8765".into(),
            Self::PublicAudit { .. } => {
                "bind to loopback, or say `--audit-public` for the time of the migration".into()
            }
            Self::SharedSecret { .. } => {
                "give at least 16 random characters: openssl rand -hex 32".into()
            }
            Self::MasterKey { .. } => {
                "it must be base64 of 32 bytes: openssl rand -base64 32; a lost master key cannot be \
                 made again, only replaced together with every upstream key"
                    .into()
            }
            Self::UpstreamKey { .. } => "set the variable or file, or leave the setting out".into(),
            Self::NoCredentials { name } => format!(
                "add LoadCredential={name}:/path/of/the/key to the unit; key_file reads a file without systemd"
            ),
            Self::Roots {
                cause: TlsError::NoRoots,
                ..
            } => "install the package ca-certificates, or give the upstream a `ca_file`".into(),
            Self::Roots { .. } => {
                "`ca_file` is the PEM file of the authority that signed the upstream's certificate; \
                 without one, this system's roots are believed"
                    .into()
            }
            Self::Certificate { .. } => {
                "`certificate` is a PEM file with the chain, the listener's own first; `key` is its \
                 private key in PEM, readable by this user"
                    .into()
            }
            Self::PlainAdmin { .. } => {
                "give `[admin]` a `tls = { certificate = \"..\", key = \"..\" }`, or listen on \
                 loopback and carry it over ssh"
                    .into()
            }
            Self::NoSuchUpstream { upstream, .. } => {
                format!("add an [[upstream]] with name = \"{upstream}\"")
            }
            Self::Twice { .. } => "remove one of them".into(),
        }
    }
}

/// The refusal of a value that is none of a few words.
pub(super) fn not_one_of(key: &str, value: &str, words: &[&str]) -> Refused {
    Refused::Value {
        key: key.to_owned(),
        value: value.to_owned(),
        expected: words.join(" or "),
    }
}
