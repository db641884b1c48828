//! `WebSocket`s: admitted at the handshake, ended like every other stream.

use std::io::{Read, Write};

use gate_userspace::{
    client::{Kind, client_owner},
    proxy::live::{Cut, Ended},
    secret::UpstreamKey,
    settings::{PresentAs, ProfileName},
};

use harness::authority::{Authority, Until};

use crate::support::{
    Connection, Gate, Maker, Upstream, adopt, block_on, client_id, front, request, wait_for_close,
};

const REALTIME: &str = "/rollout/A/v1/realtime";

#[test]
fn bytes_pass_both_ways_once_admitted() {
    let upstream = echo();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    let mut socket = open(&gate, REALTIME, &a);
    for frame in [&b"\x81\x02hi"[..], &b"\x81\x03you"[..]] {
        socket.send(frame);
        assert_eq!(socket.bytes(frame.len()), frame);
    }
    let seen = upstream.last();
    assert_eq!(seen.all("upgrade"), ["websocket"]);
    assert_eq!(seen.all("sec-websocket-key"), ["k"]);
    assert!(!upstream.everything().contains(&a));
    drop(socket);
    upstream.wait_for_closed(1);
    let reply = gate.call(
        "GET",
        REALTIME,
        &[&handshake()[..], &[("x-api-key", &b)]].concat(),
        "",
    );
    assert_eq!(reply.status, 401);
    assert_eq!(upstream.seen().len(), 1);
}

/// Over TLS, also where HTTP/2 is spoken otherwise, and over a Unix socket.
#[test]
fn websockets_reach_upstreams_over_every_wire() {
    let upstream = echo();
    let ca = Authority::new().unwrap();
    let both = ca.server(&["localhost"], Until::LongFromNow, &["h2", "http/1.1"]);
    let port = front::tls(&upstream, both.unwrap()).port();
    let socket = ca.folder().join("llm.sock");
    front::unix(&upstream, &socket);
    let rows = [
        format!("url = \"https://localhost:{port}\"\n{}", ca.line()),
        format!(
            "url = \"https://localhost:{port}\"\n{}\nhttp2 = true",
            ca.line()
        ),
        format!("url = \"unix:{}\"", socket.display()),
        format!("url = \"http://{}\"\nhttp2 = true", upstream.address),
    ];
    for (number, lines) in rows.iter().enumerate() {
        let gate = Maker::configured(lines).start();
        let (a, _) = gate.two_rollouts();
        let mut socket = open(&gate, REALTIME, &a);
        let large = vec![7; 300_000];
        for frame in [&b"\x81\x02hi"[..], &large] {
            socket.send(frame);
            assert!(socket.bytes(frame.len()) == frame, "{lines}");
        }
        gate.close("A");
        // In the middle of that frame, so without a word.
        assert!(socket.rest().1, "{lines}");
        upstream.wait_for_closed(number + 1);
    }
}

/// Acceptance 148.
#[test]
fn a_revocation_closes_with_1008_and_a_drain_with_1001() {
    let upstream = echo();
    let gate = Gate::before(&upstream);
    let (a, b) = gate.two_rollouts();
    let mut of_a = open(&gate, REALTIME, &a);
    let mut of_b = open(&gate, "/rollout/B/v1/realtime", &b);
    assert_eq!(
        gate.close("A"),
        Ended {
            streams: 1,
            connections: 1
        }
    );
    assert_eq!(of_a.rest().0, [0x88, 2, 3, 240]);
    of_b.send(b"\x81\x02hi");
    assert_eq!(of_b.bytes(4), b"\x81\x02hi");
    block_on(gate.live.cut_all(Cut::Draining));
    assert_eq!(of_b.rest().0, [0x88, 2, 3, 233]);
    upstream.wait_for_closed(2);
}

/// A close frame inside of another frame would be taken for its payload.
#[test]
fn in_the_middle_of_a_frame_the_connection_is_broken_off() {
    let upstream = Upstream::start(|_, to| {
        agree(to);
        let _gone = to.write_all(b"\x82\x7e\x10\x00half");
        wait_for_close(to);
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let mut socket = open(&gate, REALTIME, &a);
    assert_eq!(socket.bytes(8), b"\x82\x7e\x10\x00half");
    gate.close("A");
    assert_eq!(socket.rest(), (Vec::new(), true));
}

#[test]
fn only_websockets_are_upgraded_and_only_if_asked() {
    let upstream = Upstream::start(|seen, to| {
        if seen.all("upgrade").is_empty() && seen.line().contains("rude") {
            agree(to);
        } else {
            crate::support::respond(to, 200, "text/plain", b"plain");
        }
    });
    let gate = Gate::before(&upstream);
    let (a, _) = gate.two_rollouts();
    let h2c = [
        ("connection", "upgrade"),
        ("upgrade", "h2c"),
        ("x-api-key", a.as_str()),
    ];
    assert_eq!(gate.call("GET", REALTIME, &h2c, "").text(), "plain");
    assert!(upstream.last().all("upgrade").is_empty());
    let reply = gate.call("GET", "/rollout/A/rude", &[("x-api-key", &a)], "");
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (502, "UPSTREAM_BROKEN")
    );
    let headers = [&handshake()[..], &[("x-api-key", a.as_str())]].concat();
    assert_eq!(gate.call("GET", REALTIME, &headers, "").text(), "plain");
}

/// Acceptance 107.
#[test]
fn a_querys_key_is_swapped_at_the_handshake() {
    let upstream = echo();
    let gate = Maker::before(&upstream)
        .profile(ProfileName::Apollo)
        .set(|settings| settings.upstreams[0].present_as = PresentAs::BodyApiKey)
        .start();
    let key = gate.keyring.seal(
        &client_owner(client_id(1)),
        &UpstreamKey::new("sk-stored").unwrap(),
    );
    gate.client(1, |client| {
        client.tokens = vec![adopt(Kind::Client, "openfn-apollo-test-token")];
        client.key = key.ok();
    });
    let path = |key: &str| format!("/services/x?api_key={key}");
    let mut connection = gate.connect();
    connection.send(request(
        "GET",
        &path("openfn-apollo-test-token"),
        &handshake(),
        "",
    ));
    assert_eq!(connection.head().status, 101);
    assert_eq!(
        upstream.last().line(),
        "GET /services/x?api_key=sk-stored HTTP/1.1"
    );
    let reply = gate.call("GET", &path("unknown"), &handshake(), "");
    assert_eq!((reply.status, reply.kind().as_str()), (401, "UNAUTHORIZED"));
    assert_eq!(upstream.seen().len(), 1);
}

fn handshake() -> [(&'static str, &'static str); 4] {
    [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-key", "k"),
        ("sec-websocket-version", "13"),
    ]
}

fn open(gate: &Gate, path: &str, token: &str) -> Connection {
    let mut connection = gate.connect();
    let headers = [&handshake()[..], &[("x-api-key", token)]].concat();
    connection.send(request("GET", path, &headers, ""));
    let head = connection.head();
    assert_eq!(head.status, 101);
    assert_eq!(head.header("upgrade").as_deref(), Some("websocket"));
    assert_eq!(head.header("sec-websocket-accept").as_deref(), Some("a"));
    connection
}

fn agree(to: &mut std::net::TcpStream) {
    let _gone = to.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: a\r\n\r\n",
    );
}

fn echo() -> Upstream {
    Upstream::start(|_, to| {
        agree(to);
        let mut buffer = [0; 1024];
        while let Ok(read) = to.read(&mut buffer) {
            if read == 0 || to.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    })
}
