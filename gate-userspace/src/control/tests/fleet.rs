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
    let endings = |gate: &Gate| Origin::ALL.map(|origin| gate.control.endings(origin).count());
    assert_eq!((endings(&fleet.a), endings(&fleet.b)), ([1, 0], [0, 1]));
    let hosts = done
        .hosts
        .iter()
        .map(|host| (host.host.as_str(), host.state));
    let all_done = [("here", HostState::Done), ("there", HostState::Done)];
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
        Source::on(&"here".parse().unwrap(), "172.17.0.2").unwrap(),
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

/// It is alive and lets nobody in who should be out, but it must not say that its kernel does.
#[tokio::test]
async fn a_host_whose_packet_ring_failed_is_behind_until_it_is_mended() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let mut ask = new_client("c", &[]);
    ask.sources = vec![Source::anywhere("203.0.113.0/24").unwrap()];
    let added = fleet.a.control.add_client(ACTOR, ask).await.unwrap();
    until(&fleet.b, added.revision).await;
    fleet.b.rings.state().broken = true;
    let mut done = fleet.a.control.revoke(ACTOR, name("c")).await.unwrap();
    until(&fleet.b, done.revision).await;
    assert!(grant(&fleet.b, &added.token).is_none());
    let control = &fleet.a.control;
    control
        .wait_for_hosts(&mut done, Duration::ZERO)
        .await
        .unwrap();
    let state = |done: &Done| done.hosts.iter().map(|host| host.state).collect::<Vec<_>>();
    assert_eq!(state(&done), [HostState::Done, HostState::Behind]);
    assert_eq!(entries(&fleet.b), ["203.0.113.0/24"]);
    fleet.b.rings.state().broken = false;
    let patience = Duration::from_secs(30);
    control.wait_for_hosts(&mut done, patience).await.unwrap();
    assert_eq!(state(&done), [HostState::Done, HostState::Done]);
    assert!(entries(&fleet.b).is_empty());
}

/// Acceptance 122: in a fleet no row is sealed with a key that a host does not hold.
#[tokio::test]
async fn a_master_key_is_taken_when_every_host_holds_it() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let mut ask = new_client("c", &[]);
    ask.key = UpstreamKey::new("sk-first-upstream-key");
    fleet.a.control.add_client(ACTOR, ask).await.unwrap();
    let new = MasterKey::generate().unwrap();
    let (id, copy) = (new.id(), new.to_base64());
    let ring = |gate: &Gate| Arc::clone(gate.control.keyring());
    ring(&fleet.a).learn([new]);
    assert_eq!(ring(&fleet.a).standby(), Some(id));
    let refused = fleet.a.control.set_master(ACTOR, id).await.unwrap_err();
    assert!(
        matches!(&refused, Refused::MasterMissing { hosts, .. } if hosts[..] == ["there"]),
        "{refused:?}"
    );
    ring(&fleet.b).learn([copy.parse().unwrap()]);
    let chosen = loop {
        match fleet.a.control.set_master(ACTOR, id).await {
            Ok(revision) => break revision,
            Err(Refused::MasterMissing { .. }) => tokio::task::yield_now().await,
            Err(why) => panic!("{why:?}"),
        }
    };
    until(&fleet.b, chosen).await;
    assert_eq!(ring(&fleet.b).current(), id);
    let done = fleet.b.control.reseal(ACTOR).await.unwrap();
    assert_eq!((done.keys, done.left, done.master), (1, 0, id));
    until(&fleet.a, done.revision).await;
    let checks = fleet.a.control.check_keys();
    assert!(checks.iter().all(|check| check.opens == Opens::Yes));
    assert!(!fleet.a.control.has_older_keys());
}

