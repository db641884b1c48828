//! Two hosts on one Postgres: what one changes, the other does.

use super::*;
use crate::{
    clock::Stamp,
    source::Source,
    store::{Postgres, Store, tests::server::Database},
};

const STALENESS: Duration = Duration::from_mins(1);

/// Acceptance 104 (control's part): one host's revocation is in force on all when it is answered.
#[tokio::test]
async fn a_revocation_that_waited_is_in_force_everywhere() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let added = add(&fleet.a, "c", &[]).await;
    let opened = open(&fleet.a, "r", "c").await;
    until(&fleet.b, opened.revision).await;
    assert!(alive(&fleet.b, &added.token) && alive(&fleet.b, &opened.tokens[0]));
    fleet.b.rings.state().streams.insert(opened.tokens[0].id, 1);
    let mut done = fleet.a.control.revoke(ACTOR, name("c")).await.unwrap();
    let waited = fleet
        .a
        .control
        .wait_for_hosts(&mut done, Duration::from_secs(30));
    waited.await.unwrap();
    assert!(grant(&fleet.b, &added.token).is_none());
    assert!(fleet.b.rings.state().streams.is_empty());
    let hosts = done
        .hosts
        .iter()
        .map(|host| (host.host.as_str(), host.state));
    let all_done = [("a", HostState::Done), ("b", HostState::Done)];
    assert_eq!(hosts.collect::<Vec<_>>(), all_done);
}

/// Acceptance 168 (control's part).
#[tokio::test]
async fn a_source_opens_on_its_own_host_only() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let mut ask = new_client("c", &[]);
    ask.sources = vec![
        Source::on(&"a".parse().unwrap(), "172.17.0.2").unwrap(),
        Source::anywhere("203.0.113.0/24").unwrap(),
    ];
    let added = fleet.a.control.add_client(ACTOR, ask).await.unwrap();
    until(&fleet.b, added.revision).await;
    assert_eq!(entries(&fleet.a), ["172.17.0.2/32", "203.0.113.0/24"]);
    assert_eq!(entries(&fleet.b), ["203.0.113.0/24"]);
}

#[tokio::test]
async fn changes_from_both_sides_meet_in_the_same_state() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    for client in ["c0", "c1", "c2"] {
        let mut ask = new_client(client, &[]);
        ask.sources = vec![Source::anywhere("203.0.113.0/24").unwrap()];
        fleet.a.control.add_client(ACTOR, ask).await.unwrap();
    }
    for round in 0..10 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let owner = format!("c{}", round % 3);
        tokio::join!(open(&fleet.a, &a, &owner), open(&fleet.b, &b, &owner));
        let close = |gate: &Gate, id: &str| {
            let control = gate.control.clone();
            let closing = Closing::Ids(vec![super::id(id)]);
            async move { control.close(ACTOR, closing).await.unwrap() }
        };
        if round % 2 == 0 {
            // Each closes what the other has opened.
            tokio::join!(close(&fleet.a, &b), close(&fleet.b, &a));
        }
    }
    let one = fleet.a.control.revoke(ACTOR, name("c1")).await.unwrap();
    let two = fleet.b.control.drain(ACTOR, id("a3")).await.unwrap();
    let newest = one.revision.max(two);
    until(&fleet.a, newest).await;
    until(&fleet.b, newest).await;
    let c = fleet.join("c").await;
    for gate in [&fleet.b, &c] {
        assert_eq!(shown(gate), shown(&fleet.a));
        assert_eq!(
            gate.control.grants().openings(),
            fleet.a.control.grants().openings()
        );
    }
}

/// Of two that open the same rollout at once, one is told that it exists.
#[tokio::test]
async fn one_id_is_opened_on_one_host_only() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let added = add(&fleet.a, "c", &[]).await;
    until(&fleet.b, added.revision).await;
    let open = |gate: &Gate| {
        let control = gate.control.clone();
        async move {
            control
                .open_rollouts(ACTOR, vec![new_rollout("r", "c", &[])])
                .await
        }
    };
    let (a, b) = tokio::join!(open(&fleet.a), open(&fleet.b));
    let refused = [a, b]
        .into_iter()
        .filter_map(Result::err)
        .collect::<Vec<_>>();
    assert!(
        matches!(refused[..], [Refused::RolloutExists(_)]),
        "{refused:?}"
    );
}

/// A panic is the whole fleet's.
#[tokio::test]
async fn panic_on_one_host_closes_the_other() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let shut = fleet.a.control.panic(ACTOR).await.unwrap();
    until(&fleet.b, shut.revision).await;
    assert_eq!(fleet.b.control.grants().mode(), Mode::Closed);
    assert!(
        fleet
            .b
            .rings
            .take_log()
            .contains(&"cut all Panic".to_owned())
    );
    let opened = fleet.b.control.open(ACTOR).await.unwrap();
    until(&fleet.a, opened.revision).await;
    assert_eq!(fleet.a.rings.state().mode, Some(Mode::Enforce));
}

/// Acceptance 101 (control's part).
#[tokio::test]
async fn without_word_from_the_store_a_host_goes_stale() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let (gate, grants) = (&fleet.a, fleet.a.control.grants());
    let token = add(gate, "c", &["10.0.0.1"]).await.token;
    assert!(grants.is_fresh(gate.clock.now().after(STALENESS / 2)));
    fleet.database.drop().await;
    gate.clock.advance(STALENESS);
    assert!(!grants.is_fresh(gate.clock.now()));
    let revoked = gate.control.revoke(ACTOR, name("c")).await;
    assert!(
        matches!(revoked, Err(Refused::NotWritten(_))),
        "{revoked:?}"
    );
    assert!(grant(gate, &token).is_none() && entries(gate).is_empty());
}

struct Fleet {
    database: Database,
    clock: Clock,
    a: Gate,
    b: Gate,
}

impl Fleet {
    async fn start() -> Option<Self> {
        let database = Database::new().await?;
        let clock = Clock::stopped(Stamp(1_000_000));
        // Acceptance 117 (gate's own part): of two that start together, one migrates.
        let (a, b) = tokio::join!(host(&database, "a", &clock), host(&database, "b", &clock));
        Some(Self {
            database,
            clock,
            a,
            b,
        })
    }

    async fn join(&self, name: &str) -> Gate {
        host(&self.database, name, &self.clock).await
    }
}

async fn host(database: &Database, name: &str, clock: &Clock) -> Gate {
    let store = Postgres::open(&database.url(), Some(STALENESS))
        .await
        .unwrap();
    Gate::on(Store::Postgres(store), name, clock.clone(), None).await
}

/// Waits until a host is there.
async fn until(gate: &Gate, revision: Revision) {
    while gate.control.grants().revision() < revision {
        tokio::task::yield_now().await;
    }
}

fn shown(gate: &Gate) -> Vec<String> {
    let grants = gate.control.grants();
    let clients = grants.clients().into_iter();
    let clients = clients.map(|grant| format!("{:?}", grant.record()));
    let rollouts = grants.rollouts().into_iter();
    let rollouts = rollouts.map(|grant| format!("{:?}", grant.record()));
    clients.chain(rollouts).collect()
}
