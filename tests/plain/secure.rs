//! Upstreams over TLS, HTTP/2 and Unix sockets.

use std::{sync::mpsc, time::Duration};

use gate_userspace::proxy::counters::Count;
use harness::{
    authority::{Authority, Until},
    netns::Namespace,
    upstream::{Fate, Reply, Seen, Steps, Upstream, Wire},
};
use http::Version;
use serde_json::json;

use crate::support::{Gate, Maker, PROVIDER_KEY, block_on, request};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const PATIENCE: Duration = Duration::from_secs(10);

/// Every way to reach an upstream gives the same call and the same answer.
#[test]
fn a_call_is_the_same_over_every_wire() {
    let ca = Authority::new().unwrap();
    let root = ca.line();
    let tls = |versions: &[&str]| {
        Wire::tls(
            ca.server(&["localhost"], Until::LongFromNow, versions)
                .unwrap(),
        )
    };
    let both = &["h2", "http/1.1"][..];
    let rows = [
        (Wire::plain(), "", Version::HTTP_11),
        (Wire::h2c(), "http2 = true", Version::HTTP_2),
        (tls(both), &root, Version::HTTP_11),
        (tls(both), &format!("{root}\nhttp2 = true"), Version::HTTP_2),
        // Asked for HTTP/2 it chooses the other, or says nothing at all.
        (
            tls(&["http/1.1"]),
            &format!("{root}\nhttp2 = true"),
            Version::HTTP_11,
        ),
        (tls(&[]), &format!("{root}\nhttp2 = true"), Version::HTTP_11),
    ];
    for (wire, lines, version) in rows {
        let upstream = start(wire, |_| Reply::json(200, &json!({"ok": true})));
        let gate = before(&upstream, lines);
        let (a, _) = gate.two_rollouts();
        for _ in 0..3 {
            let reply = gate.call("POST", CHAT_A, &[("x-api-key", &a)], r#"{"q":1}"#);
            assert_eq!(
                (reply.status, reply.text()),
                (200, "{\"ok\":true}"),
                "{lines}"
            );
            assert_eq!(reply.header("x-gate-source").as_deref(), Some("upstream"));
        }
        for seen in upstream.journal().requests() {
            let host = upstream.url().split_once("//").unwrap().1.to_owned();
            assert_eq!(seen.version, version, "{lines}");
            assert_eq!(
                (seen.method.as_str(), seen.target.as_str()),
                ("POST", CHAT_A)
            );
            assert_eq!(seen.header("host"), Some(host.as_str()));
            let bearer = format!("Bearer {PROVIDER_KEY}");
            assert_eq!(seen.header("authorization"), Some(bearer.as_str()));
            assert_eq!(seen.body, r#"{"q":1}"#);
        }
        let raw = upstream.journal().raw();
        assert!(!String::from_utf8_lossy(&raw).contains(&a));
    }
}

#[test]
fn a_unix_socket_is_an_upstream_with_and_without_a_path() {
    let ca = Authority::new().unwrap();
    let socket = ca.folder().join("llm.sock");
    for (wire, http2) in [(Wire::plain(), false), (Wire::h2c(), true)] {
        let _first = std::fs::remove_file(&socket);
        let answer = |_: &Seen| Reply::json(200, &json!({"ok": true}));
        let upstream = Upstream::unix(wire, &socket, answer).unwrap();
        for (path, target) in [
            ("", CHAT_A.to_owned()),
            (":/deep", format!("/deep{CHAT_A}")),
        ] {
            let url = format!("url = \"{}{path}\"\nhttp2 = {http2}", upstream.url());
            let gate = Maker::configured(&url).start();
            let (a, _) = gate.two_rollouts();
            assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 200);
            let seen = upstream.journal().requests().pop().unwrap();
            assert_eq!(
                (seen.target, seen.headers[0].1.as_slice()),
                (target, &b"localhost"[..])
            );
        }
    }
}

/// The caller learns that TLS failed; which way, only the log tells.
#[test]
fn an_upstream_that_cannot_prove_itself_gets_no_request() {
    let (ca, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let root = ca.line();
    let rows = [
        (
            "unknown issuer",
            other.server(&["localhost"], Until::LongFromNow, &[]),
        ),
        (
            "another name",
            ca.server(&["elsewhere.example"], Until::LongFromNow, &[]),
        ),
        ("expired", ca.server(&["localhost"], Until::LongAgo, &[])),
    ];
    for (what, config) in rows {
        let upstream = start(Wire::tls(config.unwrap()), |_| Reply::json(200, &json!({})));
        let gate = before(&upstream, &root);
        let (a, _) = gate.two_rollouts();
        let reply = gate.bearer(&a, "POST", CHAT_A);
        assert_eq!(
            (reply.status, reply.kind().as_str()),
            (503, "CONNECTION_ERROR"),
            "{what}"
        );
        assert!(
            !reply.text().contains("issuer") && !reply.text().contains("expired"),
            "{what}"
        );
        assert!(upstream.journal().requests().is_empty(), "{what}");
    }
}

/// The second handshake is a short one.
#[test]
fn a_session_is_taken_up_again() {
    let ca = Authority::new().unwrap();
    let config = ca.server(&["localhost"], Until::LongFromNow, &[]).unwrap();
    let upstream = start(Wire::tls(config), |_| {
        Reply::json(200, &json!({})).header("connection", "close")
    });
    let gate = before(&upstream, &ca.line());
    let (a, _) = gate.two_rollouts();
    for _ in 0..3 {
        assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 200);
    }
    assert_eq!(
        (
            upstream.journal().connections(),
            upstream.journal().resumed()
        ),
        (3, 2)
    );
}

/// Who comes while a connection is being made waits for that one.
#[test]
fn a_crowd_of_first_calls_makes_one_connection_per_worker() {
    let (to_test, steps) = mpsc::channel();
    let upstream = streams(Wire::h2c(), to_test);
    let gate = before(&upstream, "http2 = true");
    let (a, _) = gate.two_rollouts();
    let mut calls: Vec<_> = (0..40).map(|_| gate.connect()).collect();
    for call in &mut calls {
        call.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    }
    for _ in 0..40 {
        assert!(
            steps
                .recv_timeout(PATIENCE)
                .unwrap()
                .send("data: [DONE]\n\n")
        );
    }
    for call in &mut calls {
        assert_eq!(call.head().status, 200);
    }
    assert!(upstream.journal().connections() <= 2);
}

/// The idle limit of a stream, and the limit of a body that says no length.
#[test]
fn limits_hold_over_http2_too() {
    let (to_test, steps) = mpsc::channel();
    let upstream = streams(Wire::h2c(), to_test);
    let lines = format!(
        "url = \"{}\"\nhttp2 = true\nidle_timeout = \"50ms\"",
        upstream.url()
    );
    let gate = Maker::configured(&lines)
        .set(|settings| settings.routes[0].body_limit = Some(1000))
        .start();
    let (a, _) = gate.two_rollouts();
    let mut idle = gate.connect();
    idle.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    let _said_nothing = steps.recv_timeout(PATIENCE).unwrap();
    assert_eq!(idle.head().status, 200);
    let error = String::from_utf8(idle.chunk().unwrap()).unwrap();
    assert!(error.contains("UPSTREAM_TIMEOUT"), "{error}");
    left(&upstream, 0);
    let chunked = [("x-api-key", a.as_str()), ("transfer-encoding", "chunked")];
    let mut large = gate.connect();
    large.send(request(
        "POST",
        CHAT_A,
        &chunked,
        &format!("7d0\r\n{:2000}\r\n", ""),
    ));
    let reply = large.reply();
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (413, "BODY_TOO_LARGE")
    );
    assert_eq!(upstream.journal().requests().len(), 1);
}

