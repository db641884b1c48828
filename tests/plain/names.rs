//! Names with several addresses, and names that come to mean others.

use std::net::{IpAddr, SocketAddr, TcpListener};

use gate_userspace::names::Names;
use harness::{
    netns::Namespace,
    upstream::{Reply, Upstream, Wire},
};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::support::{Maker, request};

const CHAT_A: &str = "/rollout/A/v1/chat/completions";
const NAME: &str = "provider.test";

/// The first address refuses, the second is silent, the third answers.
#[test]
fn every_address_of_a_name_is_tried() {
    let upstream = upstream(local(3), 0, Wire::plain());
    let port = upstream.address().port();
    let _silent = silent((local(2), port).into());
    for order in [[1, 2, 3], [2, 1, 3], [3, 2, 1]] {
        // Whatever is tried alone is tried for ever.
        let lines = format!("url = \"http://{NAME}:{port}\"\nconnect_timeout = \"10s\"");
        let mut maker = Maker::configured(&lines);
        maker.names = names(&order.map(local));
        let gate = maker.start();
        let (a, _) = gate.two_rollouts();
        let reply = gate.bearer(&a, "POST", CHAT_A);
        assert_eq!(reply.status, 200, "{order:?}: {}", reply.text());
    }
}

#[test]
fn a_name_without_an_address_is_a_connection_error() {
    let lines = format!("url = \"http://{NAME}\"\nconnect_timeout = \"50ms\"");
    let gate = Maker::configured(&lines).start();
    let (a, _) = gate.two_rollouts();
    let reply = gate.bearer(&a, "POST", CHAT_A);
    assert_eq!(
        (reply.status, reply.kind().as_str()),
        (503, "CONNECTION_ERROR")
    );
    assert!(reply.text().contains("host not found"), "{}", reply.text());
}

/// Calls go where the name leads by now, also over connections that stand; what runs goes on.
#[test]
fn a_call_follows_the_name_and_a_running_stream_stays() {
    for (wire, lines) in [(Wire::plain(), ""), (Wire::h2c(), "http2 = true")] {
        let first = upstream(local(1), 0, wire.clone());
        let port = first.address().port();
        let second = upstream(local(2), port, wire);
        let mut maker = Maker::configured(&format!("url = \"http://{NAME}:{port}\"\n{lines}"));
        maker.names = names(&[local(1)]);
        let gate = maker.start();
        let (a, _) = gate.two_rollouts();
        let mut running = gate.connect();
        running.send(request(
            "GET",
            "/rollout/A/stream",
            &[("x-api-key", &a)],
            "",
        ));
        assert_eq!(running.head().status, 200);
        assert_eq!(running.chunk().unwrap(), b"data: 1\n\n");
        for _ in 0..4 {
            assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 200);
        }
        let before = first.journal().requests().len();
        gate.proxy.moves(&names(&[local(2)]));
        for _ in 0..4 {
            assert_eq!(gate.bearer(&a, "POST", CHAT_A).status, 200);
        }
        assert_eq!(first.journal().requests().len(), before, "{lines}");
        assert_eq!(second.journal().requests().len(), 4, "{lines}");
        assert_eq!(running.chunk().unwrap(), b"data: 2\n\n", "{lines}");
    }
}

fn local(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn names(addresses: &[IpAddr]) -> Names {
    Names::ask([NAME], |_| addresses.to_vec())
}

fn upstream(address: IpAddr, port: u16, wire: Wire) -> Upstream {
    let answer = |seen: &harness::upstream::Seen| {
        if !seen.path().ends_with("/stream") {
            return Reply::json(200, &json!({}));
        }
        let mut number = 0;
        Reply::paced(std::time::Duration::from_millis(200), move || {
            number += 1;
            Some(harness::upstream::Step::Send(
                format!("data: {number}\n\n").into(),
            ))
        })
    };
    Upstream::over(wire, &Namespace::here(), (address, port).into(), answer).unwrap()
}

/// A listener whose queue is full: further callers hear nothing.
fn silent(at: SocketAddr) -> (Socket, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&at.into()).unwrap();
    listener.listen(0).unwrap();
    let knock = |_| {
        let caller = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        caller.set_nonblocking(true).unwrap();
        let _under_way = caller.connect(&at.into());
        caller
    };
    (listener, (0..4).map(knock).collect())
}

/// The fixture is what it says: this would hang without a bound.
#[test]
fn a_full_queue_is_silent() {
    let free = TcpListener::bind((local(2), 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let _silent = silent(free);
    let late = std::time::Duration::from_millis(300);
    let tried = std::net::TcpStream::connect_timeout(&free, late);
    assert_eq!(tried.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}
