//! Ports that are rewritten on the way in: every filter on the wire port lets them by.

use socket2::{Domain, Socket, Type};

use gate_userspace::kernel::{Batch, Op};

use crate::lab::{GATE, ip, key, lab, open, wait};
use crate::nft;
use crate::ring::{Outcome, connect, listen};

#[test]
fn a_redirected_port_is_refused_by_the_socket_lookup_and_raises_an_event() {
    let Some(lab) = lab() else { return };
    let _listeners = listen(&lab);
    lab.host.run(|| nft::redirect(443, GATE));
    assert_eq!(
        connect(&lab.a, "10.0.1.1", 443),
        Outcome::Connected,
        "without gate"
    );
    let agent = lab.start();
    let mut events = agent.events();
    assert_ne!(connect(&lab.a, "10.0.1.1", 443), Outcome::Connected);
    let event = wait(events.recv()).unwrap();
    assert!(event.uncovered, "{event:?}");
    assert_eq!(event.interface.as_deref(), Some("veth1"));
    assert_eq!(
        (event.source, event.port),
        (Some("10.0.1.2".parse().unwrap()), Some(GATE))
    );
    let ops = vec![Op::Open(key("10.0.1.2"), open(7))];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    assert_eq!(connect(&lab.a, "10.0.1.1", 443), Outcome::Connected);
    assert_ne!(connect(&lab.b, "10.0.2.1", 443), Outcome::Connected);
}

#[test]
fn a_transparent_proxy_port_is_refused_by_the_socket_lookup() {
    let Some(lab) = lab() else { return };
    let _listener = lab.host.run(|| {
        nft::tproxy(80, GATE);
        ip("rule add fwmark 1 lookup 100");
        ip("route add local 0.0.0.0/0 dev lo table 100");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_ip_transparent_v4(true).unwrap();
        let address: std::net::SocketAddr = ([0, 0, 0, 0], GATE).into();
        socket.bind(&address.into()).unwrap();
        socket.listen(16).unwrap();
        socket
    });
    assert_eq!(
        connect(&lab.a, "192.0.2.80", 80),
        Outcome::Connected,
        "without gate"
    );
    let agent = lab.start();
    assert_ne!(connect(&lab.a, "192.0.2.80", 80), Outcome::Connected);
    let ops = vec![Op::Open(key("10.0.1.2"), open(7))];
    wait(agent.apply(Batch { revision: 1, ops })).unwrap();
    assert_eq!(connect(&lab.a, "192.0.2.80", 80), Outcome::Connected);
}