/// The address counts as a name too, where the certificate says so.
#[test]
fn an_address_can_be_certified() {
    let ca = Authority::new().unwrap();
    let config = ca.server(&["127.0.0.1"], Until::LongFromNow, &[]).unwrap();
    let upstream = start(Wire::tls(config), |_| Reply::json(200, &json!({})));
    let url = format!("url = \"https://{}\"\n{}", upstream.address(), ca.line());
    let gate = Maker::configured(&url).start();
    let (a, _) = gate.two_rollouts();
    assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 200);
}

/// Acceptance 68 over HTTP/2: the stream of the caller that left is reset, its sibling's goes on.
#[test]
fn a_caller_that_leaves_ends_its_own_stream_only() {
    let (to_test, steps) = mpsc::channel();
    let upstream = streams(Wire::h2c(), to_test);
    let gate = before(&upstream, "http2 = true");
    // Two workers have a connection each; the calls of one go over one.
    let (a, b) = gate.two_rollouts();
    let mut leaver = gate.connect();
    leaver.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    let of_leaver = steps.recv_timeout(PATIENCE).unwrap();
    let mut stayers = Vec::new();
    for _ in 0..4 {
        let mut stayer = gate.connect();
        let path = "/rollout/B/v1/chat/completions";
        stayer.send(request("POST", path, &[("x-api-key", &b)], "{}"));
        let of_stayer = steps.recv_timeout(PATIENCE).unwrap();
        assert!(of_stayer.send("data: 1\n\n"));
        assert_eq!(stayer.head().status, 200);
        assert_eq!(stayer.chunk().unwrap(), b"data: 1\n\n");
        stayers.push((stayer, of_stayer));
    }
    assert!(upstream.journal().connections() <= 2);
    assert!(of_leaver.send("data: 1\n\n"));
    assert_eq!(leaver.head().status, 200);
    drop(leaver);
    left(&upstream, 0);
    for (stayer, of_stayer) in &mut stayers {
        assert!(of_stayer.send("data: [DONE]\n\n"));
        assert_eq!(stayer.chunk().unwrap(), b"data: [DONE]\n\n");
    }
    assert_eq!(upstream.journal().closed(), 0);
}

