//! What is live, what changed, and what the audit trail says, each as of one revision.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    client::Credential,
    clock::Stamp,
    ident::Revision,
    operator::Operator,
    secret::{Digest, KeyId},
    store::{
        BadRow, StoreError,
        change::{Entity, Filter, Line, News, Snapshot},
        row::{ClientRow, OperatorRow, RolloutRow, TokenRow, read_master},
        sql,
    },
};

/// By owner's number.
type Tokens = HashMap<i64, Vec<Credential>, foldhash::fast::RandomState>;

pub(super) fn snapshot(connection: &mut Connection) -> Result<Snapshot, StoreError> {
    let view = connection.transaction()?;
    let (revision, closed, master) = state(&view)?;
    let (mut of_client, mut of_rollout) = (Tokens::default(), Tokens::default());
    each(&view, sql::TOKENS, token, |row| {
        let tokens = match row.rollout {
            Some(rollout) => of_rollout.entry(rollout).or_default(),
            None => of_client.entry(row.client).or_default(),
        };
        // Almost always the only one.
        tokens.reserve_exact(1);
        tokens.push(row.read()?);
        Ok(())
    })?;
    let (mut clients, mut rollouts) = (Vec::new(), Vec::new());
    each(&view, sql::CLIENTS, client, |row| {
        let tokens = of_client.remove(&row.id).unwrap_or_default();
        clients.push(row.read(tokens)?);
        Ok(())
    })?;
    each(&view, sql::ROLLOUTS, rollout, |row| {
        let tokens = of_rollout.remove(&row.serial).unwrap_or_default();
        rollouts.push(row.read(tokens)?);
        Ok(())
    })?;
    Ok(Snapshot {
        revision,
        closed,
        master,
        operators: operators(&view)?,
        clients,
        rollouts,
    })
}

pub(super) fn news(connection: &mut Connection, since: Revision) -> Result<News, StoreError> {
    let view = connection.transaction()?;
    let (revision, closed, master) = state(&view)?;
    let mut news = News {
        // Nobody else writes to a file, so nobody follows it from far behind.
        is_whole: true,
        revision,
        closed,
        master,
        operators: operators(&view)?,
        clients: Vec::new(),
        rollouts: Vec::new(),
    };
    let changed = all(&view, sql::CHANGED_SINCE, &[since.0.cast_signed()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })?;
    let changed: Result<BTreeSet<Entity>, BadRow> = changed
        .into_iter()
        .map(|(entity, id)| Entity::read(&entity, id))
        .collect();
    for entity in changed? {
        let (_, number) = entity.columns();
        match entity {
            Entity::Client(id) => {
                let row = one(&view, sql::CLIENT, number, client)?;
                let tokens = tokens(&view, sql::TOKENS_OF_CLIENT, number)?;
                let now = row.map(|row| row.read(tokens)).transpose()?;
                news.clients.push((id, now));
            }
            Entity::Rollout(serial) => {
                let row = one(&view, sql::ROLLOUT, number, rollout)?;
                let tokens = tokens(&view, sql::TOKENS_OF_ROLLOUT, number)?;
                let now = row.map(|row| row.read(tokens)).transpose()?;
                news.rollouts.push((serial, now));
            }
            Entity::Gate => {}
        }
    }
    Ok(news)
}

pub(super) fn audit(connection: &Connection, filter: &Filter) -> Result<Vec<Line>, StoreError> {
    let mut statement = connection.prepare_cached(sql::AUDIT)?;
    let wanted = params![
        filter.since.0,
        filter.after.0.cast_signed(),
        filter.client,
        filter.client,
        i64::from(filter.limit)
    ];
    let rows = statement.query_map(wanted, |row| {
        let detail: String = row.get(7)?;
        Ok(Line {
            revision: Revision(row.get::<_, i64>(0)?.cast_unsigned()),
            at: Stamp(row.get(2)?),
            host: row.get(3)?,
            actor: row.get(4)?,
            kind: row.get(5)?,
            subject: row.get(6)?,
            detail: serde_json::from_str(&detail).unwrap_or(serde_json::Value::String(detail)),
        })
    })?;
    let mut lines = rows.collect::<rusqlite::Result<Vec<Line>>>()?;
    lines.reverse();
    Ok(lines)
}

pub(super) fn ended(connection: &Connection) -> Result<Vec<Digest>, StoreError> {
    let mut statement = connection.prepare_cached(sql::ENDED)?;
    let rows = statement.query_map([], |row| row.get(0).map(Digest::from_bytes))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn operators(view: &Connection) -> Result<Vec<Operator>, StoreError> {
    let rows = all(view, sql::OPERATORS, &[], |row| {
        Ok(OperatorRow {
            name: row.get(0)?,
            token: row.get(1)?,
            digest: row.get(2)?,
            role: row.get(3)?,
            created: row.get(4)?,
        })
    })?;
    let rows = rows.into_iter().map(OperatorRow::read);
    Ok(rows.collect::<Result<_, BadRow>>()?)
}

fn state(view: &Connection) -> Result<(Revision, bool, Option<KeyId>), StoreError> {
    let (revision, closed, master): (i64, i64, Option<String>) =
        view.query_row(sql::STATE, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let revision = Revision(revision.cast_unsigned());
    Ok((revision, closed != 0, read_master(master)?))
}

fn tokens(view: &Connection, statement: &str, owner: i64) -> Result<Vec<Credential>, StoreError> {
    let rows = all(view, statement, &[owner], token)?.into_iter();
    Ok(rows.map(TokenRow::read).collect::<Result<_, BadRow>>()?)
}

/// Row by row: a million of them are not held twice.
fn each<T>(
    view: &Connection,
    statement: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    mut take: impl FnMut(T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = view.prepare_cached(statement)?;
    for row in statement.query_map([], read)? {
        take(row?)?;
    }
    Ok(())
}

fn all<T>(
    view: &Connection,
    statement: &str,
    params: &[i64],
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = view.prepare_cached(statement)?;
    let rows = statement.query_map(rusqlite::params_from_iter(params), read)?;
    rows.collect()
}

fn one<T>(
    view: &Connection,
    statement: &str,
    id: i64,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let mut statement = view.prepare_cached(statement)?;
    statement.query_row([id], |row| read(row)).optional()
}

fn client(row: &Row<'_>) -> rusqlite::Result<ClientRow> {
    Ok(ClientRow {
        id: row.get(0)?,
        name: row.get(1)?,
        enabled: row.get(2)?,
        reach: row.get(3)?,
        sources: row.get(4)?,
        ports: row.get(5)?,
        scope: row.get(6)?,
        upstream: row.get(7)?,
        key: row.get(8)?,
        rps: row.get(9)?,
        concurrency: row.get(10)?,
        created: row.get(11)?,
        expires: row.get(12)?,
    })
}

fn rollout(row: &Row<'_>) -> rusqlite::Result<RolloutRow> {
    Ok(RolloutRow {
        serial: row.get(0)?,
        id: row.get(1)?,
        client: row.get(2)?,
        sources: row.get(3)?,
        scope: row.get(4)?,
        upstream: row.get(5)?,
        key: row.get(6)?,
        phase: row.get(7)?,
        created: row.get(8)?,
        expires: row.get(9)?,
    })
}

fn token(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        id: row.get(0)?,
        digest: row.get(1)?,
        kind: row.get(2)?,
        client: row.get(3)?,
        rollout: row.get(4)?,
        key: row.get(5)?,
        created: row.get(6)?,
        expires: row.get(7)?,
        adopted: row.get(8)?,
    })
}
