//! What control can be asked for, parsed: no text that still has to be understood.

use std::{fmt, time::Duration};

use zeroize::Zeroizing;

use crate::{
    client::{Kind, Reach},
    ident::{ClientName, OperatorName, RolloutId, UpstreamName},
    scope::Scope,
    secret::UpstreamKey,
    source::Source,
};

/// Who asks, as the kernel or a token says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// At the other end of the Unix socket.
    Peer { uid: u32, pid: i32 },
    /// On another machine, by the token that was presented.
    Operator(OperatorName),
    /// The gate itself, when a lease is over.
    Gate,
}

/// A token that another system made. Its text is hashed and forgotten.
pub struct Adopted(pub Zeroizing<String>);

#[derive(Debug)]
pub struct NewClient {
    pub name: ClientName,
    pub sources: Vec<Source>,
    pub ports: Vec<u16>,
    pub scope: Option<Scope>,
    pub upstream: Option<UpstreamName>,
    pub key: Option<UpstreamKey>,
    pub reach: Reach,
    pub ttl: Option<Duration>,
    pub rps: u32,
    pub concurrency: u32,
    /// None = a fresh one.
    pub token: Option<Adopted>,
}

#[derive(Debug)]
pub struct NewRollout {
    pub id: RolloutId,
    pub client: ClientName,
    pub sources: Vec<Source>,
    pub scope: Option<Scope>,
    pub upstream: Option<UpstreamName>,
    pub key: Option<UpstreamKey>,
    pub ttl: Option<Duration>,
    /// Empty = one fresh token of kind `rollout`.
    pub tokens: Vec<WantedToken>,
}

#[derive(Debug)]
pub struct WantedToken {
    pub kind: Kind,
    pub token: Option<Adopted>,
    /// What is presented upstream in place of this very token.
    pub key: Option<UpstreamKey>,
}

/// A change of a client's sources, all of it or nothing.
#[derive(Clone, Debug)]
pub struct SourceEdit {
    pub add: Vec<Source>,
    pub remove: Vec<Source>,
}

/// Which rollouts to close.
#[derive(Clone, Debug)]
pub enum Closing {
    Ids(Vec<RolloutId>),
    AllOf(ClientName),
}

/// Whose token, or whose lease.
#[derive(Clone, Debug)]
pub enum Owner {
    Client(ClientName),
    Rollout(RolloutId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer { uid, pid } => write!(f, "uid={uid} pid={pid}"),
            Self::Operator(name) => write!(f, "operator={name}"),
            Self::Gate => f.write_str("gate"),
        }
    }
}

impl fmt::Debug for Adopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Adopted(..)")
    }
}
