//! What the writer works with and others may look at.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::AtomicUsize},
};

use arc_swap::ArcSwap;

use super::{Events, PacketRing, Refused, Streams, endings::Endings, keep::Heard, lease::Leases};
use crate::{
    client::Client,
    clock::Clock,
    grants::{Grants, RolloutGrant},
    ident::{ClientId, ClientName, RolloutId, UpstreamName},
    operator::Operators,
    secret::{Digest, Keyring},
    settings::Mode,
    store::Store,
};

pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) grants: Arc<Grants>,
    pub(super) streams: Arc<dyn Streams>,
    pub(super) ring: Arc<dyn PacketRing>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: Clock,
    pub(super) upstreams: ArcSwap<BTreeSet<UpstreamName>>,
    pub(super) names: papaya::HashMap<ClientName, ClientId>,
    /// As configured; what is in force may be `Closed`.
    pub(super) mode: Mode,
    pub(super) operators: ArcSwap<Operators>,
    /// The client of the configured secret, and the secret's digest.
    pub(super) shared: Option<(ClientName, Digest)>,
    pub(super) events: Events,
    pub(super) heard: Heard,
    pub(super) endings: Endings,
    /// Whose time is over when.
    pub(super) leases: Mutex<Leases>,
    /// Panics that were asked for and are not written yet: nothing opens meanwhile.
    pub(super) brakes: AtomicUsize,
}

impl Desk {
    pub(super) fn client_named(&self, name: &ClientName) -> Result<Arc<Client>, Refused> {
        let id = self.names.pin().get(name).copied();
        let grant = id.and_then(|id| self.grants.client(id));
        grant
            .map(|grant| grant.record())
            .ok_or_else(|| Refused::NoClient(name.clone()))
    }

    pub(super) fn rollout_named(&self, id: &RolloutId) -> Result<Arc<RolloutGrant>, Refused> {
        let grant = self.grants.rollout(id);
        grant.ok_or_else(|| Refused::NoRollout(id.clone()))
    }

    pub(super) fn upstream_known(&self, name: Option<&UpstreamName>) -> Result<(), Refused> {
        let known = self.upstreams.load();
        match name {
            Some(name) if !known.contains(name) => Err(Refused::NoUpstream {
                name: name.clone(),
                known: known.iter().cloned().collect(),
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn not_shared(&self, client: &Client) -> Result<(), Refused> {
        match &self.shared {
            Some((name, _)) if *name == client.name => Err(Refused::Shared(name.clone())),
            _ => Ok(()),
        }
    }
}
