//! Profile `apollo`: the key stands in the body.

use gate_userspace::{
    client::{Client, Kind, client_owner},
    config::{self, Flags},
    secret::{Digest, UpstreamKey},
    settings::{Mode, PresentAs, ProfileName},
};
use serde_json::{Value, json};

use crate::support::{
    Gate, Maker, PROVIDER_KEY, Reply, Upstream, adopt, begin, chunk, client_id, finish, respond,
};

const ASK: &str = "/services/ask";
const KEY: &str = "openfn-apollo-test-token";
const STORED: &str = "sk-ant-stored-key";
const UNAUTHORIZED: &str =
    r#"{"code":401,"type":"UNAUTHORIZED","message":"Missing or invalid API key"}"#;

/// Acceptance 92 and 93.
#[test]
fn the_stored_key_takes_the_callers_place() {
    let upstream = Upstream::plain();
    let gate = apollo(&upstream);
    keyed(&gate);
    for given in [KEY.to_owned(), format!("  {KEY}\\n")] {
        let body = format!(r#"{{ "api_key": "{given}", "content" : [1, "api_key"] }}"#);
        assert_eq!(gate.call("POST", ASK, &[], &body).status, 200);
        let seen = upstream.last();
        let want = format!(r#"{{ "api_key": "{STORED}", "content" : [1, "api_key"] }}"#);
        assert_eq!(String::from_utf8(seen.body).unwrap(), want);
    }
    let reply = gate.call(
        "POST",
        &format!("{ASK}?a=1&api_key={KEY}"),
        &[],
        r#"{"x":1}"#,
    );
    assert_eq!(reply.status, 200);
    assert_eq!(
        upstream.last().line(),
        format!("POST {ASK}?a=1&api_key={STORED} HTTP/1.1")
    );
    assert_eq!(upstream.last().body, br#"{"x":1}"#);
    let reply = gate.call(
        "POST",
        ASK,
        &[("x-gate-token", KEY), ("authorization", "Bearer x")],
        r#"{"x":1}"#,
    );
    assert_eq!(reply.status, 200);
    assert!(upstream.last().all("authorization").is_empty());
    assert_eq!(
        upstream.last().body,
        format!(r#"{{"api_key":"{STORED}","x":1}}"#).as_bytes()
    );
    assert!(!upstream.everything().contains(KEY));
}

/// Acceptance 95 and 97.
#[test]
fn unknown_and_missing_keys_look_the_same() {
    let upstream = Upstream::plain();
    let gate = apollo(&upstream);
    for body in [
        r#"{"api_key":"sk-ant-xyz"}"#,
        r#"{"api_key":"other"}"#,
        r#"{"api_key":123}"#,
        r#"{"api_key":null}"#,
        r#"{"api_key":" "}"#,
        "{}",
        "not json",
        "",
        "[]",
    ] {
        let reply = gate.call("POST", ASK, &[], body);
        assert_eq!((reply.status, reply.text()), (401, UNAUTHORIZED), "{body}");
        assert_eq!(reply.kind(), "UNAUTHORIZED");
    }
    for (method, path) in [
        ("HEAD", ASK),
        ("GET", "/services/ask/README.md"),
        ("POST", "/other"),
    ] {
        assert_eq!(gate.call(method, path, &[], "").status, 401, "{path}");
    }
    let twice = format!(r#"{{"api_key":"{KEY}","api_key":"{KEY}"}}"#);
    assert_eq!(gate.call("POST", ASK, &[], &twice).status, 400);
    assert!(upstream.seen().is_empty());
}

/// Acceptance 96 and 98.
#[test]
fn the_global_key_serves_only_who_sends_none() {
    let upstream = Upstream::plain();
    let gate = maker(&upstream)
        .set(|settings| settings.routes[0].global_key = true)
        .start();
    keyless(&gate);
    let reply = gate.call("POST", ASK, &[], r#"{"api_key":null,"x":1}"#);
    assert_eq!(reply.status, 200);
    assert_eq!(
        upstream.last().body,
        format!(r#"{{"api_key":"{PROVIDER_KEY}","x":1}}"#).as_bytes()
    );
    let reply = gate.call("POST", ASK, &[], &with_key());
    assert_eq!(
        (reply.status, reply.text()),
        (
            500,
            r#"{"code":500,"type":"CLIENT_MISCONFIGURED","message":"Client has no API key configured"}"#
        )
    );
    assert_eq!(
        gate.call("POST", ASK, &[], r#"{"api_key":"wrong"}"#).status,
        401
    );
}

/// Acceptance 99.
#[test]
fn a_key_that_does_not_open_is_the_gates_fault() {
    let upstream = Upstream::plain();
    let gate = apollo(&upstream);
    let other = gate
        .keyring
        .seal("client/99", &UpstreamKey::new(STORED).unwrap());
    client(&gate, |client| client.key = other.ok());
    let reply = gate.call("POST", ASK, &[], &with_key());
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "KEY_UNAVAILABLE")
    );
    assert_eq!(envelope(&reply)["type"], "KEY_UNAVAILABLE");
}

/// Acceptance 105.
#[test]
fn the_service_may_call_itself_from_this_host() {
    let upstream = Upstream::plain();
    let gate = maker(&upstream)
        .set(|settings| settings.apollo_internal = Some(Digest::of(b"internal-token-internal")))
        .start();
    keyed(&gate);
    let body = r#"{"api_key": "left as it came"}"#;
    let internal = |value: &str, body: &str| {
        gate.call("POST", ASK, &[("x-apollo-internal", value)], body)
            .status
    };
    assert_eq!(internal("internal-token-internal", body), 200);
    assert_eq!(upstream.last().body, body.as_bytes());
    assert_eq!(internal("wrong", &with_key()), 401);
    assert_eq!(internal("", &with_key()), 200);
    assert_eq!(internal("", "{}"), 401);
    let without = apollo(&upstream);
    let headers = [("x-apollo-internal", "internal-token-internal")];
    assert_eq!(without.call("POST", ASK, &headers, "{}").status, 401);
}

/// Acceptance 106: the variable makes every process of a service know the same token. A gate never
/// mints one, so two of them behind one port cannot differ and there is nothing to warn of.
#[test]
fn the_service_may_call_itself_by_way_of_a_sibling() {
    let upstream = Upstream::plain();
    let token = "internal-token-of-the-service";
    let of_environment = |value: Option<&str>| {
        let environment = |name: &str| {
            let value = (name == "APOLLO_INTERNAL_TOKEN").then_some(value)?;
            value.map(str::to_owned)
        };
        let config = config::load_from(&Flags::default(), &environment).unwrap();
        let start = || {
            let maker = maker(&upstream);
            let internal = config.settings.apollo_internal;
            maker
                .set(|settings| settings.apollo_internal = internal)
                .start()
        };
        [start(), start()]
    };
    let headers = [("x-apollo-internal", token)];
    let body = r#"{"api_key":"left as it came"}"#;
    for sibling in of_environment(Some(token)) {
        assert_eq!(sibling.call("POST", ASK, &headers, body).status, 200);
        assert_eq!(upstream.last().body, body.as_bytes());
    }
    assert!(!upstream.everything().contains(token));
    for sibling in of_environment(None) {
        assert_eq!(sibling.call("POST", ASK, &headers, body).status, 401);
    }
    assert_eq!(upstream.seen().len(), 2);
}

/// Acceptance 110.
#[test]
fn a_providers_refusal_is_not_the_gates() {
    let rows: [(u16, &str, u16, &str); 6] = [
        (401, "{}", 401, "AUTH_ERROR"),
        (429, "{}", 429, "RATE_LIMIT"),
        (
            400,
            r#"{"error":{"message":"Your credit balance is too low"}}"#,
            402,
            "BILLING",
        ),
        (403, r#"{"error":{"type":"billing_error"}}"#, 402, "BILLING"),
        (400, r#"{"error":"prompt too long"}"#, 400, ""),
        (529, r#"{"error":"overloaded"}"#, 529, ""),
    ];
    for (status, body, told, kind) in rows {
        let upstream =
            Upstream::start(move |_, to| respond(to, status, "application/json", body.as_bytes()));
        let gate = apollo(&upstream);
        keyed(&gate);
        let reply = gate.call("POST", ASK, &[], &with_key());
        assert_eq!(reply.status, told, "{body}");
        if kind.is_empty() {
            assert_eq!(reply.text(), body);
            assert_eq!(reply.header("x-gate-source").as_deref(), Some("upstream"));
        } else {
            assert_eq!(
                (reply.kind().as_str(), &envelope(&reply)["type"]),
                (kind, &json!(kind))
            );
        }
        if kind == "RATE_LIMIT" {
            assert_eq!(envelope(&reply)["details"], json!({"retry_after": 60}));
        }
    }
    let upstream = Upstream::plain();
    let gate = maker(&upstream)
        .set(|settings| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            settings.upstreams[0].url = crate::support::url(listener.local_addr().unwrap(), "");
        })
        .start();
    keyed(&gate);
    let reply = gate.call("POST", ASK, &[], &with_key());
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "CONNECTION_ERROR")
    );
    assert_eq!(envelope(&reply)["details"]["cause"], "connection refused");
}

/// Acceptance 108.
#[test]
fn streams_end_with_complete_or_error() {
    for (last, ends_with) in [
        (
            "event: complete\ndata: {}\n\n",
            "event: complete\ndata: {}\n\n",
        ),
        (
            "event: log\ndata: 1\n\n",
            "\"message\":\"the upstream's stream ended before its last event\"}\n\n",
        ),
    ] {
        let upstream = Upstream::start(move |_, to| {
            begin(to, "text/event-stream");
            chunk(to, last);
            finish(to);
        });
        let gate = apollo(&upstream);
        keyed(&gate);
        let reply = gate.call("POST", "/services/ask/stream", &[], &with_key());
        assert!(reply.text().ends_with(ends_with), "{}", reply.text());
    }
}

/// Acceptance 111.
#[test]
fn audit_passes_an_unknown_key_as_it_came() {
    let upstream = Upstream::plain();
    let gate = maker(&upstream)
        .set(|settings| settings.mode = Mode::Audit)
        .start();
    let body = r#"{"api_key":"sk-ant-own","x":1}"#;
    assert_eq!(gate.call("POST", ASK, &[], body).status, 200);
    assert_eq!(upstream.last().body, body.as_bytes());
}

fn maker(upstream: &Upstream) -> Maker {
    Maker::before(upstream)
        .profile(ProfileName::Apollo)
        .set(|settings| settings.upstreams[0].present_as = PresentAs::BodyApiKey)
}

fn apollo(upstream: &Upstream) -> Gate {
    maker(upstream).start()
}

fn with_key() -> String {
    format!(r#"{{"api_key":"{KEY}"}}"#)
}

fn client(gate: &Gate, change: impl FnOnce(&mut Client)) {
    gate.client(1, |client| {
        client.tokens = vec![adopt(Kind::Client, KEY)];
        change(client);
    });
}

fn keyless(gate: &Gate) {
    client(gate, |_| {});
}

fn keyed(gate: &Gate) {
    let key = UpstreamKey::new(STORED).unwrap();
    let key = gate.keyring.seal(&client_owner(client_id(1)), &key);
    client(gate, |client| client.key = key.ok());
}

fn envelope(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}
