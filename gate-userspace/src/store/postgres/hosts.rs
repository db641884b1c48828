//! Which hosts live, and the last change that each enforces.
//!
//! Ages are by the server's clock alone, so that the hosts' own clocks do not matter.

use std::time::Duration;

use super::{Postgres, patiently};
use crate::{
    ident::{HostName, Revision},
    store::{BadRow, StoreError, change::Told},
};

const TELL: &str = "INSERT INTO gate_hosts (host, revision, seen, staleness) \
     VALUES ($1, $2, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT, $3) \
     ON CONFLICT (host) DO UPDATE SET revision = EXCLUDED.revision, seen = EXCLUDED.seen, \
     staleness = EXCLUDED.staleness";

const LEAVE: &str = "DELETE FROM gate_hosts WHERE host = $1";

const HOSTS: &str = "SELECT host, revision, \
     (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT - seen, staleness \
     FROM gate_hosts ORDER BY host";

impl Postgres {
    pub(in crate::store) async fn tell(
        &self,
        host: &HostName,
        revision: Revision,
    ) -> Result<(), StoreError> {
        let staleness = self
            .staleness
            .map(|staleness| i64::try_from(staleness.as_millis()).unwrap_or(i64::MAX));
        let (host, revision) = (host.as_str(), revision.0.cast_signed());
        patiently(async {
            let client = self.client().await?;
            let tell = client.prepare_cached(TELL).await?;
            client
                .execute(&tell, &[&host, &revision, &staleness])
                .await?;
            Ok(())
        })
        .await
    }

    pub(in crate::store) async fn leave(&self, host: &HostName) -> Result<(), StoreError> {
        patiently(async {
            let client = self.client().await?;
            client.execute(LEAVE, &[&host.as_str()]).await?;
            Ok(())
        })
        .await
    }

    pub(in crate::store) async fn hosts(&self) -> Result<Vec<Told>, StoreError> {
        let rows = patiently(async {
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
            })
        });
        told.collect()
    }
}

fn millis(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}
