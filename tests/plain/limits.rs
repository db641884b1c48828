//! What is bounded, and how it is refused.

use std::time::Duration;

use gate_userspace::{
    proxy::counters::Count,
    settings::{FailedAuth, Mode},
};

use crate::support::{Gate, Maker, Upstream, begin, chunk, mint, request, respond, wait_for_close};

const CHAT: &str = "/v1/chat/completions";

/// Acceptance 91.
#[test]
fn failed_authentications_are_throttled_and_valid_tokens_never() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| {
            settings.limits.failed_auth = FailedAuth {
                count: 20,
                per: Duration::from_mins(1),
            };
        })
        .start();
    let token = gate.client(1, |_| {});
    for _ in 0..20 {
        assert_eq!(gate.bearer("wrong", "POST", CHAT).status, 401);
    }
    let reply = gate.bearer("wrong", "POST", CHAT);
    assert_eq!((reply.status, reply.kind().as_str()), (429, "RATE_LIMIT"));
    assert_eq!(reply.header("retry-after").as_deref(), Some("3"));
    assert_eq!(gate.bearer(&token, "POST", CHAT).status, 200);
    gate.clock.advance(Duration::from_secs(3));
    assert_eq!(gate.bearer("wrong", "POST", CHAT).status, 401);
}

/// Acceptance 145.
#[test]
fn a_client_has_its_rate_and_others_theirs() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let slow = gate.client(1, |client| client.rps = 1);
    let other = gate.client(2, |_| {});
    assert_eq!(gate.bearer(&slow, "POST", CHAT).status, 200);
    let reply = gate.bearer(&slow, "POST", CHAT);
    assert_eq!((reply.status, reply.kind().as_str()), (429, "RATE_LIMIT"));
    assert_eq!(reply.header("retry-after").as_deref(), Some("1"));
    assert_eq!(gate.bearer(&other, "POST", CHAT).status, 200);
}

/// Acceptance 88.
#[test]
fn calls_at_once_are_capped_per_client() {
    let upstream = Upstream::start(|_, to| {
        begin(to, "text/event-stream");
        chunk(to, "data: 1\n\n");
        wait_for_close(to);
    });
    let gate = Gate::before(&upstream);
    let token = gate.client(1, |client| client.concurrency = 1);
    let mut running = gate.connect();
    running.send(request("POST", CHAT, &[("x-api-key", &token)], "{}"));
    assert_eq!(running.head().status, 200);
    let reply = gate.bearer(&token, "POST", CHAT);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "SERVICE_UNAVAILABLE")
    );
    let reply = gate.bearer(&token, "POST", "/plain/x");
    assert_eq!((reply.status, reply.kind().as_str()), (429, "RATE_LIMIT"));
    drop(running);
    upstream.wait_for_closed(1);
    let mut next = gate.connect();
    next.send(request("POST", CHAT, &[("x-api-key", &token)], "{}"));
    assert_eq!(next.head().status, 200);
}

/// Acceptance 85: also where there is no call to answer.
#[test]
fn a_head_that_is_none_is_refused_in_the_gates_words() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let mut connection = gate.connect();
    connection.send(request(
        "GET",
        "/health",
        &[("x-long", &"x".repeat(70_000))],
        "",
    ));
    let reply = connection.reply();
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (431, "HEAD_TOO_LARGE")
    );
    assert_eq!(
        reply.header("x-content-type-options").as_deref(),
        Some("nosniff")
    );
    for bytes in [
        "GET\r\n\r\n",
        "GET / HTTP/1.1\r\nho st: a\r\n\r\n",
        "\x16\x03\x01\x00\r\n\r\n",
    ] {
        let mut connection = gate.connect();
        connection.send(bytes);
        let reply = connection.reply();
        assert_eq!(
            (reply.status, reply.kind().as_str()),
            (400, "INVALID_REQUEST"),
            "{bytes:?}"
        );
        assert_eq!(connection.rest().0, b"");
    }
    // Also behind a good call on the same connection.
    let mut connection = gate.connect();
    assert_eq!(connection.call("GET", "/health", &[], "").status, 200);
    connection.send("GET / HTTP/1.1\r\n:\r\n\r\n");
    assert_eq!(connection.reply().kind(), "INVALID_REQUEST");
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.limits.head_timeout = Duration::from_millis(50))
        .start();
    for bytes in [
        "",
        "GET /health HTT",
        "GET /health HTTP/1.1\r\nhost: localhost\r\n",
    ] {
        let mut connection = gate.connect();
        connection.send(bytes);
        assert_eq!(connection.rest().0, b"", "{bytes:?}");
    }
}

#[test]
fn a_body_that_does_not_come_ends_the_call() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.limits.body_idle = Duration::from_millis(50))
        .start();
    let token = gate.client(1, |_| {});
    let mut connection = gate.connect();
    let headers = [("x-api-key", token.as_str()), ("content-length", "10")];
    connection.send(request("POST", CHAT, &headers, "half"));
    let reply = connection.reply();
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (400, "INVALID_REQUEST")
    );
    upstream.wait_for_closed(1);
}

