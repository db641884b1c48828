//! What of a gate is in the kernel of a place: programs on its interfaces, and pins.
//!
//! Does not ask the gate. XDP is read from `ip`, TCX from the kernel, because `ip` does not show it.

use std::fs;

use aya::programs::SchedClassifier;
use aya::programs::tc::TcAttachType;
use harness::netns::Namespace;

/// One line per program on an interface, sorted.
pub(crate) fn programs(host: &Namespace) -> Vec<String> {
    let mut found = host.enter(tcx);
    let listing = host
        .command("ip")
        .args(["-oneline", "-details", "link"])
        .output()
        .unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    let xdp = listing.lines().filter(|line| line.contains("prog/xdp"));
    found.extend(xdp.map(|line| format!("xdp: {}", line.split(':').nth(1).unwrap_or(line))));
    found.sort();
    found
}

/// The paths of everything the gate pinned, sorted.
pub(crate) fn pins(host: &Namespace) -> Vec<String> {
    let found = host
        .command("find")
        .args(["/sys/fs/bpf", "-path", "*gate*"])
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let mut paths: Vec<_> = found.lines().map(str::to_owned).collect();
    paths.sort();
    paths
}

fn tcx() -> Vec<String> {
    let mut found = Vec::new();
    for device in fs::read_dir("/sys/class/net").unwrap() {
        let device = device.unwrap().file_name().into_string().unwrap();
        let (_, programs) = SchedClassifier::query_tcx(&device, TcAttachType::Ingress).unwrap();
        let names = programs
            .iter()
            .map(|program| program.name_as_str().unwrap_or("?").to_owned());
        found.extend(names.map(|name| format!("{device}: {name}")));
    }
    found
}
