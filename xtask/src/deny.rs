//! What dependencies may be: their licences, where they come from, which ones are banned.
//!
//! Reads the policy from `deny.toml`, so that `cargo deny` holds to the same one, and the facts
//! from `cargo metadata`: building that tool takes longer than every check together. Does not
//! know advisories; with `cargo deny` on the path, they are asked for as well.

use std::fs;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::{
    child::Child,
    metadata::{self, Package},
    say, surroundings,
};

#[derive(Deserialize)]
struct Policy {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

pub(crate) fn check(cargo: &Child) -> anyhow::Result<()> {
    let text = fs::read_to_string(surroundings::root().join("deny.toml"))?;
    let policy: Policy = toml::from_str(&text).context("read deny.toml")?;
    let mut findings = Vec::new();
    let mut seen = 0;
    let targets = &policy.graph.targets;
    for target in targets {
        let metadata = metadata::read(cargo, Some(target))?;
        seen = seen.max(metadata.packages.len());
        findings.extend(metadata.packages.iter().flat_map(|one| judge(one, &policy)));
    }
    findings.sort();
    findings.dedup();
    for finding in &findings {
        say::data(finding);
    }
    if !findings.is_empty() {
        bail!("{} breaches of deny.toml", findings.len());
    }
    say::note(&format!("{seen} packages keep deny.toml"));
    Ok(())
}

/// Known holes, where the tool is there and its database can be had.
pub(crate) fn advisories() -> Result<Child, &'static str> {
    if surroundings::find_program("cargo-deny").is_none() {
        return Err("cargo-deny is not installed: cargo install --locked cargo-deny");
    }
    let deny = |words: &[&str]| Child::new(["cargo", "deny"]).args(words.iter().copied());
    if deny(&["fetch", "db"]).probe().is_err() {
        return Err("the database of advisories cannot be fetched");
    }
    Ok(deny(&["check", "advisories"]))
}

fn judge(package: &Package, policy: &Policy) -> Vec<String> {
    let named = format!("{} {}", package.name, package.version);
    let mut findings = Vec::new();
    if let Err(why) = licence(package.license.as_deref(), &policy.licenses.allow) {
        findings.push(format!("{named}: {why}"));
    }
    if let Some(source) = &package.source {
        let registry = source.strip_prefix("registry+");
        let known =
            registry.is_some_and(|at| policy.sources.allow_registry.iter().any(|a| a == at));
        if !known {
            findings.push(format!("{named}: comes from {source}"));
        }
    } else {
        let wild = package.dependencies.iter();
        let wild = wild.filter(|one| one.req == "*" && one.source.is_some());
        findings.extend(wild.map(|one| format!("{named}: takes any version of {}", one.name)));
    }
    let bans = policy.bans.deny.iter();
    let banned = bans.filter(|ban| ban.name == package.name);
    findings.extend(banned.map(|ban| format!("{named}: is banned ({})", ban.reason)));
    findings
}

/// Whether some choice that the expression leaves is made of allowed licences only.
fn licence(text: Option<&str>, allowed: &[String]) -> Result<(), String> {
    let text = text.ok_or("names no licence")?;
    let expression = Expression::parse_mode(text, ParseMode::LAX)
        .map_err(|error| format!("licence `{text}` is none: {}", error.reason))?;
    let is_allowed = expression.evaluate(|asked| {
        let asked = asked.to_string();
        allowed.contains(&asked)
    });
    if is_allowed {
        Ok(())
    } else {
        Err(format!("licence `{text}` is not allowed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use crate::metadata::Dependency;

    fn policy() -> Policy {
        toml::from_str(include_str!("../../deny.toml")).unwrap()
    }

    fn package(name: &str, license: &str, source: Option<&str>) -> Package {
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: (!license.is_empty()).then(|| license.to_owned()),
            repository: None,
            manifest_path: PathBuf::new(),
            source: source.map(str::to_owned),
            dependencies: Vec::new(),
        }
    }

    const CRATES_IO: Option<&str> = Some("registry+https://github.com/rust-lang/crates.io-index");

    #[test]
    fn licence_needs_one_allowed_choice() {
        let rows = [
            ("MIT", 0),
            ("MIT/Apache-2.0", 0),
            ("GPL-3.0-only OR MIT", 0),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", 0),
            ("GPL-3.0-only", 1),
            ("MIT AND GPL-2.0-only", 1),
            ("Apache-2.0 WITH LLVM-exception", 1),
            ("no licence at all", 1),
            ("", 1),
        ];
        for (license, breaches) in rows {
            let found = judge(&package("a", license, CRATES_IO), &policy());
            assert_eq!(found.len(), breaches, "{license}: {found:?}");
        }
    }

    #[test]
    fn foreign_source_ban_and_wildcard_are_found() {
        let git = Some("git+https://example.com/a#0123");
        let mirror = Some("registry+https://example.com/index");
        let mut own = package("own", "MIT", None);
        own.dependencies.push(Dependency {
            name: "b".to_owned(),
            req: "*".to_owned(),
            source: CRATES_IO.map(str::to_owned),
        });
        for bad in [
            package("a", "MIT", git),
            package("a", "MIT", mirror),
            package("openssl-sys", "MIT", CRATES_IO),
            own,
        ] {
            let found = judge(&bad, &policy());
            assert_eq!(found.len(), 1, "{}: {found:?}", bad.name);
        }
    }
}
