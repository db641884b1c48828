//! Bodies pass byte for byte, whatever pieces they come in, and end as they ended.

use std::{
    io::Write,
    net::TcpStream,
    sync::{Arc, Mutex},
};

use harness::{
    authority::{Authority, Until},
    netns::Namespace,
    upstream::{Reply, Wire},
};
use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};

use crate::support::{Connection, Gate, Maker, Upstream, chunk, finish, request, respond};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const EVENTS_A: &str = "/rollout/A/events";

type Pieces = Vec<Vec<u8>>;

/// How the upstream frames its answer.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Chunked,
    Length,
    UntilClose,
}

/// Pieces of an event stream or of anything else: line ends and what looks like framing included.
fn pieces() -> impl Strategy<Value = Pieces> {
    let bytes = vec(any::<u8>(), 1..200);
    let lines = vec(
        prop_oneof![
            "\n",
            "\r\n",
            "\r",
            "data: x",
            ": c",
            "0\r\n\r\n",
            "event: e"
        ],
        1..8,
    )
    .prop_map(|parts| parts.concat().into_bytes());
    let large = (any::<u8>(), 4096_usize..70_000).prop_map(|(byte, length)| vec![byte; length]);
    vec(prop_oneof![4 => bytes, 4 => lines, 1 => large], 0..12)
}

