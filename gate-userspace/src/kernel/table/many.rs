//! Whole tables read, and many elements written, in few system calls.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use aya::Pod;
use aya::maps::{Array, IterableMap};
use gate_common::address::{V4, V6};
use gate_common::entry::{BindKey, Entry};
use gate_common::name;
use ipnet::IpNet;

use super::super::fault::KernelError;
use super::super::filter::Word;
use super::super::sys::batch::{self, Reader, Stopped};
use super::outcome::{broken, fault, refused_by, was_absent};
use super::place::{Place, net, place};
use super::{Hash, Tables, WriteError};

/// What became of many writes.
#[derive(Debug, Default)]
pub(in super::super) struct Refusals {
    /// Not written, by their place in what was given.
    pub(in super::super) refused: Vec<usize>,
    /// Why, of the first.
    pub(in super::super) first: Option<WriteError>,
}

/// The keys of one table with their values, and where in the whole each stood.
struct Column<K, V> {
    at: Vec<usize>,
    keys: Vec<K>,
    values: Vec<V>,
}

impl Tables {
    /// Shows every entry of the four source tables.
    pub(in super::super) fn each_entry(
        &self,
        mut show: impl FnMut(IpNet, Entry),
    ) -> Result<(), KernelError> {
        each(name::EXACT4, fd(&self.exact4), |key, entry| {
            show(IpAddr::V4(V4(key).into()).into(), entry);
        })?;
        each(name::EXACT6, fd(&self.exact6), |key, entry| {
            show(IpAddr::V6(V6(key).into()).into(), entry);
        })?;
        // Tries are small, and the kernel has no better way through them.
        for pair in &self.cidr4 {
            let (key, entry) = pair.map_err(|cause| fault(name::CIDR4, cause))?;
            let found = net(IpAddr::V4(V4(key.data()).into()), key.prefix_len());
            if let Some(net) = found {
                show(net, entry);
            }
        }
        for pair in &self.cidr6 {
            let (key, entry) = pair.map_err(|cause| fault(name::CIDR6, cause))?;
            let found = net(IpAddr::V6(V6(key.data()).into()), key.prefix_len());
            if let Some(net) = found {
                show(net, entry);
            }
        }
        Ok(())
    }

    /// Writes all that fit. The one that does not leaves the others to be written.
    pub(in super::super) fn write_many(&mut self, entries: &[(IpNet, Entry)]) -> Refusals {
        let mut refusals = Refusals::default();
        let (mut four, mut six) = (Column::new(), Column::new());
        for (at, (net, entry)) in entries.iter().enumerate() {
            match place(*net) {
                Place::Exact4(key) => four.push(at, key, *entry),
                Place::Exact6(key) => six.push(at, key, *entry),
                Place::Net4(_) | Place::Net6(_) => {
                    if let Err(why) = self.write(*net, *entry) {
                        refusals.add(at, why);
                    }
                }
            }
        }
        four.write(name::EXACT4, fd(&self.exact4), &mut refusals);
        six.write(name::EXACT6, fd(&self.exact6), &mut refusals);
        refusals
    }

    /// Removes all of them; says how many were there.
    pub(in super::super) fn erase_many(&mut self, nets: &[IpNet]) -> Result<usize, KernelError> {
        let mut removed = 0;
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for net in nets {
            match place(*net) {
                Place::Exact4(key) => four.push(key),
                Place::Exact6(key) => six.push(key),
                Place::Net4(_) | Place::Net6(_) => removed += usize::from(self.erase(*net)?),
            }
        }
        removed += erase(name::EXACT4, fd(&self.exact4), &four)?;
        removed += erase(name::EXACT6, fd(&self.exact6), &six)?;
        Ok(removed)
    }

    pub(in super::super) fn binds(&self) -> Result<Vec<(BindKey, Entry)>, KernelError> {
        let mut all = Vec::new();
        each(name::BIND, fd(&self.bind), |key, entry| {
            all.push((key, entry));
        })?;
        Ok(all)
    }

    pub(in super::super) fn filter_words(&self) -> Result<Vec<u64>, KernelError> {
        words(name::FILTER, &self.filter)
    }

    pub(in super::super) fn write_filter_words(
        &mut self,
        words: &[Word],
    ) -> Result<(), KernelError> {
        let indices: Vec<u32> = words.iter().map(|word| word.index).collect();
        let bits: Vec<u64> = words.iter().map(|word| word.bits).collect();
        let written = batch::update(of(&self.filter), &indices, &bits);
        written.map_err(|stopped| broken(name::FILTER, stopped.why))
    }

    pub(in super::super) fn port_words(&self) -> Result<Vec<u64>, KernelError> {
        words(name::PORTS, &self.ports)
    }
}

impl Refusals {
    fn add(&mut self, at: usize, why: WriteError) {
        self.refused.push(at);
        self.first.get_or_insert(why);
    }
}

impl<K: Pod, V: Pod> Column<K, V> {
    fn new() -> Self {
        Self {
            at: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
        }
    }

    fn push(&mut self, at: usize, key: K, value: V) {
        self.at.push(at);
        self.keys.push(key);
        self.values.push(value);
    }

    fn write(&self, map: &'static str, fd: BorrowedFd<'_>, refusals: &mut Refusals) {
        let mut from = 0;
        while let (Some(keys), Some(values)) = (self.keys.get(from..), self.values.get(from..)) {
            let Err(Stopped { at, why }) = batch::update(fd, keys, values) else {
                return;
            };
            let Some(at_all) = self.at.get(from + at) else {
                return;
            };
            refusals.add(*at_all, refused_by(map, why));
            from += at + 1;
        }
    }
}

fn each<K: Pod, V: Pod>(
    map: &'static str,
    fd: BorrowedFd<'_>,
    mut show: impl FnMut(K, V),
) -> Result<(), KernelError> {
    let mut reader = Reader::new(fd);
    while let Some(chunk) = reader.next().map_err(|why| broken(map, why))? {
        chunk.for_each(|(key, value)| show(key, value));
    }
    Ok(())
}

fn erase<K: Pod>(map: &'static str, fd: BorrowedFd<'_>, keys: &[K]) -> Result<usize, KernelError> {
    let (mut from, mut removed) = (0, 0);
    while let Some(keys) = keys.get(from..) {
        match batch::delete(fd, keys) {
            Ok(()) => return Ok(removed + keys.len()),
            Err(Stopped { at, why }) if was_absent(&why) => {
                removed += at;
                from += at + 1;
            }
            Err(Stopped { why, .. }) => return Err(broken(map, why)),
        }
    }
    Ok(removed)
}

/// An array from its first word to its last.
fn words(
    map: &'static str,
    array: &Array<aya::maps::MapData, u64>,
) -> Result<Vec<u64>, KernelError> {
    let mut words = Vec::new();
    each(map, of(array), |_: u32, word| words.push(word))?;
    Ok(words)
}

fn fd<K: Pod, V: Pod>(table: &Hash<K, V>) -> BorrowedFd<'_> {
    table.map().fd().as_fd()
}

fn of(array: &Array<aya::maps::MapData, u64>) -> BorrowedFd<'_> {
    array.map().fd().as_fd()
}
