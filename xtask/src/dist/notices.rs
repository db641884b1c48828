//! The licences of what is compiled into the programs: passing those on is passing these on.
//!
//! From the sources that cargo unpacked. Which licences may be among them is held by `deny.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::Context as _;

use crate::{
    child::Child,
    metadata::{self, Metadata, Package},
};

/// What is linked into a program that is passed on; the kernel program is inside `gated`.
const PASSED_ON: [&str; 2] = ["gate-userspace", "gate-ebpf"];
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

pub(super) fn text(cargo: &Child) -> anyhow::Result<String> {
    let host = Child::new(["rustc", "-vV"]).read().unwrap_or_default();
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let metadata = metadata::read(cargo, host)?;
    write(&metadata)
}

fn write(metadata: &Metadata) -> anyhow::Result<String> {
    let linked = linked(metadata);
    let mut text = "What gated and gatectl are compiled from, beside gate itself.\n\n".to_owned();
    // Many packages bring the same text: each stands once, below all it is for.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut packages: Vec<_> = metadata.packages.iter().collect();
    packages.sort_by_key(|package| (&package.name, &package.version));
    let foreign = |package: &&Package| package.source.is_some() && linked.contains(&package.id);
    for package in packages.into_iter().filter(foreign) {
        let licence = package.license.as_deref().unwrap_or("see below");
        let from = package.repository.as_deref().unwrap_or("crates.io");
        let name = format!("{} {}", package.name, package.version);
        let _ = writeln!(text, "{name}: {licence}; {from}");
        for found in texts_of(&package.manifest_path)? {
            texts.entry(found).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (found, names) in texts {
        let _ = write!(text, "\n\n==== {}\n\n{found}\n", names.join(", "));
    }
    Ok(text)
}

/// Everything that linked code brings along, its own kind of dependencies only.
fn linked(metadata: &Metadata) -> BTreeSet<String> {
    let nodes: BTreeMap<_, _> = metadata.resolve.nodes.iter().map(|n| (&n.id, n)).collect();
    let ours = |package: &&Package| PASSED_ON.contains(&package.name.as_str());
    let packages = metadata.packages.iter().filter(ours);
    let mut waiting: Vec<&String> = packages.map(|package| &package.id).collect();
    let mut linked = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !linked.insert(id.clone()) {
            continue;
        }
        let deps = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let inside = deps.filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        waiting.extend(inside.map(|dep| &dep.pkg));
    }
    linked
}

/// The licence files beside a manifest, in the order of their names.
fn texts_of(manifest: &Path) -> anyhow::Result<Vec<String>> {
    let folder = manifest.parent().context("a manifest lies in a folder")?;
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().display().to_string().to_uppercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|known| name.starts_with(known)) {
            let bytes = fs::read(entry.path())?;
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            found.insert(name, text.trim().to_owned());
        }
    }
    Ok(found.into_values().collect())
}
