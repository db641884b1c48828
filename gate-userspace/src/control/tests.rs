//! What a change does on its way, against rings that remember.

mod fleet;
mod interleavings;
mod outage;

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    fakes::{ACTOR, Gate, new_client, new_rollout, source},
    *,
};
use crate::{
    client::Kind,
    clock::Stamp,
    grants::Dead,
    rollout::Phase,
    secret::{Digest, Keyring, MasterKey, Unusable},
    settings::Mode,
    store::Filter,
};

/// Acceptance 103 (second half): usable as soon as `add` has answered.
#[tokio::test]
async fn an_added_client_is_in_the_table_and_in_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let added = add(&gate, "a", &["10.0.0.5"]).await;
    assert!(grant(&gate, &added.token).is_some());
    assert_eq!(entries(&gate), ["10.0.0.5/32"]);
    assert_eq!(added.revision, Revision(1));
}

/// Acceptance 30: of the documented form, different for every call.
#[tokio::test]
async fn every_opening_has_a_token_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &[]).await;
    let (first, second) = (open(&gate, "r1", "a").await, open(&gate, "r2", "a").await);
    let (first, second) = (&first.tokens[0].text, &second.tokens[0].text);
    assert_ne!(**first, **second);
    assert!(
        first.starts_with("gate_") && first.len() == 66,
        "{}",
        first.len()
    );
}

/// Acceptance 30 and 31.
#[tokio::test]
async fn foreign_tokens_are_adopted_and_unusable_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &[]).await;
    let forms = [
        "0123456789abcdef".repeat(4),
        "aZ09_-".repeat(8)[..43].to_owned(),
    ];
    for (index, text) in forms.iter().enumerate() {
        let opened = adopt(&gate, &format!("r{index}"), text).await.unwrap();
        assert_eq!(*opened[0].tokens[0].text, *text);
        assert!(
            gate.control
                .grants()
                .find(&Digest::of(text.as_bytes()))
                .is_some()
        );
    }
    for (text, why) in [
        ("", Unusable::Empty),
        ("   ", Unusable::Empty),
        ("intercepted", Unusable::Placeholder),
        ("short", Unusable::Short { length: 5 }),
    ] {
        let refused = adopt(&gate, "bad", text).await;
        assert!(
            matches!(refused, Err(Refused::Token(given)) if given == why),
            "{text:?}"
        );
    }
    let twice = adopt(&gate, "again", &forms[0]).await;
    assert!(matches!(twice, Err(Refused::TokenTaken)));
}

#[tokio::test]
async fn revoking_ends_everything_in_the_order_of_the_law() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let added = add(&gate, "a", &["10.0.0.5"]).await;
    let opened = open(&gate, "r", "a").await;
    gate.rings.state().streams.insert(opened.tokens[0].id, 2);
    gate.rings.take_log();
    let done = gate.control.revoke(ACTOR, name("a")).await.unwrap();
    let mut log = gate.rings.take_log();
    // Before the writer's turn: the tokens are dead, and still in the table or not.
    assert!(log.remove(0).starts_with("cut 2 Revoked"));
    assert_eq!(
        log,
        [
            "cut 2 Revoked (store 2, table 0)",
            "shut 10.0.0.5/32",
            "destroy 10.0.0.5/32 keep []"
        ]
    );
    assert_eq!(
        (done.streams, done.entries_removed, done.connections),
        (2, 1, 3)
    );
    assert_eq!((done.rollouts, done.tokens), (1, 2));
    assert!(grant(&gate, &added.token).is_none());
    assert!(matches!(
        gate.control.rollout_named(&id("r")),
        Err(Refused::NoRollout(_))
    ));
}

/// Acceptance 171.
#[tokio::test]
async fn a_neighbour_behind_the_same_address_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &["10.0.0.5"]).await;
    let b = add(&gate, "b", &["10.0.0.5"]).await;
    gate.rings.take_log();
    gate.control.revoke(ACTOR, name("a")).await.unwrap();
    // The entry stays, and is booked on who is left.
    let mut log = gate.rings.take_log();
    assert!(log.remove(0).starts_with("cut 1 Revoked"));
    assert_eq!(
        log,
        ["cut 1 Revoked (store 2, table 1)", "open 10.0.0.5/32"]
    );
    assert_eq!(entries(&gate), ["10.0.0.5/32"]);
    assert!(grant(&gate, &b.token).is_some());
}

