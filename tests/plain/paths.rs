//! Paths, hosts and origins that the gate and an upstream could read differently.

use crate::support::{Gate, Maker, Upstream};

/// Acceptance 56.
#[test]
fn no_path_reaches_another_rollout() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    for path in [
        "/rollout/A/../B/v1/chat/completions",
        "/rollout/A/%2e%2e/B/v1/chat/completions",
        "/rollout/A/.%2E/B/v1/chat/completions",
        "/rollout/A/..%2fB/v1/chat/completions",
        "/rollout/A/..%5cB/v1/chat/completions",
        "/rollout/A/..\\B/v1/chat/completions",
        "/rollout/A/..;/B/v1/chat/completions",
        "//rollout/A/v1/chat/completions",
        "/rollout//A/v1/chat/completions",
        "/rollout/A%2FB/v1/chat/completions",
        "/rollout/A%2f..%2fB/v1/chat/completions",
        "/%72ollout/A/v1/chat/completions",
        "/rollout/%41/v1/chat/completions",
        "/rollout/A/v1/%00",
        "/rollout/A/v1/%0d%0a",
        "/rollout/A/./v1",
    ] {
        let reply = gate.bearer(&a, "POST", path);
        assert_eq!(
            (reply.status, reply.kind().as_str()),
            (400, "INVALID_REQUEST"),
            "{path}"
        );
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn an_absolute_target_must_name_the_same_host() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let path = "http://localhost/rollout/A/v1/models";
    assert_eq!(gate.bearer(&a, "GET", path).status, 200);
    assert_eq!(upstream.last().line(), "GET /rollout/A/v1/models HTTP/1.1");
    let path = "http://evil.example/rollout/A/v1/models";
    assert_eq!(gate.bearer(&a, "GET", path).status, 400);
    assert_eq!(gate.bearer(&a, "CONNECT", "localhost:80").status, 400);
}

/// Acceptance 90.
#[test]
fn a_foreign_host_name_is_refused_on_loopback() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let host = |host: &str| {
        let headers = [("host", host), ("x-api-key", a.as_str())];
        gate.call("GET", "/rollout/A/v1/models", &headers, "")
    };
    assert_eq!(host("localhost:8765").status, 200);
    assert_eq!(host("127.0.0.1").status, 200);
    let reply = host("evil.example");
    assert_eq!((reply.status, reply.kind().as_str()), (403, "FORBIDDEN"));
    let mut connection = gate.connect();
    connection.send("GET /health HTTP/1.1\r\n\r\n");
    assert_eq!(connection.reply().status, 400);
    let mut connection = gate.connect();
    connection.send("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: evil\r\n\r\n");
    assert_eq!(connection.reply().status, 400);
}

/// Acceptance 50 and 84.
#[test]
fn browsers_need_a_listed_origin() {
    let upstream = Upstream::plain();
    let gate = Maker::before(&upstream)
        .set(|settings| settings.listen[0].origins = vec!["https://app.example".to_owned()])
        .start();
    let (a, _) = gate.two_rollouts();
    let origin = |origin: &str| {
        let headers = [("origin", origin), ("x-api-key", a.as_str())];
        gate.call("GET", "/rollout/A/v1/models", &headers, "")
    };
    let reply = origin("https://evil.example");
    assert_eq!((reply.status, reply.kind().as_str()), (403, "FORBIDDEN"));
    let reply = origin("https://app.example");
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("access-control-allow-origin").as_deref(),
        Some("https://app.example")
    );
    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
        ];
        gate.call("OPTIONS", "/rollout/A/v1/chat/completions", &headers, "")
    };
    let reply = preflight("https://app.example");
    assert_eq!(
        (
            reply.status,
            reply.header("access-control-max-age").as_deref()
        ),
        (204, Some("600"))
    );
    assert_eq!(preflight("https://evil.example").status, 403);
}
