//! What happens around the sources: the host's own addresses, its interfaces, its clock.

use std::collections::BTreeSet;
use std::net::IpAddr;

use gate_common::entry::BindKey;
use ipnet::IpNet;

use super::super::clock::Clock;
use super::super::fault::KernelError;
use super::super::ports::Classes;
use super::super::table::Tables;
use super::{Sources, canonical};

impl Sources {
    /// The host's own addresses, as sources that nobody else may use.
    pub(in super::super) fn set_own(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        own: &BTreeSet<IpAddr>,
    ) -> Result<(), KernelError> {
        let nets: BTreeSet<IpNet> = own
            .iter()
            .map(|address| canonical((*address).into()))
            .collect();
        let changed: Vec<IpNet> = self
            .all
            .iter()
            .filter(|(net, source)| source.own && !nets.contains(net))
            .map(|(net, _)| *net)
            .chain(
                nets.iter()
                    .copied()
                    .filter(|net| !self.all.get(net).is_some_and(|s| s.own)),
            )
            .collect();
        for net in &changed {
            self.all.entry(*net).or_default().own = nets.contains(net);
        }
        self.write_all(tables, classes, changed).all()
    }

    /// The incarnation of an interface; `None`: it went.
    pub(in super::super) fn set_link(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        interface: &str,
        link: Option<u32>,
    ) -> Result<(), KernelError> {
        let old = match link {
            Some(link) => self.links.insert(interface.to_owned(), link),
            None => self.links.remove(interface),
        };
        if old == link {
            return Ok(());
        }
        let nets = self.by_interface.get(interface).cloned();
        let nets = nets.unwrap_or_default();
        for net in &nets {
            if let (Some(link), Some(source)) = (old, self.all.get(net)) {
                tables.erase_bind(BindKey {
                    link,
                    group: source.group,
                })?;
            }
        }
        self.write_all(tables, classes, nets.into_iter().collect())
            .all()
    }

    /// Writes every source anew, for other classes or another clock.
    pub(in super::super) fn rewrite(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
    ) -> Result<(), KernelError> {
        self.clock = Clock::read();
        let all: Vec<IpNet> = self.all.keys().copied().collect();
        self.write_all(tables, classes, all).all()
    }

    /// The clocks went apart, so deadlines must be computed again.
    pub(in super::super) fn clock_drifted(&self) -> bool {
        self.clock.drifted(Clock::read())
    }
}
