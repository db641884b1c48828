//! The upstream's own port: no way around the gate.

use std::net::{Ipv6Addr, SocketAddr};

use harness::probe::{Syn, syn};
use socket2::{Domain, Socket, Type};

use crate::site::{UPSTREAM_PORT, site};

/// Acceptance 163.
#[tokio::test]
async fn upstream_on_this_host_is_out_of_reach_listed_or_not() {
    let Some(site) = site(2).await else { return };
    let [listed, stranger] = &site.net.callers[..] else {
        unreachable!("two callers")
    };
    let token = site.open("r-1", listed).await;
    for caller in [listed, stranger] {
        let answer = syn(&caller.place, caller.port(UPSTREAM_PORT)).await;
        assert_eq!(answer, Syn::Silent, "{}", caller.place);
    }
    assert_eq!(listed.chat("r-1", &token).await.status, 200);
    assert_eq!(
        syn(&site.net.host, site.net.upstream_address()).await,
        Syn::Answered
    );
    let from_own_address = syn(&site.net.host, listed.port(UPSTREAM_PORT)).await;
    assert_eq!(from_own_address, Syn::Answered);
}

/// Acceptance 163, for a provider that listens over the other family too.
#[tokio::test]
async fn upstream_is_out_of_reach_over_ipv6_too() {
    let Some(site) = site(1).await else { return };
    let caller = &site.net.callers[0];
    site.open("r-1", caller).await;
    let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, UPSTREAM_PORT));
    let _six = site.net.host.enter(|| {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        socket.set_only_v6(true).unwrap();
        socket.bind(&everywhere.into()).unwrap();
        socket.listen(1).unwrap();
        socket
    });
    let provider = SocketAddr::new(caller.gate6().ip(), UPSTREAM_PORT);
    assert_eq!(syn(&caller.place, provider).await, Syn::Silent);
    assert_eq!(syn(&site.net.host, provider).await, Syn::Answered);
}
