//! What is asked of the store and the key ring themselves, without changing who may come in.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

use super::{Actor, Control, Refused};
use crate::{
    clock::Stamp,
    secret::Keyring,
    store::{Change, Note, Parting, StoreError, Write},
};

impl Control {
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
