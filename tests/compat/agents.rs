//! The coding agents of a terminal, in a sandbox, with nothing but what `gatectl env` prints.
//!
//! Asks each one thing and looks at what it prints; what an agent sends besides is its own affair.

/// The first one installs two programs of some hundred megabytes.
mod long {
    use std::collections::BTreeMap;
    use std::fs;
    use std::process::Stdio;
    use std::time::Duration;

    use harness::need;
    use harness::scratch::Scratch;
    use tokio::process::Command;
    use tokio::time::timeout;

    use crate::npm::{self, Node};
    use crate::sandbox::{Address, Sandbox};

    /// What the scripted model says, when it is brief.
    const SAID: &str = "t0 t1 t2 t3";

    /// Ends a hanging agent.
    const PATIENCE: Duration = Duration::from_mins(1);

    #[derive(Clone, Copy, Debug)]
    enum Agent {
        ClaudeCode,
        Codex,
    }

    const AGENTS: [Agent; 2] = [Agent::ClaudeCode, Agent::Codex];

    #[tokio::test]
    async fn coding_agents_work_until_their_rollout_is_closed() {
        let Some((node, sandbox)) = ready().await else {
            return;
        };
        let given = sandbox.environment().await;
        for agent in AGENTS {
            let (succeeded, said) = agent.ask(&node, &sandbox, &given).await;
            assert!(succeeded && said.contains(SAID), "{agent:?}: {said}");
        }
        sandbox.close().await;
        let before = sandbox.upstream.journal().requests().len();
        for agent in AGENTS {
            let (succeeded, said) = agent.ask(&node, &sandbox, &given).await;
            assert!(!succeeded && !said.contains(SAID), "{agent:?}: {said}");
        }
        assert_eq!(sandbox.upstream.journal().requests().len(), before);
    }

    #[tokio::test]
    async fn coding_agents_are_refused_with_what_is_not_their_token() {
        let Some((node, sandbox)) = ready().await else {
            return;
        };
        let given = sandbox.environment().await;
        for (what, token) in sandbox.wrong_tokens() {
            let mut given = given.clone();
            for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"] {
                given.insert(name.to_owned(), token.clone());
            }
            for agent in AGENTS {
                let (succeeded, said) = agent.ask(&node, &sandbox, &given).await;
                assert!(
                    !succeeded && !said.contains(SAID),
                    "{what}, {agent:?}: {said}"
                );
            }
        }
        assert_eq!(sandbox.upstream.journal().connections(), 0);
    }

    async fn ready() -> Option<(Node, Sandbox)> {
        if !need::root() {
            return None;
        }
        let node = Node::with(npm::AGENTS)?;
        Some((node, Sandbox::open(Address::AnotherRolloutToo).await))
    }

    impl Agent {
        /// Whether it succeeded, and all that it printed.
        async fn ask(
            self,
            node: &Node,
            sandbox: &Sandbox,
            given: &BTreeMap<String, String>,
        ) -> (bool, String) {
            let home = Scratch::new().unwrap();
            let packages = node.folder.join("node_modules");
            let mut command = match self {
                Self::ClaudeCode => {
                    let program = packages.join("@anthropic-ai/claude-code-linux-x64/claude");
                    let mut command = Command::from(sandbox.place.command(&program));
                    command.args(["--model", "brief", "-p", "say hi"]);
                    command
                }
                Self::Codex => {
                    let folder = home.join(".codex");
                    fs::create_dir(&folder).unwrap();
                    let settings = codex_settings(&given["OPENAI_BASE_URL"]);
                    fs::write(folder.join("config.toml"), settings).unwrap();
                    let mut command = Command::from(sandbox.place.command(&node.program));
                    command
                        .arg(packages.join("@openai/codex/bin/codex.js"))
                        .args(["exec", "--skip-git-repo-check", "--model", "brief"])
                        .arg("say hi");
                    command
                }
            };
            command
                .env_clear()
                .envs(given)
                .env("HOME", home.path())
                .env("PATH", "/usr/bin:/bin")
                // It would look for updates and report to its maker: there is no way out of here.
                .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
                .env("CLAUDE_CODE_MAX_RETRIES", "0")
                .current_dir(home.path())
                .stdin(Stdio::null())
                .kill_on_drop(true);
            let output = timeout(PATIENCE, command.output())
                .await
                .unwrap_or_else(|_| panic!("{self:?} does not end"))
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            (output.status.success(), said)
        }
    }

    /// A provider of its own, as Codex wants it; without retries, so that a refusal ends it.
    fn codex_settings(base: &str) -> String {
        format!(
            "model_provider = \"gate\"\n[model_providers.gate]\nname = \"gate\"\n\
             base_url = \"{base}\"\nenv_key = \"OPENAI_API_KEY\"\nwire_api = \"responses\"\n\
             request_max_retries = 0\nstream_max_retries = 0\n"
        )
    }
}
