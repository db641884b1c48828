//! Decides, from the facts, what is missing and what would bring it.
//!
//! A pure function: it asks nothing and runs nothing, so every kind of machine can be tested on
//! any machine.

use super::{
    facts::{DISTRIBUTION_TOOLCHAIN, Facts, Linker, Toolchain},
    need::{Id, NEEDS, Need, Purpose},
    step::Step,
};
use crate::{child::Child, surroundings};

/// The LLVM majors that the pinned bpf-linker can be built against.
const LINKER_LLVM: &[u32] = &[21, 22, 23];
const LINKER_VERSION: &str = "0.13.0";
const NEXTEST_VERSION: &str = "0.9.143";
const FUZZ_VERSION: &str = "0.13.2";

/// netavark makes the networks of a compose file, by way of iptables.
const CONTAINERS: &[&str] = &["podman", "runc", "netavark", "iptables"];

/// A need and how it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) need: &'static Need,
    pub(crate) state: State,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There, with what was found.
    Present(String),
    /// Not there, and these steps bring it.
    Missing(Vec<Step>),
    /// Not there, and the steps are known only when an earlier need is met.
    Waiting,
    /// Not there, and the user has to act.
    Unserved(String),
}

impl Item {
    pub(crate) fn is_missing(&self) -> bool {
        !matches!(self.state, State::Present(_))
    }
}

/// Every need of the purpose, in the order of installation.
pub(crate) fn plan(facts: &Facts, purpose: Purpose) -> Vec<Item> {
    let needs = NEEDS.iter().filter(|need| need.serves(purpose));
    needs
        .map(|need| Item {
            need,
            state: state(facts, need.id),
        })
        .collect()
}

fn state(facts: &Facts, id: Id) -> State {
    match id {
        Id::Cc => tool(facts.has(Id::Cc), &["gcc", "libc6-dev"]),
        Id::Rustup if facts.has(Id::Rustup) => present("found"),
        Id::Rustup => State::Unserved(
            "install rustup from your distribution or from https://rustup.rs, then a stable \
             toolchain: `rustup toolchain install stable`"
                .to_owned(),
        ),
        Id::Rustfmt => component(facts.has(Id::Rustfmt), "rustfmt"),
        Id::Clippy => component(facts.has(Id::Clippy), "clippy"),
        Id::BpfToolchain => bpf_toolchain(facts),
        Id::BpfClippy => bpf_clippy(facts),
        Id::BpfLinker => bpf_linker(facts),
        Id::Ip => tool(facts.has(Id::Ip), &["iproute2"]),
        Id::Namespaces => tool(facts.has(Id::Namespaces), &["util-linux"]),
        Id::Python => tool(facts.has(Id::Python), &["python3", "python3-venv"]),
        Id::Curl => tool(facts.has(Id::Curl), &["curl"]),
        Id::H2load => tool(facts.has(Id::H2load), &["nghttp2-client"]),
        Id::SystemdAnalyze => tool(facts.has(Id::SystemdAnalyze), &["systemd"]),
        Id::Promtool => tool(facts.has(Id::Promtool), &["prometheus"]),
        Id::Podman => tool(facts.has(Id::Podman), CONTAINERS),
        Id::Nginx => tool(facts.has(Id::Nginx), &["nginx"]),
        Id::Haproxy => tool(facts.has(Id::Haproxy), &["haproxy"]),
        Id::Wrk => tool(facts.has(Id::Wrk), &["wrk"]),
        Id::Postgres => tool(facts.has(Id::Postgres), &["postgresql"]),
        Id::XdpTools => tool(facts.has(Id::XdpTools), &["xdp-tools"]),
        Id::Nftables => tool(facts.has(Id::Nftables), &["nftables"]),
        Id::Nextest if facts.has(Id::Nextest) => present("found"),
        Id::Nextest => State::Missing(vec![Step::Run(
            Child::new(["cargo", "install", "--locked", "cargo-nextest", "--version"])
                .arg(NEXTEST_VERSION),
        )]),
        Id::CargoFuzz if facts.has(Id::CargoFuzz) => present("found"),
        Id::CargoFuzz => State::Missing(vec![Step::Run(
            Child::new(["cargo", "install", "--locked", "cargo-fuzz", "--version"])
                .arg(FUZZ_VERSION),
        )]),
    }
}

