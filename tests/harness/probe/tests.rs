//! The probe tells its answers apart over both address families and over a bridge.

use std::net::{SocketAddr, TcpListener};

use super::{Syn, syn};
use crate::link::{End, bridge, cable};
use crate::need;
use crate::netns::Namespace;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn syn_is_answered_refused_or_silent() {
    if !need::root() {
        return;
    }
    let (host, far) = (
        Namespace::new("host").unwrap(),
        Namespace::new("far").unwrap(),
    );
    let near = End {
        place: &host,
        device: "to-far",
        addresses: &["10.9.0.1/24", "fd09::1/64"],
    };
    cable(
        &near,
        &End {
            place: &far,
            device: "eth0",
            addresses: &["10.9.0.2/24", "fd09::2/64"],
        },
    )
    .unwrap();
    let _open = host.enter(|| TcpListener::bind("[::]:8765").unwrap());
    let rows = [
        ("10.9.0.1:8765", Syn::Answered),
        ("[fd09::1]:8765", Syn::Answered),
        ("10.9.0.1:8766", Syn::Refused),
        ("[fd09::1]:8766", Syn::Refused),
    ];
    for (to, expected) in rows {
        assert_eq!(syn(&far, address(to)).await, expected, "{to}");
    }
    // The host takes the SYN, and its answer falls into the black hole.
    crate::link::address(&host, "to-far", "10.9.0.9/32").unwrap();
    crate::link::route(&host, &["blackhole", "10.9.0.2/32"]).unwrap();
    assert_eq!(syn(&far, address("10.9.0.9:8765")).await, Syn::Silent);
}

#[tokio::test]
async fn bridge_joins_its_ports() {
    if !need::root() {
        return;
    }
    let host = Namespace::new("host").unwrap();
    let far = [
        Namespace::new("one").unwrap(),
        Namespace::new("two").unwrap(),
    ];
    let devices = ["port0", "port1"];
    for (index, place) in far.iter().enumerate() {
        let address = format!("10.8.0.{}/24", index + 2);
        let near = End {
            place: &host,
            device: devices[index],
            addresses: &[],
        };
        cable(
            &near,
            &End {
                place,
                device: "eth0",
                addresses: &[&address],
            },
        )
        .unwrap();
    }
    let over = End {
        place: &host,
        device: "br0",
        addresses: &["10.8.0.1/24"],
    };
    bridge(&over, &devices).unwrap();
    let _open = far[1].enter(|| TcpListener::bind("10.8.0.3:80").unwrap());
    assert_eq!(syn(&far[0], address("10.8.0.3:80")).await, Syn::Answered);
    assert_eq!(syn(&far[0], address("10.8.0.1:80")).await, Syn::Refused);
}
