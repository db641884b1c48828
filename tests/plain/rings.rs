//! The connection ring: the source list, asked again on the socket's peer.

use std::net::SocketAddr;

use gate_userspace::{
    proxy::counters::Count,
    settings::{ListenAt, ListenSources, Mode},
};

use crate::support::{Connection, Gate, Maker, Upstream, own_address, request};

/// Acceptance 26 and 27, as far as without kernel.
#[test]
fn an_unlisted_source_is_refused_before_its_request() {
    let Some(own) = own_address() else { return };
    let upstream = Upstream::plain();
    let gate = public(&upstream, Mode::Enforce);
    let token = gate.client(1, |_| {});
    let mut stranger = Connection::open(SocketAddr::new(own, gate.address.port()));
    let headers = [
        ("x-api-key", token.as_str()),
        ("x-forwarded-for", "127.0.0.1"),
    ];
    stranger.send(request("GET", "/v1/models", &headers, ""));
    let reply = stranger.reply();
    assert_eq!((reply.status, reply.kind().as_str()), (403, "FORBIDDEN"));
    assert_eq!(
        reply.header("x-content-type-options").as_deref(),
        Some("nosniff")
    );
    assert_eq!(stranger.rest().0, b"");
    assert_eq!(gate.proxy.counters().count(Count::Unlisted), 1);
    let local = SocketAddr::new([127, 0, 0, 1].into(), gate.address.port());
    let reply = Connection::open(local).call("GET", "/v1/models", &headers, "");
    assert_eq!(reply.status, 200);
}

/// Acceptance 24: a source that is taken off the list loses its open connections, also before the
/// store knows of it.
#[test]
fn a_source_is_served_while_it_is_listed() {
    let Some(own) = own_address() else { return };
    let upstream = Upstream::plain();
    let gate = public(&upstream, Mode::Enforce);
    let listed = gate.source(&own.to_string());
    let unbound = gate.client(1, |_| {});
    gate.client(2, |client| client.sources = vec![listed]);
    let mut connection = Connection::open(SocketAddr::new(own, gate.address.port()));
    let headers = [("x-api-key", unbound.as_str())];
    assert_eq!(
        connection.call("GET", "/v1/models", &headers, "").status,
        200
    );
    gate.grants.drop_client(crate::support::client_id(2));
    assert_eq!(
        connection.call("GET", "/v1/models", &headers, "").status,
        403
    );
}

#[test]
fn audit_lets_unlisted_sources_pass_and_counts_them() {
    let Some(own) = own_address() else { return };
    let upstream = Upstream::plain();
    let gate = public(&upstream, Mode::Audit);
    let token = gate.client(1, |_| {});
    let mut stranger = Connection::open(SocketAddr::new(own, gate.address.port()));
    let headers = [("x-api-key", token.as_str())];
    assert_eq!(stranger.call("GET", "/v1/models", &headers, "").status, 200);
    assert_eq!(gate.proxy.counters().count(Count::WouldRefuse), 1);
}

fn public(upstream: &Upstream, mode: Mode) -> Gate {
    let maker = Maker::before(upstream).set(|settings| {
        settings.mode = mode;
        settings.listen[0].at = ListenAt::Tcp("0.0.0.0:0".parse().unwrap());
        settings.listen[0].sources = ListenSources::Listed;
    });
    maker.start()
}
