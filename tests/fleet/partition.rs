//! A host that cannot hear of a revocation is named, closes itself, and comes back without it.

use crate::site::{fleet, until};

/// Acceptance 101 and the fleet's half of 104.
#[tokio::test]
async fn host_behind_a_cut_cable_is_named_and_then_has_closed_itself() {
    let Some(fleet) = fleet().await else { return };
    let [first, _, third] = &fleet.hosts[..] else {
        unreachable!("three hosts")
    };
    let open = |rollout: &str| {
        let (host, source) = (third.name(), third.source());
        format!("rollout open {rollout} --client trainer --host {host} --source {source}")
    };
    let mut tokens = Vec::new();
    for rollout in ["r-1", "r-2", "r-3"] {
        let opened = first.ctl().json(&open(rollout)).await.unwrap();
        third.reaches(&opened["revision"]).await;
        tokens.push(opened["token"].as_str().unwrap().to_owned());
    }
    assert_eq!(third.chat("r-1", &tokens[0]).await.status, 200);
    third.connect(false);
    let close = "rollout close r-1 --wait 1s --output json";
    let behind = first.ctl().run(close, "").await.unwrap();
    assert_eq!(behind.status, Some(1), "{behind:?}");
    assert!(behind.stderr.contains("h3"), "{behind:?}");
    let ended: serde_json::Value = serde_json::from_str(&behind.stdout).unwrap();
    assert_eq!(ended["hosts"][2]["state"], "behind", "{ended}");
    // It serves nobody, not even who is still provisioned.
    until(async || third.status("r-2", &tokens[1]).await == Some(503)).await;
    until(async || {
        let hosts = first.ctl().json("hosts").await.unwrap();
        hosts["hosts"][2]["state"] == "self-closed"
    })
    .await;
    let close = "rollout close r-2 --wait 20s";
    let ended = first.ctl().json(close).await.unwrap();
    assert_eq!(ended["hosts"][2]["state"], "self-closed", "{ended}");
    third.connect(true);
    until(async || third.status("r-3", &tokens[2]).await == Some(200)).await;
    for (rollout, token) in ["r-1", "r-2"].iter().zip(&tokens) {
        assert_eq!(third.chat(rollout, token).await.status, 401);
    }
    assert_eq!(third.rollouts().await, ["r-3"]);
}
