//! The primary is lost and its standby takes over; and then the former primary comes back.

use std::time::{Duration, Instant};

use harness::postgres::Postgres;
use harness::probe::Syn;
use serde_json::Value;

use crate::site::{Fleet, Host, fleet_with_standby, until};

/// From the promotion to the first change that is answered, at most.
const TAKEOVER: Duration = Duration::from_secs(15);

#[tokio::test]
async fn standby_takes_over_within_staleness_and_nothing_is_lost_or_reopened() {
    let Some(mut fleet) = fleet_with_standby("40s").await else {
        return;
    };
    let Fleet {
        hosts,
        postgres,
        standby,
        ..
    } = &mut fleet;
    let (first, second, standby) = (&hosts[0], &hosts[1], standby.as_ref().unwrap());
    let kept = opened(first, second, "kept", "").await;
    let ended = opened(first, second, "ended", "").await;
    first
        .ctl()
        .json("rollout close ended --wait")
        .await
        .unwrap();
    let mut running = second.stream("kept", &kept).await;
    let lease = Instant::now();
    let short = opened(first, second, "short", "--ttl 4s").await;
    assert_eq!(second.status("short", &short).await, Some(200));
    let mut answered = Vec::new();
    for number in 0..30 {
        let id = format!("r-{number}");
        let open = format!("rollout open {id} --client trainer --timeout 3s");
        let ctl = first.ctl();
        let (done, ()) = tokio::join!(ctl.run(&open, ""), async {
            if number == 20 {
                postgres.kill().unwrap();
            }
        });
        if done.unwrap().status != Some(0) {
            break;
        }
        answered.push(id);
    }
    assert!((20..=21).contains(&answered.len()), "{answered:?}");
    // Without a primary hosts serve, and leases end.
    until(async || second.status("short", &short).await == Some(401)).await;
    assert!(lease.elapsed() < Duration::from_secs(6), "{lease:?}");
    assert_eq!(second.status("kept", &kept).await, Some(200));
    standby.promote().unwrap();
    let since = Instant::now();
    until(async || {
        let open = "rollout open after --client trainer";
        first.ctl().run(open, "").await.unwrap().status == Some(0)
    })
    .await;
    assert!(since.elapsed() < TAKEOVER, "{:?}", since.elapsed());
    answered.extend(["kept".to_owned(), "after".to_owned()]);
    for host in &hosts[..] {
        until(async || {
            let live = host.rollouts().await;
            answered.iter().all(|id| live.contains(id))
        })
        .await;
        let live = host.rollouts().await;
        assert!(
            !live.iter().any(|id| id == "ended" || id == "short"),
            "{live:?}"
        );
    }
    for (rollout, token) in [("ended", &ended), ("short", &short)] {
        assert_eq!(second.status(rollout, token).await, Some(401), "{rollout}");
    }
    assert_eq!(second.status("kept", &kept).await, Some(200));
    assert!(running.next().await.is_some(), "it ran all the while");
    // All of them are heard of where they write that they live.
    until(async || {
        let hosts = first.ctl().json("hosts").await.unwrap();
        let hosts = hosts["hosts"].as_array().unwrap();
        hosts.iter().all(|host| host["state"] == "live")
    })
    .await;
}

/// It takes connections and never answers, and so does what stands already.
#[tokio::test]
async fn primary_that_hangs_is_left_for_its_standby() {
    let Some(fleet) = fleet_with_standby("60s").await else {
        return;
    };
    let (first, second) = (&fleet.hosts[0], &fleet.hosts[1]);
    let standby = fleet.standby.as_ref().unwrap();
    let kept = opened(first, second, "kept", "").await;
    fleet.postgres.hang(true).unwrap();
    standby.promote().unwrap();
    let since = Instant::now();
    until(async || {
        let open = "rollout open after --client trainer --timeout 30s";
        first.ctl().run(open, "").await.unwrap().status == Some(0)
    })
    .await;
    assert!(since.elapsed() < 3 * TAKEOVER, "{:?}", since.elapsed());
    until(async || second.rollouts().await.contains(&"after".to_owned())).await;
    assert_eq!(second.status("kept", &kept).await, Some(200));
    // It goes on as if nothing had happened, and nobody listens.
    fleet.postgres.hang(false).unwrap();
    let closed = first.ctl().json("rollout close kept --wait 30s").await;
    assert!(closed.is_ok(), "{closed:?}");
    assert_eq!(second.knock().await, Syn::Silent);
}

