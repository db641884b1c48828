//! What a user of the openai SDK for Python sees.

use serde_json::json;

use crate::sandbox::{Address, UPSTREAM_KEY};
use crate::sdk::sandboxed;

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
