//! Answers as they come, and honest ends.

use std::io::Write;

use gate_userspace::proxy::counters::Count;

use crate::support::{Gate, Upstream, begin, chunk, finish, request, respond, wait_for_close};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const EVENTS: [&str; 3] = [
    "data: {\"a\":1}\n\n",
    "data: {\"b\":\"ä\"}\n\n",
    "data: [DONE]\n\n",
];

/// Acceptance 64.
#[test]
fn events_are_passed_on_one_by_one() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let upstream = Upstream::start(move |_, to| {
        begin(to, "text/event-stream");
        for event in EVENTS {
            chunk(to, event);
            // The next event is only written when the caller has this one.
            gone.lock().unwrap().recv().unwrap();
        }
        finish(to);
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    connection.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    assert_eq!(connection.head().status, 200);
    for event in EVENTS {
        assert_eq!(connection.chunk().unwrap(), event.as_bytes());
        go.send(()).unwrap();
    }
    assert_eq!(connection.chunk().unwrap(), b"");
}

/// Acceptance 65 and 67.
#[test]
fn a_broken_stream_ends_with_an_error_event() {
    let rows = [
        ("/rollout/A/v1/chat/completions", "data: {\"error\":{"),
        (
            "/rollout/A/v1/messages",
            "event: error\ndata: {\"type\":\"error\",\"error\":{",
        ),
        (
            "/rollout/A/v1/responses",
            "event: error\ndata: {\"type\":\"error\",\"code\":\"UPSTREAM_BROKEN\"",
        ),
    ];
    for (path, error) in rows {
        for is_clean in [true, false] {
            let upstream = Upstream::start(move |_, to| {
                begin(to, "text/event-stream");
                chunk(to, "data: {\"a\":1}\n\n");
                if is_clean {
                    finish(to);
                } else {
                    let _gone = to.shutdown(std::net::Shutdown::Both);
                }
            });
            let gate = Gate::before(&upstream);
            let (a, _) = gate.two_rollouts();
            let reply = gate.bearer(&a, "POST", path);
            let text = reply.text();
            assert_eq!(reply.status, 200);
            assert!(
                text.starts_with(&format!("data: {{\"a\":1}}\n\n{error}")),
                "{text}"
            );
            assert!(
                text.contains("UPSTREAM_BROKEN") && text.ends_with("\n\n"),
                "{text}"
            );
            assert!(!text.contains("[DONE]"), "{text}");
        }
    }
}

/// A head says what the stream would be, and is no stream.
#[test]
fn a_head_of_a_stream_is_whole() {
    let upstream = Upstream::start(|_, to| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 7\r\n\r\n";
        let _gone = to.write_all(head.as_bytes());
    });
    let gate = Gate::before(&upstream);
    let token = gate.client(1, |_| {});
    let mut connection = gate.connect();
    let headers = [("x-api-key", token.as_str())];
    for _ in 0..2 {
        let reply = connection.call("HEAD", "/v1/models", &headers, "");
        assert_eq!(reply.header("content-length").as_deref(), Some("7"));
    }
    let counters = gate.proxy.counters();
    assert_eq!(counters.count(Count::ClientGone), 0);
    assert_eq!(counters.count(Count::Complete), 2);
    assert_eq!(upstream.connections(), 1);
}

