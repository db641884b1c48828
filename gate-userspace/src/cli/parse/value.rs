//! Values that need more than `FromStr` of the type they become.

use std::{fmt, str::FromStr, time::Duration};

use crate::source::{BadSource, Place};

/// What `--source` takes: `lo` or `CIDR[@IFACE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum SourceArg {
    Loopback,
    Place(Place),
}

/// What `--with` takes: `NAME=PREFIX`, another route of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct With {
    /// As it stands in a variable: upper case, digits and `_`.
    pub(in crate::cli) name: String,
    pub(in crate::cli) prefix: String,
}

impl FromStr for SourceArg {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<Self, BadSource> {
        if text == "lo" {
            return Ok(Self::Loopback);
        }
        text.parse().map(Self::Place)
    }
}

impl fmt::Display for SourceArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("lo"),
            Self::Place(place) => place.fmt(f),
        }
    }
}

impl FromStr for With {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not NAME=PREFIX, such as openai=/openai");
        let (name, prefix) = text.split_once('=').ok_or_else(bad)?;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        let is_prefix = prefix.starts_with('/')
            && prefix
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte));
        if !is_name || !is_prefix {
            return Err(bad());
        }
        Ok(Self {
            name: name.to_ascii_uppercase().replace('-', "_"),
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }
}

/// What may stand in a header: visible ASCII, and not too much of it.
pub(super) fn header_text(text: &str) -> Result<String, String> {
    if (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("it must be 1 to 255 visible ASCII characters".to_owned())
    }
}

/// `90s`, `15m`, `1h 30m`; never nothing.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|cause| cause.to_string())?;
    if duration.is_zero() {
        return Err("it must be longer than nothing".to_owned());
    }
    Ok(duration)
}

/// As [`duration`], and `0s` is a value too.
pub(super) fn grace(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|cause| cause.to_string())
}
