//! One commit is one transaction: the revision, the records, and a feed row for each change.
//!
//! The changes of a commit are sent without waiting for each other, so that thousands cost a few
//! round trips. The first row lock makes all other writers wait, so nothing comes in between.

mod operators;

use std::collections::HashMap;

use deadpool_postgres::{Client, Transaction};
use futures_util::future::join_all;
use tokio_postgres::{Statement, error::SqlState, types::ToSql};

use super::{history::goes_on, listen::CHANNEL};
use crate::{
    client::{self, Credential},
    clock::Stamp,
    ident::{ClientId, Revision, RolloutSerial},
    rollout::Rollout,
    store::{
        Rejection, StoreError,
        change::{Change, Commit, Entity, Note, Write, first_seq},
        row::{ClientRow, RolloutRow, TokenRow},
        sql,
    },
};

const STATEMENTS: [&str; 18] = [
    sql::ADD_OPERATOR,
    sql::END_OPERATOR,
    sql::SET_CLOSED,
    sql::SET_MASTER,
    sql::KEEP_ENDED_OF_CLIENT,
    sql::KEEP_ENDED_OF_ROLLOUT,
    sql::LIVES_AGAIN,
    sql::ADD_CLIENT,
    sql::PUT_CLIENT,
    sql::END_CLIENT,
    sql::END_ROLLOUTS_OF,
    sql::ADD_ROLLOUT,
    sql::PUT_ROLLOUT,
    sql::END_ROLLOUT,
    sql::ADD_TOKEN,
    sql::DROP_TOKENS_OF_CLIENT,
    sql::DROP_TOKENS_OF_ROLLOUT,
    sql::ADD_CHANGE,
];

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Where a commit stands while it is written.
struct Pen<'a> {
    transaction: &'a Transaction<'a>,
    statements: HashMap<&'static str, Statement>,
    commit: &'a Commit,
    revision: i64,
}

/// Why one change was not written.
enum Stop {
    Rejected(Rejection),
    Broken(tokio_postgres::Error),
}

/// `known` = the last change that this host knows of, which must be in this store.
pub(super) async fn commit(
    client: &mut Client,
    commit: &Commit,
    known: Revision,
) -> Result<Revision, StoreError> {
    let mut statements = HashMap::new();
    for text in STATEMENTS {
        statements.insert(text, client.prepare_cached(text).await?);
    }
    let bump = client.prepare_cached(sql::BUMP).await?;
    let transaction = client.transaction().await?;
    let revision: i64 = transaction.query_one(&bump, &[]).await?.get(0);
    // What is written to a store without it would be lost, or hide what others wrote.
    goes_on(known, Revision((revision - 1).cast_unsigned()))?;
    let pen = Pen {
        transaction: &transaction,
        statements,
        commit,
        revision,
    };
    let changes = commit.changes.iter().enumerate();
    let written = join_all(changes.map(|(index, change)| pen.change(index, change))).await;
    let stops = written.into_iter().enumerate();
    let stops = stops.filter_map(|(index, done)| Some((index, done.err()?)));
    if let Some((index, stop)) = cause(stops.collect()) {
        transaction.rollback().await?;
        return Err(match stop {
            Stop::Rejected(why) => StoreError::Rejected { index, why },
            Stop::Broken(why) => why.into(),
        });
    }
    let notice = format!("NOTIFY {CHANNEL}, '{revision}'");
    transaction.batch_execute(&notice).await?;
    transaction.commit().await?;
    Ok(Revision(revision.cast_unsigned()))
}

