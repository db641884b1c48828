//! What the rest of the daemon may change: openings, mode, guarded ports, the choice of hooks.

use std::collections::BTreeSet;

use super::super::fault::KernelError;
use super::super::guard;
use super::super::message::{Applied, Batch, GuardedPort, Interfaces, Mode, Want};
use super::super::ports::Classes;
use super::super::reserve;
use super::{Keeper, hooks};

/// So many sources may each cost a question to the routing table.
const FEW: usize = 64;

impl Keeper {
    pub(in super::super) fn apply(&mut self, batch: Batch) -> Result<Applied, KernelError> {
        self.revision = batch.revision;
        let homes = &self.homes;
        let is_small = batch.ops.len() <= FEW;
        let finds = |net| {
            if is_small {
                homes.find(net)
            } else {
                homes.find_among_many(net)
            }
        };
        let outcome = self
            .sources
            .apply(&mut self.tables, &self.classes, batch, &finds);
        self.write_config()?;
        outcome
    }

    pub(in super::super) fn sync(&mut self, want: Want) -> Result<Applied, KernelError> {
        self.revision = want.revision;
        let finds = |net| self.homes.find_among_many(net);
        let outcome = self
            .sources
            .sync(&mut self.tables, &self.classes, want, &finds);
        self.write_config()?;
        if self.waiting {
            self.take_over_foreign()?;
            self.hold_on()?;
            self.pins.remove_foreign()?;
            self.waiting = false;
        }
        outcome
    }

    pub(in super::super) fn set_mode(&mut self, mode: Mode) -> Result<(), KernelError> {
        self.setup.mode = mode;
        self.write_config()
    }

    /// New ports are guarded before old ones are released.
    pub(in super::super) fn set_ports(
        &mut self,
        ports: Vec<GuardedPort>,
    ) -> Result<(), KernelError> {
        // A number is taken as long as the masks know it: an earlier change may have ended half way.
        let taken = self.sources.taken(self.masked.by_number());
        let classes = Classes::assign(&ports, &taken)?;
        let gone: BTreeSet<u16> = self
            .classes
            .ports()
            .difference(&classes.ports())
            .copied()
            .collect();
        self.masked = self.masked.beside(&classes);
        self.classes = classes;
        self.setup.ports = ports;
        // Masks first, of the old classes and the new ones: until the port table is written each
        // port is of either. Entries after the ports: a bit that they do not have yet only keeps a
        // port shut.
        self.write_config()?;
        guard::write_local(&mut self.tables, &self.masked, &self.local)?;
        guard::write_ports(&mut self.tables, &self.classes)?;
        self.sources.rewrite(&mut self.tables, &self.classes)?;
        self.forget_old_classes()?;
        let _ = reserve::release(&self.pins, Some(&gone));
        self.reserve();
        Ok(())
    }

    pub(in super::super) fn set_interfaces(
        &mut self,
        interfaces: Interfaces,
    ) -> Result<(), KernelError> {
        let old = std::mem::replace(&mut self.setup.interfaces, interfaces);
        if self.waiting {
            return Ok(());
        }
        let outcome = self.follow_interfaces(hooks::Strict::Yes);
        if outcome.is_err() {
            self.setup.interfaces = old;
            self.follow_interfaces(hooks::Strict::No)?;
        }
        outcome.map(drop)
    }
}
