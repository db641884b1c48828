//! The store of a fleet: one Postgres, many `gated`.
//!
//! The feed is the truth and `NOTIFY` only the wake-up: a notice that is lost costs one poll. All
//! writers take one row lock for their revision, so that revisions appear in order and a reader
//! that has seen one has seen all before it.

mod hosts;
mod listen;
mod migrate;
mod read;
mod write;
mod uses;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    Client, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use tokio::sync::Notify;
use tokio_postgres::{Config, NoTls};

use super::{
    StoreError,
    change::{Commit, Filter, Line, News, Snapshot},
};
use crate::{
    clock::Stamp,
    ident::{ClientId, Revision, RolloutSerial},
};

/// Longer than this, and the store counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a change may go unnoticed when the notice of it is lost.
const POLL: Duration = Duration::from_secs(1);
/// The writer needs one, and who reads the audit trail must not keep it waiting.
const CONNECTIONS: usize = 3;

#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    config: Arc<Config>,
    bell: Arc<Notify>,
    is_migrated: Arc<AtomicBool>,
    staleness: Option<Duration>,
}

/// Never the password.
impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Postgres")
            .field(&self.config.get_hosts())
            .field(&self.config.get_dbname())
            .finish()
    }
}

impl Postgres {
    /// `staleness` is how long this host goes on without word from the store; none = until each
    /// lease ends.
    ///
    /// Does not connect yet. The first use brings the schema to this version; of several that
    /// start together one does it.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, staleness: Option<Duration>) -> Result<Self, StoreError> {
        let mut config: Config = url.parse()?;
        config.connect_timeout(PATIENCE).application_name("gated");
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(config.clone(), NoTls, manager);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(PATIENCE),
                create: Some(PATIENCE),
                recycle: Some(PATIENCE),
            })
            .build()
            .map_err(|why| StoreError::Use(why.into()))?;
        Ok(Self {
            pool,
            config: Arc::new(config),
            bell: Arc::default(),
            is_migrated: Arc::default(),
            staleness,
        })
    }

    pub(super) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        // A million clients take longer than a change.
        read::snapshot(&mut self.client().await?).await
    }

    pub(super) async fn news(&self, since: Revision) -> Result<News, StoreError> {
        patiently(async { read::news(&mut self.client().await?, since).await }).await
    }

    pub(super) async fn reserve_client(&self) -> Result<ClientId, StoreError> {
        let number = "SELECT nextval('gate_client_ids')";
        patiently(async {
            let client = self.client().await?;
            let number = client.prepare_cached(number).await?;
            let id = client.query_one(&number, &[]).await?.get(0);
            super::row::client_id(id)
                .ok_or_else(|| StoreError::Damaged("no client number is left".to_owned()))
        })
        .await
    }

    pub(super) async fn reserve_rollouts(
        &self,
        count: usize,
    ) -> Result<Vec<RolloutSerial>, StoreError> {
        let numbers = "SELECT nextval('gate_rollout_ids') FROM generate_series(1, $1::BIGINT)";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        patiently(async {
            let client = self.client().await?;
            let numbers = client.prepare_cached(numbers).await?;
            let rows = client.query(&numbers, &[&count]).await?;
            let serials = rows.iter().map(|row| row.get::<_, i64>(0));
            Ok(serials
                .map(|serial| RolloutSerial(serial.cast_unsigned()))
                .collect())
        })
        .await
    }

    pub(super) async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        patiently(async { write::commit(&mut self.client().await?, &commit).await }).await
    }

    pub(super) async fn audit(&self, filter: Filter) -> Result<Vec<Line>, StoreError> {
        patiently(async { read::audit(&self.client().await?, &filter).await }).await
    }

    pub(super) async fn forget(&self, before: Stamp) -> Result<(), StoreError> {
        write::forget(&mut self.client().await?, before).await
    }

    pub(super) async fn check(&self) -> Result<(), StoreError> {
        patiently(async { migrate::check(&self.client().await?).await }).await
    }

    pub(super) fn staleness(&self) -> Option<Duration> {
        self.staleness
    }

    pub(super) async fn rung(&self) {
        // Too long without a ring is as good as one.
        _ = tokio::time::timeout(POLL, self.bell.notified()).await;
    }

    async fn client(&self) -> Result<Client, StoreError> {
        let mut client = self.pool.get().await?;
        if !self.is_migrated.load(Ordering::Acquire) {
            patiently(migrate::run(&mut client)).await?;
            self.is_migrated.store(true, Ordering::Release);
        }
        Ok(client)
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(why: tokio_postgres::Error) -> Self {
        if is_away(&why) {
            Self::Away(why.into())
        } else {
            Self::Use(why.into())
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(why: PoolError) -> Self {
        match why {
            PoolError::Backend(why) => why.into(),
            PoolError::Timeout(_) => Self::Slow,
            PoolError::Closed => Self::Closed,
            why @ (PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Self::Use(why.into())
            }
        }
    }
}

/// Without a code the connection broke. Of the codes, class 08 is about connections, 53 about
/// resources, and 57 about a server that stops or starts.
fn is_away(why: &tokio_postgres::Error) -> bool {
    let class = why.code().and_then(|code| code.code().get(..2));
    class.is_none_or(|class| ["08", "53", "57"].contains(&class))
}

async fn patiently<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.map_err(|_late| StoreError::Slow)?
}
