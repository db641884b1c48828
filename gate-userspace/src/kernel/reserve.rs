//! Keeps guarded ports out of the range for outgoing connections: a sysctl that is not ours alone.
//!
//! A port that was reserved before gate came stays so when gate goes. What gate added is noted by
//! empty directories beside the pins, since nothing else outlives the daemon just as long.

use std::collections::BTreeSet;
use std::fs;

use super::pins::Pins;

const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Keeps the guarded ports out of the ephemeral range: replies to a connection that the host
/// itself opened from such a port would be dropped. `Err` is a warning, not a failure.
pub(super) fn reserve(pins: &Pins, ports: &BTreeSet<u16>) -> Result<(), String> {
    let mut added = BTreeSet::new();
    change(|reserved| {
        added = ports.difference(reserved).copied().collect();
        reserved.extend(&added);
    })?;
    // Not noted in time, a port stays reserved for ever, which harms nobody.
    pins.note_reserved(&added)
        .map_err(|fault| fault.to_string())
}

/// Takes back what was added, of these ports or of all.
pub(super) fn release(pins: &Pins, ports: Option<&BTreeSet<u16>>) -> Result<(), String> {
    let mut added = pins.reserved().map_err(|fault| fault.to_string())?;
    added.retain(|port| ports.is_none_or(|ports| ports.contains(port)));
    change(|reserved| reserved.retain(|port| !added.contains(port)))?;
    pins.forget_reserved(&added)
        .map_err(|fault| fault.to_string())
}

fn change(edit: impl FnOnce(&mut BTreeSet<u16>)) -> Result<(), String> {
    let old = fs::read_to_string(RESERVED).map_err(|error| format!("{RESERVED}: {error}"))?;
    let before = parse(&old);
    let mut after = before.clone();
    edit(&mut after);
    if after == before {
        return Ok(());
    }
    fs::write(RESERVED, format(&after)).map_err(|error| format!("{RESERVED}: {error}"))
}

fn parse(text: &str) -> BTreeSet<u16> {
    text.trim()
        .split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.trim().parse::<u16>().ok()?..=to.trim().parse::<u16>().ok()?)
        })
        .flatten()
        .collect()
}

fn format(ports: &BTreeSet<u16>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for port in ports {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *port => *to = *port,
            _ => ranges.push((*port, *port)),
        }
    }
    let text: Vec<String> = ranges
        .into_iter()
        .map(|(from, to)| {
            if from == to {
                from.to_string()
            } else {
                format!("{from}-{to}")
            }
        })
        .collect();
    // An empty write changes nothing; a newline clears the list.
    format!("{}\n", text.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_are_read_and_written_as_ranges() {
        let ports = parse("80,443,8000-8003\n");
        assert_eq!(ports.len(), 6);
        assert_eq!(format(&ports), "80,443,8000-8003\n");
        assert_eq!(format(&parse("\n")), "\n");
    }
}
