//! Real clients over every wire that a listener speaks: plain, TLS, HTTP/2, web sockets.
//!
//! The same gate, the same tokens: what differs is what the client brings along.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;
use std::time::Duration;

use harness::authority::Authority;
use harness::gatectl::text;
use harness::gated::{Gated, Launch};
use harness::link::beside;
use harness::need;
use harness::netns::Namespace;
use harness::upstream::{Provider, Upstream};
use serde_json::json;
use tokio::process::Command;

use crate::sandbox::UPSTREAM_KEY;
use crate::sdk::Sdk;
use crate::venv;

const HOST: &str = "10.78.1.1";
const SECURE: u16 = 8443;
const ECHO: u16 = 9100;

/// Fields drop top to bottom: the gate ends first.
struct Wires {
    gated: Gated,
    upstream: Upstream,
    place: Namespace,
    host: Namespace,
    authority: Authority,
    token: String,
}

#[tokio::test]
async fn curl_speaks_every_version_until_the_rollout_is_closed() {
    let Some(curl) = need::program("curl") else {
        return;
    };
    let Some(wires) = Wires::open().await else {
        return;
    };
    let versions = [
        ("--http1.1", "https", SECURE, "1.1"),
        ("--http2", "https", SECURE, "2"),
        ("--tls-max=1.2", "https", SECURE, "2"),
        ("--http1.1", "http", 8765, "1.1"),
    ];
    let call = async |how: &str, scheme: &str, port: u16, token: &str| {
        let url = format!("{scheme}://{HOST}:{port}/v1/chat/completions");
        let mut command = Command::from(wires.place.command(&curl));
        let (flag, value) = how.split_once('=').unwrap_or((how, ""));
        command
            .arg(flag)
            .args([value].iter().filter(|value| !value.is_empty()));
        command
            .args(["--silent", "--show-error", "--max-time", "20"])
            .arg("--cacert")
            .arg(wires.authority.root())
            .args(["--write-out", " %{http_code} %{http_version}"])
            .args(["--data", r#"{"model":"scripted","messages":[]}"#])
            .args(["--header", "content-type: application/json"])
            .args(["--header", &format!("authorization: Bearer {token}")])
            .arg(url);
        said(&command.output().await.unwrap())
    };
    for (how, scheme, port, version) in versions {
        let answer = call(how, scheme, port, &wires.token).await;
        let expected = format!(" 200 {version}");
        assert!(answer.contains("t0 t1 t2 t3"), "{how} {scheme}: {answer}");
        assert!(answer.ends_with(&expected), "{how} {scheme}: {answer}");
        let refused = call(how, scheme, port, "gate_wrong").await;
        assert!(refused.ends_with(&format!(" 401 {version}")), "{refused}");
    }
    let log = wires.gated.log().text();
    assert!(!log.contains(&wires.token) && !log.contains(UPSTREAM_KEY));
    wires.close().await;
    for (how, scheme, port, _) in versions {
        let refused = call(how, scheme, port, &wires.token).await;
        assert!(refused.contains(" 401 "), "{how} {scheme}: {refused}");
    }
}

#[tokio::test]
async fn h2load_gets_an_answer_to_every_call() {
    let Some(h2load) = need::program("h2load") else {
        return;
    };
    let Some(wires) = Wires::open().await else {
        return;
    };
    let load = async |calls: u32| {
        let mut command = Command::from(wires.place.command(&h2load));
        command
            .args(["--requests", &calls.to_string()])
            .args(["--clients", "8", "--max-concurrent-streams", "16"])
            .args([
                "--header",
                &format!("authorization: Bearer {}", wires.token),
            ])
            .arg(format!("https://{HOST}:{SECURE}/v1/models"));
        said(&command.output().await.unwrap())
    };
    let answered = load(2000).await;
    assert!(answered.contains("Application protocol: h2"), "{answered}");
    assert!(
        answered.contains("2000 succeeded, 0 failed, 0 errored"),
        "{answered}"
    );
    assert!(answered.contains("status codes: 2000 2xx"), "{answered}");
    wires.close().await;
    let refused = load(200).await;
    assert!(refused.contains("200 4xx"), "{refused}");
}

#[tokio::test]
async fn sdks_speak_tls_and_http2() {
    let Some(python) = venv::python(venv::SDKS) else {
        return;
    };
    let Some(wires) = Wires::open().await else {
        return;
    };
    let mut given = wires.environment();
    let secure =
        |given: &BTreeMap<String, String>| Sdk::start(&python, "openai.py", &wires.place, given);
    let said = json!({"text": "t0 t1 t2 t3 t4 "});
    let mut one = secure(&given);
    assert_eq!(one.ask("version").await, json!({"version": "HTTP/1.1"}));
    assert_eq!(one.ask("stream").await, said);
    given.insert("HTTP2".to_owned(), "1".to_owned());
    let mut two = secure(&given);
    assert_eq!(two.ask("version").await, json!({"version": "HTTP/2"}));
    assert_eq!(two.ask("stream").await, said);
    let mut anthropic = Sdk::start(&python, "anthropic.py", &wires.place, &given);
    assert_eq!(anthropic.ask("stream").await, said);
    assert_eq!(two.ask("endless").await, json!({"running": true}));
    wires.close().await;
    let ended = two.next().await;
    assert_eq!(ended["error"], json!("APIError"), "{ended}");
    let unauthorised = json!("AuthenticationError");
    let refused = one.ask("chat").await;
    assert_eq!(refused["error"], unauthorised, "{refused}");
    // Nobody here reads an idle HTTP/2 connection: that it was closed shows with the next call, which
    // an SDK repeats by itself unless its retries are off, as they are here.
    for (sdk, word) in [(&mut two, "chat"), (&mut anthropic, "message")] {
        let mut refused = sdk.ask(word).await;
        if refused["error"] == "APIConnectionError" {
            refused = sdk.ask(word).await;
        }
        assert_eq!(refused["error"], unauthorised, "{refused}");
    }
    assert!(!wires.upstream.journal().requests().is_empty());
}

/// Acceptance 148, with a client that knows its protocol.
#[tokio::test]
async fn websockets_are_passed_both_ways_and_ended_with_1008() {
    let Some(python) = venv::python(venv::SDKS) else {
        return;
    };
    let Some(wires) = Wires::open().await else {
        return;
    };
    let start = |place: &Namespace, words: &[&str], given: &BTreeMap<String, String>| {
        Sdk::started_with(&python, "sockets.py", words, place, given)
    };
    let port = ECHO.to_string();
    let mut server = start(&wires.host, &["serve", &port], &BTreeMap::new());
    assert_eq!(server.next().await, json!({"ready": true}));
    let given = wires.environment();
    let urls = [
        format!("ws://{HOST}:8765/echo"),
        format!("wss://{HOST}:{SECURE}/echo"),
    ];
    let mut callers = urls
        .each_ref()
        .map(|url| start(&wires.place, &["call", url], &given));
    for caller in &mut callers {
        assert_eq!(caller.next().await, json!({"open": true}));
        for word in ["a", "bc"] {
            assert_eq!(caller.ask(word).await, json!({"back": true}));
        }
        caller.tell("wait").await;
    }
    wires.close().await;
    for caller in &mut callers {
        assert_eq!(caller.next().await, json!({"closed": 1008}));
    }
    let mut late = start(&wires.place, &["call", &urls[1]], &given);
    assert_eq!(late.next().await, json!({"refused": 401}));
}

impl Wires {
    /// None where it cannot be, which is reported.
    async fn open() -> Option<Self> {
        if !need::root() {
            return None;
        }
        let (host, place) = beside("sandbox", "10.78.1.1/24", &["10.78.1.2/24"]).unwrap();
        let provider = Provider {
            pace: Duration::from_millis(5),
        };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let upstream = Upstream::provider(&host, local, provider).unwrap();
        let authority = Authority::new().unwrap();
        let files = authority.files(&[HOST, "localhost"]).unwrap();
        let toml = format!(
            r#"
[[listen]]
address = "0.0.0.0:8765"
sources = "listed"

[[listen]]
address = "0.0.0.0:{SECURE}"
sources = "listed"
tls = {{ certificate = "{}", key = "{}" }}

[[upstream]]
name = "default"
url = "http://{}"
key_env = "COMPAT_UPSTREAM_KEY"

[[upstream]]
name = "echo"
url = "http://127.0.0.1:{ECHO}"
credential = "none"

[[route]]
prefix = "/v1/messages"
profile = "anthropic"

[[route]]
prefix = "/v1"
profile = "openai"

[[route]]
prefix = "/echo"
profile = "plain"
upstream = "echo"
"#,
            files.certificate.display(),
            files.key.display(),
            upstream.address()
        );
        let gated = Launch::on(&host)
            .config(&toml)
            .env("COMPAT_UPSTREAM_KEY", UPSTREAM_KEY);
        let gated = gated.start().await.unwrap();
        let ctl = gated.ctl();
        ctl.json("client add trainer").await.unwrap();
        // Keeps the sandbox's address open when the other one is closed.
        let open = "rollout open other --client trainer --source 10.78.1.2";
        ctl.json(open).await.unwrap();
        let open = "rollout open wires --client trainer --source 10.78.1.2";
        let token = text(&ctl.json(open).await.unwrap(), "/token").unwrap();
        Some(Self {
            gated,
            upstream,
            place,
            host,
            authority,
            token,
        })
    }

    /// What a client over TLS is given.
    fn environment(&self) -> BTreeMap<String, String> {
        let base = format!("https://{HOST}:{SECURE}");
        let root = self.authority.root().display().to_string();
        let pairs = [
            ("OPENAI_BASE_URL", format!("{base}/v1")),
            ("ANTHROPIC_BASE_URL", base),
            ("OPENAI_API_KEY", self.token.clone()),
            ("ANTHROPIC_API_KEY", self.token.clone()),
            ("SSL_CERT_FILE", root),
        ];
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    async fn close(&self) {
        let close = "rollout close wires";
        self.gated.ctl().json(close).await.unwrap();
    }
}

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}
