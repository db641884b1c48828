//! What may be written in one place only, so that one place has to be read to trust it.

use super::{
    Finding,
    source::{Line, Source, is_word, words},
};

/// One thing and where it may stand. Only production code is held to it, unless said otherwise.
struct Place {
    rule: &'static str,
    /// The files it is about; empty for all.
    within: &'static [&'static str],
    allowed: &'static [&'static str],
    tests_too: bool,
    hint: &'static str,
    find: fn(&Line) -> Option<String>,
}

const PLACES: &[Place] = &[
    Place {
        rule: "aya",
        within: &[],
        allowed: &[
            "gate-userspace/src/kernel.rs",
            "gate-userspace/src/kernel/",
            "gate-userspace/build.rs",
            "gate-common/src/pod.rs",
            "gate-ebpf/",
            "tests/bench/packet/",
            "tests/kernel/",
        ],
        tests_too: true,
        hint: "only the kernel half talks to the kernel: send it a message",
        find: aya,
    },
    Place {
        rule: "sql",
        within: &["gate-common/", "gate-userspace/"],
        allowed: &["gate-userspace/src/store.rs", "gate-userspace/src/store/"],
        tests_too: false,
        hint: "SQL is written under store/",
        find: sql,
    },
    Place {
        rule: "expose",
        within: &["gate-common/", "gate-userspace/"],
        allowed: &[
            "gate-userspace/src/proxy/swap.rs",
            "gate-userspace/src/secret.rs",
            "gate-userspace/src/secret/",
        ],
        tests_too: false,
        hint: "a secret leaves its type in proxy/swap.rs only",
        find: expose,
    },
    Place {
        rule: "stdout",
        within: &["gate-common/src/", "gate-userspace/src/"],
        allowed: &["gate-userspace/src/cli/print.rs"],
        tests_too: false,
        hint: "return a value and let cli/print.rs render it; log with tracing",
        find: stdout,
    },
];

pub(super) fn kept(source: &Source) -> Vec<Finding> {
    let concerns = |place: &&Place| {
        (place.within.is_empty() || source.is_in(place.within)) && !source.is_in(place.allowed)
    };
    PLACES
        .iter()
        .filter(concerns)
        .flat_map(|place| breaches(source, place))
        .collect()
}

fn breaches(source: &Source, place: &Place) -> Vec<Finding> {
    let end = if place.tests_too {
        source.lines.len()
    } else {
        source.production
    };
    let lines = source.lines.iter().take(end).enumerate();
    let found = lines.filter_map(|(index, line)| Some((index, (place.find)(line)?)));
    found
        .map(|(index, what)| source.breach(index, place.rule, what, place.hint))
        .collect()
}

fn aya(line: &Line) -> Option<String> {
    let crates = ["aya", "aya_obj", "aya_log"];
    let named = crates.iter().find(|name| {
        let path = format!("{name}::");
        let used = format!("use {name}");
        after(&line.code, &path).is_some()
            || after(&line.code, &used).is_some_and(|rest| !rest.starts_with(is_word))
    })?;
    Some(format!("`{named}` is named"))
}

fn sql(line: &Line) -> Option<String> {
    let keyword = SQL
        .iter()
        .find(|keyword| line.strings.iter().any(|text| text.contains(*keyword)))?;
    Some(format!("a string with `{}`", keyword.trim()))
}

fn expose(line: &Line) -> Option<String> {
    let called = after(&line.code, "expose(").is_some() && !words(&line.code).any(|w| w == "fn");
    called.then(|| "`expose()` is called".to_owned())
}

fn stdout(line: &Line) -> Option<String> {
    let writers = ["println!", "print!", "stdout()"];
    let writer = writers
        .iter()
        .find(|writer| after(&line.code, writer).is_some())?;
    Some(format!("`{writer}`"))
}

/// What follows `text` where it begins a word of its own.
fn after<'a>(code: &'a str, text: &str) -> Option<&'a str> {
    code.match_indices(text)
        .find(|(at, _)| !code[..*at].ends_with(is_word))
        .map(|(at, found)| &code[at + found.len()..])
}

const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "DROP TABLE ",
    "ALTER TABLE ",
    "PRAGMA ",
];

#[cfg(test)]
mod tests {
    use super::{super::tests::source, *};

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        kept(&source(path, text))
            .into_iter()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn thing_in_a_wrong_place_is_found() {
        let rows = [
            ("gate-userspace/src/app.rs", "use aya::Ebpf;", "aya"),
            ("tests/plain/a.rs", "let a = aya::maps::Map;", "aya"),
            (
                "gate-userspace/src/control.rs",
                "let a = \"SELECT a FROM b\";",
                "sql",
            ),
            (
                "gate-userspace/src/proxy/upstream.rs",
                "send(key.expose());",
                "expose",
            ),
            (
                "gate-userspace/src/cli/client.rs",
                "println!(\"a\");",
                "stdout",
            ),
            (
                "gate-userspace/src/app.rs",
                "writeln!(io::stdout(), \"\")",
                "stdout",
            ),
        ];
        for (path, text, rule) in rows {
            assert_eq!(rules(path, text), [rule], "{path}: {text}");
        }
    }

    #[test]
    fn thing_in_its_place_is_not_found() {
        let rows = [
            ("gate-userspace/src/kernel/attach.rs", "use aya::Ebpf;"),
            ("gate-userspace/src/app.rs", "use layaya::b; // aya::Ebpf"),
            ("gate-userspace/src/store/row.rs", "let a = \"SELECT a\";"),
            ("gate-userspace/src/control.rs", "let a = \"select one\";"),
            ("gate-userspace/src/proxy/swap.rs", "key.expose()"),
            (
                "gate-userspace/src/secret.rs",
                "pub(crate) fn expose(&self) -> &str {",
            ),
            ("gate-userspace/src/cli/print.rs", "println!(\"a\");"),
            ("gate-userspace/src/app.rs", "eprintln!(\"a\");"),
            (
                "gate-userspace/src/a.rs",
                "#[cfg(test)]\nmod tests { println!(); k.expose(); }",
            ),
        ];
        for (path, text) in rows {
            assert_eq!(rules(path, text), [""; 0], "{path}: {text}");
        }
    }
}
