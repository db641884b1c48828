//! The one direction of knowledge inside `gate-userspace`.
//!
//! Reads `crate::` and `super::` paths, also inside braces. A module without a row in the table is
//! a finding too: a new module has to be given its place before it compiles into the whole.

mod paths;

use super::{Finding, source::Source};
use paths::Reference;

const CRATE: &str = "gate-userspace/src/";

/// Parsed values and secrets: they know nothing but one another. `settings` is what `config` made
/// of flags, environment and file, as values.
const BASE: &[&str] = &[
    "ident",
    "base62",
    "clock",
    "histogram",
    "secret",
    "source",
    "scope",
    "client",
    "operator",
    "rollout",
    "fault",
    "settings",
    "watched",
    "tls",
    "names",
];

/// What a module may name beside itself and [`BASE`]. Longer paths open one part of a module.
const LAYERS: &[(&str, &[&str])] = &[
    ("drain", &[]),
    ("grants", &[]),
    ("profile", &["grants", "proxy::present", "proxy::field"]),
    ("proxy", &["grants", "profile", "drain"]),
    ("kernel", &["drain"]),
    ("store", &["drain"]),
    (
        "control",
        &["grants", "store", "kernel", "proxy::live", "drain"],
    ),
    ("admin", &["control", "grants", "kernel", "drain"]),
    (
        "cli",
        &[
            "admin::wire",
            "admin::client",
            "kernel::unload",
            "store::offline",
        ],
    ),
];

/// The shell puts the parts together, so it knows them all.
const SHELL: &[&str] = &[
    "app",
    "fuzz",
    "reference",
    "config",
    "metrics",
    "telemetry",
    "audit",
    "lib",
    "bin",
];

const RULE: &str = "direction";

pub(super) fn direction(source: &Source) -> Vec<Finding> {
    let Some(inside) = source.path.strip_prefix(CRATE) else {
        return Vec::new();
    };
    let module: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    let own = module[0];
    if SHELL.contains(&own) {
        return Vec::new();
    }
    let Some(allowed) = allowed(own) else {
        let text = format!("module `{own}` has no place among the layers");
        return vec![source.breach(0, RULE, text, "give it a row in xtask/src/tidy/imports.rs")];
    };
    let references = paths::references(source, &module);
    let strangers = references
        .iter()
        .filter(|to| to.path[0] != own && !may(to, allowed));
    strangers
        .map(|to| {
            let text = format!("`{own}` names `crate::{}`", to.path.join("::"));
            source.breach(
                to.index,
                RULE,
                text,
                "pass what is needed as a value, or move it down",
            )
        })
        .collect()
}

/// What the module may name beyond the base, or nothing if it has no row.
fn allowed(module: &str) -> Option<&'static [&'static str]> {
    if BASE.contains(&module) {
        return Some(&[]);
    }
    LAYERS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, allowed)| *allowed)
}

fn may(to: &Reference, allowed: &[&str]) -> bool {
    let first = to.path[0].as_str();
    // A type or constant of the crate's root is nobody's module.
    let is_module = first.starts_with(|c: char| c.is_lowercase());
    !is_module || BASE.contains(&first) || allowed.iter().any(|place| to.is_below(place))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::source, *};

    fn texts(path: &str, text: &str) -> Vec<String> {
        let path = format!("{CRATE}{path}");
        direction(&source(&path, text))
            .into_iter()
            .map(|finding| finding.text)
            .collect()
    }

    #[test]
    fn forbidden_imports_are_found_in_every_form() {
        let rows = [
            (
                "ident.rs",
                "use crate::grants::Grants;",
                "`ident` names `crate::grants::Grants`",
            ),
            (
                "proxy/admit.rs",
                "use crate::store::Store;",
                "`proxy` names `crate::store::Store`",
            ),
            (
                "proxy.rs",
                "use super::store;",
                "`proxy` names `crate::store`",
            ),
            (
                "proxy/admit.rs",
                "use super::super::kernel::Plan;",
                "`proxy` names `crate::kernel::Plan`",
            ),
            (
                "kernel.rs",
                "use crate::{\n    ident::Id,\n    grants::{self, Table},\n};",
                "`kernel` names `crate::grants`",
            ),
            (
                "store.rs",
                "fn a() { crate::control::go(); }",
                "`store` names `crate::control::go`",
            ),
            (
                "cli/settle.rs",
                "use crate::admin::listen;",
                "`cli` names `crate::admin::listen`",
            ),
            (
                "control.rs",
                "use crate::proxy::swap;",
                "`control` names `crate::proxy::swap`",
            ),
        ];
        for (path, text, want) in rows {
            assert_eq!(
                texts(path, text).first().map(String::as_str),
                Some(want),
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn allowed_imports_are_not_found() {
        let rows = [
            ("ident.rs", "use crate::base62;"),
            (
                "proxy/swap.rs",
                "use crate::{grants::Table, secret::UpstreamKey, proxy::live::Live};",
            ),
            ("control.rs", "use crate::proxy::live::{Live, Cut};"),
            ("cli.rs", "use crate::{admin::wire, kernel::unload};"),
            ("app.rs", "use crate::{store, kernel, proxy};"),
            ("bin/gated.rs", "use gate_userspace::app;"),
            ("proxy/admit.rs", "use super::{live, super::grants};"),
            (
                "kernel.rs",
                "// never crate::store\n#[cfg(test)]\nmod tests { use crate::store; }",
            ),
        ];
        for (path, text) in rows {
            assert_eq!(texts(path, text), [""; 0], "{path}: {text}");
        }
    }

    #[test]
    fn unplaced_module_is_found() {
        assert_eq!(
            texts("helpme.rs", "//! a"),
            ["module `helpme` has no place among the layers"]
        );
        assert_eq!(
            texts("proxy.rs", "use crate::helpme::x;"),
            ["`proxy` names `crate::helpme::x`"]
        );
    }
}
