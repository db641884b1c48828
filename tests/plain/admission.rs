//! Who gets in, and what the others are told.

use gate_userspace::{
    client::{Kind, Reach},
    clock::Stamp,
    rollout::Phase,
    scope::Scope,
    settings::ProfileName,
};

use crate::support::{Gate, Maker, Upstream, adopt, mint};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const CHAT_B: &str = "/rollout/B/v1/chat/completions";
const CHAT: &str = "/v1/chat/completions";

/// Acceptance 32 and 43.
#[test]
fn an_open_rollout_is_served_with_either_carrier() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    for (name, value) in [
        ("authorization", format!("Bearer {a}")),
        ("authorization", format!("bearer {a}")),
        ("x-api-key", a.clone()),
        ("X-Gate-Token", a),
    ] {
        let reply = gate.call("POST", CHAT_A, &[(name, &value)], "{}");
        assert_eq!(
            (reply.status, reply.text()),
            (200, r#"{"ok":true}"#),
            "{name}"
        );
        assert_eq!(reply.header("x-gate-source").as_deref(), Some("upstream"));
    }
    assert_eq!(
        upstream.last().line(),
        "POST /rollout/A/v1/chat/completions HTTP/1.1"
    );
}

/// Acceptance 17, 33, 34, 35, 36, 40, 41 and 42.
#[test]
fn every_rejected_credential_looks_the_same() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    let (_, foreign) = mint(Kind::Rollout);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        (CHAT_A, format!("Bearer {b}").into()),
        (CHAT_A, format!("Bearer {foreign}").into()),
        (CHAT_A, b"Bearer intercepted".to_vec()),
        (CHAT_A, b"Bearer ".to_vec()),
        (CHAT_A, b"Bearer".to_vec()),
        (CHAT_A, b"Basic dA==".to_vec()),
        (CHAT_A, format!("Bearer {a} {a}").into()),
        (CHAT_A, format!("Bearer {a} y").into()),
        (CHAT_A, format!("Bearer {a}x").into()),
        (CHAT_A, a.clone().into()),
        (CHAT_A, b"Bearer \xff\xfe\xc3".to_vec()),
        (CHAT_A, Vec::new()),
        (
            "/rollout/nowhere/v1/chat/completions",
            format!("Bearer {a}").into(),
        ),
    ];
    for (path, value) in rows {
        let mut connection = gate.connect();
        connection.send(format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n"
        ));
        connection.send([b"authorization: ".as_slice(), &value, b"\r\n\r\n{}"].concat());
        let reply = connection.reply();
        let shown = String::from_utf8_lossy(&value);
        assert_eq!(reply.status, 401, "{shown}");
        assert_eq!(reply.text(), r#"{"error":"Unauthorized"}"#, "{shown}");
        assert_eq!(reply.kind(), "UNAUTHORIZED", "{shown}");
    }
    let reply = gate.call("POST", CHAT_A, &[], "{}");
    assert_eq!(
        (reply.status, reply.text()),
        (401, r#"{"error":"Unauthorized"}"#)
    );
    assert!(upstream.seen().is_empty());
}

/// Acceptance 82.
#[test]
fn a_plain_service_refuses_in_the_words_it_always_had() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream).profile(ProfileName::Plain).start();
    let token = gate.client(1, |_| {});
    let (_, foreign) = mint(Kind::Client);
    let foreign = format!("Bearer {foreign}");
    for headers in [
        &[][..],
        &[("authorization", foreign.as_str())],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Bearer ")],
        &[("authorization", "")],
        &[("x-api-key", "wrong")],
    ] {
        let reply = gate.call("POST", "/run", headers, "{}");
        assert_eq!(
            (reply.status, reply.text()),
            (
                401,
                r#"{"error":{"message":"Invalid API key","type":"invalid_request_error","code":"invalid_api_key"}}"#
            ),
            "{headers:?}"
        );
        assert_eq!(reply.kind(), "UNAUTHORIZED");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(gate.bearer(&token, "POST", "/run").status, 200);
}

