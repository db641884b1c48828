//! What a gate left in the kernel of a place: its pins, and XDP programs.
//!
//! Does not ask the gate. Every link that outlives the process is pinned, one that is not goes
//! with it, so the pins tell of TCX and `sk_lookup`, which `ip` does not show.

use harness::netns::Namespace;

/// One line per pin and per interface with an XDP program, sorted.
pub(crate) fn left(host: &Namespace) -> Vec<String> {
    let mut left = said(host, "find", &["/sys/fs/bpf", "-path", "*gate*"]);
    let links = said(host, "ip", &["-oneline", "-details", "link"]);
    left.extend(links.into_iter().filter(|line| line.contains("prog/xdp")));
    left.sort();
    left
}

fn said(host: &Namespace, program: &str, arguments: &[&str]) -> Vec<String> {
    let output = host.command(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}
