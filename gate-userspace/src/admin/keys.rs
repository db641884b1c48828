//! Sealed keys: set in the published form, given out in it, and brought under a newer master key.
//!
//! Ciphertext alone leaves here. What changes the master key is for root or the gate's own user.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    Api, parse,
    peer::Peer,
    question::{Query, Question},
    refusal::Refusal,
    wire::{
        ClientImported, ClientsImported, ImportClient, ImportClients, KeyExport, KeySeal,
        MasterRotated, Resealed, SealedKey,
    },
};
use crate::{
    control::{Import, Imported},
    ident::ClientName,
    secret::{Digest, Keyring, MasterKey, Sealed},
};

pub(super) async fn reseal(State(api): State<Api>, peer: Peer) -> Result<Json<Resealed>, Refusal> {
    peer.must_be_owner("re-sealing the stored keys")?;
    let done = api.control.reseal(peer.actor()).await?;
    Ok(Json(Resealed {
        master: done.master.to_string(),
        keys: done.keys,
        left: done.left,
        shut: done.shut,
        revision: done.revision,
    }))
}

/// One that lies ready in the key file is taken; without one, and with every row under the one in
/// use, a new one is made. So a rotation that was broken off goes on and does not begin another.
pub(super) async fn rotate_master(
    State(api): State<Api>,
    peer: Peer,
) -> Result<Json<MasterRotated>, Refusal> {
    peer.must_be_owner("rotating the master key")?;
    let (control, keyring) = (&api.control, api.control.keyring());
    let next = match keyring.standby() {
        Some(id) => Some(id),
        None if control.has_older_keys() => None,
        None => Some(api.inspect.add_master_key().map_err(Refusal::key_file)?),
    };
    let revision = match next {
        Some(id) => control.set_master(peer.actor(), id).await?,
        None => control.grants().revision(),
    };
    Ok(Json(MasterRotated {
        master: keyring.current().to_string(),
        revision,
    }))
}

pub(super) async fn seal(
    State(api): State<Api>,
    Question(question): Question<KeySeal>,
) -> Result<Json<SealedKey>, Refusal> {
    let key = parse::key(&question.upstream_key)?;
    Ok(Json(api.sealed(&api.control.seal_key(&key)?)))
}

pub(super) async fn export(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<KeyExport>,
) -> Result<Json<SealedKey>, Refusal> {
    if query.form != "v1" {
        let text = "form must be v1: the gate's own form is bound to its own row";
        return Err(Refusal::invalid(text));
    }
    let name = name.parse::<ClientName>();
    let name = name.map_err(|why| Refusal::invalid(why.to_string()))?;
    Ok(Json(api.sealed(&api.control.export_key(&name)?)))
}

pub(super) async fn import(
    State(api): State<Api>,
    peer: Peer,
    Question(question): Question<ImportClients>,
) -> Result<Json<ClientsImported>, Refusal> {
    let opener = question.master_key.as_ref();
    let opener = opener.map(|text| text.reveal().parse::<MasterKey>());
    let opener = opener.transpose();
    let opener = opener.map_err(|why| Refusal::invalid(why.to_string()))?;
    let opener = opener.map(|key| Keyring::new(key, Vec::new()));
    let (mut imports, mut clients) = (Vec::new(), Vec::new());
    for client in question.clients {
        let shown = client.client.to_string();
        match read_import(client, opener.as_ref()) {
            Ok(import) => {
                imports.push(import);
                clients.push((shown, None));
            }
            Err(reason) => clients.push((shown, Some(reason))),
        }
    }
    let done = api.control.import(peer.actor(), imports, question.dry_run);
    let mut done = done.await?.into_iter();
    let clients = clients.into_iter().filter_map(|(client, unreadable)| {
        let (state, reason) = match unreadable {
            Some(reason) => ("unreadable", reason),
            None => state(&done.next()?),
        };
        Some(ClientImported {
            client,
            state: state.to_owned(),
            reason: reason.to_owned(),
        })
    });
    Ok(Json(ClientsImported {
        dry_run: question.dry_run,
        clients: clients.collect(),
        revision: api.control.grants().revision(),
    }))
}

/// One row, or why it cannot be taken up.
fn read_import(client: ImportClient, opener: Option<&Keyring>) -> Result<Import, &'static str> {
    let digest = Digest::from_hex(&client.token_sha256);
    let stored = client.stored_key.as_ref().map(|key| key.reveal().trim());
    let stored = stored.filter(|key| !key.is_empty());
    let stored = stored.map(|key| Sealed::from_row(key.to_owned()));
    let key = match (stored, opener) {
        (None, _) => None,
        (Some(key), Some(opener)) => Some(
            opener
                .open("", &key)
                .map_err(|_why| "its key does not open with this APOLLO_ENC_KEY")?,
        ),
        (Some(key), None) => Some(
            key.plaintext()
                .ok_or("its key is sealed: set APOLLO_ENC_KEY")?,
        ),
    };
    Ok(Import {
        name: client.client,
        digest: digest.ok_or("its hash is not 64 lowercase hex digits")?,
        key,
    })
}

impl Api {
    fn sealed(&self, key: &Sealed) -> SealedKey {
        SealedKey {
            sealed: key.as_row().to_owned(),
            master: self.control.keyring().current().to_string(),
        }
    }
}

fn state(done: &Imported) -> (&'static str, &'static str) {
    match done {
        Imported::Added => ("added", ""),
        Imported::Unchanged => ("unchanged", ""),
        Imported::NameTaken => ("name_taken", "a client of that name has other credentials"),
        Imported::TokenTaken => ("token_taken", "another client has this credential"),
        Imported::TokenEnded => ("token_ended", "the credential was revoked here"),
    }
}
