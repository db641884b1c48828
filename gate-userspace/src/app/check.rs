//! What `gated --check` prints: what a start would bind, attach and protect, and why.

use std::fmt::Write as _;

use super::Plan;
use crate::{
    settings::{Interfaces, Settings, Upstream, UpstreamAt},
    store::StorePlace,
};

impl Plan {
    pub fn report(&self, settings: &Settings, store: &StorePlace) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: String| {
            writeln!(text, "{label:<12} {value}").expect("a string takes every write");
        };
        for listen in &settings.listen {
            let tls = if listen.tls.is_some() { ", TLS" } else { "" };
            line(
                "listen",
                format!("{} (sources: {:?}{tls})", listen.at, listen.sources).to_lowercase(),
            );
        }
        for upstream in &settings.upstreams {
            line("upstream", self.upstream(upstream));
        }
        for protected in &self.protected {
            let address = protected
                .address
                .map_or("any".to_owned(), |address| address.to_string());
            let policy = format!("{:?}", protected.policy).to_lowercase();
            line(
                "protect",
                format!("{address}:{} {policy}: {}", protected.port, protected.why),
            );
        }
        match (&self.absent, &settings.kernel.interfaces) {
            (Some(reason), _) => line("packet ring", format!("none: {reason}")),
            (None, Interfaces::Auto) => line(
                "packet ring",
                "every interface but lo: TCX on veth, tap and bridge ports, native XDP on uplinks \
                 (some drivers reset their link for it; `--interfaces NAME:tcx` avoids that)"
                    .to_owned(),
            ),
            (None, Interfaces::None) => line("packet ring", "socket lookup only".to_owned()),
            (None, Interfaces::Named(named)) => {
                let patterns = named
                    .iter()
                    .map(|named| named.pattern.as_str())
                    .collect::<Vec<_>>();
                line("packet ring", patterns.join(", "));
            }
        }
        line("store", store.to_string());
        line("admin", settings.admin_socket.display().to_string());
        if let Some(remote) = &settings.admin_remote {
            let scheme = remote.tls.as_ref().map_or("http", |_| "https");
            let text = format!("{scheme}://{}, with operators' tokens", remote.address);
            line("admin over TCP", text);
        }
        if let Some(address) = settings.metrics_listen {
            line("metrics", format!("http://{address}/metrics"));
        }
        text
    }

    /// Where calls go, and how.
    fn upstream(&self, upstream: &Upstream) -> String {
        let url = &upstream.url;
        let (scheme, speaks) = match (&upstream.tls, upstream.http2) {
            (Some(_), true) => ("https", ", TLS, HTTP/2 if it agrees"),
            (Some(_), false) => ("https", ", TLS"),
            (None, true) => ("http", ", HTTP/2 without asking"),
            (None, false) => ("http", ""),
        };
        let (name, path) = (&upstream.name, &url.path);
        match &url.at {
            UpstreamAt::Unix(socket) => {
                let behind = if path.is_empty() { "" } else { ":" };
                let socket = socket.display();
                format!("{name}: unix:{socket}{behind}{path}{speaks}, nothing to guard")
            }
            UpstreamAt::Tcp { host, .. } => {
                let addresses = self.names.of(host);
                let to = if addresses.is_empty() {
                    ", which does not resolve yet".to_owned()
                } else {
                    let each: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                    format!(" at {}", each.join(" "))
                };
                format!("{name}: {scheme}://{}{path}{to}{speaks}", url.authority)
            }
        }
    }
}
