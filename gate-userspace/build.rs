//! Builds the kernel object and puts it where `kernel/object.rs` embeds it.
//!
//! The same command gives the same program on every machine: there is no "build it if the tools
//! happen to be here". `GATE_EBPF=stub` says so explicitly and writes an empty object, for `check`
//! and `clippy` on a machine without the kernel toolchain.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain, build_ebpf};

/// Name of the object in `OUT_DIR`, which is the name of `gate-ebpf`'s binary.
const OBJECT: &str = "gate";

fn main() {
    if let Err(fault) = build() {
        // One line; what the tools said stands above it as warnings.
        println!("cargo::error={fault}");
    }
}

fn build() -> Result<()> {
    println!("cargo:rerun-if-env-changed=GATE_EBPF");
    println!("cargo:rerun-if-env-changed=GATE_BPF_TOOLCHAIN");
    println!("cargo:rerun-if-env-changed=RUSTC_BOOTSTRAP");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    let stub = env::var_os("GATE_EBPF").unwrap_or_default();
    match stub.to_str() {
        Some("stub") => {
            fs::write(out.join(OBJECT), []).context("write the stub object")?;
            return Ok(());
        }
        Some("") => {}
        Some(_) | None => bail!("GATE_EBPF can only be `stub`"),
    }
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("no CARGO_MANIFEST_DIR")?);
    let workspace = root.parent().context("the workspace is one level up")?;
    println!(
        "cargo:rerun-if-changed={}",
        workspace.join("gate-common/src").display()
    );
    let ebpf = workspace.join("gate-ebpf");
    let ebpf = ebpf
        .to_str()
        .context("the path of gate-ebpf is not UTF-8")?;
    let toolchain = env::var_os("GATE_BPF_TOOLCHAIN").unwrap_or_else(|| "nightly".into());
    let toolchain = toolchain
        .to_str()
        .context("GATE_BPF_TOOLCHAIN is not UTF-8")?;
    let package = Package {
        name: "gate-ebpf",
        root_dir: ebpf,
        ..Package::default()
    };
    build_ebpf([package], Toolchain::Custom(toolchain)).with_context(|| {
        format!(
            "cannot build the packet program with toolchain `{toolchain}`: run `cargo xtask setup`"
        )
    })
}
