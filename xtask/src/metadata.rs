//! What cargo says of the packages that this repository is made of.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

use crate::child::Child;

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    /// None for a package of this repository.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    /// As its manifest asks for them.
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
    pub(crate) source: Option<String>,
}

/// Which package a dependency became.
#[derive(Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Dep>,
}

#[derive(Deserialize)]
pub(crate) struct Dep {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
pub(crate) struct DepKind {
    /// None for what is linked in, else `build` or `dev`.
    pub(crate) kind: Option<String>,
}

/// Of what is built for `platform`; for every platform where there is none.
pub(crate) fn read(cargo: &Child, platform: Option<&str>) -> anyhow::Result<Metadata> {
    let said = cargo
        .clone()
        .args(["metadata", "--format-version=1", "--locked"])
        .args(platform.map(|platform| format!("--filter-platform={platform}")))
        .read();
    let said = said.context("`cargo metadata --locked` failed: is Cargo.lock up to date?")?;
    serde_json::from_str(&said).context("read cargo metadata")
}