#[tokio::test]
async fn connections_that_another_grant_still_lists_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "wide", &["10.0.0.0/24"]).await;
    add(&gate, "one", &["10.0.0.5"]).await;
    add(&gate, "other", &["10.0.0.6"]).await;
    gate.rings.take_log();
    gate.control.revoke(ACTOR, name("one")).await.unwrap();
    assert!(!gate.rings.take_log().concat().contains("destroy"));
    gate.control.revoke(ACTOR, name("wide")).await.unwrap();
    let log = gate.rings.take_log().concat();
    assert!(
        log.contains("destroy 10.0.0.0/24 keep [10.0.0.6/32]"),
        "{log}"
    );
}

/// Acceptance 161 (second half).
#[tokio::test]
async fn what_the_ring_has_no_room_for_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &["10.0.0.1"]).await;
    gate.rings.state().room = Some(2);
    let refused = gate
        .control
        .add_client(ACTOR, new_client("b", &["10.0.0.2", "10.0.0.3"]));
    let refused = refused.await.unwrap_err();
    assert_eq!((refused.status(), refused.kind()), (507, "full"));
    assert!(
        refused
            .to_string()
            .contains("nothing of client `b` was kept")
    );
    let bulk = ["10.0.1.1", "10.0.1.2"].map(|ip| new_rollout(ip, "a", &[ip]));
    let bulk = gate.control.open_rollouts(ACTOR, bulk.into()).await;
    assert_eq!(bulk.unwrap_err().status(), 507);
    assert_eq!(entries(&gate), ["10.0.0.1/32"]);
    let snapshot = gate.store.snapshot().await.unwrap();
    assert_eq!((snapshot.clients.len(), snapshot.rollouts.len()), (1, 0));
    assert_eq!(gate.control.grants().counts(), (1, 0));
    gate.rings.state().room = None;
    add(&gate, "b", &["10.0.0.2", "10.0.0.3"]).await;
}

/// A ring that does not answer does not keep a revocation from ending the rest.
#[tokio::test]
async fn a_broken_ring_is_named_and_the_token_is_dead_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let added = add(&gate, "a", &["10.0.0.1"]).await;
    gate.rings.state().broken = true;
    let done = gate.control.revoke(ACTOR, name("a")).await.unwrap();
    assert!(done.warnings[0].contains("entries may still be open"));
    assert_eq!(done.hosts[0].state, HostState::Behind);
    assert!(grant(&gate, &added.token).is_none());
}

/// Acceptance 24.
#[tokio::test]
async fn a_removed_source_narrows_and_the_last_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let added = add(&gate, "a", &["10.0.0.1", "10.0.0.2"]).await;
    gate.rings.take_log();
    let remove = |text| SourceEdit {
        add: Vec::new(),
        remove: vec![source(text)],
    };
    let edit = |text| gate.control.edit_sources(ACTOR, name("a"), remove(text));
    edit("10.0.0.1").await.unwrap();
    assert_eq!(
        gate.rings.take_log(),
        [
            "narrow 1",
            "shut 10.0.0.1/32",
            "destroy 10.0.0.1/32 keep []"
        ]
    );
    let last = edit("10.0.0.2").await.unwrap_err();
    assert_eq!((last.status(), last.kind()), (409, "last_source"));
    assert!(last.hint().contains("client revoke a"));
    assert_eq!(edit("10.9.9.9").await.unwrap_err().status(), 404);
    assert!(grant(&gate, &added.token).is_some());
}

/// Acceptance 23 (control's part).
#[tokio::test]
async fn an_added_source_opens_and_cuts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &["10.0.0.1"]).await;
    gate.rings.take_log();
    let edit = SourceEdit {
        add: vec![source("10.0.0.2")],
        remove: Vec::new(),
    };
    let edited = gate.control.edit_sources(ACTOR, name("a"), edit).await;
    assert_eq!(edited.unwrap().0.sources.len(), 2);
    assert_eq!(gate.rings.take_log(), ["open 10.0.0.2/32"]);
}

