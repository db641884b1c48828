//! What a user of the anthropic SDK for Python sees.

use std::time::Duration;

use harness::upstream::{Fate, Seen};
use serde_json::json;

use crate::sandbox::{Address, UPSTREAM_KEY};
use crate::sdk::sandboxed;

#[tokio::test]
async fn anthropic_sdk_works_until_its_rollout_is_closed() {
    let ready = sandboxed("anthropic.py", Address::AnotherRolloutToo).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    assert_eq!(sdk.ask("message").await, json!({"text": "t0 t1 t2 t3 "}));
    assert_eq!(sdk.ask("stream").await, json!({"text": "t0 t1 t2 t3 t4 "}));
    for seen in sandbox.upstream.journal().requests() {
        let values = seen
            .headers
            .iter()
            .map(|(_, value)| String::from_utf8_lossy(value));
        assert!(
            values.into_iter().any(|value| value.contains(UPSTREAM_KEY)),
            "{seen:?}"
        );
    }
    sandbox.close().await;
    let refused = sdk.ask("message").await;
    assert_eq!(
        (&refused["error"], &refused["status"]),
        (&json!("AuthenticationError"), &json!(401))
    );
}

#[tokio::test]
async fn anthropic_sdk_sees_an_error_when_its_stream_is_revoked() {
    let ready = sandboxed("anthropic.py", Address::AnotherRolloutToo).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    assert_eq!(sdk.ask("endless").await, json!({"running": true}));
    sandbox.close().await;
    let ended = sdk.next().await;
    assert!(ended["error"].is_string(), "{ended}");
}

#[tokio::test]
async fn anthropic_sdk_calls_tools() {
    let ready = sandboxed("anthropic.py", Address::OnlyThisRollout).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    let called = sdk.ask("tools").await;
    let given = "{\"n\": 1}";
    let text = "t0 t1 t2 t3 ";
    assert_eq!(called, json!({"tool": "add", "given": given, "text": text}));
    let seen = sandbox.upstream.journal().requests();
    assert!(seen[0].json()["tools"].is_array(), "{:?}", seen[0]);
    assert_eq!(seen[1].json()["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn anthropic_sdk_counts_its_retries_to_the_provider() {
    let ready = sandboxed("anthropic.py", Address::OnlyThisRollout).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    assert_eq!(sdk.ask("flaky").await, json!({"text": "t0 t1 t2 t3 "}));
    let seen = sandbox.upstream.journal().requests();
    let counts = seen
        .iter()
        .map(|seen| seen.header("x-stainless-retry-count"));
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [Some("0"), Some("1"), Some("2")]
    );
}

#[tokio::test]
async fn anthropic_sdk_that_gives_up_waiting_is_gone_for_the_provider_too() {
    let ready = sandboxed("anthropic.py", Address::OnlyThisRollout).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    let given_up = sdk.ask("silent").await;
    assert_eq!(given_up["error"], json!("APITimeoutError"), "{given_up}");
    let left = |seen: &[Seen]| matches!(seen[0].fate, Fate::CallerLeft(_)).then_some(());
    let journal = sandbox.upstream.journal();
    journal.wait(Duration::from_secs(10), left).await.unwrap();
}

#[tokio::test]
async fn anthropic_sdk_is_refused_with_what_is_not_its_token() {
    let ready = sandboxed("anthropic.py", Address::AnotherRolloutToo).await;
    let Some((_right, sandbox)) = ready else {
        return;
    };
    for (what, token) in sandbox.wrong_tokens() {
        let mut sdk = sandbox.sdk("anthropic.py", &token).await;
        for word in ["message", "stream"] {
            let refused = sdk.ask(word).await;
            assert_eq!(
                (&refused["error"], &refused["status"]),
                (&json!("AuthenticationError"), &json!(401)),
                "{what}: {refused}"
            );
        }
    }
    assert_eq!(sandbox.upstream.journal().connections(), 0);
}
