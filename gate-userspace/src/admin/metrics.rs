//! `GET /metrics` in the Prometheus text format: control's own numbers and those of the rings.
//!
//! Names and labels are API, listed in docs/metrics.md. A label is an interface of this host or a
//! word of our own, never a client, a rollout or an address: what callers send makes no new series.

use std::fmt::Write as _;

use axum::{
    Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    Api, status,
    wire::{PacketRing, RingState},
};

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
        let packet = self.inspect.packet_ring().await;
        let grants = self.control.grants();
        let (clients, rollouts) = grants.counts();
        let interfaces = packet.ring.interfaces.iter();
        let uncovered = interfaces.filter(|interface| !interface.covered).count();
        let mut text = String::new();
        let gauges = [
            ("gate_revision", "Last change applied.", grants.revision().0),
            ("gate_clients", "Live clients.", clients as u64),
            ("gate_rollouts", "Live rollouts.", rollouts as u64),
            (
                "gate_live_streams",
                "Calls that are running.",
                self.inspect.live_streams() as u64,
            ),
            (
                "gate_packet_entries",
                "Sources in the packet ring.",
                packet.ring.entries as u64,
            ),
            (
                "gate_packet_capacity",
                "Sources that fit in the packet ring.",
                packet.ring.capacity as u64,
            ),
            (
                "gate_uncovered_interfaces",
                "Interfaces beside `lo` on which no hook stands.",
                uncovered as u64,
            ),
            (
                "gate_packet_drift",
                "Differences found at the last look.",
                packet.drift,
            ),
            (
                "gate_store_fresh",
                "1 while the store was heard of lately enough.",
                u64::from(grants.is_fresh(self.control.clock().now())),
            ),
            (
                "gate_store_parted",
                "1 while the store at hand does not go on from what was followed.",
                u64::from(self.control.store_parting().is_some()),
            ),
            (
                "gate_packet_up",
                "1 when the packet ring stands everywhere.",
                u64::from(packet.ring.state == RingState::Up),
            ),
        ];
        for (name, help, value) in gauges {
            put(
                &mut text,
                format_args!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"),
            );
        }
        let name = "gate_packet_drops_total";
        put(
            &mut text,
            format_args!("# HELP {name} Dropped packets by reason.\n# TYPE {name} counter\n"),
        );
        for (reason, count) in &packet.drops {
            put(
                &mut text,
                format_args!("{name}{{reason=\"{reason}\"}} {count}\n"),
            );
        }
        put_interfaces(&mut text, &packet.ring);
        let name = "gate_build_info";
        let version = env!("CARGO_PKG_VERSION");
        put(
            &mut text,
            format_args!(
                "# HELP {name} The version that runs.\n# TYPE {name} gauge\n{name}{{version=\"{version}\"}} 1\n"
            ),
        );
        text.push_str(&self.inspect.metrics());
        text
    }
}

fn put_interfaces(text: &mut String, ring: &PacketRing) {
    let name = "gate_packet_interface_covered";
    put(
        text,
        format_args!("# HELP {name} 1 when a program guards it.\n# TYPE {name} gauge\n"),
    );
    for one in &ring.interfaces {
        let interface = escaped(&one.name);
        let (hook, mode, is_covered) = (&one.hook, &one.mode, u8::from(one.covered));
        put(
            text,
            format_args!(
                "{name}{{interface=\"{interface}\",hook=\"{hook}\",mode=\"{mode}\"}} {is_covered}\n"
            ),
        );
    }
}

/// The kernel takes quotes and backslashes in the name of an interface.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a string takes any text");
}
