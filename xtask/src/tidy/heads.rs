//! Every module begins by saying what it is for, and its name is the question it answers.

use super::{Finding, source::Source};

pub(super) fn module_head(source: &Source) -> Vec<Finding> {
    if source
        .lines
        .first()
        .is_some_and(|line| line.comment.starts_with("//! "))
    {
        return Vec::new();
    }
    let text = "the file does not begin with `//!`";
    vec![source.breach(
        0,
        "head",
        text,
        "say what it is for, then what it leaves to others",
    )]
}

pub(super) fn file_name(source: &Source) -> Vec<Finding> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let stem = name.trim_end_matches(".rs");
    if stem == "mod" {
        let hint = "`x.rs` stands beside its folder `x/`";
        return vec![source.breach(0, "name", "`mod.rs`", hint)];
    }
    if DRAWERS.contains(&stem) {
        let text = format!("`{name}` is a drawer, not a name");
        return vec![source.breach(0, "name", text, "name the file by the question it answers")];
    }
    Vec::new()
}

const DRAWERS: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "types", "misc",
];

#[cfg(test)]
mod tests {
    use super::{super::tests::source, *};

    #[test]
    fn file_without_head_is_found() {
        assert_eq!(
            module_head(&source("a.rs", "#![no_std]\n//! late\n")).len(),
            1
        );
        assert_eq!(module_head(&source("a.rs", "")).len(), 1);
        assert_eq!(module_head(&source("a.rs", "//! For b.\n")), []);
    }

    #[test]
    fn drawer_and_mod_rs_are_found() {
        assert_eq!(
            file_name(&source("gate-userspace/src/proxy/utils.rs", "")).len(),
            1
        );
        assert_eq!(
            file_name(&source("gate-userspace/src/proxy/mod.rs", "")).len(),
            1
        );
        assert_eq!(
            file_name(&source("gate-userspace/src/proxy/admit.rs", "")),
            []
        );
    }
}
