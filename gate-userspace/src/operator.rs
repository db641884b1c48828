//! Who may use the admin API from other machines: a name, a role, and the digest of a token.
//!
//! Whoever sits at the admin socket needs none of this: the kernel says who that is.

use std::{fmt, str::FromStr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Stamp,
    ident::{OperatorName, TokenId},
    secret::Digest,
};

/// What an operator may do; each may do what stands before it, too.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything, change nothing
    Read,
    /// Add, change and end clients and rollouts
    Provision,
    /// Import, export keys, back up, and shut the gate in an emergency
    Admin,
}

/// One that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub name: OperatorName,
    pub token: TokenId,
    pub digest: Digest,
    pub role: Role,
    pub created: Stamp,
}

/// All that live.
#[derive(Clone, Debug, Default)]
pub struct Operators(Arc<[Operator]>);

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not read, provision or admin")]
pub struct BadRole(String);

impl Operators {
    pub fn of(mut all: Vec<Operator>) -> Self {
        all.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        Self(all.into())
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Operator> {
        self.0.iter()
    }

    /// Compares with every digest, in a time that tells nothing of any: there are a handful.
    pub fn find(&self, shown: &Digest) -> Option<&Operator> {
        self.0.iter().fold(None, |found, operator| {
            let hit = operator.digest == *shown;
            if hit { Some(operator) } else { found }
        })
    }
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Read, Self::Provision, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Provision => "provision",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| BadRole(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
