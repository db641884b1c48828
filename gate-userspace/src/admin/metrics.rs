//! `GET /metrics` in the Prometheus text format: control's own numbers and those of the rings.
//!
//! Names and labels are API, listed in docs/metrics.md. A label is an interface of this host or a
//! word of our own, never a client, a rollout or an address: what callers send makes no new series.

mod packet;

use axum::{
    Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Api, exposition::Exposition, status, wire::RingState};
use crate::{clock::Stamp, control::Origin};

/// Answers whoever scrapes until it is told to stop. Open to everybody who reaches it, so there is
/// nothing to change here and nothing secret to read.
pub async fn scraped(api: Api, listener: TcpListener, stop: CancellationToken) {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .with_state(api);
    let serve = axum::serve(listener, routes);
    tokio::select! {
        served = serve.into_future() => if let Err(why) = served {
            tracing::error!(error = %why, "the metrics listener has ended");
        },
        // A scrape that is cut is asked again elsewhere.
        () = stop.cancelled() => {}
    }
}

pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let head = [(CONTENT_TYPE, "text/plain; version=0.0.4")];
    (head, api.metrics().await)
}

impl Api {
    /// Also for a listener of its own.
    pub async fn metrics(&self) -> String {
        let now = self.control.clock().now();
        let packet = self.inspect.packet_ring().await;
        let mut out = Exposition::default();
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        out.gauge("gate_build_info", "The version that runs.")
            .sample(&build, 1);
        self.put_rings(&mut out, packet.ring.state, now);
        self.put_table(&mut out);
        self.put_store(&mut out, now);
        self.put_endings(&mut out);
        packet::put(&mut out, &packet);
        self.inspect.metrics(&mut out);
        out.into_text()
    }

    fn put_rings(&self, out: &mut Exposition, packet: RingState, now: Stamp) {
        let (connection, request) = (self.inspect.connection_ring(), self.inspect.request_ring());
        let is_open = self.inspect.ready().is_ok();
        let is_fresh = self.control.grants().is_fresh(now);
        let up = |state: RingState| state == RingState::Up;
        let rings = [
            ("packet", up(packet)),
            ("connection", up(connection.state) && is_open),
            ("request", up(request.state) && is_open && is_fresh),
        ];
        let help = "1 when the ring stands everywhere and does its work.";
        let mut family = out.gauge("gate_ring_up", help);
        for (ring, is_up) in rings {
            family.sample(&[("ring", ring)], u8::from(is_up));
        }
        out.gauge("gate_connections", "Connections that are open.")
            .sample(&[], connection.connections);
        out.gauge("gate_live_streams", "Calls that are running.")
            .sample(&[], self.inspect.live_streams());
    }

    fn put_table(&self, out: &mut Exposition) {
        let grants = self.control.grants();
        let (clients, rollouts) = grants.counts();
        out.gauge("gate_revision", "Last change applied.")
            .sample(&[], grants.revision().0);
        out.gauge("gate_clients", "Live clients.")
            .sample(&[], clients);
        out.gauge("gate_rollouts", "Live rollouts.")
            .sample(&[], rollouts);
    }

    fn put_store(&self, out: &mut Exposition, now: Stamp) {
        let is_fresh = self.control.grants().is_fresh(now);
        out.gauge(
            "gate_store_fresh",
            "1 while the store was heard of lately enough.",
        )
        .sample(&[], u8::from(is_fresh));
        let help = "1 while the store at hand does not go on from what was followed.";
        out.gauge("gate_store_parted", help)
            .sample(&[], u8::from(self.control.store_parting().is_some()));
        let heard = self.control.store_heard();
        let help = "Since this host and its store last heard of each other; 0 for a file.";
        out.gauge("gate_store_age_seconds", help)
            .sample(&[], heard.age.as_secs_f64());
        let help = "The age at which this host serves nobody; 0 = at none.";
        out.gauge("gate_store_staleness_seconds", help)
            .sample(&[], heard.bound.unwrap_or_default().as_secs_f64());
    }

    fn put_endings(&self, out: &mut Exposition) {
        let help = "From a revocation or closing that came to its answer.";
        let mut family = out.histogram("gate_revoke_seconds", help);
        for origin in Origin::ALL {
            family.tally(
                &[("origin", origin.as_str())],
                &self.control.endings(origin),
            );
        }
    }
}
