//! What every store promises, one function per promise, run on each of them.

use std::num::NonZeroU32;

use serde_json::json;

use super::*;
use crate::{
    client::{Client, Credential, Kind, Reach, client_owner},
    ident::{HostName, TokenId},
    operator::{Operator, Role},
    rollout::{Phase, Rollout},
    secret::{Digest, Keyring, MasterKey, NewToken, UpstreamKey},
    source::Source,
};

pub(crate) mod server;
mod moving;
mod parting;
mod tls;

/// A store that can be closed and opened again, as a restart does.
enum Place {
    Embedded(tempfile::TempDir),
    Postgres(server::Database),
}

macro_rules! for_each_store {
    ($($case:ident),* $(,)?) => {
        mod on_embedded {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Place::embedded()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $case() {
                if let Some(place) = super::Place::postgres().await {
                    super::$case(place).await;
                }
            })*
        }
    };
}

for_each_store!(
    what_was_written_is_read_back,
    the_revision_grows_by_one_with_every_commit,
    a_commit_is_all_or_nothing,
    reopening_sees_the_last_write,
    live_names_are_unique_and_ended_ones_free,
    numbers_are_never_used_again,
    ending_a_client_ends_its_rollouts,
    a_rollout_needs_a_live_client,
    a_record_that_changed_meanwhile_is_not_overwritten,
    the_feed_names_what_changed_and_how_it_stands,
    the_audit_trail_says_who_and_what,
    panic_is_remembered,
    an_adopted_token_is_remembered_when_it_ended,
    the_chosen_master_key_is_remembered,
    operators_are_remembered_until_they_end,
    no_secret_is_written,
    the_latest_use_of_a_token_stands_until_the_token_is_forgotten,
);

async fn what_was_written_is_read_back(place: Place) {
    let store = place.open().await;
    let mut client = client(&store, "trainer").await;
    client.sources.push(Source::Loopback);
    client.sources.push(Source::anywhere("fd00::/64").unwrap());
    client.ports = vec![9000, 9001];
    client.expires = Some(Stamp(77));
    client.reach = Reach::CoversRollouts;
    put(&store, vec![add(&client)]).await.unwrap();
    let rollout = rollout(&store, "r:1", &client).await;
    put(&store, vec![open(&rollout)]).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(shown(&snapshot.clients), shown(&[client]));
    assert_eq!(shown(&snapshot.rollouts), shown(&[rollout]));
}

async fn the_latest_use_of_a_token_stands_until_the_token_is_forgotten(place: Place) {
    let store = place.open().await;
    let client = client(&store, "trainer").await;
    put(&store, vec![add(&client)]).await.unwrap();
    let (live, ended) = (client.tokens[0].id, TokenId(77));
    let before = store.snapshot().await.unwrap().revision;
    let first = vec![(live, Stamp(5000)), (ended, Stamp(6000))];
    store.note_uses(first).await.unwrap();
    // Another host is late with an earlier one.
    store.note_uses(vec![(live, Stamp(4000))]).await.unwrap();
    drop(store);
    let store = place.open().await;
    let mut uses = store.uses().await.unwrap();
    uses.sort_by_key(|(_, at)| *at);
    assert_eq!(uses, [(live, Stamp(5000)), (ended, Stamp(6000))]);
    assert_eq!(store.snapshot().await.unwrap().revision, before);
    store.forget(Stamp(i64::MAX)).await.unwrap();
    assert_eq!(store.uses().await.unwrap(), [(live, Stamp(5000))]);
}

async fn an_adopted_token_is_remembered_when_it_ended(place: Place) {
    let store = place.open().await;
    let mut client = client(&store, "a").await;
    let minted = client.tokens[0].digest;
    client.tokens.push(Credential {
        adopted: true,
        ..credential(77, Digest::of(b"theirs"))
    });
    put(&store, vec![add(&client)]).await.unwrap();
    let revision = put(
        &store,
        vec![change(Write::PutClient(Box::new(client.clone())))],
    );
    revision.await.unwrap();
    assert_eq!(store.ended().await.unwrap(), []);
    let theirs = client.tokens.pop().unwrap();
    put(
        &store,
        vec![change(Write::PutClient(Box::new(client.clone())))],
    )
    .await
    .unwrap();
    assert_eq!(store.ended().await.unwrap(), [theirs.digest]);
    client.tokens.push(theirs.clone());
    put(
        &store,
        vec![change(Write::PutClient(Box::new(client.clone())))],
    )
    .await
    .unwrap();
    assert_eq!(store.ended().await.unwrap(), []);
    let mut rollout = rollout(&store, "r", &client).await;
    rollout.tokens[0].adopted = true;
    let of_rollout = rollout.tokens[0].digest;
    put(&store, vec![open(&rollout)]).await.unwrap();
    put(&store, vec![change(Write::EndClient(client.id))])
        .await
        .unwrap();
    let ended = store.ended().await.unwrap();
    assert!(ended.contains(&theirs.digest) && ended.contains(&of_rollout));
    assert!(!ended.contains(&minted));
    store.forget(Stamp(i64::MAX)).await.unwrap();
    assert_eq!(store.ended().await.unwrap(), []);
}

