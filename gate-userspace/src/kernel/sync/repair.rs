//! Compares every entry the kernel holds with what should be there, and repairs the difference.
//!
//! The one place that also removes what nobody ever asked for: entries left in pinned maps by a
//! daemon that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use gate_common::entry::{BindKey, Entry};
use ipnet::IpNet;

use super::super::fault::KernelError;
use super::super::filter::Word;
use super::super::message::{Opening, SourceKey};
use super::super::plan::{Step, plan};
use super::super::ports::Classes;
use super::super::status::Audit;
use super::super::table::{Tables, WriteError};
use super::Sources;
use super::many::Outcome;

impl Sources {
    /// Removes what no wanted source accounts for, before anything new is opened.
    pub(super) fn remove_strays(
        &mut self,
        tables: &mut Tables,
        want: &BTreeMap<SourceKey, Opening>,
    ) -> Result<usize, KernelError> {
        let is_wanted = |net: &IpNet| {
            let first = SourceKey {
                net: *net,
                interface: None,
            };
            want.range(first..)
                .next()
                .is_some_and(|(key, _)| key.net == *net)
        };
        let gone: Vec<IpNet> = self
            .strays
            .keys()
            .filter(|net| !is_wanted(net))
            .copied()
            .collect();
        let removed = tables.erase_many(&gone)?;
        for net in &gone {
            self.strays.remove(net);
        }
        self.uncount_many(tables, &gone)?;
        Ok(removed)
    }

    /// Compares everything with its picture and writes what differs.
    pub(in super::super) fn repair(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
    ) -> Result<Audit, KernelError> {
        if !self.told {
            // Pinned entries are leases in force until somebody says what is wanted.
            return Ok(Audit::default());
        }
        let (entries, written) = self.repair_entries(tables, classes)?;
        let mut audit = self.repair_beside(tables, classes)?;
        audit.entries += entries;
        written.applied(0).map(|_all| audit)
    }

    /// How many were wrong.
    fn repair_entries(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
    ) -> Result<(usize, Outcome), KernelError> {
        let (mut right, mut wrong, mut foreign) = (0, Vec::new(), Vec::new());
        tables.each_entry(|net, entry| match self.wanted(classes, net) {
            Some(wanted) if wanted == entry => right += 1,
            Some(_) => wrong.push(net),
            None => foreign.push(net),
        })?;
        if right + wrong.len() < self.all.len() {
            let mut there = BTreeSet::new();
            tables.each_entry(|net, _| _ = there.insert(net))?;
            let missing = self.all.keys().filter(|net| !there.contains(net));
            wrong.extend(missing.filter(|net| self.wanted(classes, **net).is_some()));
        }
        // Not ours, so they never counted in the filter either.
        tables.erase_many(&foreign)?;
        let count = wrong.len() + foreign.len();
        Ok((count, self.write_all(tables, classes, wrong)))
    }

    fn wanted(&self, classes: &Classes, net: IpNet) -> Option<Entry> {
        let source = self.all.get(&net)?;
        self.picture(classes, net, source).entry
    }

    /// What stands beside the entries: the filter before them, and their bindings.
    pub(super) fn repair_beside(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
    ) -> Result<Audit, KernelError> {
        let mut audit = Audit::default();
        let words = tables.filter_words()?;
        let pairs = (0u32..).zip(words.iter().zip(self.filter.words()));
        // A bit too many only costs a lookup; a missing one hides an entry.
        let behind = pairs.filter(|(_, (have, want))| *have & *want != **want);
        let behind: Vec<Word> = behind
            .map(|(index, (_, want))| Word { index, bits: *want })
            .collect();
        audit.entries += behind.len();
        tables.write_filter_words(&behind)?;
        let have: BTreeMap<BindKey, _> = tables.binds()?.into_iter().collect();
        let bound = self.all.iter().filter(|(_, source)| source.is_bound());
        let want = bound.flat_map(|(net, source)| self.picture(classes, *net, source).binds);
        let mut first = Ok(());
        for step in plan(&want.collect(), &have) {
            audit.bindings += 1;
            match step {
                Step::Remove(key) => {
                    tables.erase_bind(key)?;
                }
                Step::Upsert(key, entry) => {
                    let written = tables.write_bind(key, entry).map_err(|fault| match fault {
                        WriteError::Kernel(fault) => fault,
                        WriteError::Full(table) => KernelError::Full {
                            table,
                            source_key: Box::new(self.holder(key.group)),
                        },
                    });
                    first = first.and(written);
                }
            }
        }
        // Whatever bindings a former daemon left are gone.
        self.groups
            .keep(self.all.values().map(|source| source.group));
        first.map(|()| audit)
    }

    fn holder(&self, group: u32) -> SourceKey {
        let net = self
            .all
            .iter()
            .find(|(_, source)| source.group == group)
            .map(|(net, _)| *net);
        let nobody = || IpNet::from(IpAddr::from([0, 0, 0, 0]));
        SourceKey {
            net: net.unwrap_or_else(nobody),
            interface: None,
        }
    }
}