/// Acceptance 44.
#[test]
fn two_credentials_must_be_one() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    let bearer = format!("Bearer {a}");
    let both = |other: &str| {
        let headers = [("authorization", bearer.as_str()), ("x-api-key", other)];
        gate.call("POST", CHAT_A, &headers, "{}").status
    };
    assert_eq!(both(&a), 200);
    assert_eq!(both(&b), 401);
    assert_eq!(both("something-else"), 401);
    let twice = [
        ("authorization", bearer.as_str()),
        ("authorization", "Bearer x"),
    ];
    assert_eq!(gate.call("POST", CHAT_A, &twice, "{}").status, 401);
}

/// Acceptance 154.
#[test]
fn a_tunnels_basic_may_stand_beside_the_token() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let headers = [
        ("authorization", "Basic dHVubmVsOnB3"),
        ("x-api-key", a.as_str()),
    ];
    assert_eq!(gate.call("POST", CHAT_A, &headers, "{}").status, 200);
    assert!(!upstream.everything().contains("dHVubmVsOnB3"));
}

/// Acceptance 37, 38 and 39.
#[test]
fn only_a_covering_token_learns_which_rollouts_exist() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let secret = "0123456789abcdef0123456789abcdef";
    gate.client(1, |client| {
        client.reach = Reach::CoversRollouts;
        client.tokens = vec![adopt(Kind::Client, secret)];
    });
    gate.rollout("A", 1, |_| {});
    gate.client(2, |_| {});
    gate.rollout("B", 2, |_| {});
    assert_eq!(gate.bearer(secret, "POST", CHAT_A).status, 200);
    for path in [CHAT_B, "/rollout/nowhere/v1/chat/completions"] {
        let reply = gate.bearer(secret, "POST", path);
        assert_eq!(
            (reply.status, reply.text()),
            (404, r#"{"error":"Rollout not found"}"#)
        );
        assert_eq!(reply.kind(), "ROLLOUT_NOT_FOUND");
        assert_eq!(gate.bearer("wrong-secret-wrong", "POST", path).status, 401);
        assert_eq!(gate.call("POST", path, &[], "{}").status, 401);
    }
}

/// The rows of "Kinds of token" for clients and rollouts.
#[test]
fn kinds_are_good_for_their_own_paths() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let client = gate.client(1, |_| {});
    let rollout = gate.rollout("A", 1, |_| {});
    let service = gate.client(2, |client| client.reach = Reach::Service);
    let (model, model_token) = mint(Kind::Model);
    let (state, state_token) = mint(Kind::State);
    gate.rollout("M", 1, |rollout| rollout.tokens = vec![model, state]);
    let rows = [
        (&client, "POST", CHAT, 200),
        (&client, "POST", CHAT_A, 401),
        (&rollout, "POST", CHAT_A, 200),
        (&rollout, "POST", CHAT, 200),
        (&rollout, "POST", CHAT_B, 401),
        (&service, "POST", CHAT, 401),
        (&service, "POST", CHAT_A, 401),
        (&model_token, "POST", "/rollout/M/v1/chat/completions", 200),
        (&model_token, "POST", "/rollout/M/tool", 200),
        (&model_token, "GET", "/rollout/M/state", 401),
        (&model_token, "GET", "/rollout/M/vf/tools", 401),
        (&model_token, "POST", CHAT_A, 401),
        (&state_token, "GET", "/rollout/M/state", 200),
        (&state_token, "GET", "/rollout/M/task", 200),
        (&state_token, "POST", "/rollout/M/v1/chat/completions", 401),
        (&state_token, "POST", CHAT, 401),
    ];
    for (number, (token, method, path, status)) in rows.into_iter().enumerate() {
        assert_eq!(
            gate.bearer(token, method, path).status,
            status,
            "row {number}: {path}"
        );
    }
}

/// Acceptance 35: also where no route's prefix holds the rollout.
#[test]
fn a_verifiers_call_without_a_rollout_is_nobodys() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .profile(ProfileName::Verifiers)
        .start();
    let (a, _) = gate.two_rollouts();
    let secret = "0123456789abcdef0123456789abcdef";
    gate.client(2, |client| {
        client.reach = Reach::CoversRollouts;
        client.tokens = vec![adopt(Kind::Client, secret)];
    });
    for token in [a.as_str(), secret] {
        for path in [CHAT_A, CHAT_B, CHAT, "/x"] {
            assert_eq!(gate.bearer(token, "POST", path).status, 401, "{path}");
        }
    }
    assert!(upstream.seen().is_empty());
}