/// Acceptance 119.
#[tokio::test]
async fn a_taken_or_unknown_name_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &[]).await;
    let taken = gate.control.add_client(ACTOR, new_client("a", &[])).await;
    let taken = taken.unwrap_err();
    assert_eq!(taken.status(), 409);
    assert!(taken.hint().contains("client rotate a") && taken.hint().contains("key set a"));
    let owner = Owner::Client(name("nobody"));
    let unknown = gate.control.rotate(ACTOR, owner, turnover(0)).await;
    let unknown = unknown.unwrap_err();
    assert_eq!(unknown.status(), 404);
    assert!(unknown.hint().contains("client add nobody"));
}

/// Acceptance 120 (second half).
#[tokio::test]
async fn with_grace_both_tokens_are_good_until_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let old = add(&gate, "a", &[]).await.token;
    let owner = || Owner::Client(name("a"));
    let turned = gate
        .control
        .rotate(ACTOR, owner(), turnover(60))
        .await
        .unwrap();
    let new = &turned.tokens[0];
    assert!(alive(&gate, &old) && alive(&gate, new));
    gate.clock.advance(Duration::from_mins(1));
    assert_eq!(gate.control.sweep().await.unwrap(), 1);
    assert!(grant(&gate, &old).is_none() && alive(&gate, new));
    gate.rings.take_log();
    gate.control
        .rotate(ACTOR, owner(), turnover(0))
        .await
        .unwrap();
    assert_eq!(gate.rings.take_log(), ["cut 1 Revoked (store 1, table 1)"]);
    assert!(grant(&gate, new).is_none());
}

/// Acceptance 170 (control's part).
#[tokio::test]
async fn a_lease_that_is_over_ends_like_a_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &["10.0.0.1"]).await;
    let mut ask = new_rollout("r", "a", &["10.0.0.2"]);
    ask.ttl = Some(Duration::from_secs(10));
    gate.control.open_rollouts(ACTOR, vec![ask]).await.unwrap();
    let owner = Owner::Rollout(id("r"));
    let renewed = gate
        .control
        .renew(ACTOR, owner, Duration::from_secs(20))
        .await;
    gate.clock.advance(Duration::from_secs(10));
    assert_eq!(gate.control.sweep().await.unwrap(), 0);
    assert_eq!(
        renewed
            .unwrap()
            .expires
            .unwrap()
            .until(gate.clock.now())
            .as_secs(),
        10
    );
    gate.clock.advance(Duration::from_secs(10));
    gate.rings.take_log();
    assert_eq!(gate.control.sweep().await.unwrap(), 1);
    let log = gate.rings.take_log();
    assert_eq!(log[0], "cut 1 LeaseOver (store 2, table 1)");
    assert_eq!(entries(&gate), ["10.0.0.1/32"]);
    assert_eq!(gate.store.snapshot().await.unwrap().rollouts.len(), 0);
}

/// Acceptance 160.
#[tokio::test]
async fn a_restart_keeps_what_lives_and_leaves_out_what_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let kept = add(&gate, "kept", &["10.0.0.1"]).await.token;
    let mut short = new_client("short", &["10.0.0.2"]);
    short.ttl = Some(Duration::from_secs(5));
    let short = gate.control.add_client(ACTOR, short).await.unwrap().token;
    open(&gate, "r", "kept").await;
    let clock = gate.clock.clone();
    drop(gate);
    clock.advance(Duration::from_secs(5));
    let gate = Gate::with(folder.path(), clock).await;
    assert!(alive(&gate, &kept) && grant(&gate, &short).is_none());
    assert!(gate.control.rollout_named(&id("r")).is_ok());
    assert_eq!(entries(&gate), ["10.0.0.1/32"]);
    add(&gate, "short", &[]).await;
}

