//! A store that comes and goes: nothing that ended stays open, and no older record comes back.

use super::{
    fakes::{ACTOR, Gate, new_client, new_rollout, source},
    *,
};
use crate::clock::Stamp;

#[tokio::test]
async fn a_client_is_revoked_although_another_change_of_it_waits() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &["10.0.0.1"]).await;
    let owner = Owner::Client(name("a"));
    let turned = gate.control.rotate(ACTOR, owner, turnover(60)).await;
    gate.set_full(true).await;
    gate.clock.advance(Duration::from_mins(1));
    gate.control.sweep().await.unwrap();
    let revoked = gate.control.revoke(ACTOR, name("a")).await;
    assert!(
        matches!(revoked, Err(Refused::NotWritten(_))),
        "{revoked:?}"
    );
    assert!(grant(&gate, &turned.unwrap().tokens[0]).is_none());
    assert!(entries(&gate).is_empty());
    let log = gate.rings.take_log().concat();
    assert!(log.contains("cut 1 Revoked"), "{log}");
}

#[tokio::test]
async fn a_rollout_is_closed_although_another_change_of_it_waits() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &[]).await;
    open(&gate, "r", "a").await;
    let owner = Owner::Rollout(id("r"));
    let turned = gate.control.rotate(ACTOR, owner, turnover(60)).await;
    gate.set_full(true).await;
    gate.clock.advance(Duration::from_mins(1));
    gate.control.sweep().await.unwrap();
    let closing = Closing::Ids(vec![id("r")]);
    let closed = gate.control.close(ACTOR, closing).await;
    assert!(matches!(closed, Err(Refused::NotWritten(_))), "{closed:?}");
    assert!(grant(&gate, &turned.unwrap().tokens[0]).is_none());
}

/// Asking again for what has ended does not spare the others.
#[tokio::test]
async fn those_still_open_are_closed_beside_those_that_ended_unwritten() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &[]).await;
    open(&gate, "r1", "a").await;
    open(&gate, "r2", "a").await;
    gate.set_full(true).await;
    for ids in [vec![id("r1")], vec![id("r1"), id("r2")]] {
        let closed = gate.control.close(ACTOR, Closing::Ids(ids)).await;
        assert!(matches!(closed, Err(Refused::NotWritten(_))), "{closed:?}");
    }
    assert_eq!(gate.control.grants().counts(), (1, 0));
    let unknown = Closing::Ids(vec![id("r3")]);
    let unknown = gate.control.close(ACTOR, unknown).await;
    assert!(matches!(unknown, Err(Refused::NoRollout(_))), "{unknown:?}");
}

#[tokio::test]
async fn an_open_that_failed_does_not_forget_the_panic() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    gate.set_full(true).await;
    gate.control.panic(ACTOR).await.unwrap_err();
    gate.control.open(ACTOR).await.unwrap_err();
    assert_eq!(gate.control.grants().mode(), Mode::Closed);
    gate.set_full(false).await;
    gate.control.sweep().await.unwrap();
    assert!(gate.store.snapshot().await.unwrap().closed);
    gate.control.open(ACTOR).await.unwrap();
    assert!(!gate.store.snapshot().await.unwrap().closed);
}

/// The store answers again between two tries, and a later change is there first.
#[tokio::test]
async fn what_waited_does_not_overwrite_a_later_change() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::stopped(Stamp(1_000_000));
    let store = fakes::open(folder.path()).await;
    let keyring = Keyring::new(fakes::master(), Vec::new());
    let gate = Gate::still(store, "here", clock, None, keyring).await;
    let (gate, mut worker) = gate.unwrap();
    let writer = &mut worker.writer;
    let ask = new_client("a", &["10.0.0.1", "10.0.0.2"]);
    writer.add_client(ACTOR, ask).await.unwrap();
    let ask = new_rollout("r", "a", &[]);
    writer.open_rollouts(ACTOR, vec![ask]).await.unwrap();
    for owner in [Owner::Client(name("a")), Owner::Rollout(id("r"))] {
        writer.rotate(ACTOR, &owner, turnover(60)).await.unwrap();
    }
    gate.set_full(true).await;
    gate.clock.advance(Duration::from_mins(1));
    assert_eq!(writer.sweep().await, 2);
    gate.set_full(false).await;
    let edit = SourceEdit {
        add: Vec::new(),
        remove: vec![source("10.0.0.2")],
    };
    let edited = writer.edit_sources(ACTOR, &name("a"), edit).await;
    writer.drain(ACTOR, &id("r")).await.unwrap();
    writer.catch_up().await;
    let stored = gate.store.snapshot().await.unwrap();
    assert_eq!(stored.clients[0].sources, edited.unwrap().0.sources);
    assert_eq!(stored.rollouts[0].phase, Phase::Draining);
    assert_eq!(stored.clients[0].tokens.len(), 1);
    assert_eq!(stored.rollouts[0].tokens.len(), 1);
}

