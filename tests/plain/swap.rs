//! What the upstream sees, and what it never sees.

use gate_userspace::{
    client::client_owner,
    rollout::rollout_owner,
    secret::UpstreamKey,
    settings::{CredentialMode, PresentAs},
};

use crate::support::{Gate, Maker, PROVIDER_KEY, Upstream, client_id, respond, url};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";

/// Acceptance 58 and 81.
#[test]
fn the_gates_token_goes_and_the_providers_key_comes() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let bearer = format!("Bearer {a}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-api-key", &a),
        ("x-gate-token", &a),
        ("connection", "keep-alive, X-Mine"),
        ("x-mine", "1"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic eA=="),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("anthropic-beta", "b1"),
        ("openai-beta", "b2"),
        ("traceparent", "00-1-2-01"),
        ("x-stainless-retry-count", "1"),
    ];
    let body = r#"{"messages":[ ]}"#;
    assert_eq!(gate.call("POST", CHAT_A, &headers, body).status, 200);
    let seen = upstream.last();
    assert_eq!(
        seen.all("authorization"),
        [format!("Bearer {PROVIDER_KEY}")]
    );
    assert_eq!(seen.all("host"), [upstream.address.to_string()]);
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-host"), ["localhost"]);
    for gone in [
        "x-api-key",
        "x-gate-token",
        "x-mine",
        "te",
        "proxy-authorization",
        "forwarded",
        "connection",
    ] {
        assert!(seen.all(gone).is_empty(), "{gone}: {}", seen.head);
    }
    for (stays, value) in [
        ("anthropic-beta", "b1"),
        ("openai-beta", "b2"),
        ("traceparent", "00-1-2-01"),
        ("x-stainless-retry-count", "1"),
    ] {
        assert_eq!(seen.all(stays), [value]);
    }
    assert_eq!(seen.body, body.as_bytes());
    assert!(!upstream.everything().contains(&a));
}

/// The key of the rollout, else of the client, else of the upstream.
#[test]
fn the_nearest_key_is_presented() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let seal = |owner: &str, key: &str| {
        let key = UpstreamKey::new(key).unwrap();
        Some(gate.keyring.seal(owner, &key).unwrap())
    };
    let client = gate.client(1, |client| {
        client.key = seal(&client_owner(client_id(1)), "sk-client");
    });
    let own = gate.rollout("A", 1, |rollout| {
        rollout.key = seal(&rollout_owner(rollout.serial), "sk-rollout");
    });
    let inherits = gate.rollout("B", 1, |_| {});
    let keyless = gate.client(2, |_| {});
    let moved = gate.client(3, |other| {
        other.key = seal(&client_owner(client_id(1)), "sk-client");
    });
    for (token, path, key) in [
        (&client, "/v1/models", "sk-client"),
        (&own, "/rollout/A/x", "sk-rollout"),
        (&inherits, "/rollout/B/x", "sk-client"),
        (&keyless, "/v1/models", PROVIDER_KEY),
    ] {
        assert_eq!(gate.bearer(token, "GET", path).status, 200, "{path}");
        assert_eq!(
            upstream.last().all("authorization"),
            [format!("Bearer {key}")]
        );
    }
    let reply = gate.bearer(&moved, "GET", "/v1/models");
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "KEY_UNAVAILABLE")
    );
}

#[test]
fn no_key_anywhere_is_the_gates_fault() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.upstreams[0].key = None)
        .start();
    let token = gate.client(1, |_| {});
    let reply = gate.bearer(&token, "GET", "/v1/models");
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (500, "CLIENT_MISCONFIGURED")
    );
    assert!(upstream.seen().is_empty());
}

#[test]
fn an_upstream_that_wants_no_key_gets_none() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.upstreams[0].credential = CredentialMode::None)
        .start();
    let token = gate.client(1, |_| {});
    assert_eq!(gate.bearer(&token, "GET", "/v1/models").status, 200);
    assert!(upstream.last().all("authorization").is_empty());
}

/// `credential = "keep"`: the gate's token comes in `X-Gate-Token`, and only there.
#[test]
fn a_callers_own_credential_is_kept() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.upstreams[0].credential = CredentialMode::Keep)
        .start();
    let token = gate.client(1, |_| {});
    let headers = [
        ("x-gate-token", token.as_str()),
        ("authorization", "Bearer sk-own"),
        ("x-api-key", &token),
    ];
    assert_eq!(gate.call("GET", "/v1/models", &headers, "").status, 200);
    assert_eq!(upstream.last().all("authorization"), ["Bearer sk-own"]);
    assert_eq!(gate.bearer(&token, "GET", "/v1/models").status, 401);
    assert!(!upstream.everything().contains(&token));
}

/// An upstream that a client has of its own says what its callers may bring, not the route's.
#[test]
fn a_clients_own_upstream_keeps_what_its_callers_bring() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| {
            let mut own = Maker::before(&upstream).settings.upstreams.remove(0);
            own.name = "own".parse().unwrap();
            own.credential = CredentialMode::Keep;
            settings.upstreams.push(own);
        })
        .start();
    let of_client = gate.client(1, |client| client.upstream = Some("own".parse().unwrap()));
    let usual = gate.client(2, |_| {});
    let of_rollout = gate.rollout("A", 2, |rollout| {
        rollout.upstream = Some("own".parse().unwrap());
    });
    for (token, path, status) in [
        (&of_client, "/v1/models", 200),
        (&of_rollout, "/rollout/A/v1/models", 200),
        (&usual, "/v1/models", 401),
    ] {
        let headers = [
            ("x-gate-token", token.as_str()),
            ("authorization", "Bearer sk-own"),
        ];
        assert_eq!(gate.call("GET", path, &headers, "").status, status);
        assert_eq!(upstream.last().all("authorization"), ["Bearer sk-own"]);
    }
}

