//! Why control said no, with what to do about it.
//!
//! Names the things, never their secrets. The kinds and statuses are API.

use crate::{
    ident::{ClientName, OperatorName, RolloutId, UpstreamName},
    secret::{KeyId, MasterKeyError, UnsealError, Unusable},
    store::{Rejection, StoreError},
};

use super::RingError;

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("client `{0}` exists")]
    ClientExists(ClientName),
    #[error("there is no client `{0}`")]
    NoClient(ClientName),
    #[error("client `{0}` is disabled")]
    Disabled(ClientName),
    #[error("client `{0}` belongs to the configured shared secret")]
    Shared(ClientName),
    #[error("operator `{0}` exists")]
    OperatorExists(OperatorName),
    #[error("there is no operator `{0}`")]
    NoOperator(OperatorName),
    #[error("rollout `{0}` is open")]
    RolloutExists(RolloutId),
    #[error("there is no rollout `{0}`")]
    NoRollout(RolloutId),
    #[error("there is no upstream `{name}`")]
    NoUpstream {
        name: UpstreamName,
        known: Vec<UpstreamName>,
    },
    #[error("the token cannot be adopted: {0}")]
    Token(#[from] Unusable),
    #[error("a live client or rollout has this token")]
    TokenTaken,
    #[error("{0}")]
    Invalid(String),
    #[error("client `{client}` has no source `{source_text}`")]
    NoSource {
        client: ClientName,
        source_text: String,
    },
    #[error("`{source_text}` is the last source of client `{client}`")]
    LastSource {
        client: ClientName,
        source_text: String,
    },
    #[error("{why}; nothing of {what} was kept")]
    Undone { what: String, why: RingError },
    #[error("the key of {what} does not open: {why}")]
    Key { what: String, why: UnsealError },
    #[error("item {index}: {why}")]
    InBulk { index: usize, why: Box<Refused> },
    #[error("somebody else changed it at the same time")]
    Stale,
    #[error("{0} has ended on this host, but the store does not know yet")]
    NotWritten(String),
    #[error("the store failed")]
    Store(#[source] StoreError),
    #[error("a key cannot be sealed: {0}")]
    Seal(#[from] MasterKeyError),
    #[error("the system has no random numbers to give")]
    NoRandom,
    #[error("the gate is stopping")]
    Stopping,
    #[error("this gate has the role of a host in the store: it follows, and may not provision")]
    HostRole,
    #[error("master key {key} is not on every host: {} do not hold it", hosts.join(", "))]
    MasterMissing { key: KeyId, hosts: Vec<String> },
    #[error("client `{0}` has no upstream key")]
    NoKey(ClientName),
    #[error("the store is a server, not one file")]
    NotOneFile,
}

impl Refused {
    /// Stable, for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClientExists(_) | Self::RolloutExists(_) | Self::OperatorExists(_) => "exists",
            Self::NoClient(_)
            | Self::NoRollout(_)
            | Self::NoOperator(_)
            | Self::NoSource { .. }
            | Self::NoKey(_) => "not_found",
            Self::Disabled(_) => "disabled",
            Self::Shared(_) => "shared",
            Self::NoUpstream { .. } | Self::Invalid(_) => "invalid",
            Self::Token(_) => "bad_token",
            Self::TokenTaken => "token_taken",
            Self::LastSource { .. } => "last_source",
            Self::Undone { why, .. } => match why {
                RingError::Full { .. } => "full",
                RingError::Failed(_) => "packet_ring",
            },
            Self::Key { .. } => "key_unavailable",
            Self::InBulk { why, .. } => why.kind(),
            Self::Stale => "conflict",
            Self::NotWritten(_) | Self::Store(_) => "store",
            Self::Seal(_) | Self::NoRandom => "internal",
            Self::Stopping => "stopping",
            Self::HostRole => "host_role",
            Self::MasterMissing { .. } => "master_key_missing",
            Self::NotOneFile => "not_one_file",
        }
    }

    /// As HTTP says it.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoUpstream { .. } | Self::Invalid(_) | Self::Token(_) => 400,
            Self::NoClient(_)
            | Self::NoRollout(_)
            | Self::NoOperator(_)
            | Self::NoSource { .. }
            | Self::NoKey(_) => 404,
            Self::HostRole => 403,
            Self::ClientExists(_)
            | Self::RolloutExists(_)
            | Self::OperatorExists(_)
            | Self::Disabled(_)
            | Self::Shared(_)
            | Self::TokenTaken
            | Self::LastSource { .. }
            | Self::MasterMissing { .. }
            | Self::NotOneFile
            | Self::Stale => 409,
            Self::Undone { why, .. } => match why {
                RingError::Full { .. } => 507,
                RingError::Failed(_) => 503,
            },
            Self::InBulk { why, .. } => why.status(),
            Self::Key { .. } | Self::NotWritten(_) | Self::Store(_) | Self::Stopping => 503,
            Self::Seal(_) | Self::NoRandom => 500,
        }
    }

    /// What to do about it; empty when there is nothing to say.
    pub fn hint(&self) -> String {
        match self {
            Self::ClientExists(name) => format!(
                "`gatectl client rotate {name}` gives it a new token, `gatectl key set {name}` a new upstream key"
            ),
            Self::NoClient(name) => format!("`gatectl client add {name}` makes it"),
            Self::OperatorExists(name) => {
                format!("`gatectl admin token revoke {name}` ends its token")
            }
            Self::NoOperator(_) => "`gatectl admin token list` lists them".to_owned(),
            Self::Disabled(name) => format!("`gatectl client enable {name}` brings it back"),
            Self::Shared(_) => "change `shared_secret_file` or INTERCEPTION_SECRET".to_owned(),
            Self::RolloutExists(id) => format!(
                "`gatectl rollout close {id}` ends it, `gatectl rollout rotate {id}` gives it a new token"
            ),
            Self::NoRollout(id) => format!("`gatectl rollout open {id} --client NAME` opens it"),
            Self::NoUpstream { known, .. } if known.is_empty() => {
                "none is configured: start gated with `--upstream URL`".to_owned()
            }
            Self::NoUpstream { known, .. } => {
                let known: Vec<&str> = known.iter().map(UpstreamName::as_str).collect();
                format!("configured are: {}", known.join(", "))
            }
            Self::TokenTaken => "leave the token out to get a fresh one".to_owned(),
            Self::NoSource { client, .. } => {
                format!("`gatectl client show {client}` lists its sources")
            }
            Self::LastSource { client, .. } => format!(
                "without sources its token would not be bound; `gatectl client revoke {client}` ends it"
            ),
            Self::Undone { why, .. } => match why {
                RingError::Full { .. } => {
                    "close rollouts or revoke clients that are done, or list one CIDR in place of many addresses".to_owned()
                }
                RingError::Failed(_) => "`gatectl status` says how the packet ring stands".to_owned(),
            },
            Self::Key { .. } => "`gatectl key verify` names the keys that do not open".to_owned(),
            Self::InBulk { why, .. } => match why.hint() {
                hint if hint.is_empty() => "nothing was opened".to_owned(),
                hint => format!("{hint}; nothing was opened"),
            },
            Self::Stale => "look again and repeat".to_owned(),
            Self::HostRole => {
                "ask a gate whose role may provision: `gatectl hosts` lists them all".to_owned()
            }
            Self::MasterMissing { .. } => "append the newest line of this host's master key file to \
                theirs; they read it within seconds, then repeat"
                .to_owned(),
            Self::NotOneFile => "back up its database: `pg_dump --format custom`".to_owned(),
            Self::NoKey(name) => format!("`gatectl key set {name}` gives it one"),
            Self::NotWritten(_) => {
                "it is written as soon as the store answers; repeat to be sure".to_owned()
            }
            Self::Store(_) => "`gatectl verify` says how the store stands".to_owned(),
            Self::Invalid(_) | Self::Token(_) | Self::Seal(_) | Self::NoRandom | Self::Stopping => {
                String::new()
            }
        }
    }
}

impl From<StoreError> for Refused {
    fn from(why: StoreError) -> Self {
        match why {
            StoreError::Rejected {
                why: Rejection::TokenTaken,
                ..
            } => Self::TokenTaken,
            StoreError::Rejected {
                why: Rejection::Stale,
                ..
            } => Self::Stale,
            StoreError::Forbidden(_) => Self::HostRole,
            other @ (StoreError::Open { .. }
            | StoreError::Locked { .. }
            | StoreError::Newer { .. }
            | StoreError::Damaged(_)
            | StoreError::Row(_)
            | StoreError::Use(_)
            | StoreError::Rejected { .. }
            | StoreError::Away(_)
            | StoreError::Slow
            | StoreError::Parted(_)
            | StoreError::Closed) => Self::Store(other),
        }
    }
}

impl From<getrandom::Error> for Refused {
    fn from(_gone: getrandom::Error) -> Self {
        Self::NoRandom
    }
}
