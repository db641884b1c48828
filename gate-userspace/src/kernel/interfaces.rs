//! Which interfaces there are, and by which hook each is guarded.
//!
//! Pure choice over a netlink dump; nothing is attached here. `lo` is never chosen: arriving on
//! it is what makes traffic local.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage, LinkXdp,
};

use gate_common::event::LOOPBACK_IFINDEX;

use super::fault::KernelError;
use super::message::{Hook, Interfaces};
use super::netlink;

/// One interface, as far as the choice of its hook asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Frames on it start with an Ethernet header.
    pub(super) ethernet: bool,
    /// The bridge (or other master) it is a port of.
    pub(super) master: Option<u32>,
    /// Attached XDP program, whoever's.
    pub(super) xdp: Option<u32>,
    /// That program runs in the driver.
    pub(super) xdp_native: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No driver kind: hardware, or what stands for it in a virtual machine.
    Uplink,
    /// A veth or a tap: one sandbox behind it.
    Sandbox,
    Bridge,
    /// Every other virtual device.
    Virtual,
}

impl Interface {
    /// A link to a single sandbox: not a bridge that many share, nor a `tun` without Ethernet, which
    /// a VPN makes for many.
    pub(super) fn carries_one_sandbox(&self) -> bool {
        self.kind == Kind::Sandbox && self.ethernet && self.master.is_none()
    }
}

/// What to do with an interface, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Try these in turn.
    Attach {
        ladder: &'static [Hook],
        reason: &'static str,
    },
    /// Another layer sees its packets.
    Covered { reason: &'static str },
    /// The operator left it out.
    Skipped,
}

pub(super) fn list() -> Result<Vec<Interface>, KernelError> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let mut found = Vec::new();
    for answer in netlink::dump("interfaces", request)? {
        if let RouteNetlinkMessage::NewLink(link) = answer
            && link.header.index != LOOPBACK_IFINDEX
        {
            found.push(describe(link));
        }
    }
    Ok(found)
}

fn describe(link: LinkMessage) -> Interface {
    let mut interface = Interface {
        index: link.header.index,
        name: String::new(),
        kind: Kind::Uplink,
        ethernet: link.header.link_layer_type == LinkLayerType::Ether,
        master: None,
        xdp: None,
        xdp_native: false,
    };
    for attribute in link.attributes {
        if let LinkAttribute::IfName(name) = attribute {
            interface.name = name;
        } else if let LinkAttribute::Controller(index) = attribute {
            interface.master = Some(index);
        } else if let LinkAttribute::LinkInfo(infos) = attribute {
            for info in infos {
                if let LinkInfo::Kind(kind) = info {
                    interface.kind = sort(&kind);
                }
            }
        } else if let LinkAttribute::Xdp(attributes) = attribute {
            for attribute in attributes {
                if let LinkXdp::ProgId(id) = attribute {
                    interface.xdp = Some(id);
                } else if let LinkXdp::DrvProgId(_) = attribute {
                    interface.xdp_native = true;
                }
            }
        }
    }
    interface
}

fn sort(kind: &InfoKind) -> Kind {
    if matches!(kind, InfoKind::Veth | InfoKind::Tun | InfoKind::Netkit) {
        Kind::Sandbox
    } else if matches!(kind, InfoKind::Bridge) {
        Kind::Bridge
    } else {
        // A kind this build never heard of is virtual all the same: hardware has none.
        Kind::Virtual
    }
}

const SANDBOX: &[Hook] = &[Hook::Tcx, Hook::Clsact, Hook::Generic];
const UPLINK: &[Hook] = &[Hook::Xdp, Hook::Tcx, Hook::Clsact, Hook::Generic];

/// By the operator's list, else by what costs least where.
pub(super) fn choose(interface: &Interface, wanted: &Interfaces, all: &[Interface]) -> Choice {
    let Some(hook) = asked_for(interface, wanted) else {
        return Choice::Skipped;
    };
    if !interface.ethernet {
        return Choice::Covered {
            reason: "no Ethernet frames: the socket lookup alone",
        };
    }
    match hook {
        Some(Hook::Tcx) => Choice::Attach {
            ladder: &[Hook::Tcx],
            reason: "chosen",
        },
        Some(Hook::Clsact) => Choice::Attach {
            ladder: &[Hook::Clsact],
            reason: "chosen",
        },
        Some(Hook::Xdp) => Choice::Attach {
            ladder: &[Hook::Xdp],
            reason: "chosen",
        },
        Some(Hook::Generic) => Choice::Attach {
            ladder: &[Hook::Generic],
            reason: "chosen",
        },
        None if interface.kind == Kind::Bridge && ports_are_guarded(interface, wanted, all) => {
            Choice::Covered {
                reason: "its ports are guarded one by one",
            }
        }
        None if interface.kind == Kind::Bridge => Choice::Attach {
            ladder: SANDBOX,
            reason: "bridge with ports that are left out",
        },
        None if is_bridge_port(interface, all) => Choice::Attach {
            ladder: SANDBOX,
            reason: "bridge port",
        },
        None => match interface.kind {
            Kind::Sandbox => Choice::Attach {
                ladder: SANDBOX,
                reason: "sandbox link: native XDP would halve its bulk throughput",
            },
            Kind::Uplink => Choice::Attach {
                ladder: UPLINK,
                reason: "uplink",
            },
            Kind::Virtual | Kind::Bridge => Choice::Attach {
                ladder: SANDBOX,
                reason: "virtual device",
            },
        },
    }
}

