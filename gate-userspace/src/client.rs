//! A provisioned caller, as the store keeps it and the grants table reads it.
//!
//! Does not hold a token's text or an open key: digests and sealed keys only.

use crate::{
    clock::Stamp,
    ident::{ClientId, ClientName, TokenId, UpstreamName},
    scope::Scope,
    secret::{Digest, Sealed},
    source::Source,
};

/// A trainer, a sandbox host or an app instance.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: ClientId,
    pub name: ClientName,
    /// None = its tokens are not bound, and it opens nothing in the kernel.
    pub sources: Vec<Source>,
    /// Guarded ports its sources may reach besides the gate's own.
    pub ports: Vec<u16>,
    pub scope: Option<Scope>,
    pub upstream: Option<UpstreamName>,
    pub key: Option<Sealed>,
    pub reach: Reach,
    pub enabled: bool,
    pub expires: Option<Stamp>,
    /// Requests a second, 0 = no limit.
    pub rps: u32,
    /// Calls at once, 0 = no limit.
    pub concurrency: u32,
    pub created: Stamp,
    pub tokens: Vec<Credential>,
}

/// What a client's own token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Routes without a rollout in the path.
    Own,
    /// Every live rollout of this client too: the shared-secret way.
    CoversRollouts,
    /// `/state` of its live rollouts, nothing else.
    Service,
}

/// One live token of a client or rollout.
#[derive(Clone, Debug)]
pub struct Credential {
    pub id: TokenId,
    pub digest: Digest,
    pub kind: Kind,
    /// End of its own life, for example of the grace after a rotation.
    pub expires: Option<Stamp>,
    /// What is presented upstream in place of this very token, before its owner's key.
    pub key: Option<Sealed>,
    pub created: Stamp,
    /// Made by another system: once it has ended it looks like a stranger's.
    pub adopted: bool,
}

/// Who a token speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A client, within its [`Reach`].
    Client,
    /// A rollout, everywhere in it.
    Rollout,
    /// A rollout's inference routes and `/tool`.
    Model,
    /// A rollout's `/state` and `/task`.
    State,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Rollout => "rollout",
            Self::Model => "model",
            Self::State => "state",
        }
    }
}

/// The name a key is sealed for; a row that moves elsewhere does not open.
pub fn client_owner(id: ClientId) -> String {
    format!("client/{}", id.0)
}

/// As [`client_owner`], for a key that belongs to one token.
pub fn token_owner(id: TokenId) -> String {
    format!("token/{id}")
}
