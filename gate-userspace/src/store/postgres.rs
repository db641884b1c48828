//! The store of a fleet: one Postgres, many `gated`.
//!
//! The feed is the truth and `NOTIFY` only the wake-up: a notice that is lost costs one poll. All
//! writers take one row lock for their revision, so that revisions appear in order and a reader
//! that has seen one has seen all before it.

mod address;
mod dial;
mod history;
mod hosts;
mod listen;
mod migrate;
mod role;
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
    Client, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
    Timeouts,
};
use tokio_postgres::{Config, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Bounds, StoreError,
    change::{Commit, Filter, Line, News, Snapshot},
};
use crate::{
    clock::Stamp,
    ident::{ClientId, Revision, RolloutSerial},
    secret::Digest,
    tls,
};

use address::Address;
pub(super) use address::BadUrl;
use dial::Dialer;
pub use history::Parting;
use history::{History, Mark, goes_on};

/// The statements that give a role what a host of the fleet needs, and no more.
pub fn host_grants(role: &str) -> String {
    role::grants(role)
}

/// Longer than this, and the store counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a change may go unnoticed while nobody listens for notices.
const POLL: Duration = Duration::from_secs(1);
/// The same while somebody does: thousands of hosts that ask every second are a load of their own.
const SELDOM: Duration = Duration::from_secs(5);
/// A host asks at least this often before it would close itself.
const TIMES: u32 = 6;
/// The writer needs one, and who reads the audit trail must not keep it waiting.
const CONNECTIONS: usize = 3;

