//! What only a file can get wrong.

use super::*;

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/gate.db");
    let _store = Embedded::open(&path).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
}

#[tokio::test]
async fn a_second_gated_on_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.db");
    let _first = Embedded::open(&path).await.unwrap();
    let second = Embedded::open(&path).await;
    assert!(
        matches!(second, Err(StoreError::Locked { .. })),
        "{second:?}"
    );
}

#[tokio::test]
async fn a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.db");
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let store = Embedded::open(&path).await;
    assert!(
        matches!(store, Err(StoreError::Newer { found: 99, .. })),
        "{store:?}"
    );
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.db");
    fs::write(&path, b"this is no database, it only has the right name").unwrap();
    assert!(Embedded::open(&path).await.is_err());
}

/// Acceptance 117 (gate's own part): migrations run twice change nothing.
#[test]
fn migrating_twice_changes_nothing() {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection).unwrap();
    migrate(&mut connection).unwrap();
}

/// What a power cut leaves: the files as they are when an answer has come, and any piece of the
/// last write of which no answer has come.
#[tokio::test]
async fn what_was_answered_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&folder.path().join("gate.db"))
        .await
        .unwrap();
    let mut sizes = vec![0];
    for _commit in 0..5 {
        store.commit(panicked()).await.unwrap();
        sizes.push(image(folder.path()).1.len());
    }
    let (database, log) = image(folder.path());
    for (answered, size) in sizes.iter().enumerate().skip(1) {
        let next = sizes.get(answered + 1).copied().unwrap_or(*size);
        for cut in [*size, *size + (next - *size) / 2, next.max(size + 1) - 1] {
            let revision = recovered(&database, &log[..cut]).await;
            assert_eq!(
                revision,
                Revision(answered as u64),
                "cut at {cut} of {}",
                log.len()
            );
        }
    }
}

fn image(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let read = |name| fs::read(folder.join(name)).unwrap();
    (read("gate.db"), read("gate.db-wal"))
}

async fn recovered(database: &[u8], log: &[u8]) -> Revision {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gate.db"), database).unwrap();
    fs::write(folder.path().join("gate.db-wal"), log).unwrap();
    let store = Embedded::open(&folder.path().join("gate.db"))
        .await
        .unwrap();
    store.snapshot().await.unwrap().revision
}

fn panicked() -> Commit {
    let note = crate::store::Note {
        kind: "gate.panic",
        subject: "gate".to_owned(),
        client: String::new(),
        detail: serde_json::json!({}),
    };
    Commit {
        at: Stamp(1),
        host: "here".parse().unwrap(),
        actor: "test".to_owned(),
        basis: Revision(0),
        changes: vec![crate::store::Change {
            write: crate::store::Write::SetClosed(true),
            note,
        }],
    }
}

#[tokio::test]
async fn a_backup_holds_what_the_store_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("gate.db"), folder.path().join("copy.db"));
    let store = Embedded::open(&path).await.unwrap();
    store.backup(&copy).await.unwrap();
    let copy = Embedded::open(&copy).await.unwrap();
    assert_eq!(copy.snapshot().await.unwrap().revision, Revision(0));
}