pub(super) async fn forget(client: &mut Client, before: Stamp) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    for statement in [
        sql::FORGET_CHANGES,
        sql::FORGET_ROLLOUTS,
        sql::FORGET_CLIENTS,
        sql::FORGET_USES,
        sql::FORGET_ENDED,
    ] {
        transaction.execute(statement, &[&before.0]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The one that made the others fail: after a failure the server refuses the rest of a transaction.
fn cause(stops: Vec<(usize, Stop)>) -> Option<(usize, Stop)> {
    let is_echo = |stop: &Stop| match stop {
        Stop::Rejected(_) => false,
        Stop::Broken(why) => why.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION),
    };
    stops
        .into_iter()
        .min_by_key(|(index, stop)| (is_echo(stop), *index))
}

impl Pen<'_> {
    async fn change(&self, index: usize, change: &Change) -> Result<(), Stop> {
        let mut seq = first_seq(index);
        match &change.write {
            Write::AddClient(client) => self.add_client(client).await?,
            Write::PutClient(client) => self.put_client(client).await?,
            Write::EndClient(id) => seq = self.end_client(*id, seq).await?,
            Write::AddRollout(rollout) => self.add_rollout(rollout).await?,
            Write::PutRollout(rollout) => self.put_rollout(rollout).await?,
            Write::EndRollout(serial) => self.end_rollout(*serial).await?,
            Write::SetClosed(closed) => {
                self.run(sql::SET_CLOSED, &[&i64::from(*closed)]).await?;
            }
            Write::AddOperator(operator) => self.add_operator(operator).await?,
            Write::Remark => {}
            Write::EndOperator(name) => {
                self.run(sql::END_OPERATOR, &[&name.as_str()]).await?;
            }
            Write::SetMaster(id) => _ = self.run(sql::SET_MASTER, &[&id.to_string()]).await?,
        }
        self.note(seq, change.write.entity(), &change.note).await
    }

    async fn add_client(&self, client: &client::Client) -> Result<(), Stop> {
        let row = ClientRow::of(client);
        let added = self
            .run(
                sql::ADD_CLIENT,
                &[
                    &row.id,
                    &row.name,
                    &row.enabled,
                    &row.reach,
                    &row.sources,
                    &row.ports,
                    &row.scope,
                    &row.upstream,
                    &row.key,
                    &row.rps,
                    &row.concurrency,
                    &row.created,
                    &row.expires,
                    &self.revision,
                ],
            )
            .await;
        taken(added, Rejection::ClientTaken)?;
        self.add_tokens(&client.tokens, client.id, None).await
    }

    async fn put_client(&self, client: &client::Client) -> Result<(), Stop> {
        let row = ClientRow::of(client);
        let put = self
            .run(
                sql::PUT_CLIENT,
                &[
                    &row.name,
                    &row.enabled,
                    &row.reach,
                    &row.sources,
                    &row.ports,
                    &row.scope,
                    &row.upstream,
                    &row.key,
                    &row.rps,
                    &row.concurrency,
                    &row.expires,
                    &self.revision,
                    &row.id,
                    &self.basis(),
                ],
            )
            .await;
        if taken(put, Rejection::ClientTaken)? == 0 {
            return Err(Stop::Rejected(Rejection::Stale));
        }
        self.drop_tokens_of_client(row.id).await?;
        self.add_tokens(&client.tokens, client.id, None).await
    }

    /// The rollouts that go along are lines of the trail too, also those that another host opened.
    async fn end_client(&self, id: ClientId, mut seq: i64) -> Result<i64, Stop> {
        let (at, number) = (self.commit.at.0, i64::from(id.0.get()));
        self.run(sql::END_CLIENT, &[&at, &self.revision, &number])
            .await?;
        self.drop_tokens_of_client(number).await?;
        let ended = self.statement(sql::END_ROLLOUTS_OF);
        let ended = self
            .transaction
            .query(ended, &[&at, &self.revision, &number])
            .await?;
        for row in ended {
            let (serial, rollout): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            self.drop_tokens_of_rollout(serial).await?;
            let note = Note {
                kind: "rollout.close",
                subject: format!("rollout {rollout}"),
                client: String::new(),
                detail: serde_json::json!({ "with": id.to_string() }),
            };
            let entity = Entity::Rollout(RolloutSerial(serial.cast_unsigned()));
            self.note(seq, entity, &note).await?;
            seq += 1;
        }
        Ok(seq)
    }

    async fn add_rollout(&self, rollout: &Rollout) -> Result<(), Stop> {
        let row = RolloutRow::of(rollout);
        let added = self
            .run(
                sql::ADD_ROLLOUT,
                &[
                    &row.serial,
                    &row.id,
                    &row.client,
                    &row.sources,
                    &row.scope,
                    &row.upstream,
                    &row.key,
                    &row.phase,
                    &row.created,
                    &row.expires,
                    &self.revision,
                    &row.client,
                ],
            )
            .await;
        if taken(added, Rejection::RolloutTaken)? == 0 {
            return Err(Stop::Rejected(Rejection::ClientEnded));
        }
        self.add_tokens(&rollout.tokens, rollout.client, Some(rollout.serial))
            .await
    }

    async fn put_rollout(&self, rollout: &Rollout) -> Result<(), Stop> {
        let row = RolloutRow::of(rollout);
        let put = self
            .run(
                sql::PUT_ROLLOUT,
                &[
                    &row.sources,
                    &row.scope,
                    &row.upstream,
                    &row.key,
                    &row.phase,
                    &row.expires,
                    &self.revision,
                    &row.serial,
                    &self.basis(),
                ],
            )
            .await?;
        if put == 0 {
            return Err(Stop::Rejected(Rejection::Stale));
        }
        self.drop_tokens_of_rollout(row.serial).await?;
        self.add_tokens(&rollout.tokens, rollout.client, Some(rollout.serial))
            .await
    }

    async fn end_rollout(&self, serial: RolloutSerial) -> Result<(), Stop> {
        let (at, number) = (self.commit.at.0, serial.0.cast_signed());
        self.run(sql::END_ROLLOUT, &[&at, &self.revision, &number])
            .await?;
        self.drop_tokens_of_rollout(number).await?;
        Ok(())
    }

    async fn drop_tokens_of_client(&self, client: i64) -> Result<(), Stop> {
        let at = self.commit.at.0;
        self.run(sql::KEEP_ENDED_OF_CLIENT, &[&at, &client]).await?;
        self.run(sql::DROP_TOKENS_OF_CLIENT, &[&client]).await?;
        Ok(())
    }

    async fn drop_tokens_of_rollout(&self, serial: i64) -> Result<(), Stop> {
        let at = self.commit.at.0;
        self.run(sql::KEEP_ENDED_OF_ROLLOUT, &[&at, &serial])
            .await?;
        self.run(sql::DROP_TOKENS_OF_ROLLOUT, &[&serial]).await?;
        Ok(())
    }

    async fn add_tokens(
        &self,
        tokens: &[Credential],
        client: ClientId,
        rollout: Option<RolloutSerial>,
    ) -> Result<(), Stop> {
        for token in tokens {
            let row = TokenRow::of(token, client, rollout);
            let added = self
                .run(
                    sql::ADD_TOKEN,
                    &[
                        &row.id,
                        &row.digest,
                        &row.kind,
                        &row.client,
                        &row.rollout,
                        &row.key,
                        &row.created,
                        &row.expires,
                        &row.adopted,
                    ],
                )
                .await;
            taken(added, Rejection::TokenTaken)?;
            if token.adopted {
                self.run(sql::LIVES_AGAIN, &[&row.digest]).await?;
            }
        }
        Ok(())
    }

    async fn note(&self, seq: i64, entity: Entity, note: &Note) -> Result<(), Stop> {
        let (entity, entity_id) = entity.columns();
        self.run(
            sql::ADD_CHANGE,
            &[
                &self.revision,
                &seq,
                &self.commit.at.0,
                &self.commit.host.as_str(),
                &self.commit.actor,
                &note.kind,
                &entity,
                &entity_id,
                &note.subject,
                &note.client,
                &note.detail.to_string(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn run(
        &self,
        statement: &'static str,
        params: Params<'_>,
    ) -> Result<u64, tokio_postgres::Error> {
        let statement = self.statement(statement);
        self.transaction.execute(statement, params).await
    }

    fn statement(&self, text: &'static str) -> &Statement {
        self.statements
            .get(text)
            .expect("every statement of this file is in the list above")
    }

    fn basis(&self) -> i64 {
        self.commit.basis.0.cast_signed()
    }
}

impl From<tokio_postgres::Error> for Stop {
    fn from(why: tokio_postgres::Error) -> Self {
        Self::Broken(why)
    }
}

/// Tells "this is there already" from a store that is broken.
fn taken(done: Result<u64, tokio_postgres::Error>, why: Rejection) -> Result<u64, Stop> {
    done.map_err(|error| match error.code() {
        Some(code) if *code == SqlState::UNIQUE_VIOLATION => Stop::Rejected(why),
        Some(_) | None => Stop::Broken(error),
    })
}