/// Default scopes, and scopes that were given.
#[test]
fn a_call_outside_of_its_scope_is_refused() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let token = gate.client(1, |_| {});
    let narrow = gate.client(2, |client| {
        client.scope = Scope::new(vec!["GET:/v1/models".parse().unwrap()]);
    });
    let rollout = gate.rollout("A", 1, |rollout| {
        rollout.scope = Scope::new(vec!["POST:/v1/*".parse().unwrap()]);
    });
    let rows = [
        (&token, "POST", CHAT, 200),
        (&token, "POST", "/v1/responses", 200),
        (
            &token,
            "GET",
            "/v1/models/org%2Fmodel?include[]=a&include[]=b",
            200,
        ),
        (&token, "HEAD", "/v1/models", 200),
        (&token, "POST", "/v1/files", 401),
        (&token, "DELETE", "/v1/models/x", 401),
        (&token, "POST", "/v1/messages", 200),
        (&token, "POST", "/v1/messages/count_tokens", 200),
        (&token, "POST", "/v1/messages/batches", 401),
        (&token, "DELETE", "/plain/anything", 200),
        (&narrow, "GET", "/v1/models", 200),
        (&narrow, "POST", CHAT, 401),
        (&rollout, "POST", CHAT_A, 200),
        (&rollout, "GET", "/rollout/A/vf/tools", 401),
    ];
    for (token, method, path, status) in rows {
        assert_eq!(
            gate.bearer(token, method, path).status,
            status,
            "{method} {path}"
        );
    }
    assert!(
        upstream
            .everything()
            .contains("org%2Fmodel?include[]=a&include[]=b")
    );
}

/// Acceptance 156.
#[test]
fn a_bound_token_is_refused_from_elsewhere() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let sources = |list: &[&str]| {
        list.iter()
            .map(|text| gate.source(text))
            .collect::<Vec<_>>()
    };
    let away = gate.client(1, |client| client.sources = sources(&["10.0.0.5"]));
    let here = gate.client(2, |client| client.sources = sources(&["10.0.0.5", "lo"]));
    assert_eq!(gate.bearer(&away, "POST", CHAT).status, 401);
    assert_eq!(gate.bearer(&here, "POST", CHAT).status, 200);
    let own = gate.rollout("A", 1, |rollout| rollout.sources = sources(&["lo"]));
    let inherits = gate.rollout("B", 1, |_| {});
    assert_eq!(gate.bearer(&own, "POST", CHAT_A).status, 200);
    assert_eq!(gate.bearer(&inherits, "POST", CHAT_B).status, 401);
    assert_eq!(
        gate.call(
            "POST",
            CHAT_B,
            &[("x-api-key", &inherits), ("x-forwarded-for", "10.0.0.5")],
            "{}"
        )
        .status,
        401
    );
}

#[test]
fn a_draining_rollout_concludes_and_a_closed_one_is_gone() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    gate.change("A", |rollout| rollout.phase = Phase::Draining);
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (409, "ROLLOUT_CONCLUDED")
    );
    assert_eq!(gate.bearer(&b, "POST", CHAT_A).status, 401);
    gate.close("A");
    assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 401);
}

#[test]
fn expired_and_disabled_tokens_are_rejected() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let lease = gate.client(1, |client| client.expires = Some(Stamp(1_000_100)));
    let off = gate.client(2, |client| client.enabled = false);
    assert_eq!(gate.bearer(&lease, "POST", CHAT).status, 200);
    assert_eq!(gate.bearer(&off, "POST", CHAT).status, 401);
    gate.clock.advance(std::time::Duration::from_millis(100));
    assert_eq!(gate.bearer(&lease, "POST", CHAT).status, 401);
}