/// Acceptance 69 over HTTP/2: the revoked stream ends with an error here and a reset there.
#[test]
fn a_revocation_ends_its_own_streams_only() {
    let (to_test, steps) = mpsc::channel();
    let upstream = streams(Wire::h2c(), to_test);
    let gate = before(&upstream, "http2 = true");
    let (a, b) = gate.two_rollouts();
    let mut calls = Vec::new();
    for (path, token) in [(CHAT_A, &a), ("/rollout/B/v1/chat/completions", &b)] {
        let mut call = gate.connect();
        call.send(request("POST", path, &[("x-api-key", token)], "{}"));
        let of_call = steps.recv_timeout(PATIENCE).unwrap();
        assert!(of_call.send("data: 1\n\n"));
        assert_eq!(call.head().status, 200);
        assert_eq!(call.chunk().unwrap(), b"data: 1\n\n");
        calls.push((call, of_call));
    }
    gate.close("A");
    let error = String::from_utf8(calls[0].0.chunk().unwrap()).unwrap();
    assert!(error.contains("REVOKED"), "{error}");
    left(&upstream, 0);
    let (stays, of_stays) = &mut calls[1];
    assert!(of_stays.send("data: [DONE]\n\n"));
    assert_eq!(stays.chunk().unwrap(), b"data: [DONE]\n\n");
    assert_eq!(upstream.journal().closed(), 0);
}