#[test]
fn connections_beyond_the_limit_are_closed() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.limits.connections = 1)
        .start();
    let mut first = gate.connect();
    assert_eq!(first.call("GET", "/health", &[], "").status, 200);
    let mut second = gate.connect();
    assert_eq!(second.rest().0, b"");
    assert_eq!(gate.proxy.counters().count(Count::Crowded), 1);
    assert_eq!(first.call("GET", "/health", &[], "").status, 200);
}

/// Acceptance 101, as far as the proxy goes.
#[test]
fn a_stale_table_serves_nobody() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let token = gate.client(1, |_| {});
    gate.grants
        .set_fresh_until(gate.clock.now().after(Duration::from_mins(1)));
    assert_eq!(gate.bearer(&token, "POST", CHAT).status, 200);
    gate.clock.advance(Duration::from_mins(1));
    let reply = gate.bearer(&token, "POST", CHAT);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "SERVICE_UNAVAILABLE")
    );
    assert_eq!(gate.call("GET", "/readyz", &[], "").status, 503);
}

/// Acceptance 111.
#[test]
fn audit_relaxes_unknown_credentials_only() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.mode = Mode::Audit)
        .start();
    let (a, b) = gate.two_rollouts();
    for value in ["Bearer sk-own-key", "Bearer intercepted"] {
        let reply = gate.call("POST", CHAT, &[("authorization", value)], "{}");
        assert_eq!(reply.status, 200);
        assert_eq!(upstream.last().all("authorization"), [value]);
    }
    assert_eq!(gate.call("POST", CHAT, &[], "{}").status, 200);
    assert!(upstream.last().all("authorization").is_empty());
    assert_eq!(gate.proxy.counters().count(Count::WouldRefuse), 3);
    let before = upstream.seen().len();
    assert_eq!(
        gate.bearer(&b, "POST", "/rollout/A/v1/chat/completions")
            .status,
        401
    );
    gate.close("A");
    assert_eq!(gate.bearer(&a, "POST", CHAT).status, 401);
    assert_eq!(gate.bearer(&format!("{b}x"), "POST", CHAT).status, 401);
    let two = [
        ("authorization", "Bearer sk-own"),
        ("x-api-key", b.as_str()),
    ];
    assert_eq!(gate.call("POST", CHAT, &two, "{}").status, 401);
    assert_eq!(upstream.seen().len(), before);
}

/// Acceptance 157: what the common mistakes look like is counted.
#[test]
fn mistakes_are_counted_by_their_look() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (_, foreign) = mint(gate_userspace::client::Kind::Client);
    for (token, count) in [
        ("intercepted", Count::Placeholder),
        ("sk-ant-0123456789", Count::ProviderKey),
        (foreign.as_str(), Count::ForeignGate),
        (&foreign[..foreign.len() - 1], Count::Mistyped),
    ] {
        assert_eq!(gate.bearer(token, "POST", CHAT).status, 401);
        assert_eq!(gate.proxy.counters().count(count), 1, "{count:?}");
    }
}

/// Acceptance 156: a token from elsewhere is more than a refusal.
#[test]
fn a_bound_token_from_elsewhere_is_counted() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let sources = vec![gate.source("10.0.0.5")];
    let token = gate.client(1, |client| client.sources = sources);
    assert_eq!(gate.bearer(&token, "POST", CHAT).status, 401);
    assert_eq!(gate.proxy.counters().count(Count::WrongSource), 1);
}

/// A dead tunnel answers 404 with a web page.
#[test]
fn a_web_page_in_place_of_an_answer_is_counted() {
    let upstream = Upstream::start(|_, to| respond(to, 404, "text/html; charset=utf-8", b"<html>"));
    let gate = Gate::before(&upstream);
    let token = gate.client(1, |_| {});
    assert_eq!(gate.bearer(&token, "POST", CHAT).text(), "<html>");
    assert_eq!(gate.bearer(&token, "GET", "/plain/x").status, 404);
    assert_eq!(gate.proxy.counters().count(Count::WebPage), 1);
}

/// Last use is noted per token, for whoever asks.
#[test]
fn an_admitted_call_is_a_use() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (used, used_token) = mint(gate_userspace::client::Kind::Client);
    let (idle, _) = mint(gate_userspace::client::Kind::Client);
    let (used_digest, idle_digest) = (used.digest, idle.digest);
    gate.client(1, |client| client.tokens = vec![used, idle]);
    assert_eq!(gate.bearer(&used_token, "POST", CHAT).status, 200);
    let last_use = |digest| gate.grants.find(digest).unwrap().last_use();
    assert_eq!(last_use(&used_digest), Some(gate.clock.now()));
    assert_eq!(last_use(&idle_digest), None);
}
