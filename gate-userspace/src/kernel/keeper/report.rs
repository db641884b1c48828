//! Puts the status together: what stands, what it counted, what it lacks.

use std::collections::BTreeMap;

use gate_common::event::{LOST, Lane};
use gate_common::layout::{BIND_MAX, CIDR_MAX, EXACT4_MAX, EXACT6_MAX};
use gate_common::name;
use gate_common::reason::Reason;

use super::super::attach::real_mode;
use super::super::fault::KernelError;
use super::super::interfaces::{self, Choice, choose};
use super::super::status::{Fill, InterfaceStatus, Judged, Spoof, State, Status};
use super::Keeper;

/// Where packets are counted, by which program, and whether its verdict was carried out.
const LANES: [(Lane, &str, bool); 6] = [
    (Lane::Xdp, "xdp", true),
    (Lane::Tc, "tc", true),
    (Lane::Lookup, "sk_lookup", true),
    (Lane::AuditXdp, "xdp", false),
    (Lane::AuditTc, "tc", false),
    (Lane::AuditLookup, "sk_lookup", false),
];

impl Keeper {
    pub(in super::super) fn status(&self) -> Result<Status, KernelError> {
        let interfaces = self.interface_status()?;
        let uncovered: Vec<String> = interfaces
            .iter()
            .filter(|interface| !interface.covered)
            .map(|interface| interface.name.clone())
            .collect();
        let reason = (!uncovered.is_empty())
            .then(|| format!("the socket lookup alone guards {}", uncovered.join(", ")));
        let judged = self.judged()?;
        let mut uncovered_refusals = 0;
        for reason in Reason::ALL {
            if !reason.passes() && reason != Reason::Closed {
                uncovered_refusals += self.tables.stat(Lane::Lookup.slot(reason as u32))?;
            }
        }
        let mut events_lost = 0;
        for lane in Lane::ALL {
            events_lost += self.tables.stat(lane.slot(LOST))?;
        }
        let waiting = self
            .waiting
            .then(|| "another layout's links guard until the first sync".to_owned());
        Ok(Status {
            state: if reason.is_none() {
                State::Guarding
            } else {
                State::Degraded
            },
            reason,
            mode: self.setup.mode,
            revision: self.revision,
            interfaces,
            guards: self.setup.ports.clone(),
            counters: by_reason(&judged, true),
            would_drop: by_reason(&judged, false),
            judged,
            uncovered_refusals,
            events_lost,
            denied: Vec::new(),
            homes: self.sources.homes(),
            spoofs: self.spoofs()?,
            tables: self.fill()?,
            drift: self.last_audit.total(),
            repairs: self.repairs,
            uncovered,
            warnings: self.warnings.values().cloned().chain(waiting).collect(),
        })
    }

    pub(super) fn interface_status(&self) -> Result<Vec<InterfaceStatus>, KernelError> {
        let present = interfaces::list()?;
        let mut all = Vec::new();
        for interface in &present {
            let choice = choose(interface, &self.setup.interfaces, &present);
            let status = |covered: bool, reason: &str| InterfaceStatus {
                name: interface.name.clone(),
                index: interface.index,
                hook: None,
                mode: None,
                covered,
                reason: reason.to_owned(),
            };
            all.push(match (self.held.get(&interface.index), choice) {
                (Some(held), _) => InterfaceStatus {
                    hook: Some(held.attached.hook),
                    mode: Some(real_mode(interface, held.attached.hook).to_owned()),
                    ..status(true, &held.attached.reason)
                },
                (None, Choice::Covered { reason }) => status(true, reason),
                (None, Choice::Skipped) => status(false, "left out by configuration"),
                (None, Choice::Attach { .. }) => status(false, "no hook held"),
            });
        }
        Ok(all)
    }

    fn judged(&self) -> Result<Vec<Judged>, KernelError> {
        let mut all = Vec::new();
        for (lane, hook, is_carried_out) in LANES {
            for reason in Reason::ALL {
                all.push(Judged {
                    hook: hook.to_owned(),
                    reason: reason.name().to_owned(),
                    is_carried_out,
                    packets: self.tables.stat(lane.slot(reason as u32))?,
                });
            }
        }
        Ok(all)
    }

    fn spoofs(&self) -> Result<Vec<Spoof>, KernelError> {
        let interface = |index: u32| {
            self.names
                .get(&index)
                .cloned()
                .unwrap_or_else(|| format!("#{index}"))
        };
        let spoofs = self.tables.spoofs()?.into_iter();
        let mut spoofs: Vec<Spoof> = spoofs
            .map(|(key, packets)| Spoof {
                interface: interface(key.ifindex),
                victim: key.tag,
                packets,
            })
            .collect();
        spoofs.sort_by(|a, b| {
            b.packets
                .cmp(&a.packets)
                .then(a.interface.cmp(&b.interface))
        });
        Ok(spoofs)
    }

    fn fill(&self) -> Result<Vec<Fill>, KernelError> {
        let filled = self.sources.fill();
        let fill = |table: &str, entries, room| Fill {
            table: table.to_owned(),
            entries,
            room,
        };
        Ok(vec![
            fill(name::EXACT4, filled[0], EXACT4_MAX),
            fill(name::EXACT6, filled[1], EXACT6_MAX),
            fill(name::CIDR4, filled[2], CIDR_MAX),
            fill(name::CIDR6, filled[3], CIDR_MAX),
            fill(name::BIND, self.tables.binds()?.len(), BIND_MAX),
        ])
    }
}

/// All programs together.
fn by_reason(judged: &[Judged], is_carried_out: bool) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for one in judged
        .iter()
        .filter(|one| one.is_carried_out == is_carried_out)
    {
        *counters.entry(one.reason.clone()).or_default() += one.packets;
    }
    counters
}
