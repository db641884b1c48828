//! Removes the gate from the kernel without a daemon: every link, every map, every directory.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::fault::KernelError;
use super::pins::Pins;
use super::reserve;

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
    // A port that stays reserved harms nobody; the links go all the same.
    let _ = reserve::release(&pins, None);
    Ok(Unloaded {
        pins: pins.remove_all()?,
    })
}
