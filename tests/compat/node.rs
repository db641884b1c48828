//! The Node SDKs, pinned, in a folder of their own under `target`.
//!
//! Does not touch the user's packages. The scripts are copied beside them, because Node looks for a
//! package beside the script that wants it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::need;

const PINS: [&str; 2] = ["openai@6.49.0", "@anthropic-ai/sdk@1.12.0"];

/// Node, and the folder that has the SDKs and `script`.
struct Node {
    program: PathBuf,
    folder: PathBuf,
}

impl Node {
    /// None when it cannot be had here, which is reported.
    fn ready() -> Option<Self> {
        let (program, npm) = (need::program("node")?, need::program("npm")?);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compat-node");
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let (stamp, pins) = (folder.join("pins"), PINS.join(" "));
        // The stamp is written last: half a folder has none.
        if !fs::read_to_string(&stamp).is_ok_and(|made| made == pins) {
            fs::write(folder.join("package.json"), r#"{"private": true}"#).unwrap();
            let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
            let installed = Command::new(npm)
                .args(install)
                .args(PINS)
                .current_dir(&folder)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&installed.stderr);
            let reason = format!("cannot install {pins} with npm: {}", said.trim());
            if !need::that(installed.status.success(), &reason) {
                return None;
            }
            fs::write(&stamp, pins).unwrap();
        }
        for script in ["openai.mjs", "anthropic.mjs"] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat");
            fs::copy(source.join(script), folder.join(script)).unwrap();
        }
        Some(Self { program, folder })
    }
}

/// The first one installs packages.
mod long {
    use std::collections::BTreeMap;

    use harness::need;
    use serde_json::json;

    use super::Node;
    use crate::sandbox::{Address, Sandbox};
    use crate::sdk::Sdk;

    #[tokio::test]
    async fn node_sdks_work_until_their_rollout_is_closed() {
        let Some((node, sandbox)) = ready().await else {
            return;
        };
        let given = sandbox.environment().await;
        let mut sdks = ["openai.mjs", "anthropic.mjs"]
            .map(|script| (script, node.start(script, &sandbox, &given)));
        for (script, sdk) in &mut sdks {
            let said = json!({"text": "t0 t1 t2 t3 "});
            assert_eq!(sdk.ask("whole").await, said, "{script}");
            assert_eq!(sdk.ask("flaky").await, said, "{script}");
            let streamed = sdk.ask("stream").await;
            assert_eq!(streamed, json!({"text": "t0 t1 t2 t3 t4 "}), "{script}");
        }
        sandbox.close().await;
        for (script, sdk) in &mut sdks {
            assert_eq!(sdk.ask("whole").await, refused(), "{script}");
        }
    }

    #[tokio::test]
    async fn node_sdks_are_refused_with_what_is_not_their_token() {
        let Some((node, sandbox)) = ready().await else {
            return;
        };
        let given = sandbox.environment().await;
        for (what, token) in sandbox.wrong_tokens() {
            let mut given = given.clone();
            for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"] {
                given.insert(name.to_owned(), token.clone());
            }
            for script in ["openai.mjs", "anthropic.mjs"] {
                let mut sdk = node.start(script, &sandbox, &given);
                for word in ["whole", "stream"] {
                    assert_eq!(sdk.ask(word).await, refused(), "{what}, {script}");
                }
            }
        }
        assert_eq!(sandbox.upstream.journal().connections(), 0);
    }

    async fn ready() -> Option<(Node, Sandbox)> {
        if !need::root() {
            return None;
        }
        let node = Node::ready()?;
        Some((node, Sandbox::open(Address::AnotherRolloutToo).await))
    }

    fn refused() -> serde_json::Value {
        json!({"error": "AuthenticationError", "status": 401})
    }

    impl Node {
        fn start(&self, script: &str, sandbox: &Sandbox, given: &BTreeMap<String, String>) -> Sdk {
            Sdk::node(
                &self.program,
                &self.folder.join(script),
                &sandbox.place,
                given,
            )
        }
    }
}
