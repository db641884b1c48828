//! Compares every entry the kernel holds with what should be there, and repairs the difference.
//!
//! The one place that also removes what nobody ever asked for: entries left in pinned maps by a
//! daemon that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use gate_common::entry::BindKey;
use ipnet::IpNet;

use super::super::fault::KernelError;
use super::super::filter::Word;
use super::super::message::{Opening, SourceKey};
use super::super::plan::{Step, plan};
use super::super::ports::Classes;
use super::super::status::Audit;
use super::super::table::{Tables, WriteError};
use super::Sources;

impl Sources {
    /// Removes what no wanted source accounts for, before anything new is opened.
    pub(super) fn remove_strays(
        &mut self,
        tables: &mut Tables,
        want: &BTreeMap<SourceKey, Opening>,
    ) -> Result<usize, KernelError> {
        let nets: BTreeSet<IpNet> = want.keys().map(|key| key.net).collect();
        let gone: Vec<IpNet> = self.strays.difference(&nets).copied().collect();
        let mut removed = 0;
        for net in gone {
            self.strays.remove(&net);
            removed += usize::from(tables.erase(net)?);
            self.uncount(tables, net)?;
        }
        Ok(removed)
    }

    /// Compares every entry with its picture and writes what differs.
    pub(in super::super) fn repair(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
    ) -> Result<Audit, KernelError> {
        let mut audit = Audit::default();
        if !self.told {
            // Pinned entries are leases in force until somebody says what is wanted.
            return Ok(audit);
        }
        let have: BTreeMap<IpNet, _> = tables.entries()?.into_iter().collect();
        let have_binds: BTreeMap<BindKey, _> = tables.binds()?.into_iter().collect();
        let mut want = BTreeMap::new();
        let mut want_binds = BTreeMap::new();
        for (net, source) in &self.all {
            let picture = self.picture(classes, *net, source);
            want.extend(picture.entry.map(|entry| (*net, entry)));
            want_binds.extend(picture.binds);
        }
        let mut missing = Vec::new();
        for step in plan(&want, &have) {
            audit.entries += 1;
            match step {
                // Not ours, so it never counted in the filter either.
                Step::Remove(net) => {
                    tables.erase(net)?;
                }
                Step::Upsert(net, _) => missing.push(net),
            }
        }
        let mut first = self.write_all(tables, classes, missing);
        for (index, (have, want)) in
            (0u32..).zip(tables.filter_words()?.iter().zip(self.filter.words()))
        {
            // A bit too many only costs a lookup; a missing one hides an entry.
            if have & want != *want {
                audit.entries += 1;
                tables.write_filter(Word { index, bits: *want })?;
            }
        }
        for step in plan(&want_binds, &have_binds) {
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
