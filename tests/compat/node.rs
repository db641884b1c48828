//! What a user of the SDKs for Node sees.
//!
//! The same rows as for Python, in one test each: what differs between the two is the SDK, not the
//! gate.

/// The first one installs packages.
mod long {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use harness::need;
    use harness::upstream::{Fate, Seen};
    use serde_json::json;

    use crate::npm::{self, Node};
    use crate::sandbox::{Address, Sandbox};
    use crate::sdk::Sdk;

    const SCRIPTS: [&str; 2] = ["openai.mjs", "anthropic.mjs"];

    #[tokio::test]
    async fn node_sdks_work_until_their_rollout_is_closed() {
        let Some((node, sandbox)) = ready(Address::AnotherRolloutToo).await else {
            return;
        };
        let given = sandbox.environment().await;
        let mut sdks = SCRIPTS.map(|script| (script, node.start(script, &sandbox, &given)));
        for (script, sdk) in &mut sdks {
            let said = json!({"text": "t0 t1 t2 t3 "});
            assert_eq!(sdk.ask("whole").await, said, "{script}");
            let streamed = sdk.ask("stream").await;
            assert_eq!(streamed, json!({"text": "t0 t1 t2 t3 t4 "}), "{script}");
        }
        sandbox.close().await;
        for (script, sdk) in &mut sdks {
            assert_eq!(sdk.ask("whole").await, refused(), "{script}");
        }
    }

    #[tokio::test]
    async fn node_sdks_call_tools_and_count_their_retries() {
        let Some((node, sandbox)) = ready(Address::OnlyThisRollout).await else {
            return;
        };
        let given = sandbox.environment().await;
        let journal = sandbox.upstream.journal();
        for script in SCRIPTS {
            let mut sdk = node.start(script, &sandbox, &given);
            let before = journal.requests().len();
            let called = json!({"tool": "add", "given": {"n": 1}, "text": "t0 t1 t2 t3 "});
            assert_eq!(sdk.ask("tools").await, called, "{script}");
            let seen = journal.requests();
            assert!(seen[before].json()["tools"].is_array(), "{script}");
            let messages = seen[before + 1].json()["messages"].as_array().map(Vec::len);
            assert_eq!(messages, Some(3), "{script}");
            let before = seen.len();
            let said = json!({"text": "t0 t1 t2 t3 "});
            assert_eq!(sdk.ask("flaky").await, said, "{script}");
            let seen = journal.requests();
            let counts = seen[before..]
                .iter()
                .map(|seen| seen.header("x-stainless-retry-count"));
            let counts: Vec<_> = counts.collect();
            assert_eq!(counts, [Some("0"), Some("1"), Some("2")], "{script}");
        }
    }

    #[tokio::test]
    async fn node_sdks_that_leave_a_stream_are_gone_for_the_provider_too() {
        let Some((node, sandbox)) = ready(Address::OnlyThisRollout).await else {
            return;
        };
        let given = sandbox.environment().await;
        for (number, script) in SCRIPTS.into_iter().enumerate() {
            let mut sdk = node.start(script, &sandbox, &given);
            assert_eq!(sdk.ask("leave").await, json!({"left": true}), "{script}");
            let left =
                |seen: &[Seen]| matches!(seen[number].fate, Fate::CallerLeft(_)).then_some(());
            let journal = sandbox.upstream.journal();
            journal.wait(Duration::from_secs(10), left).await.unwrap();
        }
    }

    #[tokio::test]
    async fn node_sdks_are_refused_with_what_is_not_their_token() {
        let Some((node, sandbox)) = ready(Address::AnotherRolloutToo).await else {
            return;
        };
        let given = sandbox.environment().await;
        for (what, token) in sandbox.wrong_tokens() {
            let mut given = given.clone();
            for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"] {
                given.insert(name.to_owned(), token.clone());
            }
            for script in SCRIPTS {
                let mut sdk = node.start(script, &sandbox, &given);
                for word in ["whole", "stream"] {
                    assert_eq!(sdk.ask(word).await, refused(), "{what}, {script}");
                }
            }
        }
        assert_eq!(sandbox.upstream.journal().connections(), 0);
    }

    async fn ready(address: Address) -> Option<(Node, Sandbox)> {
        if !need::root() {
            return None;
        }
        let node = Node::with(npm::SDKS)?;
        Some((node, Sandbox::open(address).await))
    }

    fn refused() -> serde_json::Value {
        json!({"error": "AuthenticationError", "status": 401})
    }

    impl Node {
        fn start(&self, script: &str, sandbox: &Sandbox, given: &BTreeMap<String, String>) -> Sdk {
            Sdk::node(&self.program, &self.script(script), &sandbox.place, given)
        }
    }
}
