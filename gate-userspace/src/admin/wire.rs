//! Every question and answer of the admin API, as serde types that `gatectl` shares.
//!
//! Keys are a contract: `snake_case`, never renamed, only added to. A question with an unknown key
//! is refused, because a mistyped limit must not mean "no limit"; an answer may grow.

mod secret;
mod moment;
mod client;
mod rollout;
mod ended;
mod status;
mod explain;
mod event;
mod env;
mod keys;
mod operator;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use client::{
    ClientAdd, ClientAdded, ClientList, ClientView, KeySet, Renew, Renewed, Rotate, Rotated,
    Sources, SourcesChanged, SourcesPatch, TokenView,
};
pub use ended::{Changed, Ended, HostState, HostView, Hosts, Wait};
pub use env::{Door, variables};
pub use event::{Audit, AuditEntry, AuditQuery, Event};
pub use explain::{Explain, Explained, RingVerdict};
pub use keys::{
    ClientImported, ClientsImported, ImportClient, ImportClients, KeyExport, KeySeal,
    MasterRotated, Resealed, SealedKey,
};
pub use moment::Moment;
pub use operator::{OperatorAdd, OperatorAdded, OperatorList, OperatorView};
pub use rollout::{
    RolloutAnswer, RolloutAsk, RolloutClose, RolloutList, RolloutOpen, RolloutOpened, RolloutQuery,
    RolloutView, RolloutsOpen, RolloutsOpened, TokenKind, TokenWish,
};
pub use secret::Secret;
pub use status::{
    ConnectionRing, DeniedView, GuardView, InterfaceSet, InterfaceView, KeyState, KeyView,
    ModeChanged, ModeView, PacketRing, PresentedView, RequestRing, RingState, Rings, Spread,
    Status, Unloaded, UpstreamView, Verified,
};

/// What every refusal looks like.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Error {
    pub error: ErrorBody,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// Stable, for machines: `exists`, `not_found`, `invalid`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// For people: a fragment, no secret in it.
    pub message: String,
    /// What to do about it; empty when there is nothing to say.
    #[serde(default)]
    pub hint: String,
}

/// Reads a name that may be left out or empty.
fn empty_is_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
