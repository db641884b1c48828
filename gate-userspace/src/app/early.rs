//! `gated --guard-only`: shuts the gated ports and ends, before the network is up.
//!
//! What is pinned goes with a reboot, so between the first address and the daemon's start a port
//! that something else serves would be open. Nobody is listed yet: only loopback is let through.
//! The store is not asked, since its file system or host may not be there; the daemon takes up
//! what this leaves and lists who may come in. An interface that appears later has no program of
//! its own until then, and is left to the socket lookup.

use tracing::info;

use super::{Plan, StartError, lock, ring};
use crate::settings::{KernelNeed, Settings};

pub(super) fn guard(settings: &Settings, plan: Plan) -> Result<(), StartError> {
    let _lock = lock::take(&settings.run_dir)?;
    if ring::is_pinned(&settings.kernel.pin_dir) {
        info!("the packet ring of a former start stands; left as it is");
        return Ok(());
    }
    if settings.kernel.need == KernelNeed::Off {
        return Err(StartError::NothingToGuard);
    }
    let ring = super::guard(settings, settings.mode, plan, true)?;
    info!(
        standing = ring.agent().is_some(),
        "guarded; nobody is listed until gated starts"
    );
    Ok(())
}
