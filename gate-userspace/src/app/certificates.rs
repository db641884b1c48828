//! Takes up renewed certificates of the listeners without a restart.
//!
//! A renewal replaces two files, one after the other: between the two they do not belong together,
//! which is said once and tried again, and meanwhile the former certificate is shown.

use std::{path::Path, sync::Arc, time::SystemTime};

use tracing::{error, info};

use crate::{settings::Settings, telemetry::Chain, tls::Server};

/// The listeners' certificates, and of when their files were that were last read.
pub(super) struct Certificates(Vec<(Arc<Server>, Option<Age>)>);

type Age = (SystemTime, SystemTime);

impl Certificates {
    pub(super) fn of(settings: &Settings) -> Self {
        let listen = settings.listen.iter();
        let remote = settings.admin_remote.iter();
        let remote = remote.filter_map(|remote| remote.tls.clone());
        let servers = listen.filter_map(|listen| listen.tls.clone()).chain(remote);
        Self(
            servers
                .map(|server| (Arc::clone(&server), age(&server)))
                .collect(),
        )
    }

    /// Reads those again whose files changed.
    pub(super) fn look(&mut self) {
        for (server, seen) in &mut self.0 {
            let now = age(server);
            if now.is_some() && now != *seen {
                *seen = now;
                read(server);
            }
        }
    }

    /// Reads all of them again.
    pub(super) fn read(&mut self) {
        for (server, seen) in &mut self.0 {
            *seen = age(server);
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

fn age(server: &Server) -> Option<Age> {
    let modified = |path: &Path| std::fs::metadata(path).ok()?.modified().ok();
    let files = server.files();
    Some((modified(&files.certificate)?, modified(&files.key)?))
}
