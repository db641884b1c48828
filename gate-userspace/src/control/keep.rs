//! What is asked of the store and the key ring themselves, without changing who may come in.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use super::{Actor, Control, Refused};
use crate::{
    clock::Stamp,
    secret::Keyring,
    store::{Change, Note, Parting, StoreError, Write},
};

/// How far this host is from its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreHeard {
    /// Since the two last heard of each other, or since the start; nothing for a file of this host.
    pub age: Duration,
    /// The age at which this host serves nobody.
    pub bound: Option<Duration>,
}

/// When that was.
#[derive(Debug)]
pub(super) struct Heard(AtomicI64);

impl Heard {
    pub(super) fn at(now: Stamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    pub(super) fn note(&self, now: Stamp) {
        self.0.store(now.0, Ordering::Release);
    }
}

impl Control {
    pub fn store_heard(&self) -> StoreHeard {
        let (store, now) = (&self.desk.store, self.desk.clock.now());
        let heard = Stamp(self.desk.heard.0.load(Ordering::Acquire));
        StoreHeard {
            age: if store.is_shared() {
                now.until(heard)
            } else {
                Duration::ZERO
            },
            bound: store.bounds().staleness,
        }
    }

    /// The whole store as one file, which is gone when it is closed.
    pub async fn backup(&self) -> Result<std::fs::File, Refused> {
        let file = self.desk.store.backup().await?;
        file.ok_or(Refused::NotOneFile)
    }

    /// Whether a key that opens is sealed with an older master key.
    pub fn has_older_keys(&self) -> bool {
        self.desk.has_older_keys()
    }

    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.desk.keyring
    }

    /// Whether this gate may change what the store remembers.
    pub fn may_write(&self) -> bool {
        self.desk.store.may_write()
    }

    /// Forgets audit lines, and what ended, from before that moment.
    pub async fn forget(&self, before: Stamp) -> Result<(), Refused> {
        Ok(self.desk.store.forget(before).await?)
    }

    /// Writes into the audit trail how often callers were refused since the last time, by what it
    /// was called. No line when nobody was.
    pub async fn note_refusals(&self, counts: BTreeMap<String, u64>) -> Result<(), Refused> {
        if counts.is_empty() {
            return Ok(());
        }
        let change = Change {
            write: Write::Remark,
            note: Note {
                kind: "gate.refusals",
                subject: format!("host {}", self.desk.grants.host()),
                client: String::new(),
                detail: json!(counts),
            },
        };
        self.change(move |writer| {
            Box::pin(async move {
                let revision = writer.commit(Actor::Gate, vec![change]).await?;
                writer.reach(revision);
                Ok(())
            })
        })
        .await
    }

    /// Why the store at hand is not believed; none = it is.
    pub fn store_parting(&self) -> Option<Parting> {
        self.desk.store.parting()
    }

    pub async fn check_store(&self) -> Result<(), StoreError> {
        self.desk.store.check().await
    }
}
