//! The store in one file: `SQLite` on a thread of its own, behind a queue.
//!
//! One connection, held exclusively: a second `gated` on the same file is refused, not merged.
//! `synchronous = FULL` because an answered change must survive a power cut. The file is 0600:
//! it holds no secret in the clear, but who may write it may let himself in.

mod read;
mod write;
mod uses;

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use rusqlite::{Connection, TransactionBehavior, backup::Backup};
use tokio::sync::oneshot;

use super::{
    StoreError,
    change::{Commit, Filter, Line, News, Snapshot},
};
use crate::{
    clock::Stamp,
    ident::{ClientId, Revision, RolloutSerial},
    secret::Digest,
};

/// In order; `user_version` counts how many have run.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema/1.embedded.sql"),
    include_str!("schema/2.embedded.sql"),
    include_str!("schema/3.embedded.sql"),
    include_str!("schema/4.embedded.sql"),
];

type Job = Box<dyn FnOnce(&mut Db) + Send>;

/// A handle; the thread ends with the last one.
#[derive(Clone, Debug)]
pub struct Embedded {
    jobs: mpsc::Sender<Job>,
    path: Arc<Path>,
}

/// What the thread owns.
struct Db {
    connection: Connection,
    /// Handed out but perhaps not yet in a row; only rows outlive the process.
    last_client: i64,
    last_rollout: i64,
    /// A test's disk that takes no more.
    #[cfg(test)]
    is_full: bool,
}

impl Embedded {
    /// Opens the store, made if there is none, and brings it to this version.
    ///
    /// # Errors
    /// When it is damaged, used by another `gated`, or of a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let here: Arc<Path> = path.into();
        let path = path.to_owned();
        let (jobs, queue) = mpsc::channel::<Job>();
        let (ready, opened) = oneshot::channel();
        let work = move || match Db::open(&path) {
            Ok(mut db) => {
                // Nobody waits any more: then the queue is closed too.
                _ = ready.send(Ok(()));
                for job in queue {
                    job(&mut db);
                }
            }
            Err(why) => _ = ready.send(Err(why)),
        };
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(work)
            .map_err(|why| StoreError::Use(why.into()))?;
        opened.await.map_err(|_gone| StoreError::Closed)??;
        Ok(Self { jobs, path: here })
    }

    pub(super) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.ask(|db| read::snapshot(&mut db.connection)).await
    }

    pub(super) async fn news(&self, since: Revision) -> Result<News, StoreError> {
        self.ask(move |db| read::news(&mut db.connection, since))
            .await
    }

    pub(super) async fn reserve_client(&self) -> Result<ClientId, StoreError> {
        self.ask(|db| {
            db.last_client += 1;
            super::row::client_id(db.last_client)
                .ok_or_else(|| StoreError::Damaged("no client number is left".to_owned()))
        })
        .await
    }

    pub(super) async fn reserve_rollouts(
        &self,
        count: usize,
    ) -> Result<Vec<RolloutSerial>, StoreError> {
        self.ask(move |db| {
            let next = || {
                db.last_rollout += 1;
                RolloutSerial(db.last_rollout.cast_unsigned())
            };
            Ok(std::iter::repeat_with(next).take(count).collect())
        })
        .await
    }

    pub(super) async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        self.ask(move |db| {
            #[cfg(test)]
            if db.is_full {
                return Err(StoreError::Damaged("a test's disk is full".to_owned()));
            }
            write::commit(&mut db.connection, &commit)
        })
        .await
    }

    pub(super) async fn audit(&self, filter: Filter) -> Result<Vec<Line>, StoreError> {
        self.ask(move |db| read::audit(&db.connection, &filter))
            .await
    }

    pub(super) async fn forget(&self, before: Stamp) -> Result<(), StoreError> {
        self.ask(move |db| write::forget(&mut db.connection, before))
            .await
    }

    pub(super) async fn ended(&self) -> Result<Vec<Digest>, StoreError> {
        self.ask(|db| read::ended(&db.connection)).await
    }

    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.ask(|db| check(&db.connection)).await
    }

    /// Copies the whole store to a new file while it is in use.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.to_owned();
        self.ask(move |db| {
            private_file(&to).map_err(|why| StoreError::Use(why.into()))?;
            let mut copy = Connection::open(&to)?;
            Backup::new(&db.connection, &mut copy)?.step(-1)?;
            Ok(())
        })
        .await
    }

    /// A copy beside the store that nobody else sees: it is gone when it is closed.
    pub(super) async fn backup_file(&self) -> Result<fs::File, StoreError> {
        let failed = |why: io::Error| StoreError::Use(why.into());
        let mut beside = self.path.as_os_str().to_owned();
        beside.push(".backup");
        let beside = Path::new(&beside);
        // Left behind by a gate that was killed here.
        _ = fs::remove_file(beside);
        self.backup(beside).await?;
        let file = fs::File::open(beside).map_err(failed)?;
        fs::remove_file(beside).map_err(failed)?;
        Ok(file)
    }

    #[cfg(test)]
    pub(crate) async fn set_full(&self, is_full: bool) {
        let set = move |db: &mut Db| {
            db.is_full = is_full;
            Ok(())
        };
        self.ask(set).await.expect("the store's thread lives");
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |db| _ = answer.send(job(db)));
        self.jobs.send(job).map_err(|_gone| StoreError::Closed)?;
        answered.await.map_err(|_gone| StoreError::Closed)?
    }
}

