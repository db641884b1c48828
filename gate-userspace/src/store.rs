//! What outlives the process: who may come in, until when, and who decided it.
//!
//! Writes grants, never reads a request: nothing on the data path waits for a store. Knows no
//! secret: digests of tokens and sealed keys. The feed of changes is the truth for other hosts
//! and the audit trail in one.

mod change;
mod row;
mod sql;
mod embedded;
mod postgres;
mod place;
pub mod offline;

use std::{path::PathBuf, time::Duration};

pub(crate) use change::Entity;
pub use change::{Change, Commit, Filter, Line, News, Note, Snapshot, Told, Write};
pub use embedded::Embedded;
pub use place::{BadPlace, BadServer, StorePlace};
pub use postgres::{Parting, Postgres, host_grants};
pub use row::BadRow;

use crate::{
    clock::Stamp,
    ident::{ClientId, HostName, Revision, RolloutSerial, TokenId},
    secret::{Digest, KeyId},
};

/// One of the two kinds of store; the same promises, the same tests.
#[derive(Clone, Debug)]
pub enum Store {
    /// One file, one `gated`.
    Embedded(Embedded),
    /// One server, many of them.
    Postgres(Postgres),
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("open the store `{}`", path.display())]
    Open {
        path: PathBuf,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("another gated uses the store `{}`", path.display())]
    Locked { path: PathBuf },
    #[error("the store is of version {found}, this gated knows up to {known}")]
    Newer { found: i64, known: i64 },
    #[error("the store is damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Row(#[from] BadRow),
    #[error("use the store")]
    Use(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("change {index} does not fit: {why}")]
    Rejected { index: usize, why: Rejection },
    #[error("the store cannot be reached")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the role of this gate in the store does not allow it")]
    Forbidden(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the store did not answer in time")]
    Slow,
    /// There is a server, and it is not where this host was.
    #[error(transparent)]
    Parted(#[from] Parting),
    #[error("the store is closed")]
    Closed,
}

/// How far a host of a fleet may be from its store.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long it goes on without word from the store; none = until each lease ends.
    pub staleness: Option<Duration>,
    /// How much its clock and the store's may run apart.
    pub skew: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            staleness: Some(Duration::from_mins(1)),
            skew: Duration::from_secs(5),
        }
    }
}

/// Why a store does not take a change. Nothing of its commit was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("a live client has this name")]
    ClientTaken,
    #[error("a live rollout has this id")]
    RolloutTaken,
    #[error("a live token has this digest or id")]
    TokenTaken,
    #[error("an operator has this name")]
    OperatorTaken,
    #[error("its client has ended")]
    ClientEnded,
    #[error("somebody changed it meanwhile")]
    Stale,
}

impl StoreError {
    /// Whether it may be there again later, as it was.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Slow | Self::Parted(_))
    }
}

macro_rules! each {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Store::Embedded($store) => $call,
            Store::Postgres($store) => $call,
        }
    };
}