/// Acceptance 48, 49 and 86.
#[test]
fn bodies_are_limited_after_authentication() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.routes[0].body_limit = Some(1000))
        .start();
    let (a, _) = gate.two_rollouts();
    let bearer = format!("Bearer {a}");
    let length = |headers: &[(&str, &str)]| {
        let mut connection = gate.connect();
        connection.send(crate::support::request("POST", CHAT_A, headers, ""));
        connection.reply()
    };
    assert_eq!(length(&[("content-length", "1001")]).status, 401);
    let reply = length(&[("content-length", "1001"), ("authorization", &bearer)]);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (413, "BODY_TOO_LARGE")
    );
    assert_eq!(
        reply.text(),
        r#"{"error":"the body is larger than 1000 bytes"}"#
    );
    let chunked = [
        ("transfer-encoding", "chunked"),
        ("authorization", bearer.as_str()),
    ];
    let body = format!("400\r\n{}\r\n0\r\n\r\n", "x".repeat(0x400));
    let reply = gate.call("POST", CHAT_A, &chunked, &body);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (413, "BODY_TOO_LARGE")
    );
    assert_eq!(length(&[("content-length", "abc")]).status, 400);
    assert_eq!(gate.call("POST", CHAT_A, &[], "not json").status, 401);
}

/// A refusal reaches a caller that is still sending its body.
#[test]
fn a_refusal_is_not_swallowed_by_an_unread_body() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let body = "x".repeat(4 << 20);
    let reply = gate.call("POST", CHAT_A, &[], &body);
    assert_eq!(reply.status, 401);
}

/// Acceptance 50, 83 and 153.
#[test]
fn open_paths_need_no_token_and_nothing_else_is_open() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    for path in [
        "/",
        "/health",
        "/v1/health",
        "/livez",
        "/healthz",
        "/readyz",
        "/status",
    ] {
        assert_eq!(
            gate.call("GET", path, &[], "").text(),
            r#"{"status":"ok"}"#,
            "{path}"
        );
        assert_eq!(gate.call("HEAD", path, &[], "").status, 200, "{path}");
        assert_eq!(gate.call("POST", path, &[], "").status, 401, "{path}");
    }
    for path in [
        "/health/detailed",
        "/v1/models",
        "/v1/capabilities",
        "/rollout/A/health",
        "/metrics",
        "/rollout/A/v1/models",
        "/anything",
        "/v2/x",
    ] {
        assert_eq!(gate.call("GET", path, &[], "").status, 401, "{path}");
    }
    assert_eq!(gate.call("OPTIONS", "/v1/models", &[], "").status, 401);
    assert!(upstream.seen().is_empty());
}

/// Acceptance 52.
#[test]
fn every_path_of_a_rollout_wants_its_token() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    for (method, path) in [
        ("GET", "/rollout/A/vf/tools"),
        ("POST", "/rollout/A/vf/tools/x"),
        ("POST", "/rollout/A/vf/user"),
        ("POST", "/rollout/A/vf/stop"),
        ("POST", "/rollout/A/vf/model"),
        ("POST", "/rollout/A/v1/rlm/tools"),
    ] {
        assert_eq!(gate.call(method, path, &[], "").status, 401, "{path}");
        assert_eq!(gate.bearer(&b, method, path).status, 401, "{path}");
        assert_eq!(gate.bearer(&a, method, path).status, 200, "{path}");
    }
}

/// Acceptance 85.
#[test]
fn every_answer_carries_its_marks() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    for reply in [
        gate.bearer(&a, "POST", CHAT_A),
        gate.bearer(&b, "POST", CHAT_A),
        gate.call("GET", "/health", &[], ""),
        gate.call("GET", "/a/../b", &[], ""),
    ] {
        assert_eq!(
            reply.header("x-content-type-options").as_deref(),
            Some("nosniff")
        );
        assert_eq!(
            reply.header("referrer-policy").as_deref(),
            Some("no-referrer")
        );
        assert!(reply.header("x-gate-source").is_some());
    }
}

#[test]
fn a_gate_without_an_upstream_says_how_to_set_one() {
    let gate = Maker::nowhere().start();
    let token = gate.client(1, |_| {});
    let reply = gate.bearer(&token, "POST", CHAT);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "CONNECTION_ERROR")
    );
    assert!(reply.text().contains("--upstream URL"), "{}", reply.text());
    assert_eq!(gate.bearer(&token, "GET", "/v2/x").status, 400);
}
