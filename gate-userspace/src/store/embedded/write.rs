//! One commit is one transaction: the revision, the records, and a feed row for each change.

use rusqlite::{Connection, ErrorCode, Params, Transaction, TransactionBehavior, params};

use crate::{
    client::{Client, Credential},
    clock::Stamp,
    ident::{ClientId, Revision, RolloutSerial},
    rollout::Rollout,
    store::{
        Rejection, StoreError,
        change::{Commit, Entity, Note, Write, first_seq},
        row::{ClientRow, RolloutRow, TokenRow},
        sql,
    },
};

/// Where a commit stands while it is written.
struct Pen<'a> {
    transaction: Transaction<'a>,
    commit: &'a Commit,
    revision: i64,
    /// Of the change that is being written; a change may have several notes.
    seq: i64,
}

/// Why one change was not written.
enum Stop {
    Rejected(Rejection),
    Broken(rusqlite::Error),
}

pub(super) fn commit(connection: &mut Connection, commit: &Commit) -> Result<Revision, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let revision = transaction
        .prepare_cached(sql::BUMP)?
        .query_row([], |row| row.get(0))?;
    let mut pen = Pen {
        transaction,
        commit,
        revision,
        seq: 0,
    };
    for (index, change) in commit.changes.iter().enumerate() {
        pen.seq = first_seq(index);
        let written = pen
            .write(&change.write)
            .and_then(|()| pen.note(change.write.entity(), &change.note));
        match written {
            Ok(()) => {}
            Err(Stop::Rejected(why)) => return Err(StoreError::Rejected { index, why }),
            Err(Stop::Broken(why)) => return Err(why.into()),
        }
    }
    pen.transaction.commit()?;
    Ok(Revision(revision.cast_unsigned()))
}

pub(super) fn forget(connection: &mut Connection, before: Stamp) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for statement in [
        sql::FORGET_CHANGES,
        sql::FORGET_ROLLOUTS,
        sql::FORGET_CLIENTS,
        sql::FORGET_USES,
        sql::FORGET_ENDED,
    ] {
        transaction.execute(statement, [before.0])?;
    }
    transaction.commit()?;
    Ok(())
}