/// A line of the trail that changes nothing else, and none where there is nothing to tell.
#[tokio::test]
async fn refusals_are_written_down_by_their_class() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let counts = BTreeMap::from([("UNAUTHORIZED".to_owned(), 3)]);
    gate.control.note_refusals(counts).await.unwrap();
    gate.control.note_refusals(BTreeMap::new()).await.unwrap();
    let filter = Filter {
        limit: 10,
        ..Filter::default()
    };
    let lines = gate.control.audit(filter).await.unwrap();
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(
        (line.kind.as_str(), line.actor.as_str()),
        ("gate.refusals", "gate")
    );
    assert_eq!(line.detail, json!({"UNAUTHORIZED": 3}));
}

/// Acceptance 173 (control's part).
#[tokio::test]
async fn panic_survives_a_restart_and_open_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    gate.control.panic(ACTOR).await.unwrap();
    assert_eq!(gate.rings.take_log().last().unwrap(), "cut all Panic");
    let clock = gate.clock.clone();
    drop(gate);
    let gate = Gate::with(folder.path(), clock).await;
    assert_eq!(gate.control.grants().mode(), Mode::Closed);
    assert_eq!(gate.rings.state().mode, Some(Mode::Closed));
    gate.control.open(ACTOR).await.unwrap();
    assert_eq!(gate.control.grants().mode(), Mode::Enforce);
    assert_eq!(gate.rings.state().mode, Some(Mode::Enforce));
}

#[tokio::test]
async fn a_disabled_client_is_shut_out_until_it_is_enabled() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let token = add(&gate, "a", &["10.0.0.1"]).await.token;
    gate.control.disable(ACTOR, name("a")).await.unwrap();
    let dead = grant(&gate, &token).unwrap().live(gate.clock.now());
    assert_eq!(dead, Err(Dead::Disabled));
    assert!(entries(&gate).is_empty());
    let refused = gate
        .control
        .open_rollouts(ACTOR, vec![new_rollout("r", "a", &[])]);
    assert!(matches!(refused.await, Err(Refused::Disabled(_))));
    gate.control.enable(ACTOR, name("a")).await.unwrap();
    assert!(alive(&gate, &token));
    assert_eq!(entries(&gate), ["10.0.0.1/32"]);
}

#[tokio::test]
async fn many_are_opened_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &[]).await;
    let many = |last: &str| {
        let ids = ["r0", "r1", last].map(|id| new_rollout(id, "a", &[]));
        gate.control.open_rollouts(ACTOR, ids.into())
    };
    let refused = many("r1").await.unwrap_err();
    assert!(
        refused.to_string().starts_with("item 2: rollout `r1`"),
        "{refused}"
    );
    assert_eq!(gate.control.grants().counts(), (1, 0));
    let opened = many("r2").await.unwrap();
    assert!(opened.iter().all(|opening| opening.revision == Revision(2)));
    let one_missing = Closing::Ids(vec![id("r0"), id("gone")]);
    assert_eq!(
        gate.control
            .close(ACTOR, one_missing)
            .await
            .unwrap_err()
            .status(),
        404
    );
    let done = gate
        .control
        .close(ACTOR, Closing::AllOf(name("a")))
        .await
        .unwrap();
    assert_eq!((done.rollouts, gate.control.grants().counts()), (3, (1, 0)));
}

#[tokio::test]
async fn a_draining_rollout_stays_until_it_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &[]).await;
    open(&gate, "r", "a").await;
    let first = gate.control.drain(ACTOR, id("r")).await.unwrap();
    let again = gate.control.drain(ACTOR, id("r")).await.unwrap();
    assert_eq!(first, again, "draining twice is no change");
    let phase = gate.control.rollout_named(&id("r")).unwrap().record().phase;
    assert_eq!(phase, Phase::Draining);
}

