//! How the callers of one route identify themselves, and what refusals look like to them.
//!
//! Decides nobody's admission: a profile only says where a credential is, which calls are allowed
//! when nothing else was said, and how to say no. One small file each behind one trait.

mod anthropic;
mod openai;
mod plain;
mod verifiers;

pub(crate) use anthropic::family;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{
    fault::{Denied, Type},
    proxy::present::{Carriers, Presented},
    settings::{CredentialMode, ProfileName},
};

pub(crate) trait Profile: Sync {
    fn name(&self) -> &'static str;

    /// Finds the one credential of a call.
    fn present(&self, headers: &HeaderMap, mode: CredentialMode) -> Result<Presented, Denied> {
        Carriers::read(headers)?.one(mode)
    }

    /// The calls that a token without a scope of its own may make; none listed = every call.
    fn default_scope(&self) -> &'static [(&'static str, &'static str)];

    /// Bytes of a request's body when the route does not say.
    fn body_limit(&self) -> u64 {
        128 << 20
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape;
}

/// What a refusal has to say, before it has a shape.
pub(crate) struct Refusal<'a> {
    pub(crate) kind: Type,
    pub(crate) message: &'a str,
    /// Whether it is the concurrency cap, which profiles answer differently.
    pub(crate) is_cap: bool,
    /// The path behind the route's prefix.
    pub(crate) tail: &'a str,
}

/// A refusal as a caller of this profile expects it.
pub(crate) struct Shape {
    pub(crate) status: StatusCode,
    pub(crate) kind: Type,
    pub(crate) body: Bytes,
}

impl Shape {
    pub(crate) fn json(kind: Type, body: &serde_json::Value) -> Self {
        let status = StatusCode::from_u16(kind.status()).expect("Type::status is 4xx or 5xx");
        Self {
            status,
            kind,
            body: body.to_string().into(),
        }
    }
}

pub(crate) fn of(name: ProfileName) -> &'static dyn Profile {
    match name {
        ProfileName::Verifiers => &verifiers::Verifiers,
        ProfileName::Openai => &openai::Openai,
        ProfileName::Anthropic => &anthropic::Anthropic,
        ProfileName::Plain => &plain::Plain,
    }
}

/// A waiting call whose rollout ended is `ROLLOUT_CANCELLED` to `verifiers` alone.
fn concluded(kind: Type) -> Type {
    if kind == Type::RolloutCancelled {
        Type::RolloutConcluded
    } else {
        kind
    }
}

#[cfg(test)]
mod tests;
