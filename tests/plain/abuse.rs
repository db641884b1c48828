//! Bytes on HTTP/1 that no honest caller sends: refused, the connection closed, nobody else delayed.

use std::{io::Write as _, thread};

use crate::support::{Connection, Gate, Upstream, request, resident};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";

/// What the gate's process may grow by while it is abused, and the test with it: less than is sent.
const GROWTH: u64 = 24 << 20;

/// A second, honest request stands behind each: it is never answered, and never goes upstream.
#[test]
fn an_odd_head_is_refused_and_ends_its_connection() {
    let rows = [
        ("no version", "GET /rollout/A/x\r\n\r\n"),
        (
            "a version to come",
            "GET /rollout/A/x HTTP/1.2\r\nhost: localhost\r\n\r\n",
        ),
        ("the other version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (
            "no method",
            " /rollout/A/x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        ),
        (
            "a tab for a blank",
            "GET\t/rollout/A/x\tHTTP/1.1\r\nhost: localhost\r\n\r\n",
        ),
        (
            "a line without a colon",
            "GET /rollout/A/x HTTP/1.1\r\nhost localhost\r\n\r\n",
        ),
        (
            "a name with a blank",
            "GET /rollout/A/x HTTP/1.1\r\nhost: localhost\r\na b: c\r\n\r\n",
        ),
        (
            "a blank before the colon",
            "GET /rollout/A/x HTTP/1.1\r\nhost: localhost\r\na : c\r\n\r\n",
        ),
        (
            "no name",
            "GET /rollout/A/x HTTP/1.1\r\nhost: localhost\r\n: c\r\n\r\n",
        ),
        (
            "a zero byte",
            "GET /rollout/A/x HTTP/1.1\r\nhost: localhost\r\na: b\0c\r\n\r\n",
        ),
        (
            "a lone return",
            "GET /rollout/A/x HTTP/1.1\r\nhost: localhost\r\na: b\rc: d\r\n\r\n",
        ),
        (
            "a folded line",
            "GET /rollout/A/x HTTP/1.1\r\nhost: localhost\r\na: b\r\n c\r\n\r\n",
        ),
        (
            "two lengths",
            "POST /rollout/A/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        ),
        (
            "a length that is none",
            "POST /rollout/A/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        ),
        (
            "another coding",
            "POST /rollout/A/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n",
        ),
        (
            "a coding before chunked",
            "POST /rollout/A/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a length beside a coding",
            "POST /rollout/A/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a length said twice",
            "POST /rollout/A/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        ),
        (
            "a line that ends in a feed alone",
            "GET /rollout/A/x HTTP/1.1\r\nhost: localhost\na: b\r\n\r\n",
        ),
        (
            "a head that ends in a feed alone",
            "GET /rollout/A/x HTTP/1.1\r\nhost: localhost\r\n\n",
        ),
        (
            "a coding on the old version",
            "POST /rollout/A/x HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ];
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    for (what, head) in rows {
        let mut connection = gate.connect();
        let behind = request("POST", CHAT_A, &[("x-api-key", &a)], "{}");
        // The gate may have closed before the end of it.
        let _closed_on_us = connection
            .stream
            .write_all(format!("{head}{behind}").as_bytes());
        let said = all(&mut connection);
        assert!(said.matches("HTTP/1.1 ").count() <= 1, "{what}: {said}");
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 400"),
            "{what}: {said}"
        );
        assert_eq!(upstream.connections(), 0, "{what}");
    }
    assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 200);
}

/// However a request is sent after another, it is read as strictly.
#[test]
fn an_odd_head_behind_an_honest_call_is_refused_too() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let honest = request("POST", CHAT_A, &[("x-api-key", &a)], "{}");
    let odd = honest.replacen("\r\n", "\n", 1);
    assert_ne!(honest, odd);
    let mut connection = gate.connect();
    connection.send(&honest);
    assert_eq!(connection.reply().status, 200);
    connection.send(&odd);
    assert!(all(&mut connection).starts_with("HTTP/1.1 400"));
    // In one piece, the odd one is refused before the honest one is looked at, or behind it.
    let mut connection = gate.connect();
    let _closed_on_us = connection
        .stream
        .write_all(format!("{honest}{odd}").as_bytes());
    let said = all(&mut connection);
    assert!(said.matches("HTTP/1.1 200").count() <= 1, "{said}");
    assert!(upstream.seen().len() <= 2);
}

/// One host, said once, whatever the form of the target; and HTTP/1.0 is no way around it.
#[test]
fn a_request_that_names_two_hosts_or_none_is_refused() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let rows = [
        ("POST /rollout/A/x HTTP/1.1", "", 400),
        (
            "POST /rollout/A/x HTTP/1.1",
            "host: localhost\r\nhost: localhost\r\n",
            400,
        ),
        (
            "POST http://elsewhere/rollout/A/x HTTP/1.1",
            "host: localhost\r\n",
            400,
        ),
        (
            "POST http://elsewhere/rollout/A/x HTTP/1.1",
            "host: elsewhere\r\n",
            403,
        ),
        (
            "POST http://localhost/rollout/A/x HTTP/1.1",
            "host: localhost\r\n",
            200,
        ),
        ("POST /rollout/A/x HTTP/1.0", "host: elsewhere\r\n", 403),
        (
            "CONNECT localhost:80 HTTP/1.1",
            "host: localhost:80\r\n",
            400,
        ),
        ("OPTIONS * HTTP/1.1", "host: localhost\r\n", 400),
    ];
    for (line, hosts, status) in rows {
        let mut connection = gate.connect();
        connection.send(format!(
            "{line}\r\n{hosts}x-api-key: {a}\r\ncontent-length: 0\r\n\r\n"
        ));
        assert_eq!(connection.head().status, status, "{line} {hosts:?}");
    }
    assert_eq!(upstream.seen().len(), 1);
}

/// Heads, chunks and connections without number: memory stays flat and an honest caller is served.
#[test]
fn abuse_costs_neither_memory_nor_other_callers() {
    let upstream = Upstream::plain();
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let before = resident();
    let bombs: [fn(&mut Connection); 4] = [
        // A head that grows until it is too large.
        |connection| {
            let _closed = connection
                .stream
                .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n");
            for _ in 0..200 {
                let line = format!("x-{}: {}\r\n", "y".repeat(100), "z".repeat(900));
                if connection.stream.write_all(line.as_bytes()).is_err() {
                    return;
                }
            }
        },
        // A line that never ends.
        |connection| {
            let _closed = connection.stream.write_all(b"GET /");
            for _ in 0..200 {
                if connection.stream.write_all(&[b'a'; 1024]).is_err() {
                    return;
                }
            }
        },
        // Chunk extensions without end, behind a refusal.
        |connection| {
            let head = "POST /rollout/A/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1;";
            let _closed = connection.stream.write_all(head.as_bytes());
            for _ in 0..200 {
                if connection.stream.write_all(&[b'e'; 1024]).is_err() {
                    return;
                }
            }
        },
        // As many requests as fit, all of them refused.
        |connection| {
            let one = request("POST", CHAT_A, &[("x-api-key", "gate_wrong")], "{}");
            let _closed = connection.stream.write_all(one.repeat(500).as_bytes());
        },
    ];
    thread::scope(|scope| {
        for bomb in bombs {
            let gate = &gate;
            scope.spawn(move || {
                for _ in 0..50 {
                    bomb(&mut gate.connect());
                }
            });
        }
        for _ in 0..100 {
            assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 200);
        }
    });
    let grown = resident().saturating_sub(before);
    assert!(grown < GROWTH, "grew by {} MiB", grown >> 20);
    assert_eq!(upstream.seen().len(), 100);
}

/// What comes until the other side closes or resets.
fn all(connection: &mut Connection) -> String {
    let (rest, _) = connection.rest();
    String::from_utf8_lossy(&rest).into_owned()
}
