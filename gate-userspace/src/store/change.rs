//! What a store is asked to write, and what it tells about what was written.
//!
//! State-based: a change holds the whole new record. Every commit is one revision; each of its
//! changes is a row of the feed, which is the audit trail too, so a note never holds a secret.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    client::{Client, Credential},
    clock::Stamp,
    ident::{ClientId, HostName, OperatorName, Revision, RolloutSerial},
    operator::Operator,
    rollout::Rollout,
    secret::KeyId,
};

/// Changes that happen together or not at all, under one revision.
#[derive(Clone, Debug)]
pub struct Commit {
    pub at: Stamp,
    pub host: HostName,
    pub actor: String,
    /// What the writer has seen: a record that somebody changed later is not overwritten.
    pub basis: Revision,
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug)]
pub struct Change {
    pub write: Write,
    pub note: Note,
}

#[derive(Clone, Debug)]
pub enum Write {
    AddClient(Box<Client>),
    PutClient(Box<Client>),
    /// And all its rollouts. Ending what has ended is no error.
    EndClient(ClientId),
    AddRollout(Box<Rollout>),
    PutRollout(Box<Rollout>),
    EndRollout(RolloutSerial),
    /// `panic` and `open`.
    SetClosed(bool),
    /// Which master key seals from now on.
    SetMaster(KeyId),
    AddOperator(Box<Operator>),
    /// Ending what has ended is no error.
    EndOperator(OperatorName),
    /// Nothing but its line in the audit trail.
    Remark,
}

/// The line of the audit trail.
#[derive(Clone, Debug)]
pub struct Note {
    /// Such as `client.add`.
    pub kind: &'static str,
    /// Such as `client trainer`.
    pub subject: String,
    /// Whose change it is; empty when it is nobody's.
    pub client: String,
    pub detail: Value,
}

/// Everything live.
#[derive(Debug)]
pub struct Snapshot {
    pub revision: Revision,
    pub closed: bool,
    /// The master key that seals; none was chosen = each host's first.
    pub master: Option<KeyId>,
    pub operators: Vec<Operator>,
    pub clients: Vec<Client>,
    pub rollouts: Vec<Rollout>,
}

impl Snapshot {
    /// Whether there is an upstream key that only the master key of its time opens.
    pub fn holds_keys(&self) -> bool {
        let any = |tokens: &[Credential]| tokens.iter().any(|token| token.key.is_some());
        self.clients
            .iter()
            .any(|c| c.key.is_some() || any(&c.tokens))
            || self
                .rollouts
                .iter()
                .any(|r| r.key.is_some() || any(&r.tokens))
    }
}

/// What changed since a revision, as it stands; `None` = it has ended.
#[derive(Debug)]
pub struct News {
    /// False when the feed was forgotten so far back: then this is not all that changed.
    pub is_whole: bool,
    pub revision: Revision,
    pub closed: bool,
    pub master: Option<KeyId>,
    /// All of them, changed or not, if anything changed.
    pub operators: Vec<Operator>,
    pub clients: Vec<(ClientId, Option<Client>)>,
    pub rollouts: Vec<(RolloutSerial, Option<Rollout>)>,
}

impl Snapshot {
    /// All there is, as news for somebody who has these: what he alone has, has ended.
    pub fn as_news(
        self,
        clients: impl Iterator<Item = ClientId>,
        rollouts: impl Iterator<Item = RolloutSerial>,
    ) -> News {
        let mut now: BTreeMap<_, _> = clients.map(|id| (id, None)).collect();
        now.extend(
            self.clients
                .into_iter()
                .map(|client| (client.id, Some(client))),
        );
        let mut open: BTreeMap<_, _> = rollouts.map(|serial| (serial, None)).collect();
        let rollouts = self.rollouts.into_iter();
        open.extend(rollouts.map(|rollout| (rollout.serial, Some(rollout))));
        News {
            is_whole: true,
            revision: self.revision,
            closed: self.closed,
            master: self.master,
            operators: self.operators,
            clients: now.into_iter().collect(),
            rollouts: open.into_iter().collect(),
        }
    }
}

/// Which lines of the audit trail.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub since: Stamp,
    pub after: Revision,
    /// Empty = everybody's.
    pub client: String,
    pub limit: u32,
}

#[derive(Clone, Debug)]
pub struct Line {
    pub revision: Revision,
    pub at: Stamp,
    pub host: String,
    pub actor: String,
    pub kind: String,
    pub subject: String,
    pub detail: Value,
}

/// What one host of a fleet has last told.
#[derive(Clone, Debug)]
pub struct Told {
    pub host: HostName,
    /// The last change that it enforces.
    pub revision: Revision,
    /// Since it told, by the store's own clock.
    pub age: Duration,
    /// After how long without word from the store it closes itself.
    pub staleness: Option<Duration>,
    /// The master keys that it holds.
    pub keys: Vec<KeyId>,
}

/// What a feed row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entity {
    Client(ClientId),
    Rollout(RolloutSerial),
    Gate,
}

/// The place of a change's first note within its revision. A client that ends may bring a million
/// notes along.
pub(super) fn first_seq(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX >> 32) << 32
}

impl Write {
    pub(crate) fn entity(&self) -> Entity {
        match self {
            Self::AddClient(client) | Self::PutClient(client) => Entity::Client(client.id),
            Self::EndClient(id) => Entity::Client(*id),
            Self::AddRollout(rollout) | Self::PutRollout(rollout) => {
                Entity::Rollout(rollout.serial)
            }
            Self::EndRollout(serial) => Entity::Rollout(*serial),
            Self::SetClosed(_)
            | Self::SetMaster(_)
            | Self::AddOperator(_)
            | Self::EndOperator(_)
            | Self::Remark => Entity::Gate,
        }
    }
}
