//! The SDKs on the scripted provider itself, with no gate: what they see here is what a gate must
//! not change, and a failure here is the provider's.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::netns::Namespace;
use harness::upstream::{Provider, Upstream};
use serde_json::json;

use crate::sdk::Sdk;
use crate::venv;

#[tokio::test]
async fn sdks_understand_the_scripted_provider() {
    let Some(python) = venv::python(venv::SDKS) else {
        return;
    };
    let here = Namespace::here();
    let provider = Provider {
        pace: Duration::from_millis(5),
    };
    let upstream = Upstream::provider(&here, "127.0.0.1:0".parse().unwrap(), provider).unwrap();
    let base = format!("http://{}", upstream.address());
    let rows = [
        (
            "openai.py",
            "chat",
            [
                ("OPENAI_BASE_URL", format!("{base}/v1")),
                ("OPENAI_API_KEY", "k".into()),
            ],
        ),
        (
            "anthropic.py",
            "message",
            [
                ("ANTHROPIC_BASE_URL", base),
                ("ANTHROPIC_API_KEY", "k".into()),
            ],
        ),
    ];
    for (script, whole, environment) in rows {
        let environment: BTreeMap<_, _> = environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let mut sdk = Sdk::start(&python, script, &here, &environment);
        assert_eq!(
            sdk.ask(whole).await,
            json!({"text": "t0 t1 t2 t3 "}),
            "{script}"
        );
        assert_eq!(
            sdk.ask("stream").await,
            json!({"text": "t0 t1 t2 t3 t4 "}),
            "{script}"
        );
        assert_eq!(
            sdk.ask("endless").await,
            json!({"running": true}),
            "{script}"
        );
    }
}
