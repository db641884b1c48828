//! Follows interfaces: attaches to new ones, lets go of old ones, and gives each its incarnation.
//!
//! An incarnation is a number that no other interface ever gets, so a binding does not bless
//! whoever comes by that index next; a name is the operator's word and counts again when an
//! interface of that name is back. It is written before the link stands, with its bindings.

use std::fs;
use std::path::Path;

use super::super::attach::{self, Attached};
use super::super::fault::KernelError;
use super::super::home::Homes;
use super::super::interfaces::{self, Choice, Interface};
use super::super::message::{Hook, InterfaceRule, Interfaces};
use super::super::pins::children;
use super::super::table::WriteError;
use super::super::{interfaces::choose, links};
use super::Keeper;

/// What guards an interface while its XDP program is exchanged for another.
const BRIDGE: &[Hook] = &[Hook::Tcx, Hook::Clsact];

/// An interface that a link of ours guards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Held {
    pub(in super::super) name: String,
    pub(in super::super) attached: Attached,
    pub(in super::super) link: u32,
}

/// Whether an interface that was asked for by name may be missing or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Strict {
    Yes,
    No,
}

impl Keeper {
    /// Links of this layout that a former daemon left: same attachment, new program.
    pub(super) fn adopt_links(&mut self) -> Result<(), KernelError> {
        let incarnations: std::collections::BTreeMap<u32, u32> =
            self.tables.links()?.into_iter().collect();
        let binds = self.tables.binds()?;
        self.next_link = incarnations
            .values()
            .copied()
            .chain(binds.iter().map(|(key, _)| key.link))
            .max()
            .map_or(1, |last| last + 1);
        let present = interfaces::list()?;
        let own_netns = own_netns()?;
        for path in children(&self.pins.links())? {
            let Some(hook) = links::hook_of(&path) else {
                if links::netns(&path)? == Some(own_netns) {
                    links::adopt(&mut self.object, &path)?;
                } else {
                    links::remove(&path)?;
                }
                continue;
            };
            let index = links::ifindex(&path)?;
            let interface = present.iter().find(|interface| interface.index == index);
            match (interface, incarnations.get(&index)) {
                (Some(interface), Some(link)) if index != 0 => {
                    links::adopt(&mut self.object, &path)?;
                    let attached = Attached {
                        hook,
                        reason: "adopted".to_owned(),
                    };
                    let held = Held {
                        name: interface.name.clone(),
                        attached,
                        link: *link,
                    };
                    self.sources.set_link(
                        &mut self.tables,
                        &self.classes,
                        &interface.name,
                        Some(*link),
                    )?;
                    self.held.insert(index, held);
                }
                // Severed, or moved to another namespace.
                _ => links::remove(&path)?,
            }
        }
        for (index, _) in incarnations {
            if !self.held.contains_key(&index) {
                self.tables.erase_link(index)?;
            }
        }
        Ok(())
    }

    /// Links of another layout become ours: the same attachment, this build's program.
    pub(super) fn take_over_foreign(&mut self) -> Result<(), KernelError> {
        let directory = self.pins.links();
        for path in self.pins.foreign_links()? {
            let index = links::ifindex(&path)?;
            let new = match links::hook_of(&path) {
                Some(hook) if index != 0 => {
                    let link = self.next_link;
                    self.next_link += 1;
                    self.tables
                        .write_link(index, link)
                        .map_err(|_full| KernelError::NoInterface(index.to_string()))?;
                    links::file_name(index, hook)
                }
                None if links::netns(&path)? == Some(own_netns()?) => links::LOOKUP.to_owned(),
                // Severed, or of another namespace.
                _ => {
                    links::remove(&path)?;
                    continue;
                }
            };
            links::take_over(&mut self.object, &path, &directory.join(new))?;
        }
        Ok(())
    }

    /// Makes what is attached equal to what should be; says how many links were wrong.
    pub(super) fn follow_interfaces(&mut self, strict: Strict) -> Result<usize, KernelError> {
        let present = interfaces::list()?;
        self.names = present
            .iter()
            .map(|interface| (interface.index, interface.name.clone()))
            .collect();
        let mut changed = 0;
        let mut wanted = Vec::new();
        for interface in &present {
            if let Choice::Attach { ladder, reason } =
                choose(interface, &self.setup.interfaces, &present)
            {
                wanted.push((interface, ladder, reason));
            }
        }
        if strict == Strict::Yes {
            self.check_names(&present)?;
        }
        let stale: Vec<u32> = self
            .held
            .iter()
            .filter(|(index, held)| {
                let keep = wanted.iter().any(|(interface, ladder, _)| {
                    interface.index == **index && ladder.contains(&held.attached.hook)
                });
                !keep || !self.stands(**index, held.attached.hook)
            })
            .map(|(index, _)| *index)
            .collect();
        for index in stale {
            let Some((interface, ladder, reason)) = wanted
                .iter()
                .find(|(interface, ..)| interface.index == index)
            else {
                self.let_go(index)?;
                continue;
            };
            // The device is there and its link is not as it should be.
            changed += 1;
            if self.stands_anywhere(index) {
                // The next hook stands before the old one goes, so there is no gap.
                self.switch(interface, ladder, reason, strict)?;
            } else {
                self.let_go(index)?;
            }
        }
        for (interface, ladder, reason) in wanted {
            match self.held.get(&interface.index) {
                Some(held) if held.name == interface.name => {}
                Some(_) => self.rename(interface)?,
                None => self.take_hold(interface, ladder, reason, strict)?,
            }
        }
        self.follow_homes(&present)?;
        Ok(changed)
    }

