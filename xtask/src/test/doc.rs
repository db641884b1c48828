//! Whether any documentation holds an example that rustdoc would run.
//!
//! rustdoc builds every crate again to find that there is none, so a look at the fences first
//! saves most of a minute.

use crate::tidy::tree;

pub(super) fn any_doc_test() -> anyhow::Result<bool> {
    Ok(tree::read()?.iter().any(|file| has_doc_test(&file.text)))
}

fn has_doc_test(text: &str) -> bool {
    let docs = text.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))
    });
    let mut open = false;
    for info in docs.filter_map(|line| line.trim_start().strip_prefix("```")) {
        open = !open;
        let words: Vec<&str> = info
            .split([',', ' '])
            .filter(|word| !word.is_empty())
            .collect();
        if open && words.iter().all(|word| RUN_BY_RUSTDOC.contains(word)) {
            return true;
        }
    }
    false
}

const RUN_BY_RUSTDOC: &[&str] = &[
    "rust",
    "no_run",
    "compile_fail",
    "edition2021",
    "edition2024",
    "standalone_crate",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fences_that_rustdoc_runs_count() {
        assert!(has_doc_test("/// ```\n/// let a = 1;\n/// ```"));
        assert!(has_doc_test(
            "//! ```text\n//! a\n//! ```\n//! ```no_run\n//! b\n//! ```"
        ));
        assert!(!has_doc_test("//! ```text\n//! a\n//! ```"));
        assert!(!has_doc_test("let fence = \"```\";"));
    }
}
