//! Profile `coder`: governance header, bearer, `x-api-key`.

use gate_userspace::{clock::Stamp, settings::ProfileName};

use crate::support::{Gate, Maker, PROVIDER_KEY, Upstream, mint};

const CHAT: &str = "/v1/chat/completions";
const GOVERNANCE: &str = "X-Coder-AI-Governance-Token";

/// Acceptance 123, 124 and 125.
#[test]
fn refusals_are_plain_text() {
    let upstream = Upstream::plain();
    let gate = coder(&upstream, false);
    for headers in [
        &[][..],
        &[("coder-session-token", "x-y-z")],
        &[("x-gate-delegated-key", "05McJmDgrvc")],
    ] {
        let reply = gate.call("POST", CHAT, headers, "{}");
        assert_eq!(
            (reply.status, reply.text()),
            (400, "no authentication key provided")
        );
        assert_eq!(reply.kind(), "UNAUTHORIZED");
        assert_eq!(
            reply.header("content-type").as_deref(),
            Some("text/plain; charset=utf-8")
        );
    }
    assert_eq!(gate.call("HEAD", "/v1/messages", &[], "").status, 400);
    let expired = gate.client(1, |client| client.expires = Some(Stamp(0)));
    let off = gate.client(2, |client| client.enabled = false);
    let (_, unknown) = mint(gate_userspace::client::Kind::Client);
    for token in [expired.as_str(), &off, &unknown, "wrong"] {
        let reply = gate.bearer(token, "POST", CHAT);
        assert_eq!((reply.status, reply.text()), (403, "unauthorized"));
    }
    assert!(upstream.seen().is_empty());
}

/// Acceptance 126 and 127.
#[test]
fn centralised_calls_carry_the_stored_key() {
    let upstream = Upstream::plain();
    let gate = coder(&upstream, true);
    let token = gate.client(1, |_| {});
    let bearer = format!("bearer {token}");
    for headers in [
        &[("authorization", bearer.as_str())][..],
        &[("x-api-key", token.as_str())],
        &[("authorization", bearer.as_str()), (GOVERNANCE, " ")],
    ] {
        assert_eq!(gate.call("POST", CHAT, headers, "{}").status, 200);
        let seen = upstream.last();
        assert_eq!(
            seen.all("authorization"),
            [format!("Bearer {PROVIDER_KEY}")]
        );
        assert!(seen.all("x-api-key").is_empty() && seen.all(GOVERNANCE).is_empty());
    }
    assert!(!upstream.everything().contains(&token));
}

/// Acceptance 128, 129 and 131.
#[test]
fn a_brought_key_reaches_the_upstream_unchanged() {
    let upstream = Upstream::plain();
    let gate = coder(&upstream, true);
    let token = gate.client(1, |_| {});
    let own = "Bearer sk-ant-oat01-own";
    let headers = [(GOVERNANCE, token.as_str()), ("authorization", own)];
    assert_eq!(
        gate.call("POST", "/v1/messages", &headers, "{}").status,
        200
    );
    assert_eq!(upstream.last().all("authorization"), [own]);
    let headers = [
        (GOVERNANCE, token.as_str()),
        ("authorization", own),
        ("x-api-key", "sk-own-2"),
        ("x-coder-ai-governance-request-id", "1"),
        ("x-ai-bridge-actor-id", "root"),
    ];
    assert_eq!(
        gate.call("POST", "/v1/messages", &headers, "{}").status,
        200
    );
    let seen = upstream.last();
    assert_eq!(seen.all("x-api-key"), ["sk-own-2"]);
    assert!(seen.all("authorization").is_empty());
    assert!(seen.all("x-coder-ai-governance-request-id").is_empty());
    assert!(seen.all("x-ai-bridge-actor-id").is_empty());
    assert_eq!(gate.call("POST", CHAT, &headers, "{}").status, 200);
    assert_eq!(upstream.last().all("authorization"), [own]);
    assert!(upstream.last().all("x-api-key").is_empty());
    let wrong = [(GOVERNANCE, "wrong"), ("authorization", own)];
    assert_eq!(gate.call("POST", CHAT, &wrong, "{}").status, 403);
    assert!(!upstream.everything().contains(&token));
    assert!(!upstream.everything().contains(PROVIDER_KEY));
}

/// Acceptance 130.
#[test]
fn where_it_is_off_nobody_brings_a_key() {
    let upstream = Upstream::plain();
    let gate = coder(&upstream, false);
    let token = gate.client(1, |_| {});
    for governance in [token.as_str(), "wrong"] {
        let reply = gate.call("POST", CHAT, &[(GOVERNANCE, governance)], "{}");
        assert_eq!((reply.status, reply.kind().as_str()), (403, "FORBIDDEN"));
        assert_eq!(
            reply.text(),
            r#"{"message":"Bring Your Own Key (BYOK) mode is not enabled."}"#
        );
    }
    assert_eq!(
        gate.call("POST", CHAT, &[(GOVERNANCE, " ")], "{}").status,
        400
    );
}

/// Acceptance 141 and 145.
#[test]
fn limits_speak_this_systems_words() {
    let upstream = Upstream::plain();
    let gate = coder(&upstream, false);
    let token = gate.client(1, |client| client.rps = 1);
    let headers = [
        ("x-api-key", token.as_str()),
        ("content-length", "34603008"),
    ];
    let mut connection = gate.connect();
    connection.send(crate::support::request("POST", CHAT, &headers, ""));
    assert_eq!(connection.reply().status, 413);
    let reply = gate.bearer(&token, "POST", CHAT);
    assert_eq!(
        (reply.status, reply.header("retry-after").as_deref()),
        (429, Some("1"))
    );
    assert_eq!(
        reply.text(),
        r#"{"message":"You've been rate limited. Please try again later."}"#
    );
}

fn coder(upstream: &Upstream, byok: bool) -> Gate {
    Maker::before(upstream)
        .profile(ProfileName::Coder)
        .set(|settings| settings.routes[0].byok = byok)
        .start()
}
