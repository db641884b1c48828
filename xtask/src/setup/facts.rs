//! What this machine has, asked anew each time.
//!
//! Nothing is remembered between runs: a cached answer would go stale the day somebody removes a
//! package, and all the questions together take well under a second. They install nothing.

use std::{collections::BTreeSet, fs, path::PathBuf};

use super::{need::Id, off_path};
use crate::{child::Child, surroundings};

/// The toolchain made of the distribution's Rust, where rustup cannot add a component.
pub(crate) const DISTRIBUTION_TOOLCHAIN: &str = "gate-bpf";

#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) apt: bool,
    pub(crate) privilege: Privilege,
    /// `GATE_BPF_TOOLCHAIN`, which overrides the choice between the next two.
    pub(crate) chosen: Option<(String, Toolchain)>,
    pub(crate) nightly: Toolchain,
    pub(crate) distribution: Toolchain,
    /// rustup was asked for the nightly's source in this run, and could not get it.
    pub(crate) rustup_refused: bool,
    pub(crate) linker: Linker,
    /// The needs that are there or not, with nothing more to say about them.
    pub(crate) found: BTreeSet<Id>,
}

/// How packages can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    Root,
    /// Through a `sudo` that asks for no password.
    Sudo,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    Absent,
    /// Installed, but without the source of `core`.
    NoSource {
        llvm: u32,
    },
    Ready {
        llvm: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Linker {
    Absent,
    /// On the path, but it cannot read what the kernel toolchain writes.
    Broken(String),
    /// On the path; whether it fits is unknown until there is a kernel toolchain.
    Untried,
    Works,
}

impl Facts {
    pub(crate) fn gather() -> Self {
        let found = found();
        let toolchain = |name: &str| {
            if found.contains(&Id::Rustup) {
                toolchain(name)
            } else {
                Toolchain::Absent
            }
        };
        let mut facts = Self {
            apt: surroundings::find_program("apt-get").is_some(),
            privilege: privilege(),
            chosen: surroundings::chosen_bpf_toolchain().map(|name| {
                let found = toolchain(&name);
                (name, found)
            }),
            nightly: toolchain(surroundings::DEFAULT_BPF_TOOLCHAIN),
            distribution: Toolchain::Absent,
            rustup_refused: false,
            linker: Linker::Absent,
            found: found.clone(),
        };
        if !matches!(facts.nightly, Toolchain::Ready { .. }) {
            facts.distribution = toolchain(DISTRIBUTION_TOOLCHAIN);
        }
        let bpf = facts.bpf_toolchain().map(|(name, _)| name.to_owned());
        facts.linker = linker(bpf.as_deref());
        if bpf.is_some_and(|name| in_sysroot(Some(&name), "cargo-clippy")) {
            facts.found.insert(Id::BpfClippy);
        }
        facts
    }

    pub(crate) fn has(&self, id: Id) -> bool {
        self.found.contains(&id)
    }

    /// The toolchain that will build the kernel program, and its LLVM's major version.
    pub(crate) fn bpf_toolchain(&self) -> Option<(&str, u32)> {
        let candidates = match &self.chosen {
            Some((name, found)) => vec![(name.as_str(), *found)],
            None => vec![
                (surroundings::DEFAULT_BPF_TOOLCHAIN, self.nightly),
                (DISTRIBUTION_TOOLCHAIN, self.distribution),
            ],
        };
        candidates
            .into_iter()
            .find_map(|(name, found)| match found {
                Toolchain::Ready { llvm } => Some((name, llvm)),
                Toolchain::Absent | Toolchain::NoSource { .. } => None,
            })
    }
}

fn found() -> BTreeSet<Id> {
    let on_path = |name: &str| surroundings::find_program(name).is_some();
    let python = Child::new(["python3", "-c", "import venv, ensurepip"]);
    [
        (Id::Cc, on_path("cc")),
        (Id::Rustup, on_path("rustup")),
        (Id::Rustfmt, in_sysroot(None, "cargo-fmt")),
        (Id::Clippy, in_sysroot(None, "cargo-clippy")),
        (Id::Ip, on_path("ip")),
        (Id::Curl, on_path("curl")),
        (Id::H2load, on_path("h2load")),
        (Id::SystemdAnalyze, on_path("systemd-analyze")),
        (Id::Promtool, on_path("promtool")),
        (Id::Podman, off_path::podman(on_path)),
        (Id::Nginx, on_path("nginx")),
        (Id::Haproxy, on_path("haproxy")),
        (Id::Wrk, on_path("wrk")),
        (Id::Namespaces, on_path("nsenter") && on_path("unshare")),
        (Id::Python, python.probe().is_ok()),
        (Id::Postgres, on_path("postgres") || off_path::postgres()),
        (Id::XdpTools, on_path("xdp-filter")),
        (Id::Nftables, on_path("nft")),
        (Id::Nextest, on_path("cargo-nextest")),
        (Id::CargoFuzz, on_path("cargo-fuzz")),
    ]
    .into_iter()
    .filter_map(|(id, is_there)| is_there.then_some(id))
    .collect()
}

fn privilege() -> Privilege {
    if surroundings::is_root() {
        Privilege::Root
    } else if Child::new(["sudo", "--non-interactive", "true"])
        .probe()
        .is_ok()
    {
        Privilege::Sudo
    } else {
        Privilege::None
    }
}

fn toolchain(name: &str) -> Toolchain {
    let Some(sysroot) = rustc(Some(name), "--print=sysroot") else {
        return Toolchain::Absent;
    };
    let Some(llvm) = rustc(Some(name), "-vV").as_deref().and_then(llvm_major) else {
        return Toolchain::Absent;
    };
    let core = PathBuf::from(sysroot).join("lib/rustlib/src/rust/library/core/Cargo.toml");
    if core.is_file() {
        Toolchain::Ready { llvm }
    } else {
        Toolchain::NoSource { llvm }
    }
}

fn in_sysroot(toolchain: Option<&str>, program: &str) -> bool {
    rustc(toolchain, "--print=sysroot")
        .is_some_and(|sysroot| PathBuf::from(sysroot).join("bin").join(program).is_file())
}

fn rustc(toolchain: Option<&str>, question: &str) -> Option<String> {
    let toolchain = toolchain.map(|name| format!("+{name}"));
    Child::new(["rustc"]).args(toolchain).arg(question).read()
}

fn llvm_major(version: &str) -> Option<u32> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

/// Links one empty function. A linker of another LLVM is on the path of many machines and fails
/// only here, so its mere presence says little.
fn linker(toolchain: Option<&str>) -> Linker {
    if surroundings::find_program("bpf-linker").is_none() {
        return Linker::Absent;
    }
    let Some(toolchain) = toolchain else {
        return Linker::Untried;
    };
    let folder = surroundings::target().join("xtask/linker");
    let (source, object) = (folder.join("probe.rs"), folder.join("probe.o"));
    if let Err(error) = fs::create_dir_all(&folder).and_then(|()| fs::write(&source, PROBE)) {
        return Linker::Broken(format!("cannot be tried: {error}"));
    }
    let tried = Child::new(["rustc".to_owned(), format!("+{toolchain}")])
        .args([
            "--crate-type=cdylib",
            "--target=bpfel-unknown-none",
            "-Cpanic=abort",
        ])
        .args(["-Clinker=bpf-linker", "-Awarnings", "-o"])
        .arg(object.display().to_string())
        .arg(source.display().to_string())
        .env("RUSTC_BOOTSTRAP", "1")
        .probe();
    match tried {
        Err(complaint) if complaint.contains("linking with") => {
            let last = complaint
                .lines()
                .rev()
                .find(|line| line.contains("ERROR") || line.contains("error"));
            Linker::Broken(last.unwrap_or("it cannot link").trim().to_owned())
        }
        // A compiler that refuses the probe itself says nothing about the linker.
        Ok(()) | Err(_) => Linker::Works,
    }
}

/// The least that reaches the linker without a built `core`.
const PROBE: &str = r#"#![feature(no_core, lang_items)]
#![no_core]
#[lang = "pointee_sized"] trait PointeeSized {}
#[lang = "meta_sized"] trait MetaSized: PointeeSized {}
#[lang = "sized"] trait Sized: MetaSized {}
#[unsafe(no_mangle)] extern "C" fn probe() {}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_major_is_read_from_the_verbose_version() {
        let version = "rustc 1.97.0-nightly\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.4";
        assert_eq!(llvm_major(version), Some(22));
        assert_eq!(llvm_major("rustc 1.97.0"), None);
    }
}
