//! What an owner is told of how tokens are used, rightly and wrongly.

use std::time::Duration;

use harness::probe::Syn;
use serde_json::{Value, json};

use crate::site::site;

/// Acceptance 156: a token from elsewhere is an alarm that names both sides.
#[tokio::test]
async fn replay_is_an_alarm_for_who_watches() {
    let Some(site) = site(2).await else { return };
    let (own, thief) = (&site.net.callers[0], &site.net.callers[1]);
    let stolen = site.open("r-own", own).await;
    let _opens_the_thiefs_address = site.open("r-thief", thief).await;
    let shown = site.gated.ctl().json("rollout show r-own").await.unwrap();
    let id = shown["tokens"][0]["token_id"].as_str().unwrap().to_owned();
    let ctl = site.gated.ctl();
    let watched = async { ctl.json("events --for 3s").await.unwrap() };
    let wrong = async {
        // Until the watcher is there nobody hears of anything, and who fails too often is throttled.
        let mut now_and_then = tokio::time::interval(Duration::from_millis(300));
        loop {
            now_and_then.tick().await;
            assert_eq!(thief.chat("r-own", &stolen).await.status, 401);
        }
    };
    let seen = tokio::select! {
        seen = watched => seen,
        () = wrong => unreachable!("it goes on"),
    };
    let alarms = |kind: &str| -> Vec<String> {
        let events = seen["events"].as_array().unwrap().iter();
        let alarms = events.filter(|event| event["event"] == "alarm" && event["kind"] == kind);
        alarms
            .filter_map(|alarm| alarm["message"].as_str().map(str::to_owned))
            .collect()
    };
    let replays = alarms("wrong_source");
    let both = [id.as_str(), "r-own", "trainer", &own.source4(), "10.79.2.2"];
    assert!(
        replays
            .iter()
            .any(|told| both.iter().all(|side| told.contains(side))),
        "{seen}"
    );
    assert!(!seen.to_string().contains(&stolen), "the token itself");
    let log = site.gated.log().text();
    assert!(!log.contains(&stolen), "the token itself");
}

#[tokio::test]
async fn last_use_of_a_token_is_shown_and_survives_a_restart() {
    let Some(mut site) = site(1).await else {
        return;
    };
    let caller = &site.net.callers[0];
    let token = site.open("r-1", caller).await;
    let unused = site.gated.ctl().json("rollout show r-1").await.unwrap();
    assert_eq!(unused["tokens"][0]["last_used_at"], Value::Null);
    assert_eq!(caller.chat("r-1", "gate_wrong").await.status, 401);
    let refused = site.gated.ctl().json("rollout show r-1").await.unwrap();
    assert_eq!(refused["tokens"][0]["last_used_at"], Value::Null);
    assert_eq!(caller.chat("r-1", &token).await.status, 200);
    let used = site.gated.ctl().json("rollout show r-1").await.unwrap();
    let at = used["tokens"][0]["last_used_at"].clone();
    assert!(at.is_string(), "{used}");
    site.gated.terminate().await.unwrap();
    site.gated.restart().await.unwrap();
    let again = site.gated.ctl().json("rollout show r-1").await.unwrap();
    assert_eq!(again["tokens"][0]["last_used_at"], at);
    let list = site.gated.ctl().run("rollout list", "").await.unwrap();
    assert!(list.stdout.contains("LAST USED"), "{}", list.stdout);
    assert!(
        list.stdout.contains(at.as_str().unwrap()),
        "{}",
        list.stdout
    );
}

/// Who knocks in vain is named without anybody watching.
#[tokio::test]
async fn status_names_who_was_denied() {
    let Some(site) = site(2).await else { return };
    let stranger = &site.net.callers[1];
    assert_eq!(stranger.knock().await, Syn::Silent);
    let status = site.gated.ctl().json("status").await.unwrap();
    let denied = &status["rings"]["packet"]["denied"];
    let named = denied
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["source"] == "10.79.2.2");
    let named = named.unwrap_or_else(|| panic!("{status}"));
    assert_eq!(
        (&named["interface"], &named["reason"], &named["port"]),
        (&json!("to-2"), &json!("stranger"), &json!(8765))
    );
    assert!(named["samples"].as_u64().unwrap() > 0, "{named}");
    let table = site.gated.ctl().run("status", "").await.unwrap();
    assert!(
        table.stdout.contains("DENIED") && table.stdout.contains("10.79.2.2"),
        "{table:?}"
    );
}

/// The store, the stored keys and where calls go are looked at too, and the trail can be taken along.
#[tokio::test]
async fn doctor_asks_after_store_keys_and_upstream_and_the_trail_is_exported() {
    let Some(site) = site(1).await else { return };
    let ctl = site.gated.ctl();
    let set = ctl.run("key set trainer", "sk-client-key-0003").await;
    assert_eq!(set.unwrap().status, Some(0));
    let found = ctl.json("doctor").await.unwrap();
    let found = |check: &str| {
        let checks = found["checks"].as_array().unwrap().iter();
        let mut checks = checks.filter(|one| one["check"] == check);
        checks.next().unwrap_or_else(|| panic!("{found}")).clone()
    };
    for check in ["store", "keys", "upstream"] {
        assert_eq!(found(check)["result"], "ok", "{check}");
    }
    let upstream = found("upstream")["detail"].as_str().unwrap().to_owned();
    assert!(
        upstream.contains("127.0.0.1:9000, with a key of its own"),
        "{upstream}"
    );
    let lines = ctl.run("audit --lines", "").await.unwrap().stdout;
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let kinds: Vec<Value> = lines.map(|line: Value| line["kind"].clone()).collect();
    assert_eq!(kinds, [json!("client.add"), json!("client.key")]);
}
