//! A sandbox behind a gate, with a rollout open for it.
//!
//! Does not provision by anything but `gatectl`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use harness::authority::{Authority, Until};
use harness::gatectl::text;
use harness::gated::{Gated, Launch};
use harness::link::beside;
use harness::netns::Namespace;
use harness::upstream::{Provider, Upstream, Wire};
use serde_json::Value;

pub(crate) const UPSTREAM_KEY: &str = "sk-compat-provider-key-0001";

const HERE: &str = "10.78.0.2/32";
const ROLLOUT: &str = "compat-1";

/// Fields drop top to bottom: the gate ends first.
pub(crate) struct Sandbox {
    pub(crate) gated: Gated,
    pub(crate) upstream: Upstream,
    pub(crate) place: Namespace,
    token: String,
    sibling: Option<String>,
}

/// How the provider is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    /// `--upstream https://..` and nothing else: its authority is one of the system's.
    Tls,
    /// By `gate.toml`, with the authority and HTTP/2 in it.
    Http2,
}

/// Whether something else keeps the sandbox's address open once the rollout is closed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    OnlyThisRollout,
    AnotherRolloutToo,
}

impl Sandbox {
    pub(crate) async fn open(address: Address) -> Self {
        Self::open_by(address, Way::Plain).await
    }

    pub(crate) async fn open_by(address: Address, way: Way) -> Self {
        let (host, place) = beside("sandbox", "10.78.0.1/24", &["10.78.0.2/24"]).unwrap();
        let provider = Provider {
            pace: Duration::from_millis(5),
        };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let ca = Authority::new().unwrap();
        let wire = match way {
            Way::Plain => Wire::plain(),
            Way::Tls | Way::Http2 => {
                let versions = &["h2", "http/1.1"];
                let config = ca.server(&["localhost"], Until::LongFromNow, versions);
                Wire::tls(config.unwrap())
            }
        };
        let answer = move |seen: &_| provider.answer(seen);
        let upstream = Upstream::over(wire, &host, local, answer).unwrap();
        let gate = Launch::on(&host)
            .flag("--listen", SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8765)))
            .flag("--sources", "listed")
            .flag("--upstream-key-env", "COMPAT_UPSTREAM_KEY")
            .env("COMPAT_UPSTREAM_KEY", UPSTREAM_KEY);
        let gate = match way {
            Way::Plain | Way::Tls => gate
                .flag("--upstream", upstream.url())
                .env("SSL_CERT_FILE", &ca.root().display().to_string()),
            Way::Http2 => gate.config(&format!(
                "[[upstream]]\nurl = \"{}\"\n{}\nhttp2 = true\n",
                upstream.url(),
                ca.line()
            )),
        };
        let gated = gate.start().await.unwrap();
        gated.ctl().json("client add trainer").await.unwrap();
        let token = rollout(&gated, ROLLOUT).await;
        let sibling = match address {
            Address::OnlyThisRollout => None,
            Address::AnotherRolloutToo => Some(rollout(&gated, "neighbour").await),
        };
        Self {
            gated,
            upstream,
            place,
            token,
            sibling,
        }
    }

    /// Credentials that are not this rollout's, by what they are.
    pub(crate) fn wrong_tokens(&self) -> Vec<(&'static str, String)> {
        let mut mistyped = self.token.clone();
        let last = mistyped.pop().expect("a token is not empty");
        mistyped.push(if last == 'x' { 'y' } else { 'x' });
        let sibling = self.sibling.iter().cloned();
        [
            ("a mistyped token", mistyped),
            ("the placeholder", "intercepted".to_owned()),
            ("the provider's key", UPSTREAM_KEY.to_owned()),
        ]
        .into_iter()
        .chain(sibling.map(|token| ("a sibling's token", token)))
        .collect()
    }

    /// What a process in the sandbox is given: the printed environment, whole.
    pub(crate) async fn environment(&self) -> BTreeMap<String, String> {
        let ctl = self.gated.ctl();
        let env = format!("env {ROLLOUT} --format json --token-stdin");
        let printed = ctl.run(&env, &self.token).await.unwrap().json().unwrap();
        let Value::Object(pairs) = &printed else {
            panic!("not an object: {printed}")
        };
        let text = |value: &Value| value.as_str().expect("a value is text").to_owned();
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect()
    }

    pub(crate) async fn close(&self) {
        self.gated
            .ctl()
            .json(&format!("rollout close {ROLLOUT}"))
            .await
            .unwrap();
    }
}

/// Opens rollout `id` for the sandbox and returns its token.
async fn rollout(gated: &Gated, id: &str) -> String {
    let open = format!("rollout open {id} --client trainer --source {HERE}");
    text(&gated.ctl().json(&open).await.unwrap(), "/token").unwrap()
}
