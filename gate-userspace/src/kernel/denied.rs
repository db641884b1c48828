//! Who was denied most, out of the sampled refusals, in bounded memory.
//!
//! Space-saving (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements
//! in data streams", ICDT 2005): a newcomer takes the place of whoever was seen least, and its count,
//! so that no flood of made-up addresses hides one that goes on knocking. Counts are of samples, at
//! most too high by what they inherited.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::events::DropEvent;

/// Sources that are told apart.
const SLOTS: usize = 256;

/// A source that the packet ring refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    pub source: IpAddr,
    /// Where it came in last, why it was refused, and the port it wanted.
    pub interface: Option<String>,
    pub reason: String,
    pub port: Option<u16>,
    /// Refusals of it among those that were sampled, at most.
    pub samples: u64,
    /// As many of them may be of others.
    pub error: u64,
}

#[derive(Default)]
pub(super) struct Deniers {
    slots: BTreeMap<IpAddr, Denied>,
}

impl Deniers {
    pub(super) fn note(&mut self, event: &DropEvent) {
        let Some(source) = event.source.filter(|_| !event.passed) else {
            return;
        };
        let mut error = 0;
        if !self.slots.contains_key(&source) && self.slots.len() >= SLOTS {
            let least = self.slots.values().min_by_key(|denied| denied.samples);
            let Some(least) = least.map(|denied| denied.source) else {
                return;
            };
            error = self.slots.remove(&least).map_or(0, |gone| gone.samples);
        }
        let slot = self.slots.entry(source).or_insert_with(|| Denied {
            source,
            interface: None,
            reason: String::new(),
            port: None,
            samples: error,
            error,
        });
        slot.samples += 1;
        slot.interface.clone_from(&event.interface);
        slot.reason.clone_from(&event.reason);
        slot.port = event.port.or(slot.port);
    }

    /// Those seen most first, not more than so many.
    pub(super) fn top(&self, most: usize) -> Vec<Denied> {
        let mut top: Vec<&Denied> = self.slots.values().collect();
        top.sort_by_key(|denied| {
            (
                std::cmp::Reverse(denied.samples - denied.error),
                denied.source,
            )
        });
        top.into_iter().take(most).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(source: [u8; 4]) -> DropEvent {
        DropEvent {
            at: 0,
            reason: "stranger".to_owned(),
            hook: "tc".to_owned(),
            passed: false,
            uncovered: false,
            ifindex: 3,
            interface: Some("veth3".to_owned()),
            source: Some(source.into()),
            destination: None,
            source_port: None,
            port: Some(8765),
            frame: String::new(),
        }
    }

    #[test]
    fn a_flood_of_made_up_addresses_does_not_hide_who_goes_on() {
        let mut deniers = Deniers::default();
        for round in 0..2000u16 {
            let [high, low] = round.to_be_bytes();
            deniers.note(&event([10, 9, high, low]));
            if round % 4 == 0 {
                deniers.note(&event([10, 0, 0, 5]));
            }
        }
        let top = deniers.top(1);
        assert_eq!(top[0].source, IpAddr::from([10, 0, 0, 5]));
        assert!(top[0].samples >= 500, "{top:?}");
        assert_eq!(
            (top[0].interface.as_deref(), top[0].port),
            (Some("veth3"), Some(8765))
        );
        assert_eq!(deniers.slots.len(), SLOTS);
        // What `audit` lets pass was not denied.
        let passed = DropEvent {
            passed: true,
            ..event([10, 0, 0, 6])
        };
        deniers.note(&passed);
        assert!(!deniers.slots.contains_key(&IpAddr::from([10, 0, 0, 6])));
    }
}