/// The error event is an event of its own also when the stream broke inside of one.
#[test]
fn an_open_event_is_closed_before_the_error() {
    let upstream = Upstream::start(|_, to| {
        begin(to, "text/event-stream");
        chunk(to, "data: {\"a\"");
        let _gone = to.shutdown(std::net::Shutdown::Both);
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert!(
        reply
            .text()
            .starts_with("data: {\"a\"\n\ndata: {\"error\":"),
        "{}",
        reply.text()
    );
}

/// A stream of no dialect may end as it likes.
#[test]
fn other_streams_end_without_a_last_event() {
    let upstream = Upstream::start(|_, to| {
        begin(to, "text/event-stream");
        chunk(to, "data: 1\n\n");
        finish(to);
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    assert_eq!(
        gate.bearer(&a, "GET", "/rollout/A/events").text(),
        "data: 1\n\n"
    );
}

/// No part is taken for the whole.
#[test]
fn a_broken_body_breaks_the_connection() {
    let upstream = Upstream::start(|_, to| {
        let _gone = to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        let _gone = to.shutdown(std::net::Shutdown::Both);
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert!(!reply.is_whole);
}

/// Acceptance 68.
#[test]
fn a_caller_that_leaves_cancels_the_upstream() {
    let upstream = Upstream::start(|seen, to| {
        if seen.line().contains("chat") {
            begin(to, "text/event-stream");
            chunk(to, "data: 1\n\n");
        }
        wait_for_close(to);
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut streaming = gate.connect();
    streaming.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    assert_eq!(streaming.head().status, 200);
    streaming.chunk().unwrap();
    drop(streaming);
    upstream.wait_for_closed(1);
    let mut waiting = gate.connect();
    waiting.send(request("GET", "/rollout/A/wait", &[("x-api-key", &a)], ""));
    upstream.wait_for(2);
    drop(waiting);
    upstream.wait_for_closed(2);
}

#[test]
fn a_dead_upstream_is_a_connection_error() {
    let upstream = Upstream::plain();
    let gate = crate::support::Maker::before(&upstream)
        .set(|settings| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            settings.upstreams[0].url = crate::support::url(listener.local_addr().unwrap(), "");
        })
        .start();
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "CONNECTION_ERROR")
    );
}

#[test]
fn a_silent_upstream_times_out() {
    let upstream = Upstream::start(|_, to| wait_for_close(to));
    let gate = crate::support::Maker::before(&upstream)
        .set(|settings| settings.upstreams[0].head_timeout = std::time::Duration::from_millis(50))
        .start();
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (504, "UPSTREAM_TIMEOUT")
    );
    upstream.wait_for_closed(1);
}

#[test]
fn connections_are_used_again_both_ways() {
    let upstream = Upstream::start(|seen, to| {
        let port = to.peer_addr().unwrap().port().to_string();
        if seen.line().starts_with("HEAD") {
            let _gone = to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
        } else {
            respond(to, 200, "text/plain", port.as_bytes());
        }
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    let mut ports = Vec::new();
    for _ in 0..3 {
        let reply = connection.call("POST", CHAT_A, &[("x-api-key", &a)], "{}");
        ports.push(reply.text().to_owned());
        let head = connection.call("HEAD", "/rollout/A/v1/models", &[("x-api-key", &a)], "");
        assert_eq!(
            (head.status, head.header("content-length").as_deref()),
            (200, Some("7"))
        );
    }
    assert_eq!(ports[0], ports[2]);
}

/// Also when no further call comes.
#[test]
fn a_connection_that_nobody_needs_is_closed() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 200);
    upstream.wait_for_closed(1);
}

#[test]
fn large_bodies_pass_both_ways_byte_for_byte() {
    let upstream =
        Upstream::start(|seen, to| respond(to, 200, "application/octet-stream", &seen.body));
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let body: String = "abcdefghijklmnopqrstuvwxyz".repeat(20_000);
    let reply = gate.call("POST", CHAT_A, &[("x-api-key", &a)], &body);
    assert!(reply.is_whole && reply.body == body.as_bytes());
}

/// Acceptance 62 and 63.
#[test]
fn a_silent_stream_shows_signs_of_life() {
    for (path, sign) in [
        ("/rollout/A/v1/chat/completions", ": keepalive\n"),
        ("/rollout/A/v1/responses", ": keepalive\n"),
        (
            "/rollout/A/v1/messages",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        ),
    ] {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = std::sync::Mutex::new(gone);
        let upstream = Upstream::start(move |_, to| {
            begin(to, "text/event-stream");
            chunk(to, "data: {\"a\":1}\n\n");
            gone.lock().unwrap().recv().unwrap();
            chunk(to, "data: {\"b\"");
            gone.lock().unwrap().recv().unwrap();
            chunk(to, ":1}\n\ndata: [DONE]\n\n");
            finish(to);
        });
        let gate = crate::support::Maker::before(&upstream)
            .set(|settings| {
                settings.routes[0].keepalive = Some(std::time::Duration::from_millis(20));
            })
            .start();
        let (a, _) = gate.two_rollouts();
        let mut connection = gate.connect();
        connection.send(request("POST", path, &[("x-api-key", &a)], "{}"));
        assert_eq!(connection.head().status, 200);
        assert_eq!(connection.chunk().unwrap(), b"data: {\"a\":1}\n\n");
        assert_eq!(connection.chunk().unwrap(), sign.as_bytes());
        go.send(()).unwrap();
        let mut text = String::new();
        while !text.ends_with("data: {\"b\"") {
            text += std::str::from_utf8(&connection.chunk().unwrap()).unwrap();
        }
        // An event that has begun is not interrupted, however long it takes.
        std::thread::sleep(std::time::Duration::from_millis(60));
        go.send(()).unwrap();
        let rest = connection.chunk().unwrap();
        assert_eq!(String::from_utf8(rest).unwrap(), ":1}\n\ndata: [DONE]\n\n");
    }
}
