//! Looks at what is there: repairs what differs, and answers questions about a packet or a source.

use std::net::IpAddr;

use super::super::explain::{self, Probe, Verdicts};
use super::super::fault::KernelError;
use super::super::guard;
use super::super::home::Home;
use super::super::status::Audit;
use super::{Keeper, hooks};

impl Keeper {
    /// Links, addresses and deadlines, after a notification or on the timer.
    pub(in super::super) fn reconcile(&mut self) -> Result<(), KernelError> {
        let links = self.reconcile_links()?;
        self.repairs += links as u64;
        Ok(())
    }

    /// How many links had to change.
    fn reconcile_links(&mut self) -> Result<usize, KernelError> {
        self.refresh_local()?;
        if self.sources.clock_drifted() {
            self.sources.rewrite(&mut self.tables, &self.classes)?;
        }
        if self.waiting {
            return Ok(0);
        }
        Ok(self.hold_lookup()? + self.follow_interfaces(hooks::Strict::No)?)
    }

    /// Everything compared and repaired.
    pub(in super::super) fn verify(&mut self) -> Result<Audit, KernelError> {
        let links = self.reconcile_links()?;
        let mut audit = self.sources.repair(&mut self.tables, &self.classes)?;
        audit.ports = guard::write_ports(&mut self.tables, &self.classes)?;
        audit.addresses = guard::write_local(&mut self.tables, &self.masked, &self.local)?;
        audit.links = links;
        self.forget_old_classes()?;
        self.last_audit = audit;
        self.repairs += audit.total() as u64;
        Ok(audit)
    }

    pub(in super::super) fn explain(&mut self, probe: Probe) -> Result<Verdicts, KernelError> {
        let status = self.interface_status()?;
        let named = |name: Option<String>| match name {
            None => Ok(None),
            Some(name) => match status.iter().find(|interface| interface.name == name) {
                Some(interface) => Ok(Some(interface.clone())),
                None => Err(KernelError::NoInterface(name)),
            },
        };
        match probe {
            Probe::Frame { bytes, interface } => {
                let source = explain::source(&bytes);
                let interface = named(interface.or_else(|| self.home(source?)))?;
                let index = interface.as_ref().map(|interface| interface.index);
                let verdicts = explain::frame(&self.object, &self.tables, &bytes, index)?;
                let entry = match source {
                    Some(from) => explain::entry(&self.tables, from)?,
                    None => None,
                };
                Ok(Verdicts {
                    verdicts,
                    entry,
                    interface,
                })
            }
            Probe::Connect {
                from,
                interface,
                to,
                port,
            } => {
                let interface = named(interface.or_else(|| self.home(from)))?;
                let index = interface.as_ref().map(|interface| interface.index);
                let own = self
                    .local
                    .hosts
                    .iter()
                    .find(|own| own.is_ipv4() == from.is_ipv4());
                let Some(to) = to.or(own.copied()) else {
                    let family = if from.is_ipv4() { "IPv4" } else { "IPv6" };
                    return Err(KernelError::NoAddress(family));
                };
                let syn = explain::syn(from, to, port)?;
                let mut verdicts = explain::frame(&self.object, &self.tables, &syn, index)?;
                verdicts.push(explain::lookup(&self.object, &self.tables, from, to, port)?);
                let entry = explain::entry(&self.tables, from)?;
                Ok(Verdicts {
                    verdicts,
                    entry,
                    interface,
                })
            }
        }
    }

    /// Where packets of this address would arrive: the link that our answers leave by.
    fn home(&self, address: IpAddr) -> Option<String> {
        match self.homes.find(address.into()) {
            Home::At(interface) => Some(interface),
            Home::Unknown | Home::Elsewhere => None,
        }
    }
}