    /// Binds to its link whoever lives alone behind one now, and lets go of who moved.
    fn follow_homes(&mut self, present: &[Interface]) -> Result<(), KernelError> {
        let is_guarded = |index| self.held.contains_key(&index);
        let homes = Homes::of(present, is_guarded, &self.direct);
        if homes == self.homes {
            return Ok(());
        }
        let mut first = Ok(());
        for (net, before) in self.sources.behind(homes.routes()) {
            if before.is_some_and(|home| homes.agrees(net, &home)) {
                continue;
            }
            let (tables, home) = (&mut self.tables, homes.find(net));
            let moved = self.sources.move_home(tables, &self.classes, net, home);
            first = first.and(moved);
        }
        self.homes = homes;
        first
    }

    fn check_names(&self, present: &[Interface]) -> Result<(), KernelError> {
        let Interfaces::List(rules) = &self.setup.interfaces else {
            return Ok(());
        };
        for InterfaceRule { pattern, .. } in rules {
            let met = present.iter().any(|interface| interface.name == *pattern);
            if !pattern.ends_with('*') && !met {
                return Err(KernelError::NoInterface(pattern.clone()));
            }
        }
        Ok(())
    }

    /// The link is there and its device is, too.
    fn stands(&self, index: u32, hook: Hook) -> bool {
        let path = self.pins.links().join(links::file_name(index, hook));
        path.exists() && links::ifindex(&path).is_ok_and(|at| at == index)
    }

    fn stands_anywhere(&self, index: u32) -> bool {
        self.held
            .get(&index)
            .is_some_and(|held| self.stands(index, held.attached.hook))
    }

    fn take_hold(
        &mut self,
        interface: &Interface,
        ladder: &[Hook],
        reason: &str,
        strict: Strict,
    ) -> Result<(), KernelError> {
        let link = self.next_link;
        self.next_link += 1;
        self.tables
            .write_link(interface.index, link)
            .map_err(|fault| match fault {
                WriteError::Kernel(fault) => fault,
                WriteError::Full(_) => KernelError::NoInterface(interface.name.clone()),
            })?;
        self.sources
            .set_link(&mut self.tables, &self.classes, &interface.name, Some(link))?;
        let directory = self.pins.links();
        match attach::attach(&mut self.object, interface, ladder, reason, &directory) {
            Ok(attached) => {
                self.held.insert(
                    interface.index,
                    Held {
                        name: interface.name.clone(),
                        attached,
                        link,
                    },
                );
                Ok(())
            }
            Err(fault) => {
                self.tables.erase_link(interface.index)?;
                self.sources
                    .set_link(&mut self.tables, &self.classes, &interface.name, None)?;
                // Under `auto` the socket lookup still guards it, and the status names it.
                let chosen = matches!(self.setup.interfaces, Interfaces::List(_));
                if strict == Strict::Yes && chosen {
                    Err(fault)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Another hook for an interface that is held: the new link first, then the old one goes.
    fn switch(
        &mut self,
        interface: &Interface,
        ladder: &[Hook],
        reason: &str,
        strict: Strict,
    ) -> Result<(), KernelError> {
        let Some(old) = self.held.get(&interface.index).cloned() else {
            return Ok(());
        };
        let old_path = self
            .pins
            .links()
            .join(links::file_name(interface.index, old.attached.hook));
        let is_xdp = |hook: &Hook| matches!(hook, Hook::Xdp | Hook::Generic);
        let both_xdp = is_xdp(&old.attached.hook) && ladder.iter().all(is_xdp);
        let directory = self.pins.links();
        let mut bridge = None;
        if both_xdp {
            // One device runs one XDP program, so native and generic bridge over tc.
            let over = attach::attach(&mut self.object, interface, BRIDGE, reason, &directory)?;
            links::remove(&old_path)?;
            bridge = Some(over.hook);
        }
        let seen = Interface {
            xdp: None,
            ..interface.clone()
        };
        match attach::attach(&mut self.object, &seen, ladder, reason, &directory) {
            Ok(attached) => {
                if attached.hook != old.attached.hook {
                    links::remove(&old_path)?;
                }
                if let Some(bridge) = bridge {
                    links::remove(&directory.join(links::file_name(interface.index, bridge)))?;
                }
                self.held.insert(interface.index, Held { attached, ..old });
                Ok(())
            }
            Err(fault) => {
                if let Some(hook) = bridge {
                    let attached = Attached {
                        hook,
                        reason: "the chosen hook refused".to_owned(),
                    };
                    self.held.insert(interface.index, Held { attached, ..old });
                }
                if strict == Strict::Yes {
                    Err(fault)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn rename(&mut self, interface: &Interface) -> Result<(), KernelError> {
        let Some(held) = self.held.get_mut(&interface.index) else {
            return Ok(());
        };
        let old = std::mem::replace(&mut held.name, interface.name.clone());
        let link = held.link;
        self.sources
            .set_link(&mut self.tables, &self.classes, &old, None)?;
        self.sources
            .set_link(&mut self.tables, &self.classes, &interface.name, Some(link))
    }

    fn let_go(&mut self, index: u32) -> Result<(), KernelError> {
        let Some(held) = self.held.remove(&index) else {
            return Ok(());
        };
        self.tables.erase_link(index)?;
        self.sources
            .set_link(&mut self.tables, &self.classes, &held.name, None)?;
        links::remove(
            &self
                .pins
                .links()
                .join(links::file_name(index, held.attached.hook)),
        )
    }
}

pub(super) fn own_netns() -> Result<u32, KernelError> {
    use std::os::unix::fs::MetadataExt;
    let path = Path::new("/proc/thread-self/ns/net");
    let metadata = fs::metadata(path).map_err(|cause| KernelError::File {
        path: path.to_owned(),
        cause,
    })?;
    Ok(u32::try_from(metadata.ino()).unwrap_or(0))
}
