//! Compares every entry the kernel holds with what should be there, and repairs the difference.
//!
//! The one place that also removes what nobody ever asked for: entries left in pinned maps by a
//! daemon that is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use gate_common::entry::BindKey;
use ipnet::IpNet;

use super::super::fault::KernelError;
use super::super::message::{Opening, SourceKey};
use super::super::plan::{Step, plan};
use super::super::ports::Classes;
use super::super::status::Audit;
use super::super::table::{Tables, WriteError};
use super::{Sources, change, name};

impl Sources {
    /// Removes what no wanted source accounts for, before anything new is opened.
    pub(super) fn remove_strays(
        &mut self,
        tables: &mut Tables,
        want: &BTreeMap<SourceKey, Opening>,
    ) -> Result<usize, KernelError> {
        let nets: BTreeSet<IpNet> = want.keys().map(|key| key.net).collect();
        let mut removed = 0;
        for (net, _) in tables.entries()? {
            if !nets.contains(&net) && !self.all.contains_key(&net) {
                tables.erase(net)?;
                self.uncount(tables, net)?;
                removed += 1;
            }
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
        let have: BTreeMap<IpNet, _> = tables.entries()?.into_iter().collect();
        let have_binds: BTreeMap<BindKey, _> = tables.binds()?.into_iter().collect();
        let mut want = BTreeMap::new();
        let mut want_binds = BTreeMap::new();
        for (net, source) in &self.all {
            let picture = self.picture(classes, *net, source);
            want.extend(picture.entry.map(|entry| (*net, entry)));
            want_binds.extend(picture.binds);
        }
        for step in plan(&want, &have) {
            audit.entries += 1;
            match step {
                Step::Remove(net) => {
                    tables.erase(net)?;
                    self.uncount(tables, net)?;
                }
                Step::Upsert(net, entry) => {
                    if !have.contains_key(&net) {
                        let word = self.count(net, true);
                        change(tables, word)?;
                    }
                    tables
                        .write(net, entry)
                        .map_err(|fault| name(fault, net, None))?;
                }
            }
        }
        for step in plan(&want_binds, &have_binds) {
            audit.bindings += 1;
            match step {
                Step::Remove(key) => {
                    tables.erase_bind(key)?;
                }
                Step::Upsert(key, entry) => {
                    tables.write_bind(key, entry).map_err(|fault| match fault {
                        WriteError::Kernel(fault) => fault,
                        WriteError::Full(table) => KernelError::Full {
                            table,
                            source_key: Box::new(self.holder(key.group)),
                        },
                    })?;
                }
            }
        }
        Ok(audit)
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