/// Also before there is an answer, and with a body under way.
#[test]
fn a_waiting_call_is_cancelled_over_http2_too() {
    let upstream = start(Wire::h2c(), |_| {
        let (release, reply) = Reply::json(200, &json!({})).held();
        std::mem::forget(release);
        reply
    });
    let gate = before(&upstream, "http2 = true");
    let (a, _) = gate.two_rollouts();
    let mut waiting = gate.connect();
    waiting.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    arrived(&upstream, 1);
    drop(waiting);
    left(&upstream, 0);
}

/// A provider that takes few calls at once gets more connections, not more calls on one.
#[test]
fn an_upstreams_limit_of_streams_is_kept() {
    let (to_test, steps) = mpsc::channel();
    let upstream = streams(Wire::h2c().streams(2), to_test);
    let gate = before(&upstream, "http2 = true");
    let (a, _) = gate.two_rollouts();
    let mut calls = Vec::new();
    for _ in 0..7 {
        let mut call = gate.connect();
        call.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
        calls.push((call, steps.recv_timeout(PATIENCE).unwrap()));
    }
    let mut per_connection = std::collections::BTreeMap::<usize, usize>::new();
    for seen in upstream.journal().requests() {
        *per_connection.entry(seen.connection).or_default() += 1;
    }
    assert!(
        per_connection.values().all(|calls| *calls <= 2),
        "{per_connection:?}"
    );
    for (call, of_call) in &mut calls {
        assert!(of_call.send("data: [DONE]\n\n"));
        assert_eq!(call.head().status, 200);
        assert_eq!(call.chunk().unwrap(), b"data: [DONE]\n\n");
    }
    assert_eq!(gate.proxy.counters().count(Count::UpstreamFailed), 0);
}

/// GOAWAY: what runs ends in its own time, what comes goes elsewhere, and nothing is sent twice.
#[test]
fn an_upstream_that_goes_away_is_left_in_peace() {
    let (to_test, steps) = mpsc::channel();
    let upstream = streams(Wire::h2c(), to_test);
    let gate = before(&upstream, "http2 = true");
    let (a, _) = gate.two_rollouts();
    let mut running = gate.connect();
    running.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    let of_running = steps.recv_timeout(PATIENCE).unwrap();
    assert!(of_running.send("data: 1\n\n"));
    assert_eq!(running.head().status, 200);
    assert_eq!(running.chunk().unwrap(), b"data: 1\n\n");
    upstream.retire();
    for calls in 2..8 {
        let mut next = gate.connect();
        next.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
        let of_next = steps.recv_timeout(PATIENCE).unwrap();
        assert!(of_next.send("data: [DONE]\n\n"));
        assert_eq!(next.head().status, 200);
        assert_eq!(next.chunk().unwrap(), b"data: [DONE]\n\n");
        assert_eq!(upstream.journal().requests().len(), calls);
    }
    assert!(of_running.send("data: [DONE]\n\n"));
    assert_eq!(running.chunk().unwrap(), b"data: [DONE]\n\n");
}

/// Acceptance 65 and 67 over HTTP/2 and TLS: a stream that is reset, and one that just ends.
#[test]
fn a_broken_stream_ends_with_an_error_event_over_every_wire() {
    let ca = Authority::new().unwrap();
    let lines = format!("{}\nhttp2 = true", ca.line());
    let config = |versions| {
        ca.server(&["localhost"], Until::LongFromNow, versions)
            .unwrap()
    };
    let rows: [(Wire, &str); 3] = [
        (Wire::h2c(), "http2 = true"),
        (Wire::tls(config(&["h2"])), &lines),
        (Wire::tls(config(&["http/1.1"])), &lines),
    ];
    for (wire, lines) in rows {
        for is_cut in [true, false] {
            let (to_test, steps) = mpsc::channel();
            let upstream = streams(wire.clone(), to_test);
            let gate = before(&upstream, lines);
            let (a, _) = gate.two_rollouts();
            let mut call = gate.connect();
            call.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
            let steps = steps.recv_timeout(PATIENCE).unwrap();
            assert!(steps.send("data: {\"a\":1}\n\n"));
            assert_eq!(call.head().status, 200);
            assert_eq!(call.chunk().unwrap(), b"data: {\"a\":1}\n\n");
            if is_cut {
                steps.cut();
            } else {
                drop(steps);
            }
            let error = String::from_utf8(call.chunk().unwrap()).unwrap();
            assert!(
                error.starts_with("data: {\"error\":{") && error.contains("UPSTREAM_BROKEN"),
                "{error}"
            );
            assert_eq!(call.chunk().unwrap(), b"");
        }
    }
}

