//! `GET /metrics` in the Prometheus text format: control's own numbers and those of the rings.

use std::fmt::Write as _;

use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse};

use super::Api;

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
                "gate_uncovered_interfaces",
                "Interfaces beside `lo` on which no hook stands.",
                uncovered as u64,
            ),
            (
                "gate_packet_drift",
                "Differences found at the last look.",
                packet.drift,
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
        text.push_str(&self.inspect.metrics());
        text
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a string takes any text");
}