/// Of several changes of one client that wait, the last is written.
#[tokio::test]
async fn the_last_of_what_waits_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &[]).await;
    let owner = Owner::Client(name("a"));
    gate.control
        .rotate(ACTOR, owner, turnover(60))
        .await
        .unwrap();
    gate.set_full(true).await;
    gate.clock.advance(Duration::from_mins(1));
    gate.control.sweep().await.unwrap();
    gate.control.disable(ACTOR, name("a")).await.unwrap_err();
    gate.set_full(false).await;
    gate.control.sweep().await.unwrap();
    let stored = gate.store.snapshot().await.unwrap();
    assert!(!stored.clients[0].enabled);
    assert_eq!(stored.clients[0].tokens.len(), 1);
}

/// The store may keep the writer waiting; no lease, revocation or panic waits with it.
#[tokio::test]
async fn a_writer_that_waits_keeps_no_ending() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &["10.0.0.1"]).await;
    let mut short = new_rollout("r", "a", &[]);
    short.ttl = Some(Duration::from_secs(1));
    let opened = gate.control.open_rollouts(ACTOR, vec![short]).await;
    let token = opened.unwrap()[0].rollout.tokens[0].id;
    let revoked = add(&gate, "b", &[]).await;
    gate.rings.state().streams.insert(token, 1);
    let (release, released) = oneshot::channel::<()>();
    let waiting = gate.control.emergency(move |_writer| {
        Box::pin(async move {
            _ = released.await;
            Ok(())
        })
    });
    // Opens again what the brake shut, if it is let.
    let open = gate.control.open(ACTOR);
    let seen = async {
        gate.clock.advance(Duration::from_secs(1));
        until(|| gate.rings.state().streams.is_empty()).await;
        let cut = gate.rings.take_log().concat();
        assert!(cut.contains("cut 1 LeaseOver"), "{cut}");
        let mut revoke = std::pin::pin!(gate.control.revoke(ACTOR, name("b")));
        tokio::select! {
            biased;
            early = &mut revoke => panic!("nobody wrote that down: {early:?}"),
            () = until(|| gate.rings.take_log().concat().contains("cut 1 Revoked")) => {}
        }
        let dead = grant(&gate, &revoked.token).unwrap().live(gate.clock.now());
        assert!(matches!(dead, Err(Dead::Revoked)), "{dead:?}");
        let mut panic = std::pin::pin!(gate.control.panic(ACTOR));
        tokio::select! {
            biased;
            early = &mut panic => panic!("nobody wrote that down: {early:?}"),
            () = until(|| gate.rings.state().mode == Some(Mode::Closed)) => {}
        }
        assert_eq!(gate.control.grants().mode(), Mode::Closed);
        release.send(()).unwrap();
        revoke.await.unwrap();
        panic.await.unwrap()
    };
    let (waited, opened, _shut) = tokio::join!(waiting, open, seen);
    waited.unwrap();
    opened.unwrap();
    assert_eq!(gate.control.grants().mode(), Mode::Closed);
    assert_eq!(gate.rings.state().mode, Some(Mode::Closed));
    assert!(gate.store.snapshot().await.unwrap().closed);
    gate.control.open(ACTOR).await.unwrap();
    assert_eq!(gate.control.grants().mode(), Mode::Enforce);
}

/// A broken run ends with the test runner's patience.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        // Between two looks.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