#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    config: Arc<Config>,
    dialer: Dialer,
    /// Whether notices come in.
    is_listening: Arc<AtomicBool>,
    is_migrated: Arc<AtomicBool>,
    /// With the role of a host: it reads, and tells how far it is.
    is_reader: Arc<AtomicBool>,
    bounds: Bounds,
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
    /// When the URL is none, or the roots that vouch for the server cannot be read.
    pub fn new(url: &str, staleness: Option<Duration>) -> Result<Self, StoreError> {
        let bounds = Bounds {
            staleness,
            ..Bounds::default()
        };
        Self::at(url, None, bounds)
    }

    pub(super) fn is_url(text: &str) -> Result<(), BadUrl> {
        Address::read(text).map(drop)
    }

    pub(super) fn has_password(url: &str) -> bool {
        Address::read(url).is_ok_and(|address| address.config.get_password().is_some())
    }

    /// As [`Self::new`]; a password of the URL itself is preferred.
    pub(super) fn at(
        url: &str,
        password: Option<&str>,
        bounds: Bounds,
    ) -> Result<Self, StoreError> {
        let address = Address::read(url).map_err(|why| StoreError::Use(why.into()))?;
        let mut config = address.config;
        config.connect_timeout(PATIENCE).application_name("gated");
        // A peer that vanished without a word is gone as soon as one that does not answer.
        config.tcp_user_timeout(PATIENCE).keepalives_idle(PATIENCE);
        if let Some(password) = password.filter(|_| config.get_password().is_none()) {
            config.password(password);
        }
        let tls = address.roots.map(|roots| tls::client(&roots, &[]));
        let tls = tls.transpose().map_err(|why| StoreError::Use(why.into()))?;
        let tls = tls.map(|config| MakeRustlsConnect::new((*config).clone()));
        let mut servers = address::each(&config);
        if servers.len() > 1 {
            for server in &mut servers {
                server.connect_timeout(dial::EACH);
            }
        }
        let history = Arc::new(History::default());
        let dialer = Dialer {
            servers: servers.into(),
            tls,
            bell: Arc::default(),
            history: Arc::clone(&history),
        };
        Ok(Self {
            pool: pool(&config, dialer.clone(), history)?,
            config: Arc::new(config),
            dialer,
            is_listening: Arc::default(),
            is_migrated: Arc::default(),
            is_reader: Arc::default(),
            bounds,
        })
    }

    pub(super) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let known = self.history().revision();
        // A million clients take longer than a change.
        let read = async {
            let (snapshot, mark) = read::snapshot(&mut self.client().await?).await?;
            goes_on(known, snapshot.revision)?;
            Ok((snapshot, mark))
        };
        let (snapshot, mark) = self.judged(read.await)?;
        self.history().learn(snapshot.revision, mark);
        Ok(snapshot)
    }

    pub(super) async fn news(&self, since: Revision) -> Result<News, StoreError> {
        let known = self.history().revision();
        let read = self.patiently(async {
            let (news, mark) = read::news(&mut self.client().await?, since).await?;
            goes_on(known, news.revision)?;
            Ok((news, mark))
        });
        let (news, mark) = read.await?;
        self.history().is_right();
        self.history().learn(news.revision, mark);
        Ok(news)
    }

    pub(super) async fn reserve_client(&self) -> Result<ClientId, StoreError> {
        let number = "SELECT nextval('gate_client_ids')";
        self.patiently(async {
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
        self.patiently(async {
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
        let known = self.history().revision();
        let written = self
            .patiently(async { write::commit(&mut self.client().await?, &commit, known).await });
        let revision = written.await?;
        self.history().learn(revision, Some(Mark::of(&commit)));
        Ok(revision)
    }

    pub(super) async fn audit(&self, filter: Filter) -> Result<Vec<Line>, StoreError> {
        self.patiently(async { read::audit(&self.client().await?, &filter).await })
            .await
    }

    pub(super) async fn forget(&self, before: Stamp) -> Result<(), StoreError> {
        write::forget(&mut self.client().await?, before).await
    }

    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.patiently(async { migrate::check(&self.client().await?).await })
            .await
    }

    pub(super) async fn ended(&self) -> Result<Vec<Digest>, StoreError> {
        self.patiently(async { read::ended(&self.client().await?).await })
            .await
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// As far as is known: before the first word of the server it may.
    pub(super) fn may_write(&self) -> bool {
        !self.is_reader.load(Ordering::Acquire)
    }

    pub(super) async fn rung(&self) {
        // Too long without a ring is as good as one.
        let poll = if self.is_listening.load(Ordering::Acquire) {
            let often = self.bounds.staleness.map_or(SELDOM, |bound| bound / TIMES);
            often.clamp(POLL, SELDOM)
        } else {
            POLL
        };
        _ = tokio::time::timeout(poll, self.dialer.bell.notified()).await;
    }

    /// A connection to whatever is there, not brought to this version.
    pub(super) async fn visit(&self) -> Result<Client, StoreError> {
        Ok(self.pool.get().await?)
    }

    pub(super) async fn client(&self) -> Result<Client, StoreError> {
        let got = self.pool.get().await;
        let mut client = got.map_err(|why| self.history().explain(why))?;
        if !self.is_migrated.load(Ordering::Acquire) {
            patiently(migrate::run(&mut client)).await?;
            let is_reader = patiently(role::is_reader(&client)).await?;
            self.is_reader.store(is_reader, Ordering::Release);
            self.is_migrated.store(true, Ordering::Release);
        }
        Ok(client)
    }

    /// Why the server at hand is not believed; none = it is.
    pub(super) fn parting(&self) -> Option<Parting> {
        self.history().parting()
    }

    fn history(&self) -> &History {
        &self.dialer.history
    }

    async fn patiently<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let done = patiently(work).await;
        if matches!(done, Err(StoreError::Slow)) {
            self.dialer.look().await;
        }
        self.judged(done)
    }

    /// What leads to a server that is none any more is not used again.
    fn judged<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        match &done {
            Err(StoreError::Parted(parting)) => self.history().part(*parting),
            Err(StoreError::Away(why)) if is_fenced(&**why) => self.history().suspect(),
            Ok(_) | Err(_) => {}
        }
        done
    }
}

fn pool(config: &Config, dialer: Dialer, history: Arc<History>) -> Result<Pool, StoreError> {
    let manager = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_connect(config.clone(), dialer, manager);
    let met = Arc::clone(&history);
    let pool = Pool::builder(manager)
        .max_size(CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(PATIENCE),
            create: Some(PATIENCE),
            recycle: Some(PATIENCE),
        })
        .post_create(Hook::async_fn(move |client, _| {
            let history = Arc::clone(&met);
            Box::pin(async move { history.meet(client).await })
        }))
        .pre_recycle(Hook::sync_fn(move |_, metrics| {
            if history.is_older(metrics.created) {
                return Err(HookError::message("it may lead to another server"));
            }
            Ok(())
        }));
    pool.build().map_err(|why| StoreError::Use(why.into()))
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(why: tokio_postgres::Error) -> Self {
        if why.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            Self::Forbidden(why.into())
        } else if is_away(&why) {
            Self::Away(why.into())
        } else {
            Self::Use(why.into())
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(why: PoolError) -> Self {
        match why {
            PoolError::Backend(why) | PoolError::PostCreateHook(HookError::Backend(why)) => {
                why.into()
            }
            PoolError::Timeout(_) => Self::Slow,
            PoolError::Closed => Self::Closed,
            why @ (PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                Self::Use(why.into())
            }
        }
    }
}

/// Without a code the connection broke. Of the codes, class 08 is about connections, 53 about
/// resources, and 57 about a server that stops or starts. One that takes no writes is a standby,
/// or fenced.
fn is_away(why: &tokio_postgres::Error) -> bool {
    let is_read_only = why.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
    let class = why.code().and_then(|code| code.code().get(..2));
    is_read_only || class.is_none_or(|class| ["08", "53", "57"].contains(&class))
}

/// What took writes when it was connected to and does no more: a new connection may lead elsewhere.
fn is_fenced(why: &(dyn std::error::Error + 'static)) -> bool {
    let why = why.downcast_ref::<tokio_postgres::Error>();
    why.is_some_and(|why| why.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION))
}

async fn patiently<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.map_err(|_late| StoreError::Slow)?
}
