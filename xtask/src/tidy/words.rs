//! Words that must not stay: unfinished code, disabled tests, one machine's paths, bare sleeps.

use super::{Finding, Weight, source::Source, tree::File};

pub(super) fn leftovers(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.lines.iter().enumerate() {
        let code: String = line.code.chars().filter(|c| !c.is_whitespace()).collect();
        for (word, hint) in LEFTOVERS {
            if code.contains(word) {
                findings.push(source.breach(index, "leftover", format!("`{word}`"), hint));
            }
        }
    }
    findings
}

/// A sleep is right where nothing can be waited for, and then it says so.
pub(super) fn sleeps(source: &Source) -> Vec<Finding> {
    let lines = source.lines.iter().enumerate().skip(source.production);
    let bare = lines.filter(|(index, line)| {
        let said = source.lines[index.saturating_sub(2)..=*index].iter();
        line.code.contains("sleep(") && said.into_iter().all(|line| line.comment.is_empty())
    });
    let text = "a sleep in a test, without a comment that says why";
    bare.map(|(index, _)| source.breach(index, "sleep", text, "wait for a condition"))
        .collect()
}

/// In every text file: what names one machine is of no use on another.
pub(super) fn machine_paths(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for path in MACHINE_PATHS {
            let begins = line.match_indices(path).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "}$_-".contains(c))
            });
            if begins {
                findings.push(Finding {
                    path: file.path.clone(),
                    line: index + 1,
                    rule: "machine",
                    text: format!("`{path}` is a path of one machine"),
                    hint: "name it from the repository's root, or not at all",
                    weight: Weight::Error,
                });
            }
        }
    }
    findings
}

const LEFTOVERS: &[(&str, &str)] = &[
    (
        "#[ignore",
        "a test that takes minutes goes into a module `long`",
    ),
    ("#[should_panic", "return an error and assert on it"),
    ("todo!(", "finish it or leave it out"),
    ("unimplemented!(", "finish it or leave it out"),
];

// In two parts, or this file would be a finding.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("../sha", "red"),
];

#[cfg(test)]
mod tests {
    use super::{super::tests::source, *};

    #[test]
    fn leftover_is_found_in_tests_too() {
        for text in [
            "#[ignore]",
            "#[ignore = \"slow\"]",
            "#[should_panic]",
            "todo!()",
            "todo! ()",
        ] {
            let text = format!("#[cfg(test)]\nmod tests {{\n{text}\n}}");
            assert_eq!(leftovers(&source("a.rs", &text)).len(), 1, "{text}");
        }
        assert_eq!(leftovers(&source("a.rs", "// todo!() is a macro")), []);
    }

    #[test]
    fn bare_sleep_in_a_test_is_found() {
        assert_eq!(
            sleeps(&source("tests/plain/a.rs", "thread::sleep(PAUSE);")).len(),
            1
        );
        let text = "// The kernel gives no notice of this.\nthread::sleep(PAUSE);";
        assert_eq!(sleeps(&source("tests/plain/a.rs", text)), []);
        assert_eq!(
            sleeps(&source(
                "gate-userspace/src/drain.rs",
                "sleep(PAUSE).await;"
            )),
            []
        );
    }

    #[test]
    fn path_of_one_machine_is_found_in_any_file() {
        let found = |line: String| {
            machine_paths(&File {
                path: "docs/a.md".to_owned(),
                text: line,
            })
            .len()
        };
        for path in MACHINE_PATHS {
            assert_eq!(found(format!("see {path}a")), 1, "{path}");
        }
        assert_eq!(
            found(format!("https://a.example/net{}a", MACHINE_PATHS[0])),
            0
        );
    }
}
