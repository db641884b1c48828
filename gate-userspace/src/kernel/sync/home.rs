//! A source's own interface: the one that its address means, found by its route.
//!
//! As long as it is known the source is bound to it like one whose operator named it. It is kept
//! while the interface is gone, so that an address never opens more because its link went.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::super::fault::KernelError;
use super::super::home::Home;
use super::super::ports::Classes;
use super::super::table::Tables;
use super::{Sources, name};

impl Sources {
    /// Every source that has an interface of its own.
    pub(in super::super) fn homes(&self) -> BTreeMap<IpNet, String> {
        let named = self.by_interface.values().flatten();
        named
            .filter_map(|net| Some((*net, self.all.get(net)?.home.clone()?)))
            .collect()
    }

    /// The sources that may live behind one of these routes, and those that have an interface.
    pub(in super::super) fn behind<'a>(
        &'a self,
        routes: impl Iterator<Item = &'a IpNet>,
    ) -> BTreeMap<IpNet, Option<String>> {
        let mut found: BTreeMap<_, _> = self
            .homes()
            .into_iter()
            .map(|(net, home)| (net, Some(home)))
            .collect();
        for route in routes {
            let most = route.max_prefix_len();
            let ends = [route.network(), route.broadcast()].map(|end| IpNet::new(end, most));
            let [Ok(first), Ok(last)] = ends else {
                continue;
            };
            let inside = self.all.range(first..=last);
            let inside = inside.filter(|(net, source)| {
                source.anywhere.is_some() && net.prefix_len() == net.max_prefix_len()
            });
            found.extend(inside.map(|(net, source)| (*net, source.home.clone())));
        }
        found
    }

    /// Binds a source to its interface, or lets go of it.
    pub(in super::super) fn move_home(
        &mut self,
        tables: &mut Tables,
        classes: &Classes,
        net: IpNet,
        home: Home,
    ) -> Result<(), KernelError> {
        let before = self.settle(net, home);
        self.write(tables, classes, net).map(drop).map_err(|fault| {
            // A binding that does not fit must not shut who was open without one.
            self.settle(net, before.map_or(Home::Elsewhere, Home::At));
            let _ = self.write(tables, classes, net);
            name(fault, net, None)
        })
    }

    /// Says what was known before.
    pub(super) fn settle(&mut self, net: IpNet, home: Home) -> Option<String> {
        let source = self.all.get_mut(&net)?;
        let before = source.home.take();
        source.home = match home {
            Home::At(interface) => Some(interface),
            Home::Unknown => before.clone(),
            Home::Elsewhere => None,
        };
        if source.anywhere.is_none() {
            source.home = None;
        }
        let now = source.home.clone();
        for interface in before.iter().chain(&now) {
            self.index(net, interface);
        }
        before
    }

    /// An interface that comes or goes is a matter of those sources alone that name it.
    pub(super) fn index(&mut self, net: IpNet, interface: &str) {
        let names = self.all.get(&net).is_some_and(|s| s.names(interface));
        if names {
            let nets = self.by_interface.entry(interface.to_owned());
            nets.or_default().insert(net);
        } else if let Some(nets) = self.by_interface.get_mut(interface) {
            nets.remove(&net);
            if nets.is_empty() {
                self.by_interface.remove(interface);
            }
        }
    }
}
