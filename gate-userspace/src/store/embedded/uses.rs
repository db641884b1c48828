//! When tokens were last used, in one transaction for many.

use rusqlite::{Connection, TransactionBehavior};

use super::Embedded;
use crate::{
    clock::Stamp,
    ident::TokenId,
    store::{StoreError, sql},
};

impl Embedded {
    pub(in crate::store) async fn uses(&self) -> Result<Vec<(TokenId, Stamp)>, StoreError> {
        self.ask(|db| read(&db.connection)).await
    }

    pub(in crate::store) async fn note_uses(
        &self,
        uses: Vec<(TokenId, Stamp)>,
    ) -> Result<(), StoreError> {
        self.ask(move |db| write(&mut db.connection, &uses)).await
    }
}

fn read(connection: &Connection) -> Result<Vec<(TokenId, Stamp)>, StoreError> {
    let mut read = connection.prepare_cached(sql::USES)?;
    let uses = read.query_map([], |row| {
        Ok((
            TokenId(row.get::<_, i64>(0)?.cast_unsigned()),
            Stamp(row.get(1)?),
        ))
    })?;
    Ok(uses.collect::<Result<_, _>>()?)
}

fn write(connection: &mut Connection, uses: &[(TokenId, Stamp)]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut note = transaction.prepare_cached(sql::NOTE_USE)?;
        for (token, at) in uses {
            note.execute([token.0.cast_signed(), at.0])?;
        }
    }
    transaction.commit()?;
    Ok(())
}
