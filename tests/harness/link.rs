//! Cables between places: veth pairs, addresses, routes, bridges.
//!
//! Does not remove anything: a device goes with its namespace. Addresses of IPv6 skip duplicate
//! detection, because a tentative address answers nobody for a second.

use std::process::Command;

use anyhow::Context;

use crate::netns::Namespace;

/// One end of a cable: where it is, what it is called there, and its addresses with prefix length.
pub struct End<'a> {
    pub place: &'a Namespace,
    pub device: &'a str,
    pub addresses: &'a [&'a str],
}

/// A veth pair with both ends up and addressed.
pub fn cable(near: &End, far: &End) -> anyhow::Result<()> {
    let handle = far.place.handle();
    let mut add = ip(near.place);
    add.args([
        "link",
        "add",
        near.device,
        "type",
        "veth",
        "peer",
        "name",
        far.device,
        "netns",
    ]);
    run(add.arg(handle))?;
    for end in [near, far] {
        for address in end.addresses {
            self::address(end.place, end.device, address)?;
        }
        run(ip(end.place).args(["link", "set", end.device, "up"]))?;
    }
    Ok(())
}

/// A host, and beside it one place on a cable of its own: `near` is the host's address on it, and
/// `far` are those of the place's `eth0`.
pub fn beside(name: &str, near: &str, far: &[&str]) -> anyhow::Result<(Namespace, Namespace)> {
    let (host, place) = (Namespace::new("host")?, Namespace::new(name)?);
    let near = End {
        place: &host,
        device: &format!("to-{name}"),
        addresses: &[near],
    };
    let far = End {
        place: &place,
        device: "eth0",
        addresses: far,
    };
    cable(&near, &far)?;
    Ok((host, place))
}

/// Cuts `device`, or mends it again.
pub fn set(place: &Namespace, device: &str, is_up: bool) -> anyhow::Result<()> {
    let state = if is_up { "up" } else { "down" };
    run(ip(place).args(["link", "set", device, state]))
}

/// Adds `address` (with prefix length) to `device`.
pub fn address(place: &Namespace, device: &str, address: &str) -> anyhow::Result<()> {
    let mut add = ip(place);
    add.args(["addr", "add", address, "dev", device]);
    if address.contains(':') {
        add.arg("nodad");
    }
    run(&mut add)
}

/// Adds a route, in the words of `ip route add`.
pub fn route(place: &Namespace, words: &[&str]) -> anyhow::Result<()> {
    run(ip(place).args(["route", "add"]).args(words))
}

/// A bridge over `ports`, up and addressed.
pub fn bridge(bridge: &End, ports: &[&str]) -> anyhow::Result<()> {
    run(ip(bridge.place).args(["link", "add", bridge.device, "type", "bridge"]))?;
    for port in ports {
        master(bridge.place, port, bridge.device)?;
    }
    for address in bridge.addresses {
        self::address(bridge.place, bridge.device, address)?;
    }
    run(ip(bridge.place).args(["link", "set", bridge.device, "up"]))
}

/// Makes `device` a port of `bridge`.
pub fn master(place: &Namespace, device: &str, bridge: &str) -> anyhow::Result<()> {
    run(ip(place).args(["link", "set", device, "master", bridge]))
}

fn ip(place: &Namespace) -> Command {
    place.command("ip")
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let done = command
        .output()
        .with_context(|| format!("run {command:?} (package iproute2)"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    anyhow::ensure!(done.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}