/// What is kept may look like anything, but not like another token of this gate.
#[test]
fn only_the_callers_own_is_kept() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.upstreams[0].credential = CredentialMode::Keep)
        .start();
    let (token, other) = (gate.client(1, |_| {}), gate.client(2, |_| {}));
    for own in ["Token abc", "Basic eDp5", "AWS4-HMAC-SHA256 Credential=x"] {
        let headers = [("x-gate-token", token.as_str()), ("authorization", own)];
        assert_eq!(gate.call("GET", "/v1/models", &headers, "").status, 200);
        assert_eq!(upstream.last().all("authorization"), [own]);
    }
    let seen = upstream.seen().len();
    let bearer = format!("Bearer {other}");
    for own in [
        ("authorization", bearer.as_str()),
        ("x-api-key", &other),
        ("api-key", &other),
    ] {
        let headers = [("x-gate-token", token.as_str()), own];
        assert_eq!(gate.call("GET", "/v1/models", &headers, "").status, 401);
    }
    assert_eq!(upstream.seen().len(), seen);
}

#[test]
fn keys_are_presented_as_the_upstream_wants() {
    for (present_as, name, value) in [
        (
            PresentAs::Bearer,
            "authorization",
            format!("Bearer {PROVIDER_KEY}"),
        ),
        (PresentAs::XApiKey, "x-api-key", PROVIDER_KEY.to_owned()),
        (PresentAs::ApiKey, "api-key", PROVIDER_KEY.to_owned()),
    ] {
        let upstream = Upstream::plain();
        let gate = Maker::before(&upstream)
            .set(|settings| settings.upstreams[0].present_as = present_as)
            .start();
        let token = gate.client(1, |_| {});
        assert_eq!(gate.bearer(&token, "GET", "/v1/models").status, 200);
        assert_eq!(upstream.last().all(name), [value]);
    }
}

#[test]
fn paths_are_joined_with_one_version() {
    let rows = [
        ("", "", "/v1/models?x=1", "/v1/models?x=1"),
        ("/v1", "", "/v1/models", "/v1/models"),
        ("/api/v1", "", "/v1/models", "/api/v1/models"),
        (
            "/api/v1",
            "/rollout/A",
            "/rollout/A/v1/models",
            "/api/v1/models",
        ),
        ("/base", "/plain", "/plain/x/y", "/base/x/y"),
        ("", "/plain", "/plain", "/"),
        ("/v1", "", "/plain/v1", "/v1/plain/v1"),
    ];
    for (base, strip, path, joined) in rows {
        let upstream = Upstream::plain();
        let gate = Maker::before(&upstream)
            .set(|settings| {
                settings.upstreams[0].url = url(upstream.address, base);
                for route in &mut settings.routes {
                    route.strip_prefix = strip.to_owned();
                }
            })
            .start();
        gate.client(1, |_| {});
        let token = gate.rollout("A", 1, |_| {});
        assert_eq!(
            gate.bearer(&token, "GET", path).status,
            200,
            "{base} {path}"
        );
        assert_eq!(upstream.last().line(), format!("GET {joined} HTTP/1.1"));
    }
}

/// Acceptance 175.
#[test]
fn an_upstream_cannot_speak_for_the_gate() {
    let upstream = Upstream::start(|_, to| {
        let _gone = std::io::Write::write_all(
            to,
            b"HTTP/1.1 403 X\r\nx-gate-source: gate\r\nx-gate-error: UNAUTHORIZED\r\nx-own: 1\r\ncontent-length: 2\r\n\r\nno",
        );
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert_eq!((reply.status, reply.text()), (403, "no"));
    assert_eq!(reply.header("x-gate-source").as_deref(), Some("upstream"));
    assert_eq!(reply.header("x-gate-error"), None);
    assert_eq!(reply.header("x-own").as_deref(), Some("1"));
}

/// Acceptance 66.
#[test]
fn a_providers_error_passes_untouched() {
    let upstream =
        Upstream::start(|_, to| respond(to, 529, "application/json", br#"{"type":"error"}"#));
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert_eq!((reply.status, reply.text()), (529, r#"{"type":"error"}"#));
}

/// What an upstream got is not for its caller to see.
#[test]
fn no_method_shows_what_the_upstream_got() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    for method in ["TRACE", "TRACK"] {
        assert_eq!(gate.bearer(&a, method, "/rollout/A/x").status, 400);
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_call_has_one_id_on_both_sides() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    let id = reply.header("x-request-id").unwrap();
    assert_eq!(upstream.last().all("x-request-id"), [id.as_str()]);
    let headers = [("x-api-key", a.as_str()), ("x-request-id", "mine-1")];
    let reply = gate.call("POST", CHAT_A, &headers, "{}");
    assert_eq!(reply.header("x-request-id").as_deref(), Some("mine-1"));
    assert_eq!(upstream.last().all("x-request-id"), ["mine-1"]);
    assert!(
        gate.call("POST", CHAT_A, &[], "")
            .header("x-request-id")
            .is_some()
    );
}

/// A reload sends the next call elsewhere; a call that runs stays where it is.
#[test]
fn a_reload_moves_the_next_call() {
    let (first, second) = (Upstream::plain(), Upstream::plain());
    let gate = Gate::before(&first);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    let headers = [("x-api-key", a.as_str())];
    assert_eq!(connection.call("POST", CHAT_A, &headers, "{}").status, 200);
    let next = Maker::before(&second);
    gate.proxy.reload(&next.settings, &next.names);
    assert_eq!(connection.call("POST", CHAT_A, &headers, "{}").status, 200);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
}
