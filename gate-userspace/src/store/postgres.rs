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

use std::{sync::Arc, time::Duration};

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
    /// Connects and brings the schema to this version; of several that start together one does it.
    ///
    /// # Errors
    /// When the server cannot be reached, or its schema is of a newer version.
    pub async fn open(url: &str, staleness: Option<Duration>) -> Result<Self, StoreError> {
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
        let store = Self {
            pool,
            config: Arc::new(config),
            bell: Arc::default(),
            staleness,
        };
        patiently(async { migrate::run(&mut store.client().await?).await }).await?;
        Ok(store)
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
            let id = self.client().await?.query_one(number, &[]).await?.get(0);
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
            let rows = self.client().await?.query(numbers, &[&count]).await?;
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
        Ok(self.pool.get().await?)
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(why: tokio_postgres::Error) -> Self {
        Self::Use(why.into())
    }
}

impl From<PoolError> for StoreError {
    fn from(why: PoolError) -> Self {
        Self::Use(why.into())
    }
}

async fn patiently<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.map_err(|_late| StoreError::Slow)?
}