/// What was revoked in between must not stay because nobody remembers that it was.
#[tokio::test]
async fn a_host_that_was_away_too_long_starts_over() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let gone = add(&fleet.a, "gone", &[]).await;
    let kept = add(&fleet.a, "kept", &[]).await;
    let opened = open(&fleet.a, "r", "kept").await;
    let store = Postgres::new(&fleet.database.url(), Some(STALENESS)).unwrap();
    let keyring = Keyring::new(fakes::master(), Vec::new());
    let (store, clock) = (Store::Postgres(store), fleet.clock.clone());
    let away = Box::pin(Gate::still(store, "away", clock, None, keyring)).await;
    let (away, mut worker) = away.unwrap();
    assert!(alive(&away, &gone.token) && alive(&away, &opened.tokens[0]));
    fleet.a.control.revoke(ACTOR, name("gone")).await.unwrap();
    let closing = Closing::Ids(vec![id("r")]);
    fleet.a.control.close(ACTOR, closing).await.unwrap();
    fleet.a.control.forget(Stamp(i64::MAX)).await.unwrap();
    let last = add(&fleet.a, "last", &[]).await;
    worker.writer.follow().await.unwrap();
    assert!(grant(&away, &gone.token).is_none() && grant(&away, &opened.tokens[0]).is_none());
    assert!(alive(&away, &kept.token) && alive(&away, &last.token));
    assert_eq!(away.control.grants().revision(), last.revision);
}

/// With the grants that `store host-role` prints, and no more.
#[tokio::test]
async fn a_gate_with_the_role_of_a_host_follows_and_cannot_provision() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let url = fleet.database.with_role(&crate::store::host_grants).await;
    let store = Store::Postgres(Postgres::new(&url, Some(STALENESS)).unwrap());
    let gate = Gate::on(store, "reader", fleet.clock.clone(), None).await;
    let mut ask = new_client("c", &[]);
    ask.sources = vec![Source::anywhere("203.0.113.0/24").unwrap()];
    ask.ttl = Some(Duration::from_secs(30));
    let added = fleet.a.control.add_client(ACTOR, ask).await.unwrap();
    until(&gate, added.revision).await;
    assert!(alive(&gate, &added.token));
    let refused = gate.control.revoke(ACTOR, name("c")).await.unwrap_err();
    assert!(matches!(refused, Refused::HostRole), "{refused:?}");
    let refused = gate.control.add_client(ACTOR, new_client("d", &[])).await;
    assert_eq!(refused.unwrap_err().status(), 403);
    // What it does to itself is no provisioning: a brake, and the end of a lease.
    let shut = gate.control.panic(ACTOR).await.unwrap();
    assert!(!shut.warnings.is_empty());
    let opened = fleet.a.control.panic(ACTOR).await.unwrap();
    fleet.a.control.open(ACTOR).await.unwrap();
    until(&gate, opened.revision).await;
    assert_eq!(gate.control.grants().mode(), Mode::Closed);
    gate.control.open(ACTOR).await.unwrap();
    assert_eq!(gate.control.grants().mode(), Mode::Enforce);
    fleet.clock.advance(Duration::from_secs(30));
    gate.control.sweep().await.unwrap();
    assert!(grant(&gate, &added.token).is_none() && entries(&gate).is_empty());
    let ended = fleet.a.control.sweep().await;
    until(&gate, fleet.a.control.grants().revision()).await;
    assert!(ended.is_ok() && gate.control.grants().is_fresh(fleet.clock.now()));
    // Not by way of SQL either.
    assert!(
        fleet
            .database
            .refuses(&url, "DELETE FROM gate_clients")
            .await
    );
    assert!(
        fleet
            .database
            .refuses(&url, "UPDATE gate_state SET closed = 0")
            .await
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

/// A server that restarts costs a moment, and no change that was answered.
#[tokio::test]
async fn broken_connections_are_made_anew() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    add(&fleet.a, "c", &[]).await;
    let mut opened = Vec::new();
    for round in 0..20 {
        if round % 5 == 2 {
            fleet.database.break_connections().await;
        }
        let ask = new_rollout(&format!("r{round}"), "c", &[]);
        match fleet.a.control.open_rollouts(ACTOR, vec![ask]).await {
            Ok(openings) => opened.extend(openings),
            Err(why) => assert_eq!(why.status(), 503, "{why:?}"),
        }
    }
    assert!(opened.len() >= 12, "{}", opened.len());
    let newest = opened.last().unwrap().revision;
    until(&fleet.b, newest).await;
    for opening in opened {
        assert!(fleet.b.control.rollout_named(&opening.rollout.id).is_ok());
    }
}