impl Db {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |cause: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
            path: path.to_owned(),
            cause,
        };
        private_file(path).map_err(|why| failed(why.into()))?;
        let mut connection = Connection::open(path).map_err(|why| failed(why.into()))?;
        prepare(&mut connection).map_err(|why| match why {
            StoreError::Use(cause) if is_locked(&*cause) => StoreError::Locked {
                path: path.to_owned(),
            },
            StoreError::Use(cause) => failed(cause),
            other @ (StoreError::Open { .. }
            | StoreError::Locked { .. }
            | StoreError::Newer { .. }
            | StoreError::Damaged(_)
            | StoreError::Row(_)
            | StoreError::Rejected { .. }
            | StoreError::Away(_)
            | StoreError::Forbidden(_)
            | StoreError::Slow
            | StoreError::Parted(_)
            | StoreError::Closed) => other,
        })?;
        let last = |table: &str| {
            connection.query_row(
                "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = $1",
                [table],
                |row| row.get(0),
            )
        };
        Ok(Self {
            last_client: last("gate_clients")?,
            last_rollout: last("gate_rollouts")?,
            connection,
            #[cfg(test)]
            is_full: false,
        })
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(why: rusqlite::Error) -> Self {
        Self::Use(why.into())
    }
}

/// Pages held in memory, in KiB. Digests are random, so that ten thousand new tokens touch most of
/// their index: with the 2 MiB that are usual half of the time went into reading pages again.
const CACHE: i64 = 64 * 1024;

/// Pages in the log before they are brought home; the usual 1000 are less than one bulk call.
const CHECKPOINT: i64 = 8 * 1024;

fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -CACHE)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    check(connection)?;
    migrate(connection)
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Damaged(verdict))
    }
}

/// Whether a file is whole and of this version.
pub(super) fn check_copy(connection: &Connection) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).expect("a handful fits");
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        found if found == known => check(connection),
        found if found > known => Err(StoreError::Newer { found, known }),
        found => Err(StoreError::Damaged(format!(
            "it is of version {found}, not {known}"
        ))),
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).expect("a handful fits");
    let step = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    let found: i64 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let done = usize::try_from(found)
        .map_err(|_why| StoreError::Damaged(format!("its version is {found}")))?;
    for migration in MIGRATIONS.iter().skip(done) {
        step.execute_batch(migration)?;
    }
    step.pragma_update(None, "user_version", known)?;
    step.commit()?;
    Ok(())
}

/// Makes the file and its folder for this user alone. A folder that is there stays as it is.
fn private_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

fn is_locked(why: &(dyn std::error::Error + 'static)) -> bool {
    let why = why.downcast_ref::<rusqlite::Error>();
    why.and_then(rusqlite::Error::sqlite_error_code) == Some(rusqlite::ErrorCode::DatabaseBusy)
}

#[cfg(test)]
mod tests;