/// Acceptance 121 (control's part).
#[tokio::test]
async fn keys_are_sealed_for_their_owner_and_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let mut ask = new_client("a", &[]);
    ask.key = UpstreamKey::new("sk-first-upstream-key");
    gate.control.add_client(ACTOR, ask).await.unwrap();
    let key = UpstreamKey::new("sk-second-upstream-key").unwrap();
    gate.control.set_key(ACTOR, name("a"), key).await.unwrap();
    let mut scoped = new_rollout("r", "a", &[]);
    scoped.tokens = vec![WantedToken {
        kind: Kind::Model,
        token: None,
        key: UpstreamKey::new("sk-of-the-token"),
    }];
    gate.control
        .open_rollouts(ACTOR, vec![scoped])
        .await
        .unwrap();
    let owner = Owner::Rollout(id("r"));
    gate.control
        .rotate(ACTOR, owner, turnover(0))
        .await
        .unwrap();
    let checks = gate.control.check_keys();
    assert_eq!(checks.len(), 2);
    assert!(
        checks.iter().all(|check| check.opens == Opens::Yes),
        "{checks:?}"
    );
}

#[tokio::test]
async fn only_configured_upstreams_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let ask = |upstream: &str| {
        let mut ask = new_client("a", &[]);
        ask.upstream = Some(upstream.parse().unwrap());
        gate.control.add_client(ACTOR, ask)
    };
    let refused = ask("other").await.unwrap_err();
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.hint(), "configured are: provider");
    gate.control
        .set_upstreams(BTreeSet::from(["other".parse().unwrap()]));
    ask("other").await.unwrap();
}

#[tokio::test]
async fn what_lives_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let kept = add(&gate, "kept", &[]).await;
    open(&gate, "r", "kept").await;
    add(&gate, "gone", &[]).await;
    gate.control.revoke(ACTOR, name("gone")).await.unwrap();
    gate.control
        .forget(gate.clock.now().after(Duration::from_secs(1)))
        .await
        .unwrap();
    assert!(
        gate.control
            .audit(Filter {
                limit: 9,
                ..Filter::default()
            })
            .await
            .unwrap()
            .is_empty()
    );
    let clock = gate.clock.clone();
    drop(gate);
    let gate = Gate::with(folder.path(), clock).await;
    assert!(alive(&gate, &kept.token));
    assert_eq!(gate.control.grants().counts(), (1, 1));
    assert_eq!(gate.control.grants().revision(), Revision(4));
}

/// Acceptance 122 (control's part).
#[tokio::test]
async fn keys_are_brought_under_a_new_master_key_while_the_gate_serves() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let mut ask = new_client("a", &[]);
    ask.key = UpstreamKey::new("sk-first-upstream-key");
    let token = gate.control.add_client(ACTOR, ask).await.unwrap().token;
    let mut scoped = new_rollout("r", "a", &[]);
    scoped.key = UpstreamKey::new("sk-of-the-rollout");
    gate.control
        .open_rollouts(ACTOR, vec![scoped])
        .await
        .unwrap();
    assert_eq!(gate.control.reseal(ACTOR).await.unwrap().keys, 0);
    let clock = gate.clock.clone();
    drop(gate);
    let new = MasterKey::generate().unwrap();
    let copy: MasterKey = new.to_base64().parse().unwrap();
    let both = Keyring::new(new, vec![fakes::master()]);
    let gate = Gate::with_keys(folder.path(), clock.clone(), both).await;
    let done = gate.control.reseal(ACTOR).await.unwrap();
    assert_eq!((done.keys, done.shut.len()), (2, 0));
    assert!(alive(&gate, &token));
    drop(gate);
    let gate = Gate::with_keys(folder.path(), clock, Keyring::new(copy, Vec::new())).await;
    let checks = gate.control.check_keys();
    assert_eq!(checks.len(), 2);
    assert!(
        checks.iter().all(|check| check.opens == Opens::Yes),
        "{checks:?}"
    );
}

