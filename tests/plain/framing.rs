//! No bytes that the gate and an upstream read differently.

use crate::support::{Gate, Upstream};

/// A head that frames its request oddly is refused, and so is an odd chunk; what hides behind never
/// becomes a request of its own.
#[test]
fn nothing_is_smuggled_behind_a_request() {
    let hidden = "GET /rollout/B/hidden HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let rows = [
        (
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "transfer-encoding: chunked\r\ncontent-length: 500\r\n",
            "0\r\n\r\n",
        ),
        ("content-length: 0\r\ncontent-length: 52\r\n", ""),
        ("content-length: 0, 52\r\n", ""),
        ("content-length: +5\r\n", "hello"),
        ("content-length: 0x5\r\n", "hello"),
        ("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("transfer-encoding: xchunked\r\n", "0\r\n\r\n"),
        ("transfer-encoding : chunked\r\n", "0\r\n\r\n"),
        ("transfer-encoding:\x0bchunked\r\n", "0\r\n\r\n"),
        ("x: 1\r\n transfer-encoding: chunked\r\n", "0\r\n\r\n"),
        (
            "transfer-encoding: chunked\r\n",
            "1;x\r\na\r\n0\r\nx\r\n\r\n",
        ),
        ("transfer-encoding: chunked\r\n", "-1\r\na\r\n0\r\n\r\n"),
        (
            "transfer-encoding: chunked\r\n",
            "ffffffffffffffff1\r\na\r\n0\r\n\r\n",
        ),
    ];
    for (headers, body) in rows {
        let upstream = Upstream::plain();
        let gate = Gate::before(&upstream);
        let (a, _) = gate.two_rollouts();
        let mut connection = gate.connect();
        connection.send(format!(
            "POST /rollout/A/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-api-key: {a}\r\n{headers}\r\n{body}{hidden}"
        ));
        let (rest, _) = connection.rest();
        let text = String::from_utf8_lossy(&rest).into_owned();
        assert_eq!(
            text.matches("HTTP/1.1 ").count().max(1),
            1,
            "{headers:?} {body:?}: {text}"
        );
        // Chunks are read when their call runs already.
        let may_reach = usize::from(headers == "transfer-encoding: chunked\r\n");
        assert!(upstream.seen().len() <= may_reach, "{headers:?} {body:?}");
        assert!(
            !upstream.everything().contains("hidden"),
            "{headers:?} {body:?}"
        );
        for seen in upstream.seen() {
            let framings = seen.all("content-length").len() + seen.all("transfer-encoding").len();
            assert!(framings <= 1, "{headers:?} {body:?}: {}", seen.head);
        }
    }
}

/// An upstream connection whose exchange is unfinished is never used again.
#[test]
fn an_unfinished_upstream_connection_is_not_used_again() {
    let upstream = Upstream::start(|seen, to| {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
        let text = if seen.line().contains("early") {
            format!("{answer}tookHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")
        } else {
            format!("{answer}late")
        };
        let _gone = std::io::Write::write_all(to, text.as_bytes());
    });
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    assert_eq!(gate.bearer(&a, "POST", "/rollout/A/early").text(), "took");
    for _ in 0..5 {
        assert_eq!(gate.bearer(&b, "POST", "/rollout/B/x").text(), "late");
    }
}