/// The hook that the operator named for it, if any; `None`: it is left out.
#[expect(
    clippy::option_option,
    reason = "left out is not the same as left to us"
)]
fn asked_for(interface: &Interface, wanted: &Interfaces) -> Option<Option<Hook>> {
    match wanted {
        Interfaces::None => None,
        Interfaces::Auto => Some(None),
        Interfaces::List(rules) => rules
            .iter()
            .find(|rule| matches(&rule.pattern, &interface.name))
            .map(|rule| rule.hook),
    }
}

fn ports_are_guarded(bridge: &Interface, wanted: &Interfaces, all: &[Interface]) -> bool {
    all.iter()
        .filter(|port| port.master == Some(bridge.index))
        .all(|port| port.ethernet && asked_for(port, wanted).is_some())
}

fn is_bridge_port(interface: &Interface, all: &[Interface]) -> bool {
    interface.master.is_some_and(|master| {
        all.iter()
            .any(|other| other.index == master && other.kind == Kind::Bridge)
    })
}

/// A name, or the start of one and `*`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::InterfaceRule;
    use super::*;

    fn interface(kind: Kind) -> Interface {
        Interface {
            index: 7,
            name: "veth7".into(),
            kind,
            ethernet: true,
            master: None,
            xdp: None,
            xdp_native: false,
        }
    }

    fn first(choice: &Choice) -> Option<Hook> {
        match choice {
            Choice::Attach { ladder, .. } => ladder.first().copied(),
            Choice::Covered { .. } | Choice::Skipped => None,
        }
    }

    #[test]
    fn the_hook_follows_the_kind_of_interface() {
        let bridge = Interface {
            index: 3,
            ..interface(Kind::Bridge)
        };
        let port = Interface {
            master: Some(3),
            ..interface(Kind::Uplink)
        };
        let tunnel = Interface {
            ethernet: false,
            ..interface(Kind::Virtual)
        };
        let all = [bridge.clone(), port.clone()];
        for (given, hook) in [
            (interface(Kind::Sandbox), Some(Hook::Tcx)),
            (interface(Kind::Uplink), Some(Hook::Xdp)),
            (interface(Kind::Virtual), Some(Hook::Tcx)),
            (port, Some(Hook::Tcx)),
            (bridge, None),
            (tunnel, None),
        ] {
            let choice = choose(&given, &Interfaces::Auto, &all);
            assert_eq!(first(&choice), hook, "{given:?}");
            assert_ne!(choice, Choice::Skipped, "{given:?}");
        }
    }

    #[test]
    fn a_bridge_is_covered_only_by_guarded_ports() {
        let bridge = Interface {
            index: 3,
            name: "br0".into(),
            ..interface(Kind::Bridge)
        };
        let port = Interface {
            master: Some(3),
            ..interface(Kind::Sandbox)
        };
        let other = Interface {
            index: 8,
            name: "tap8".into(),
            ..port.clone()
        };
        let all = [bridge.clone(), port, other];
        let list = |patterns: &[&str]| {
            let rule = |pattern: &&str| InterfaceRule {
                pattern: (*pattern).into(),
                hook: None,
            };
            Interfaces::List(patterns.iter().map(rule).collect())
        };
        for (wanted, hook) in [
            (list(&["br0"]), Some(Hook::Tcx)),
            (list(&["br0", "veth7"]), Some(Hook::Tcx)),
            (list(&["br0", "veth*", "tap*"]), None),
            (Interfaces::Auto, None),
        ] {
            let choice = choose(&bridge, &wanted, &all);
            assert_eq!(first(&choice), hook, "{wanted:?}");
            assert_ne!(choice, Choice::Skipped, "{wanted:?}");
        }
    }

    #[test]
    fn a_list_leaves_the_rest_out_and_its_hook_wins() {
        let rule = |pattern: &str, hook| InterfaceRule {
            pattern: pattern.into(),
            hook,
        };
        let given = interface(Kind::Sandbox);
        for (rules, hook) in [
            (vec![rule("eth0", None)], None),
            (vec![rule("veth*", None)], Some(Hook::Tcx)),
            (
                vec![rule("veth*", Some(Hook::Generic))],
                Some(Hook::Generic),
            ),
            (
                vec![rule("veth7", Some(Hook::Xdp)), rule("veth*", None)],
                Some(Hook::Xdp),
            ),
        ] {
            let choice = choose(&given, &Interfaces::List(rules.clone()), &[]);
            assert_eq!(first(&choice), hook, "{rules:?}");
        }
    }
}
