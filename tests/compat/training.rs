//! A trainer's interception server behind a gate that serves `verifiers-session`.
//!
//! Does not run rollouts: it opens them on the server and on the gate, the server's secrets behind
//! the gate's tokens. The gate and the server share a host, the sandbox has two addresses.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use harness::client::{Call, Complete};
use harness::gatectl::text;
use harness::gated::{Gated, Launch};
use harness::link::beside;
use harness::need;
use harness::netns::Namespace;
use harness::upstream::{Provider, Upstream};
use serde_json::{Value, json};

use crate::sandbox::UPSTREAM_KEY;
use crate::sdk::{Sdk, environment};
use crate::venv;

/// Where the sandbox's packets come from unless they say otherwise.
pub(crate) const HERE: &str = "10.78.0.2/32";
pub(crate) const ELSEWHERE: &str = "10.78.0.3/32";

const GATE: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 78, 0, 1), 8765);
const SERVER_PORT: u16 = 9800;

/// What the server takes from tool servers that many rollouts share.
pub(crate) const SERVICE_SECRET: &str = "service-secret-of-the-compat-server";

/// Where a trainer works. Fields drop top to bottom: the gate ends first.
pub(crate) struct Scene {
    pub(crate) gated: Gated,
    pub(crate) provider: Upstream,
    pub(crate) place: Namespace,
}

/// A scene whose server is running.
pub(crate) struct Training {
    pub(crate) scene: Scene,
    server: Sdk,
}

/// A rollout as both sides know it.
pub(crate) struct Rollout {
    id: String,
    /// What `gatectl rollout open` printed.
    opened: Value,
    /// What the server would have handed out.
    pub(crate) server_secrets: [String; 2],
    /// What the server calls its session where a shared tool server asks for its state.
    pub(crate) route: String,
}

impl Scene {
    /// A gate in front of a port where the server will be.
    async fn set() -> Self {
        let (host, place) =
            beside("sandbox", "10.78.0.1/24", &["10.78.0.2/24", "10.78.0.3/24"]).unwrap();
        let provider = Provider {
            pace: Duration::from_millis(5),
        };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let provider = Upstream::provider(&host, local, provider).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, GATE.1));
        let gated = Launch::on(&host)
            .serving(listen, (Ipv4Addr::LOCALHOST, SERVER_PORT).into())
            .flag("--profile", "verifiers-session");
        let gated = gated.start().await.unwrap();
        gated.ctl().json("client add trainer").await.unwrap();
        Self {
            gated,
            provider,
            place,
        }
    }

    /// Runs `script`, which is or brings the server, on the gate's host. None where it cannot be,
    /// which is reported.
    pub(crate) async fn with(script: &str) -> Option<(Self, Sdk)> {
        if !need::root() {
            return None;
        }
        let python = venv::python(venv::VERIFIERS)?;
        let scene = Self::set().await;
        let provider = scene.provider.address();
        let given = environment([
            ("GATE_URL", format!("http://{}", SocketAddr::from(GATE))),
            ("PORT", SERVER_PORT.to_string()),
            ("PROVIDER_URL", format!("http://{provider}/v1")),
            ("PROVIDER_KEY", UPSTREAM_KEY.to_owned()),
            ("SERVICE_SECRET", SERVICE_SECRET.to_owned()),
            ("HF_HUB_OFFLINE", "1".to_owned()),
        ]);
        let script = Sdk::start(&python, script, scene.gated.place(), &given);
        Some((scene, script))
    }
}

impl Training {
    /// None where it cannot be, which is reported.
    pub(crate) async fn start() -> Option<Self> {
        let (scene, mut server) = Scene::with("verifiers.py").await?;
        assert_eq!(server.next().await, json!({"ready": true}));
        Some(Self { scene, server })
    }

    /// Opens rollout `id` on the server, and on the gate for `source`.
    pub(crate) async fn open(&mut self, id: &str, source: &str) -> Rollout {
        let slot = self.server.ask(&format!("open {id}")).await;
        self.admit(id, "trainer", source, &slot).await
    }

    /// Opens a session on the server, and on the gate a rollout of `client` that has the name the
    /// server gives it.
    pub(crate) async fn open_routed(&mut self, client: &str, source: &str) -> Rollout {
        let slot = self.server.ask(&format!("open {client}-routed")).await;
        let route = text(&slot, "/route").unwrap();
        self.admit(&route, client, source, &slot).await
    }

    async fn admit(&self, id: &str, client: &str, source: &str, slot: &Value) -> Rollout {
        let gate = format!("http://{}", SocketAddr::from(GATE));
        assert_eq!(text(slot, "/url").unwrap(), gate);
        let server_secrets = ["/model", "/state"].map(|kind| text(slot, kind).unwrap());
        let [model, state] = &server_secrets;
        let secrets = json!({"model": {"upstream_key": model}, "state": {"upstream_key": state}});
        let open = format!(
            "rollout open {id} --client {client} --source {source} \
             --tokens model,state --secrets-stdin --output json"
        );
        let opened = self
            .scene
            .gated
            .ctl()
            .run(&open, &secrets.to_string())
            .await;
        Rollout {
            id: id.to_owned(),
            opened: opened.unwrap().json().unwrap(),
            server_secrets,
            route: text(slot, "/route").unwrap(),
        }
    }

    /// What a process of `rollout` is given: the printed environment, whole.
    pub(crate) async fn environment(&self, rollout: &Rollout) -> BTreeMap<String, String> {
        let env = format!("env {} --format json --token-stdin", rollout.id);
        let printed = self
            .scene
            .gated
            .ctl()
            .run(&env, &rollout.opened.to_string())
            .await;
        let printed = printed.unwrap().json().unwrap();
        serde_json::from_value(printed).unwrap()
    }

    /// An SDK at work in the sandbox with `environment`.
    pub(crate) fn sdk(&self, script: &str, environment: &BTreeMap<String, String>) -> Option<Sdk> {
        let python = venv::python(venv::SDKS)?;
        Some(Sdk::start(&python, script, &self.scene.place, environment))
    }

    pub(crate) async fn call(&self, call: Call) -> Complete {
        call.complete(&self.scene.place, GATE.into()).await.unwrap()
    }

    /// Turns that the server has recorded for `rollout`.
    pub(crate) async fn turns(&mut self, rollout: &Rollout) -> Value {
        self.server.ask(&format!("turns {}", rollout.id)).await["turns"].take()
    }

    /// Ends `rollout` on the gate, the server still knows it.
    pub(crate) async fn close_on_gate(&self, rollout: &Rollout) {
        let close = format!("rollout close {}", rollout.id);
        self.scene.gated.ctl().json(&close).await.unwrap();
    }

    /// Ends `rollout` on the server, the gate still knows it.
    pub(crate) async fn close_on_server(&mut self, rollout: &Rollout) {
        let closed = self.server.ask(&format!("close {}", rollout.id)).await;
        assert_eq!(closed, json!({"closed": rollout.id}));
    }
}

impl Rollout {
    /// The gate's token of `kind`.
    pub(crate) fn token(&self, kind: &str) -> String {
        text(&self.opened, &format!("/tokens/{kind}")).unwrap()
    }
}
