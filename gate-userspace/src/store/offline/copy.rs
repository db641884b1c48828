//! Moves an embedded store to a server: every row as it is, in one transaction, counted.
//!
//! The numbers of clients, rollouts and revisions stay, so the trail goes on where it was. A server
//! that already remembers something else is left alone.

use std::path::Path;

use deadpool_postgres::Transaction;
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use tokio_postgres::{
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::{super::embedded, StoreError, StorePlace, server};

/// What is moved, and how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    pub table: &'static str,
    pub rows: u64,
    pub of: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    pub revision: i64,
    pub rows: u64,
    /// It was all there: an earlier run did this.
    pub was_there: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("read the backup")]
    Backup(#[from] rusqlite::Error),
    #[error("the target is a file, not a server")]
    NoServer,
    #[error("the target is not empty: it is at revision {revision} and holds {rows} rows")]
    NotEmpty { revision: i64, rows: i64 },
    #[error("table `{table}` has {there} rows there and {here} here; nothing was kept")]
    Miscounted {
        table: &'static str,
        here: u64,
        there: i64,
    },
}

impl From<tokio_postgres::Error> for CopyError {
    fn from(why: tokio_postgres::Error) -> Self {
        Self::Store(why.into())
    }
}

struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Type)],
}

const TABLES: [Table; 7] = [
    Table {
        name: "gate_clients",
        columns: &[
            ("id", Type::INT8),
            ("name", Type::TEXT),
            ("enabled", Type::INT8),
            ("reach", Type::TEXT),
            ("sources", Type::TEXT),
            ("ports", Type::TEXT),
            ("scope", Type::TEXT),
            ("upstream", Type::TEXT),
            ("key", Type::TEXT),
            ("rps", Type::INT8),
            ("concurrency", Type::INT8),
            ("created", Type::INT8),
            ("expires", Type::INT8),
            ("ended", Type::INT8),
            ("revision", Type::INT8),
        ],
    },
    Table {
        name: "gate_rollouts",
        columns: &[
            ("serial", Type::INT8),
            ("id", Type::TEXT),
            ("client", Type::INT8),
            ("sources", Type::TEXT),
            ("scope", Type::TEXT),
            ("upstream", Type::TEXT),
            ("key", Type::TEXT),
            ("phase", Type::TEXT),
            ("created", Type::INT8),
            ("expires", Type::INT8),
            ("ended", Type::INT8),
            ("revision", Type::INT8),
        ],
    },
    Table {
        name: "gate_tokens",
        columns: &[
            ("id", Type::INT8),
            ("digest", Type::BYTEA),
            ("kind", Type::TEXT),
            ("client", Type::INT8),
            ("rollout", Type::INT8),
            ("key", Type::TEXT),
            ("created", Type::INT8),
            ("expires", Type::INT8),
            ("adopted", Type::INT8),
        ],
    },
    Table {
        name: "gate_changes",
        columns: &[
            ("revision", Type::INT8),
            ("seq", Type::INT8),
            ("at", Type::INT8),
            ("host", Type::TEXT),
            ("actor", Type::TEXT),
            ("kind", Type::TEXT),
            ("entity", Type::TEXT),
            ("entity_id", Type::INT8),
            ("subject", Type::TEXT),
            ("client", Type::TEXT),
            ("detail", Type::TEXT),
        ],
    },
    Table {
        name: "gate_uses",
        columns: &[("token", Type::INT8), ("used", Type::INT8)],
    },
    Table {
        name: "gate_operators",
        columns: &[
            ("name", Type::TEXT),
            ("token", Type::INT8),
            ("digest", Type::BYTEA),
            ("role", Type::TEXT),
            ("created", Type::INT8),
        ],
    },
    Table {
        name: "gate_ended",
        columns: &[("digest", Type::BYTEA), ("ended", Type::INT8)],
    },
];

/// Also makes all others wait who would write.
const TARGET: &str = "SELECT revision FROM gate_state WHERE id = 1 FOR UPDATE";

const STATE: &str = "SELECT revision, closed, master FROM gate_state WHERE id = 1";

const SET_STATE: &str =
    "UPDATE gate_state SET revision = $1, closed = $2, master = $3 WHERE id = 1";

