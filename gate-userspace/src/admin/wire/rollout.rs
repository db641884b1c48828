//! Rollouts: `/v1/rollouts`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Door, Moment, Secret, Sources, TokenView, empty_is_none};
use crate::{
    client::Kind,
    ident::{ClientName, HostName, Revision, RolloutId, TokenId, UpstreamName},
};

/// One object of `POST /v1/rollouts`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutOpen {
    pub rollout: RolloutId,
    pub client: ClientName,
    /// `CIDR[@IFACE]` or `lo`; some replace the client's.
    #[serde(default)]
    pub sources: Vec<String>,
    #[serde(default)]
    pub sources_anywhere: Vec<String>,
    #[serde(default, deserialize_with = "empty_is_none")]
    pub host: Option<HostName>,
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
    #[serde(default, deserialize_with = "empty_is_none")]
    pub upstream: Option<UpstreamName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_key: Option<Secret>,
    #[serde(default)]
    pub scope: Vec<String>,
    /// Which tokens to make or adopt; empty = one of kind `rollout`.
    #[serde(default)]
    pub tokens: BTreeMap<TokenKind, TokenWish>,
}

/// Many at once: all or none.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutsOpen {
    pub rollouts: Vec<RolloutOpen>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    Rollout,
    Model,
    State,
}

/// What is said of one token; both may be left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenWish {
    /// A token of another system to adopt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// What is presented upstream in place of this very token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_key: Option<Secret>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolloutOpened {
    pub rollout: RolloutId,
    pub client: ClientName,
    /// The one token, shown this once, unless `tokens` holds several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<TokenKind, Secret>,
    #[serde(flatten)]
    pub sources: Sources,
    pub expires_at: Option<Moment>,
    pub revision: Revision,
    /// What the sandbox needs and nothing more; without base URLs where none can be known.
    pub env: BTreeMap<String, Secret>,
    pub door: Door,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolloutsOpened {
    pub rollouts: Vec<RolloutOpened>,
    pub revision: Revision,
}

/// `GET /v1/rollouts?client=NAME`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolloutView {
    pub rollout: RolloutId,
    pub client: ClientName,
    /// `open` or `draining`.
    pub phase: String,
    /// Its own; none = its client's.
    #[serde(flatten)]
    pub sources: Sources,
    pub scope: Vec<String>,
    pub upstream: Option<UpstreamName>,
    pub has_upstream_key: bool,
    pub tokens: Vec<TokenView>,
    pub created_at: Moment,
    pub expires_at: Option<Moment>,
    pub door: Door,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolloutList {
    pub rollouts: Vec<RolloutView>,
    pub revision: Revision,
}

/// `DELETE /v1/rollouts`: these, or all of a client. All or none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutClose {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<RolloutId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
}

impl TokenKind {
    pub fn as_str(self) -> &'static str {
        Kind::from(self).as_str()
    }
}

impl From<TokenKind> for Kind {
    fn from(kind: TokenKind) -> Self {
        match kind {
            TokenKind::Rollout => Self::Rollout,
            TokenKind::Model => Self::Model,
            TokenKind::State => Self::State,
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TokenKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Rollout, Self::Model, Self::State]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a token kind: rollout, model or state"))
    }
}

/// Question of `POST /v1/rollouts`: one, or many.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum RolloutAsk {
    One(Box<RolloutOpen>),
    Many(RolloutsOpen),
}

/// Its answer, in the form of the question.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum RolloutAnswer {
    One(Box<RolloutOpened>),
    Many(RolloutsOpened),
}
