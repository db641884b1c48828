//! Guarded ports as the kernel sees them: a class per port, and where each class holds.
//!
//! Pinned entries name classes by bit and outlive the daemon. A class number therefore keeps its
//! meaning: it is used again only for exactly the ports it stood for, so that no restart and no
//! reload ever lets an old bit open a new port.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

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

    /// The guards that pinned tables hold. Who may pass them is for the entries to say, so of the
    /// policy only `shut` is known.
    pub(super) fn pinned(
        ports: BTreeMap<u32, BTreeSet<u16>>,
        anywhere: u32,
        shut: u32,
        local: &[(IpNet, u32)],
    ) -> Self {
        let class = |(number, ports): (u32, BTreeSet<u16>)| {
            let has = |mask: u32| mask & (1 << number) != 0;
            let policy = if has(shut) {
                Policy::Shut
            } else {
                Policy::Gate
            };
            let addresses = (!has(anywhere)).then(|| {
                local
                    .iter()
                    .filter(|(net, mask)| net.prefix_len() == net.max_prefix_len() && has(*mask))
                    .map(|(net, _)| net.addr())
                    .collect()
            });
            let class = Class {
                policy,
                addresses,
                ports,
            };
            (number, class)
        };
        Self(ports.into_iter().map(class).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Class)> {
        self.0.iter().map(|(number, class)| (*number, class))
    }

    /// Both at once, for a moment in which some ports are still of the one: every guard of either
    /// holds. A number that both have names the same ports.
    pub(super) fn beside(&self, other: &Self) -> Self {
        let mut both = self.0.clone();
        for (number, class) in other.iter() {
            match both.entry(number) {
                Entry::Vacant(room) => {
                    room.insert(class.clone());
                }
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.ports.extend(&class.ports);
                    known.addresses = match (known.addresses.take(), &class.addresses) {
                        (Some(here), Some(there)) => Some(&here | there),
                        (None, _) | (_, None) => None,
                    };
                    if class.policy == Policy::Shut {
                        known.policy = Policy::Shut;
                    }
                }
            }
        }
        Self(both)
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
    fn two_sets_beside_each_other_hold_every_guard_of_either() {
        let here: IpAddr = "10.0.0.1".parse().unwrap();
        let only_here = |port, policy| GuardedPort {
            address: Some(here),
            ..guard(port, policy)
        };
        let old = [guard(80, Policy::Gate), only_here(90, Policy::Gate)];
        let old = Classes::assign(&old, &BTreeMap::new()).unwrap();
        let new = [
            guard(80, Policy::Gate),
            guard(81, Policy::Gate),
            guard(90, Policy::Shut),
        ];
        let new = Classes::assign(&new, &old.by_number()).unwrap();
        for both in [old.beside(&new), new.beside(&old)] {
            assert_eq!(both.anywhere(), old.anywhere() | new.anywhere());
            assert_eq!(both.at(here), old.at(here) | new.at(here));
            assert_eq!(both.shut(), new.shut());
            assert_eq!(both.ports(), new.ports());
        }
    }

    #[test]
    fn pinned_guards_hold_where_the_tables_say() {
        let here: IpAddr = "10.0.0.1".parse().unwrap();
        let ports = BTreeMap::from([(1, BTreeSet::from([80])), (4, BTreeSet::from([90]))]);
        let net = "10.0.0.0/24".parse().unwrap();
        let local = [(IpNet::from(here), 0b1_0010), (net, 0b1_0010)];
        let classes = Classes::pinned(ports.clone(), 0b10, 0b1_0000, &local);
        assert_eq!((classes.anywhere(), classes.shut()), (0b10, 0b1_0000));
        assert_eq!(classes.at(here), 0b1_0010);
        assert_eq!(classes.at("10.0.0.2".parse().unwrap()), 0b10);
        assert_eq!(classes.by_number(), ports);
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
