//! What is live, what changed, and what the audit trail says, each as of one revision.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::{IsolationLevel, Row};

use super::history::Mark;
use crate::{
    client::{self, Credential},
    clock::Stamp,
    ident::{Revision, RolloutSerial},
    operator::Operator,
    rollout::Rollout,
    secret::{Digest, KeyId},
    store::{
        BadRow, StoreError,
        change::{Entity, Filter, Line, News, Snapshot},
        row::{ClientRow, OperatorRow, RolloutRow, TokenRow, client_id, read_master},
        sql,
    },
};

/// Tokens by their owner's number.
#[derive(Default)]
struct Tokens {
    of_client: HashMap<i64, Vec<Credential>>,
    of_rollout: HashMap<i64, Vec<Credential>>,
}

/// Who made the change of that revision.
const MADE: &str = "SELECT at, host, actor FROM gate_changes WHERE revision = $1 LIMIT 1";

/// With the mark of its revision, as all that is read here.
pub(super) async fn snapshot(client: &mut Client) -> Result<(Snapshot, Option<Mark>), StoreError> {
    let view = view(client).await?;
    let (revision, closed, master) = state(&view.query_one(sql::STATE, &[]).await?)?;
    let mark = mark(&view, revision).await?;
    let mut tokens = Tokens::default();
    tokens.take(view.query(sql::TOKENS, &[]).await?)?;
    let clients = view.query(sql::CLIENTS, &[]).await?;
    let rollouts = view.query(sql::ROLLOUTS, &[]).await?;
    let operators = operators(&view).await?;
    let snapshot = Snapshot {
        revision,
        closed,
        master,
        operators,
        clients: tokens.clients(&clients)?,
        rollouts: tokens.rollouts(&rollouts)?,
    };
    Ok((snapshot, mark))
}

async fn mark(view: &Transaction<'_>, revision: Revision) -> Result<Option<Mark>, StoreError> {
    let made = view.prepare_cached(MADE).await?;
    let made = view.query_opt(&made, &[&revision.0.cast_signed()]).await?;
    let mark = made.map(|row| {
        Ok::<_, tokio_postgres::Error>(Mark {
            at: row.try_get(0)?,
            host: row.try_get(1)?,
            actor: row.try_get(2)?,
        })
    });
    Ok(mark.transpose()?)
}

pub(super) async fn news(
    client: &mut Client,
    since: Revision,
) -> Result<(News, Option<Mark>), StoreError> {
    let statement = client.prepare_cached(sql::STATE).await?;
    let (revision, closed, master) = state(&client.query_one(&statement, &[]).await?)?;
    let mut news = News {
        is_whole: true,
        revision,
        closed,
        master,
        operators: Vec::new(),
        clients: Vec::new(),
        rollouts: Vec::new(),
    };
    if revision <= since {
        return Ok((news, None));
    }
    let view = view(client).await?;
    // The state may have gone on before this view of it began.
    (news.revision, news.closed, news.master) = state(&view.query_one(&statement, &[]).await?)?;
    let mark = mark(&view, news.revision).await?;
    news.operators = operators(&view).await?;
    let next = since.0.cast_signed().saturating_add(1);
    let is_there = view.prepare_cached(sql::NEXT_IS_THERE).await?;
    news.is_whole = view.query_one(&is_there, &[&next]).await?.try_get(0)?;
    let (clients, rollouts) = changed(&view, since).await?;
    let now = live(&view, &clients, &rollouts).await?;
    let mut of_id: HashMap<_, _> = now
        .0
        .into_iter()
        .map(|client| (client.id, client))
        .collect();
    for id in clients.into_iter().filter_map(client_id) {
        news.clients.push((id, of_id.remove(&id)));
    }
    let now = now.1.into_iter().map(|rollout| (rollout.serial, rollout));
    let mut of_serial: HashMap<_, _> = now.collect();
    for serial in rollouts {
        let serial = RolloutSerial(serial.cast_unsigned());
        news.rollouts.push((serial, of_serial.remove(&serial)));
    }
    Ok((news, mark))
}

async fn operators(view: &Transaction<'_>) -> Result<Vec<Operator>, StoreError> {
    let statement = view.prepare_cached(sql::OPERATORS).await?;
    let mut found = Vec::new();
    for row in view.query(&statement, &[]).await? {
        let row = OperatorRow {
            name: row.try_get(0)?,
            token: row.try_get(1)?,
            digest: row.try_get(2)?,
            role: row.try_get(3)?,
            created: row.try_get(4)?,
        };
        found.push(row.read()?);
    }
    Ok(found)
}

/// The numbers of the clients and rollouts that changed.
async fn changed(
    view: &Transaction<'_>,
    since: Revision,
) -> Result<(Vec<i64>, Vec<i64>), StoreError> {
    let since = since.0.cast_signed();
    let statement = view.prepare_cached(sql::CHANGED_SINCE).await?;
    let (mut clients, mut rollouts) = (BTreeSet::new(), BTreeSet::new());
    for row in view.query(&statement, &[&since]).await? {
        let number = row.try_get(1)?;
        _ = match Entity::read(row.try_get(0)?, number)? {
            Entity::Client(_) => clients.insert(number),
            Entity::Rollout(_) => rollouts.insert(number),
            Entity::Gate => false,
        };
    }
    Ok((
        clients.into_iter().collect(),
        rollouts.into_iter().collect(),
    ))
}

