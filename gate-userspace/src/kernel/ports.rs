//! Guarded ports as the kernel sees them: a class per port, and where each class holds.
//!
//! Pinned entries name classes by bit and outlive the daemon. A class number therefore keeps its
//! meaning: it is used again only for exactly the ports it stood for, so that no restart and no
//! reload ever lets an old bit open a new port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::fault::KernelError;
use super::message::{GuardedPort, Opening, Policy};

/// Classes 1 to 31; 0 is a free port.
const CLASSES: u32 = 31;

/// One class: the ports that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) policy: Policy,
    /// `None`: every address of this host.
    pub(super) addresses: Option<BTreeSet<IpAddr>>,
    pub(super) ports: BTreeSet<u16>,
}

/// The guards in force, by class number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes(BTreeMap<u32, Class>);

impl Classes {
    /// Numbers the guards. `taken` are the ports that pinned maps know by each number.
    pub(super) fn assign(
        guards: &[GuardedPort],
        taken: &BTreeMap<u32, BTreeSet<u16>>,
    ) -> Result<Self, KernelError> {
        let mut ports: BTreeMap<u16, (Policy, Option<BTreeSet<IpAddr>>)> = BTreeMap::new();
        for guard in guards {
            let here = guard.address.map(|address| BTreeSet::from([address]));
            let (policy, at) = ports
                .entry(guard.port)
                .or_insert((guard.policy, here.clone()));
            // The port table holds one class a port.
            if *policy != guard.policy {
                return Err(KernelError::PortConflict(guard.port));
            }
            *at = match (at.take(), here) {
                (Some(at), Some(here)) => Some(at.into_iter().chain(here).collect()),
                (None, _) | (_, None) => None,
            };
        }
        let mut groups: BTreeMap<_, BTreeSet<u16>> = BTreeMap::new();
        for (port, (policy, at)) in ports {
            // Sources are listed for single ports, so each listed port is its own class.
            let alone = (policy == Policy::Listed).then_some(port);
            groups.entry((policy, at, alone)).or_default().insert(port);
        }
        let mut classes = BTreeMap::new();
        for ((policy, addresses, _), ports) in groups {
            let free = |number: &u32| !classes.contains_key(number);
            let number = taken
                .iter()
                .find(|(number, old)| **old == ports && free(number))
                .map(|(number, _)| *number)
                .or_else(|| {
                    (1..=CLASSES).find(|number| free(number) && !taken.contains_key(number))
                })
                .ok_or(KernelError::TooManyGuards(CLASSES))?;
            classes.insert(
                number,
                Class {
                    policy,
                    addresses,
                    ports,
                },
            );
        }
        Ok(Self(classes))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Class)> {
        self.0.iter().map(|(number, class)| (*number, class))
    }

    pub(super) fn by_number(&self) -> BTreeMap<u32, BTreeSet<u16>> {
        self.iter()
            .map(|(number, class)| (number, class.ports.clone()))
            .collect()
    }

    pub(super) fn ports(&self) -> BTreeSet<u16> {
        self.0
            .values()
            .flat_map(|class| class.ports.iter().copied())
            .collect()
    }

    /// Classes that hold at every address.
    pub(super) fn anywhere(&self) -> u32 {
        self.mask(|class| class.addresses.is_none())
    }

    /// Classes that no entry opens.
    pub(super) fn shut(&self) -> u32 {
        self.mask(|class| class.policy == Policy::Shut)
    }

    /// Classes that hold at this address.
    pub(super) fn at(&self, address: IpAddr) -> u32 {
        self.mask(|class| {
            class
                .addresses
                .as_ref()
                .is_none_or(|own| own.contains(&address))
        })
    }

    /// Addresses that have guards of their own.
    pub(super) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.0
            .values()
            .filter_map(|class| class.addresses.as_ref())
            .flatten()
            .copied()
            .collect()
    }

    /// Classes that an opening opens.
    pub(super) fn opened_by(&self, opening: &Opening) -> u32 {
        self.mask(|class| match class.policy {
            Policy::Gate => opening.gate,
            Policy::Listed => class
                .ports
                .iter()
                .any(|port| opening.guarded_ports.contains(port)),
            Policy::Shut => false,
        })
    }

    fn mask(&self, which: impl Fn(&Class) -> bool) -> u32 {
        self.iter()
            .filter(|(_, class)| which(class))
            .fold(0, |mask, (number, _)| mask | 1 << number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(port: u16, policy: Policy) -> GuardedPort {
        GuardedPort {
            port,
            address: None,
            policy,
        }
    }

    #[test]
    fn a_number_is_used_again_only_for_the_same_ports() {
        let old = Classes::assign(
            &[guard(80, Policy::Gate), guard(90, Policy::Listed)],
            &BTreeMap::new(),
        )
        .unwrap()
        .by_number();
        let new =
            Classes::assign(&[guard(70, Policy::Gate), guard(90, Policy::Listed)], &old).unwrap();
        for (number, class) in new.iter() {
            if let Some(ports) = old.get(&number) {
                assert_eq!(*ports, class.ports);
            }
        }
        assert_eq!(new.ports(), BTreeSet::from([70, 90]));
    }

    #[test]
    fn one_port_has_one_policy() {
        let guards = [guard(80, Policy::Gate), guard(80, Policy::Shut)];
        let result = Classes::assign(&guards, &BTreeMap::new());
        assert!(
            matches!(result, Err(KernelError::PortConflict(80))),
            "{result:?}"
        );
    }

    #[test]
    fn an_opening_reaches_what_it_names_and_never_a_shut_port() {
        let guards = [
            guard(1, Policy::Gate),
            guard(2, Policy::Listed),
            guard(3, Policy::Shut),
        ];
        let classes = Classes::assign(&guards, &BTreeMap::new()).unwrap();
        let opening = |gate, guarded_ports: &[u16]| Opening {
            client: 1,
            until: None,
            gate,
            guarded_ports: guarded_ports.to_vec(),
        };
        let reached = |opening: &Opening| {
            let mask = classes.opened_by(opening);
            classes
                .iter()
                .filter(|(number, _)| mask & (1 << number) != 0)
                .flat_map(|(_, class)| class.ports.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(reached(&opening(false, &[])), Vec::<u16>::new());
        assert_eq!(reached(&opening(true, &[])), [1]);
        assert_eq!(reached(&opening(false, &[2, 3])), [2]);
    }
}