impl Pen<'_> {
    fn write(&mut self, write: &Write) -> Result<(), Stop> {
        match write {
            Write::AddClient(client) => self.add_client(client),
            Write::PutClient(client) => self.put_client(client),
            Write::EndClient(id) => self.end_client(*id),
            Write::AddRollout(rollout) => self.add_rollout(rollout),
            Write::PutRollout(rollout) => self.put_rollout(rollout),
            Write::EndRollout(serial) => self.end_rollout(*serial),
            Write::SetClosed(closed) => {
                self.run(sql::SET_CLOSED, [i64::from(*closed)])?;
                Ok(())
            }
            Write::SetMaster(id) => {
                self.run(sql::SET_MASTER, [id.to_string()])?;
                Ok(())
            }
            Write::AddOperator(operator) => {
                let params = params![
                    operator.name.as_str(),
                    operator.token.0.cast_signed(),
                    operator.digest.as_bytes(),
                    operator.role.as_str(),
                    operator.created.0
                ];
                taken(
                    self.run(sql::ADD_OPERATOR, params),
                    Rejection::OperatorTaken,
                )?;
                Ok(())
            }
            Write::Remark => Ok(()),
            Write::EndOperator(name) => {
                self.run(sql::END_OPERATOR, [name.as_str()])?;
                Ok(())
            }
        }
    }

    fn add_client(&self, client: &Client) -> Result<(), Stop> {
        let row = ClientRow::of(client);
        let added = self.run(
            sql::ADD_CLIENT,
            params![
                row.id,
                row.name,
                row.enabled,
                row.reach,
                row.sources,
                row.ports,
                row.scope,
                row.upstream,
                row.key,
                row.rps,
                row.concurrency,
                row.created,
                row.expires,
                self.revision
            ],
        );
        taken(added, Rejection::ClientTaken)?;
        self.add_tokens(&client.tokens, client.id, None)
    }

    fn put_client(&self, client: &Client) -> Result<(), Stop> {
        let row = ClientRow::of(client);
        let put = self.run(
            sql::PUT_CLIENT,
            params![
                row.name,
                row.enabled,
                row.reach,
                row.sources,
                row.ports,
                row.scope,
                row.upstream,
                row.key,
                row.rps,
                row.concurrency,
                row.expires,
                self.revision,
                row.id,
                self.basis()
            ],
        );
        if taken(put, Rejection::ClientTaken)? == 0 {
            return Err(Stop::Rejected(Rejection::Stale));
        }
        self.drop_tokens_of_client(row.id)?;
        self.add_tokens(&client.tokens, client.id, None)
    }

    /// The rollouts that go along are lines of the trail too, also those that another host opened.
    fn end_client(&mut self, id: ClientId) -> Result<(), Stop> {
        let (at, number) = (self.commit.at.0, i64::from(id.0.get()));
        self.run(sql::END_CLIENT, params![at, self.revision, number])?;
        self.drop_tokens_of_client(number)?;
        let mut ended: Vec<(i64, String)> = Vec::new();
        {
            let mut statement = self.transaction.prepare_cached(sql::END_ROLLOUTS_OF)?;
            let rows = statement.query_map(params![at, self.revision, number], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            for row in rows {
                ended.push(row?);
            }
        }
        for (serial, rollout) in ended {
            self.drop_tokens_of_rollout(serial)?;
            let note = Note {
                kind: "rollout.close",
                subject: format!("rollout {rollout}"),
                client: String::new(),
                detail: serde_json::json!({ "with": id.to_string() }),
            };
            self.note(
                Entity::Rollout(RolloutSerial(serial.cast_unsigned())),
                &note,
            )?;
        }
        Ok(())
    }

    fn add_rollout(&self, rollout: &Rollout) -> Result<(), Stop> {
        let row = RolloutRow::of(rollout);
        let added = self.run(
            sql::ADD_ROLLOUT,
            params![
                row.serial,
                row.id,
                row.client,
                row.sources,
                row.scope,
                row.upstream,
                row.key,
                row.phase,
                row.created,
                row.expires,
                self.revision,
                row.client
            ],
        );
        if taken(added, Rejection::RolloutTaken)? == 0 {
            return Err(Stop::Rejected(Rejection::ClientEnded));
        }
        self.add_tokens(&rollout.tokens, rollout.client, Some(rollout.serial))
    }

    fn put_rollout(&self, rollout: &Rollout) -> Result<(), Stop> {
        let row = RolloutRow::of(rollout);
        let put = self.run(
            sql::PUT_ROLLOUT,
            params![
                row.sources,
                row.scope,
                row.upstream,
                row.key,
                row.phase,
                row.expires,
                self.revision,
                row.serial,
                self.basis()
            ],
        )?;
        if put == 0 {
            return Err(Stop::Rejected(Rejection::Stale));
        }
        self.drop_tokens_of_rollout(row.serial)?;
        self.add_tokens(&rollout.tokens, rollout.client, Some(rollout.serial))
    }

    fn end_rollout(&self, serial: RolloutSerial) -> Result<(), Stop> {
        let number = serial.0.cast_signed();
        let at = self.commit.at.0;
        self.run(sql::END_ROLLOUT, params![at, self.revision, number])?;
        self.drop_tokens_of_rollout(number)?;
        Ok(())
    }

    fn drop_tokens_of_client(&self, client: i64) -> Result<(), Stop> {
        self.run(sql::KEEP_ENDED_OF_CLIENT, [self.commit.at.0, client])?;
        self.run(sql::DROP_TOKENS_OF_CLIENT, [client])?;
        Ok(())
    }

    fn drop_tokens_of_rollout(&self, serial: i64) -> Result<(), Stop> {
        self.run(sql::KEEP_ENDED_OF_ROLLOUT, [self.commit.at.0, serial])?;
        self.run(sql::DROP_TOKENS_OF_ROLLOUT, [serial])?;
        Ok(())
    }

    fn add_tokens(
        &self,
        tokens: &[Credential],
        client: ClientId,
        rollout: Option<RolloutSerial>,
    ) -> Result<(), Stop> {
        for token in tokens {
            let row = TokenRow::of(token, client, rollout);
            let added = self.run(
                sql::ADD_TOKEN,
                params![
                    row.id,
                    row.digest,
                    row.kind,
                    row.client,
                    row.rollout,
                    row.key,
                    row.created,
                    row.expires,
                    row.adopted
                ],
            );
            taken(added, Rejection::TokenTaken)?;
            if token.adopted {
                self.run(sql::LIVES_AGAIN, [&row.digest])?;
            }
        }
        Ok(())
    }

    fn note(&mut self, entity: Entity, note: &Note) -> Result<(), Stop> {
        let (entity, entity_id) = entity.columns();
        self.run(
            sql::ADD_CHANGE,
            params![
                self.revision,
                self.seq,
                self.commit.at.0,
                self.commit.host.as_str(),
                self.commit.actor,
                note.kind,
                entity,
                entity_id,
                note.subject,
                note.client,
                note.detail.to_string()
            ],
        )?;
        self.seq += 1;
        Ok(())
    }

    fn run(&self, statement: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.transaction.prepare_cached(statement)?.execute(params)
    }

    fn basis(&self) -> i64 {
        self.commit.basis.0.cast_signed()
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(why: rusqlite::Error) -> Self {
        Self::Broken(why)
    }
}

/// Tells "this is there already" from a store that is broken.
fn taken(done: rusqlite::Result<usize>, why: Rejection) -> Result<usize, Stop> {
    done.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Stop::Rejected(why),
        _ => Stop::Broken(error),
    })
}
