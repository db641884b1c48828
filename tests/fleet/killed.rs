//! `kill -9` of the server and of gates, while thousands of changes are made.

use std::collections::BTreeSet;

use serde_json::json;

use crate::site::{Fleet, fleet, until};

/// Changes of one call.
const BULK: usize = 50;
const ROUNDS: usize = 60;

/// Every change that was answered is there afterwards, and nothing that ended came back.
#[tokio::test]
async fn what_was_answered_outlives_every_kill() {
    let Some(mut fleet) = fleet().await else {
        return;
    };
    let (mut open, mut closed) = (BTreeSet::new(), BTreeSet::new());
    let mut refused = 0;
    for round in 0..ROUNDS {
        let ids: Vec<String> = (0..BULK).map(|n| format!("r-{round}-{n}")).collect();
        // Half of what the round before has opened.
        let ending: Vec<String> = open.iter().take(BULK / 2).cloned().collect();
        let asks: Vec<_> = ids
            .iter()
            .map(|id| json!({"rollout": id, "client": "trainer"}))
            .collect();
        let asks = json!({ "rollouts": asks }).to_string();
        let (one, other) = (fleet.hosts[0].ctl(), fleet.hosts[1].ctl());
        let opening = one.run("rollout open --from - --timeout 15s", &asks);
        let words = format!("rollout close {} --timeout 15s", ending.join(" "));
        let closing = async {
            if ending.is_empty() {
                return false;
            }
            other.run(&words, "").await.unwrap().status == Some(0)
        };
        let killing = async {
            match round % 12 {
                5 => fleet.postgres.kill().unwrap(),
                8 => fleet.hosts[1].gated.kill().unwrap(),
                11 => fleet.hosts[0].gated.kill().unwrap(),
                _ => {}
            }
        };
        let (opening, has_closed, ()) = tokio::join!(opening, closing, killing);
        if opening.unwrap().status == Some(0) {
            open.extend(ids);
        } else {
            refused += 1;
            // Not answered: it may have been written or not.
        }
        if has_closed {
            for id in ending {
                open.remove(&id);
                closed.insert(id);
            }
        } else {
            // In effect or not, nobody was told.
            for id in ending {
                open.remove(&id);
            }
        }
        bring_back(&mut fleet, round).await;
    }
    assert!(refused < ROUNDS / 2, "{refused} calls were refused");
    assert!(
        open.len() > 500 && closed.len() > 500,
        "{} {}",
        open.len(),
        closed.len()
    );
    for host in &fleet.hosts {
        until(async || {
            let live: BTreeSet<String> = host.rollouts().await.into_iter().collect();
            open.is_subset(&live) && closed.is_disjoint(&live)
        })
        .await;
    }
    let [first, second, third] = &fleet.hosts[..] else {
        unreachable!("three hosts")
    };
    until(async || {
        let (a, b, c) = (
            first.rollouts().await,
            second.rollouts().await,
            third.rollouts().await,
        );
        a == b && b == c
    })
    .await;
}

async fn bring_back(fleet: &mut Fleet, round: usize) {
    match round % 12 {
        5 => fleet.postgres.restart().await.unwrap(),
        8 => fleet.hosts[1].gated.restart().await.unwrap(),
        11 => fleet.hosts[0].gated.restart().await.unwrap(),
        _ => return,
    }
    for host in &fleet.hosts {
        until(async || {
            let verified = host.ctl().run("verify", "").await.unwrap();
            verified.stdout.contains("store: ok")
        })
        .await;
    }
}

/// Acceptance 100: a host that starts while the store is away serves nobody and needs no restart.
#[tokio::test]
async fn host_that_starts_without_the_store_serves_when_it_comes() {
    let Some(mut fleet) = fleet().await else {
        return;
    };
    let (name, source) = (fleet.hosts[2].name(), fleet.hosts[2].source());
    let open = format!("rollout open r-1 --client trainer --host {name} --source {source}");
    let opened = fleet.hosts[0].ctl().json(&open).await.unwrap();
    let token = opened["token"].as_str().unwrap().to_owned();
    fleet.hosts[2].reaches(&opened["revision"]).await;
    assert_eq!(fleet.hosts[2].chat("r-1", &token).await.status, 200);
    fleet.postgres.kill().unwrap();
    fleet.hosts[2].gated.kill().unwrap();
    fleet.hosts[2].gated.restart().await.unwrap();
    let third = &fleet.hosts[2];
    until(async || third.status("r-1", &token).await == Some(503)).await;
    let refused = fleet.hosts[2].ctl().run("client add other", "").await;
    assert_eq!(refused.unwrap().status, Some(1));
    fleet.postgres.restart().await.unwrap();
    let third = &fleet.hosts[2];
    until(async || third.status("r-1", &token).await == Some(200)).await;
}