/// What the upstream sent and what the caller got, over HTTP/1 in each of its framings.
#[test]
fn answers_pass_byte_for_byte_over_http1() {
    let next = Arc::new(Mutex::new((Framing::Chunked, "", Pieces::new())));
    let told = Arc::clone(&next);
    let upstream = Upstream::start(move |_, to| {
        let (framing, kind, pieces) = told.lock().unwrap().clone();
        answer(to, framing, kind, &pieces);
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let framing = prop_oneof![
        proptest::strategy::Just(Framing::Chunked),
        proptest::strategy::Just(Framing::Length),
        proptest::strategy::Just(Framing::UntilClose),
    ];
    let kind = prop_oneof!["text/event-stream", "application/json"];
    for_all(&(framing, kind, pieces()), |(framing, kind, pieces)| {
        let kind = if kind == "application/json" {
            "application/json"
        } else {
            "text/event-stream"
        };
        *next.lock().unwrap() = (framing, kind, pieces.clone());
        let reply = gate.call("POST", EVENTS_A, &[("x-api-key", &a)], "{}");
        assert!(reply.is_whole && reply.body == pieces.concat());
    });
}

/// The same over HTTP/2 and TLS, where the upstream's frames are what it was told.
#[test]
fn answers_pass_byte_for_byte_over_http2() {
    let ca = Authority::new().unwrap();
    let config = ca
        .server(&["localhost"], Until::LongFromNow, &["h2"])
        .unwrap();
    let next = Arc::new(Mutex::new(Pieces::new()));
    let told = Arc::clone(&next);
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let script = move |_: &_| {
        let (steps, reply) = Reply::events();
        for piece in told.lock().unwrap().clone() {
            steps.send(piece);
        }
        reply
    };
    let upstream =
        harness::upstream::Upstream::over(Wire::tls(config), &Namespace::here(), anywhere, script)
            .unwrap();
    let lines = format!("url = \"{}\"\n{}\nhttp2 = true", upstream.url(), ca.line());
    let gate = Maker::configured(&lines).start();
    let (a, _) = gate.two_rollouts();
    for_all(&pieces(), |pieces| {
        *next.lock().unwrap() = pieces.clone();
        let reply = gate.call("POST", EVENTS_A, &[("x-api-key", &a)], "{}");
        assert!(reply.is_whole && reply.body == pieces.concat());
    });
}

/// Acceptance 64, the last part: the events of a dialect, its own last one included.
#[test]
fn streams_of_a_dialect_pass_byte_for_byte() {
    let next = Arc::new(Mutex::new(Pieces::new()));
    let told = Arc::clone(&next);
    let upstream = Upstream::start(move |_, to| {
        answer(
            to,
            Framing::Chunked,
            "text/event-stream",
            &told.lock().unwrap(),
        );
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let events = vec("data: \\{\"[a-z]{1,40}\":1\\}(\r\n\r\n|\n\n)", 0..20);
    let cuts = vec(any::<proptest::sample::Index>(), 0..10);
    for_all(&(events, cuts), |(events, cuts)| {
        let whole = events.concat() + "data: [DONE]\n\n";
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len())).collect();
        at.extend([0, whole.len()]);
        at.sort_unstable();
        let pieces = at
            .windows(2)
            .map(|ends| whole.as_bytes()[ends[0]..ends[1]].to_vec());
        *next.lock().unwrap() = pieces.filter(|piece| !piece.is_empty()).collect();
        let reply = gate.call("POST", CHAT_A, &[("x-api-key", &a)], "{}");
        assert!(reply.is_whole && reply.text() == whole);
    });
}

/// The other way: what the caller sent and what the upstream got, over both versions.
#[test]
fn requests_pass_byte_for_byte() {
    let plain = Upstream::plain();
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let two = harness::upstream::Upstream::over(Wire::h2c(), &Namespace::here(), anywhere, |_| {
        Reply::json(200, &serde_json::json!({"ok": true}))
    })
    .unwrap();
    let over_one = Gate::before(&plain);
    let over_two = Maker::configured(&format!("url = \"{}\"\nhttp2 = true", two.url())).start();
    let (a, two_a) = (over_one.two_rollouts().0, over_two.two_rollouts().0);
    for_all(&(any::<bool>(), pieces()), |(is_chunked, pieces)| {
        for (gate, token) in [(&over_one, &a), (&over_two, &two_a)] {
            let mut connection = gate.connect();
            send(&mut connection, token, is_chunked, &pieces);
            assert_eq!(connection.reply().status, 200);
        }
        assert!(plain.last().body == pieces.concat());
        assert!(two.journal().requests().pop().unwrap().body == pieces.concat());
    });
}

#[test]
fn trailers_pass_to_callers_that_take_them() {
    let upstream = Upstream::start(|_, to| {
        let head =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, x-gate-error\r\n\r\n";
        let _gone = to.write_all(head.as_bytes());
        chunk(to, "all");
        let _gone = to.write_all(b"0\r\nx-sum: 1\r\nx-gate-error: forged\r\n\r\n");
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    let takes = [
        ("x-api-key", a.as_str()),
        ("te", "trailers"),
        ("connection", "close"),
    ];
    connection.send(request("GET", EVENTS_A, &takes, ""));
    assert_eq!(connection.head().status, 200);
    assert_eq!(connection.rest().0, b"3\r\nall\r\n0\r\nx-sum: 1\r\n\r\n");
    let mut connection = gate.connect();
    let plain = [("x-api-key", a.as_str()), ("connection", "close")];
    connection.send(request("GET", EVENTS_A, &plain, ""));
    assert_eq!(connection.head().status, 200);
    assert_eq!(connection.rest().0, b"3\r\nall\r\n0\r\n\r\n");
}

/// What a caller writes behind its body could be a credential that nobody swapped.
#[test]
fn trailers_of_a_caller_stay_here() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    let headers = [
        ("x-api-key", a.as_str()),
        ("transfer-encoding", "chunked"),
        ("trailer", "authorization"),
    ];
    connection.send(request(
        "POST",
        CHAT_A,
        &headers,
        "2\r\n{}\r\n0\r\nauthorization: own\r\n\r\n",
    ));
    assert_eq!(connection.reply().status, 200);
    assert_eq!(upstream.last().body, b"{}");
    assert!(
        !upstream.everything().contains("own"),
        "{}",
        upstream.everything()
    );
    // The connection is where both sides think it is.
    let again = connection.call("POST", CHAT_A, &[("x-api-key", &a)], "{}");
    assert_eq!(again.status, 200);
    // Over HTTP/2 they need no announcement.
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let upstream =
        harness::upstream::Upstream::over(Wire::h2c(), &Namespace::here(), anywhere, |_| {
            Reply::json(200, &serde_json::json!({}))
        })
        .unwrap();
    let gate = Maker::configured(&format!("url = \"{}\"\nhttp2 = true", upstream.url())).start();
    let (a, _) = gate.two_rollouts();
    let headers = [("x-api-key", a.as_str()), ("transfer-encoding", "chunked")];
    let behind = "2\r\n{}\r\n0\r\nx-api-key: own\r\n\r\n";
    let mut connection = gate.connect();
    connection.send(request("POST", CHAT_A, &headers, behind));
    assert_eq!(connection.reply().status, 200);
    let seen = upstream.journal().requests().pop().unwrap();
    assert_eq!(
        (seen.header("x-api-key"), &seen.body[..]),
        (None, &b"{}"[..])
    );
}

/// Interim answers of an upstream are for its own caller, which is the gate.
#[test]
fn interim_answers_are_not_the_answer() {
    let upstream = Upstream::start(|_, to| {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        let _gone = to.write_all(interim.as_bytes());
        respond(to, 200, "text/plain", b"now");
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    for _ in 0..2 {
        let reply = connection.call("POST", CHAT_A, &[("x-api-key", &a)], "{}");
        assert_eq!((reply.status, reply.text()), (200, "now"));
        assert_eq!(reply.header("link"), None);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn answers_without_a_body_have_none() {
    let upstream = Upstream::start(|seen, to| {
        let status = if seen.line().contains("no-content") {
            "204 No Content"
        } else {
            "304 Not Modified"
        };
        let length = if status.starts_with("304") {
            "content-length: 7\r\n"
        } else {
            ""
        };
        let _gone =
            to.write_all(format!("HTTP/1.1 {status}\r\netag: \"e\"\r\n{length}\r\n").as_bytes());
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut connection = gate.connect();
    for (path, status) in [("no-content", 204), ("same", 304), ("no-content", 204)] {
        let path = format!("/rollout/A/{path}");
        connection.send(request("GET", &path, &[("x-api-key", &a)], ""));
        let head = connection.head();
        assert_eq!(
            (head.status, head.header("etag").as_deref()),
            (status, Some("\"e\""))
        );
        assert_eq!(head.header("transfer-encoding"), None);
    }
    // Nothing came behind the heads, and nothing had to be thrown away.
    assert_eq!(upstream.connections(), 1);
}

/// Who is admitted is asked to go on; who is not is told at once, and need not send.
#[test]
fn a_caller_that_waits_to_be_asked_is() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let waits = |token: &str| {
        let headers = [
            ("x-api-key", token),
            ("expect", "100-continue"),
            ("content-length", "2"),
        ];
        request("POST", CHAT_A, &headers, "")
    };
    let mut admitted = gate.connect();
    admitted.send(waits(&a));
    assert_eq!(admitted.head().status, 100);
    admitted.send("{}");
    assert_eq!(admitted.reply().status, 200);
    assert_eq!(upstream.last().body, b"{}");
    assert!(upstream.last().all("expect").is_empty());
    let mut stranger = gate.connect();
    stranger.send(waits("wrong"));
    assert_eq!(stranger.head().status, 401);
}

fn for_all<S: Strategy>(given: &S, check: impl Fn(S::Value)) {
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(given, |value| {
        check(value);
        Ok(())
    });
    if let Err(failed) = run {
        panic!("{failed}");
    }
}

fn answer(to: &mut TcpStream, framing: Framing, kind: &str, pieces: &Pieces) {
    let framed = match framing {
        Framing::Chunked => "transfer-encoding: chunked\r\n".to_owned(),
        Framing::Length => format!("content-length: {}\r\n", pieces.concat().len()),
        Framing::UntilClose => "connection: close\r\n".to_owned(),
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{framed}\r\n");
    let _gone = to.write_all(head.as_bytes());
    for piece in pieces {
        let _gone = match framing {
            Framing::Chunked => {
                let size = format!("{:x}\r\n", piece.len());
                to.write_all(&[size.as_bytes(), piece, b"\r\n"].concat())
            }
            Framing::Length | Framing::UntilClose => to.write_all(piece),
        };
    }
    match framing {
        Framing::Chunked => finish(to),
        Framing::Length => {}
        Framing::UntilClose => {
            let _gone = to.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn send(to: &mut Connection, token: &str, is_chunked: bool, pieces: &Pieces) {
    let length = pieces.concat().len().to_string();
    let framed = if is_chunked {
        ("transfer-encoding", "chunked")
    } else {
        ("content-length", length.as_str())
    };
    to.send(request("POST", CHAT_A, &[("x-api-key", token), framed], ""));
    for piece in pieces {
        if is_chunked {
            let size = format!("{:x}\r\n", piece.len());
            to.send([size.as_bytes(), piece, b"\r\n"].concat());
        } else {
            to.send(piece);
        }
    }
    if is_chunked {
        to.send("0\r\n\r\n");
    }
}
