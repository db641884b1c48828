//! What `gated --check` prints: what a start would bind, attach and protect, and why.

use std::fmt::Write as _;

use super::Plan;
use crate::{
    settings::{Interfaces, Settings},
    store::StorePlace,
};

impl Plan {
    pub fn report(&self, settings: &Settings, store: &StorePlace) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: String| {
            writeln!(text, "{label:<12} {value}").expect("a string takes every write");
        };
        for listen in &settings.listen {
            line(
                "listen",
                format!("{} (sources: {:?})", listen.at, listen.sources).to_lowercase(),
            );
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
        text
    }
}
