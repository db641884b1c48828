//! What a user of the openai SDK for Python sees.

use std::time::Duration;

use harness::upstream::{Fate, Seen};
use serde_json::json;

use crate::sandbox::{Address, UPSTREAM_KEY, Way};
use crate::sdk::{sandboxed, sandboxed_by};

#[tokio::test]
async fn openai_sdk_works_until_its_rollout_is_closed() {
    let ready = sandboxed("openai.py", Address::AnotherRolloutToo).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    assert_eq!(sdk.ask("chat").await, json!({"text": "t0 t1 t2 t3 "}));
    assert_eq!(sdk.ask("stream").await, json!({"text": "t0 t1 t2 t3 t4 "}));
    for seen in sandbox.upstream.journal().requests() {
        let bearer = format!("Bearer {UPSTREAM_KEY}");
        assert_eq!(
            seen.header("authorization"),
            Some(bearer.as_str()),
            "{}",
            seen.target
        );
    }
    sandbox.close().await;
    let refused = sdk.ask("chat").await;
    assert_eq!(
        (&refused["error"], &refused["status"]),
        (&json!("AuthenticationError"), &json!(401))
    );
}

/// What a new user types: `gated --upstream https://.. --upstream-key-env NAME`.
#[tokio::test]
async fn openai_sdk_reaches_a_provider_over_tls() {
    for (way, version) in [
        (Way::Tls, http::Version::HTTP_11),
        (Way::Http2, http::Version::HTTP_2),
    ] {
        let ready = sandboxed_by("openai.py", Address::AnotherRolloutToo, way).await;
        let Some((mut sdk, sandbox)) = ready else {
            return;
        };
        assert_eq!(sdk.ask("chat").await, json!({"text": "t0 t1 t2 t3 "}));
        assert_eq!(sdk.ask("stream").await, json!({"text": "t0 t1 t2 t3 t4 "}));
        assert_eq!(sdk.ask("endless").await, json!({"running": true}));
        sandbox.close().await;
        let ended = sdk.next().await;
        assert_eq!(ended["error"], json!("APIError"), "{ended}");
        for seen in sandbox.upstream.journal().requests() {
            let bearer = format!("Bearer {UPSTREAM_KEY}");
            assert_eq!(seen.header("authorization"), Some(bearer.as_str()));
            assert_eq!(seen.version, version);
        }
    }
}

#[tokio::test]
async fn openai_sdk_sees_an_error_when_its_stream_is_revoked() {
    let ready = sandboxed("openai.py", Address::AnotherRolloutToo).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    assert_eq!(sdk.ask("endless").await, json!({"running": true}));
    sandbox.close().await;
    let ended = sdk.next().await;
    assert_eq!(ended["error"], json!("APIError"), "{ended}");
}

/// The packet ring closes with the last rollout of the address: nobody answers any more.
#[tokio::test]
async fn openai_sdk_cannot_connect_when_nothing_is_open_for_its_address() {
    let ready = sandboxed("openai.py", Address::OnlyThisRollout).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    assert_eq!(sdk.ask("chat").await, json!({"text": "t0 t1 t2 t3 "}));
    sandbox.close().await;
    let silence = sdk.ask("chat").await;
    assert_eq!(silence["error"], json!("APITimeoutError"), "{silence}");
}

#[tokio::test]
async fn openai_sdk_calls_tools() {
    let ready = sandboxed("openai.py", Address::OnlyThisRollout).await;
    let Some((mut sdk, sandbox)) = ready else {
        return;
    };
    let called = sdk.ask("tools").await;
    let given = "{\"n\":1}";
    let text = "t0 t1 t2 t3 ";
    assert_eq!(called, json!({"tool": "add", "given": given, "text": text}));
    let seen = sandbox.upstream.journal().requests();
    assert!(seen[0].json()["tools"].is_array(), "{:?}", seen[0]);
    assert_eq!(seen[1].json()["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn openai_sdk_counts_its_retries_to_the_provider() {
    let ready = sandboxed("openai.py", Address::OnlyThisRollout).await;
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
async fn openai_sdk_that_gives_up_waiting_is_gone_for_the_provider_too() {
    let ready = sandboxed("openai.py", Address::OnlyThisRollout).await;
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
async fn openai_sdk_is_refused_with_what_is_not_its_token() {
    let ready = sandboxed("openai.py", Address::AnotherRolloutToo).await;
    let Some((_right, sandbox)) = ready else {
        return;
    };
    for (what, token) in sandbox.wrong_tokens() {
        let mut sdk = sandbox.sdk("openai.py", &token).await;
        for word in ["chat", "stream"] {
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
