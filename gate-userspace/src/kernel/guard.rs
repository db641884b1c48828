//! Writes which ports and addresses are guarded: the port table and the local addresses.
//!
//! Addresses are written before ports, and new ports before old ones go: at every step what is
//! guarded is guarded everywhere it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use gate_common::address::V6;
use gate_common::entry::{Config, Near6, PORTS_PER_WORD};
use gate_common::filter::{near, near_slot, near_slot6};
use ipnet::IpNet;

use super::fault::KernelError;
use super::local::Local;
use super::message::SourceKey;
use super::plan::{Step, plan};
use super::ports::Classes;
use super::table::{Tables, WriteError};

/// The guards that the pinned tables hold.
pub(super) fn pinned(tables: &Tables, config: Config) -> Result<Classes, KernelError> {
    let ports = by_class(tables.port_words()?);
    let local = tables.local()?;
    Ok(Classes::pinned(ports, config.anywhere, config.shut, &local))
}

fn by_class(words: Vec<u64>) -> BTreeMap<u32, BTreeSet<u16>> {
    let mut classes: BTreeMap<u32, BTreeSet<u16>> = BTreeMap::new();
    for (index, word) in (0u16..).zip(words) {
        // A port's byte lies at a shift of its word, so little-endian order is the order of shifts.
        for (offset, byte) in (0u16..).zip(word.to_le_bytes()) {
            // As the programs read it.
            let class = byte & 31;
            if class != 0 {
                let port = index * PORTS_PER_WORD + offset;
                classes.entry(u32::from(class)).or_default().insert(port);
            }
        }
    }
    classes
}

/// Brings the port table to these classes; says how many words differed.
pub(super) fn write_ports(tables: &mut Tables, classes: &Classes) -> Result<usize, KernelError> {
    let mut want: BTreeMap<u32, u64> = BTreeMap::new();
    for (number, class) in classes.iter() {
        for port in &class.ports {
            let shift = u32::from(port % PORTS_PER_WORD) * 8;
            *want.entry(u32::from(port / PORTS_PER_WORD)).or_insert(0) |=
                u64::from(number) << shift;
        }
    }
    let have: BTreeMap<u32, u64> = (0u32..)
        .zip(tables.port_words()?)
        .filter(|(_, word)| *word != 0)
        .collect();
    let (gone, new): (Vec<_>, Vec<_>) = plan(&want, &have)
        .into_iter()
        .partition(|step| matches!(step, Step::Remove(_)));
    let count = gone.len() + new.len();
    for step in new.into_iter().chain(gone) {
        match step {
            Step::Upsert(index, word) => tables.write_ports(index, word)?,
            Step::Remove(index) => tables.write_ports(index, 0)?,
        }
    }
    Ok(count)
}

/// Brings the local addresses to this truth; says how many differed.
pub(super) fn write_local(
    tables: &mut Tables,
    classes: &Classes,
    local: &Local,
) -> Result<usize, KernelError> {
    let mut want: BTreeMap<IpNet, u32> = BTreeMap::new();
    // An address with a guard of its own counts as ours even before it is assigned.
    for address in local.hosts.iter().copied().chain(classes.addresses()) {
        want.insert(IpNet::from(address), classes.at(address));
    }
    for net in &local.nets {
        let inside = |address: &IpAddr| net.contains(address);
        let own = classes.addresses().into_iter().filter(inside);
        want.insert(
            *net,
            own.fold(classes.anywhere(), |mask, address| {
                mask | classes.at(address)
            }),
        );
    }
    write_near(tables, &want)?;
    let have: BTreeMap<IpNet, u32> = tables.local()?.into_iter().collect();
    let steps = plan(&want, &have);
    for step in &steps {
        match step {
            Step::Remove(net) => {
                tables.erase_local(*net)?;
            }
            Step::Upsert(net, mask) => {
                tables
                    .write_local(*net, *mask)
                    .map_err(|fault| match fault {
                        WriteError::Kernel(fault) => fault,
                        WriteError::Full(table) => KernelError::Full {
                            table,
                            source_key: Box::new(SourceKey {
                                net: *net,
                                interface: None,
                            }),
                        },
                    })?;
            }
        }
    }
    Ok(steps.len())
}

/// The arrays in front of the addresses: one that finds its slot taken is only slower.
///
/// A slot is emptied before another address takes it, because its words are not one write: at
/// worst a packet finds nothing and asks the table behind.
fn write_near(tables: &mut Tables, local: &BTreeMap<IpNet, u32>) -> Result<(), KernelError> {
    let mut want4: BTreeMap<u32, u64> = BTreeMap::new();
    let mut want6: BTreeMap<u32, Near6> = BTreeMap::new();
    for (net, classes) in local {
        match (net.prefix_len(), net.addr()) {
            (32, IpAddr::V4(address)) => {
                let word = near(address.into(), *classes);
                want4.entry(near_slot(address.into())).or_insert(word);
            }
            (128, IpAddr::V6(address)) => {
                let address = V6::from(address);
                let slot = Near6 {
                    address: address.0,
                    classes: *classes,
                };
                want6.entry(near_slot6(address)).or_insert(slot);
            }
            _ => {}
        }
    }
    for (slot, old) in (0u32..).zip(tables.near()?) {
        let new = want4.get(&slot).copied().unwrap_or(0);
        if new != old {
            tables.write_near(slot, new)?;
        }
    }
    for (slot, old) in (0u32..).zip(tables.near6()?) {
        let new = want6.get(&slot).copied().unwrap_or_default();
        if new != old {
            tables.write_near6(slot, Near6 { classes: 0, ..old })?;
            tables.write_near6(slot, Near6 { classes: 0, ..new })?;
            tables.write_near6(slot, new)?;
        }
    }
    Ok(())
}