/// A primary that is cut off from its standby may have been replaced: it keeps nobody fresh.
#[tokio::test]
async fn primary_without_its_standby_takes_no_heartbeat() {
    let Some(mut fleet) = fleet_with_standby("4s").await else {
        return;
    };
    let token = opened(&fleet.hosts[0], &fleet.hosts[1], "kept", "").await;
    assert_eq!(fleet.hosts[1].status("kept", &token).await, Some(200));
    fleet.standby.as_mut().unwrap().kill().unwrap();
    let host = &fleet.hosts[1];
    until(async || host.status("kept", &token).await == Some(503)).await;
    // However long it lasts, it does not fill the server with those who wait.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gated'";
    let waiting = fleet.postgres.query("postgres", waiting).unwrap();
    assert!(waiting.parse::<usize>().unwrap() <= 3 * 5, "{waiting}");
    fleet.standby.as_mut().unwrap().restart().await.unwrap();
    until(async || host.status("kept", &token).await == Some(200)).await;
}

/// It stands first in the URL, takes writes, and knows nothing of what happened since.
#[tokio::test]
async fn former_primary_is_neither_read_nor_written_whoever_else_is_there() {
    let Some(mut fleet) = fleet_with_standby("4s").await else {
        return;
    };
    let Fleet {
        hosts,
        postgres: former,
        standby,
        ..
    } = &mut fleet;
    let standby = standby.as_mut().unwrap();
    let ended = opened(&hosts[0], &hosts[1], "ended", "").await;
    former.kill().unwrap();
    standby.promote().unwrap();
    until(async || {
        let close = "rollout close ended";
        hosts[0].ctl().run(close, "").await.unwrap().status == Some(0)
            || hosts[0].rollouts().await.is_empty()
    })
    .await;
    former.restart().await.unwrap();
    // Nothing of its own keeps it from taking writes.
    former.set("synchronous_standby_names", "").unwrap();
    let before = written(former);
    let after = opened(&hosts[0], &hosts[1], "after", "").await;
    // Every connection is made anew, and one host knows nothing from before.
    cut(standby);
    hosts[2].gated.kill().unwrap();
    hosts[2].gated.restart().await.unwrap();
    let later = opened(&hosts[0], &hosts[2], "later", "").await;
    until(async || hosts[2].status("later", &later).await == Some(200)).await;
    until(async || hosts[1].status("after", &after).await == Some(200)).await;
    assert_eq!(hosts[1].status("ended", &ended).await, Some(401));
    assert_eq!(
        written(former),
        before,
        "somebody wrote to the former primary"
    );
    // Alone it is not believed either: better nobody than who was revoked.
    standby.kill().unwrap();
    for host in &hosts[..] {
        until(async || {
            let status = host.ctl().json("status").await.unwrap();
            warned(&status, "former primary") && warned(&status, "nobody is served")
        })
        .await;
    }
    until(async || hosts[1].status("after", &after).await == Some(503)).await;
    assert_eq!(hosts[1].status("ended", &ended).await, Some(503));
    let refused = hosts[0].ctl().run("client add other", "").await.unwrap();
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert_eq!(
        written(former),
        before,
        "somebody wrote to the former primary"
    );
    standby.restart().await.unwrap();
    until(async || hosts[1].status("after", &after).await == Some(200)).await;
    assert_eq!(hosts[1].status("ended", &ended).await, Some(401));
    let status = hosts[1].ctl().json("status").await.unwrap();
    assert!(!warned(&status, "former primary"), "{status}");
}

/// Opened at one host for the caller of another; its token.
async fn opened(at: &Host, for_: &Host, id: &str, more: &str) -> String {
    let (name, source) = (for_.name(), for_.source());
    let open = format!("rollout open {id} --client trainer --host {name} --source {source} {more}");
    let opened = at.ctl().json(&open).await.unwrap();
    for_.reaches(&opened["revision"]).await;
    opened["token"].as_str().unwrap().to_owned()
}

/// What a gate would have changed: the revision, and when hosts were heard of.
fn written(server: &Postgres) -> String {
    let all = "SELECT (SELECT revision FROM gate_state), (SELECT max(seen) FROM gate_hosts)";
    server.query("gate", all).unwrap()
}

fn cut(server: &Postgres) {
    let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'gated'";
    server.query("postgres", all).unwrap();
}

fn warned(status: &Value, text: &str) -> bool {
    let warnings = status["warnings"].as_array().unwrap().iter();
    let mut warnings = warnings.filter_map(Value::as_str);
    warnings.any(|warning| warning.contains(text))
}