fn bpf_toolchain(facts: &Facts) -> State {
    if let Some((name, llvm)) = facts.bpf_toolchain() {
        return State::Present(format!("{name}, LLVM {llvm}"));
    }
    if !facts.has(Id::Rustup) {
        return State::Waiting;
    }
    if let Some((name, _)) = &facts.chosen {
        return State::Unserved(format!(
            "GATE_BPF_TOOLCHAIN names `{name}`, which is not there or has no source of core: \
             `rustup toolchain install {name} --component rust-src`"
        ));
    }
    if facts.rustup_refused {
        return State::Missing(vec![
            Step::Apt(&["rustc-web", "rust-web-src", "cargo-web"]),
            Step::Run(Child::new([
                "rustup",
                "toolchain",
                "link",
                DISTRIBUTION_TOOLCHAIN,
                "/usr",
            ])),
        ]);
    }
    let nightly = surroundings::DEFAULT_BPF_TOOLCHAIN;
    let rustup = match facts.nightly {
        Toolchain::Absent => Child::new(["rustup", "toolchain", "install", nightly]).args([
            "--profile",
            "minimal",
            "--component",
            "rust-src",
        ]),
        Toolchain::NoSource { .. } | Toolchain::Ready { .. } => Child::new([
            "rustup",
            "component",
            "add",
            "rust-src",
            "--toolchain",
            nightly,
        ]),
    };
    State::Missing(vec![Step::Run(rustup)])
}

fn bpf_clippy(facts: &Facts) -> State {
    match facts.bpf_toolchain() {
        None => State::Waiting,
        Some((name, _)) if facts.has(Id::BpfClippy) => present(name),
        Some((DISTRIBUTION_TOOLCHAIN, _)) => {
            // Debian's web toolchain has no clippy; `check` compiles the program and says so.
            present("none in the distribution's toolchain; the program is only compiled")
        }
        Some((name, _)) => component_of(name, "clippy"),
    }
}

fn bpf_linker(facts: &Facts) -> State {
    let Some((toolchain, llvm)) = facts.bpf_toolchain() else {
        return State::Waiting;
    };
    if facts.linker == Linker::Works {
        return State::Present(format!("links with LLVM {llvm}"));
    }
    if !LINKER_LLVM.contains(&llvm) {
        return State::Unserved(format!(
            "toolchain `{toolchain}` has LLVM {llvm}, and bpf-linker {LINKER_VERSION} knows {LINKER_LLVM:?}: \
             install another nightly and name it in GATE_BPF_TOOLCHAIN"
        ));
    }
    let install = Child::new([
        "cargo",
        "install",
        "bpf-linker",
        "--version",
        LINKER_VERSION,
    ])
    .args(["--locked", "--force", "--no-default-features", "--features"])
    .arg(format!("llvm-{llvm}"))
    .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
    State::Missing(vec![Step::AptLlvm(llvm), Step::Run(install)])
}

fn tool(found: bool, packages: &'static [&'static str]) -> State {
    if found {
        present("found")
    } else {
        State::Missing(vec![Step::Apt(packages)])
    }
}

fn component(found: bool, name: &str) -> State {
    if found {
        return present("found");
    }
    State::Missing(vec![Step::Run(Child::new([
        "rustup",
        "component",
        "add",
        name,
    ]))])
}

fn component_of(toolchain: &str, name: &str) -> State {
    let add = Child::new(["rustup", "component", "add", name, "--toolchain", toolchain]);
    State::Missing(vec![Step::Run(add)])
}

fn present(detail: &str) -> State {
    State::Present(detail.to_owned())
}

#[cfg(test)]
mod tests;
