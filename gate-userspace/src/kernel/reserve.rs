//! Keeps guarded ports out of the range for outgoing connections: a sysctl that is not ours alone.
//!
//! A port that was reserved before gate came stays so when gate goes. What gate added is noted by
//! empty directories beside the pins, since nothing else outlives the daemon just as long.

use std::collections::BTreeSet;
use std::fs;

use super::pins::Pins;

const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Keeps the guarded ports out of the ephemeral range: replies to a connection that the host
/// itself opened from such a port would be dropped. `Err` is a warning, not a failure.
pub(super) fn reserve(pins: &Pins, ports: &BTreeSet<u16>) -> Result<(), String> {
    let mut added = BTreeSet::new();
    let changed = change(|reserved| {
        added = ports.difference(reserved).copied().collect();
        reserved.extend(&added);
    });
    if let Err(why) = changed {
        // In most containers /proc/sys cannot be written.
        return if any_within(&fs::read_to_string(RANGE).unwrap_or_default(), &added) {
            Err(why)
        } else {
            Ok(())
        };
    }
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

/// Whether a port is of the range, in the kernel's words; every port is of one that is not known.
fn any_within(range: &str, ports: &BTreeSet<u16>) -> bool {
    let mut bounds = range.split_whitespace().map(str::parse::<u16>);
    match (bounds.next(), bounds.next()) {
        (Some(Ok(from)), Some(Ok(to))) => ports.iter().any(|port| (from..=to).contains(port)),
        _ => !ports.is_empty(),
    }
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

    #[test]
    fn only_a_port_of_the_ephemeral_range_is_worth_a_warning() {
        for (range, guarded, worth) in [
            ("32768\t60999\n", "8765", false),
            ("32768\t60999\n", "8765,40000", true),
            ("32768\t60999\n", "60999", true),
            ("", "8765", true),
            ("", "", false),
        ] {
            assert_eq!(
                any_within(range, &parse(guarded)),
                worth,
                "{range} {guarded}"
            );
        }
    }
}