async fn the_chosen_master_key_is_remembered(place: Place) {
    let store = place.open().await;
    assert_eq!(store.snapshot().await.unwrap().master, None);
    let id = MasterKey::generate().unwrap().id();
    let revision = put(&store, vec![change(Write::SetMaster(id))])
        .await
        .unwrap();
    assert_eq!(store.snapshot().await.unwrap().master, Some(id));
    assert_eq!(store.news(revision).await.unwrap().master, Some(id));
}

async fn operators_are_remembered_until_they_end(place: Place) {
    let store = place.open().await;
    let [a, b] = ["a", "b"].map(operator);
    let add = |operator: &Operator| change(Write::AddOperator(Box::new(operator.clone())));
    put(&store, vec![add(&a), add(&b)]).await.unwrap();
    let twice = put(&store, vec![add(&a)]).await.unwrap_err();
    let taken = Rejection::OperatorTaken;
    assert!(
        matches!(twice, StoreError::Rejected { why, .. } if why == taken),
        "{twice:?}"
    );
    let since = store.snapshot().await.unwrap().revision;
    let end = || vec![change(Write::EndOperator(a.name.clone()))];
    put(&store, end()).await.unwrap();
    put(&store, end()).await.unwrap();
    let left = shown(std::slice::from_ref(&b));
    assert_eq!(shown(&store.news(since).await.unwrap().operators), left);
    drop(store);
    let operators = place.open().await.snapshot().await.unwrap().operators;
    assert_eq!((shown(&operators), operators[0].digest), (left, b.digest));
}

fn operator(name: &str) -> Operator {
    let token = NewToken::mint().unwrap();
    Operator {
        name: name.parse().unwrap(),
        token: token.id,
        digest: token.digest,
        role: Role::Provision,
        created: Stamp(7),
    }
}

async fn the_revision_grows_by_one_with_every_commit(place: Place) {
    let store = place.open().await;
    for n in 1..=3 {
        let client = client(&store, &format!("c{n}")).await;
        assert_eq!(put(&store, vec![add(&client)]).await.unwrap(), Revision(n));
    }
    assert_eq!(store.snapshot().await.unwrap().revision, Revision(3));
}

async fn a_commit_is_all_or_nothing(place: Place) {
    let store = place.open().await;
    let (a, b) = (client(&store, "a").await, client(&store, "a").await);
    let both = put(&store, vec![add(&a), add(&b)]).await;
    assert!(
        matches!(
            both,
            Err(StoreError::Rejected {
                index: 1,
                why: Rejection::ClientTaken
            })
        ),
        "{both:?}"
    );
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(
        (snapshot.revision, snapshot.clients.len()),
        (Revision(0), 0)
    );
}

async fn reopening_sees_the_last_write(place: Place) {
    let store = place.open().await;
    let client = client(&store, "a").await;
    put(&store, vec![add(&client)]).await.unwrap();
    drop(store);
    let snapshot = place.open().await.snapshot().await.unwrap();
    assert_eq!(shown(&snapshot.clients), shown(&[client]));
}

async fn live_names_are_unique_and_ended_ones_free(place: Place) {
    let store = place.open().await;
    let client = client(&store, "a").await;
    put(&store, vec![add(&client)]).await.unwrap();
    let first = rollout(&store, "r", &client).await;
    put(&store, vec![open(&first)]).await.unwrap();
    let second = rollout(&store, "r", &client).await;
    let twice = put(&store, vec![open(&second)]).await;
    assert!(matches!(
        twice,
        Err(StoreError::Rejected {
            why: Rejection::RolloutTaken,
            ..
        })
    ));
    put(&store, vec![change(Write::EndRollout(first.serial))])
        .await
        .unwrap();
    put(&store, vec![open(&second)]).await.unwrap();
}

async fn numbers_are_never_used_again(place: Place) {
    let store = place.open().await;
    let first = client(&store, "a").await;
    put(&store, vec![add(&first)]).await.unwrap();
    put(&store, vec![change(Write::EndClient(first.id))])
        .await
        .unwrap();
    store.forget(Stamp(i64::MAX)).await.unwrap();
    drop(store);
    let store = place.open().await;
    assert!(store.reserve_client().await.unwrap() > first.id);
}