/// Acceptance 122: what was broken off goes on, and does not begin another.
#[tokio::test]
async fn a_rotation_that_was_broken_off_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    for number in 0..502 {
        let mut ask = new_client(&format!("c{number}"), &[]);
        ask.key = UpstreamKey::new("sk-first-upstream-key");
        gate.control.add_client(ACTOR, ask).await.unwrap();
    }
    let new = MasterKey::generate().unwrap();
    let (id, copy) = (new.id(), new.to_base64());
    gate.control.keyring().learn([new]);
    gate.control.set_master(ACTOR, id).await.unwrap();
    let step = gate.control.reseal(ACTOR).await.unwrap();
    assert_eq!((step.keys, step.left), (500, 2));
    let clock = gate.clock.clone();
    drop(gate);
    let file = format!("{}\n{}\n", *fakes::master().to_base64(), *copy);
    let both = Keyring::of(file.parse().unwrap());
    assert_ne!(both.current(), id);
    let gate = Gate::with_keys(folder.path(), clock, both).await;
    assert_eq!(gate.control.keyring().current(), id);
    assert_eq!(gate.control.keyring().standby(), None);
    assert!(gate.control.has_older_keys());
    let step = gate.control.reseal(ACTOR).await.unwrap();
    assert_eq!((step.keys, step.left), (2, 0));
    assert!(!gate.control.has_older_keys());
}

/// A host that lacks the key says so instead of sealing with another one.
#[tokio::test]
async fn without_the_master_key_that_seals_no_key_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let new = MasterKey::generate().unwrap();
    let id = new.id();
    gate.control.keyring().learn([new]);
    gate.control.set_master(ACTOR, id).await.unwrap();
    let clock = gate.clock.clone();
    drop(gate);
    let gate = Gate::with(folder.path(), clock).await;
    let mut ask = new_client("a", &[]);
    ask.key = UpstreamKey::new("sk-first-upstream-key");
    let refused = gate.control.add_client(ACTOR, ask).await.unwrap_err();
    assert!(refused.to_string().contains(&id.to_string()), "{refused}");
    add(&gate, "without-a-key", &[]).await;
}

/// Acceptance 117 (control's part).
#[tokio::test]
async fn an_import_is_done_once_and_brings_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let import = |name: &str, text: &str| Import {
        name: name.parse().unwrap(),
        digest: Digest::of(text.as_bytes()),
        key: UpstreamKey::new("sk-ant-1"),
    };
    let both = || vec![import("a", "token-of-a"), import("b", "token-of-b")];
    let revision = gate.control.grants().revision();
    let dry = gate.control.import(ACTOR, both(), true).await.unwrap();
    assert_eq!(dry, [Imported::Added, Imported::Added]);
    assert_eq!(gate.control.grants().revision(), revision);
    let done = gate.control.import(ACTOR, both(), false).await.unwrap();
    assert_eq!(done, dry);
    let found = gate.control.grants().find(&Digest::of(b"token-of-a"));
    assert_eq!(found.unwrap().client.record().name, name("a"));
    let revision = gate.control.grants().revision();
    let again = gate.control.import(ACTOR, both(), false).await.unwrap();
    assert_eq!(again, [Imported::Unchanged, Imported::Unchanged]);
    let other = vec![
        import("a", "another"),
        import("c", "token-of-b"),
        import("d", "twice"),
        import("e", "twice"),
    ];
    let judged = gate.control.import(ACTOR, other, true).await.unwrap();
    assert_eq!(
        judged,
        [
            Imported::NameTaken,
            Imported::TokenTaken,
            Imported::Added,
            Imported::TokenTaken
        ]
    );
    assert_eq!(gate.control.grants().revision(), revision);
    gate.control.revoke(ACTOR, name("a")).await.unwrap();
    let back = gate.control.import(ACTOR, both(), false).await.unwrap();
    assert_eq!(back, [Imported::TokenEnded, Imported::Unchanged]);
}

/// In `audit` a stranger's credential goes upstream; one that was revoked here must not.
#[tokio::test]
async fn an_adopted_token_that_ended_is_no_stranger_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::stopped(Stamp(1_000_000));
    let gate = Gate::auditing(folder.path(), clock.clone()).await;
    let text = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let mut ask = new_client("a", &[]);
    ask.token = Some(Adopted(text.to_owned().into()));
    gate.control.add_client(ACTOR, ask).await.unwrap();
    gate.control.revoke(ACTOR, name("a")).await.unwrap();
    drop(gate);
    let gate = Gate::auditing(folder.path(), clock.clone()).await;
    let grants = gate.control.grants();
    assert!(grants.is_ended(&Digest::of(text.as_bytes())));
    assert!(!grants.is_ended(&Digest::of(b"a stranger")));
    // Adopted once more it lives, and is remembered as alive.
    let mut ask = new_client("b", &[]);
    ask.token = Some(Adopted(text.to_owned().into()));
    gate.control.add_client(ACTOR, ask).await.unwrap();
    drop(gate);
    let gate = Gate::auditing(folder.path(), clock).await;
    assert!(!gate.control.grants().is_ended(&Digest::of(text.as_bytes())));
}

