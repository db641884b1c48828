//! Which of flag, environment, file and default gave a value, and the list that `--print-config` shows.

use std::fmt::{self, Write as _};

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
    Section(String),
    Value {
        key: &'static str,
        value: String,
        origin: Origin,
    },
}

impl Shown {
    pub(super) fn section(&mut self, name: &str) {
        self.0.push(Line::Section(name.to_owned()));
    }

    pub(super) fn value(&mut self, key: &'static str, value: impl fmt::Debug, origin: Origin) {
        self.0.push(Line::Value {
            key,
            value: format!("{value:?}"),
            origin,
        });
    }

    /// The first that is there, noted with where it came from.
    pub(super) fn pick<T: fmt::Debug>(
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
