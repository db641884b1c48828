//! A whole `vf-eval` run whose harness reaches the interception server through the gate only.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process;

use harness::need;
use harness::upstream::Seen;
use serde_json::{Value, json};

use crate::sandbox::UPSTREAM_KEY;
use crate::training::{HERE, Scene};

/// What an eval came to, and what its provider saw of it.
struct Ended {
    report: Value,
    seen: Vec<Seen>,
}

#[tokio::test]
async fn eval_is_solved_with_a_token_per_rollout() {
    let Some(ended) = eval(HERE, "own").await else {
        return;
    };
    assert_eq!(ended.report, json!({"episodes": 4, "solved": 4}));
    assert_eq!(ended.seen.len(), 4);
    for seen in &ended.seen {
        let bearer = format!("Bearer {UPSTREAM_KEY}");
        assert_eq!(seen.header("authorization"), Some(bearer.as_str()));
    }
}

/// A run each takes long.
mod long {
    use serde_json::json;

    use super::eval;
    use crate::training::{ELSEWHERE, HERE};

    #[tokio::test]
    async fn eval_gets_nowhere_with_what_is_not_its_token() {
        let rows = [
            ("a token of another sandbox", ELSEWHERE, "own"),
            ("a token that is not for models", HERE, "state"),
            ("the server's own secret", HERE, "server"),
            ("a token of a closed rollout", HERE, "closed"),
        ];
        for (what, source, handed) in rows {
            let Some(ended) = eval(source, handed).await else {
                return;
            };
            assert_eq!(ended.report, json!({"episodes": 4, "solved": 0}), "{what}");
            assert_eq!(ended.seen.len(), 0, "{what}");
        }
    }
}

/// Runs one with rollouts for `source` whose harness is `handed` that token.
async fn eval(source: &str, handed: &str) -> Option<Ended> {
    let (scene, mut script) = Scene::with("eval.py").await?;
    let network = scene.place.enter(|| File::open("/proc/thread-self/ns/net"));
    let network = network.unwrap();
    let sandbox = format!("/proc/{}/fd/{}", process::id(), network.as_raw_fd());
    let gatectl = fs::canonicalize(need::built("GATECTL_BIN")).unwrap();
    let wish = json!({
        "SANDBOX": sandbox,
        "GATECTL_BIN": gatectl,
        "GATE_SOCKET": scene.gated.run_dir().join("admin.sock"),
        "SOURCE": source,
        "HANDED": handed,
    });
    let report = script.ask(&wish.to_string()).await;
    let seen = scene.provider.journal().requests();
    Some(Ended { report, seen })
}
