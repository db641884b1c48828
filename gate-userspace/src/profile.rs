//! How the callers of one route identify themselves, and what refusals look like to them.
//!
//! Decides nobody's admission: a profile only says where a credential is, which calls are allowed
//! when nothing else was said, and how to say no. One small file each behind one trait.

mod anthropic;
mod apollo;
mod coder;
mod openai;
mod plain;
mod session;
mod verifiers;

pub(crate) use anthropic::family;
pub(crate) use apollo::{detail, envelope};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::Value;

use crate::{
    fault::{Denied, Type},
    ident::TokenId,
    proxy::{
        field::Field,
        present::{Carriers, Credential, Own, Presented},
    },
    settings::{CredentialMode, ProfileName},
};

pub(crate) trait Profile: Sync {
    fn name(&self) -> ProfileName;

    /// Finds the one credential of a call.
    fn present(&self, sight: &Sight<'_>) -> Result<Presented, Denied> {
        if sight.mode == CredentialMode::Keep {
            Carriers::beside_own(sight.headers)
        } else {
            Carriers::read(sight.headers)?.one()
        }
    }

    /// What a call brings for which somebody trusted named a token's id.
    fn delegated(&self, sight: &Sight<'_>, id: TokenId) -> Result<Presented, Denied> {
        let own = if sight.mode == CredentialMode::Keep {
            Own::StaysIfKept
        } else {
            Own::Goes
        };
        Ok(Presented {
            own,
            ..Presented::of(Credential::Delegated(id))
        })
    }

    /// The calls that a token without a scope of its own may make; none listed = every call.
    fn default_scope(&self) -> &'static [(&'static str, &'static str)];

    /// Whether every path says which rollout it belongs to. Where a route's prefix has no place for
    /// that, nobody's token is good.
    fn names_rollout(&self) -> bool {
        false
    }

    /// Bytes of a request's body when the route does not say.
    fn body_limit(&self) -> u64 {
        128 << 20
    }

    /// Whether the credential may stand in the body, which then must be read whole.
    fn reads_body(&self) -> bool {
        false
    }

    /// Whether a provider's own refusals are put into the gate's words.
    fn maps_provider(&self) -> bool {
        false
    }

    /// Whether a client without a key of its own is served with the upstream's.
    fn lends_upstream_key(&self) -> bool {
        true
    }

    /// Headers of this system that no upstream should see.
    fn strips(&self) -> &'static [HeaderName] {
        &[]
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Shape;
}

/// What a profile may look at to find a credential.
pub(crate) struct Sight<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// The path behind the route's prefix.
    pub(crate) tail: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) mode: CredentialMode,
    /// The key field of a body that was read.
    pub(crate) field: Option<&'a Field>,
    pub(crate) byok: bool,
    pub(crate) global_key: bool,
}

/// What a refusal has to say, before it has a shape.
pub(crate) struct Refusal<'a> {
    pub(crate) kind: Type,
    pub(crate) message: &'a str,
    /// Whether it is the concurrency cap, which profiles answer differently.
    pub(crate) is_cap: bool,
    /// Whether there was no credential at all.
    pub(crate) is_absent: bool,
    pub(crate) tail: &'a str,
    /// For the envelope that has room for it.
    pub(crate) details: Option<Value>,
}

/// A refusal as a caller of this profile expects it.
pub(crate) struct Shape {
    pub(crate) status: StatusCode,
    pub(crate) kind: Type,
    pub(crate) body: Bytes,
    pub(crate) is_json: bool,
}

impl Shape {
    /// With the ordinary status of its type.
    pub(crate) fn json(kind: Type, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(kind.status()).expect("Type::status is 4xx or 5xx");
        Self {
            status,
            kind,
            body: body.into(),
            is_json: true,
        }
    }
}

pub(crate) fn of(name: ProfileName) -> &'static dyn Profile {
    match name {
        ProfileName::Verifiers => &verifiers::Verifiers,
        ProfileName::VerifiersSession => &session::Session,
        ProfileName::Openai => &openai::Openai,
        ProfileName::Anthropic => &anthropic::Anthropic,
        ProfileName::Plain => &plain::Plain,
        ProfileName::Apollo => &apollo::Apollo,
        ProfileName::Coder => &coder::Coder,
    }
}

/// The words for a call of which no route is known.
pub(crate) fn unrouted() -> &'static dyn Profile {
    &plain::Plain
}

/// A waiting call whose rollout ended is `ROLLOUT_CANCELLED` to `verifiers` alone.
fn concluded(kind: Type) -> Type {
    if kind == Type::RolloutCancelled {
        Type::RolloutConcluded
    } else {
        kind
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