/// Acceptance 100 (control's part).
#[tokio::test]
async fn a_store_that_comes_late_needs_no_restart() {
    let Some(database) = Database::new().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let road = folder.path().join("road");
    let url = database.url_by(&road);
    let clock = Clock::stopped(Stamp(1_000_000));
    let store = Store::Postgres(Postgres::new(&url, Some(STALENESS)).unwrap());
    let gate = Gate::on(store, "here", clock.clone(), None).await;
    assert!(!gate.control.grants().is_fresh(clock.now()));
    let refused = gate.control.revoke(ACTOR, name("c")).await.unwrap_err();
    assert_eq!((refused.status(), refused.kind()), (503, "store"));
    gate.control.panic(ACTOR).await.unwrap_err();
    std::os::unix::fs::symlink(Database::folder(), &road).unwrap();
    while !gate.control.grants().is_fresh(clock.now()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        gate.control.grants().mode(),
        Mode::Closed,
        "the panic stays"
    );
    add(&gate, "c", &["10.0.0.1"]).await;
    assert_eq!(entries(&gate), ["10.0.0.1/32"]);
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
    let heard = gate.control.store_heard();
    assert_eq!((heard.age, heard.bound), (Duration::ZERO, Some(STALENESS)));
    fleet.database.drop().await;
    gate.clock.advance(STALENESS);
    assert_eq!(gate.control.store_heard().age, STALENESS);
    assert!(!grants.is_fresh(gate.clock.now()));
    let revoked = gate.control.revoke(ACTOR, name("c")).await;
    assert!(
        matches!(revoked, Err(Refused::NotWritten(_))),
        "{revoked:?}"
    );
    assert!(grant(gate, &token).is_none() && entries(gate).is_empty());
}

/// A lease ends on every host when it ends on the one whose clock is ahead: early where a clock is
/// behind, late nowhere.
#[tokio::test]
async fn clocks_that_differ_never_lengthen_a_lease() {
    let Some(fleet) = Fleet::start().await else {
        return;
    };
    let behind = Clock::stopped(Stamp(1_000_000 - 3_600_000));
    let behind = host(&fleet.database, "behind", &behind).await;
    add(&fleet.a, "c", &[]).await;
    let mut ask = new_rollout("r", "c", &[]);
    ask.ttl = Some(Duration::from_secs(5));
    let opened = fleet.a.control.open_rollouts(ACTOR, vec![ask]).await;
    let opened = opened.unwrap().pop().unwrap();
    for gate in [&fleet.b, &behind] {
        until(gate, opened.revision).await;
        assert!(alive(gate, &opened.tokens[0]));
    }
    fleet.clock.advance(Duration::from_secs(6));
    // Over for whoever asks, before anybody has swept.
    assert!(!alive(&fleet.a, &opened.tokens[0]));
    assert_eq!(fleet.a.control.sweep().await.unwrap(), 1);
    let ended = fleet.a.control.grants().revision();
    until(&behind, ended).await;
    assert!(grant(&behind, &opened.tokens[0]).is_none());
    // And a host whose clock is ahead does not let in what is over by it.
    let ahead = Clock::stopped(Stamp(1_000_000 + 3_600_000));
    let mut ask = new_rollout("s", "c", &[]);
    ask.ttl = Some(Duration::from_mins(1));
    let opened = fleet.a.control.open_rollouts(ACTOR, vec![ask]).await;
    let opened = opened.unwrap().pop().unwrap();
    let ahead = host(&fleet.database, "ahead", &ahead).await;
    assert!(grant(&ahead, &opened.tokens[0]).is_none());
}

pub(super) struct Fleet {
    database: Database,
    clock: Clock,
    pub(super) a: Gate,
    pub(super) b: Gate,
}

impl Fleet {
    pub(super) async fn start() -> Option<Self> {
        let database = Database::new().await?;
        let clock = Clock::stopped(Stamp(1_000_000));
        // Acceptance 117 (gate's own part): of two that start together, one migrates.
        let (a, b) = tokio::join!(
            host(&database, "here", &clock),
            host(&database, "there", &clock)
        );
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
    let store = Postgres::new(&database.url(), Some(STALENESS)).unwrap();
    Box::pin(Gate::on(Store::Postgres(store), name, clock.clone(), None)).await
}

/// Waits until a host is there.
pub(super) async fn until(gate: &Gate, revision: Revision) {
    while gate.control.grants().revision() < revision {
        tokio::task::yield_now().await;
    }
}

pub(super) fn shown(gate: &Gate) -> Vec<String> {
    let grants = gate.control.grants();
    let clients = grants.clients().into_iter();
    let clients = clients.map(|grant| format!("{:?}", grant.record()));
    let rollouts = grants.rollouts().into_iter();
    let rollouts = rollouts.map(|grant| format!("{:?}", grant.record()));
    clients.chain(rollouts).collect()
}