async fn ending_a_client_ends_its_rollouts(place: Place) {
    let store = place.open().await;
    let (a, b) = (client(&store, "a").await, client(&store, "b").await);
    put(&store, vec![add(&a), add(&b)]).await.unwrap();
    let (of_a, of_b) = (
        rollout(&store, "ra", &a).await,
        rollout(&store, "rb", &b).await,
    );
    put(&store, vec![open(&of_a), open(&of_b)]).await.unwrap();
    put(&store, vec![change(Write::EndClient(a.id))])
        .await
        .unwrap();
    let news = store.news(Revision(2)).await.unwrap();
    assert!(matches!(news.clients[..], [(id, None)] if id == a.id));
    assert!(matches!(news.rollouts[..], [(serial, None)] if serial == of_a.serial));
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(shown(&snapshot.rollouts), shown(&[of_b]));
}

async fn a_rollout_needs_a_live_client(place: Place) {
    let store = place.open().await;
    let client = client(&store, "a").await;
    let orphan = rollout(&store, "r", &client).await;
    let refused = put(&store, vec![open(&orphan)]).await;
    assert!(matches!(
        refused,
        Err(StoreError::Rejected {
            why: Rejection::ClientEnded,
            ..
        })
    ));
}

/// Two hosts change one client: the second must look again.
async fn a_record_that_changed_meanwhile_is_not_overwritten(place: Place) {
    let store = place.open().await;
    let client = client(&store, "a").await;
    let seen = put(&store, vec![add(&client)]).await.unwrap();
    let edit = || change(Write::PutClient(Box::new(client.clone())));
    let commit = |basis| Commit {
        basis,
        ..commit(vec![edit()])
    };
    store.commit(commit(seen)).await.unwrap();
    let late = store.commit(commit(seen)).await;
    assert!(matches!(
        late,
        Err(StoreError::Rejected {
            why: Rejection::Stale,
            ..
        })
    ));
}

async fn the_feed_names_what_changed_and_how_it_stands(place: Place) {
    let store = place.open().await;
    let (a, b) = (client(&store, "a").await, client(&store, "b").await);
    put(&store, vec![add(&a)]).await.unwrap();
    let seen = put(&store, vec![add(&b)]).await.unwrap();
    let disabled = Client {
        enabled: false,
        ..a.clone()
    };
    put(&store, vec![change(Write::PutClient(Box::new(disabled)))])
        .await
        .unwrap();
    let news = store.news(seen).await.unwrap();
    assert_eq!(news.revision, Revision(3));
    assert!(matches!(&news.clients[..], [(id, Some(now))] if *id == a.id && !now.enabled));
    assert!(store.news(Revision(3)).await.unwrap().clients.is_empty());
}

async fn the_audit_trail_says_who_and_what(place: Place) {
    let store = place.open().await;
    for name in ["a", "b"] {
        let client = client(&store, name).await;
        put(&store, vec![add(&client)]).await.unwrap();
    }
    let lines = |client: &str, after, limit| {
        let filter = Filter {
            client: client.to_owned(),
            after: Revision(after),
            limit,
            ..Filter::default()
        };
        let store = store.clone();
        async move {
            let lines = store.audit(filter).await.unwrap().into_iter();
            lines
                .map(|line| format!("{} {} {}", line.revision, line.actor, line.subject))
                .collect::<Vec<_>>()
        }
    };
    let (first, second) = ("1 uid=0 client a", "2 uid=0 client b");
    assert_eq!(lines("", 0, 10).await, [first, second]);
    assert_eq!(lines("", 1, 10).await, [second]);
    assert_eq!(lines("", 0, 1).await, [second], "the newest are kept");
    assert_eq!(lines("a", 0, 10).await, [first]);
}

async fn panic_is_remembered(place: Place) {
    let store = place.open().await;
    put(&store, vec![change(Write::SetClosed(true))])
        .await
        .unwrap();
    drop(store);
    let store = place.open().await;
    assert!(store.snapshot().await.unwrap().closed);
    put(&store, vec![change(Write::SetClosed(false))])
        .await
        .unwrap();
    assert!(!store.news(Revision(0)).await.unwrap().closed);
}

async fn no_secret_is_written(place: Place) {
    let store = place.open().await;
    let token = NewToken::mint().unwrap();
    let mut client = client(&store, "a").await;
    let keyring = Keyring::new(MasterKey::generate().unwrap(), Vec::new());
    let key = UpstreamKey::new("sk-planted-upstream-key").unwrap();
    client.key = Some(keyring.seal(&client_owner(client.id), &key).unwrap());
    client.tokens = vec![credential(token.id.0, token.digest)];
    put(&store, vec![add(&client)]).await.unwrap();
    drop(store);
    let raw = place.raw().await;
    let text = token.reveal();
    let holds = |bytes: &[u8]| raw.windows(bytes.len()).any(|window| window == bytes);
    for secret in [text.as_bytes(), b"planted-upstream-key"] {
        assert!(!holds(secret));
    }
    let digest = client.tokens[0].digest;
    assert!(
        holds(digest.as_bytes()),
        "the raw bytes are those of the store"
    );
}

