//! The server is there and yet not as it should be: notices that never come, and one that is slow.

use std::pin::pin;

use harness::probe::Syn;

use crate::site::{fleet, fleet_for, until};

/// Who listens is cut off again and again: polling is the floor.
#[tokio::test]
async fn revocation_arrives_though_no_notice_does() {
    let Some(fleet) = fleet().await else { return };
    let [first, second, _] = &fleet.hosts[..] else {
        unreachable!("three hosts")
    };
    let listeners = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE application_name = 'gated' AND query ILIKE 'listen%'";
    for round in 0..3 {
        let open = format!(
            "rollout open r-{round} --client trainer --host {} --source {}",
            second.name(),
            second.source()
        );
        let opened = first.ctl().json(&open).await.unwrap();
        let token = opened["token"].as_str().unwrap().to_owned();
        second.reaches(&opened["revision"]).await;
        let id = format!("r-{round}");
        assert_eq!(second.chat(&id, &token).await.status, 200);
        let cut = fleet.postgres.query("postgres", listeners).unwrap();
        assert_eq!(cut.trim(), "3", "one ear each");
        let close = format!("rollout close {id} --wait 30s");
        let ended = first.ctl().json(&close).await.unwrap();
        for host in ended["hosts"].as_array().unwrap() {
            assert_eq!(host["state"], "done", "{ended}");
        }
        assert_eq!(second.knock().await, Syn::Silent);
        // They listen again before the next round.
        until(async || {
            let count = "SELECT count(*) FROM pg_stat_activity \
                         WHERE application_name = 'gated' AND query ILIKE 'listen%'";
            fleet.postgres.query("postgres", count).unwrap().trim() == "3"
        })
        .await;
    }
}

/// A server that keeps every writer waiting delays changes, and no call.
#[tokio::test]
async fn slow_server_delays_changes_and_no_call() {
    let Some(fleet) = fleet().await else { return };
    let [first, second, _] = &fleet.hosts[..] else {
        unreachable!("three hosts")
    };
    let open = |id: &str| {
        format!(
            "rollout open {id} --client trainer --host {} --source {}",
            second.name(),
            second.source()
        )
    };
    let opened = first.ctl().json(&open("r-1")).await.unwrap();
    let token = opened["token"].as_str().unwrap().to_owned();
    second.reaches(&opened["revision"]).await;
    let locking = "BEGIN; SELECT revision FROM gate_state FOR UPDATE; SELECT pg_sleep(2); COMMIT";
    let mut holder = fleet.postgres.begin("gate", locking).unwrap();
    // Until every writer has to wait.
    until(async || {
        let locks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' \
                     AND wait_event = 'PgSleep'";
        fleet.postgres.query("postgres", locks).unwrap() != "0"
    })
    .await;
    let (calls, change) = tokio::join!(
        async {
            let mut statuses = Vec::new();
            for _ in 0..20 {
                statuses.push(second.chat("r-1", &token).await.status.as_u16());
            }
            statuses
        },
        async { first.ctl().json(&open("r-2")).await },
    );
    assert!(holder.wait().unwrap().success());
    assert!(calls.iter().all(|status| *status == 200), "{calls:?}");
    // Late, and whole.
    let opened = change.unwrap();
    second.reaches(&opened["revision"]).await;
    let token = opened["token"].as_str().unwrap();
    assert_eq!(second.chat("r-2", token).await.status, 200);
}

/// Behind a cut cable the answer waits for the server: what it answers for has happened.
#[tokio::test]
async fn no_ending_waits_for_a_server_that_is_silent() {
    // Longer than this takes: nothing ends because the store is out of reach.
    let Some(fleet) = fleet_for("5m").await else {
        return;
    };
    let (host, other) = (&fleet.hosts[0], &fleet.hosts[1]);
    host.ctl().json("client add second").await.unwrap();
    for (rollout, client, ending, word) in [
        ("closed", "trainer", "rollout close closed", "REVOKED"),
        (
            "revoked",
            "trainer",
            "client revoke trainer --yes",
            "REVOKED",
        ),
        ("shut", "second", "panic", "SERVICE_UNAVAILABLE"),
    ] {
        let (name, source) = (host.name(), host.source());
        let open =
            format!("rollout open {rollout} --client {client} --host {name} --source {source}");
        let opened = host.ctl().json(&open).await.unwrap();
        let mut stream = host
            .stream(rollout, opened["token"].as_str().unwrap())
            .await;
        host.connect(false);
        let ctl = host.ctl();
        let mut answer = pin!(ctl.json(ending));
        let (events, _end) = tokio::select! {
            biased;
            rest = stream.rest() => rest,
            early = &mut answer => panic!("answered before it had ended: {early:?}"),
        };
        assert!(events.last().unwrap().data.contains(word), "{events:?}");
        if rollout == "shut" {
            until(async || host.knock().await == Syn::Silent).await;
        }
        host.connect(true);
        // It may have given up on the server: then it is written later.
        let _written = answer.await;
        if rollout != "shut" {
            until(async || !other.rollouts().await.contains(&rollout.to_owned())).await;
        }
    }
    until(async || other.ctl().json("status").await.unwrap()["mode"] == "closed").await;
}
