//! Which master key seals, on every host at once; and keys in the published form.
//!
//! The store names the key; hosts hold it in their own files. A row must not be sealed with a key
//! that some host does not hold, so a key is chosen only when every live host has said that it
//! holds it. The former one goes on opening what was sealed before.

use serde_json::json;

use super::{Actor, Control, HostState, Refused, hosts, writer::Writer};
use crate::{
    client::client_owner,
    ident::{ClientName, Revision},
    secret::{KeyId, Sealed, UpstreamKey},
    store::{Change, Note, Write},
};

impl Control {
    /// The upstream key of a client, sealed in the published form.
    pub fn export_key(&self, name: &ClientName) -> Result<Sealed, Refused> {
        let client = self.client_named(name)?;
        let sealed = client.key.as_ref();
        let sealed = sealed.ok_or_else(|| Refused::NoKey(name.clone()))?;
        let opened = self.keyring().open(&client_owner(client.id), sealed);
        let key = opened.map_err(|why| Refused::Key {
            what: format!("client `{name}`"),
            why,
        })?;
        self.seal_key(&key)
    }

    /// A key sealed in the published form.
    pub fn seal_key(&self, key: &UpstreamKey) -> Result<Sealed, Refused> {
        Ok(self.keyring().seal_v1(key)?)
    }
}

impl Writer {
    pub(super) async fn set_master(
        &mut self,
        actor: Actor,
        id: KeyId,
    ) -> Result<Revision, Refused> {
        let hosts = self.hosts_without(id).await?;
        if !hosts.is_empty() {
            return Err(Refused::MasterMissing { key: id, hosts });
        }
        let change = Change {
            write: Write::SetMaster(id),
            note: Note {
                kind: "key.master",
                subject: format!("master key {id}"),
                client: String::new(),
                detail: json!({}),
            },
        };
        let revision = self.commit(actor, vec![change]).await?;
        self.choose_master(Some(id));
        self.reach(revision);
        Ok(revision)
    }

    /// What the store says; until it says something, the first of each host's file.
    pub(super) fn choose_master(&self, master: Option<KeyId>) {
        let keyring = &self.desk.keyring;
        if let Some(id) = master.filter(|id| *id != keyring.current())
            && !keyring.choose(id)
        {
            tracing::error!(key = %id, "this host lacks the master key that seals: no key can be set here");
        }
    }

    /// Those that serve and would not open what that key sealed. One that has closed itself reads
    /// its file again before it serves.
    async fn hosts_without(&self, id: KeyId) -> Result<Vec<String>, Refused> {
        let skew = self.desk.store.bounds().skew;
        let told = self.desk.store.hosts().await?.into_iter();
        let lacking = told.filter(|told| {
            let state = hosts::state(told, Revision(u64::MAX), skew);
            state != HostState::SelfClosed && !told.keys.contains(&id)
        });
        Ok(lacking.map(|told| told.host.to_string()).collect())
    }
}