#[tokio::test]
async fn every_change_is_written_down_with_who_asked() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let mut watch = gate.control.events().watch();
    let token = add(&gate, "a", &["10.0.0.1"]).await.token;
    gate.control.revoke(ACTOR, name("a")).await.unwrap();
    let filter = Filter {
        limit: 10,
        ..Filter::default()
    };
    let lines = gate.control.audit(filter).await.unwrap();
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| (&*line.kind, &*line.actor))
        .collect();
    let who = "uid=0 pid=1";
    assert_eq!(kinds, [("client.add", who), ("client.revoke", who)]);
    assert!(!format!("{lines:?}").contains(&**token.text));
    let seen = watch.recv().await.unwrap();
    assert!(
        matches!(
            seen,
            Event::Change {
                kind: "client.add",
                ..
            }
        ),
        "{seen:?}"
    );
}

/// Nothing is opened that would be forgotten.
#[tokio::test]
async fn without_a_store_nothing_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "a", &["10.0.0.1"]).await;
    gate.set_full(true).await;
    let refused = gate
        .control
        .add_client(ACTOR, new_client("b", &["10.0.0.2"]));
    assert_eq!(refused.await.unwrap_err().status(), 503);
    let refused = gate
        .control
        .open_rollouts(ACTOR, vec![new_rollout("r", "a", &[])]);
    assert_eq!(refused.await.unwrap_err().kind(), "store");
    assert_eq!(entries(&gate), ["10.0.0.1/32"]);
    assert_eq!(gate.control.grants().counts(), (1, 0));
}

/// What ends, ends now; that the store does not know is said, and made good.
#[tokio::test]
async fn without_a_store_an_ending_is_in_effect_and_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let token = add(&gate, "a", &["10.0.0.1"]).await.token;
    let mut short = new_client("short", &["10.0.0.2"]);
    short.ttl = Some(Duration::from_secs(1));
    gate.control.add_client(ACTOR, short).await.unwrap();
    gate.set_full(true).await;
    gate.clock.advance(Duration::from_secs(1));
    gate.control.sweep().await.unwrap();
    for _repeated in 0..2 {
        let revoked = gate.control.revoke(ACTOR, name("a")).await;
        assert!(
            matches!(revoked, Err(Refused::NotWritten(_))),
            "{revoked:?}"
        );
    }
    assert!(grant(&gate, &token).is_none());
    assert!(entries(&gate).is_empty());
    assert_eq!(gate.store.snapshot().await.unwrap().clients.len(), 2);
    gate.set_full(false).await;
    add(&gate, "a", &[]).await;
    let snapshot = gate.store.snapshot().await.unwrap();
    assert_eq!(
        snapshot.clients.len(),
        1,
        "both endings were written before"
    );
}

/// An emergency brake does not wait for a disk.
#[tokio::test]
async fn without_a_store_panic_closes_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    gate.set_full(true).await;
    let panicked = gate.control.panic(ACTOR).await;
    assert!(matches!(panicked, Err(Refused::NotWritten(_))));
    assert_eq!(gate.control.grants().mode(), Mode::Closed);
    assert_eq!(gate.rings.state().mode, Some(Mode::Closed));
    gate.set_full(false).await;
    gate.control.sweep().await.unwrap();
    assert!(gate.store.snapshot().await.unwrap().closed);
}