impl Store {
    /// Everything live, as of one revision.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        each!(self, store => store.snapshot().await)
    }

    /// What changed behind `since`, as it stands.
    pub async fn news(&self, since: Revision) -> Result<News, StoreError> {
        each!(self, store => store.news(since).await)
    }

    /// Whether a `panic` is in force, which a start must know before it guards anything.
    pub async fn is_closed(&self) -> Result<bool, StoreError> {
        Ok(self.news(Revision(i64::MAX.cast_unsigned())).await?.closed)
    }

    /// Numbers that no client has had or will have.
    pub async fn reserve_client(&self) -> Result<ClientId, StoreError> {
        each!(self, store => store.reserve_client().await)
    }

    /// Numbers that no rollout has had or will have.
    pub async fn reserve_rollouts(&self, count: usize) -> Result<Vec<RolloutSerial>, StoreError> {
        each!(self, store => store.reserve_rollouts(count).await)
    }

    /// Writes all of it, durably, or nothing.
    pub async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        each!(self, store => store.commit(commit).await)
    }

    /// The newest lines that fit, oldest first.
    pub async fn audit(&self, filter: Filter) -> Result<Vec<Line>, StoreError> {
        each!(self, store => store.audit(filter).await)
    }

    /// Forgets what ended, and audit lines, from before that moment.
    pub async fn forget(&self, before: Stamp) -> Result<(), StoreError> {
        each!(self, store => store.forget(before).await)
    }

    /// When each token was last used, as far as it was written down.
    pub async fn uses(&self) -> Result<Vec<(TokenId, Stamp)>, StoreError> {
        each!(self, store => store.uses().await)
    }

    /// What others may have written down of these tokens; nothing where there are no others.
    pub async fn uses_elsewhere(
        &self,
        tokens: Vec<TokenId>,
    ) -> Result<Vec<(TokenId, Stamp)>, StoreError> {
        match self {
            Self::Embedded(_) => Ok(Vec::new()),
            Self::Postgres(store) => store.uses_of(tokens).await,
        }
    }

    /// Writes down when tokens were last used. No change: it has no revision and no audit line.
    pub async fn note_uses(&self, uses: Vec<(TokenId, Stamp)>) -> Result<(), StoreError> {
        each!(self, store => store.note_uses(uses).await)
    }

    /// Whether others may write to it too.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::Postgres(_) => true,
        }
    }

    /// Keeps an ear open for others' changes, for ever.
    pub async fn listen(&self) {
        match self {
            Self::Embedded(_) => std::future::pending().await,
            Self::Postgres(store) => store.listen().await,
        }
    }

    /// Resolves when there may be news of others: at once when they say so and [`Self::listen`]
    /// hears it, otherwise after a while.
    pub async fn rung(&self) {
        match self {
            Self::Embedded(_) => std::future::pending().await,
            Self::Postgres(store) => store.rung().await,
        }
    }

    /// How far a host may be from the store, in words and in time.
    pub fn bounds(&self) -> Bounds {
        match self {
            Self::Embedded(_) => Bounds {
                staleness: None,
                ..Bounds::default()
            },
            Self::Postgres(store) => store.bounds(),
        }
    }

    /// Whether this gate may provision; one with the role of a host only follows.
    pub fn may_write(&self) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Postgres(store) => store.may_write(),
        }
    }

    /// Why the store at hand is not believed, where it does not go on from what was followed.
    pub fn parting(&self) -> Option<Parting> {
        match self {
            Self::Embedded(_) => None,
            Self::Postgres(store) => store.parting(),
        }
    }

    /// Tokens of other systems that have ended: nothing in them tells them from a stranger's.
    pub async fn ended(&self) -> Result<Vec<Digest>, StoreError> {
        each!(self, store => store.ended().await)
    }

    /// Tells the others that this host lives, and the last change that it enforces.
    pub async fn tell(
        &self,
        host: &HostName,
        revision: Revision,
        keys: &[KeyId],
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::Postgres(store) => store.tell(host, revision, keys).await,
        }
    }

    /// Tells the others that this host serves no more.
    pub async fn leave(&self, host: &HostName) -> Result<(), StoreError> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::Postgres(store) => store.leave(host).await,
        }
    }

    /// What every host of the fleet has told; nothing without a fleet.
    pub async fn hosts(&self) -> Result<Vec<Told>, StoreError> {
        match self {
            Self::Embedded(_) => Ok(Vec::new()),
            Self::Postgres(store) => store.hosts().await,
        }
    }

    /// All of it as of one moment in a file of its own, gone when it is closed; none for a server,
    /// which has its own tools.
    pub async fn backup(&self) -> Result<Option<std::fs::File>, StoreError> {
        match self {
            Self::Embedded(store) => Ok(Some(store.backup_file().await?)),
            Self::Postgres(_) => Ok(None),
        }
    }

    /// Looks whether the store is whole.
    pub async fn check(&self) -> Result<(), StoreError> {
        each!(self, store => store.check().await)
    }
}

#[cfg(test)]
pub(crate) mod tests;
