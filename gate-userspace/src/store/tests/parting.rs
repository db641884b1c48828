//! A server that does not go on from what this host has followed.

use super::{add, client, put, server::Database};
use crate::{
    ident::Revision,
    store::{Parting, Postgres, Store, StoreError},
};

/// As after a failover that lost the last change, or over a backup from before it.
#[tokio::test]
async fn a_server_that_lacks_what_was_followed_is_neither_read_nor_written() {
    let Some(database) = Database::new().await else {
        return;
    };
    let store = open(&database);
    for name in ["one", "two"] {
        let client = client(&store, name).await;
        put(&store, vec![add(&client)]).await.unwrap();
    }
    database.run("UPDATE gate_state SET revision = 1").await;
    let behind = Parting::Behind {
        found: Revision(1),
        seen: Revision(2),
    };
    assert_eq!(refused(store.news(Revision(2)).await), behind);
    assert_eq!(store.parting(), Some(behind));
    let third = client(&open(&database), "three").await;
    assert_eq!(refused(put(&store, vec![add(&third)]).await), behind);
    assert_eq!(refused(store.snapshot().await), behind);
    assert_eq!(database.revision().await, 1, "nothing was written");
    database.run("UPDATE gate_state SET revision = 2").await;
    assert_eq!(put(&store, vec![add(&third)]).await.unwrap(), Revision(3));
    store.news(Revision(2)).await.unwrap();
    assert_eq!(store.parting(), None);
}

/// As over a former primary that was written to after another took its place.
#[tokio::test]
async fn a_server_with_another_change_under_the_same_revision_is_not_believed() {
    let Some(database) = Database::new().await else {
        return;
    };
    let store = open(&database);
    let one = client(&store, "one").await;
    put(&store, vec![add(&one)]).await.unwrap();
    let forked = Parting::Forked(Revision(1));
    database
        .run("UPDATE gate_changes SET host = 'elsewhere'; UPDATE gate_state SET revision = 9")
        .await;
    // What stands was looked at when it was made.
    database.break_connections().await;
    let refusal = loop {
        match store.news(Revision(1)).await {
            Err(StoreError::Away(_)) => {}
            other => break other,
        }
    };
    assert_eq!(refused(refusal), forked);
    // Whoever starts the gate again takes it as it is.
    assert_eq!(
        open(&database).snapshot().await.unwrap().revision,
        Revision(9)
    );
}

fn open(database: &Database) -> Store {
    Store::Postgres(Postgres::new(&database.url(), None).unwrap())
}

fn refused<T: std::fmt::Debug>(done: Result<T, StoreError>) -> Parting {
    match done {
        Err(StoreError::Parted(parting)) => parting,
        other => panic!("{other:?}"),
    }
}
