//! Keeps what was measured as JSON under `target/bench`, and writes `docs/benchmarks.md` from it.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::table::Table;

const PARTS: [&str; 4] = ["request", "stream", "control", "packet"];

const HEAD: &str = "# Benchmarks\n\n\
Written by `cargo xtask bench all --write`; not by hand. One machine, one run: gate and its peers took turns, round by \
round, on loopback in a network namespace of their own; load and upstream on one core, what is measured on another. \
Read the ratios: absolute numbers belong to that machine. A ratio is the middle of the rounds with the lowest and the \
highest behind it, and is called undecided when those lie further apart than it lies from 1.\n\n";

fn folder() -> PathBuf {
    let target = std::env::var_os("GATE_BENCH_DIR");
    target.map_or_else(|| "target/bench".into(), PathBuf::from)
}

pub(crate) fn keep(part: &str, tables: &[Table]) -> anyhow::Result<()> {
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join(format!("{part}.json"));
    fs::write(&path, serde_json::to_string_pretty(tables)?)
        .with_context(|| format!("write {}", path.display()))
}

/// From what is kept of every part.
pub(crate) fn write() -> anyhow::Result<()> {
    let mut text = HEAD.to_owned();
    text += &machine()?;
    for part in PARTS {
        let Ok(kept) = fs::read_to_string(folder().join(format!("{part}.json"))) else {
            continue;
        };
        let tables: Vec<Table> = serde_json::from_str(&kept)?;
        for table in &tables {
            text += &table.markdown();
            text.push('\n');
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md");
    fs::write(path, text).with_context(|| format!("write {path}"))
}

fn machine() -> anyhow::Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let release = release.split('-').next().unwrap_or_default().trim();
    let cores = crate::cores::cores();
    Ok(format!(
        "Machine: {cores} cores of {model}, Linux {release}.\n\n"
    ))
}