/// hyper takes a cancelled stream for a complete one; the gate does not.
#[test]
fn a_body_that_is_taken_back_is_not_whole() {
    let (to_test, steps) = mpsc::channel();
    let upstream = start(Wire::h2c(), move |_| {
        let (steps, reply) = Reply::told("application/octet-stream");
        to_test.send(steps).unwrap();
        reply
    });
    let gate = before(&upstream, "http2 = true");
    let (a, _) = gate.two_rollouts();
    let mut call = gate.connect();
    call.send(request("POST", CHAT_A, &[("x-api-key", &a)], "{}"));
    let steps = steps.recv_timeout(PATIENCE).unwrap();
    assert!(steps.send("half"));
    assert_eq!(call.head().status, 200);
    assert_eq!(call.chunk().unwrap(), b"half");
    steps.take_back();
    assert_eq!(call.chunk(), None);
}

#[test]
fn a_silent_upstream_times_out_over_http2_and_its_stream_is_reset() {
    let upstream = start(Wire::h2c(), |_| {
        let (release, reply) = Reply::json(200, &json!({})).held();
        std::mem::forget(release);
        reply
    });
    let gate = before(&upstream, "http2 = true\nhead_timeout = \"50ms\"");
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (504, "UPSTREAM_TIMEOUT")
    );
    left(&upstream, 0);
}

/// A listener that accepts and says nothing: TLS and HTTP/2 are part of connecting.
#[test]
fn a_handshake_that_does_not_come_is_no_connection() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = mute.local_addr().unwrap();
    for lines in [
        format!("url = \"https://{at}\"\nconnect_timeout = \"100ms\""),
        format!("url = \"http://{at}\"\nconnect_timeout = \"100ms\"\nhttp2 = true"),
    ] {
        let gate = Maker::configured(&lines).start();
        let (a, _) = gate.two_rollouts();
        let reply = gate.bearer(&a, "POST", CHAT_A);
        assert_eq!(
            (reply.status, reply.kind().as_str()),
            (503, "CONNECTION_ERROR"),
            "{lines}"
        );
        assert!(reply.text().contains("timed out"), "{}", reply.text());
    }
}

fn start(wire: Wire, script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Upstream {
    let anywhere = "127.0.0.1:0".parse().unwrap();
    Upstream::over(wire, &Namespace::here(), anywhere, script).unwrap()
}

/// Answers every call with a stream that the test tells what to send.
fn streams(wire: Wire, to_test: mpsc::Sender<Steps>) -> Upstream {
    start(wire, move |_| {
        let (steps, reply) = Reply::events();
        to_test.send(steps).unwrap();
        reply
    })
}

fn before(upstream: &Upstream, lines: &str) -> Gate {
    Maker::configured(&format!("url = \"{}\"\n{lines}", upstream.url())).start()
}

fn arrived(upstream: &Upstream, calls: usize) {
    let enough = |seen: &[Seen]| (seen.len() >= calls).then_some(());
    block_on(upstream.journal().wait(PATIENCE, enough)).unwrap();
}

fn left(upstream: &Upstream, call: usize) {
    let left = |seen: &[Seen]| matches!(seen.get(call)?.fate, Fate::CallerLeft(_)).then_some(());
    block_on(upstream.journal().wait(PATIENCE, left)).unwrap();
}
