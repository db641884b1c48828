//! Which of flag, environment, file and default gave a value, and the list that `--print-config` shows.
//!
//! The list is TOML that a gate would take, so values are kept as TOML writes them.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Environment(&'static str),
    File,
    Default,
}

/// The effective settings as text, in the order in which they were settled. Never holds a secret.
#[derive(Clone, Debug, Default)]
pub struct Shown(Vec<Line>);

#[derive(Clone, Debug)]
enum Line {
    /// A table, by its name in brackets.
    Section(String),
    Value {
        key: &'static str,
        value: String,
        origin: Origin,
    },
}

/// Sections that a reload takes up whole.
const RELOADED: [&str; 3] = ["[[upstream]]", "[[route]]", "[[guard]]"];

/// Whether a changed value is taken up by a reload; every other takes a restart.
pub(super) fn is_reloaded(section: &str, key: &str) -> bool {
    RELOADED.contains(&section) || (section, key) == ("[kernel]", "interfaces")
}

impl Shown {
    pub(super) fn section(&mut self, name: &str) {
        self.0.push(Line::Section(name.to_owned()));
    }

    pub(super) fn value(&mut self, key: &'static str, value: impl Serialize, origin: Origin) {
        let value = toml::Value::try_from(value).expect("a setting is a value of TOML");
        self.0.push(Line::Value {
            key,
            value: value.to_string(),
            origin,
        });
    }

    /// The first that is there, noted with where it came from.
    pub(super) fn pick<T: Serialize>(
        &mut self,
        key: &'static str,
        given: impl IntoIterator<Item = (Option<T>, Origin)>,
        default: T,
    ) -> T {
        let found = given
            .into_iter()
            .find_map(|(value, origin)| Some((value?, origin)));
        let (value, origin) = found.unwrap_or((default, Origin::Default));
        self.value(key, &value, origin);
        value
    }

    /// The settings that differ from `standing` and are not taken up by a reload.
    pub fn restarts(&self, standing: &Self) -> Vec<String> {
        let (new, old) = (self.entries(), standing.entries());
        let changed = new.symmetric_difference(&old);
        let names: BTreeSet<String> = changed
            .filter(|(_, section, key, _)| !is_reloaded(section, key))
            .map(|(_, section, key, _)| format!("{}.{key}", section.trim_matches(['[', ']'])))
            .collect();
        names.into_iter().collect()
    }

    /// Every value by its section, of which there may be several of one name, and its key.
    pub(super) fn entries(&self) -> BTreeSet<(usize, &str, &str, &str)> {
        let (mut entries, mut sections, mut current) = (BTreeSet::new(), Vec::new(), "");
        for line in &self.0 {
            match line {
                Line::Section(name) => {
                    sections.push(name.as_str());
                    current = name;
                }
                Line::Value { key, value, .. } => {
                    let same = sections.iter().filter(|name| **name == current);
                    entries.insert((same.count(), current, *key, value.as_str()));
                }
            }
        }
        entries
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File => f.write_str("file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// TOML, with the origin of each value as a comment.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            match line {
                Line::Section(name) => writeln!(f, "\n{name}")?,
                Line::Value { key, value, origin } => {
                    let mut pair = String::new();
                    write!(pair, "{key} = {value}")?;
                    writeln!(f, "{pair:<48} # {origin}")?;
                }
            }
        }
        Ok(())
    }
}