/// Who asked may hang up: what was asked for is done to its end.
#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    let token = add(&gate, "a", &["10.0.0.1"]).await.token;
    {
        let mut asked = std::pin::pin!(gate.control.revoke(ACTOR, name("a")));
        let waits =
            std::future::poll_fn(|cx| std::task::Poll::Ready(asked.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
    }
    gate.control.sweep().await.unwrap();
    assert!(grant(&gate, &token).is_none());
    assert!(entries(&gate).is_empty());
}

/// Acceptance 37 and 39 (control's part): the configured secret is never stored.
#[tokio::test]
async fn a_shared_secret_covers_rollouts_and_stays_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"a shared secret of old");
    let gate = Gate::with_shared(folder.path(), Some(digest)).await;
    let grant = gate.control.grants().find(&digest).unwrap();
    assert_eq!(
        grant.client.record().reach,
        crate::client::Reach::CoversRollouts
    );
    open(&gate, "r", "shared").await;
    let edit = SourceEdit {
        add: vec![source("10.0.0.1")],
        remove: Vec::new(),
    };
    gate.control
        .edit_sources(ACTOR, name("shared"), edit)
        .await
        .unwrap();
    let rotated = gate
        .control
        .rotate(ACTOR, Owner::Client(name("shared")), turnover(0));
    assert!(matches!(rotated.await, Err(Refused::Shared(_))));
    let stored = gate.store.snapshot().await.unwrap();
    assert!(stored.clients[0].tokens.is_empty());
    drop(gate);
    let gate = Gate::with_shared(folder.path(), Some(digest)).await;
    assert!(gate.control.grants().find(&digest).is_some());
    assert_eq!(entries(&gate), ["10.0.0.1/32"]);
    drop(gate);
    let gate = Gate::with_shared(folder.path(), None).await;
    assert!(gate.control.grants().find(&digest).is_none());
}

/// A client that somebody made for himself must not come to cover everybody's rollouts.
#[tokio::test]
async fn a_client_of_that_name_does_not_become_the_shared_one() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::start(folder.path()).await;
    add(&gate, "shared", &[]).await;
    let clock = gate.clock.clone();
    drop(gate);
    let (store, digest) = (
        fakes::open(folder.path()).await,
        Digest::of(b"of old, shared"),
    );
    let keyring = Keyring::new(fakes::master(), Vec::new());
    let started = Gate::still(store, "here", clock, Some(digest), keyring).await;
    let why = started.err().expect("the name is taken").to_string();
    assert!(why.contains("client `shared`"), "{why}");
}

fn turnover(grace: u64) -> Turnover {
    Turnover {
        grace: Duration::from_secs(grace),
        token: None,
    }
}

async fn add(gate: &Gate, name: &str, sources: &[&str]) -> Added {
    let added = gate.control.add_client(ACTOR, new_client(name, sources));
    added.await.unwrap()
}

async fn open(gate: &Gate, id: &str, client: &str) -> Opening {
    let opened = gate
        .control
        .open_rollouts(ACTOR, vec![new_rollout(id, client, &[])]);
    opened.await.unwrap().pop().unwrap()
}

async fn adopt(gate: &Gate, id: &str, text: &str) -> Result<Vec<Opening>, Refused> {
    let mut ask = new_rollout(id, "a", &[]);
    ask.tokens = vec![WantedToken {
        kind: Kind::Rollout,
        token: Some(Adopted(Zeroizing::new(text.to_owned()))),
        key: None,
    }];
    gate.control.open_rollouts(ACTOR, vec![ask]).await
}

fn grant(gate: &Gate, token: &Minted) -> Option<Arc<crate::grants::Grant>> {
    gate.control
        .grants()
        .find(&Digest::of(token.text.as_bytes()))
}

fn alive(gate: &Gate, token: &Minted) -> bool {
    grant(gate, token).is_some_and(|grant| grant.live(gate.clock.now()) == Ok(()))
}

fn entries(gate: &Gate) -> Vec<String> {
    let state = gate.rings.state();
    state
        .entries
        .keys()
        .map(|key| key.net.to_string())
        .collect()
}

fn name(text: &str) -> ClientName {
    text.parse().unwrap()
}

fn id(text: &str) -> RolloutId {
    text.parse().unwrap()
}
