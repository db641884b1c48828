//! One source: from what should be to what the kernel holds, and what is remembered of it.

use std::net::IpAddr;

use gate_common::address::{V4, V6};
use gate_common::entry::{BindKey, Entry};
use gate_common::name as table_name;
use ipnet::IpNet;

use super::super::fault::KernelError;
use super::super::filter::Word;
use super::super::home::Home;
use super::super::message::{Applied, Opening};
use super::super::plan::{Picture, Source, Surroundings};
use super::super::ports::Classes;
use super::super::table::{Tables, WriteError};
use super::Sources;

impl Sources {
    /// What was there before.
    pub(super) fn put(
        &mut self,
        net: IpNet,
        interface: Option<&str>,
        opening: Option<Opening>,
    ) -> Option<Opening> {
        let source = self.all.entry(net).or_default();
        let Some(interface) = interface else {
            let before = std::mem::replace(&mut source.anywhere, opening);
            if source.anywhere.is_none() {
                self.settle(net, Home::Elsewhere);
            }
            return before;
        };
        let before = match opening {
            Some(opening) => source.bound.insert(interface.to_owned(), opening),
            None => source.bound.remove(interface),
        };
        self.index(net, interface);
        before
    }

    /// Sees to it that a source which is to be bound has a group.
    fn number(&mut self, net: IpNet) -> Result<(), WriteError> {
        let is_wanting = |source: &Source| source.is_bound() && source.group == 0;
        if !self.all.get(&net).is_some_and(is_wanting) {
            return Ok(());
        }
        let group = self
            .groups
            .take()
            .ok_or(WriteError::Full(table_name::BIND))?;
        self.all.entry(net).or_default().group = group;
        Ok(())
    }

    /// Brings the kernel to the picture of one source.
    pub(super) fn write(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        net: IpNet,
    ) -> Result<Applied, WriteError> {
        self.number(net)?;
        let Some(source) = self.all.get(&net) else {
            return Ok(Applied::default());
        };
        let picture = self.picture(classes, net, source);
        let group = source.group;
        let stale: Vec<BindKey> = self
            .links
            .values()
            .map(|link| BindKey { link: *link, group })
            .filter(|key| group != 0 && !picture.binds.contains_key(key))
            .collect();
        let had = source.entry.or(self.strays.remove(&net));
        let counted = had.is_some();
        let mut applied = Applied::default();
        let Some(entry) = picture.entry else {
            applied.removed += usize::from(tables.erase(net).map_err(WriteError::Kernel)?);
            for key in stale {
                tables.erase_bind(key).map_err(WriteError::Kernel)?;
            }
            if counted {
                self.uncount(tables, net).map_err(WriteError::Kernel)?;
            }
            self.unnumber(net);
            self.remember(net, None);
            return Ok(applied);
        };
        if !counted {
            let word = self.count(net, true);
            change(tables, word).map_err(WriteError::Kernel)?;
        }
        let outcome = write_binds(tables, &picture).and_then(|()| tables.write(net, entry));
        if let Err(fault) = outcome {
            tables.erase(net).map_err(WriteError::Kernel)?;
            self.uncount(tables, net).map_err(WriteError::Kernel)?;
            self.remember(net, None);
            return Err(fault);
        }
        for key in stale {
            tables.erase_bind(key).map_err(WriteError::Kernel)?;
        }
        self.unnumber(net);
        applied.written += usize::from(had != Some(entry));
        self.remember(net, Some(entry));
        Ok(applied)
    }

    /// The kernel holds no binding of a source that is bound nowhere: its group is free again.
    fn unnumber(&mut self, net: IpNet) {
        if let Some(source) = self.all.get_mut(&net)
            && !source.is_bound()
        {
            self.groups.give_back(std::mem::take(&mut source.group));
        }
    }

    pub(super) fn remember(&mut self, net: IpNet, entry: Option<Entry>) {
        if let Some(source) = self.all.get_mut(&net) {
            source.entry = entry;
            if source.is_empty() {
                self.all.remove(&net);
            }
        }
    }

    pub(super) fn picture(&self, classes: &Classes, net: IpNet, source: &Source) -> Picture {
        let clock = self.clock;
        let ticks = move |until| clock.ticks(until);
        Surroundings {
            classes,
            links: &self.links,
            ticks: &ticks,
        }
        .picture(net, source)
    }

    /// Only addresses stand behind the filter; networks are asked on a miss too.
    pub(super) fn count(&mut self, net: IpNet, add: bool) -> Option<Word> {
        if net.prefix_len() != net.max_prefix_len() {
            let nets = &mut self.nets[usize::from(net.addr().is_ipv6())];
            *nets = if add {
                *nets + 1
            } else {
                nets.saturating_sub(1)
            };
            return None;
        }
        match (net.addr(), add) {
            (IpAddr::V4(address), true) => self.filter.add(V4::from(address)),
            (IpAddr::V4(address), false) => self.filter.remove(V4::from(address)),
            (IpAddr::V6(address), true) => self.filter.add(V6::from(address)),
            (IpAddr::V6(address), false) => self.filter.remove(V6::from(address)),
        }
    }

    pub(super) fn uncount(&mut self, tables: &mut Tables, net: IpNet) -> Result<(), KernelError> {
        let word = self.count(net, false);
        change(tables, word)
    }
}

fn write_binds(tables: &mut Tables, picture: &Picture) -> Result<(), WriteError> {
    picture
        .binds
        .iter()
        .try_for_each(|(key, entry)| tables.write_bind(*key, *entry))
}

fn change(tables: &mut Tables, word: Option<Word>) -> Result<(), KernelError> {
    word.map_or(Ok(()), |word| tables.write_filter(word))
}
