//! What a user of the anthropic SDK for Python sees.

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
