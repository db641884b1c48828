//! What is asked of the store and the key ring themselves, without changing who may come in.

use std::sync::Arc;

use super::{Control, Refused};
use crate::{clock::Stamp, secret::Keyring, store::StoreError};

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

    pub async fn check_store(&self) -> Result<(), StoreError> {
        self.desk.store.check().await
    }
}
