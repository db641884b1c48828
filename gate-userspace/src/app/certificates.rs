//! Takes up renewed certificates of the listeners without a restart.
//!
//! A renewal replaces two files, one after the other: between the two they do not belong together,
//! which is said once and tried again, and meanwhile the former certificate is shown.

use std::sync::Arc;

use tracing::{error, info};

use crate::{settings::Settings, telemetry::Chain, tls::Server};

/// The listeners' certificates.
pub(super) struct Certificates(Vec<Arc<Server>>);

impl Certificates {
    pub(super) fn of(settings: &Settings) -> Self {
        let listen = settings.listen.iter();
        let remote = settings.admin_remote.iter();
        let remote = remote.filter_map(|remote| remote.tls.clone());
        let servers = listen.filter_map(|listen| listen.tls.clone()).chain(remote);
        Self(servers.collect())
    }

    /// Reads those again whose files changed.
    pub(super) fn look(&self) {
        self.0
            .iter()
            .filter(|server| server.has_changed())
            .for_each(|server| read(server));
    }

    /// Reads all of them again.
    pub(super) fn read(&self) {
        for server in &self.0 {
            _ = server.has_changed();
            read(server);
        }
    }
}

fn read(server: &Server) {
    let certificate = server.files().certificate.display();
    match server.reload() {
        Ok(()) => info!(%certificate, "certificate reloaded"),
        Err(why) => {
            error!(%certificate, error = %Chain(&why), "the former certificate stays in use");
        }
    }
}
