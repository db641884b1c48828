//! Which hosts live, and the last change that each enforces.
//!
//! Ages are by the server's clock alone, so that the hosts' own clocks do not matter.

use std::time::Duration;

use super::Postgres;
use crate::{
    ident::{HostName, Revision},
    secret::KeyId,
    store::{
        BadRow, StoreError,
        change::Told,
        row::{read_words, words},
    },
};

const TELL: &str = "INSERT INTO gate_hosts (host, revision, seen, staleness, keys) \
     VALUES ($1, $2, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT, $3, $4) \
     ON CONFLICT (host) DO UPDATE SET revision = EXCLUDED.revision, seen = EXCLUDED.seen, \
     staleness = EXCLUDED.staleness, keys = EXCLUDED.keys";

const LEAVE: &str = "DELETE FROM gate_hosts WHERE host = $1";

const HOSTS: &str = "SELECT host, revision, \
     (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT - seen, staleness, keys \
     FROM gate_hosts ORDER BY host";

impl Postgres {
    pub(in crate::store) async fn tell(
        &self,
        host: &HostName,
        revision: Revision,
        keys: &[KeyId],
    ) -> Result<(), StoreError> {
        let staleness = self
            .bounds
            .staleness
            .map(|staleness| i64::try_from(staleness.as_millis()).unwrap_or(i64::MAX));
        let keys = words(keys);
        let (host, revision) = (host.as_str(), revision.0.cast_signed());
        self.patiently(async {
            let client = self.client().await?;
            let tell = client.prepare_cached(TELL).await?;
            client
                .execute(&tell, &[&host, &revision, &staleness, &keys])
                .await?;
            Ok(())
        })
        .await
    }

    pub(in crate::store) async fn leave(&self, host: &HostName) -> Result<(), StoreError> {
        self.patiently(async {
            let client = self.client().await?;
            client.execute(LEAVE, &[&host.as_str()]).await?;
            Ok(())
        })
        .await
    }

    pub(in crate::store) async fn hosts(&self) -> Result<Vec<Told>, StoreError> {
        let rows = self.patiently(async {
            let client = self.client().await?;
            let hosts = client.prepare_cached(HOSTS).await?;
            Ok(client.query(&hosts, &[]).await?)
        });
        let rows = rows.await?;
        let told = rows.iter().map(|row| {
            let host: String = row.try_get(0)?;
            Ok(Told {
                host: host.parse().map_err(|_why| BadRow {
                    table: "gate_hosts",
                    id: 0,
                    column: "host",
                })?,
                revision: Revision(row.try_get::<_, i64>(1)?.cast_unsigned()),
                age: millis(row.try_get(2)?),
                staleness: row.try_get::<_, Option<i64>>(3)?.map(millis),
                keys: read_words(row.try_get(4)?).ok_or(BadRow {
                    table: "gate_hosts",
                    id: 0,
                    column: "keys",
                })?,
            })
        });
        told.collect()
    }
}

fn millis(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}
