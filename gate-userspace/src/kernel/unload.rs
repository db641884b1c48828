//! Removes the gate from the kernel without a daemon: every link, every map, every directory.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::fault::KernelError;
use super::guard;
use super::pins::Pins;

/// What went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unloaded {
    pub pins: Vec<PathBuf>,
}

/// Fails while a daemon holds the directory.
pub fn unload(pin_dir: &Path) -> Result<Unloaded, KernelError> {
    if !pin_dir.exists() {
        return Ok(Unloaded { pins: Vec::new() });
    }
    let pins = Pins::open(pin_dir)?;
    // Maps that cannot be read have no ports to give back; the links go all the same.
    if let Ok(ports) = guard::pinned_port_list(&pins.maps()) {
        let _ = guard::release(&ports);
    }
    Ok(Unloaded {
        pins: pins.remove_all()?,
    })
}
