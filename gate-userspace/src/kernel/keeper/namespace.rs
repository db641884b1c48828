//! Do the pins stand in this network namespace?
//!
//! A link on an interface says by which number it hangs, not in which namespace; a container's
//! `eth0` often has the number of the host's. Taken for ours, it would leave our interface bare and
//! called covered, so only the socket lookup is believed, which names its namespace.

use std::thread;
use std::time::{Duration, Instant};

use super::super::fault::KernelError;
use super::super::links;
use super::super::pins::Pins;
use super::hooks::own_netns;

/// A namespace outlives its last process for as long as the kernel takes to clear it away: a
/// container that starts again at once still finds the links of its last run.
const CLEARED_WITHIN: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Refuses pins that guard another namespace; those of one that is gone guard nothing.
pub(super) fn refuse_others(pins: &Pins) -> Result<(), KernelError> {
    let own = own_netns()?;
    let begun = Instant::now();
    loop {
        let Some(netns) = other(pins, own)? else {
            return Ok(());
        };
        if begun.elapsed() > CLEARED_WITHIN {
            return Err(KernelError::Elsewhere {
                path: pins.root().to_owned(),
                netns,
            });
        }
        thread::sleep(PAUSE);
    }
}

fn other(pins: &Pins, own: u32) -> Result<Option<u32>, KernelError> {
    for lookup in pins.lookups()? {
        // 0: the namespace is gone.
        match links::netns(&lookup)? {
            None | Some(0) => {}
            Some(netns) if netns == own => {}
            Some(netns) => return Ok(Some(netns)),
        }
    }
    Ok(None)
}