/// Those of them that live, as they stand.
async fn live(
    view: &Transaction<'_>,
    clients: &Vec<i64>,
    rollouts: &Vec<i64>,
) -> Result<(Vec<client::Client>, Vec<Rollout>), StoreError> {
    let mut tokens = Tokens::default();
    let (mut client_rows, mut rollout_rows) = (Vec::new(), Vec::new());
    if !clients.is_empty() {
        let some = "WHERE rollout IS NULL AND client = ANY($1)";
        let of = view
            .prepare_cached(&format!("{} {some}", sql::TOKENS))
            .await?;
        tokens.take(view.query(&of, &[clients]).await?)?;
        let some = format!("{} AND id = ANY($1)", sql::CLIENTS);
        let some = view.prepare_cached(&some).await?;
        client_rows = view.query(&some, &[clients]).await?;
    }
    if !rollouts.is_empty() {
        let of = format!("{} WHERE rollout = ANY($1)", sql::TOKENS);
        let of = view.prepare_cached(&of).await?;
        tokens.take(view.query(&of, &[rollouts]).await?)?;
        let some = format!("{} AND serial = ANY($1)", sql::ROLLOUTS);
        let some = view.prepare_cached(&some).await?;
        rollout_rows = view.query(&some, &[rollouts]).await?;
    }
    Ok((
        tokens.clients(&client_rows)?,
        tokens.rollouts(&rollout_rows)?,
    ))
}

impl Tokens {
    fn take(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        for row in rows {
            let row = token(&row)?;
            let tokens = match row.rollout {
                Some(rollout) => self.of_rollout.entry(rollout).or_default(),
                None => self.of_client.entry(row.client).or_default(),
            };
            tokens.push(row.read()?);
        }
        Ok(())
    }

    fn clients(&mut self, rows: &[Row]) -> Result<Vec<client::Client>, StoreError> {
        let clients = rows.iter().map(|row| {
            let row = client_row(row)?;
            let tokens = self.of_client.remove(&row.id).unwrap_or_default();
            Ok(row.read(tokens)?)
        });
        clients.collect()
    }

    fn rollouts(&mut self, rows: &[Row]) -> Result<Vec<Rollout>, StoreError> {
        let rollouts = rows.iter().map(|row| {
            let row = rollout_row(row)?;
            let tokens = self.of_rollout.remove(&row.serial).unwrap_or_default();
            Ok(row.read(tokens)?)
        });
        rollouts.collect()
    }
}

pub(super) async fn audit(client: &Client, filter: &Filter) -> Result<Vec<Line>, StoreError> {
    let (after, limit) = (filter.after.0.cast_signed(), i64::from(filter.limit));
    let name = &filter.client;
    let rows = client
        .query(sql::AUDIT, &[&filter.since.0, &after, name, name, &limit])
        .await?;
    let lines = rows.iter().rev().map(|row| {
        let detail: String = row.try_get(7)?;
        Ok(Line {
            revision: Revision(row.try_get::<_, i64>(0)?.cast_unsigned()),
            at: Stamp(row.try_get(2)?),
            host: row.try_get(3)?,
            actor: row.try_get(4)?,
            kind: row.try_get(5)?,
            subject: row.try_get(6)?,
            detail: serde_json::from_str(&detail).unwrap_or(serde_json::Value::String(detail)),
        })
    });
    lines.collect()
}

/// All that is read in one of these is as of one moment.
async fn view(client: &mut Client) -> Result<Transaction<'_>, StoreError> {
    let view = client.build_transaction();
    let view = view.isolation_level(IsolationLevel::RepeatableRead);
    Ok(view.read_only(true).start().await?)
}

pub(super) async fn ended(client: &Client) -> Result<Vec<Digest>, StoreError> {
    let rows = client.query(sql::ENDED, &[]).await?;
    let digests = rows.iter().map(|row| {
        let digest: Vec<u8> = row.try_get(0)?;
        let digest = digest.try_into().map_err(|_why| BadRow {
            table: "ended",
            id: 0,
            column: "digest",
        })?;
        Ok(Digest::from_bytes(digest))
    });
    digests.collect()
}

fn state(row: &Row) -> Result<(Revision, bool, Option<KeyId>), StoreError> {
    let (revision, closed): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let master = read_master(row.try_get(2)?)?;
    Ok((Revision(revision.cast_unsigned()), closed != 0, master))
}

fn client_row(row: &Row) -> Result<ClientRow, tokio_postgres::Error> {
    Ok(ClientRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        enabled: row.try_get(2)?,
        reach: row.try_get(3)?,
        sources: row.try_get(4)?,
        ports: row.try_get(5)?,
        scope: row.try_get(6)?,
        upstream: row.try_get(7)?,
        key: row.try_get(8)?,
        rps: row.try_get(9)?,
        concurrency: row.try_get(10)?,
        created: row.try_get(11)?,
        expires: row.try_get(12)?,
    })
}

fn rollout_row(row: &Row) -> Result<RolloutRow, tokio_postgres::Error> {
    Ok(RolloutRow {
        serial: row.try_get(0)?,
        id: row.try_get(1)?,
        client: row.try_get(2)?,
        sources: row.try_get(3)?,
        scope: row.try_get(4)?,
        upstream: row.try_get(5)?,
        key: row.try_get(6)?,
        phase: row.try_get(7)?,
        created: row.try_get(8)?,
        expires: row.try_get(9)?,
    })
}

fn token(row: &Row) -> Result<TokenRow, tokio_postgres::Error> {
    Ok(TokenRow {
        id: row.try_get(0)?,
        digest: row.try_get(1)?,
        kind: row.try_get(2)?,
        client: row.try_get(3)?,
        rollout: row.try_get(4)?,
        key: row.try_get(5)?,
        created: row.try_get(6)?,
        expires: row.try_get(7)?,
        adopted: row.try_get(8)?,
    })
}