impl Place {
    fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().unwrap())
    }

    /// A database of its own on a throw-away server; none where there is no Postgres.
    async fn postgres() -> Option<Self> {
        server::Database::new().await.map(Self::Postgres)
    }

    async fn open(&self) -> Store {
        let folder = match self {
            Self::Postgres(database) => {
                return Store::Postgres(Postgres::new(&database.url(), None).unwrap());
            }
            Self::Embedded(folder) => folder,
        };
        // The thread of a store that was just dropped may still be closing its file.
        loop {
            match Embedded::open(&folder.path().join("gate.db")).await {
                Ok(store) => return Store::Embedded(store),
                Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
                Err(why) => panic!("{why:?}"),
            }
        }
    }

    /// All that lies on the disk, or in the tables.
    async fn raw(&self) -> Vec<u8> {
        let folder = match self {
            Self::Postgres(database) => return database.raw().await,
            Self::Embedded(folder) => folder,
        };
        let files = std::fs::read_dir(folder.path()).unwrap();
        let read = files.map(|file| std::fs::read(file.unwrap().path()));
        // A log goes with the connection, whose thread may still be closing it.
        let there = read
            .filter(|read| !matches!(read, Err(why) if why.kind() == std::io::ErrorKind::NotFound));
        there.flat_map(Result::unwrap).collect()
    }
}

async fn client(store: &Store, name: &str) -> Client {
    let id = store.reserve_client().await.unwrap();
    Client {
        id,
        name: name.parse().unwrap(),
        sources: vec![Source::on(&host(), "10.0.0.5@veth7").unwrap()],
        ports: Vec::new(),
        scope: None,
        upstream: None,
        key: None,
        reach: Reach::Own,
        enabled: true,
        expires: None,
        rps: 5,
        concurrency: 6,
        created: Stamp(1),
        tokens: vec![credential(
            u64::MAX - u64::from(id.0.get()),
            Digest::of(format!("client {id}").as_bytes()),
        )],
    }
}

async fn rollout(store: &Store, id: &str, client: &Client) -> Rollout {
    let serial = store.reserve_rollouts(1).await.unwrap()[0];
    Rollout {
        serial,
        id: id.parse().unwrap(),
        client: client.id,
        sources: Vec::new(),
        scope: crate::scope::Scope::new(vec!["POST:/v1/messages".parse().unwrap()]),
        upstream: Some("u".parse().unwrap()),
        key: None,
        phase: Phase::Open,
        expires: Some(Stamp(9)),
        created: Stamp(2),
        tokens: vec![Credential {
            kind: Kind::Rollout,
            ..credential(
                serial.0,
                Digest::of(format!("rollout {}", serial.0).as_bytes()),
            )
        }],
    }
}

fn credential(id: u64, digest: Digest) -> Credential {
    Credential {
        id: TokenId(id),
        digest,
        kind: Kind::Client,
        expires: None,
        key: None,
        created: Stamp(1),
        adopted: false,
    }
}

fn add(client: &Client) -> Change {
    let mut add = change(Write::AddClient(Box::new(client.clone())));
    add.note.subject = format!("client {}", client.name);
    add.note.client = client.name.to_string();
    add
}

fn open(rollout: &Rollout) -> Change {
    change(Write::AddRollout(Box::new(rollout.clone())))
}

fn change(write: Write) -> Change {
    Change {
        write,
        note: Note {
            kind: "test",
            subject: String::new(),
            client: String::new(),
            detail: json!({}),
        },
    }
}

fn commit(changes: Vec<Change>) -> Commit {
    Commit {
        at: Stamp(1_000),
        host: host(),
        actor: "uid=0".to_owned(),
        basis: Revision(u64::MAX >> 1),
        changes,
    }
}

async fn put(store: &Store, changes: Vec<Change>) -> Result<Revision, StoreError> {
    store.commit(commit(changes)).await
}

/// `Debug` hides digests, which have a test of their own in the table; all else is compared.
fn shown<T: std::fmt::Debug>(records: &[T]) -> String {
    format!("{records:#?}")
}

fn host() -> HostName {
    "here".parse().unwrap()
}

#[test]
fn a_client_number_is_never_zero() {
    assert_eq!(row::client_id(0), None);
    assert_eq!(
        row::client_id(1),
        Some(ClientId(NonZeroU32::new(1).unwrap()))
    );
}
