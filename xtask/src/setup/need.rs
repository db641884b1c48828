//! The table of what gate's commands need that cargo does not bring.
//!
//! Says what, why and for which commands. How each is recognised is in `facts.rs`, how it is
//! installed in `plan.rs`.

use Purpose::{Bench, Build, Check, Fuzz, Test};
use clap::ValueEnum;

/// What the machine is to be fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// Build gated and gatectl
    Build,
    /// Check the sources: fmt, clippy, rustdoc
    Check,
    /// Run the whole test suite
    Test,
    /// Measure
    Bench,
    /// Fuzz what reads the bytes of strangers
    Fuzz,
    /// All of it
    All,
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) id: Id,
    pub(crate) what: &'static str,
    pub(crate) why: &'static str,
    purposes: &'static [Purpose],
    /// The commands do without it, only less well.
    pub(crate) optional: bool,
}

/// In the order of installation: a later one may need an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    Cc,
    Rustup,
    Rustfmt,
    Clippy,
    BpfToolchain,
    BpfClippy,
    BpfLinker,
    Ip,
    Namespaces,
    Python,
    Postgres,
    XdpTools,
    Nftables,
    Curl,
    H2load,
    SystemdAnalyze,
    Promtool,
    Podman,
    Nginx,
    Haproxy,
    Wrk,
    Nextest,
    CargoFuzz,
}

impl Need {
    pub(crate) fn serves(&self, purpose: Purpose) -> bool {
        purpose == Purpose::All || self.purposes.contains(&purpose)
    }
}

pub(crate) const NEEDS: &[Need] = &[
    need(
        Id::Cc,
        "C compiler",
        "SQLite is compiled into gated",
        &[Build, Check, Test, Bench, Fuzz],
    ),
    need(
        Id::Rustup,
        "rustup",
        "the kernel program is built by a second Rust toolchain, which rustup selects",
        &[Build, Check, Test, Bench, Fuzz],
    ),
    need(
        Id::Rustfmt,
        "rustfmt",
        "the sources are checked for their format",
        &[Check, Test],
    ),
    need(
        Id::Clippy,
        "clippy",
        "the sources are checked for the house rules",
        &[Check, Test],
    ),
    need(
        Id::BpfToolchain,
        "kernel toolchain",
        "the kernel program needs `core` built for the bpf target, so a toolchain that has core's source",
        &[Build, Check, Test, Bench, Fuzz],
    ),
    need(
        Id::BpfClippy,
        "kernel clippy",
        "the kernel program is linted on its own target",
        &[Check],
    ),
    need(
        Id::BpfLinker,
        "bpf-linker",
        "the kernel program is linked by it, with the LLVM of the kernel toolchain",
        &[Build, Check, Test, Bench],
    ),
    need(
        Id::Ip,
        "ip",
        "tests build network namespaces and links with it",
        &[Test, Bench],
    ),
    need(
        Id::Namespaces,
        "nsenter, unshare",
        "tests run programs inside network namespaces of their own",
        &[Test, Bench],
    ),
    need(
        Id::Python,
        "python3 with venv",
        "a test drives gate with the real Python clients, kept under target/",
        &[Test],
    ),
    need(
        Id::Postgres,
        "postgres",
        "the store's tests start a throw-away server of their own",
        &[Test, Bench],
    ),
    need(
        Id::XdpTools,
        "xdp-filter",
        "figures of the packet ring stand beside its own",
        &[Bench],
    ),
    need(
        Id::Nftables,
        "nft",
        "figures of the packet ring stand beside its own",
        &[Bench],
    ),
    need(
        Id::Curl,
        "curl",
        "a test calls gate with it, over TLS and HTTP/2",
        &[Test],
    ),
    need(
        Id::H2load,
        "h2load",
        "a test makes many calls at once over HTTP/2 with it",
        &[Test],
    ),
    need(
        Id::SystemdAnalyze,
        "systemd-analyze",
        "a test reads the units with it; systemd itself need not run",
        &[Test],
    ),
    need(
        Id::Promtool,
        "promtool",
        "a test reads the alert rules and a scrape with it; the server that comes along need not run",
        &[Test],
    ),
    need(
        Id::Podman,
        "podman, runc",
        "tests build the container image and run the compose file with it",
        &[Test],
    ),
    need(
        Id::Nginx,
        "nginx",
        "gate is measured beside it, and in front of it",
        &[Bench],
    ),
    need(
        Id::Haproxy,
        "haproxy",
        "gate is measured beside it",
        &[Bench],
    ),
    need(
        Id::Wrk,
        "wrk",
        "makes the calls that are measured",
        &[Bench],
    ),
    Need {
        id: Id::Nextest,
        what: "cargo-nextest",
        why: "runs the tests in parallel processes; without it `cargo test` runs them",
        purposes: &[Test],
        optional: true,
    },
    need(
        Id::CargoFuzz,
        "cargo-fuzz",
        "builds and runs the fuzz targets; their promises are also a plain test",
        &[Fuzz],
    ),
];

const fn need(id: Id, what: &'static str, why: &'static str, purposes: &'static [Purpose]) -> Need {
    Need {
        id,
        what,
        why,
        purposes,
        optional: false,
    }
}
