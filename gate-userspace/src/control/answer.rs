//! What control answers: a token that is shown once, or what an ending did.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    client::{Client, Kind},
    clock::Stamp,
    ident::{ClientName, HostName, Revision, TokenId},
    rollout::Rollout,
    secret::NewToken,
};

/// A token's text on its way to its owner.
pub struct Minted {
    pub id: TokenId,
    pub kind: Kind,
    pub text: Zeroizing<String>,
}

#[derive(Debug)]
pub struct Added {
    pub client: Arc<Client>,
    pub token: Minted,
    pub revision: Revision,
}

#[derive(Debug)]
pub struct Opening {
    pub rollout: Rollout,
    pub client: ClientName,
    pub tokens: Vec<Minted>,
    pub revision: Revision,
}

#[derive(Debug)]
pub struct Rotation {
    pub tokens: Vec<Minted>,
    /// When the old ones end.
    pub old_until: Stamp,
    pub done: Done,
}

#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub expires: Option<Stamp>,
    pub revision: Revision,
}

/// What an ending did, counted.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub revision: Revision,
    pub rollouts: usize,
    pub tokens: usize,
    pub entries_removed: usize,
    pub connections: usize,
    pub streams: usize,
    pub elapsed_us: u64,
    pub hosts: Vec<HostDone>,
    /// What could not be done, although everything else was.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct HostDone {
    pub host: HostName,
    pub revision: Revision,
    pub state: HostState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostState {
    /// Enforces the revision.
    Done,
    Behind,
    /// Was not heard of for so long that it has closed itself.
    SelfClosed,
}

impl Minted {
    pub(super) fn new(token: NewToken, kind: Kind) -> Self {
        Self {
            id: token.id,
            kind,
            text: token.reveal(),
        }
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Minted({})", self.id)
    }
}

impl HostState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Behind => "behind",
            Self::SelfClosed => "self-closed",
        }
    }
}