/// # Errors
/// When the backup or the server cannot be used, or the server remembers something else.
pub async fn copy(
    backup: &Path,
    to: &StorePlace,
    tell: &mut dyn FnMut(Moved),
) -> Result<Copied, CopyError> {
    let from = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    embedded::check_copy(&from)?;
    let state = from.query_row(STATE, [], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, Option<String>>(2)?,
        ))
    });
    let (revision, closed, master) = state?;
    let server = server(to)?.ok_or(CopyError::NoServer)?;
    let mut client = server.client().await?;
    let step = client.transaction().await.map_err(StoreError::from)?;
    let found: i64 = step.query_one(TARGET, &[]).await?.get(0);
    let mut here = Vec::new();
    for table in &TABLES {
        let text = format!("SELECT count(*) FROM {}", table.name);
        let count: i64 = from.query_row(&text, [], |row| row.get(0))?;
        here.push((table, count));
    }
    let there = counts(&step).await?;
    let rows: u64 = here.iter().map(|(_, count)| count.unsigned_abs()).sum();
    if found != 0 || there.iter().sum::<i64>() != 0 {
        // What tells when tokens were used goes on changing.
        let same = here.iter().zip(&there);
        let mut same = same.filter(|((table, _), _)| table.name != "gate_uses");
        if found == revision && same.all(|((_, here), there)| here == there) {
            return Ok(Copied {
                revision,
                rows,
                was_there: true,
            });
        }
        let rows = there.iter().sum();
        return Err(CopyError::NotEmpty {
            revision: found,
            rows,
        });
    }
    for (table, of) in &here {
        fill(&from, &step, table, of.unsigned_abs(), tell).await?;
    }
    for ((table, here), there) in here.iter().zip(counts(&step).await?) {
        if *here != there {
            return Err(CopyError::Miscounted {
                table: table.name,
                here: here.unsigned_abs(),
                there,
            });
        }
    }
    for (table, sequence) in [
        ("gate_clients", "gate_client_ids"),
        ("gate_rollouts", "gate_rollout_ids"),
    ] {
        go_on_from(&from, &step, table, sequence).await?;
    }
    step.execute(SET_STATE, &[&revision, &closed, &master])
        .await?;
    step.commit().await?;
    Ok(Copied {
        revision,
        rows,
        was_there: false,
    })
}

async fn counts(step: &Transaction<'_>) -> Result<Vec<i64>, CopyError> {
    let mut counts = Vec::new();
    for table in &TABLES {
        let text = format!("SELECT count(*) FROM {}", table.name);
        counts.push(step.query_one(&text, &[]).await?.get(0));
    }
    Ok(counts)
}

async fn fill(
    from: &Connection,
    step: &Transaction<'_>,
    table: &Table,
    of: u64,
    tell: &mut dyn FnMut(Moved),
) -> Result<(), CopyError> {
    /// Rows between two words about how far it is.
    const OFTEN: u64 = 1000;
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let types: Vec<Type> = table.columns.iter().map(|(_, kind)| kind.clone()).collect();
    let text = format!("COPY {} ({names}) FROM STDIN BINARY", table.name);
    let sink = step.copy_in(&text).await?;
    let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
    let mut read = from.prepare(&format!("SELECT {names} FROM {}", table.name))?;
    let mut rows = read.query([])?;
    let mut done = 0;
    while let Some(row) = rows.next()? {
        let mut values: Vec<Box<dyn ToSql + Sync>> = Vec::new();
        for (index, kind) in types.iter().enumerate() {
            values.push(value(row.get_ref(index)?, kind)?);
        }
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value).collect();
        writer.as_mut().write(&values).await?;
        done += 1;
        if done % OFTEN == 0 {
            tell(Moved {
                table: table.name,
                rows: done,
                of,
            });
        }
    }
    writer.finish().await?;
    tell(Moved {
        table: table.name,
        rows: done,
        of,
    });
    Ok(())
}

fn value(found: ValueRef<'_>, kind: &Type) -> Result<Box<dyn ToSql + Sync>, rusqlite::Error> {
    Ok(match found {
        ValueRef::Null if *kind == Type::INT8 => Box::new(None::<i64>),
        ValueRef::Null if *kind == Type::TEXT => Box::new(None::<String>),
        ValueRef::Null => Box::new(None::<Vec<u8>>),
        ValueRef::Integer(number) => Box::new(number),
        ValueRef::Text(text) => Box::new(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Box::new(bytes.to_vec()),
        ValueRef::Real(_) => return Err(rusqlite::Error::InvalidQuery),
    })
}

/// A number that was given once is not given again.
async fn go_on_from(
    from: &Connection,
    step: &Transaction<'_>,
    table: &str,
    sequence: &str,
) -> Result<(), CopyError> {
    let text = "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = $1";
    let last: i64 = from.query_row(text, [table], |row| row.get(0))?;
    if last > 0 {
        let text = format!("SELECT setval('{sequence}', $1)");
        step.query_one(&text, &[&last]).await?;
    }
    Ok(())
}
