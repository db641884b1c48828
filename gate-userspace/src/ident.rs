//! Names and numbers of things: one type per role, so that none is taken for another.
//!
//! Holds no secret: every type here may be logged.

use std::{borrow::Cow, fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::base62;

/// The public half of a token: looks like the `<id>` in `gate_<id>_<secret>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u64);

/// Number of a client, never used again; the tag of its entries in the kernel, where 0 means "this host".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub NonZeroU32);

/// Number of one opening of a rollout, never used again, unlike its [`RolloutId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolloutSerial(pub u64);

/// Number of the last change applied; grows by one with every change of the store.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// Why a name is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{shown}` is not {rule}")]
pub struct BadName {
    what: &'static str,
    shown: String,
    rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal, $extra:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if is_name(text, $longest, $extra) {
                    return Ok(Self(text.into()));
                }
                let shown = text.chars().take(40).flat_map(char::escape_debug).collect();
                Err(BadName { what: $what, shown, rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_all: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "maxLength": $longest, "description": $rule})
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// What an operator calls a client.
    ClientName, "client name", 64, b"._-", "1 to 64 of A-Z a-z 0-9 . _ -"
);
name!(
    /// What a trainer calls a rollout; part of paths, so the alphabet is narrow.
    RolloutId, "rollout id", 128, b"._:-", "1 to 128 of A-Z a-z 0-9 . _ : -"
);
name!(
    /// What the configuration calls an upstream.
    UpstreamName, "upstream name", 64, b"._-", "1 to 64 of A-Z a-z 0-9 . _ -"
);
name!(
    /// What an operator of the admin API on another machine is called.
    OperatorName, "operator name", 64, b"._-", "1 to 64 of A-Z a-z 0-9 . _ -"
);
name!(
    /// What a fleet calls one of its hosts.
    HostName, "host name", 253, b"._-", "1 to 253 of A-Z a-z 0-9 . _ -"
);

impl TokenId {
    /// Reads the eleven digits of the token form.
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() != 11 {
            return None;
        }
        base62::decode(digits).map(Self)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: [u8; 11] = base62::encode(self.0.to_be_bytes());
        f.write_str(str::from_utf8(&digits).expect("base62 digits are ASCII"))
    }
}

impl JsonSchema for TokenId {
    fn schema_name() -> Cow<'static, str> {
        "TokenId".into()
    }

    fn json_schema(_all: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 11, "maxLength": 11})
    }
}

impl Serialize for TokenId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        Self::parse(digits.as_bytes())
            .ok_or_else(|| serde::de::Error::custom("a token id has eleven base62 digits"))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A name must not be `.` or `..`: it may stand in a path.
fn is_name(text: &str, longest: usize, extra: &[u8]) -> bool {
    (1..=longest).contains(&text.len())
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_move_a_path_are_refused() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a\0",
            "ä",
            "%2e",
            &"x".repeat(129),
        ] {
            assert!(text.parse::<RolloutId>().is_err(), "{text:?}");
        }
        for text in ["r-17", "trace:1", "a.b_c", &"x".repeat(128)] {
            assert!(text.parse::<RolloutId>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_token_id_is_eleven_digits() {
        let id = TokenId(0x0102_0304_0506_0708);
        assert_eq!(id.to_string(), "05McJmDgrvc");
        assert_eq!(TokenId::parse(b"05McJmDgrvc"), Some(id));
        assert_eq!(TokenId::parse(b"5McJmDgrvc"), None);
    }
}
