//! What is live, what changed, and what the audit trail says, each as of one revision.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::{IsolationLevel, Row};

use crate::{
    client::Credential,
    clock::Stamp,
    ident::Revision,
    store::{
        StoreError,
        change::{Entity, Filter, Line, News, Snapshot},
        row::{ClientRow, RolloutRow, TokenRow},
        sql,
    },
};

pub(super) async fn snapshot(client: &mut Client) -> Result<Snapshot, StoreError> {
    let view = view(client).await?;
    let (revision, closed) = state(&view).await?;
    let mut of_client: HashMap<i64, Vec<Credential>> = HashMap::new();
    let mut of_rollout: HashMap<i64, Vec<Credential>> = HashMap::new();
    for row in view.query(sql::TOKENS, &[]).await? {
        let row = token(&row)?;
        let tokens = match row.rollout {
            Some(rollout) => of_rollout.entry(rollout).or_default(),
            None => of_client.entry(row.client).or_default(),
        };
        tokens.push(row.read()?);
    }
    let mut snapshot = Snapshot {
        revision,
        closed,
        clients: Vec::new(),
        rollouts: Vec::new(),
    };
    for row in view.query(sql::CLIENTS, &[]).await? {
        let row = client_row(&row)?;
        let tokens = of_client.remove(&row.id).unwrap_or_default();
        snapshot.clients.push(row.read(tokens)?);
    }
    for row in view.query(sql::ROLLOUTS, &[]).await? {
        let row = rollout_row(&row)?;
        let tokens = of_rollout.remove(&row.serial).unwrap_or_default();
        snapshot.rollouts.push(row.read(tokens)?);
    }
    Ok(snapshot)
}

pub(super) async fn news(client: &mut Client, since: Revision) -> Result<News, StoreError> {
    let view = view(client).await?;
    let (revision, closed) = state(&view).await?;
    let mut news = News {
        revision,
        closed,
        clients: Vec::new(),
        rollouts: Vec::new(),
    };
    if revision <= since {
        return Ok(news);
    }
    let since = since.0.cast_signed();
    let changed = view.query(sql::CHANGED_SINCE, &[&since]).await?;
    let changed: Result<BTreeSet<Entity>, StoreError> = changed
        .iter()
        .map(|row| Ok(Entity::read(row.try_get(0)?, row.try_get(1)?)?))
        .collect();
    for entity in changed? {
        let (_, number) = entity.columns();
        match entity {
            Entity::Client(id) => {
                let tokens = tokens(&view, sql::TOKENS_OF_CLIENT, number).await?;
                let row = view.query_opt(sql::CLIENT, &[&number]).await?;
                let row = row.map(|row| client_row(&row)).transpose()?;
                let now = row.map(|row| row.read(tokens)).transpose()?;
                news.clients.push((id, now));
            }
            Entity::Rollout(serial) => {
                let tokens = tokens(&view, sql::TOKENS_OF_ROLLOUT, number).await?;
                let row = view.query_opt(sql::ROLLOUT, &[&number]).await?;
                let row = row.map(|row| rollout_row(&row)).transpose()?;
                let now = row.map(|row| row.read(tokens)).transpose()?;
                news.rollouts.push((serial, now));
            }
            Entity::Gate => {}
        }
    }
    Ok(news)
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

async fn state(view: &Transaction<'_>) -> Result<(Revision, bool), StoreError> {
    let row = view.query_one(sql::STATE, &[]).await?;
    let (revision, closed): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok((Revision(revision.cast_unsigned()), closed != 0))
}

async fn tokens(
    view: &Transaction<'_>,
    statement: &str,
    owner: i64,
) -> Result<Vec<Credential>, StoreError> {
    let rows = view.query(statement, &[&owner]).await?;
    let tokens = rows.iter().map(|row| Ok(token(row)?.read()?));
    tokens.collect()
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
    })
}
