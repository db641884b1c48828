//! Brings the schema to this version, once, however many start together.

use deadpool_postgres::Client;

use crate::store::StoreError;

/// In order; `gate_schema.version` counts how many have run.
const MIGRATIONS: [&str; 4] = [
    include_str!("../schema/1.postgres.sql"),
    include_str!("../schema/2.postgres.sql"),
    include_str!("../schema/3.postgres.sql"),
    include_str!("../schema/4.postgres.sql"),
];

/// Any number that nobody else locks: the letters of the name.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1734440037)";

pub(super) async fn run(client: &mut Client) -> Result<(), StoreError> {
    // Who may only read needs no more than this, and a fleet that starts does not wait in a row.
    if version(client).await? == Some(known()) {
        return Ok(());
    }
    let step = client.transaction().await?;
    step.batch_execute(LOCK).await?;
    step.batch_execute("CREATE TABLE IF NOT EXISTS gate_schema (version BIGINT NOT NULL)")
        .await?;
    let version = step
        .query_opt("SELECT version FROM gate_schema", &[])
        .await?;
    let found = version.map_or(0, |row| row.get::<_, i64>(0));
    let known = known();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let done = usize::try_from(found)
        .map_err(|_why| StoreError::Damaged(format!("its version is {found}")))?;
    for migration in MIGRATIONS.iter().skip(done) {
        step.batch_execute(migration).await?;
    }
    step.batch_execute("DELETE FROM gate_schema").await?;
    step.execute("INSERT INTO gate_schema (version) VALUES ($1)", &[&known])
        .await?;
    step.commit().await?;
    Ok(())
}

/// None = nothing of ours is there.
async fn version(client: &Client) -> Result<Option<i64>, StoreError> {
    let there = "SELECT to_regclass('gate_schema') IS NOT NULL";
    if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let version = client
        .query_opt("SELECT version FROM gate_schema", &[])
        .await?;
    Ok(version.map(|row| row.get(0)))
}

pub(super) async fn check(client: &Client) -> Result<(), StoreError> {
    let row = client
        .query_one("SELECT version FROM gate_schema", &[])
        .await?;
    match row.get::<_, i64>(0) {
        found if found == known() => Ok(()),
        found => Err(StoreError::Newer {
            found,
            known: known(),
        }),
    }
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("a handful fits")
}
