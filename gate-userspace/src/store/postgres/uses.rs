//! When tokens were last used: all hosts write, and the latest stands.

use tokio_postgres::Row;

use super::Postgres;
use crate::{
    clock::Stamp,
    ident::TokenId,
    store::{StoreError, sql},
};

const USES_OF: &str = "SELECT token, used FROM gate_uses WHERE token = ANY($1)";

impl Postgres {
    pub(in crate::store) async fn uses(&self) -> Result<Vec<(TokenId, Stamp)>, StoreError> {
        let rows = self.patiently(async {
            let client = self.client().await?;
            Ok(client.query(sql::USES, &[]).await?)
        });
        shown(&rows.await?)
    }

    pub(in crate::store) async fn uses_of(
        &self,
        tokens: Vec<TokenId>,
    ) -> Result<Vec<(TokenId, Stamp)>, StoreError> {
        let tokens: Vec<i64> = tokens.into_iter().map(|id| id.0.cast_signed()).collect();
        let rows = self.patiently(async {
            let client = self.client().await?;
            Ok(client.query(USES_OF, &[&tokens]).await?)
        });
        shown(&rows.await?)
    }

    pub(in crate::store) async fn note_uses(
        &self,
        mut uses: Vec<(TokenId, Stamp)>,
    ) -> Result<(), StoreError> {
        // Hosts that write the same rows in the same order do not wait for each other in a ring.
        uses.sort_unstable();
        self.patiently(async {
            let mut client = self.client().await?;
            let transaction = client.transaction().await?;
            let note = transaction.prepare_cached(sql::NOTE_USE).await?;
            for (token, at) in uses {
                let token = token.0.cast_signed();
                transaction.execute(&note, &[&token, &at.0]).await?;
            }
            transaction.commit().await?;
            Ok(())
        })
        .await
    }
}

fn shown(rows: &[Row]) -> Result<Vec<(TokenId, Stamp)>, StoreError> {
    let uses = rows.iter().map(|row| {
        let token = TokenId(row.try_get::<_, i64>(0)?.cast_unsigned());
        Ok((token, Stamp(row.try_get(1)?)))
    });
    uses.collect()
}
