//! What would be attached where, and why, without touching anything: `gated --check`.

use super::fault::KernelError;
use super::interfaces::{self, Choice, choose};
use super::message::Interfaces;
use super::status::InterfaceStatus;

/// One line an interface of this network namespace; the hook is the first that would be tried.
pub fn preview(wanted: &Interfaces) -> Result<Vec<InterfaceStatus>, KernelError> {
    let present = interfaces::list()?;
    let line = |interface: &interfaces::Interface| {
        let (hook, covered, reason) = match choose(interface, wanted, &present) {
            Choice::Attach { ladder, reason } => (ladder.first().copied(), true, reason),
            Choice::Covered { reason } => (None, true, reason),
            Choice::Skipped => (None, false, "left out by configuration"),
        };
        InterfaceStatus {
            name: interface.name.clone(),
            index: interface.index,
            hook,
            mode: None,
            covered,
            reason: reason.to_owned(),
        }
    };
    Ok(present.iter().map(line).collect())
}
