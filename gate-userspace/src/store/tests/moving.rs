//! From one file to a server: every row, counted, once.

use super::*;
use crate::store::offline::{CopyError, Place as Target, copy};

#[tokio::test]
async fn a_copy_is_what_the_file_was_and_goes_on_from_there() {
    let Some(database) = server::Database::new().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&folder.path().join("gate.db"))
        .await
        .unwrap();
    let file = Store::Embedded(store.clone());
    let first = client(&file, "a").await;
    put(&file, vec![add(&first)]).await.unwrap();
    let gone = client(&file, "b").await;
    put(&file, vec![add(&gone)]).await.unwrap();
    let opened = rollout(&file, "r", &first).await;
    put(&file, vec![open(&opened)]).await.unwrap();
    put(&file, vec![change(Write::EndClient(gone.id))])
        .await
        .unwrap();
    put(
        &file,
        vec![change(Write::AddOperator(Box::new(operator("o"))))],
    )
    .await
    .unwrap();
    file.note_uses(vec![(first.tokens[0].id, Stamp(5))])
        .await
        .unwrap();
    let backup = folder.path().join("backup.db");
    store.backup(&backup).await.unwrap();
    let target: Target = database.server_url().parse().unwrap();
    let mut told = Vec::new();
    let copied = copy(&backup, &target, &mut |moved| told.push(moved.table))
        .await
        .unwrap();
    assert!(!copied.was_there && copied.rows >= 8, "{copied:?}");
    assert!(told.contains(&"gate_changes"));
    let server = Store::Postgres(Postgres::new(&database.url(), None).unwrap());
    let (here, there) = (
        file.snapshot().await.unwrap(),
        server.snapshot().await.unwrap(),
    );
    assert_eq!(shown(&here.clients), shown(&there.clients));
    assert_eq!(shown(&here.rollouts), shown(&there.rollouts));
    assert_eq!(shown(&here.operators), shown(&there.operators));
    assert_eq!(here.revision, there.revision);
    let all = || Filter {
        limit: 100,
        ..Filter::default()
    };
    assert_eq!(
        shown(&file.audit(all()).await.unwrap()),
        shown(&server.audit(all()).await.unwrap())
    );
    // Twice is once, and numbers go on behind those that were given.
    let again = copy(&backup, &target, &mut |_| {}).await.unwrap();
    assert!(again.was_there);
    assert!(server.reserve_client().await.unwrap() > gone.id);
    let next = client(&server, "c").await;
    put(&server, vec![add(&next)]).await.unwrap();
    let refused = copy(&backup, &target, &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, CopyError::NotEmpty { .. }), "{refused:?}");
    assert_eq!(server.snapshot().await.unwrap().clients.len(), 2);
}

/// The backup of a running store is a store.
#[tokio::test]
async fn a_backup_is_gone_from_the_folder_and_whole() {
    use std::io::Read as _;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Embedded(
        Embedded::open(&folder.path().join("gate.db"))
            .await
            .unwrap(),
    );
    let first = client(&store, "a").await;
    put(&store, vec![add(&first)]).await.unwrap();
    let mut bytes = Vec::new();
    let mut file = store.backup().await.unwrap().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(
        left.iter()
            .all(|entry| !format!("{entry:?}").contains("backup"))
    );
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("gate.db"), bytes).unwrap();
    let copy = Store::Embedded(Embedded::open(&other.path().join("gate.db")).await.unwrap());
    let snapshot = copy.snapshot().await.unwrap();
    assert_eq!(shown(&snapshot.clients), shown(&[first]));
}
